"""The interface of checks: what a check is, which facts it can request, and what it returns.

A check requests facts through :class:`Facts` and turns them into findings. It starts no process itself, so tests can
pass facts without running anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pytest_py312.core.model.findings import Confidence, Finding, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell, Service, StartModule
from pytest_py312.core.model.measurements import BenchmarkComparison, StartImport, SuiteComparison, SuiteRun
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.requirements.sources import production_service

if TYPE_CHECKING:  # a run without changes needs none of them, and must not wait for their imports
    from pytest_py312.analysis.services.service_analysis import AnalysisResult
    from pytest_py312.core.model.measurements import BenchmarkResults
    from pytest_py312.dependencies.installation.result import Installation
    from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
    from pytest_py312.repository.services.images import ImageCheckResult
    from pytest_py312.repository.services.requirements.requirement_set import RequirementSet
    from pytest_py312.repository.services.version_survey import DeclaredVersions


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """An outcome, and the comparisons of the suite or the benchmarks that it is based on."""

    outcome: Outcome
    suite_comparison: SuiteComparison | None = None
    benchmarks: tuple[BenchmarkComparison, ...] = ()
    is_kept: bool = True
    """Whether the outcome is valid in later runs: not if it is about a part of what the cell installs, or if a failure
    was not confirmed."""
    determined_at: float | None = None
    """Unix time at which a stored result was computed, if it depends on its inputs only; ``None``: it is valid only as
    long as it passes, of a set with a lock."""


class Facts(Protocol):
    """The facts that a check can request. What takes long is computed once per run, apart from trials of changes."""

    @property
    def plan(self) -> Plan: ...

    def cells(self, service: Service) -> Sequence[Cell]:
        """Return all cells of the service, baseline first, target last, including those not selected for this run."""
        ...

    def requirements(self, service: Service) -> "RequirementSet": ...

    def optional_requirements(self, service: Service) -> Mapping[str, str]:
        """Return the projects that only extras and groups have which are not installed, with their table."""
        ...

    def installation(self, cell: Cell) -> "Installation": ...

    def builds_without_compiler(self, installation: "Installation", distribution: "StoredDistribution") -> bool:
        """Return whether a distribution that was compiled on this machine can be built without a compiler as well."""
        ...

    def start_imports(self, cell: Cell) -> Mapping[str, StartImport]:
        """Map the modules that the service is started with to how their import ended.

        What is not known is missing: nothing is known without an environment.
        """
        ...

    def later_failures(self, cell: Cell, imported_files: frozenset[str]) -> Mapping[StartModule, StartImport]:
        """Map the modules that can be imported on the baseline only to how their import ended here.

        These are the modules that the service imports once it runs, without those in ``imported_files``.
        """
        ...

    def repair(self, cell: Cell, findings: Sequence[Finding]) -> list[Finding]:
        """Return ``findings`` of a blocked set with verified changes as remedies, as far as there are some."""
        ...

    def source_analysis(self, cell: Cell) -> "AnalysisResult":
        """Return the analysis of the source of the service."""
        ...

    def library_analysis(self, cell: Cell) -> "AnalysisResult":
        """Return the analysis of the installed distributions that the service imports."""
        ...

    def declared_versions(self, service: Service) -> "DeclaredVersions":
        """Return every declaration of a Python version for the service."""
        ...

    def image_runs(self, cell: Cell) -> "Sequence[ImageCheckResult]":
        """Return the results of building and checking the service's own images for the cell."""
        ...

    def benchmark_results(self, cell: Cell) -> "BenchmarkResults":
        """Return the benchmarks of the service on the interpreter of the cell against the baseline."""
        ...

    def suite_run(self, cell: Cell, attempt: int = 0, select: tuple[str, ...] = ()) -> SuiteRun:
        """Return a run of the suite, or of the tests in ``select``. ``attempt`` 0 is the first run."""
        ...

    def suite_run_with_baseline_versions(self, cell: Cell, select: tuple[str, ...]) -> SuiteRun | None:
        """Return a run of the tests in ``select`` with the versions of libraries that the baseline has.

        ``None`` if these cannot be installed on the interpreter of the cell.
        """
        ...

    def suite_warnings(self, cell: Cell) -> SuiteRun:
        """Return a run of the suite of which only the warnings are known; it may be one of an earlier session."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckTraits:
    """How the scheduler runs a check. A check has attributes of these names where it differs from the defaults."""

    per_service: bool = False
    """Run once per service, with its cell on the target; the outcome has no interpreter."""
    needs_installation: bool = True
    """It may request the installation of a cell; otherwise nothing is resolved or installed for it."""
    ends_only: bool = False
    """Run on baseline and target only, not on the interpreters between."""
    comes_last: bool = False
    """It measures time: it is begun last, and no suite runs beside it."""
    reads_around: bool = False
    """The cached outcome also depends on files outside of all services."""
    runs_suite: bool = False
    """It may run the suite, so the cached outcome also depends on the files around the service that are copied."""
    sees_names_around: bool = False
    """The cached outcome also depends on the names of modules outside of the service."""

    @classmethod
    def of(cls, check: "Check") -> "CheckTraits":
        return cls(**{name: bool(getattr(check, name)) for name in cls.__slots__ if hasattr(check, name)})


class Check(Protocol):
    """A question about each cell. It requests facts, returns findings, and starts no process.

    Attributes named like the fields of :class:`CheckTraits` tell the scheduler how to run it.
    """

    name: str
    """Last part of the node id, and of the marker ``py312_<name>``."""
    codes: tuple[str, ...]
    """Codes of its findings, for waivers."""

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        """Check the cell. Problems of the service are findings or an errored outcome, never exceptions."""
        ...


def result_of_analysis(check: Check, cell: Cell, analysis: "AnalysisResult") -> CheckResult:
    """Return the result of an analysis of a whole service. An incomplete analysis does not pass."""
    findings = [_without_guess(finding) for finding in analysis.findings]
    outcome = Outcome.from_findings(service=cell.service.name, interpreter=None, check=check.name, findings=findings)
    outcome = outcome.with_unchecked(analysis.unchecked_reason)
    return CheckResult(outcome=outcome, is_kept=not analysis.unchecked_reason)


def _without_guess(finding: Finding) -> Finding:
    """Return ``finding``, as a warning if it is only likely: what is not certain does not block by itself."""
    is_guess = finding.confidence is Confidence.LIKELY and finding.severity is Severity.ERROR
    return replace(finding, severity=Severity.WARNING) if is_guess else finding


def installed_cell(cell: Cell, facts: Facts) -> Cell:
    """Return the cell, or one of its run-time requirements only where those of its tests are installed apart from them
    or cannot be installed.
    """
    production = production_service(cell.service)
    if production is None:
        return cell
    if not cell.service.separate_tests and facts.installation(cell).environment is not None:
        return cell
    production_cell = replace(cell, service=production)
    return production_cell if facts.installation(production_cell).environment is not None else cell


def unless_incomplete(result: CheckResult, reason: str) -> CheckResult:
    """Return ``result``; if it passed although its environment is incomplete for ``reason``, as one without an answer.

    A failure remains: what fails in such an environment has been seen to fail.
    """
    has_passed = result.outcome.status is Status.PASSED
    is_kept = result.is_kept and (has_passed or not reason)
    return replace(result, outcome=result.outcome.with_unchecked(reason), is_kept=is_kept)
