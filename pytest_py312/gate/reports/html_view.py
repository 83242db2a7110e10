"""Prepare the content of the HTML page: plain texts and figures, with control characters escaped and lengths bounded.

The template turns these views into HTML and escapes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Outcome, Severity, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import TerminalFormat, escape_control, escape_terminal, last_lines
from pytest_py312.gate.reports.results import (
    ReportedFinding,
    merge_places,
    reported_findings,
    source_excerpt,
    worst_first,
)
from pytest_py312.gate.reports.run_verdict import CellState, all_cached, outcomes_by_cell, state_of, table_columns

MAX_FINDINGS_PER_SERVICE = 300
"""Findings shown per service. The other report formats contain all of them."""
_MAX_NAMES = 50
_MAX_EVIDENCE_LINES = 30
_MAX_PLACES = 200
_PAGE = TerminalFormat(width=110, unicode=True, verbosity=1)
_STATE_ORDER = {
    CellState.FAILED: 0,
    CellState.ERRORED: 1,
    CellState.UNCHECKED: 2,
    CellState.SKIPPED: 3,
    CellState.PASSED: 4,
}
STATE_LABELS = {
    CellState.PASSED: ("✓", "passed"),
    CellState.FAILED: ("✗", "failed"),
    CellState.ERRORED: ("!", "could not be checked"),
    CellState.SKIPPED: ("-", "skipped"),
    CellState.UNCHECKED: ("?", "not checked"),
}
"""Symbol and word for each state, so that the meaning does not depend on colour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusSign:
    """The state of a cell, a service or an outcome.

    ``order`` sorts the worst state first. ``checks`` names the checks that failed or could not be run.
    """

    kind: str
    sign: str
    word: str
    order: int
    cached: bool = False
    baseline: bool = False
    checks: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingView:
    """A finding. ``level`` is blocking, error, warning or note; ``notes`` name the interpreters and why it does not
    block.
    """

    level: str
    fails_check: bool
    code: str
    message: str
    location: str
    notes: tuple[str, ...]
    excerpt: str
    names: tuple[str, ...]
    more_names: int
    remedy: str
    evidence: str
    changes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeView:
    """One outcome: the result of a check for the service or for one of its cells."""

    check: str
    interpreter: str
    order: tuple[int, int]
    sign: StatusSign
    reason: str
    seconds: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteView:
    """Number of tests by result on one interpreter."""

    interpreter: str
    counts: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceView:
    """A service. ``signs`` has one entry per column, ``None`` where nothing was to be checked."""

    number: int
    name: str
    path: str
    stage: int
    stage_name: str
    critical: bool
    baseline: str
    baseline_source: str
    sign: StatusSign
    signs: tuple[StatusSign | None, ...]
    blocking: int
    findings: tuple[FindingView, ...]
    more_findings: int
    outcomes: tuple[OutcomeView, ...]
    suites: tuple[SuiteView, ...]


def status_sign(state: CellState, *, cached: bool = False, baseline: bool = False) -> StatusSign:
    sign, word = STATE_LABELS[state]
    return StatusSign(
        kind=state.value, sign=sign, word=word, order=_STATE_ORDER[state], cached=cached, baseline=baseline
    )


def _cell_sign(outcomes: Sequence[Outcome], *, baseline: bool) -> StatusSign:
    """Summarize all checks of a cell; name the checks with the worst result unless all passed."""
    state = state_of(outcomes)
    names = sorted({escape_control(outcome.check) for outcome in outcomes if outcome.status.value == state.value})
    check_names = ", ".join(names) if state in (CellState.FAILED, CellState.ERRORED) else ""
    return replace(status_sign(state, cached=all_cached(outcomes), baseline=baseline), checks=check_names)


