"""The result of installing the requirements of a cell."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.resolution.lock import DependencyLock
from pytest_py312.dependencies.store.environments import Environment
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.build_tools import MissingTool


@dataclass(frozen=True, kw_only=True, slots=True)
class Installation:
    """The result of resolving, installing and importing the requirements of a cell.

    ``environment`` is ``None`` if there is none: because of blocking ``findings``, or because the result is unknown
    (``unchecked`` is the reason). ``incomplete`` says how an environment differs from what is required: what runs in it
    may fail, but it proves nothing. ``built``: the service itself was built and is installed in it. ``imports`` maps
    each module of the directly required distributions to the end of its traceback, empty if it imports.
    ``source_imports`` are those of its modules that were imported only because the source of the service imports them,
    or starts a program that does: some need a configuration that only the service makes, so one that fails says
    something if it imports elsewhere.

    ``unavailable`` are the projects and folders that could not be had here; empty if the reason concerns the whole set.
    ``rest`` is then the installation without them: only its findings count, as what runs in it may miss them.
    """

    build: InterpreterBuild | None = None
    lock: DependencyLock | None = None
    environment: Environment | None = None
    findings: tuple[Finding, ...] = ()
    unchecked: str = ""
    incomplete: str = ""
    built: bool = False
    imports: Mapping[str, str] | None = None
    source_imports: frozenset[str] = frozenset()
    import_causes: frozenset[str] = frozenset()
    """Modules that were imported only because imports of others failed in them."""
    unneeded_imports: frozenset[str] = frozenset()
    """Those that fail and that nothing of the service names or starts: some need an extra, or another program."""
    unused: Mapping[str, str] = field(default_factory=dict)
    """Projects that are required for another reason than to be imported, and that reason; only if imports fail that
    nothing needs."""
    distributions: tuple[StoredDistribution, ...] = ()
    unavailable: tuple[str, ...] = ()
    missing: MissingTool | None = None
    """What the machine or the image lacks, if nothing else is the reason."""
    rest: "Installation | None" = None
    dispensable: frozenset[str] = frozenset()
    """Projects that only tests or development require, and that nothing of the service names; empty if no finding is
    about one."""
    dispensed: tuple[Finding, ...] = ()
    """Why ``environment`` is without some of ``dispensable``. They do not block the service."""


def installed_versions(installation: Installation) -> dict[str, str]:
    """Return the installed versions by normalised project name."""
    return dict(installation.environment.versions) if installation.environment else {}
