"""Read statements: imports, control flow, and statements that end a block."""

import ast
from typing import Any

from pytest_py312.analysis.scanner.evaluation.annotations import ABSTRACT_TYPE_MODULES
from pytest_py312.analysis.scanner.evaluation.conditions import NEVER, condition_of, negated
from pytest_py312.analysis.scanner.evaluation.environment_tests import compares_text
from pytest_py312.analysis.scanner.evaluation.exception_handlers import caught_exceptions
from pytest_py312.analysis.scanner.evaluation.names import join_name, last_name, resolve_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import (
    ENDS,
    HANDLERS,
    UNSURE,
    ScanState,
    read_block,
    read_branches,
    visit,
)
from pytest_py312.analysis.scanner.evaluation.values import FOREIGN, STDLIB, UNKNOWN, Value, is_unknown
from pytest_py312.analysis.scanner.facts.facts import Condition, ModuleImport, ReferenceKind
from pytest_py312.analysis.scanner.facts.stdlib_names import IMPORTABLE_SUBMODULES
from pytest_py312.analysis.scanner.operations import bind_target, iteration_item
from pytest_py312.analysis.scanner.rules import attributes, classes, operators

EXIT_FUNCTIONS = frozenset({"sys.exit", "os._exit", "os.abort", "builtins.exit", "builtins.quit"})
SKIP_FUNCTIONS = frozenset({"skip", "fail", "exit", "skipTest", "importorskip"})


# ---- imports


def read_import(scan: ScanState, node: ast.Import) -> None:
    for alias in node.names:
        position = _alias_position(scan, alias)
        _add_import(scan, alias.name, "", 0, position)
        if not scan.is_stdlib_module(alias.name):
            first, dot, _ = alias.name.partition(".")
            bound = "" if alias.asname or not dot else first
            scan.bind(alias.asname or first, Value(FOREIGN, alias.name, bound, scan.guard))
            continue
        scan.refer_at(position, Value(STDLIB, alias.name, "", 0), ReferenceKind.IMPORT)
        scan.add_submodule(alias.name)
        bound = alias.name if alias.asname else alias.name.partition(".")[0]
        scan.bind(alias.asname or bound, Value(STDLIB, bound, "", scan.guard))


def read_import_from(scan: ScanState, node: ast.ImportFrom) -> None:
    module = node.module or ""
    if module == "__future__":
        scan.future_annotations = scan.future_annotations or any(alias.name == "annotations" for alias in node.names)
    is_stdlib = node.level == 0 and scan.is_stdlib_module(module)
    for number, alias in enumerate(node.names):
        position = _alias_position(scan, alias)
        _add_import(scan, module, alias.name, node.level, position)
        if not is_stdlib:
            _bind_foreign(scan, node, alias)
            continue
        if not number:
            scan.refer_at(_module_position(scan, node), Value(STDLIB, module), ReferenceKind.IMPORT)
        if alias.name == "*":
            scan.refer_at(position, Value(STDLIB, module), ReferenceKind.STAR_IMPORT)
            scan.star_imports.append(module)
            continue
        inner = f"{module}.{alias.name}"
        is_module = inner in IMPORTABLE_SUBMODULES or inner in scan.submodules
        value = Value(STDLIB, inner, "", scan.guard) if is_module else Value(STDLIB, module, alias.name)
        scan.refer_at(position, Value(STDLIB, module, alias.name), ReferenceKind.FROM_IMPORT)
        scan.bind(alias.asname or alias.name, Value(STDLIB, value.module, value.path, scan.guard))


def _bind_foreign(scan: ScanState, node: ast.ImportFrom, alias: ast.alias) -> None:
    if alias.name == "*":
        scan.foreign_star_imports.append("." * node.level + (node.module or ""))
        return
    name = join_name("." * node.level + (node.module or ""), alias.name)
    scan.bind(alias.asname or alias.name, Value(FOREIGN, name, "", scan.guard))


def _add_import(scan: ScanState, module: str, name: str, level: int, position: tuple[int, int, int]) -> None:
    scope = "type checking" if scan.type_checking else "function" if scan.function is not None else "module"
    scan.imports.append(ModuleImport(module, name, level, *position, scan.guard, scope))