def service_views(report: Report) -> list[ServiceView]:
    """Return the views of all services in report order."""
    columns = table_columns(report)
    cells = outcomes_by_cell(report.outcomes)
    planned_cells = {(cell.service.name, cell.interpreter) for cell in report.cells}
    findings_by_service: dict[str, list[ReportedFinding]] = {}
    for result in reported_findings(report):
        findings_by_service.setdefault(result.service, []).append(result)
    outcomes_by_service: dict[str, list[Outcome]] = {}
    for outcome in report.outcomes:
        outcomes_by_service.setdefault(outcome.service, []).append(outcome)
    stages = {stage.number: stage for stage in report.plan.stages}
    views = []
    for number, service in enumerate(report.services, 1):
        outcomes, service_findings = (
            outcomes_by_service.get(service.name, []),
            worst_first(merge_places(findings_by_service.get(service.name, []))),
        )
        stage = stages.get(service.stage)
        signs = []
        for on in columns:
            cell_outcomes = cells.get((service.name, on), ())
            expected = bool(cell_outcomes) or (on is not None and (service.name, on) in planned_cells)
            signs.append(_cell_sign(cell_outcomes, baseline=on == service.baseline) if expected else None)
        views.append(
            ServiceView(
                number=number,
                name=escape_control(service.name),
                path=escape_control(service.path),
                stage=service.stage,
                stage_name=escape_terminal(stage.name) if stage else "",
                critical=service.critical,
                baseline=str(service.baseline),
                baseline_source=escape_terminal(service.baseline_source),
                sign=status_sign(state_of(outcomes)),
                signs=tuple(signs),
                blocking=sum(result.fails_check for result in service_findings),
                findings=tuple(map(_finding_view, service_findings[:MAX_FINDINGS_PER_SERVICE])),
                more_findings=max(0, len(service_findings) - MAX_FINDINGS_PER_SERVICE),
                outcomes=tuple(map(_outcome_view, sorted(outcomes, key=_outcome_sort_key))),
                suites=tuple(_suite_views(report, service.name)),
            )
        )
    return views


# ---- the parts of a service


def _outcome_sort_key(outcome: Outcome) -> tuple[object, ...]:
    return outcome.interpreter is not None, outcome.interpreter or Interpreter(0, 0), outcome.check


def _outcome_view(outcome: Outcome) -> OutcomeView:
    interpreter = outcome.interpreter
    return OutcomeView(
        check=escape_control(outcome.check),
        interpreter=str(interpreter) if interpreter else "as a whole",
        order=(interpreter.major, interpreter.minor) if interpreter else (0, 0),
        sign=status_sign(CellState(outcome.status.value), cached=outcome.cached),
        reason=escape_terminal(outcome.reason) or ("nothing is blocking" if outcome.status is Status.PASSED else ""),
        seconds="cached" if outcome.cached else f"{outcome.seconds:.1f} s",
    )


def _finding_view(result: ReportedFinding) -> FindingView:
    finding = result.finding
    lines = source_excerpt(finding, _PAGE, 0)
    return FindingView(
        level="blocking" if result.fails_check else result.level.value,
        fails_check=result.fails_check,
        code=escape_control(finding.code),
        message=escape_terminal(finding.message),
        location=escape_control(result.place),
        notes=tuple(_notes(result)),
        excerpt="\n".join(line.text for line in lines),
        names=tuple(escape_control(name[:400]) for name in finding.names[:_MAX_NAMES] if name not in finding.message),
        more_names=max(0, len(finding.names) - _MAX_NAMES),
        remedy=escape_terminal(finding.remedy),
        evidence="\n".join([*last_lines(finding.detail, _MAX_EVIDENCE_LINES), *_more_places(result)]),
        changes=tuple(_describe_changes(finding)),
    )


def _more_places(result: ReportedFinding) -> Iterator[str]:
    places = [escape_control(str(place)) for place in result.more_places if place is not None]
    if places:
        hidden = len(places) - _MAX_PLACES
        yield f"also at {', '.join(places[:_MAX_PLACES])}{f' and {hidden} more' if hidden > 0 else ''}"


def _notes(result: ReportedFinding) -> Iterator[str]:
    finding = result.finding
    yield f"check {escape_control(result.check)}"
    if result.interpreters:
        yield f"on {', '.join(map(str, result.interpreters))}"
    if finding.severity is Severity.ERROR and not result.fails_check:
        yield "non-blocking"
    for applies, word in (
        (finding.confidence is Confidence.LIKELY, "likely"),
        (finding.preexisting, "pre-existing"),
        (finding.waived, "waived"),
        (finding.known, "known"),
    ):
        if applies:
            yield word


def _describe_changes(finding: Finding) -> Iterator[str]:
    for change in finding.changes[:_MAX_NAMES]:
        name = getattr(change, "name", "")
        yield escape_control(f"{change.path}:{change.line}: {name}{change.old} -> {name}{change.new}"[:500])


def _suite_views(report: Report, service: str) -> Iterator[SuiteView]:
    """Return the counts of the comparison on the target, which includes all interpreters."""
    counts: Mapping[Interpreter, Mapping[str, int]] = {}
    for comparison in report.comparisons:
        if comparison.service == service and (comparison.target == report.plan.target or not counts):
            counts = comparison.counts
    for on in sorted(counts):
        summary = ", ".join(f"{number} {escape_control(end)}" for end, number in sorted(counts[on].items()))
        yield SuiteView(interpreter=str(on), counts=summary or "no tests")
