"""Summarize outcomes into the state of a cell, the readiness of a service and the verdict on the whole run.

Nothing that was not checked counts as proven: a service is *ready* only if every planned cell was checked, nothing
failed, no check was left out, and its suite, if it has one, passed on the target.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_py312.core.model.findings import Interpreter, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.readiness import ServiceVerdict
from pytest_py312.core.model.report import EXIT_INCONCLUSIVE, Report
from pytest_py312.core.text import escape_terminal, pluralize
from pytest_py312.gate.reports.results import grouped, reported_findings

_INTERRUPTED_EXIT_CODES = (2, 3)  # pytest's exit codes INTERRUPTED and INTERNAL_ERROR

OutcomesByCell = Mapping[tuple[str, Interpreter | None], Sequence[Outcome]]


class CellState(Enum):
    """Combined state of all checks of one cell, or of one service as a whole."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    SKIPPED = "skipped"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, kw_only=True, slots=True)
class TableCell:
    """A service on one interpreter, or as a whole. ``state`` is ``None`` if there is nothing to check."""

    state: CellState | None
    outcomes: tuple[Outcome, ...]
    is_baseline: bool

    @property
    def is_cached(self) -> bool:
        return all_cached(self.outcomes)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunVerdict:
    """Which services are ready, and why the others are not. Services are given by name, in report order."""

    target: Interpreter
    ready: tuple[str, ...]
    blocked: tuple[str, ...]
    errored: tuple[str, ...]
    incomplete: tuple[tuple[str, str], ...]
    """(service, reason): no check failed, but not everything was checked."""
    without_suite: tuple[str, ...]
    """The ready services that have no suite."""
    checked_cells: int
    cached_cells: int
    anything_checked: bool
    skipped_checks: int
    interrupted: bool
    end_signal: str
    """The signal that ended the run, else empty."""
    complete: bool
    """Whether the run came to its end; if not, a report only contains what was known by then."""
    known_findings: int
    """Number of recorded findings, which do not block."""
    judged: int = 0
    """Number of services of which every item that was to run has an outcome, of :attr:`services` that were chosen."""
    services: int = 0
    silent_files: int = 0
    """Test files of the ready services that prove nothing on the target, of :attr:`test_files` that are known."""
    test_files: int = 0
    objections: tuple[str, ...] = ()
    """Why the run is not accepted, by other plugins."""
    inconclusive: bool = False
    """Whether the run ended with the exit code for what could not be checked."""
    lowered_findings: int = 0
    """Number of errors that another plugin has lowered, so that they do not block."""

    @property
    def proven(self) -> bool:
        problems = self.blocked or self.errored or self.incomplete or self.interrupted or self.objections
        return bool(self.ready) and not problems

    @property
    def by_service(self) -> dict[str, ServiceVerdict]:
        """The verdict on each service of which something was to be checked, by its name."""
        return {
            **dict.fromkeys(self.ready, ServiceVerdict.READY),
            **dict.fromkeys((name for name, _ in self.incomplete), ServiceVerdict.INCOMPLETE),
            **dict.fromkeys(self.errored, ServiceVerdict.ERRORED),
            **dict.fromkeys(self.blocked, ServiceVerdict.BLOCKED),
        }

    @property
    def sentence(self) -> str:
        """Closing line of a run."""
        if not self.anything_checked:
            skips = f": {pluralize(self.skipped_checks, 'check')} skipped" if self.skipped_checks else ""
            return f"nothing was checked{skips}{', ' if self.interrupted else ''}{self._interruption_text}"
        if self.proven:
            return f"proven: {pluralize(len(self.ready), 'service')} ready for {self.target} ({self._scope_text})"
        note = (
            f"; exit code {EXIT_INCONCLUSIVE}: nothing failed, not everything was checked" if self.inconclusive else ""
        )
        return f"not proven: {self._problems_text}{note}"

    @property
    def _scope_text(self) -> str:
        parts = [pluralize(self.checked_cells, "cell")]
        if self.cached_cells:
            parts.append(f"{self.cached_cells} cached")
        if self.without_suite:
            parts.append(f"{pluralize(len(self.without_suite), 'service')} without a suite")
        if self.silent_files:
            verb = "proves" if self.silent_files == 1 else "prove"
            parts.append(f"{self.silent_files} of {pluralize(self.test_files, 'test file')} {verb} nothing")
        if self.known_findings:
            parts.append(pluralize(self.known_findings, "known finding"))
        if self.lowered_findings:
            parts.append(f"{pluralize(self.lowered_findings, 'error')} lowered by a plugin")
        return "; ".join(parts)

    @property
    def _interruption_text(self) -> str:
        by = f" by {self.end_signal}" if self.end_signal else ""
        judged = f", with {self.judged} of {pluralize(self.services, 'service')} judged" if self.services > 1 else ""
        return f"the run was interrupted{by}{judged}" if self.interrupted else ""

    @property
    def _problems_text(self) -> str:
        problem_counts = (
            (len(self.blocked), "blocked"),
            (len(self.errored), "could not be checked"),
            (len(self.incomplete), "incomplete"),
        )
        parts = [f"{number} {problem}" for number, problem in problem_counts if number]
        if parts:
            number, _, problem = parts[0].partition(" ")
            parts[0] = f"{pluralize(int(number), 'service')} {problem}"
        if self.interrupted:
            parts.append(self._interruption_text)
        parts += map(escape_terminal, self.objections)
        return ", ".join(parts) + (f"; {len(self.ready)} ready for {self.target}" if self.ready else "")


