"""The summary of one installed distribution's source, small enough to be loaded in every run.

It is created once per distribution and interpreter. It lists the modules with their imports, and of the scanner's facts
only those that may be a problem on this interpreter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_py312.analysis.files.file_kinds import ModuleKind
from pytest_py312.analysis.scanner.facts.facts import FileFacts, pack, unpack

SETUPTOOLS_DEPENDENT_MODULES = frozenset({"distutils", "pkg_resources", "setuptools"})
"""Top-level modules that exist depending on whether setuptools is installed (PY209, PY243)."""


class Likelihood:
    """How likely code runs when a module is imported. Higher values are more likely."""

    WHEN_CALLED = 0
    """Only when a function is called."""
    CONDITIONAL = 1
    """Under a condition that cannot be evaluated, or where a failure is caught."""
    AT_IMPORT = 2
    """Whenever the module is imported."""


Position = tuple[int, int]
"""Line and column, counted from 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleSummary:
    """One module. ``name`` is its dotted name, ``path`` its file below site-packages.

    ``imports`` maps absolute dotted names, of modules or of their members, to a :class:`Likelihood`. ``suspect_facts``
    are the facts that may be a problem on the interpreter; ``called_positions`` are the positions among them that run
    only when a function is called.
    """

    name: str
    path: str
    kind: str = ModuleKind.OWN
    imports: Mapping[str, int] = field(default_factory=dict)
    suspect_facts: FileFacts | None = None
    called_positions: frozenset[Position] = frozenset()
    setuptools_imports: tuple[tuple[str, int, int], ...] = ()
    """Imports of setuptools and of the modules it provides: module, line, :class:`Likelihood`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributionSummary:
    """One distribution. ``compiled`` are extension modules, ``unread`` is the number of unreadable files."""

    modules: tuple[ModuleSummary, ...] = ()
    compiled: tuple[str, ...] = ()
    unread: int = 0


def to_document(summary: DistributionSummary) -> list[Any]:
    """Return a summary as a value for ``json.dumps``."""
    return [
        [
            [
                module.name,
                module.path,
                module.kind,
                dict(module.imports),
                None if module.suspect_facts is None else pack(module.suspect_facts),
                sorted(module.called_positions),
                module.setuptools_imports,
            ]
            for module in summary.modules
        ],
        summary.compiled,
        summary.unread,
    ]


def from_document(data: Any) -> DistributionSummary:
    """Return the summary that :func:`to_document` has converted to ``data``.

    :raises ValueError: ``data`` is not a summary.
    """
    try:
        rows, compiled, unread = data
        return DistributionSummary(
            modules=tuple([_module_from_row(row) for row in rows]),
            compiled=tuple([str(name) for name in compiled]),
            unread=int(unread),
        )
    except (TypeError, IndexError, KeyError, AttributeError) as error:
        raise ValueError(f"this is not a summary: {error}") from error


def _module_from_row(row: Any) -> ModuleSummary:
    name, path, kind, imports, suspect_facts, called_positions, setuptools_imports = row
    return ModuleSummary(
        name=str(name),
        path=str(path),
        kind=str(kind),
        imports={str(target): int(likelihood) for target, likelihood in imports.items()},
        suspect_facts=None if suspect_facts is None else unpack(suspect_facts),
        called_positions=frozenset([(int(line), int(column)) for line, column in called_positions]),
        setuptools_imports=tuple(
            [
                (str(imported_module), int(line), int(likelihood))
                for imported_module, line, likelihood in setuptools_imports
            ]
        ),
    )
