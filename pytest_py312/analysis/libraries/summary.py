"""What is worth knowing of the source of one installed distribution, small enough to be read again in every run.

A digest is made once for a distribution and an interpreter. It says which modules there are and what each imports, and
keeps of the scanner's facts only those that this interpreter may have something against.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_py312.analysis.scanner.facts.facts import FileFacts, packed, unpacked


class How:
    """How sure it is that something runs when a module is imported. The greater, the surer."""

    WHEN_CALLED = 0
    """Only when a function is called"""
    PERHAPS = 1
    """Under a condition that is not known here, or where a failure is caught"""
    AT_IMPORT = 2
    """Whenever the module is imported"""


class Part:
    """To what part of a distribution a module belongs."""

    OWN = ""
    TESTS = "tests"
    """Tests that were installed with it"""
    VENDORED = "vendored"
    """Its copy of another project"""


Place = tuple[int, int]
"""Line and column, from 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """One module. ``name`` is what it is imported by, ``path`` its file below site-packages.

    ``imports`` are dotted names (absolute, of modules or of what is in them) with :class:`How`. ``suspects`` are the
    facts that the interpreter may have something against; ``called`` are the places among them that run only when a
    function is called. ``packaging`` are its imports of setuptools and what comes with it.
    """

    name: str
    path: str
    part: str = Part.OWN
    imports: Mapping[str, int] = field(default_factory=dict)
    suspects: FileFacts | None = None
    called: frozenset[Place] = frozenset()
    packaging: tuple[tuple[str, int, int], ...] = ()
    """Module, line, :class:`How`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Digest:
    """One distribution. ``compiled`` are modules that are no source, ``unread`` files that were not read."""

    modules: tuple[Module, ...] = ()
    compiled: tuple[str, ...] = ()
    unread: int = 0


def document(digest: Digest) -> list[Any]:
    """A digest as what ``json.dumps`` takes."""
    return [
        [
            [
                module.name,
                module.path,
                module.part,
                dict(module.imports),
                None if module.suspects is None else packed(module.suspects),
                sorted(module.called),
                module.packaging,
            ]
            for module in digest.modules
        ],
        digest.compiled,
        digest.unread,
    ]


def from_document(data: Any) -> Digest:
    """The digest that :func:`document` made ``data`` of.

    :raises ValueError: it did not.
    """
    try:
        rows, compiled, unread = data
        return Digest(
            modules=tuple([_module(row) for row in rows]),
            compiled=tuple([str(name) for name in compiled]),
            unread=int(unread),
        )
    except (TypeError, IndexError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no digest: {error}") from error


def _module(row: Any) -> Module:
    name, path, part, imports, suspects, called, packaging = row
    return Module(
        name=str(name),
        path=str(path),
        part=str(part),
        imports={str(target): int(how) for target, how in imports.items()},
        suspects=None if suspects is None else unpacked(suspects),
        called=frozenset([(int(line), int(column)) for line, column in called]),
        packaging=tuple([(str(asked), int(line), int(how)) for asked, line, how in packaging]),
    )
