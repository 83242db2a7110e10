"""Calls that change with the name that is called: what they need to be, and what becomes of them."""

import ast
from collections.abc import Callable, Mapping

from pytest_py312.core.text_edits import EditRefused, Splice
from pytest_py312.repository.edits.python.imports import added_name
from pytest_py312.repository.edits.python.syntax import PythonText

Shaped = Callable[[PythonText, ast.Attribute, str], list[Splice]]

ZONE = "timezone"
_FACTORIES = frozenset({"default", "default_factory", "factory", "insert_default", "onupdate"})
"""Parameters of columns and fields that take a function and call it for each new value."""
NAIVE = ".replace(tzinfo=None)"
_FIELDS = frozenset({"args", "varargs", "defaults"})
_PLACES = frozenset({0, 1, 3})


def splices_of_call(source: PythonText, node: ast.Attribute, old: str, new: str) -> list[Splice] | None:
    """What has to change of the call that ``node`` is the function of; ``None`` where it is the name alone.

    :raises EditRefused: in this call the new name would do something else.
    """
    shaped = _SHAPED.get(_key(old))
    return None if shaped is None else shaped(source, node, new)


def is_about_call(old: str) -> bool:
    """Whether a name is only written otherwise together with its call."""
    return _key(old) in _SHAPED


def _key(name: str) -> tuple[str, str]:
    return name.partition(".")[0], name.rpartition(".")[2]


def _call_of(source: PythonText, node: ast.Attribute) -> ast.Call:
    call = source.parent(node)
    if not isinstance(call, ast.Call) or call.func is not node:
        raise EditRefused(f"{node.attr} is not called here, but handed over.")
    return call


def _arguments(call: ast.Call, count: int) -> list[ast.expr]:
    """:raises EditRefused: these are not ``count`` arguments, each by its place."""
    odd = (ast.Starred, ast.GeneratorExp, ast.NamedExpr)
    if len(call.args) != count or call.keywords or any(isinstance(argument, odd) for argument in call.args):
        raise EditRefused("What it is called with may mean something else to its successor.")
    return call.args


def last_renamed(source: PythonText, node: ast.Attribute, text: str) -> Splice:
    """``owner.old`` -> ``owner.text``

    :raises EditRefused: the name is spelled in another way than the tree says.
    """
    end = source.end(node)
    start = end - len(node.attr)
    if source.text[start:end] != node.attr:
        raise EditRefused("The name does not stand where it was said to be.")
    return Splice(start=start, end=end, text=text)


# ---- names that are handed over uncalled, or with other arguments


def _one_argument(source: PythonText, node: ast.Attribute, new: str) -> list[Splice]:
    """``unittest.makeSuite(Case)``: the successor is a method of the default loader."""
    _arguments(_call_of(source, node), 1)
    return [last_renamed(source, node, new.partition(".")[2])]


def _by_place(source: PythonText, node: ast.Attribute, new: str) -> list[Splice]:
    """``parser.readfp(file)``: the successor names its second parameter otherwise."""
    if _call_of(source, node).keywords:
        raise EditRefused("Its successor has another name for that parameter.")
    return [last_renamed(source, node, new.rpartition(".")[2])]


def _same_fields(source: PythonText, node: ast.Attribute, new: str) -> list[Splice]:
    """``inspect.getargspec(f).args``: the fields that the longer tuple of the successor has as well."""
    call = _call_of(source, node)
    use = source.parent(call)
    plain = isinstance(use, ast.Attribute) and use.attr in _FIELDS
    item = isinstance(use, ast.Subscript) and use.value is call and isinstance(use.slice, ast.Constant)
    if not plain and not (item and isinstance(use.slice.value, int) and use.slice.value in _PLACES):
        raise EditRefused("Its successor gives a longer tuple: take the fields you need by their names.")
    return [last_renamed(source, node, new.rpartition(".")[2])]


# ---- methods that became attributes


def _read(source: PythonText, node: ast.Attribute, new: str) -> list[Splice]:
    """``thread.getName()`` -> ``thread.name``"""
    call = _call_of(source, node)
    _arguments(call, 0)
    return [_gap(source, source.end(node) - len(node.attr), source.end(call), new.rpartition(".")[2])]


