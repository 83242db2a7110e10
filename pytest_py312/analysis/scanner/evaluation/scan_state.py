"""The state of one scan, and how a node finds the function that reads it.

Each node is visited once. ``HANDLERS`` is filled by the modules that know the nodes; the handler of an expression
gives what is known of its value, that of a statement what holds for the statements after it.
"""

import ast
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_py312.analysis.scanner.evaluation.values import FOREIGN, STD, UNKNOWN, OwnClass, Value, either
from pytest_py312.analysis.scanner.facts.facts import (
    Call,
    Condition,
    Guard,
    Inherited,
    Kind,
    LooseMethod,
    ModuleImport,
    Patch,
    Reference,
    RuleFact,
    Through,
)
from pytest_py312.analysis.scanner.facts.stdlib_names import LOADED_FIRST, is_standard

Handler = Callable[["Scan", Any], Any]
HANDLERS: dict[type[ast.AST], Handler] = {}

ENDS: Condition = ("ends",)
"""Nothing after this statement of the block is reached."""
UNSURE: Condition = ("unknown",)

LONGEST_PATH = 160
MOST_CALLS = 2


@dataclass(slots=True, eq=False)
class Deferred:
    """A function's body, read when all around it has been: it runs later, and may use names set further down."""

    node: Any
    names: dict[str, Value]
    outer: tuple[dict[str, Value], ...]
    guard: int
    owner: OwnClass | None
    in_async: bool
    inside: str = ""
    """The outermost function round it."""


@dataclass(slots=True, eq=False)
class OnOwn:
    """An attribute of an own class or its instance, looked up when all that the class has is known."""

    owner: OwnClass
    instance: bool
    steps: tuple[ast.Attribute, ...]
    call: Call | None
    guard: int


