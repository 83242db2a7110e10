"""Statements: what they import and bind, and which of them keep others from being run."""

import ast
from typing import Any

from pytest_py312.analysis.scanner.evaluation import keyword_arguments
from pytest_py312.analysis.scanner.evaluation.annotations import NO_INSTANCES, annotated, is_evaluated, more_telling
from pytest_py312.analysis.scanner.evaluation.conditions import NEVER, condition_of, inspected, negated
from pytest_py312.analysis.scanner.evaluation.environment_tests import constant_of, version_part
from pytest_py312.analysis.scanner.evaluation.exception_handlers import caught_by
from pytest_py312.analysis.scanner.evaluation.names import dotted, joined, last_name, named
from pytest_py312.analysis.scanner.evaluation.scan_state import ENDS, HANDLERS, UNSURE, Scan, block, branches, visit
from pytest_py312.analysis.scanner.evaluation.skip_marks import skip_of
from pytest_py312.analysis.scanner.evaluation.values import (
    CONDITION,
    FOREIGN,
    NONE,
    NOTHING_KNOWN,
    SKIP,
    STD,
    TEMPLATE,
    TEXT,
    UNKNOWN,
    Value,
    is_unknown,
)
from pytest_py312.analysis.scanner.evaluation.version_expressions import is_formula, is_of_version
from pytest_py312.analysis.scanner.facts.facts import Condition, Kind, ModuleImport
from pytest_py312.analysis.scanner.facts.stdlib_names import SUBMODULES
from pytest_py312.analysis.scanner.operations import bind_target, item_of
from pytest_py312.analysis.scanner.rules import classes, operators

EXITS = frozenset({"sys.exit", "os._exit", "os.abort", "builtins.exit", "builtins.quit"})
SKIPS = frozenset({"skip", "fail", "exit", "skipTest", "importorskip"})


# ---- imports


def read_import(scan: Scan, node: ast.Import) -> None:
    for alias in node.names:
        place = _alias_place(scan, alias)
        _note(scan, alias.name, "", 0, place)
        if not scan.is_standard(alias.name):
            first, dot, _ = alias.name.partition(".")
            bound = "" if alias.asname or not dot else first
            scan.bind(alias.asname or first, Value(FOREIGN, alias.name, bound, scan.guard))
            continue
        scan.refer_at(place, Value(STD, alias.name, "", 0), Kind.IMPORT)
        scan.add_submodule(alias.name)
        bound = alias.name if alias.asname else alias.name.partition(".")[0]
        scan.bind(alias.asname or bound, Value(STD, bound, "", scan.guard))


def read_import_from(scan: Scan, node: ast.ImportFrom) -> None:
    module = node.module or ""
    if module == "__future__":
        scan.future_annotations = scan.future_annotations or any(alias.name == "annotations" for alias in node.names)
    standard = node.level == 0 and scan.is_standard(module)
    for number, alias in enumerate(node.names):
        place = _alias_place(scan, alias)
        _note(scan, module, alias.name, node.level, place)
        if not standard:
            _bind_foreign(scan, node, alias)
            continue
        if not number:
            scan.refer_at(_statement_place(scan, node), Value(STD, module), Kind.IMPORT)
        if alias.name == "*":
            scan.refer_at(place, Value(STD, module), Kind.STAR)
            scan.stars.append(module)
            continue
        inner = f"{module}.{alias.name}"
        is_module = inner in SUBMODULES or inner in scan.submodules
        value = Value(STD, inner, "", scan.guard) if is_module else Value(STD, module, alias.name)
        scan.refer_at(place, Value(STD, module, alias.name), Kind.FROM)
        scan.bind(alias.asname or alias.name, Value(STD, value.module, value.path, scan.guard))


def _bind_foreign(scan: Scan, node: ast.ImportFrom, alias: ast.alias) -> None:
    if alias.name == "*":
        scan.foreign_stars.append("." * node.level + (node.module or ""))
        return
    name = joined("." * node.level + (node.module or ""), alias.name)
    scan.bind(alias.asname or alias.name, Value(FOREIGN, name, "", scan.guard))


