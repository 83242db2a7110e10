"""The state of one scan, and the dispatch of nodes to their handlers.

Each node is visited once. ``HANDLERS`` is filled by the modules that handle nodes. The handler of an expression returns
its value, that of a statement returns the condition that holds for the statements after it.
"""

import ast
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_py312.analysis.scanner.evaluation.values import FOREIGN, STDLIB, UNKNOWN, OwnClass, Value, union_of
from pytest_py312.analysis.scanner.facts.facts import (
    Call,
    Condition,
    Guard,
    IndirectReference,
    InheritedAttribute,
    ModuleImport,
    Monkeypatch,
    Reference,
    ReferenceKind,
    RuleMatch,
    UntypedMethodUse,
    enclosing_guards,
)
from pytest_py312.analysis.scanner.facts.stdlib_names import PRELOADED_MODULES, is_stdlib_module

Handler = Callable[["ScanState", Any], Any]
HANDLERS: dict[type[ast.AST], Handler] = {}

ENDS: Condition = ("ends",)
"""The statements after this one in the block are not reached."""
UNSURE: Condition = ("unknown",)

MAX_PATH_LENGTH = 160


@dataclass(slots=True, eq=False)
class DeferredFunction:
    """The body of a function, read after the code around it: it runs later and may use names that are bound further
    down.
    """

    node: Any
    scope: dict[str, Value]
    enclosing_scopes: tuple[dict[str, Value], ...]
    guard: int
    enclosing_class: OwnClass | None
    in_async: bool
    outermost_function: str = ""
    """The outermost function around it."""


@dataclass(slots=True, eq=False)
class OwnAttribute:
    """An attribute of a class of this file, or of its instance, that is resolved when the class is complete."""

    owner: OwnClass
    on_instance: bool
    steps: tuple[ast.Attribute, ...]
    call: Call | None
    guard: int


