"""Read ``try`` statements: which exceptions are caught, and when handlers run.

``try: import imp`` / ``except ImportError: pass`` guards the import, but not a use of ``imp.reload`` further down: such
uses of possibly unbound names are referred to as well.
"""

import ast
import builtins
from collections.abc import Iterator
from typing import Any

from pytest_py312.analysis.scanner.evaluation.names import last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    ENDS,
    HANDLERS,
    UNSURE,
    ScanState,
    read_block,
    read_branches,
    visit,
)
from pytest_py312.analysis.scanner.evaluation.skip_marks import SKIP_EXCEPTIONS
from pytest_py312.analysis.scanner.evaluation.values import (
    CLASS,
    CONDITION,
    EXCEPTIONS,
    NONE,
    OBJECT,
    STDLIB,
    UNION,
    UNKNOWN,
    Value,
    alternatives,
)
from pytest_py312.analysis.scanner.facts.facts import CATCH_ALL, IMPORT_ERRORS, Condition, ReferenceKind, is_caught

NAME_ERRORS = frozenset({"AttributeError", "NameError"})
RAISES_ASSERTIONS = frozenset({"raises", "assertRaises", "assertRaisesRegex"})
"""Assertions that expect the exceptions named in their arguments."""
_BUILTIN_EXCEPTIONS = frozenset(name for name, kind in vars(builtins).items() if hasattr(kind, "__traceback__"))
_BUILTINS = frozenset(dir(builtins)) | {"aiter", "anext", "BaseExceptionGroup", "ExceptionGroup", "EncodingWarning"}
"""Also those that newer interpreters have than the one that scans."""
SIMPLE_STATEMENTS = (ast.Import, ast.ImportFrom, ast.Pass)


def read_try(scan: ScanState, node: Any) -> Condition | None:
    """Read ``try`` and ``try ... except*``."""
    outer_guard = scan.guard
    caught = caught_exceptions(scan, node)
    references, imports = len(scan.references), len(scan.imports)
    failures: dict[str, Condition] = {}
    body_calls: dict[str, Condition] = {}

    def read_body() -> bool:
        scan.guard = scan.nested_guard((), caught)
        inner = scan.guard
        ended = read_block(scan, node.body)
        failures["imports"], failures["names"], failures["all"] = _failure_conditions(scan, inner, references, imports)
        if "TypeError" in caught:
            body_calls.update(_stdlib_calls(scan, inner, references))
        scan.guard = outer_guard
        if ended or not node.orelse:
            return ended
        missing = failures["all"]
        scan.guard = scan.nested_guard(("not", missing) if missing else ())
        ended = read_block(scan, node.orelse)
        scan.guard = outer_guard
        return ended

    def read_handler(handler: ast.ExceptHandler) -> bool:
        raised = visit(scan, handler.type) if handler.type is not None else UNKNOWN
        scan.guard = scan.nested_guard(
            _other_call_refused(scan, handler, body_calls) or _handler_condition(scan, node, handler, failures)
        )
        if handler.name:
            scan.bind(handler.name, _caught_value(scan, handler, raised))
        ended = read_block(scan, handler.body)
        scan.guard = outer_guard
        return ended

    false_before = {name for name in scan.false_flags if scan.lookup(name) is not None}
    ends = read_branches(scan, read_body, *[lambda handler=handler: read_handler(handler) for handler in node.handlers])
    continuing = [handler for handler, ended in zip(node.handlers, ends[1:], strict=False) if not ended]
    reasons = [_handler_condition(scan, node, handler, failures) for handler in continuing]
    if reasons and UNSURE not in reasons:
        for name, is_on in _success_flags(node, continuing, false_before):
            failed: Condition = ("or", *reasons)
            scan.bind(name, Value(CONDITION, data=("not", failed) if is_on else failed))
    if read_block(scan, node.finalbody) or all(ends):
        return ENDS
    if ends[0]:
        return None if UNSURE in reasons or not reasons else ("or", *reasons)
    return _condition_after(node, failures) if all(ends[1:]) and failures["all"] else None


def _caught_value(scan: ScanState, handler: ast.ExceptHandler, raised: Value) -> Value:
    """Return the exception that ``except raised as name`` binds."""
    if raised.kind is CLASS:
        return Value(OBJECT, data=raised.data)
    if raised.kind is STDLIB and raised.path and not raised.path.endswith(")"):
        return Value(STDLIB, raised.module, f"{raised.path}()", raised.guard)
    return _builtin_exception(scan, handler.type)


def _condition_after(node: Any, failures: dict[str, Condition]) -> Condition | None:
    """Return when the statements after a ``try`` run if all its handlers leave: where the body succeeded.

    A handler that raises an error is not a guard.
    """
    if any(_always_raises(handler.body) for handler in node.handlers):
        return None
    return ("not", failures["all"])