def outcomes_by_cell(outcomes: Iterable[Outcome]) -> OutcomesByCell:
    """Group outcomes by cell. Those of a service as a whole have ``None`` as their interpreter."""
    return grouped(outcomes, lambda outcome: (outcome.service, outcome.interpreter))


def table_columns(report: Report) -> tuple[Interpreter | None, ...]:
    """Return the columns of the readiness table.

    ``None`` stands for the service as a whole. It is present if any check ran per service.
    """
    used = {cell.interpreter for cell in report.cells}
    used |= {outcome.interpreter for outcome in report.outcomes if outcome.interpreter}
    has_service_outcomes = any(outcome.interpreter is None for outcome in report.outcomes)
    return (*((None,) if has_service_outcomes else ()), *sorted(used))


def table_rows(report: Report) -> dict[str, tuple[TableCell, ...]]:
    """Return the cells of the readiness table by the name of their service, in the order of its columns."""
    columns, outcomes = table_columns(report), outcomes_by_cell(report.outcomes)
    planned = {(cell.service.name, cell.interpreter) for cell in report.cells}

    def table_cell(service: Service, column: Interpreter | None) -> TableCell:
        key = (service.name, column)
        state = state_of(outcomes.get(key, ())) if key in outcomes or key in planned else None
        return TableCell(state=state, outcomes=tuple(outcomes.get(key, ())), is_baseline=column == service.baseline)

    return {service.name: tuple(table_cell(service, column) for column in columns) for service in report.services}


def state_of(outcomes: Iterable[Outcome]) -> CellState:
    """Return the worst state of ``outcomes``. A passed one outweighs skipped ones."""
    statuses = {outcome.status for outcome in outcomes}
    for status in (Status.FAILED, Status.ERRORED, Status.PASSED, Status.SKIPPED):
        if status in statuses:
            return CellState(status.value)
    return CellState.UNCHECKED


def all_cached(outcomes: Iterable[Outcome]) -> bool:
    """Return whether all outcomes that passed or failed come from the cache, and none could not be checked."""
    checked = [outcome for outcome in outcomes if outcome.status is not Status.SKIPPED]
    return bool(checked) and all(outcome.cached for outcome in checked)