@dataclass(kw_only=True, slots=True, eq=False)
class Scan:
    """All that changes while one file is read. ``local`` are the modules of the service that hide standard ones."""

    local: frozenset[str]
    speaks_of_version: bool = True
    module: dict[str, Value] = field(default_factory=dict)
    names: dict[str, Value] = field(init=False)
    outer: tuple[dict[str, Value], ...] = ()
    declared_global: frozenset[str] = frozenset()
    log: dict[str, Value | None] | None = None
    """Names set since the branch that is read began, with their values before."""
    guard: int = 0
    guards: list[Guard] = field(default_factory=lambda: [Guard(-1)])
    _guard_numbers: dict[Guard, int] = field(default_factory=dict)
    _outside: dict[int, int] = field(default_factory=lambda: {0: 0})
    owner: OwnClass | None = None
    function: Any = None
    in_async: bool = False
    type_checking: bool = False
    future_annotations: bool = False
    stars: list[str] = field(default_factory=list)
    foreign_stars: list[str] = field(default_factory=list)
    submodules: set[str] = field(default_factory=set)
    queue: deque[Deferred] = field(default_factory=deque)
    on_own: list[OnOwn] = field(default_factory=list)
    hooked: list[tuple[ast.ClassDef, OwnClass, int]] = field(default_factory=list)
    """Classes with the guards round them: whether their methods are hooks is known when all has been read."""
    classes: list[OwnClass] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    imports: list[ModuleImport] = field(default_factory=list)
    rules: list[RuleFact] = field(default_factory=list)
    loose: list[LooseMethod] = field(default_factory=list)
    of_module: int = 0
    """How many of the references are on the level of the module."""
    read_early: set[str] = field(default_factory=set)
    """Names that are read on that level."""
    patches: list[Patch] = field(default_factory=list)
    inherited: list[Inherited] = field(default_factory=list)
    through: list[Through] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    doubts: int = 0
    """How many tests that nobody can answer stand round what is read."""
    loop_is_set: bool = False
    asking_for_loops: list[tuple[int, str]] = field(default_factory=list)
    """Rules about event loops, by their number, and the function or class by whose name they are reached."""
    takes_own_place: bool = False
    """Whether the file puts something else into ``sys.modules`` as what it is imported by."""
    has_tar_filter: bool = False
    """Whether the file says by an attribute how tar archives are unpacked."""
    forks: list[tuple[ast.Call, str, int]] = field(default_factory=list)
    """Calls that make a child process of this one, with their names and the guards round them."""
    truths: list[tuple[ast.Name, int, Any]] = field(default_factory=list)
    """Names whose truth is asked for, with the guard and the function round them, where they may be elements."""
    elements: set[tuple[str, Any]] = field(default_factory=set)
    """Names that are used as elements of a tree, with the function that does."""
    field_defaults: list[tuple[OwnClass, ast.AnnAssign]] = field(default_factory=list)
    switched_off: set[str] = field(default_factory=set)
    probed: set[str] = field(default_factory=set)
    """Names of unknown things that the file asks by ``hasattr`` what they have."""
    assigned: set[str] = field(default_factory=set)
    """Names of methods that the file gives to something it does not say the class of."""
    body_name: str = ""
    """The outermost function that is read."""
    bodies: list[Any] = field(default_factory=list)
    """What the bodies of functions have brought (``guarded_functions.py``)."""
    behind: dict[str, dict[tuple[int, int], int]] = field(default_factory=dict)
    """Functions that are used behind guards: the places of those uses, and the guards."""
    lambda_caught: tuple[str, ...] = ()
    """Exceptions that do no harm where the lambdas that are read next are called."""
    module_skip: int = 0
    """The guard that ``pytestmark`` puts round all functions of the file."""
    shift: tuple[int, int, int] | None = None
    """Where everything is said to be, while code in a text is read."""

    def __post_init__(self) -> None:
        self.local = self.local - LOADED_FIRST
        self.names = self.module

    # ---- names

    def get(self, name: str) -> Value | None:
        value = self.names.get(name)
        if value is None:
            for scope in self.outer:
                value = scope.get(name)
                if value is not None:
                    return value
            value = self.module.get(name)
        return value

    def bind(self, name: str, value: Value) -> None:
        if name in self.declared_global:
            before = self.module.get(name)
            self.module[name] = value if before is None else either((value, before))
            return
        if self.log is not None and name not in self.log:
            self.log[name] = self.names.get(name)
        self.names[name] = value

    def is_standard(self, module: str) -> bool:
        return is_standard(module) and module.partition(".")[0] not in self.local

    def is_of_service(self, module: str) -> bool:
        """Whether a module that is not standard is in another file of the service: leading dots say so, too."""
        first = module.partition(".")[0]
        return not first or first in self.local

    def module_value(self, module: str) -> Value:
        if self.is_standard(module):
            return Value(STD, module, "", self.guard)
        return Value(FOREIGN, module, "", self.guard)

    # ---- guards

    def guarded(self, condition: Condition = (), caught: tuple[str, ...] = ()) -> int:
        """The number of a guard inside of the present one."""
        if not caught and (not condition or condition == UNSURE):
            return self.guard
        return self.numbered(Guard(self.guard, condition, caught))

    def numbered(self, guard: Guard) -> int:
        """The number of a guard; the same ones have the same."""
        number = self._guard_numbers.get(guard)
        if number is None:
            number = self._guard_numbers[guard] = len(self.guards)
            self.guards.append(guard)
        return number

    def chain(self, number: int) -> Iterator[Guard]:
        """A guard and those round it, the innermost first."""
        while number > 0:
            yield self.guards[number]
            number = self.guards[number].parent

    def condition_round(self, number: int) -> Condition:
        """When what stands behind a guard runs; empty: always."""
        conditions = tuple([guard.condition for guard in self.chain(number) if guard.condition])
        return ("and", *conditions) if conditions else ()

    def outside_try(self, number: int) -> int:
        """The guard round the body of a function: a ``try`` round the ``def`` is over when the body runs."""
        known = self._outside.get(number)
        if known is None:
            guard = self.guards[number]
            before, self.guard = self.guard, self.outside_try(guard.parent)
            known = self._outside[number] = self.guarded(guard.condition) if guard.condition else self.guard
            self.guard = before
        return known

    # ---- what was found

    def place(self, node: Any, name: str = "") -> tuple[int, int, int]:
        """Line, column and end column of the last name of ``node``; columns are bytes still, from 1."""
        if self.shift is not None:
            return self.shift
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
        told: int = 0,
    ) -> None:
        self.refer_at(self.place(node, name), value, kind, call, sure, told)

    def refer_at(
        self,
        place: tuple[int, int, int],
        value: Value,
        kind: str,
        call: Call | None = None,
        sure: bool = True,
        told: int = 0,
    ) -> None:
        line, column, end = place
        self.references.append(
            Reference(value.module, value.path, line, column, end, kind, self.guard, value.guard, call, sure, told)
        )

    def reach_through(
        self, place: tuple[int, int, int], name: str, kind: str, call: Call | None = None, sure: bool = True
    ) -> None:
        """Notes a dotted name of something in another file, which may stand for something of the library there."""
        if self.is_of_service(name):
            self.through.append(Through(name, *place, kind, self.guard, call, sure))

    def only_named(self, node: ast.expr) -> None:
        """Notes that an attribute that was just read got a name: what is wrong with calls of it is told of these."""
        last = self.references[-1] if node.__class__ is ast.Attribute and self.references else None
        if last is not None and last.kind is Kind.NAME and last.call is None and last.line == node.end_lineno:
            self.references[-1] = last._replace(kind=Kind.PART)

    def add_submodule(self, module: str) -> None:
        """Notes a module of a package that an import has loaded, with all that it lies in."""
        while "." in module:
            self.submodules.add(module)
            module = module.rpartition(".")[0]

    def used_behind(self, name: str, node: Any) -> None:
        """Notes that a function of this file is used behind the present guard."""
        if self.shift is None:
            self.behind.setdefault(name, {})[node.end_lineno, node.end_col_offset] = self.guard

    def names_mocks(self) -> bool:
        """Whether the file uses mocks."""
        return any(
            one.module in ("mock", "unittest.mock", "pytest_mock") or (one.module, one.name) == ("unittest", "mock")
            for one in self.imports
        )

    def names_import_hooks(self) -> bool:
        """Whether the file uses ``sys.meta_path`` or ``sys.path_hooks``."""
        hooks = ("meta_path", "path_hooks")
        return any(one.module == "sys" and one.path.startswith(hooks) for one in self.references)

    def rule(self, rule: str, node: Any, detail: str = "", *, sure: bool = True) -> None:
        if self.shift is None:
            line, column = node.lineno, node.col_offset + 1
            end = node.end_col_offset + 1 if node.end_lineno == line else column
        else:
            line, column, end = self.shift
        self.rules.append(RuleFact(rule, line, column, end, self.guard, detail, sure))


