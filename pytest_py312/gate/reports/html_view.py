"""Prepare the content of the HTML page: plain texts and figures, with control characters escaped and lengths bounded.

The template turns these views into HTML and escapes them.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import (
    Confidence,
    Finding,
    Interpreter,
    Outcome,
    Severity,
    Status,
    interpreter_order,
)
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import TerminalFormat, escape_control, escape_terminal, last_lines
from pytest_py312.gate.reports.html_overview import (
    BLOCKED,
    ERRORED,
    INCOMPLETE,
    READY,
    STATUS_LABELS,
    services_command,
    status_by_service,
    verification,
)
from pytest_py312.gate.reports.results import (
    ReportedFinding,
    grouped,
    merge_places,
    reported_findings,
    source_excerpt,
    worst_first,
)
from pytest_py312.gate.reports.run_verdict import (
    CellState,
    RunVerdict,
    TableCell,
    table_rows,
)

MAX_FINDINGS_PER_SERVICE = 300
"""Findings shown per service. The other report formats contain all of them."""
_MAX_NAMES = 50
_MAX_EVIDENCE_LINES = 30
_MAX_PLACES = 200
_PAGE = TerminalFormat(width=110, unicode=True, verbosity=1)
STATE_LABELS = {
    CellState.FAILED: ("✗", "failed"),
    CellState.ERRORED: ("!", "could not be checked"),
    CellState.UNCHECKED: ("?", "not checked"),
    CellState.SKIPPED: ("-", "skipped"),
    CellState.PASSED: ("✓", "passed"),
}
"""Symbol and word for each state, the worst first, so that the meaning does not depend on colour."""


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
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingView:
    """A finding. ``level`` is blocking, error, warning or note; ``notes`` name the interpreters and why it does not
    block.
    """

    level: str
    fails_check: bool
    check: str
    code: str
    message: str
    location: str
    notes: tuple[str, ...]
    excerpt: str
    names: tuple[str, ...]
    more_names: int
    remedy: str
    verification: str
    command: str
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
    """A service. ``signs`` has one entry per column, ``None`` where nothing was to be checked.

    ``status`` is a key of ``STATUS_LABELS``, ``status_reason`` why it was not fully checked. ``checks`` and ``codes``
    are what the page's filters look for: checks that did not pass, and codes of all findings.
    """

    number: int
    name: str
    path: str
    stage: int
    stage_name: str
    critical: bool
    baseline: str
    baseline_source: str
    owners: tuple[str, ...]
    status: str
    status_reason: str
    sign: StatusSign
    signs: tuple[StatusSign | None, ...]
    checks: tuple[str, ...]
    codes: tuple[str, ...]
    blocking: int
    findings: tuple[FindingView, ...]
    more_findings: int
    outcomes: tuple[OutcomeView, ...]
    suites: tuple[SuiteView, ...]


def status_sign(state: CellState, *, calm: bool = False, cached: bool = False, baseline: bool = False) -> StatusSign:
    """Return the sign of a state. ``calm``: the run has passed, so a failure that it accepts is no red cross."""
    sign, word = STATE_LABELS[state]
    kind = state.value
    if calm and state is CellState.FAILED:
        kind, sign = CellState.UNCHECKED.value, "!"
    order = list(STATE_LABELS).index(state)
    return StatusSign(kind=kind, sign=sign, word=word, order=order, cached=cached, baseline=baseline)


def _cell_sign(cell: TableCell, *, calm: bool) -> StatusSign | None:
    """Summarize all checks of a cell; name the checks with the worst result unless all passed."""
    if cell.state is None:
        return None
    names = sorted({escape_control(entry.check) for entry in cell.outcomes if entry.status.value == cell.state.value})
    checks = tuple(names) if cell.state in (CellState.FAILED, CellState.ERRORED) else ()
    sign = status_sign(cell.state, calm=calm, cached=cell.is_cached, baseline=cell.is_baseline)
    return replace(sign, checks=checks)


_SERVICE_STATES = {
    READY: CellState.PASSED,
    BLOCKED: CellState.FAILED,
    ERRORED: CellState.ERRORED,
    INCOMPLETE: CellState.UNCHECKED,
}


class _ServiceViews:
    """Builder of the views of all services of one report."""

    def __init__(self, report: Report, verdict: RunVerdict) -> None:
        self._report = report
        self._rows = table_rows(report)
        self._stages = {stage.number: stage for stage in report.plan.stages}
        self._statuses = status_by_service(verdict)
        self._reasons = dict(verdict.incomplete)
        self._calm = report.exit_status == 0
        self._findings = grouped(reported_findings(report), lambda result: result.service)
        self._outcomes = grouped(report.outcomes, lambda outcome: outcome.service)

    def build(self, number: int, service: Service) -> ServiceView:
        outcomes = self._outcomes.get(service.name, [])
        ordered = sorted(outcomes, key=lambda outcome: (interpreter_order(outcome.interpreter), outcome.check))
        findings = worst_first(merge_places(self._findings.get(service.name, [])))
        shown = findings[:MAX_FINDINGS_PER_SERVICE]
        stage = self._stages.get(service.stage)
        status = self._statuses.get(service.name, INCOMPLETE)
        not_passed = {outcome.check for outcome in outcomes if outcome.status in (Status.FAILED, Status.ERRORED)}
        node_ids = {(outcome.check, outcome.interpreter): outcome.nodeid for outcome in outcomes}
        return ServiceView(
            number=number,
            name=escape_control(service.name),
            path=escape_control(service.path),
            stage=service.stage,
            stage_name=escape_terminal(stage.name) if stage else "",
            critical=service.critical,
            baseline=str(service.baseline),
            baseline_source=escape_terminal(service.baseline_source),
            owners=tuple(map(escape_control, service.owners)),
            status=status,
            status_reason=escape_terminal(self._reasons.get(service.name, "")),
            sign=replace(status_sign(_SERVICE_STATES[status], calm=self._calm), word=STATUS_LABELS[status]),
            signs=tuple(_cell_sign(cell, calm=self._calm) for cell in self._rows[service.name]),
            checks=tuple(map(escape_control, sorted(not_passed | {result.check for result in findings}))),
            codes=tuple(dict.fromkeys(escape_control(result.finding.code) for result in findings)),
            blocking=sum(result.fails_check for result in findings),
            findings=tuple(_finding_view(result, _node_id(result, node_ids)) for result in shown),
            more_findings=len(findings) - len(shown),
            outcomes=tuple(_outcome_view(outcome, self._calm) for outcome in ordered),
            suites=tuple(_suite_views(self._report, service.name)),
        )


def service_views(report: Report, verdict: RunVerdict) -> list[ServiceView]:
    """Return the views of all services: the blocked ones first, then by stage, then in report order."""
    builder = _ServiceViews(report, verdict)
    views = [builder.build(number, service) for number, service in enumerate(report.services, 1)]
    order = list(STATUS_LABELS)
    return sorted(views, key=lambda view: (order.index(view.status), view.stage))


def used_signs(services: Iterable[ServiceView]) -> list[tuple[str, str]]:
    """Return the signs in the table with their words, the best first."""
    signs = {(sign.order, sign.sign, sign.word) for view in services for sign in view.signs if sign is not None}
    return [(sign, word) for _, sign, word in sorted(signs, reverse=True)]


def service_filters(
    services: Sequence[ServiceView], stage_names: Mapping[int, str]
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return the filters of the table: key, label, and the values that occur with their texts."""
    stages = sorted({service.stage for service in services})
    statuses = {service.status for service in services}
    choices = [
        ("stage", "Stage", [(str(number), f"{number} {stage_names.get(number, '')}".strip()) for number in stages]),
        ("status", "Status", [(key, word) for key, word in STATUS_LABELS.items() if key in statuses]),
        ("check", "Check", [(name, name) for name in sorted({name for view in services for name in view.checks})]),
        ("code", "Code", [(code, code) for code in sorted({code for view in services for code in view.codes})]),
        ("owner", "Owner", [(name, name) for name in sorted({name for view in services for name in view.owners})]),
    ]
    return [choice for choice in choices if choice[2]]


