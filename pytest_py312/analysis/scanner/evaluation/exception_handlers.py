"""``try`` statements: which exceptions of their body do no harm, and when their handlers run.

Names that an import brings which may fail without a word, where the file uses them all the same as it is run.

``try: import imp`` / ``except ImportError: pass`` guards the import, and not ``imp.reload`` further down.
"""

import ast
import builtins
from collections.abc import Iterator
from typing import Any

from pytest_py312.analysis.scanner.evaluation.names import dotted, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import ENDS, HANDLERS, UNSURE, Scan, block, branches, visit
from pytest_py312.analysis.scanner.evaluation.skip_marks import SKIP_EXCEPTIONS
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CONDITION,
    EXCEPTIONS,
    MANY,
    NONE,
    OBJECT,
    STD,
    UNKNOWN,
    Value,
)
from pytest_py312.analysis.scanner.facts.facts import Condition, Kind

OF_IMPORTS = frozenset({"ImportError", "ModuleNotFoundError"})
OF_NAMES = frozenset({"AttributeError", "NameError"})
OF_ALL = frozenset({"Exception", "BaseException", ""})
RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
"""What these are told to expect does no harm."""
_EXCEPTIONS = frozenset(name for name, kind in vars(builtins).items() if hasattr(kind, "__traceback__"))
SIMPLE = (ast.Import, ast.ImportFrom, ast.Pass)


def read_try(scan: Scan, node: Any) -> Condition | None:
    """``try`` and ``try ... except*``."""
    before = scan.guard
    caught = caught_by(scan, node)
    references, imports = len(scan.references), len(scan.imports)
    found: dict[str, Condition] = {}
    calls: dict[str, Condition] = {}

    def body() -> bool:
        scan.guard = scan.guarded((), caught)
        inner = scan.guard
        ended = block(scan, node.body)
        found["imports"], found["names"], found["all"] = _missing(scan, inner, references, imports)
        if "TypeError" in caught:
            calls.update(_calls(scan, inner, references))
        scan.guard = before
        if ended or not node.orelse:
            return ended
        missing = found["all"]
        scan.guard = scan.guarded(("not", missing) if missing else ())
        ended = block(scan, node.orelse)
        scan.guard = before
        return ended

    def handler(one: ast.ExceptHandler) -> bool:
        raised = visit(scan, one.type) if one.type is not None else UNKNOWN
        scan.guard = scan.guarded(_refused_before(scan, one, calls) or _runs_if(scan, node, one, found))
        if one.name:
            known = raised.kind is STD and raised.path and not raised.path.endswith(")")
            made = Value(STD, raised.module, f"{raised.path}()", raised.guard) if known else _builtin(scan, one.type)
            scan.bind(one.name, Value(OBJECT, data=raised.data) if raised.kind is CLASS else made)
        ended = block(scan, one.body)
        scan.guard = before
        return ended

    before_it = {name for name in scan.switched_off if scan.get(name) is not None}
    ends = branches(scan, body, *[lambda one=one: handler(one) for one in node.handlers])
    left = [one for one, ended in zip(node.handlers, ends[1:], strict=False) if not ended]
    reasons = [_runs_if(scan, node, one, found) for one in left]
    if reasons and UNSURE not in reasons:
        for name, is_on in _flags(node, left, before_it):
            failed: Condition = ("or", *reasons)
            scan.bind(name, Value(CONDITION, data=("not", failed) if is_on else failed))
    if block(scan, node.finalbody):
        return ENDS
    if all(ends):
        return ENDS
    if ends[0]:
        return None if UNSURE in reasons or not reasons else ("or", *reasons)
    return _after(node, found) if all(ends[1:]) and found["all"] else None


def _after(node: Any, found: dict[str, Condition]) -> Condition | None:
    """All handlers leave: what follows runs only where the body worked. Handlers that raise are no guard, though."""
    if any(_raises(one.body) for one in node.handlers):
        return None
    return ("not", found["all"])


