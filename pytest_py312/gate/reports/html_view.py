"""What the page shows, in words and figures: every text in it is visible and bounded, and nothing is HTML yet. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Outcome, Severity, Status
from pytest_py312.core.model.measurements import Comparison, Verdict
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import Page, last_lines, prose, visible
from pytest_py312.gate.reports.benchmark_table import OWN, in_rows, ratio_text, seconds
from pytest_py312.gate.reports.results import Result, excerpt, results, worst_first
from pytest_py312.gate.reports.run_verdict import State, all_cached, by_cell, state_of

SHOWN = 300
"""Findings of one service that are shown; a report in another form has them all."""
MEASURED = 2_000
"""Comparisons that are shown."""
_NAMES = 50
_EVIDENCE_LINES = 30
_PAGE = Page(width=110, unicode=True, verbosity=1)
_ORDER = {State.FAILED: 0, State.ERRORED: 1, State.UNCHECKED: 2, State.SKIPPED: 3, State.PASSED: 4}
WORDS = {
    State.PASSED: ("✓", "passed"),
    State.FAILED: ("✗", "failed"),
    State.ERRORED: ("!", "not checked"),
    State.SKIPPED: ("-", "skipped"),
    State.UNCHECKED: ("?", "not asked"),
}
"""A sign and a word for each state, as a colour alone says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """How something ended. ``order``: the worst is the least, for sorting; ``checks``: those that did, if badly."""

    kind: str
    sign: str
    word: str
    order: int
    cached: bool = False
    baseline: bool = False
    checks: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingView:
    """A finding. ``level``: blocking, error, warning or note; ``asides`` say on what, and why it does not block."""

    level: str
    stops: bool
    code: str
    message: str
    place: str
    asides: tuple[str, ...]
    excerpt: str
    names: tuple[str, ...]
    more_names: int
    remedy: str
    evidence: str
    changes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerView:
    """One outcome: a check of the service or of a cell."""

    check: str
    on: str
    order: tuple[int, int]
    sign: Sign
    reason: str
    seconds: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteView:
    """How many tests ended how on one interpreter."""

    on: str
    counts: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceView:
    """A service; ``signs`` are in the order of the columns, ``None`` where nothing was to be checked."""

    number: int
    name: str
    path: str
    stage: int
    stage_name: str
    critical: bool
    baseline: str
    baseline_source: str
    sign: Sign
    signs: tuple[Sign | None, ...]
    blocking: int
    findings: tuple[FindingView, ...]
    more_findings: int
    answers: tuple[AnswerView, ...]
    suites: tuple[SuiteView, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PastView:
    """An earlier run."""

    at: str
    verdict: str
    ratio: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedView:
    """Something that was measured; ``speed`` has the figures to sort by and to draw."""

    number: int
    service: str
    name: str
    kind: str
    versions: str
    verdict: str
    sign: str
    ratio: str
    before: str
    after: str
    pairs: int
    threshold: str
    control: str
    note: str
    more: str
    p_value: str
    confidence: str
    conditions: tuple[tuple[str, str, str], ...]
    past: tuple[PastView, ...]
    opened: bool
    """Whether it is shown with all that is known of it: what blocks should be seen."""
    speed: Comparison


def sign_of(state: State, *, cached: bool = False, baseline: bool = False) -> Sign:
    sign, word = WORDS[state]
    return Sign(kind=state.value, sign=sign, word=word, order=_ORDER[state], cached=cached, baseline=baseline)


def _cell(outcomes: Sequence[Outcome], *, baseline: bool) -> Sign:
    """All checks of a cell, with the names of those that ended worst where that is not well."""
    state = state_of(outcomes)
    names = sorted({visible(outcome.check) for outcome in outcomes if outcome.status.value == state.value})
    told = ", ".join(names) if state in (State.FAILED, State.ERRORED) else ""
    cached = state is State.PASSED and all_cached(outcomes)
    return replace(sign_of(state, cached=cached, baseline=baseline), checks=told)


def columns_of(report: Report) -> tuple[Interpreter | None, ...]:
    """The columns of the fleet table: ``None``, the service as a whole, where something was asked of it."""
    used = {cell.interpreter for cell in report.cells}
    used |= {outcome.interpreter for outcome in report.outcomes if outcome.interpreter}
    as_a_whole = any(outcome.interpreter is None for outcome in report.outcomes)
    return (*((None,) if as_a_whole else ()), *sorted(used))


def services_of(report: Report) -> list[ServiceView]:
    """All of them, in the order of the report."""
    columns = columns_of(report)
    cells = by_cell(report.outcomes)
    chosen = {(cell.service.name, cell.interpreter) for cell in report.cells}
    found: dict[str, list[Result]] = {}
    for result in results(report):
        found.setdefault(result.service, []).append(result)
    answered: dict[str, list[Outcome]] = {}
    for outcome in report.outcomes:
        answered.setdefault(outcome.service, []).append(outcome)
    stages = {stage.number: stage for stage in report.plan.stages}
    views = []
    for number, service in enumerate(report.services, 1):
        outcomes, of_service = answered.get(service.name, []), worst_first(found.get(service.name, []))
        stage = stages.get(service.stage)
        signs = []
        for on in columns:
            asked = cells.get((service.name, on), ())
            expected = bool(asked) or (on is not None and (service.name, on) in chosen)
            signs.append(_cell(asked, baseline=on == service.baseline) if expected else None)
        views.append(
            ServiceView(
                number=number,
                name=visible(service.name),
                path=visible(service.path),
                stage=service.stage,
                stage_name=prose(stage.name) if stage else "",
                critical=service.critical,
                baseline=str(service.baseline),
                baseline_source=prose(service.baseline_source),
                sign=sign_of(state_of(outcomes)),
                signs=tuple(signs),
                blocking=sum(result.stops for result in of_service),
                findings=tuple(map(_finding, of_service[:SHOWN])),
                more_findings=max(0, len(of_service) - SHOWN),
                answers=tuple(map(_answer, sorted(outcomes, key=_answer_order))),
                suites=tuple(_suites(report, service.name)),
            )
        )
    return views


# ---- the parts of a service


def _answer_order(outcome: Outcome) -> tuple[object, ...]:
    return outcome.interpreter is not None, outcome.interpreter or Interpreter(0, 0), outcome.check


def _answer(outcome: Outcome) -> AnswerView:
    on = outcome.interpreter
    return AnswerView(
        check=visible(outcome.check),
        on=str(on) if on else "as a whole",
        order=(on.major, on.minor) if on else (0, 0),
        sign=sign_of(State(outcome.status.value), cached=outcome.cached),
        reason=prose(outcome.reason) or ("nothing blocks" if outcome.status is Status.PASSED else ""),
        seconds="cached" if outcome.cached else f"{outcome.seconds:.1f} s",
    )


def _finding(result: Result) -> FindingView:
    finding = result.finding
    lines = excerpt(finding, _PAGE, 0)
    return FindingView(
        level="blocking" if result.stops else result.level.value,
        stops=result.stops,
        code=visible(finding.code),
        message=prose(finding.message),
        place=visible(str(finding.location)) if finding.location else "",
        asides=tuple(_asides(result)),
        excerpt="\n".join(line.text for line in lines),
        names=tuple(visible(name[:400]) for name in finding.names[:_NAMES] if name not in finding.message),
        more_names=max(0, len(finding.names) - _NAMES),
        remedy=prose(finding.remedy),
        evidence="\n".join(last_lines(finding.detail, _EVIDENCE_LINES)),
        changes=tuple(_changes(finding)),
    )


def _asides(result: Result) -> Iterator[str]:
    finding = result.finding
    yield f"check {visible(result.check)}"
    if result.interpreters:
        yield f"on {', '.join(map(str, result.interpreters))}"
    if finding.severity is Severity.ERROR and not result.stops:
        yield "does not block"
    for applies, word in (
        (finding.confidence is Confidence.LIKELY, "likely"),
        (finding.preexisting, "as bad on the baseline"),
        (finding.waived, "waived"),
        (finding.known, "recorded as known"),
    ):
        if applies:
            yield word


def _changes(finding: Finding) -> Iterator[str]:
    for change in finding.changes[:_NAMES]:
        name = getattr(change, "name", "")
        yield visible(f"{change.path}:{change.line}: {name}{change.old} -> {name}{change.new}"[:500])


def _suites(report: Report, service: str) -> Iterator[SuiteView]:
    """Of the comparison on the target, which knows all interpreters."""
    counts: Mapping[Interpreter, Mapping[str, int]] = {}
    for comparison in report.comparisons:
        if comparison.service == service and (comparison.target == report.plan.target or not counts):
            counts = comparison.counts
    for on in sorted(counts):
        told = ", ".join(f"{number} {visible(end)}" for end, number in sorted(counts[on].items()))
        yield SuiteView(on=str(on), counts=told or "no tests")


# ---- what was measured


_SPEED_SIGNS = {"slower": "▲", "faster": "▼", "same": "=", "inconclusive": "?", "not comparable": "≠"}


def speeds_of(report: Report) -> list[SpeedView]:
    """The comparisons in the order of rows: as many as a page can hold, the others are in other forms of report."""
    return [_speed(number, speed) for number, speed in enumerate(in_rows(report)[:MEASURED], 1)]


def _speed(number: int, speed: Comparison) -> SpeedView:
    before, after = speed.middles
    return SpeedView(
        number=number,
        service=visible(speed.service),
        name=visible(speed.name),
        kind="its own benchmark" if speed.kind == OWN else visible(speed.kind),
        versions=f"{speed.baseline} → {speed.target}",
        verdict=speed.verdict.value,
        sign=_SPEED_SIGNS[speed.verdict.value],
        ratio=ratio_text(speed.ratio, speed.low, speed.high),
        before=seconds(speed, before) if speed.pairs else "",
        after=seconds(speed, after) if speed.pairs else "",
        pairs=len(speed.pairs),
        threshold=f"{100 * speed.threshold:g} %",
        control=ratio_text(*speed.control) if speed.control is not None else "",
        note=prose(speed.note),
        more=_more(speed),
        p_value=f"{speed.p_value:.2g}",
        confidence=f"{math.floor(1000 * speed.confidence) / 10:g} %",
        conditions=tuple(_conditions(speed)),
        past=tuple(_past(speed)),
        opened=speed.kind == OWN and speed.verdict is Verdict.SLOWER,
        speed=speed,
    )


def _more(speed: Comparison) -> str:
    if speed.more_pairs is None:
        return "no number of further pairs would tell: it lies on the edge of what counts"
    return f"about {speed.more_pairs} more pairs would tell" if speed.more_pairs else ""


def _conditions(speed: Comparison) -> Iterator[tuple[str, str, str]]:
    for name in sorted(speed.conditions):
        before, after = (prose(value) for value in speed.conditions[name])
        if before or after:
            yield prose(name), before, after


def _past(speed: Comparison) -> Iterator[PastView]:
    """The newest first."""
    for past in reversed(speed.earlier):
        yield PastView(
            at=visible(past.at),
            verdict=past.verdict.value,
            ratio=ratio_text(past.ratio, past.low, past.high),
            before=seconds(speed, past.before),
            after=seconds(speed, past.after),
        )
