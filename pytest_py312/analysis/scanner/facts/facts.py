"""What one file of source uses of the standard library, as data: no verdict, and nothing that was run.

Lines and columns count from 1; columns are characters, not bytes. References are tuples because there are many of
them, and because JSON takes tuples as they are (:func:`packed`, :func:`unpacked`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_py312.analysis.scanner.facts.stdlib_names import LIKELY_METHODS
from pytest_py312.analysis.scanner.facts.stdlib_queries import Question

FORMAT = 10
"""Changes whenever the scanner finds something else in the same text: facts of another format are thrown away."""

Condition = tuple[Any, ...]
"""When code runs, as nested tuples (see ``analysis/judging/reachability.py``): ``("version", ">=", (3, 12))``,
``("has", module, path)``, ``("missing", questions, foreign modules)``, ``("takes", module, path, positional,
keywords)``, ``("not", c)``, ``("and", c, ...)``, ``("or", c, ...)``, ``("false",)``, ``("unknown",)``; until files are
linked ``("imported", dotted name)`` and ``("imported has", dotted name)``."""


class Kind:
    """How a reference is made. Plain strings: they are compared a hundred thousand times."""

    IMPORT = "import"
    """``import imp``"""
    FROM = "from"
    """``from imp import reload``"""
    STAR = "star"
    """``from imp import *``, or a name that only such an import can have brought"""
    NAME = "name"
    """``imp.reload``, whatever is done with it"""
    USE = "use"
    """A name that a ``from`` import has brought: if it is gone, the import says so"""
    GIVEN = "given"
    """A name of one's own, or of another file, that was given to it: ``self.warn``. It goes by that name wherever what
    it stands for is called now"""
    METHOD = "method"
    """An attribute of something whose class is known: ``Thread().isAlive``"""
    DYNAMIC = "dynamic"
    """A module or an attribute named by a string"""
    PART = "part"
    """A name of which something is read that everything has: ``imp.reload.__name__``"""
    HOOK = "hook"
    """A method that the library looks up by its name"""
    BASE = "base"
    """A class that one of this file derives from"""
    BARE = "bare"
    """A module whose import may have failed without a word, where its name is used all the same, as the file is run"""


class Call(NamedTuple):
    """How something is called. ``starred`` and ``double_starred``: there are more arguments than can be seen."""

    positional: int
    keywords: tuple[str, ...] = ()
    starred: bool = False
    double_starred: bool = False


SILENCED = "Warning"
"""Stands among the exceptions that a guard catches where warnings are not shown."""


class Guard(NamedTuple):
    """What stands round a piece of code, innermost last: ``parent`` is the number of the guard round this one.

    ``condition`` is when the code runs at all. ``caught`` are the exceptions that a ``try`` round it catches and does
    not raise again.
    """

    parent: int
    condition: Condition = ()
    caught: tuple[str, ...] = ()


class Reference(NamedTuple):
    """One use of a name of the standard library.

    ``guard`` is the number of the guard round the place (0: none), ``bound`` that round the statement which gave the
    name its meaning: with two of those, each meaning makes a reference of its own. ``sure`` is false where the value
    may be something else as well. ``told`` are the steps of the path that a name stood for before, as an import or an
    assignment gave it: if they are gone, that has said so.
    """

    module: str
    path: str
    line: int
    column: int
    end_column: int
    kind: str
    guard: int = 0
    bound: int = 0
    call: Call | None = None
    sure: bool = True
    told: int = 0

    @property
    def question(self) -> Question:
        return Question(module=self.module, path=self.path)


class ModuleImport(NamedTuple):
    """An import of any module. ``name`` is what a ``from`` import takes of it; ``level`` counts the leading dots.

    ``place``: ``module``, ``function`` or ``type checking``.
    """

    module: str
    name: str
    level: int
    line: int
    column: int
    end_column: int
    guard: int
    place: str


class RuleFact(NamedTuple):
    """Something that a hand rule (``analysis/scanner/rules/operators.py``) recognises; ``detail`` is the name to speak
    of.
    """

    rule: str
    line: int
    column: int
    end_column: int
    guard: int = 0
    detail: str = ""
    sure: bool = True


class LooseMethod(NamedTuple):
    """A method, called on something of unknown class, of a name that one class of the library is known by."""

    name: str
    line: int
    column: int
    end_column: int
    guard: int = 0


ANY_NAME = "*"
"""Stands for a name that only running shows."""


class Patch(NamedTuple):
    """A name of the library that the file itself sets: it is there from then on, where the guard lets it.

    An empty ``path`` is the module itself, put into ``sys.modules``; its last name may be ``ANY_NAME``. ``before`` are
    lines whose use came earlier.
    """

    module: str
    path: str
    guard: int = 0
    before: tuple[int, ...] = ()


class Inherited(NamedTuple):
    """An attribute of an own class that may come from a class of another file (see ``analysis/linking/link.py``)."""

    owner: str
    name: str
    instance: bool
    line: int
    column: int
    end_column: int
    guard: int = 0
    call: Call | None = None


class Through(NamedTuple):
    """A dotted name that begins with a module of the service (and its leading dots): ``tools.inspect.getargspec``.

    It is one of the library where ``inspect`` is such a name in ``tools``.
    """

    name: str
    line: int
    column: int
    end_column: int
    kind: str
    guard: int = 0
    call: Call | None = None
    sure: bool = True


class Exported(NamedTuple):
    """A name on the level of the module that stands for something of the library, for other files to use.

    ``condition`` is when it does; not ``sure``: it may be something else as well. ``elsewhere``: ``module`` is a dotted
    name of a third file (with leading dots), and what that stands for there is what this does.
    """

    name: str
    module: str
    path: str
    condition: Condition = ()
    sure: bool = True
    elsewhere: bool = False


class ClassFact(NamedTuple):
    """A class of this file. ``bases`` are ``(standard module, path)``, ``("", dotted name of something else)`` with
    its leading dots, or ``("", ":Name")`` for a class of this file."""

    name: str
    bases: tuple[tuple[str, str], ...]
    members: tuple[str, ...]


class Ignore(NamedTuple):
    """``# py312: ignore[PY201] reason``. ``line`` is the line it speaks of, ``written`` the line it stands on."""

    line: int
    column: int
    codes: tuple[str, ...]
    reason: str
    written: int


