"""Rewrite calls whose form changes together with the name that is called, such as ``datetime.utcnow()``."""

import ast
from collections.abc import Callable, Iterator, Mapping

from pytest_py312.core.text_edits import EditRefused, TextEdit
from pytest_py312.repository.edits.python.imports import add_imported_name
from pytest_py312.repository.edits.python.syntax import FUNCTIONS, PythonSource

CallRewriter = Callable[[PythonSource, ast.Attribute, str], list[TextEdit]]

TIMEZONE = "timezone"
_FACTORY_PARAMETERS = frozenset({"default", "default_factory", "factory", "insert_default", "onupdate"})
"""Parameters of columns and fields whose function is called for each new value."""
DROP_TIMEZONE = ".replace(tzinfo=None)"
_SHARED_FIELDS = frozenset({"args", "varargs", "defaults"})
_SHARED_INDEXES = frozenset({0, 1, 3})


def call_edits(source: PythonSource, node: ast.Attribute, old: str, new: str) -> list[TextEdit] | None:
    """Return the edits of the call of ``node``; ``None`` if only the name has to change.

    :raises EditRefused: in this call the new name would behave differently.
    """
    rewriter = _CALL_REWRITERS.get(_rewriter_key(old))
    return None if rewriter is None else rewriter(source, node, new)


def needs_call_rewrite(old: str) -> bool:
    """Return whether the name can only be replaced together with its call."""
    return _rewriter_key(old) in _CALL_REWRITERS


def _rewriter_key(name: str) -> tuple[str, str]:
    return name.partition(".")[0], name.rpartition(".")[2]


def _call_of(source: PythonSource, node: ast.Attribute) -> ast.Call:
    call = source.parent(node)
    if not isinstance(call, ast.Call) or call.func is not node:
        raise EditRefused(f"{node.attr} is not called here, but passed on.")
    return call


def _positional_arguments(call: ast.Call, count: int) -> list[ast.expr]:
    """Return the arguments of a call.

    :raises EditRefused: there are not exactly ``count`` positional arguments.
    """
    unsupported = (ast.Starred, ast.GeneratorExp, ast.NamedExpr)
    if len(call.args) != count or call.keywords or any(isinstance(argument, unsupported) for argument in call.args):
        raise EditRefused("Its arguments may mean something else to its replacement.")
    return call.args


def rename_attribute(source: PythonSource, node: ast.Attribute, text: str) -> TextEdit:
    """Change ``owner.old`` to ``owner.text``.

    :raises EditRefused: the name is spelled differently in the source than in the tree.
    """
    end = source.end(node)
    start = end - len(node.attr)
    if source.text[start:end] != node.attr:
        raise EditRefused("The name is not at the expected position.")
    return TextEdit(start=start, end=end, text=text)


# ---- calls whose arguments are restricted


def _rename_single_argument_call(source: PythonSource, node: ast.Attribute, new: str) -> list[TextEdit]:
    """``unittest.makeSuite(Case)``: the replacement is a method of the default loader."""
    _positional_arguments(_call_of(source, node), 1)
    return [rename_attribute(source, node, new.partition(".")[2])]


def _rename_positional_call(source: PythonSource, node: ast.Attribute, new: str) -> list[TextEdit]:
    """``parser.readfp(file)``: the replacement has another name for its second parameter."""
    if _call_of(source, node).keywords:
        raise EditRefused("Its replacement has another name for that parameter.")
    return [rename_attribute(source, node, new.rpartition(".")[2])]


def _rename_shared_fields_call(source: PythonSource, node: ast.Attribute, new: str) -> list[TextEdit]:
    """``inspect.getargspec(f).args``: fields that the longer tuple of the replacement has as well."""
    call = _call_of(source, node)
    use = source.parent(call)
    plain = isinstance(use, ast.Attribute) and use.attr in _SHARED_FIELDS
    item = isinstance(use, ast.Subscript) and use.value is call and isinstance(use.slice, ast.Constant)
    if not plain and not (item and isinstance(use.slice.value, int) and use.slice.value in _SHARED_INDEXES):
        raise EditRefused("Its replacement returns a longer tuple: use the names of the fields.")
    return [rename_attribute(source, node, new.rpartition(".")[2])]


