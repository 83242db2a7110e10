"""Values of the plan: what is migrated, in which stages, and how each service is run."""

from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from pathlib import Path

from pytest_py312.core.model.findings import Interpreter, Location

RESOLVERS = ("uv", "pip-tools")
"""Values of ``--py312-resolver`` and of the plan's key ``resolver``; the first is the default."""


# ---- the plan: what the user decided


class SuiteKind(Enum):
    """The kind of test runner of a service."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    COMMAND = "command"


@dataclass(frozen=True, kw_only=True, slots=True)
class FurtherTest:
    """A command that tests a service beside the run of its suite: ``behave``, ``python -m doctest app.py``."""

    text: str
    """The command as its file has it."""
    words: tuple[str, ...] = ()
    """The command as a cell repeats it, from ``folder``; empty if it cannot."""
    folder: str = "."
    """The folder of the repository in which it is run."""
    environment: tuple[tuple[str, str], ...] = ()
    source: str = ""
    """The file that has it, relative to the root."""
    line: int | None = None

    @property
    def identifier(self) -> str:
        """The name under which its results are compared, which no test has."""
        return f"$ {self.text}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """How to run the tests of a service, from the service's folder or from ``folder``, which is relative to the root.

    ``arguments`` are appended to the command of the kind (paths, options). For ``COMMAND`` they are the whole command
    line, and ``junit`` is the JUnit file that it writes, relative to the service. ``import_mode`` is pytest's
    ``--import-mode`` if the suite needs one (test files with the same name in several folders without ``__init__.py``),
    else empty. ``warning_options`` are the values of ``-W`` of the interpreter that runs it (``error``). ``further``:
    commands that test the service as well.
    """

    kind: SuiteKind
    arguments: tuple[str, ...] = ()
    junit: str = ""
    import_mode: str = ""
    folder: str = ""
    warning_options: tuple[str, ...] = ()
    further: tuple[FurtherTest, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkSettings:
    """How a service is measured. Changes are relative: 0.1 is 10 %."""

    threshold: float = 0.10
    """The relative change of the service's own benchmarks that counts."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """Thresholds of single benchmarks: (glob of test ids, change); the last match applies."""
    budget: float = 120.0
    """Seconds for one round of measurements of the service's benchmarks.

    Each measurement that exists for every service (import, start, suite) may take half of it.
    """
    unlike_builds: bool = False
    """Whether to compare interpreters that were built with different optimisations."""
    accept_inconclusive: bool = False
    """Whether the service passes despite an inconclusive benchmark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedCommand:
    """A command of the plan that installs something: its words, and its place in the plan."""

    words: tuple[str, ...]
    location: Location


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """The plan's settings of one service; ``None`` (or empty) if it sets none and discovery infers it."""

    baseline: Interpreter | None = None
    requirements: tuple[str, ...] | None = None
    test_requirements: tuple[str, ...] | None = None
    install: tuple[PlannedCommand, ...] | None = None
    """The commands that install it for production, from its folder. They are read, and not run."""
    test_install: tuple[PlannedCommand, ...] | None = None
    """The commands that install what its tests need beside that."""
    suite: Suite | None = None
    suite_skip_reason: str = ""
    """Not empty if the plan sets ``suite = false``: the reason given there."""
    python_path: tuple[str, ...] | None = None
    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands (argv) that run in the scratch copy before the suite, such as compiling ``.proto`` files."""
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    """Additional folders of the repository that the suite reads, relative to the root."""
    time_limit: float = 900.0
    """Seconds of wall time for one run of the suite."""
    memory_limit: int = 2 * 1024**3
    """Bytes, for all processes of a cell together."""
    suite_share: float = 0.5
    """The share of its test files that must prove something; below it, the suite could not be checked."""
    network: bool = False
    """Whether the suite may use the network. Only the Docker runner can deny it."""
    benchmark: BenchmarkSettings = BenchmarkSettings()
    owner: tuple[str, ...] = ()
    """Who is responsible for it: teams or people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageDates:
    """When a stage is to be deployed in an environment, and when it is to be accepted there. Both days are included."""

    environment: str
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A numbered group of services that are migrated together. ``services`` are names, paths or globs of either."""

    number: int
    name: str = ""
    services: tuple[str, ...] = ()
    critical: bool = False
    dates: tuple[StageDates, ...] = ()
    """The planned dates, for the roadmap; nothing else depends on them."""

    def dates_in(self, environment: str) -> StageDates:
        """Return the planned dates in an environment; both are ``None`` if the plan has none."""
        return next(
            (dates for dates in self.dates if dates.environment == environment), StageDates(environment=environment)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """An accepted finding. Either ``code`` or ``test`` is set; ``test`` is a test id and may be a glob."""

    service: str
    reason: str
    owner: str
    until: date
    code: str = ""
    test: str = ""
    location: Location | None = None


DEFAULT_BUILD_LIMIT = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All settings of the plan.

    ``source`` is the plan file relative to ``root``; empty if there is none and the defaults apply.
    """

    root: Path
    source: str = ""
    target: Interpreter = Interpreter(3, 12)
    interpreters: tuple[Interpreter, ...] = tuple(Interpreter(3, minor) for minor in (9, 10, 11, 12))
    services: tuple[str, ...] = ()
    """Globs of service folders, relative to ``root``; if empty, services are detected by the content of folders."""
    exclude: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    defaults: ServiceSettings = ServiceSettings()
    overrides: tuple[tuple[str, ServiceSettings], ...] = ()
    """(name or path glob, settings) in the plan's order, each already merged with ``defaults``; the last match applies.
    """
    waivers: tuple[Waiver, ...] = ()
    fetch_interpreters: bool = False
    runner: str = "auto"
    isolation: str = "cell"
    """Docker runner: a container for each ``cell``, or one for each ``interpreter`` with a new process per cell."""
    images: tuple[tuple[Interpreter, str], ...] = ()
    image: str = "python:{version}-slim"
    """The base image of interpreters that ``images`` does not contain."""
    engines: tuple[str, ...] = ()
    """Docker runner: addresses of further engines on which cells run."""
    shared_folder: str = ""
    """A folder that all workers of a cluster see at this path, absolute; empty if there is none."""
    reruns: int = 2
    """How often a newly failing test is repeated on both sides before it counts as a regression."""
    exclude_newer: str = ""
    """Cut-off date of the resolution, RFC 3339 in UTC; empty for none."""
    lock_hours: float = 24.0
    """How long a resolution without a cut-off date may be reused."""
    build_limit: float = DEFAULT_BUILD_LIMIT
    """Seconds for the build of one source on one interpreter."""
    resolver: str = RESOLVERS[0]
    offline: bool = False
    """Whether only the cache is used for resolution; the command line says so."""
    build_network: bool = False
    """Whether builds of sources may use the network for more than their requirements."""
    has_rollout: bool = False
    """Whether the plan says how to deploy or monitor something."""

    def image_of(self, interpreter: Interpreter) -> str:
        """Return the base image of ``interpreter``, such as ``python:3.12-slim``."""
        return dict(self.images).get(interpreter) or self.image.format(version=interpreter)


def with_resolution(plan: Plan, *, resolver: str = "", offline: bool = False) -> Plan:
    """Return ``plan`` with another resolver (empty: unchanged) and, if ``offline``, with resolution from the cache
    only.
    """
    return replace(plan, resolver=resolver or plan.resolver, offline=offline or plan.offline)
