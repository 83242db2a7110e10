"""The nouns of the plan: what is to be moved, in which stages, and how each service is run."""

from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from pathlib import Path

from pytest_py312.core.model.findings import Interpreter, Location

RESOLVERS = ("uv", "pip-tools")
"""What ``--py312-resolver`` and the plan's key ``resolver`` may be; the first is the default."""


# ---- the plan: what the user settled


class SuiteKind(Enum):
    """How a service's own tests are run."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    COMMAND = "command"


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """How to run a service's own tests, from the service's folder.

    ``arguments`` are added to the command of the kind (paths, options); for ``COMMAND`` they are the whole command
    line, and ``junit`` is the JUnit file that it writes, relative to the service. ``import_mode`` is pytest's
    ``--import-mode`` where the suite needs one (test files of one basename in several folders without
    ``__init__.py``), else empty.
    """

    kind: SuiteKind
    arguments: tuple[str, ...] = ()
    junit: str = ""
    import_mode: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkSettings:
    """How a service is measured. Changes are relative: 0.1 is 10 %."""

    threshold: float = 0.10
    """The change that counts, of the service's own benchmarks."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """The same for single ones: (glob of test ids, change), the last that fits holds."""
    budget: float = 120.0
    """Seconds that a round of measurements of the service's benchmarks may take; half of it each of what every service
    has (its import, its start, its suite)."""
    unlike_builds: bool = False
    """Whether interpreters that were built with other optimisations are compared all the same."""
    accept_inconclusive: bool = False
    """Whether a benchmark of which nothing could be told lets the service pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """What the plan says of one service; ``None`` (or empty) where it says nothing and discovery infers."""

    baseline: Interpreter | None = None
    requirements: tuple[str, ...] | None = None
    test_requirements: tuple[str, ...] | None = None
    suite: Suite | None = None
    suite_skip_reason: str = ""
    """Not empty: the plan says ``suite = false``, and this is the reason it gives."""
    python_path: tuple[str, ...] | None = None
    prepare: tuple[tuple[str, ...], ...] = ()
    """Commands (argv) run in the scratch copy before the suite, such as compiling ``.proto`` files."""
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    """Further folders of the repository that the suite reads, relative to the root."""
    time_limit: float = 900.0
    """Seconds of wall time for one run of the suite."""
    memory_limit: int = 2 * 1024**3
    """Bytes, for all processes of a cell together."""
    network: bool = False
    """Whether the suite may use the network (docker runner only; the local runner cannot take it away)."""
    benchmark: BenchmarkSettings = BenchmarkSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A numbered group of services that move together. ``services`` are names, paths or globs of either."""

    number: int
    name: str = ""
    services: tuple[str, ...] = ()
    critical: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """An accepted finding. One of ``code`` and ``test`` is given; ``test`` is a test id, globs allowed."""

    service: str
    reason: str
    owner: str
    until: date
    code: str = ""
    test: str = ""
    location: Location | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All settings, read once. Nothing else reads the file.

    ``source`` is the plan file relative to ``root``, empty when there is none and defaults hold.
    """

    root: Path
    source: str = ""
    target: Interpreter = Interpreter(3, 12)
    interpreters: tuple[Interpreter, ...] = tuple(Interpreter(3, minor) for minor in (9, 10, 11, 12))
    services: tuple[str, ...] = ()
    """Globs of folders, relative to ``root``, that are services; empty: found by what folders contain."""
    exclude: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    defaults: ServiceSettings = ServiceSettings()
    overrides: tuple[tuple[str, ServiceSettings], ...] = ()
    """(name or path glob, settings), in the plan's order, each already laid over ``defaults``; the last match holds."""
    waivers: tuple[Waiver, ...] = ()
    fetch_interpreters: bool = False
    runner: str = "auto"
    isolation: str = "cell"
    """Docker runner: a container for each ``cell``, or one for each ``interpreter`` with a clean process per cell."""
    images: tuple[tuple[Interpreter, str], ...] = ()
    image: str = "python:{version}-slim"
    """The base image of interpreters that ``images`` does not name."""
    reruns: int = 2
    """How often a newly failing test is run again on both sides before it is called a regression."""
    exclude_newer: str = ""
    """Cut-off date of resolution, RFC 3339 in UTC; empty: none."""
    lock_hours: float = 24.0
    """How long a resolution without a cut-off date may be used again."""

    def image_of(self, interpreter: Interpreter) -> str:
        """The base image of ``interpreter``, such as ``python:3.12-slim``."""
        return dict(self.images).get(interpreter) or self.image.format(version=interpreter)


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvingPlan(Plan):
    """A plan that says how its sets are resolved as well. ``resolver`` is one of :data:`RESOLVERS`."""

    resolver: str = RESOLVERS[0]
    offline: bool = False


def resolver_of(plan: Plan) -> str:
    """The resolver that ``plan`` asks for."""
    return plan.resolver if isinstance(plan, ResolvingPlan) else RESOLVERS[0]


def is_offline(plan: Plan) -> bool:
    return plan.offline if isinstance(plan, ResolvingPlan) else False


def plan_with(plan: Plan, *, resolver: str = "", offline: bool = False) -> Plan:
    """``plan``, resolved by ``resolver`` (empty: as it says itself), from nothing but the cache where ``offline``."""
    chosen = resolver or resolver_of(plan)
    if chosen == resolver_of(plan) and offline == is_offline(plan):
        return plan
    values = {found.name: getattr(plan, found.name) for found in fields(Plan)}
    return ResolvingPlan(**values, resolver=chosen, offline=offline or is_offline(plan))