class Failure(NamedTuple):
    """Why a file could not be read by the scanner. Compilers alone judge it then."""

    message: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFacts:
    """What the scanner saw in one file. ``defined`` are the names of functions, methods and classes it defines."""

    path: str
    references: tuple[Reference, ...] = ()
    guards: tuple[Guard, ...] = (Guard(-1),)
    imports: tuple[ModuleImport, ...] = ()
    rules: tuple[RuleFact, ...] = ()
    loose: tuple[LooseMethod, ...] = ()
    patches: tuple[Patch, ...] = ()
    inherited: tuple[Inherited, ...] = ()
    through: tuple[Through, ...] = ()
    classes: tuple[ClassFact, ...] = ()
    flags: tuple[tuple[str, Condition], ...] = ()
    """Names of the module, and functions without arguments, that are true under a condition."""
    ignores: tuple[Ignore, ...] = ()
    defined: tuple[str, ...] = ()
    behind: tuple[tuple[str, int], ...] = ()
    """Functions of which all uses in this file are behind guards, and the guards that their bodies have for that."""
    exported: tuple[Exported, ...] = ()
    replaced: tuple[str, ...] = ()
    """Dotted names of other files, or of what is in those, that this one sets itself."""
    failure: Failure | None = None

    def questions(self) -> Iterator[Question]:
        """All that interpreters have to be asked to judge this file, some more than once."""
        asked: set[tuple[str, str]] = set()
        for reference in self.references:
            asked.add((reference.module, reference.path))
        for guard in self.guards:
            asked.update(_asked_by(guard.condition))
        for method in self.loose:
            asked.update((question.module, question.path) for question in LIKELY_METHODS[method.name])
        for module, path in asked:
            yield Question(module=module)
            steps = path.split(".") if path else []
            for count in range(1, len(steps) + 1):
                yield Question(module=module, path=".".join(steps[:count]))


def _asked_by(condition: Condition) -> Iterator[tuple[str, str]]:
    if not condition:
        return
    if condition[0] in ("has", "takes"):
        yield condition[1], condition[2]
    elif condition[0] == "missing":
        yield from condition[1]
    elif condition[0] in ("not", "and", "or"):
        for inner in condition[1:]:
            yield from _asked_by(inner)


def packed(facts: FileFacts) -> list[Any]:
    """Facts as what ``json.dumps`` takes."""
    return [
        FORMAT,
        facts.path,
        facts.references,
        facts.guards,
        facts.imports,
        facts.rules,
        facts.loose,
        facts.patches,
        facts.inherited,
        facts.through,
        facts.classes,
        facts.flags,
        facts.ignores,
        facts.defined,
        facts.behind,
        facts.exported,
        facts.replaced,
        facts.failure,
    ]


def unpacked(data: Any) -> FileFacts:
    """Facts from what :func:`packed` made of them and JSON kept.

    :raises ValueError: they were packed by another version, or are damaged.
    """
    try:
        if data[0] != FORMAT or not isinstance(data[1], str):
            raise ValueError("the facts are those of another version")
        _, path, references, guards, imports, rules, loose, patches, inherited, through, *rest = data
        classes, flags, ignores, defined, behind, exported, replaced, failure = rest
        return FileFacts(
            path=path,
            references=tuple([_reference(row) for row in references]),
            guards=tuple([Guard(row[0], _tuples(row[1]), tuple(row[2])) for row in guards]),
            imports=tuple([ModuleImport._make(row) for row in imports]),
            rules=tuple([RuleFact._make(row) for row in rules]),
            loose=tuple([LooseMethod._make(row) for row in loose]),
            patches=tuple([Patch(row[0], row[1], row[2], tuple(row[3])) for row in patches]),
            inherited=tuple([Inherited._make([*row[:7], _call(row[7])]) for row in inherited]),
            through=tuple([Through._make([*row[:6], _call(row[6]), row[7]]) for row in through]),
            classes=tuple([ClassFact(row[0], _tuples(row[1]), tuple(row[2])) for row in classes]),
            flags=tuple([(row[0], _tuples(row[1])) for row in flags]),
            ignores=tuple([Ignore(row[0], row[1], tuple(row[2]), row[3], row[4]) for row in ignores]),
            defined=tuple(defined),
            behind=tuple([(name, guard) for name, guard in behind]),
            exported=tuple([Exported(row[0], row[1], row[2], _tuples(row[3]), row[4], row[5]) for row in exported]),
            replaced=tuple(replaced),
            failure=Failure._make(failure) if failure else None,
        )
    except (TypeError, IndexError, KeyError) as error:
        raise ValueError(f"the facts are damaged: {error}") from error


def _reference(row: list[Any]) -> Reference:
    if row[8] is not None:
        row[8] = _call(row[8])
    return Reference._make(row)


def _call(row: list[Any] | None) -> Call | None:
    return None if row is None else Call(row[0], tuple(row[1]), row[2], row[3])


def _tuples(data: Any) -> Any:
    return tuple([_tuples(item) for item in data]) if isinstance(data, list) else data