def _subset_call_edits(source: PythonSource, node: ast.Attribute, _new: str) -> list[TextEdit]:
    """``assertDictContainsSubset(subset, d)`` -> ``assertEqual({**d, **subset}, {**d})``; ``d`` may be any mapping."""
    call = _call_of(source, node)
    arguments = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    if len(arguments) not in (2, 3) or arguments != call.args or {word.arg for word in call.keywords} - {"msg"}:
        raise EditRefused("Its arguments may mean something else to its replacement.")
    subset, whole = arguments[:2]
    start, end = source.start(subset), source.end(whole)
    between = source.text[source.end(subset) : source.start(whole)]
    if not isinstance(whole, ast.Name | ast.Attribute) or between.strip() != ",":
        raise EditRefused("The dictionary would be computed twice.")
    is_plain = isinstance(subset, ast.Dict | ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    if not is_plain or any(isinstance(part, ast.Call) for part in ast.walk(whole)):
        raise EditRefused("The dictionary would be computed twice.")
    name = source.segment(whole)
    text = f"{{**{name}, **{source.segment(subset)}}}, {{**{name}}}"
    return [rename_attribute(source, node, "assertEqual"), TextEdit(start=start, end=end, text=text)]


# ---- methods that became attributes


def _call_to_attribute(source: PythonSource, node: ast.Attribute, new: str) -> list[TextEdit]:
    """``thread.getName()`` -> ``thread.name``"""
    call = _call_of(source, node)
    _positional_arguments(call, 0)
    return [_replace_between(source, source.end(node) - len(node.attr), source.end(call), new.rpartition(".")[2])]


def _call_to_assignment(source: PythonSource, node: ast.Attribute, new: str) -> list[TextEdit]:
    """``thread.setName(name)`` -> ``thread.name = name``"""
    call = _call_of(source, node)
    (argument,) = _positional_arguments(call, 1)
    if not isinstance(source.parent(call), ast.Expr) or argument.lineno != argument.end_lineno:
        raise EditRefused("An assignment is not possible here.")
    start = source.end(node) - len(node.attr)
    name = new.rpartition(".")[2]
    return [
        _replace_between(source, start, source.start(argument), f"{name} = "),
        _replace_between(source, source.end(argument), source.end(call), ""),
    ]


def _replace_between(source: PythonSource, start: int, end: int, text: str) -> TextEdit:
    replaced = source.text[start:end]
    if any(character in replaced for character in "#\\\r\n"):
        raise EditRefused("The call spans several lines.")
    if replaced.count("(") > 1 or replaced.count(")") > 1:
        raise EditRefused("The argument is parenthesized.")
    return TextEdit(start=start, end=end, text=text)


# ---- times in UTC


def _utc_call_edits(source: PythonSource, node: ast.Attribute, new: str) -> list[TextEdit]:
    """``datetime.utcnow()`` -> ``datetime.now(timezone.utc)``, made naive again if ``new`` ends so."""
    if _is_default_factory(source, node):
        return _utc_factory_edits(source, node, new)
    call = _call_of(source, node)
    arguments = _positional_arguments(call, 1 if node.attr == "utcfromtimestamp" else 0)
    zone, text_edits = _utc_expression(source, node.value)
    end = source.end(call)
    position, text = (source.end(arguments[0]), f", {zone}") if arguments else (end - 1, zone)
    text_edits += [
        rename_attribute(source, node, node.attr.removeprefix("utc")),
        TextEdit(start=position, end=position, text=text),
    ]
    return (
        [*text_edits, TextEdit(start=end, end=end, text=DROP_TIMEZONE)] if new.endswith(DROP_TIMEZONE) else text_edits
    )


def _is_default_factory(source: PythonSource, node: ast.Attribute) -> bool:
    """Return whether it is the value of ``default=datetime.utcnow`` and the like, which is called without arguments."""
    keyword = source.parent(node)
    return isinstance(keyword, ast.keyword) and keyword.arg in _FACTORY_PARAMETERS and node.attr == "utcnow"


def _utc_factory_edits(source: PythonSource, node: ast.Attribute, new: str) -> list[TextEdit]:
    """``default=lambda: datetime.now(timezone.utc)``"""
    zone, text_edits = _utc_expression(source, node.value)
    if any(
        isinstance(source.scopes(statement)[0], ast.ClassDef) for statement in _datetime_imports(source, node.value)
    ):
        raise EditRefused("A lambda does not see what is imported in the body of a class.")
    start, end = source.start(node), source.end(node)
    called = f"({zone}){DROP_TIMEZONE}" if new.endswith(DROP_TIMEZONE) else f"({zone})"
    return [
        *text_edits,
        TextEdit(start=start, end=start, text="lambda: "),
        rename_attribute(source, node, "now"),
        TextEdit(start=end, end=end, text=called),
    ]


def _datetime_imports(source: PythonSource, owner: ast.expr) -> list[ast.stmt]:
    """Return the imports of ``datetime`` that ``owner`` may come from."""
    plain = [statement for statement in source.imports if any(alias.name == "datetime" for alias in statement.names)]
    named = [statement for statement in source.from_imports if statement.module == "datetime" and not statement.level]
    return [statement for statement in (*plain, *named) if source.can_see(owner, statement)]


def _utc_expression(source: PythonSource, owner: ast.expr) -> tuple[str, list[TextEdit]]:
    """Return the expression for the time zone, and the edits that import it."""
    if isinstance(owner, ast.Attribute):
        return f"{source.segment(owner.value)}.{TIMEZONE}.utc", []
    if not isinstance(owner, ast.Name):
        raise EditRefused("The expression for the time zone cannot be determined here.")
    imported = [
        (statement, alias)
        for statement in _datetime_imports(source, owner)
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
    for _, alias in imported:
        if alias.name == TIMEZONE:
            return f"{alias.asname or TIMEZONE}.utc", []
    owner_aliases = [alias for _, alias in imported if (alias.asname or alias.name) == owner.id]
    if len(owner_aliases) != 1 or source.bindings(TIMEZONE):
        raise EditRefused(f"{TIMEZONE} would have to be imported, and the right import cannot be determined.")
    return f"{TIMEZONE}.utc", [add_imported_name(source, owner_aliases[0], TIMEZONE)]


_CALL_REWRITERS: Mapping[tuple[str, str], CallRewriter] = {
    ("unittest", "assertDictContainsSubset"): _subset_call_edits,
    ("unittest", "makeSuite"): _rename_single_argument_call,
    ("unittest", "findTestCases"): _rename_single_argument_call,
    ("inspect", "getargspec"): _rename_shared_fields_call,
    ("configparser", "readfp"): _rename_positional_call,
    ("threading", "getName"): _call_to_attribute,
    ("threading", "isDaemon"): _call_to_attribute,
    ("threading", "setName"): _call_to_assignment,
    ("threading", "setDaemon"): _call_to_assignment,
    ("datetime", "utcnow"): _utc_call_edits,
    ("datetime", "utcfromtimestamp"): _utc_call_edits,
}
"""By package and last name, because a method may be called on any class that has it."""

READ = "locals()["
"""The start of the old name of such a change."""
_NAMES = ("namespace", "executed", "exec_namespace")
_REPEATING = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def exec_namespace_edits(source: PythonSource, line: int, column: int) -> list[TextEdit]:
    """Return the edits ``exec(text)`` -> ``exec(text, globals(), namespace := locals())``, and of the read.

    They mean the same on all releases: the dictionary has the variables of the function, and gets those of ``text``.

    :raises EditRefused: it is not clear which call of ``exec`` binds the name.
    """
    nodes = [node for node in source.nodes_at(line, column) if isinstance(node, ast.Name)]
    if any(node.id in _NAMES for node in nodes):
        return []  # it was made before
    names = [node for node in nodes if node.id == "locals"]
    function = next((scope for name in names for scope in source.scopes(name)), None)
    calls = [call for call in _calls_of_exec(source) if function in source.scopes(call)[:1]]
    free = [name for name in _NAMES if name not in source.reads and not source.bindings(name)]
    if len(names) != 1 or len(calls) != 1 or not isinstance(function, FUNCTIONS) or not free:
        raise EditRefused("It is not clear which call of exec binds the name.")
    if any(isinstance(around, _REPEATING) for around in _nodes_around(source, calls[0], function)):
        raise EditRefused("exec is called several times: from 3.13 on each has a namespace of its own.")
    text, read = calls[0].args[0], source.parent(names[0])
    if isinstance(text, ast.GeneratorExp | ast.NamedExpr | ast.Starred):
        raise EditRefused("The argument of exec is not a plain expression.")
    end = source.end(calls[0]) - 1
    if source.text[source.end(text) : end].strip():
        raise EditRefused("The argument of exec is followed by something else.")
    return [
        TextEdit(start=source.end(text), end=source.end(text), text=f", globals(), {free[0]} := locals()"),
        TextEdit(start=source.start(read), end=source.end(read), text=free[0]),
    ]


def _nodes_around(source: PythonSource, node: ast.AST, function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes around ``node`` inside of the function."""
    while (node := source.parent(node)) not in (function, None):
        yield node


def _calls_of_exec(source: PythonSource) -> list[ast.Call]:
    parents = [source.parent(name) for name in source.reads.get("exec", ())]
    return [node for node in parents if isinstance(node, ast.Call) and not node.keywords and len(node.args) == 1]