def visit(scan: Scan, node: Any) -> Value:
    """Reads an expression."""
    value: Value = HANDLERS[node.__class__](scan, node)
    return value


def visit_all(scan: Scan, nodes: Sequence[Any]) -> None:
    for node in nodes:
        HANDLERS[node.__class__](scan, node)


def block(scan: Scan, statements: Sequence[ast.stmt]) -> bool:
    """Reads statements in their order, and says whether what follows them is never reached."""
    before = scan.guard
    ended = False
    for statement in statements:
        holds = HANDLERS[statement.__class__](scan, statement)
        if holds is not None:
            if holds is ENDS:
                ended = True
                break
            scan.guard = scan.guarded(holds)
    scan.guard = before
    return ended


def branches(scan: Scan, *ways: Callable[[], bool]) -> list[bool]:
    """Reads parts of which only one runs: a name set in some of them is one of several things afterwards."""
    ends: list[bool] = []
    going_on: list[dict[str, Value]] = []
    names, outer_log = scan.names, scan.log
    for way in ways:
        log: dict[str, Value | None] = {}
        scan.log = log
        ended = way()
        ends.append(ended)
        if not ended:
            going_on.append({name: names[name] for name in log if name in names} if log else {})
        for name, value in log.items():
            if value is None:
                names.pop(name, None)
            else:
                names[name] = value
    scan.log = outer_log
    if any(going_on):  # most branches set nothing
        for name in dict.fromkeys(name for values in going_on for name in values):
            found = [values.get(name) or scan.names.get(name) for values in going_on]
            scan.bind(name, either([value for value in found if value is not None]))
    return ends


def extended(scan: Scan, value: Value, name: str) -> Value:
    """What an attribute of a standard thing is called; nothing known where the path grows too long."""
    if not value.path:
        inner = f"{value.module}.{name}"
        if inner in scan.submodules:
            return Value(STD, inner, "", value.guard)
        return Value(STD, value.module, name, value.guard)
    if len(value.path) > LONGEST_PATH:
        return UNKNOWN
    if name == "parent" and value.module == "pathlib" and value.path.endswith("()"):
        return value
    return Value(STD, value.module, f"{value.path}.{name}", value.guard)


ELEMENT_MODULES = ("xml.etree.ElementTree", "xml.etree.cElementTree")
GIVE_PATHS = frozenset({
    "absolute", "cwd", "expanduser", "home", "joinpath", "readlink", "relative_to", "rename", "replace", "resolve",
    "with_name", "with_stem", "with_suffix",
})  # fmt: skip
"""Methods of paths that give a path of the same class."""


def result_of(value: Value) -> Value:
    """What a call of a standard thing is called."""
    if value.module == "pathlib":
        owner, _, name = value.path.rpartition(".")
        if owner and name in GIVE_PATHS:
            return Value(STD, value.module, owner if owner.endswith("()") else f"{owner}()", value.guard)
    if value.path.endswith("().getroot") and value.module in ELEMENT_MODULES:
        return Value(STD, value.module, "Element()", value.guard)
    if not value.path or value.path.endswith(")") or value.path.count("()") >= MOST_CALLS:
        return UNKNOWN
    return Value(STD, value.module, f"{value.path}()", value.guard)


def kind_of(value: Value, kind: str = Kind.NAME) -> str:
    return Kind.METHOD if "()" in value.path else kind