def _success_flags(node: Any, handlers: list[ast.ExceptHandler], false_before: set[str]) -> Iterator[tuple[str, bool]]:
    """Yield flags that record whether the body succeeded, with their value in that case.

    Example: ``HAVE_IMP = True`` in the body, and ``False`` in the handlers that continue, or before the ``try``.
    """
    of_handlers = [_boolean_assignments(handler.body) for handler in handlers]
    for name, is_on in _boolean_assignments([*node.body, *node.orelse]).items():
        otherwise = [assignments.get(name, False if name in false_before else None) for assignments in of_handlers]
        if all(value is (not is_on) for value in otherwise):
            yield name, is_on


def _boolean_assignments(body: list[ast.stmt]) -> dict[str, bool]:
    """Return the names that a block sets to ``True`` or ``False``."""
    assignments: dict[str, bool] = {}
    for statement in body:
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, bool)
        ):
            assignments.update(
                (target.id, statement.value.value) for target in statement.targets if isinstance(target, ast.Name)
            )
    return assignments


def _builtin_exception(scan: ScanState, node: ast.expr | None) -> Value:
    """Return an instance of a builtin exception."""
    if isinstance(node, ast.Tuple):
        are_builtin = [_builtin_exception(scan, item).kind is STDLIB for item in node.elts]
        return Value(STDLIB, "builtins", "Exception()") if are_builtin and all(are_builtin) else UNKNOWN
    if not isinstance(node, ast.Name) or node.id not in _BUILTIN_EXCEPTIONS or scan.lookup(node.id) is not None:
        return UNKNOWN
    return Value(STDLIB, "builtins", f"{node.id}()")


def caught_exceptions(scan: ScanState, node: Any) -> tuple[str, ...]:
    names: set[str] = set()
    for handler in node.handlers:
        if not _always_raises(handler.body):
            names |= exception_names(scan, handler.type)
    return tuple(sorted(names))


def suppressed_exceptions(scan: ScanState, node: Any) -> tuple[str, ...]:
    """Return the exceptions that a ``contextlib.contextmanager`` generator suppresses in the body of a ``with``."""
    names: set[str] = set()
    for inner in node.body:
        parts = inner.body if isinstance(inner, ast.Try) else ()
        if any(isinstance(inner_node, ast.Yield) for part in parts for inner_node in ast.walk(part)):
            names.update(caught_exceptions(scan, inner))
    return tuple(sorted(names))


def exception_names(scan: ScanState, node: ast.expr | None) -> set[str]:
    """Return the names of the exceptions that a handler catches; an empty name for a bare ``except``."""
    if node is None:
        return {""}
    if isinstance(node, ast.Tuple):
        return set().union(*[exception_names(scan, item) for item in node.elts]) if node.elts else set()
    if isinstance(node, ast.Name):
        value = scan.lookup(node.id)
        return set(value.data) if value is not None and value.kind is EXCEPTIONS else {node.id}
    return {node.attr} if isinstance(node, ast.Attribute) else set()


def _always_raises(body: list[ast.stmt]) -> bool:
    """Return whether a handler always raises or exits with a failure. Such a handler is not a guard."""
    for statement in body:
        if isinstance(statement, ast.Raise):
            return not _is_harmless_exit(statement.exc)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            function = statement.value.func
            if isinstance(function, ast.Attribute) and function.attr in ("exit", "_exit", "abort"):
                return not _exits_successfully(statement.value)
            if isinstance(function, ast.Name) and function.id in ("exit", "quit"):
                return not _exits_successfully(statement.value)
    return False


def _is_harmless_exit(raised: ast.expr | None) -> bool:
    """Return whether raising this is harmless: it skips a test or exits successfully."""
    name = last_name(raised.func if isinstance(raised, ast.Call) else raised)
    return name in SKIP_EXCEPTIONS or (
        name == "SystemExit" and (not isinstance(raised, ast.Call) or _exits_successfully(raised))
    )


def _exits_successfully(call: ast.Call) -> bool:
    """Return whether a call is ``sys.exit(0)``. Without an argument it is rarely meant as success after a failed
    import.
    """
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0


def _failure_conditions(
    scan: ScanState, guard: int, references: int, imports: int
) -> tuple[Condition, Condition, Condition]:
    """Return the conditions under which the body fails: by its imports, by its other names, by either.

    A condition is empty if the body refers to no such name.
    """
    inside = [reference for reference in scan.references[references:] if reference.guard == guard]
    imported = {
        (reference.module, reference.path)
        for reference in inside
        if reference.kind in (ReferenceKind.IMPORT, ReferenceKind.FROM_IMPORT, ReferenceKind.STAR_IMPORT)
        or (reference.kind == ReferenceKind.DYNAMIC and not reference.path)
    }
    attributes = {
        (reference.module, reference.path)
        for reference in inside
        if reference.kind in (ReferenceKind.NAME, ReferenceKind.MENTION, ReferenceKind.METHOD, ReferenceKind.DYNAMIC)
        and reference.path
    }
    foreign = {
        "." * module_import.level + module_import.module
        for module_import in scan.imports[imports:]
        if module_import.guard == guard and (module_import.level or not scan.is_stdlib_module(module_import.module))
    }
    return (
        _missing_condition(imported, foreign),
        _missing_condition(attributes, set()),
        _missing_condition(imported | attributes, foreign),
    )


