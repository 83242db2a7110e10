"""The facts of a source file: what it uses of the standard library, as plain data.

The scanner runs nothing and judges nothing. Lines and columns count from 1; columns are characters, not bytes. Most
facts are tuples: there are many of them, and JSON takes tuples as they are (:func:`pack`, :func:`unpack`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from pytest_py312.analysis.scanner.facts.stdlib_names import DISTINCTIVE_METHODS
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibQuery

FORMAT_VERSION = 10
"""Version of the packed form. Increase it whenever the scanner finds something else in the same text; facts of another
version are discarded."""

Condition = tuple[Any, ...]
"""When code runs, as nested tuples (see ``analysis/judging/reachability.py``): ``("version", ">=", (3, 12))``,
``("has", module, path)``, ``("missing", queries, foreign modules)``, ``("takes", module, path, positional, keywords)``,
``("not", c)``, ``("and", c, ...)``, ``("or", c, ...)``, ``("false",)``, ``("unknown",)``. Before files are linked also
``("imported", dotted name)`` and ``("imported has", dotted name)``."""


class ReferenceKind:
    """How a reference is made. Plain strings, because they are compared very often."""

    IMPORT = "import"
    """``import imp``"""
    FROM_IMPORT = "from"
    """``from imp import reload``"""
    STAR_IMPORT = "star"
    """``from imp import *``, or a name that only such an import can have bound."""
    NAME = "name"
    """``imp.reload``, in any expression."""
    IMPORTED_NAME = "use"
    """A use of a name that a ``from`` import has bound. If the name was removed, the import already reports it."""
    ALIAS = "given"
    """A name of this or of another file that was assigned the stdlib name, such as ``self.warn``. A call of it is
    reported under the stdlib name."""
    METHOD = "method"
    """An attribute of a value of known class: ``Thread().isAlive``."""
    DYNAMIC = "dynamic"
    """A module or an attribute that is named by a string."""
    MENTION = "part"
    """A name that is read without using anything that depends on it: ``imp.reload.__name__``."""
    MAYBE_UNBOUND = "bare"
    """A module whose import may have failed silently, used while the file is executed."""


class Call(NamedTuple):
    """The arguments of a call. ``starred`` and ``double_starred``: ``*args`` or ``**kwargs`` add arguments that are not
    visible.
    """

    positional: int
    keywords: tuple[str, ...] = ()
    starred: bool = False
    double_starred: bool = False


IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError"})
CATCH_ALL = frozenset({"", "BaseException", "Exception"})
SILENCED_WARNINGS = "Warning"
"""Entry of ``Guard.caught`` for code in which warnings are not shown."""


class Guard(NamedTuple):
    """The condition and the exception handlers around a piece of code.

    ``parent`` is the number of the enclosing guard. ``condition`` is when the code runs. ``caught`` are the exceptions
    that an enclosing ``try`` catches and does not raise again.
    """

    parent: int
    condition: Condition = ()
    caught: tuple[str, ...] = ()


class Reference(NamedTuple):
    """One use of a stdlib name.

    ``guard`` is the number of the guard around the use (0: none), ``binding_guard`` that around the statement which
    bound the name. A name bound under two guards makes two references. ``sure`` is false where the value may also be
    something else. ``reported_steps`` is the number of leading steps of the path that an import or an assignment has
    referred to already: if one of those was removed, it is reported there.
    """

    module: str
    path: str
    line: int
    column: int
    end_column: int
    kind: str
    guard: int = 0
    binding_guard: int = 0
    call: Call | None = None
    sure: bool = True
    reported_steps: int = 0

    @property
    def query(self) -> StdlibQuery:
        return StdlibQuery(module=self.module, path=self.path)


class ModuleImport(NamedTuple):
    """An import of any module.

    ``name`` is what a ``from`` import takes from the module; ``level`` counts the leading dots. ``scope`` is
    ``module``, ``function`` or ``type checking``.
    """

    module: str
    name: str
    level: int
    line: int
    column: int
    end_column: int
    guard: int
    scope: str


class RuleMatch(NamedTuple):
    """A match of a hand-written rule (``analysis/scanner/rules``).

    ``detail`` is the name that the finding shows.
    """

    rule: str
    line: int
    column: int
    end_column: int
    guard: int = 0
    detail: str = ""
    sure: bool = True


class UntypedMethodUse(NamedTuple):
    """A call of a method on a value of unknown class, whose name only one stdlib class has."""

    name: str
    line: int
    column: int
    end_column: int
    guard: int = 0


ANY_NAME = "*"
"""Stands for a name that is known only at run time."""


class Monkeypatch(NamedTuple):
    """A stdlib name that the file sets itself.

    From then on the name exists, where the guard is passed. An empty ``path`` is the module itself, put into
    ``sys.modules``; the last name of a path may be ``ANY_NAME``. ``earlier_lines`` are lines that use the name before
    it is set.
    """

    module: str
    path: str
    guard: int = 0
    earlier_lines: tuple[int, ...] = ()


class InheritedAttribute(NamedTuple):
    """An attribute of a class of this file that it may inherit from a class of another file (see
    ``analysis/linking/link.py``).
    """

    owner: str
    name: str
    on_instance: bool
    line: int
    column: int
    end_column: int
    guard: int = 0
    call: Call | None = None


class IndirectReference(NamedTuple):
    """A dotted name that begins with a module of the service: ``tools.inspect.getargspec``.

    It refers to the stdlib if ``inspect`` does in ``tools``. Relative names keep their leading dots.
    """

    name: str
    line: int
    column: int
    end_column: int
    kind: str
    guard: int = 0
    call: Call | None = None
    sure: bool = True


class ExportedName(NamedTuple):
    """A module-level name that stands for a stdlib name, for use by other files.

    ``condition`` is when it does. If not ``sure``, it may also be something else. ``is_reexport``: ``module`` is a
    dotted name of a third file (with leading dots), and this name stands for whatever that one does.
    """

    name: str
    module: str
    path: str
    condition: Condition = ()
    sure: bool = True
    is_reexport: bool = False


class ClassDefinition(NamedTuple):
    """A class of this file.

    ``bases`` are ``(stdlib module, path)``, ``("", dotted name of something else)`` with its leading dots, or ``("",
    ":Name")`` for a class of this file.
    """

    name: str
    bases: tuple[tuple[str, str], ...]
    members: tuple[str, ...]


class SuppressionComment(NamedTuple):
    """A comment ``# py312: ignore[PY201] reason``.

    ``line`` is the line that it applies to, ``comment_line`` its own line.
    """

    line: int
    column: int
    codes: tuple[str, ...]
    reason: str
    comment_line: int


class ScanFailure(NamedTuple):
    """Why the scanner could not parse a file. Such a file is judged by the compilers alone."""

    message: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """The facts of one file.

    ``defined_names`` are the names of the functions, methods and classes that it defines.
    """

    path: str
    references: tuple[Reference, ...] = ()
    guards: tuple[Guard, ...] = (Guard(-1),)
    imports: tuple[ModuleImport, ...] = ()
    rule_matches: tuple[RuleMatch, ...] = ()
    untyped_methods: tuple[UntypedMethodUse, ...] = ()
    monkeypatches: tuple[Monkeypatch, ...] = ()
    inherited_attributes: tuple[InheritedAttribute, ...] = ()
    indirect_references: tuple[IndirectReference, ...] = ()
    classes: tuple[ClassDefinition, ...] = ()
    flags: tuple[tuple[str, Condition], ...] = ()
    """Module-level names, and functions without arguments, that are true under a condition."""
    suppressions: tuple[SuppressionComment, ...] = ()
    defined_names: tuple[str, ...] = ()
    guarded_functions: tuple[tuple[str, int], ...] = ()
    """Public functions that this file uses under guards only, each with the guard of its body."""
    exported_names: tuple[ExportedName, ...] = ()
    overwritten_names: tuple[str, ...] = ()
    """Dotted names of other files, or of names in those, that this file assigns."""
    failure: ScanFailure | None = None

    def queries(self) -> Iterator[StdlibQuery]:
        """Yield every query needed to judge this file, some more than once."""
        names: set[tuple[str, str]] = set()
        for reference in self.references:
            names.add((reference.module, reference.path))
        for guard in self.guards:
            names.update(_queried_names(guard.condition))
        for method in self.untyped_methods:
            names.update((question.module, question.path) for question in DISTINCTIVE_METHODS[method.name])
        for module, path in names:
            yield StdlibQuery(module=module)
            steps = path.split(".") if path else []
            for count in range(1, len(steps) + 1):
                yield StdlibQuery(module=module, path=".".join(steps[:count]))


def enclosing_guards(guards: Sequence[Guard], number: int) -> Iterator[Guard]:
    """Yield the guards around code in the guard ``number``, from the inside."""
    while number > 0:
        yield guards[number]
        number = guards[number].parent


def is_caught(guards: Sequence[Guard], number: int, exceptions: frozenset[str]) -> bool:
    """Return whether one of ``exceptions`` is caught if it is raised inside of a guard."""
    caught = (name for guard in enclosing_guards(guards, number) for name in guard.caught)
    return not (exceptions | CATCH_ALL).isdisjoint(caught)


def _queried_names(condition: Condition) -> Iterator[tuple[str, str]]:
    if not condition:
        return
    if condition[0] in ("has", "takes"):
        yield condition[1], condition[2]
    elif condition[0] == "missing":
        yield from condition[1]
    elif condition[0] in ("not", "and", "or"):
        for inner in condition[1:]:
            yield from _queried_names(inner)


def pack(facts: FileFacts) -> list[Any]:
    """Return the facts in a form that ``json.dumps`` accepts."""
    return [FORMAT_VERSION, *(getattr(facts, field.name) for field in fields(facts))]


def unpack(data: Any) -> FileFacts:
    """Restore facts from what :func:`pack` returned, after a round trip through JSON.

    :raises ValueError: they were packed by another version, or are damaged.
    """
    try:
        if data[0] != FORMAT_VERSION or not isinstance(data[1], str):
            raise ValueError("the facts were packed by another version")
        _, path, references, guards, imports, rules, loose, patches, inherited, through, *remaining = data
        classes, flags, ignores, defined, behind, exported, replaced, failure = remaining
        return FileFacts(
            path=path,
            references=tuple([_unpack_reference(row) for row in references]),
            guards=tuple([Guard(row[0], _to_tuples(row[1]), tuple(row[2])) for row in guards]),
            imports=tuple([ModuleImport._make(row) for row in imports]),
            rule_matches=tuple([RuleMatch._make(row) for row in rules]),
            untyped_methods=tuple([UntypedMethodUse._make(row) for row in loose]),
            monkeypatches=tuple([Monkeypatch(row[0], row[1], row[2], tuple(row[3])) for row in patches]),
            inherited_attributes=tuple(
                [InheritedAttribute._make([*row[:7], _unpack_call(row[7])]) for row in inherited]
            ),
            indirect_references=tuple(
                [IndirectReference._make([*row[:6], _unpack_call(row[6]), row[7]]) for row in through]
            ),
            classes=tuple([ClassDefinition(row[0], _to_tuples(row[1]), tuple(row[2])) for row in classes]),
            flags=tuple([(row[0], _to_tuples(row[1])) for row in flags]),
            suppressions=tuple([SuppressionComment(row[0], row[1], tuple(row[2]), row[3], row[4]) for row in ignores]),
            defined_names=tuple(defined),
            guarded_functions=tuple([(name, guard) for name, guard in behind]),
            exported_names=tuple(
                [ExportedName(row[0], row[1], row[2], _to_tuples(row[3]), row[4], row[5]) for row in exported]
            ),
            overwritten_names=tuple(replaced),
            failure=ScanFailure._make(failure) if failure else None,
        )
    except (TypeError, IndexError, KeyError) as error:
        raise ValueError(f"the facts are damaged: {error}") from error


def _unpack_reference(row: list[Any]) -> Reference:
    if row[8] is not None:
        row[8] = _unpack_call(row[8])
    return Reference._make(row)


def _unpack_call(row: list[Any] | None) -> Call | None:
    return None if row is None else Call(row[0], tuple(row[1]), row[2], row[3])


def _to_tuples(data: Any) -> Any:
    return tuple([_to_tuples(item) for item in data]) if isinstance(data, list) else data
