"""The result of a whole run, as it is passed to the reports."""

from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter, Outcome
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import BenchmarkComparison, InterpreterBuild, SuiteComparison
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.shards import ShardPart

EXIT_INCONCLUSIVE = 76
"""Exit code with ``--py312-inconclusive=warn`` if nothing failed, and something could not be checked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutReport:
    """The journal's record of the stage that a run deployed or monitored. If it was never deployed, most fields are
    empty.

    ``status`` is passed, failed or pending; ``credited`` and ``soak`` are seconds.
    """

    environment: str
    stage: int
    status: str
    reason: str = ""
    run: str = ""
    state: str = ""
    verdict: str = ""
    credited: float = 0.0
    soak: float = 0.0
    services: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """Where the checked files come from. What is not known is empty, such as a commit outside of git."""

    repository: str = ""
    """``owner/name`` of the remote, else the name of the folder."""
    commit: str = ""
    branch: str = ""
    """Empty if a commit was checked out without one."""
    modified: bool = False
    """Whether files under version control differed from the commit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportSection:
    """A section that another plugin adds to the report: plain text, shown as it is."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything that a report may show of a run."""

    plan: Plan
    services: tuple[Service, ...]
    cells: tuple[Cell, ...]
    outcomes: tuple[Outcome, ...]
    checks: tuple[str, ...] = ()
    """Names of the checks of every cell; a missing one keeps a service from being proven."""
    comparisons: tuple[SuiteComparison, ...] = ()
    assumptions: tuple[str, ...] = ()
    runner: str = ""
    """Name of the runner and why it was chosen: ``docker (engine 26.1.5 answers)``."""
    resolver: str = ""
    generated: str = ""
    """RFC 3339, UTC."""
    tool_version: str = ""
    exit_status: int = 0
    cut_short: bool = False
    """Whether the run ended before all selected items were checked."""
    not_run: tuple[tuple[str, Interpreter | None, str], ...] = ()
    """Service, interpreter and check of what was to be checked, was not, and has no outcome."""
    end_signal: str = ""
    """The signal that ended the run (``SIGTERM``), else empty."""
    builds: tuple[InterpreterBuild, ...] = ()
    benchmarks: tuple[BenchmarkComparison, ...] = ()
    """Benchmarks, ordered by service, then by name."""
    rollout: RolloutReport | None = None
    checkout: Checkout = Checkout()
    objections: tuple[str, ...] = ()
    """Why the run must not be green, by other plugins; as clauses."""
    sections: tuple[ReportSection, ...] = ()
    """Sections of other plugins."""
    history: tuple[tuple[str, ...], ...] = ()
    """The counts of runs over time, up to this one, as a table of texts: its titles, then the oldest run first."""
    shard: ShardPart | None = None
    """Which part of a divided run this is; ``None``: the run was not divided, or its parts are merged."""