def _builtin_names(scan: ScanState, body: list[ast.stmt]) -> list[str]:
    """Return the builtin names of a body at module level that only reads such: ``callable``, or ``kind = unicode``.

    It is empty if a statement does anything else, or if something may bind one of the names.
    """
    if scan.scope is not scan.module_scope or scan.star_imports or scan.foreign_star_imports:
        return []
    values = [statement.value for statement in body if isinstance(statement, ast.Expr | ast.Assign)]
    names = [value.id for value in values if isinstance(value, ast.Name)]
    is_simple = len(names) == len(body)
    return names if is_simple and all(name in _BUILTINS and scan.lookup(name) is None for name in names) else []


def _stdlib_calls(scan: ScanState, guard: int, references: int) -> dict[str, Condition]:
    """Return the stdlib functions that the body calls, by name, with the condition that the call is accepted."""
    return {
        f"{module}.{path}": ("takes", module, path, call.positional, call.keywords)
        for module, path, call in (
            (reference.module, reference.path, reference.call)
            for reference in scan.references[references:]
            if reference.guard == guard
        )
        if call is not None and not call.starred and not call.double_starred
    }


def _other_call_refused(scan: ScanState, handler: ast.ExceptHandler, calls: dict[str, Condition]) -> Condition:
    """Return when a handler for ``TypeError`` runs that calls the same function in another way: if the first call is
    refused.
    """
    if not calls or "TypeError" not in exception_names(scan, handler.type):
        return ()
    for node in ast.walk(ast.Module(handler.body, [])):
        if not isinstance(node, ast.Call):
            continue
        names = tuple([keyword.arg for keyword in node.keywords])
        for alternative in alternatives(resolve_name(scan, node.func)):  # the other may be a backport
            body_call = calls.get(stdlib_name(alternative))
            if body_call is not None and (len(node.args), names) != body_call[3:]:
                return ("not", body_call)
    return ()


def _missing_condition(queries: set[tuple[str, str]], foreign: set[str]) -> Condition:
    return ("missing", tuple(sorted(queries)), tuple(sorted(foreign))) if queries or foreign else ()


def _handler_condition(
    scan: ScanState, node: Any, handler: ast.ExceptHandler, failures: dict[str, Condition]
) -> Condition:
    """Return when a handler runs. A handler for import errors runs only if an import of the body fails."""
    names = exception_names(scan, handler.type)
    if names & CATCH_ALL:
        is_simple = all(
            isinstance(statement, SIMPLE_STATEMENTS) or _is_plain_assignment(statement) for statement in node.body
        )
        return (failures["all"] if is_simple else ()) or UNSURE
    if names == {"NameError"} and (read := _builtin_names(scan, node.body)):
        return _missing_condition({("builtins", name) for name in read}, set())
    if names <= IMPORT_ERRORS:
        return failures["imports"] or UNSURE
    if names <= NAME_ERRORS:
        return failures["names"] or UNSURE
    if names <= IMPORT_ERRORS | NAME_ERRORS:
        return failures["all"] or UNSURE
    return UNSURE


def _is_plain_assignment(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute | ast.Name | ast.Constant)


HANDLERS[ast.Try] = read_try
HANDLERS[ast.TryStar] = read_try


def note_module_level_use(scan: ScanState, node: ast.Name, value: Value, *, only_read: bool = False) -> None:
    """Record a module-level use of a name outside of any undecided test.

    ``only_read``: the name is only read, which is harmless if it is ``None``.
    """
    scan.module_level_reads.add(node.id)
    if scan.undecided_tests or scan.fixed_position is not None or value.kind not in (STDLIB, UNION):
        return
    if value.kind is UNION:
        if only_read:
            return
        imported = [alternative for alternative in value.data if alternative.kind is not NONE]
        if len(imported) != 1 or imported[0].kind is not STDLIB:
            return
        value = imported[0]
    if value.guard and value.path[-1:] != ")" and _import_may_have_failed(scan, value.guard):
        scan.refer(node, value, ReferenceKind.MAYBE_UNBOUND, name=node.id)


def _import_may_have_failed(scan: ScanState, binding_guard: int) -> bool:
    """Return whether the guard of an import catches its failure and does not cover the current position."""
    guard = scan.guard
    while guard > 0:
        if guard == binding_guard:
            return False
        guard = scan.guards[guard].parent
    return is_caught(scan.guards, binding_guard, IMPORT_ERRORS)