def _alias_position(scan: ScanState, alias: ast.alias) -> tuple[int, int, int]:
    if scan.fixed_position is not None:
        return scan.fixed_position
    return alias.lineno, alias.col_offset + 1, (alias.end_col_offset or 0) + 1


def _module_position(scan: ScanState, node: ast.ImportFrom) -> tuple[int, int, int]:
    if scan.fixed_position is not None:
        return scan.fixed_position
    column = node.col_offset + len("from ") + 1
    return node.lineno, column, column + len(node.module or "")


# ---- what decides


def read_if(scan: ScanState, node: ast.If) -> Condition | None:
    operators.check_truth(scan, node.test, visit(scan, node.test))
    condition = condition_of(scan, node.test)
    outer_guard, outer_type_checking = scan.guard, scan.type_checking
    narrowed = _isinstance_narrowing(scan, node.test)

    scan.undecided_tests += condition is UNSURE

    def body() -> bool:
        scan.guard = scan.nested_guard(condition)
        scan.type_checking = outer_type_checking or condition is NEVER
        for name, (narrowed_value, _) in narrowed.items():
            scan.scope[name] = narrowed_value
        ended = read_block(scan, node.body)
        scan.guard, scan.type_checking = outer_guard, outer_type_checking
        for name, (narrowed_value, previous) in narrowed.items():
            if scan.scope.get(name) is narrowed_value:
                scan.scope[name] = previous
        return ended

    def orelse() -> bool:
        scan.guard = scan.nested_guard(negated(condition))
        ended = read_block(scan, node.orelse)
        scan.guard = outer_guard
        return ended

    body_ends, orelse_ends = read_branches(scan, body, orelse)
    scan.undecided_tests -= condition is UNSURE
    if (body_ends or orelse_ends) and condition is not UNSURE and scan.fixed_position is None:
        last, refused = (node.body[-1], condition) if body_ends else (node.orelse[-1], negated(condition))
        compares_as_text = isinstance(node.test, ast.Compare) and compares_text(scan, node.test)
        operators.check_version_refusal(scan, last, refused, sure=compares_as_text or _runs_with_module(scan))
    if body_ends and orelse_ends:
        return ENDS
    if condition is UNSURE:
        return None
    return negated(condition) if body_ends else condition if orelse_ends else None


def _runs_with_module(scan: ScanState) -> bool:
    """Return whether the current statement runs as soon as the module does: on its level, or in a function that it
    names there, such as the ``main()`` of a program.
    """
    return scan.function is None or scan.outermost_function in scan.module_level_reads


def _isinstance_narrowing(scan: ScanState, test: ast.expr) -> dict[str, tuple[Value, Value]]:
    """Return the values that ``isinstance`` tests give to names in the body, with the values before.

    Only names of unknown value are narrowed: ``if isinstance(x, Thread):``.
    """
    if test.__class__ not in (ast.Call, ast.BoolOp):
        return {}
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    narrowed: dict[str, tuple[Value, Value]] = {}
    for part in parts:
        if not isinstance(part, ast.Call) or last_name(part.func) != "isinstance" or len(part.args) != 2:
            continue
        class_value, name = resolve_name(scan, part.args[1]), last_name(part.args[0])
        previous = scan.scope.get(name) if isinstance(part.args[0], ast.Name) else None
        can_narrow = previous is not None and (is_unknown(previous) or previous.module == "builtins")
        if (
            previous is None
            or not can_narrow
            or class_value.kind is not STDLIB
            or not class_value.path
            or "()" in class_value.path
        ):
            continue
        if class_value.module not in ABSTRACT_TYPE_MODULES:
            narrowed[name] = Value(STDLIB, class_value.module, f"{class_value.path}()", class_value.guard), previous
    return narrowed


def read_while(scan: ScanState, node: ast.While) -> None:
    operators.check_truth(scan, node.test, visit(scan, node.test))
    outer_guard = scan.guard

    def body() -> bool:
        scan.guard = scan.nested_guard(condition_of(scan, node.test))
        scan.undecided_tests += 1
        read_block(scan, node.body)
        scan.undecided_tests -= 1
        scan.guard = outer_guard
        return False

    read_branches(scan, body, lambda: False)
    read_block(scan, node.orelse)