def _flags(node: Any, handlers: list[ast.ExceptHandler], off_before: set[str]) -> Iterator[tuple[str, bool]]:
    """Names that say whether the body has worked, and what they are then: ``HAVE_IMP = True``, and ``False`` in the
    handlers that go on (or before it all).
    """
    of_handlers = [_switches(one.body) for one in handlers]
    for name, is_on in _switches([*node.body, *node.orelse]).items():
        otherwise = [found.get(name, False if name in off_before else None) for found in of_handlers]
        if all(one is (not is_on) for one in otherwise):
            yield name, is_on


def _switches(body: list[ast.stmt]) -> dict[str, bool]:
    """Names that a block sets to ``True`` or ``False``."""
    found: dict[str, bool] = {}
    for one in body:
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, bool):
            found.update((target.id, one.value.value) for target in one.targets if isinstance(target, ast.Name))
    return found


def _builtin(scan: Scan, node: ast.expr | None) -> Value:
    """An instance of a builtin exception."""
    if isinstance(node, ast.Tuple):
        known = [_builtin(scan, item).kind is STD for item in node.elts]
        return Value(STD, "builtins", "Exception()") if known and all(known) else UNKNOWN
    if not isinstance(node, ast.Name) or node.id not in _EXCEPTIONS or scan.get(node.id) is not None:
        return UNKNOWN
    return Value(STD, "builtins", f"{node.id}()")


def caught_by(scan: Scan, node: Any) -> tuple[str, ...]:
    names: set[str] = set()
    for handler in node.handlers:
        if not _raises(handler.body):
            names |= exceptions(scan, handler.type)
    return tuple(sorted(names))


def suppressed_by(scan: Scan, node: Any) -> tuple[str, ...]:
    """What the body of a ``with`` may raise without harm, by the generator behind ``contextlib.contextmanager``."""
    names: set[str] = set()
    for inner in node.body:
        parts = inner.body if isinstance(inner, ast.Try) else ()
        if any(isinstance(one, ast.Yield) for part in parts for one in ast.walk(part)):
            names.update(caught_by(scan, inner))
    return tuple(sorted(names))


def exceptions(scan: Scan, node: ast.expr | None) -> set[str]:
    """The names a handler is for; an empty one for a bare ``except``."""
    if node is None:
        return {""}
    if isinstance(node, ast.Tuple):
        return set().union(*[exceptions(scan, item) for item in node.elts]) if node.elts else set()
    if isinstance(node, ast.Name):
        value = scan.get(node.id)
        return set(value.data) if value is not None and value.kind is EXCEPTIONS else {node.id}
    return {node.attr} if isinstance(node, ast.Attribute) else set()


def _raises(body: list[ast.stmt]) -> bool:
    """Whether a handler always ends by raising (or by leaving the program): then it is no guard."""
    for statement in body:
        if isinstance(statement, ast.Raise):
            return not _is_peaceful(statement.exc)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            function = statement.value.func
            if isinstance(function, ast.Attribute) and function.attr in ("exit", "_exit", "abort"):
                return not _says_success(statement.value)
            if isinstance(function, ast.Name) and function.id in ("exit", "quit"):
                return not _says_success(statement.value)
    return False


def _is_peaceful(raised: ast.expr | None) -> bool:
    """Whether to raise this tells of no trouble: a test that is skipped, a program that ends well."""
    name = last_name(raised.func if isinstance(raised, ast.Call) else raised)
    return name in SKIP_EXCEPTIONS or (
        name == "SystemExit" and (not isinstance(raised, ast.Call) or _says_success(raised))
    )