def _note(scan: Scan, module: str, name: str, level: int, place: tuple[int, int, int]) -> None:
    where = "type checking" if scan.type_checking else "function" if scan.function is not None else "module"
    scan.imports.append(ModuleImport(module, name, level, *place, scan.guard, where))


def _alias_place(scan: Scan, alias: ast.alias) -> tuple[int, int, int]:
    if scan.shift is not None:
        return scan.shift
    return alias.lineno, alias.col_offset + 1, (alias.end_col_offset or 0) + 1


def _statement_place(scan: Scan, node: ast.ImportFrom) -> tuple[int, int, int]:
    if scan.shift is not None:
        return scan.shift
    column = node.col_offset + len("from ") + 1
    return node.lineno, column, column + len(node.module or "")


# ---- assignments


def read_assign(scan: Scan, node: ast.Assign) -> None:
    value: Value = HANDLERS[node.value.__class__](scan, node.value)
    scan.only_named(node.value)
    unread = value.kind in (NOTHING_KNOWN, TEMPLATE) or node.value.__class__ in (ast.GeneratorExp, ast.ListComp)
    if unread or value.is_instance or value.path.startswith("signature()."):
        value = _meaning(scan, node.value, value)
    for target in node.targets:
        if target.__class__ is ast.Name and target.id == "pytestmark" and scan.names is scan.module:
            scan.module_skip = scan.guarded(negated(skip_of(scan, node.value)))
        if target.__class__ is ast.Name:
            if node.value.__class__ is ast.Constant and node.value.value is False:
                scan.switched_off.add(target.id)
            elif scan.switched_off:
                scan.switched_off.discard(target.id)
        _assign(scan, target, node.value, value)


def _assign(scan: Scan, target: Any, source: ast.expr, value: Value) -> None:
    pairs = isinstance(target, ast.Tuple) and isinstance(source, ast.Tuple) and len(target.elts) == len(source.elts)
    if pairs:
        for one, part in zip(target.elts, source.elts, strict=False):  # type: ignore[attr-defined]
            bind_target(scan, one, _meaning(scan, part, named(scan, part)))
        return
    if value.kind in (STD, TEXT) and not value.guard and scan.guard:
        value = Value(value.kind, value.module, value.path, scan.guard, value.data)
    bind_target(scan, target, value)


def _meaning(scan: Scan, node: ast.expr, value: Value) -> Value:
    """A condition or a skip mark, where an expression is one. That of a constant may change at any time."""
    if isinstance(node, ast.Constant):
        return value
    if isinstance(node, ast.Call):
        skips = skip_of(scan, node)
        if skips != UNSURE:
            return Value(SKIP, data=skips)
    asked = inspected(scan, node) if isinstance(node, ast.Call | ast.Attribute) else None
    if asked is not None:
        return Value(CONDITION, data=("inspected", *asked))
    condition = condition_of(scan, node)
    if condition != UNSURE:
        return Value(CONDITION, value.module if value.kind is NOTHING_KNOWN else "", data=condition)
    part = version_part(scan, node)
    if part:
        return Value(CONDITION, data=("part", part))
    return _piece(scan, node, value) if scan.speaks_of_version else value


def _piece(scan: Scan, node: ast.expr, value: Value) -> Value:
    """``(3, 12)``, to compare the version with; something that is worked out of it; or else ``value``."""
    if isinstance(node, ast.Tuple):
        constant = constant_of(scan, node)
        if constant is not None and constant and constant[0] in (2, 3):
            return Value(CONDITION, data=("constant", constant))
    elif (
        node.__class__ in (ast.BinOp, ast.Subscript, ast.Call) and is_of_version(scan, node) and is_formula(scan, node)
    ):
        return Value(CONDITION, data=("formula", node))
    return value