# ---- the parts of a service


def _outcome_view(outcome: Outcome, calm: bool) -> OutcomeView:
    interpreter = outcome.interpreter
    return OutcomeView(
        check=escape_control(outcome.check),
        interpreter=str(interpreter) if interpreter else "any Python",
        order=interpreter_order(interpreter),
        sign=status_sign(CellState(outcome.status.value), calm=calm, cached=outcome.cached),
        reason=escape_terminal(outcome.reason) or ("nothing is blocking" if outcome.status is Status.PASSED else ""),
        seconds="cached" if outcome.cached else f"{outcome.seconds:.1f} s",
    )


def _node_id(result: ReportedFinding, node_ids: Mapping[tuple[str, Interpreter | None], str]) -> str:
    """Return the item that reports a finding, on the newest interpreter that has it; empty if there is none."""
    return node_ids.get((result.check, result.interpreters[-1] if result.interpreters else None), "")


def _finding_view(result: ReportedFinding, node_id: str) -> FindingView:
    finding = result.finding
    lines = source_excerpt(finding, _PAGE, 0)
    return FindingView(
        level="blocking" if result.fails_check else result.level.value,
        fails_check=result.fails_check,
        check=escape_control(result.check),
        code=escape_control(finding.code),
        message=escape_terminal(finding.message),
        location=escape_control(result.place),
        notes=tuple(_notes(result)),
        excerpt="\n".join(line.text for line in lines),
        names=tuple(escape_control(name[:400]) for name in finding.names[:_MAX_NAMES] if name not in finding.message),
        more_names=max(0, len(finding.names) - _MAX_NAMES),
        remedy=escape_terminal(finding.remedy),
        verification=verification(escape_terminal(finding.remedy)),
        command=_command(result, node_id),
        evidence="\n".join([*last_lines(finding.detail, _MAX_EVIDENCE_LINES), *_more_places(result)]),
        changes=tuple(_describe_changes(finding)),
    )


def _more_places(result: ReportedFinding) -> Iterator[str]:
    places = [escape_control(str(place)) for place in result.more_places if place is not None]
    if places:
        hidden = len(places) - _MAX_PLACES
        yield f"also at {', '.join(places[:_MAX_PLACES])}{f' and {hidden} more' if hidden > 0 else ''}"


def _command(result: ReportedFinding, node_id: str) -> str:
    """Return the command that writes the remedy, or that checks again; only for what blocks."""
    if not result.fails_check:
        return ""
    if result.finding.changes:
        return services_command([result.service], fix=True)
    return escape_control(f"pytest --py312 {shlex.quote(node_id)}") if node_id else ""


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