def _says_success(call: ast.Call) -> bool:
    """``sys.exit(0)``. Without an argument few mean it, after an import has failed."""
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def _missing(scan: Scan, guard: int, references: int, imports: int) -> tuple[Condition, Condition, Condition]:
    """What makes the body fail: by its imports, by its other names, by either. Empty where it names nothing."""
    inside = [one for one in scan.references[references:] if one.guard == guard]
    imported = {(one.module, one.path) for one in inside if one.kind in (Kind.IMPORT, Kind.FROM, Kind.STAR)}
    imported |= {(one.module, one.path) for one in inside if one.kind == Kind.DYNAMIC and not one.path}
    named = {
        (one.module, one.path)
        for one in inside
        if one.kind in (Kind.NAME, Kind.PART, Kind.METHOD, Kind.DYNAMIC) and one.path
    }
    foreign = {
        "." * one.level + one.module
        for one in scan.imports[imports:]
        if one.guard == guard and (one.level or not scan.is_standard(one.module))
    }
    return _condition(imported, foreign), _condition(named, set()), _condition(imported | named, foreign)


def _calls(scan: Scan, guard: int, references: int) -> dict[str, Condition]:
    """The standard functions that the body calls, by their names, with how it does."""
    found: dict[str, Condition] = {}
    for one in scan.references[references:]:
        if one.guard == guard and one.call is not None and not one.call.starred and not one.call.double_starred:
            name = f"{one.module}.{one.path}"
            found[name] = ("takes", one.module, one.path, one.call.positional, one.call.keywords)
    return found


def _refused_before(scan: Scan, handler: ast.ExceptHandler, calls: dict[str, Condition]) -> Condition:
    """When a handler for ``TypeError`` runs that calls what the body calls, in another way: where that is refused."""
    if not calls or "TypeError" not in exceptions(scan, handler.type):
        return ()
    for node in ast.walk(ast.Module(handler.body, [])):
        tried = calls.get(dotted(named(scan, node.func))) if isinstance(node, ast.Call) else None
        if tried is not None and isinstance(node, ast.Call):
            names = tuple([keyword.arg for keyword in node.keywords])
            if (len(node.args), names) != tried[3:]:
                return ("not", tried)
    return ()


def _condition(questions: set[tuple[str, str]], foreign: set[str]) -> Condition:
    return ("missing", tuple(sorted(questions)), tuple(sorted(foreign))) if questions or foreign else ()


def _runs_if(scan: Scan, node: Any, handler: ast.ExceptHandler, found: dict[str, Condition]) -> Condition:
    """When a handler runs: one for imports only where an import of the body fails."""
    names = exceptions(scan, handler.type)
    if names & OF_ALL:
        simple = all(isinstance(one, SIMPLE) or _is_plain_assignment(one) for one in node.body)
        return (found["all"] if simple else ()) or UNSURE
    if names <= OF_IMPORTS:
        return found["imports"] or UNSURE
    if names <= OF_NAMES:
        return found["names"] or UNSURE
    if names <= OF_IMPORTS | OF_NAMES:
        return found["all"] or UNSURE
    return UNSURE


def _is_plain_assignment(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute | ast.Name | ast.Constant)


HANDLERS[ast.Try] = read_try
HANDLERS[ast.TryStar] = read_try


def used(scan: Scan, node: ast.Name, value: Value, *, as_name: bool = False) -> None:
    """Notes a use of a name on the level of the module, where nothing that is tested stands round it.

    ``as_name``: it is read and no more, which ``None`` in its place does not harm.
    """
    scan.read_early.add(node.id)
    if scan.doubts or scan.shift is not None or value.kind not in (STD, MANY):
        return
    if value.kind is MANY:
        if as_name:
            return
        known = [one for one in value.data if one.kind is not NONE]
        if len(known) != 1 or known[0].kind is not STD:
            return
        value = known[0]
    if value.guard and value.path[-1:] != ")" and _may_have_failed(scan, value.guard):
        scan.refer(node, value, Kind.BARE, name=node.id)


def _may_have_failed(scan: Scan, bound: int) -> bool:
    """Whether the guard round an import catches its failure, and does not stand round what is read now as well."""
    here = scan.guard
    while here > 0:
        if here == bound:
            return False
        here = scan.guards[here].parent
    while bound > 0:
        if not (OF_IMPORTS | OF_ALL).isdisjoint(scan.guards[bound].caught):
            return True
        bound = scan.guards[bound].parent
    return False