def read_for(scan: ScanState, node: ast.For | ast.AsyncFor) -> None:
    if node.iter.__class__ in (ast.Tuple, ast.List) and isinstance(node.body[0], ast.Try):
        scan.lambda_caught = caught_exceptions(scan, node.body[0])
    source = visit(scan, node.iter)
    scan.lambda_caught = ()

    def body() -> bool:
        bind_target(scan, node.target, iteration_item(source))
        scan.undecided_tests += 1
        read_block(scan, node.body)
        scan.undecided_tests -= 1
        return False

    read_branches(scan, body, lambda: False)
    read_block(scan, node.orelse)


def read_match(scan: ScanState, node: ast.Match) -> None:
    visit(scan, node.subject)

    def read_case(case: ast.match_case) -> bool:
        for inner in ast.walk(case.pattern):
            if isinstance(inner, ast.MatchAs | ast.MatchStar) and inner.name:
                scan.bind(inner.name, UNKNOWN)
            elif isinstance(inner, ast.MatchValue):
                visit(scan, inner.value)
            elif isinstance(inner, ast.MatchClass):
                visit(scan, inner.cls)
        if case.guard is not None:
            visit(scan, case.guard)
        return read_block(scan, case.body)

    read_branches(scan, *[lambda case=case: read_case(case) for case in node.cases], lambda: False)


def read_assert(scan: ScanState, node: ast.Assert) -> Condition | None:
    attributes.note_assert(scan, node)
    operators.check_truth(scan, node.test, visit(scan, node.test))
    if node.msg is not None:
        visit(scan, node.msg)
    condition = condition_of(scan, node.test)
    if condition is UNSURE:
        return None
    operators.check_version_refusal(scan, node, negated(condition), sure=_runs_with_module(scan))
    return condition


def read_expression(scan: ScanState, node: ast.Expr) -> Condition | None:
    value = node.value
    if value.__class__ is ast.Constant:  # a docstring
        return None
    HANDLERS[value.__class__](scan, value)
    scan.mark_unevaluated(value)
    if value.__class__ is not ast.Call:
        return None
    method_name = last_name(value.func)
    if method_name:
        name = stdlib_name(resolve_name(scan, value.func))
        if name in EXIT_FUNCTIONS or (
            not name and method_name in ("exit", "quit") and isinstance(value.func, ast.Name)
        ):
            return ENDS
        if method_name in SKIP_FUNCTIONS and isinstance(value.func, ast.Attribute) and not name:
            return _skip_condition(scan, method_name, value)
    return None


def _skip_condition(scan: ScanState, name: str, node: ast.Call) -> Condition | None:
    if name != "importorskip":
        return ENDS
    module = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    return ("has", module, "") if isinstance(module, str) and scan.is_stdlib_module(module) else None


def read_return(scan: ScanState, node: ast.Return) -> Condition:
    if node.value is not None:
        HANDLERS[node.value.__class__](scan, node.value)
    classes.check_test_return(scan, node)
    return ENDS


def read_raise(scan: ScanState, node: ast.Raise) -> Condition:
    for part in (node.exc, node.cause):
        if part is not None:
            visit(scan, part)
    return ENDS


def read_jump(_scan: ScanState, _node: ast.AST) -> Condition:
    return ENDS


def read_nothing(_scan: ScanState, _node: ast.AST) -> None:
    return None


def read_global(scan: ScanState, node: ast.Global) -> None:
    if scan.scope is not scan.module_scope:
        scan.declared_global = scan.declared_global | frozenset(node.names)


def read_type_alias(scan: ScanState, node: Any) -> None:
    bind_target(scan, node.name, UNKNOWN)


HANDLERS.update(
    {
        ast.Assert: read_assert, ast.AsyncFor: read_for, ast.Break: read_jump, ast.Continue: read_jump,
        ast.Expr: read_expression, ast.For: read_for, ast.Global: read_global, ast.If: read_if, ast.Import: read_import,
        ast.ImportFrom: read_import_from, ast.Match: read_match, ast.Nonlocal: read_nothing,
        ast.Pass: read_nothing, ast.Raise: read_raise, ast.Return: read_return, ast.While: read_while,
    }
)  # fmt: skip
if hasattr(ast, "TypeAlias"):
    HANDLERS[ast.TypeAlias] = read_type_alias