def read_annotated(scan: Scan, node: ast.AnnAssign) -> None:
    in_class = scan.owner is not None and scan.names is scan.owner.body
    if is_evaluated(scan) and (scan.function is None or in_class):
        visit(scan, node.annotation)
    value = visit(scan, node.value) if node.value is not None else UNKNOWN
    if node.value is not None and value.kind is NOTHING_KNOWN:
        value = _meaning(scan, node.value, value)
    if in_class and scan.owner is not None and (isinstance(node.annotation, ast.Constant) or not is_evaluated(scan)):
        scan.owner.annotations.append(node.annotation)
    if node.value is not None and in_class:
        classes.default_of_field(scan, node, _field_default(scan, node.value, value))
    if value.kind in (NOTHING_KNOWN, NONE) or value.kind is CONDITION or dotted(value) == "dataclasses.field()":
        value = more_telling(annotated(scan, node.annotation), value)
    if node.value is not None or value.kind is not NOTHING_KNOWN:
        bind_target(scan, node.target, value)


def _field_default(scan: Scan, node: ast.expr, value: Value) -> Value:
    """The default of a field: ``field(default=Settings())`` says it by a keyword."""
    if isinstance(node, ast.Call) and dotted(value) == "dataclasses.field()":
        return next((visit(scan, one.value) for one in node.keywords if one.arg == "default"), UNKNOWN)
    return value