@dataclass(kw_only=True, slots=True, eq=False)
class ScanState:
    """Everything that changes while one file is scanned.

    ``local_modules`` are the modules of the service that hide stdlib modules.
    """

    local_modules: frozenset[str]
    may_mention_version: bool = True
    tables: Mapping[str, frozenset[Hashable]] = field(default_factory=dict)
    """The keys of constant dictionaries of the module, by name."""
    may_execute_names: bool = True
    module_scope: dict[str, Value] = field(default_factory=dict)
    scope: dict[str, Value] = field(init=False)
    enclosing_scopes: tuple[dict[str, Value], ...] = ()
    declared_global: frozenset[str] = frozenset()
    branch_changes: dict[str, Value | None] | None = None
    """Names bound in the current branch, with their previous values."""
    guard: int = 0
    guards: list[Guard] = field(default_factory=lambda: [Guard(-1)])
    _guard_numbers: dict[Guard, int] = field(default_factory=dict)
    _function_guards: dict[int, int] = field(default_factory=lambda: {0: 0})
    enclosing_class: OwnClass | None = None
    function: Any = None
    in_async: bool = False
    type_checking: bool = False
    future_annotations: bool = False
    star_imports: list[str] = field(default_factory=list)
    foreign_star_imports: list[str] = field(default_factory=list)
    submodules: set[str] = field(default_factory=set)
    deferred_functions: deque[DeferredFunction] = field(default_factory=deque)
    own_attributes: list[OwnAttribute] = field(default_factory=list)
    guarded_classes: list[tuple[ast.ClassDef, OwnClass, int]] = field(default_factory=list)
    """Classes with their guards. Whether a method is a hook is known when the whole file has been read."""
    classes: list[OwnClass] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    imports: list[ModuleImport] = field(default_factory=list)
    rule_matches: list[RuleMatch] = field(default_factory=list)
    untyped_methods: list[UntypedMethodUse] = field(default_factory=list)
    module_level_count: int = 0
    """Number of references on module level."""
    module_level_reads: set[str] = field(default_factory=set)
    """Names that are read on module level."""
    monkeypatches: list[Monkeypatch] = field(default_factory=list)
    inherited_attributes: list[InheritedAttribute] = field(default_factory=list)
    indirect_references: list[IndirectReference] = field(default_factory=list)
    overwritten_names: set[str] = field(default_factory=set)
    defined_names: set[str] = field(default_factory=set)
    undecided_tests: int = 0
    """Number of undecided tests around the current position."""
    event_loop_is_set: bool = False
    event_loop_uses: list[tuple[int, str]] = field(default_factory=list)
    """Indexes of rule matches about event loops, with the function or class whose callers decide."""
    replaces_itself: bool = False
    """Whether the file replaces itself in ``sys.modules``."""
    has_tar_filter: bool = False
    """Whether the file sets ``extraction_filter`` of a tar archive."""
    process_starts: list[tuple[ast.Call, str, int]] = field(default_factory=list)
    """Calls that fork this process, with their names and guards."""
    truth_tests: list[tuple[ast.Name, int, Any]] = field(default_factory=list)
    """Names whose truth is tested and that may be XML elements, with guard and function."""
    asserted_positions: set[tuple[int, int]] = field(default_factory=set)
    """Where attributes start whose value, or that of their call, an ``assert`` statement tests."""
    element_names: set[tuple[str, Any]] = field(default_factory=set)
    """Names that are used like XML elements, with their function."""
    installed_hooks: dict[int, list[Value]] = field(default_factory=dict)
    """Line -> what it adds to ``sys.meta_path`` or ``sys.path_hooks``."""
    unhashable_defaults: list[tuple[OwnClass, ast.AnnAssign]] = field(default_factory=list)
    false_flags: set[str] = field(default_factory=set)
    hasattr_checked: set[str] = field(default_factory=set)
    """Names of unknown values that the file tests with ``hasattr``."""
    assigned_methods: set[str] = field(default_factory=set)
    """Names of methods that the file assigns to values of unknown class."""
    outermost_function: str = ""
    """The outermost function that is being read."""
    function_bodies: list[Any] = field(default_factory=list)
    """What each function body added to the lists of facts (``guarded_functions.py``)."""
    guarded_uses: dict[str, dict[tuple[int, int], int]] = field(default_factory=dict)
    """Functions that are used under guards: positions of the uses, and their guards."""
    lambda_caught: tuple[str, ...] = ()
    """Exceptions that are expected where the next lambdas are called."""
    module_skip_guard: int = 0
    """The guard that ``pytestmark`` puts around all functions of the file."""
    fixed_position: tuple[int, int, int] | None = None
    """The position of everything that is read while code in a string is read."""

    def __post_init__(self) -> None:
        self.local_modules = self.local_modules - PRELOADED_MODULES
        self.scope = self.module_scope

    # ---- names

    def lookup(self, name: str) -> Value | None:
        value = self.scope.get(name)
        if value is None:
            for scope in self.enclosing_scopes:
                value = scope.get(name)
                if value is not None:
                    return value
            value = self.module_scope.get(name)
        return value

    def bind(self, name: str, value: Value) -> None:
        if name in self.declared_global:
            previous = self.module_scope.get(name)
            self.module_scope[name] = value if previous is None else union_of((value, previous))
            return
        if self.branch_changes is not None and name not in self.branch_changes:
            self.branch_changes[name] = self.scope.get(name)
        self.scope[name] = value

    def is_stdlib_module(self, module: str) -> bool:
        return is_stdlib_module(module) and module.partition(".")[0] not in self.local_modules

    def is_service_module(self, module: str) -> bool:
        """Return whether a module is another file of the service. Names with leading dots always are."""
        first = module.partition(".")[0]
        return not first or first in self.local_modules

    def module_value(self, module: str) -> Value:
        if self.is_stdlib_module(module):
            return Value(STDLIB, module, "", self.guard)
        return Value(FOREIGN, module, "", self.guard)

    # ---- guards

    def nested_guard(self, condition: Condition = (), caught: tuple[str, ...] = ()) -> int:
        """Return the number of a guard inside of the current one."""
        if not caught and (not condition or condition == UNSURE):
            return self.guard
        return self.guard_number(Guard(self.guard, condition, caught))

    def guard_number(self, guard: Guard) -> int:
        """Return the number of a guard. Equal guards have the same number."""
        number = self._guard_numbers.get(guard)
        if number is None:
            number = self._guard_numbers[guard] = len(self.guards)
            self.guards.append(guard)
        return number

    def guard_condition(self, number: int) -> Condition:
        """Return when the code under a guard runs; empty if always."""
        conditions = tuple([guard.condition for guard in enclosing_guards(self.guards, number) if guard.condition])
        return ("and", *conditions) if conditions else ()

    def guard_outside_try(self, number: int) -> int:
        """Return the guard for the body of a function: a ``try`` around the ``def`` does not cover it."""
        function_guard = self._function_guards.get(number)
        if function_guard is None:
            guard = self.guards[number]
            outer_guard, self.guard = self.guard, self.guard_outside_try(guard.parent)
            function_guard = self._function_guards[number] = (
                self.nested_guard(guard.condition) if guard.condition else self.guard
            )
            self.guard = outer_guard
        return function_guard

    @contextmanager
    def restored(self, *fields: str) -> Iterator[None]:
        """Give ``fields`` the values back that they have now."""
        values = [getattr(self, name) for name in fields]
        yield
        for name, value in zip(fields, values, strict=True):
            setattr(self, name, value)

    # ---- what was found

    def position(self, node: Any, name: str = "") -> tuple[int, int, int]:
        """Return line, column and end column of the last name of ``node``. Columns are bytes, from 1."""
        if self.fixed_position is not None:
            return self.fixed_position
        line, end = node.end_lineno, node.end_col_offset + 1
        column = node.col_offset + 1 if node.lineno == line else max(1, end - len(name.encode()))
        return line, column, end

    def refer(
        self,
        node: Any,
        value: Value,
        kind: str,
        call: Call | None = None,
        *,
        sure: bool = True,
        name: str = "",
        reported_steps: int = 0,
    ) -> None:
        self.refer_at(self.position(node, name), value, kind, call, sure, reported_steps)

    def refer_at(
        self,
        position: tuple[int, int, int],
        value: Value,
        kind: str,
        call: Call | None = None,
        sure: bool = True,
        reported_steps: int = 0,
    ) -> None:
        guards = (self.guard, value.guard)
        self.references.append(
            Reference(value.module, value.path, *position, kind, *guards, call, sure, reported_steps)
        )

    def refer_indirectly(
        self, position: tuple[int, int, int], name: str, kind: str, call: Call | None = None, sure: bool = True
    ) -> None:
        """Record a dotted name of another file, which may stand for a stdlib name there."""
        if self.is_service_module(name):
            self.indirect_references.append(IndirectReference(name, *position, kind, self.guard, call, sure))

    def mark_unevaluated(self, node: ast.expr) -> None:
        """Record that an attribute that was just read is only assigned to a name. Problems of calls are reported at the
        calls.
        """
        last = self.references[-1] if node.__class__ is ast.Attribute and self.references else None
        if last is not None and last.kind is ReferenceKind.NAME and last.call is None and last.line == node.end_lineno:
            self.references[-1] = last._replace(kind=ReferenceKind.MENTION)

    def add_submodule(self, module: str) -> None:
        """Record a submodule that an import has loaded, and its parent packages."""
        while "." in module:
            self.submodules.add(module)
            module = module.rpartition(".")[0]

    def note_guarded_use(self, name: str, node: Any) -> None:
        """Record a use of a function of this file under the current guard."""
        if self.fixed_position is None:
            self.guarded_uses.setdefault(name, {})[node.end_lineno, node.end_col_offset] = self.guard

    def add_rule_match(self, rule: str, node: Any, detail: str = "", *, sure: bool = True) -> None:
        if self.fixed_position is None:
            line, column = node.lineno, node.col_offset + 1
            end = node.end_col_offset + 1 if node.end_lineno == line else column
        else:
            line, column, end = self.fixed_position
        self.rule_matches.append(RuleMatch(rule, line, column, end, self.guard, detail, sure))