def _set(source: PythonText, node: ast.Attribute, new: str) -> list[Splice]:
    """``thread.setName(name)`` -> ``thread.name = name``"""
    call = _call_of(source, node)
    (argument,) = _arguments(call, 1)
    if not isinstance(source.parent(call), ast.Expr) or argument.lineno != argument.end_lineno:
        raise EditRefused("An assignment cannot stand here.")
    start = source.end(node) - len(node.attr)
    name = new.rpartition(".")[2]
    return [
        _gap(source, start, source.start(argument), f"{name} = "),
        _gap(source, source.end(argument), source.end(call), ""),
    ]


def _gap(source: PythonText, start: int, end: int, text: str) -> Splice:
    taken = source.text[start:end]
    if any(character in taken for character in "#\\\r\n"):
        raise EditRefused("The call goes over several lines.")
    if taken.count("(") > 1 or taken.count(")") > 1:
        raise EditRefused("The argument stands in brackets of its own.")
    return Splice(start=start, end=end, text=text)


# ---- times in UTC


def _with_zone(source: PythonText, node: ast.Attribute, new: str) -> list[Splice]:
    """``datetime.utcnow()`` -> ``datetime.now(timezone.utc)``, with its zone taken off again where ``new`` says so."""
    if _is_factory(source, node):
        return _as_factory(source, node, new)
    call = _call_of(source, node)
    arguments = _arguments(call, 1 if node.attr == "utcfromtimestamp" else 0)
    zone, splices = _zone(source, node.value)
    end = source.end(call)
    place, text = (source.end(arguments[0]), f", {zone}") if arguments else (end - 1, zone)
    splices += [
        last_renamed(source, node, node.attr.removeprefix("utc")),
        Splice(start=place, end=place, text=text),
    ]
    return [*splices, Splice(start=end, end=end, text=NAIVE)] if new.endswith(NAIVE) else splices


def _is_factory(source: PythonText, node: ast.Attribute) -> bool:
    """``default=datetime.utcnow``: whoever takes it calls it without arguments."""
    keyword = source.parent(node)
    return isinstance(keyword, ast.keyword) and keyword.arg in _FACTORIES and node.attr == "utcnow"


def _as_factory(source: PythonText, node: ast.Attribute, new: str) -> list[Splice]:
    """``default=lambda: datetime.now(timezone.utc)``"""
    zone, splices = _zone(source, node.value)
    if any(isinstance(source.scopes(one)[0], ast.ClassDef) for one in _brought(source, node.value)):
        raise EditRefused("A lambda does not see what is imported in the body of a class.")
    start, end = source.start(node), source.end(node)
    called = f"({zone}){NAIVE}" if new.endswith(NAIVE) else f"({zone})"
    return [
        *splices,
        Splice(start=start, end=start, text="lambda: "),
        last_renamed(source, node, "now"),
        Splice(start=end, end=end, text=called),
    ]


def _brought(source: PythonText, owner: ast.expr) -> list[ast.stmt]:
    """The imports of ``datetime`` that ``owner`` may come from."""
    plain = [one for one in source.imports if any(alias.name == "datetime" for alias in one.names)]
    named = [one for one in source.from_imports if one.module == "datetime" and not one.level]
    return [one for one in (*plain, *named) if source.sees(owner, one)]


def _zone(source: PythonText, owner: ast.expr) -> tuple[str, list[Splice]]:
    """What stands for the zone, and what has to be imported for it."""
    if isinstance(owner, ast.Attribute):
        return f"{source.segment(owner.value)}.{ZONE}.utc", []
    if not isinstance(owner, ast.Name):
        raise EditRefused("It cannot be told how to name the zone here.")
    brought = [
        (statement, alias)
        for statement in _brought(source, owner)
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
    for _, alias in brought:
        if alias.name == ZONE:
            return f"{alias.asname or ZONE}.utc", []
    beside = [alias for _, alias in brought if (alias.asname or alias.name) == owner.id]
    if len(beside) != 1 or source.bindings(ZONE):
        raise EditRefused(f"{ZONE} would have to be imported, and it cannot be told where.")
    return f"{ZONE}.utc", [added_name(source, beside[0], ZONE)]


_SHAPED: Mapping[tuple[str, str], Shaped] = {
    ("unittest", "makeSuite"): _one_argument,
    ("unittest", "findTestCases"): _one_argument,
    ("inspect", "getargspec"): _same_fields,
    ("configparser", "readfp"): _by_place,
    ("threading", "getName"): _read,
    ("threading", "isDaemon"): _read,
    ("threading", "setName"): _set,
    ("threading", "setDaemon"): _set,
    ("datetime", "utcnow"): _with_zone,
    ("datetime", "utcfromtimestamp"): _with_zone,
}
"""By package and last name, since a method may be called on any class that has it."""