def read_augmented(scan: Scan, node: ast.AugAssign) -> None:
    added = visit(scan, node.value)
    if node.target.__class__ is ast.Name:
        visit(scan, ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
        scan.bind(node.target.id, UNKNOWN)
    else:
        visit(scan, node.target)
        operators.augmented(scan, node, added)


def read_delete(scan: Scan, node: ast.Delete) -> None:
    for target in node.targets:
        if not isinstance(target, ast.Name):
            keyword_arguments.deleted(scan, target)
        elif scan.log is None:
            scan.names.pop(target.id, None)


# ---- what decides


def read_if(scan: Scan, node: ast.If) -> Condition | None:
    operators.truth_of(scan, node.test, visit(scan, node.test))
    condition = condition_of(scan, node.test)
    before, checking = scan.guard, scan.type_checking
    narrowed = _narrowed(scan, node.test)

    scan.doubts += condition is UNSURE

    def body() -> bool:
        scan.guard = scan.guarded(condition)
        scan.type_checking = checking or condition is NEVER
        for name, (inside, _) in narrowed.items():
            scan.names[name] = inside
        ended = block(scan, node.body)
        scan.guard, scan.type_checking = before, checking
        for name, (inside, known) in narrowed.items():
            if scan.names.get(name) is inside:
                scan.names[name] = known
        return ended

    def orelse() -> bool:
        scan.guard = scan.guarded(negated(condition))
        ended = block(scan, node.orelse)
        scan.guard = before
        return ended

    body_ends, orelse_ends = branches(scan, body, orelse)
    scan.doubts -= condition is UNSURE
    if body_ends and scan.function is None and scan.shift is None:
        operators.refusal(scan, node, condition)
    if body_ends and orelse_ends:
        return ENDS
    if condition is UNSURE:
        return None
    return negated(condition) if body_ends else condition if orelse_ends else None


def _narrowed(scan: Scan, test: ast.expr) -> dict[str, tuple[Value, Value]]:
    """``if isinstance(x, Thread):`` says what ``x`` is in the body, if nobody knows more. Values there, and before."""
    if test.__class__ not in (ast.Call, ast.BoolOp):
        return {}
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    found: dict[str, tuple[Value, Value]] = {}
    for part in parts:
        if not isinstance(part, ast.Call) or last_name(part.func) != "isinstance" or len(part.args) != 2:
            continue
        kind, name = named(scan, part.args[1]), last_name(part.args[0])
        before = scan.names.get(name) if isinstance(part.args[0], ast.Name) else None
        known = before is not None and (is_unknown(before) or before.module == "builtins")
        if before is None or not known or kind.kind is not STD or not kind.path or "()" in kind.path:
            continue
        if kind.module not in NO_INSTANCES:
            found[name] = Value(STD, kind.module, f"{kind.path}()", kind.guard), before
    return found


def read_while(scan: Scan, node: ast.While) -> None:
    operators.truth_of(scan, node.test, visit(scan, node.test))
    before = scan.guard

    def body() -> bool:
        scan.guard = scan.guarded(condition_of(scan, node.test))
        scan.doubts += 1
        block(scan, node.body)
        scan.doubts -= 1
        scan.guard = before
        return False

    branches(scan, body, lambda: False)
    block(scan, node.orelse)


def read_for(scan: Scan, node: ast.For | ast.AsyncFor) -> None:
    if node.iter.__class__ in (ast.Tuple, ast.List) and isinstance(node.body[0], ast.Try):
        scan.lambda_caught = caught_by(scan, node.body[0])
    source = visit(scan, node.iter)
    scan.lambda_caught = ()

    def body() -> bool:
        bind_target(scan, node.target, item_of(source))
        scan.doubts += 1
        block(scan, node.body)
        scan.doubts -= 1
        return False

    branches(scan, body, lambda: False)
    block(scan, node.orelse)


def read_match(scan: Scan, node: ast.Match) -> None:
    visit(scan, node.subject)

    def way(case: ast.match_case) -> bool:
        for inner in ast.walk(case.pattern):
            if isinstance(inner, ast.MatchAs | ast.MatchStar) and inner.name:
                scan.bind(inner.name, UNKNOWN)
            elif isinstance(inner, ast.MatchValue):
                visit(scan, inner.value)
            elif isinstance(inner, ast.MatchClass):
                visit(scan, inner.cls)
        if case.guard is not None:
            visit(scan, case.guard)
        return block(scan, case.body)

    branches(scan, *[lambda case=case: way(case) for case in node.cases], lambda: False)


def read_assert(scan: Scan, node: ast.Assert) -> Condition | None:
    operators.truth_of(scan, node.test, visit(scan, node.test))
    if node.msg is not None:
        visit(scan, node.msg)
    condition = condition_of(scan, node.test)
    if condition is UNSURE:
        return None
    if scan.function is None:
        operators.refusal(scan, node, negated(condition))
    return condition


def read_expression(scan: Scan, node: ast.Expr) -> Condition | None:
    value = node.value
    if value.__class__ is ast.Constant:  # a docstring
        return None
    HANDLERS[value.__class__](scan, value)
    scan.only_named(value)
    if value.__class__ is not ast.Call:
        return None
    last = last_name(value.func)
    if last:
        name = dotted(named(scan, value.func))
        if name in EXITS or (not name and last in ("exit", "quit") and isinstance(value.func, ast.Name)):
            return ENDS
        if last in SKIPS and isinstance(value.func, ast.Attribute) and not name:
            return _skipped(scan, last, value)
    return None


def _skipped(scan: Scan, name: str, node: ast.Call) -> Condition | None:
    if name != "importorskip":
        return ENDS
    module = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    return ("has", module, "") if isinstance(module, str) and scan.is_standard(module) else None


def read_return(scan: Scan, node: ast.Return) -> Condition:
    if node.value is not None:
        HANDLERS[node.value.__class__](scan, node.value)
    classes.returned(scan, node)
    return ENDS


def read_raise(scan: Scan, node: ast.Raise) -> Condition:
    for part in (node.exc, node.cause):
        if part is not None:
            visit(scan, part)
    return ENDS


def read_break(_scan: Scan, _node: ast.AST) -> Condition:
    return ENDS


def read_nothing(_scan: Scan, _node: ast.AST) -> None:
    return None


def read_global(scan: Scan, node: ast.Global) -> None:
    if scan.names is not scan.module:
        scan.declared_global = scan.declared_global | frozenset(node.names)


def read_type_alias(scan: Scan, node: Any) -> None:
    bind_target(scan, node.name, UNKNOWN)


HANDLERS.update(
    {
        ast.AnnAssign: read_annotated, ast.Assert: read_assert, ast.Assign: read_assign, ast.AsyncFor: read_for,
        ast.AugAssign: read_augmented, ast.Break: read_break, ast.Continue: read_break,
        ast.Delete: read_delete, ast.Expr: read_expression, ast.For: read_for, ast.Global: read_global, ast.If: read_if,
        ast.Import: read_import, ast.ImportFrom: read_import_from, ast.Match: read_match, ast.Nonlocal: read_nothing,
        ast.Pass: read_nothing, ast.Raise: read_raise, ast.Return: read_return, ast.While: read_while,
    }
)  # fmt: skip
if hasattr(ast, "TypeAlias"):
    HANDLERS[ast.TypeAlias] = read_type_alias