def visit(scan: ScanState, node: Any) -> Value:
    """Read an expression and return its value."""
    value: Value = HANDLERS[node.__class__](scan, node)
    return value


def visit_all(scan: ScanState, nodes: Sequence[Any]) -> None:
    for node in nodes:
        HANDLERS[node.__class__](scan, node)


def read_block(scan: ScanState, statements: Sequence[ast.stmt]) -> bool:
    """Read statements in order. Return whether the code after them is never reached."""
    outer_guard = scan.guard
    ended = False
    for statement in statements:
        condition = HANDLERS[statement.__class__](scan, statement)
        if condition is not None:
            if condition is ENDS:
                ended = True
                break
            scan.guard = scan.nested_guard(condition)
    scan.guard = outer_guard
    return ended


def read_branches(scan: ScanState, *branches: Callable[[], bool]) -> list[bool]:
    """Read alternative branches. A name bound in some of them has one of several values afterwards.

    Return for each branch whether it ends the block.
    """
    ends: list[bool] = []
    continuing: list[dict[str, Value]] = []
    names, outer_log = scan.scope, scan.branch_changes
    for branch in branches:
        log: dict[str, Value | None] = {}
        scan.branch_changes = log
        ended = branch()
        ends.append(ended)
        if not ended:
            continuing.append({name: names[name] for name in log if name in names} if log else {})
        for name, value in log.items():
            if value is None:
                names.pop(name, None)
            else:
                names[name] = value
    scan.branch_changes = outer_log
    if any(continuing):  # most branches set nothing
        for name in dict.fromkeys(name for values in continuing for name in values):
            branch_values = [values.get(name) or scan.scope.get(name) for values in continuing]
            scan.bind(name, union_of([value for value in branch_values if value is not None]))
    return ends


def stdlib_attribute(scan: ScanState, value: Value, name: str) -> Value:
    """Return the attribute of a stdlib value; unknown if the path grows too long."""
    if not value.path:
        inner = f"{value.module}.{name}"
        if inner in scan.submodules:
            return Value(STDLIB, inner, "", value.guard)
        return Value(STDLIB, value.module, name, value.guard)
    if len(value.path) > MAX_PATH_LENGTH:
        return UNKNOWN
    if name == "parent" and value.module == "pathlib" and value.path.endswith("()"):
        return value
    return Value(STDLIB, value.module, f"{value.path}.{name}", value.guard)


def reference_kind(value: Value, kind: str = ReferenceKind.NAME) -> str:
    return ReferenceKind.METHOD if "()" in value.path else kind