def summarize(report: Report) -> RunVerdict:
    """Summarize a run."""
    outcomes = outcomes_by_cell(report.outcomes)
    by_service = grouped(report.outcomes, lambda outcome: outcome.service)
    states = {name: state_of(service_outcomes) for name, service_outcomes in by_service.items()}
    planned = grouped(report.cells, lambda cell: cell.service.name)
    services = {service.name: service for service in report.services}
    names = [name for name in dict.fromkeys([*services, *planned, *states]) if name in planned or name in states]
    not_run = not_run_reasons(report)
    reasons = {
        name: _unchecked_reason(name, services.get(name), planned.get(name, ()), outcomes, report)
        or not_run.get(name, "")
        for name in names
        if states.get(name) not in (CellState.FAILED, CellState.ERRORED)
    }
    ready = tuple(name for name, reason in reasons.items() if not reason)
    findings = reported_findings(report)
    on_target = [each for each in report.comparisons if each.target == report.plan.target and each.service in ready]
    passed = [
        cell_outcomes
        for (_, interpreter), cell_outcomes in outcomes.items()
        if interpreter and state_of(cell_outcomes) is CellState.PASSED
    ]
    interrupted = report.exit_status in _INTERRUPTED_EXIT_CODES
    return RunVerdict(
        target=report.plan.target,
        ready=ready,
        blocked=tuple(name for name in names if states.get(name) is CellState.FAILED),
        errored=tuple(name for name in names if states.get(name) is CellState.ERRORED),
        incomplete=tuple((name, reason) for name, reason in reasons.items() if reason),
        without_suite=tuple(name for name in ready if name in services and services[name].suite is None),
        checked_cells=len(passed),
        cached_cells=sum(map(all_cached, passed)),
        anything_checked=any(outcome.status is not Status.SKIPPED for outcome in report.outcomes),
        skipped_checks=sum(outcome.status is Status.SKIPPED for outcome in report.outcomes),
        interrupted=interrupted,
        end_signal=report.end_signal,
        complete=not (report.cut_short or report.not_run or interrupted),
        judged=sum(name not in not_run for name in names),
        services=len(names),
        known_findings=sum(result.finding.known for result in findings),
        objections=report.objections,
        inconclusive=report.exit_status == EXIT_INCONCLUSIVE,
        lowered_findings=sum(result.finding.lowered_from is Severity.ERROR for result in findings),
        silent_files=sum(len(comparison.silent_files) for comparison in on_target),
        test_files=sum(comparison.test_files for comparison in on_target),
    )


def _unchecked_reason(
    name: str, service: Service | None, planned: Sequence[Cell], outcomes: OutcomesByCell, report: Report
) -> str:
    """Return why a service without a failure is not ready; empty if it is ready."""
    target = report.plan.target
    on_target = outcomes.get((name, target), ())
    if state_of(on_target) is not CellState.PASSED:
        return f"nothing was checked on {target}"
    has_no_tests = service is not None and service.suite is None and not service.settings.suite_skip_reason
    if has_no_tests and "suite" in report.checks:
        return f"no tests were found for {target}"
    if service is not None and service.suite is not None:
        suites = [outcome for outcome in on_target if outcome.check == "suite"]
        if state_of(suites) is not CellState.PASSED:
            return f"the suite was not run on {target}"
    checked_names = {outcome.check for outcome in (*on_target, *outcomes.get((name, None), ()))}
    missing_checks = [check for check in report.checks if check not in checked_names]
    if missing_checks:
        return f"not checked on {target}: {', '.join(missing_checks)}"
    unchecked = [cell.interpreter for cell in planned if (name, cell.interpreter) not in outcomes]
    if unchecked:
        return f"nothing was checked on {', '.join(map(str, sorted(unchecked)))}"
    return ""


def not_run_reasons(report: Report) -> dict[str, str]:
    """Return the services of which something that was to be run was not, and what."""
    labels = {
        service: [f"{check} on {interpreter}" if interpreter else check for _, interpreter, check in keys]
        for service, keys in grouped(report.not_run, lambda key: key[0]).items()
    }
    return {service: f"not run: {', '.join(items)}" for service, items in labels.items()}
