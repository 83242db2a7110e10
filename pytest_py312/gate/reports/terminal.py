"""What a run says in the terminal: the header, a failing item's own text, and the summary at the end.

The order of the summary is the order of a reader's questions: how far are we, what is in the way and who is to blame,
what could not be looked at, what else is worth knowing, and in one last sentence: is it proven?

The table of services and interpreters: one word for all checks of a cell.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from pytest_py312.core.model.findings import Finding, Interpreter, Severity, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import SuiteComparison
from pytest_py312.core.model.plan import Waiver
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import Page, StyledLine, columns, counted, cut, listed, padded, prose, shortened, visible
from pytest_py312.gate.reports.benchmark_table import speed_lines
from pytest_py312.gate.reports.results import telling
from pytest_py312.gate.reports.run_verdict import Outcomes, State, Verdict, all_cached, by_cell, judge, state_of
from pytest_py312.gate.reports.terminal_findings import Merged, blocking, not_checked, told_once

WAIVER_DAYS = 30
"""A waiver is mentioned when it ends within so many days."""

_SHOWN_LINES = 10
_ASSUMPTIONS = 5


def header(*, target: str, services: int, cells: int, runner: str, resolver: str, plan: str) -> list[str]:
    """The lines for ``pytest_report_header``; ``plan`` is the plan's file, empty where there is none."""
    extent = f"{counted(services, 'service')}, {counted(cells, 'cell')}"
    by = "; ".join(f"{name} {visible(text)}" for name, text in (("runner", runner), ("resolver", resolver)) if text)
    lines = [f"py312: target {target}; {extent}; " + (f"plan {visible(plan)}" if plan else "no plan, defaults hold")]
    return [*lines, f"py312: {by}"] if by else lines


def summary_lines(report: Report, *, width: int, unicode: bool, verbosity: int, today: date) -> list[StyledLine]:
    """The whole summary. ``width`` is in columns; without ``unicode`` every line is ASCII.

    With ``verbosity`` below 0 only what blocks and the closing sentence are left, from 1 on nothing is left out.
    """
    page = Page(width=width, unicode=unicode, verbosity=verbosity)
    verdict = judge(report)
    sections = [blocking(report, page), not_checked(report, page), _unfinished(verdict, page)]
    if verbosity >= 0:
        sections.insert(0, table(report, page))
        sections.append(speed_lines(report, page))
        sections += [_shown(report, page), _waivers(report, page, today), _assumptions(report, page)]
    lines: list[StyledLine] = []
    for section in sections:
        lines += [*section, StyledLine()] if section else []
    return [*lines, *page.paragraph(("", ""), verdict.sentence, _style(verdict))]


def _style(verdict: Verdict) -> str:
    if verdict.proven:
        return "green"
    return "red" if verdict.blocked or verdict.errored or verdict.cut_short else "yellow"


def _unfinished(verdict: Verdict, page: Page) -> list[StyledLine]:
    if not verdict.anything_checked:
        return []
    by_reason: dict[str, list[str]] = {}
    for service, why in verdict.unfinished:
        by_reason.setdefault(why, []).append(service)
    lines = [page.line(("Not checked in full", "bold"))] if by_reason else []
    for why, services in by_reason.items():
        lines += page.paragraph(("  ", ""), f"{why}: {listed(services)}")
    return lines


# ---- shown, not blocking


def _shown(report: Report, page: Page) -> list[StyledLine]:
    """One line for each thing worth knowing, the more telling kinds first; and the skips, one line for each reason."""
    told = _told_by_comparisons(report)
    kinds = (
        ("pre-existing", [*_alike(report), *_findings(report, told, page, lambda finding: finding.preexisting)]),
        ("flaky", _flaky(report)),
        ("waived", _findings(report, told, page, lambda finding: finding.waived and not finding.preexisting)),
        ("warning", _findings(report, told, page, _is_plain(Severity.WARNING))),
        ("note", _findings(report, told, page, _is_plain(Severity.NOTE)) if page.verbosity >= 1 else []),
        ("known", _findings(report, told, page, lambda finding: finding.known and not finding.preexisting)),
        ("skipped", _skips(report)),
    )
    entries = [(kind, text) for kind, texts in kinds for text in texts]
    if not entries:
        return []
    nouns = ("warning", "note")
    numbers = ", ".join(
        counted(len(texts), kind) if kind in nouns else f"{len(texts)} {kind}" for kind, texts in kinds if texts
    )
    lines = [page.line(("Shown, not blocking", "bold"), (f" ({numbers})", ""))]
    limit = len(entries) if page.verbosity >= 1 else _SHOWN_LINES
    indent = max(len(kind) for kind, _ in entries[:limit])
    for kind, text in entries[:limit]:
        lead = f"  {kind:<{indent}}  "
        if page.verbosity >= 1:
            lines += page.paragraph((lead, "yellow"), text)
        else:
            lines.append(
                page.line((lead, "yellow"), (cut(page.plain(text), page.width - len(lead), page.ellipsis), ""))
            )
    if len(entries) > limit:
        lines.append(page.line((f"  and {len(entries) - limit} more, see -v", "dim")))
    return lines


def _told_by_comparisons(report: Report) -> frozenset[tuple[str, str]]:
    """(service, test id) of what the lines about suites say; findings that say it again are left out."""
    return frozenset(
        (comparison.service, test)
        for comparison in report.comparisons
        for test in (*comparison.failing_on_both, *comparison.flaky)
    )


def _alike(report: Report) -> list[str]:
    texts = []
    for service, comparisons in _by_service(report.comparisons).items():
        tests = _union(comparison.failing_on_both for comparison in comparisons)
        if tests:
            verb = "fails" if len(tests) == 1 else "fail"
            who = f"{visible(service)}: {counted(len(tests), 'test')} {verb} on {comparisons[0].baseline} as well"
            texts.append(f"{who}: {listed(tests)}")
    return texts


def _flaky(report: Report) -> list[str]:
    texts = []
    for service, comparisons in _by_service(report.comparisons).items():
        tests = _union(comparison.flaky for comparison in comparisons)
        if tests:
            texts.append(f"{visible(service)}: {counted(len(tests), 'flaky test')}: {listed(tests)}")
    return texts


def _by_service(comparisons: Iterable[SuiteComparison]) -> dict[str, list[SuiteComparison]]:
    found: dict[str, list[SuiteComparison]] = {}
    for comparison in comparisons:
        found.setdefault(comparison.service, []).append(comparison)
    return found


def _union(groups: Iterable[Iterable[str]]) -> list[str]:
    return sorted({test for group in groups for test in group})


def _is_plain(severity: Severity) -> Callable[[Finding], bool]:
    return lambda finding: finding.severity is severity and not finding.preexisting and not finding.waived


def _findings(
    report: Report, told: frozenset[tuple[str, str]], page: Page, wanted: Callable[[Finding], bool]
) -> list[str]:
    by_service: dict[str, list[tuple[Interpreter | None, Finding]]] = {}
    for outcome in report.outcomes:
        if outcome.status is Status.ERRORED:
            continue  # these are shown with their reason
        stopping = telling(outcome) if outcome.status is Status.FAILED else []
        for finding in (one for one in outcome.findings if one not in stopping):
            known = finding.names and all((outcome.service, name) in told for name in finding.names)
            if wanted(finding) and not (known and outcome.check == "suite"):
                by_service.setdefault(outcome.service, []).append((outcome.interpreter, finding))
    return [_one_line(service, found) for service, pairs in by_service.items() for found in told_once(pairs, page)]


def _one_line(service: str, found: Merged) -> str:
    finding = found.finding
    where = visible(str(finding.location)) if finding.location else visible(service)
    on = f" ({found.labels})" if found.labels else ""
    return f"{visible(finding.code)} {where}: {prose(finding.message)}{on}"


def _skips(report: Report) -> list[str]:
    by_reason: dict[tuple[str, str], dict[str, None]] = {}
    for outcome in report.outcomes:
        if outcome.status is Status.SKIPPED:
            by_reason.setdefault((outcome.check, outcome.reason), {})[outcome.service] = None
    return [
        f"{visible(check)} of {listed(list(services), 3)}: {prose(reason)}"
        for (check, reason), services in by_reason.items()
    ]


# ---- waivers and assumptions


def _waivers(report: Report, page: Page, today: date) -> list[StyledLine]:
    ending = sorted(
        (waiver for waiver in report.plan.waivers if (waiver.until - today).days <= WAIVER_DAYS),
        key=lambda waiver: (waiver.until, waiver.service, waiver.code, waiver.test),
    )
    lines = [page.line(("Waivers that end soon", "bold"))] if ending else []
    for waiver in ending:
        lines += page.paragraph(("  ", ""), _ending(waiver, (waiver.until - today).days), "yellow")
    return lines


def _ending(waiver: Waiver, days: int) -> str:
    what = f"{visible(waiver.code or waiver.test)} of {visible(waiver.service)}"
    if days < 0:
        when = f"ended on {waiver.until}, {counted(-days, 'day')} ago"
    else:
        when = f"ends on {waiver.until}, " + (f"in {counted(days, 'day')}" if days else "today")
    return f"{what} {when} ({prose(waiver.owner)}: {prose(waiver.reason)})"


def _assumptions(report: Report, page: Page) -> list[StyledLine]:
    limit = len(report.assumptions) if page.verbosity >= 1 else _ASSUMPTIONS
    lines = [page.line(("Assumed", "bold"))] if report.assumptions else []
    for assumption in report.assumptions[:limit]:
        lines += page.paragraph(("  ", ""), prose(assumption))
    if len(report.assumptions) > limit:
        lines.append(page.line((f"  and {len(report.assumptions) - limit} more, see -v", "dim")))
    return lines


MANY_SERVICES = 60
"""From more services than this on, only those that are not all right have a row (unless ``-v`` is given)."""

_SIGN_WIDTH = 6  # "[FAIL]", the longest
_GAP = 2
_SHORTEST_NAME = 12
_INDENT = "  "

_SIGNS = {
    State.PASSED: ("ok", "green"),
    State.FAILED: ("FAIL", "red"),
    State.ERRORED: ("ERR", "yellow"),
    State.SKIPPED: ("skip", "cyan"),
    State.UNCHECKED: ("?", "yellow"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sign:
    """One entry of the table; ``state`` is ``None`` where there is nothing to check."""

    state: State | None
    cached: bool = False
    baseline: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    service: Service
    signs: tuple[_Sign, ...]

    @property
    def is_all_ok(self) -> bool:
        return all(sign.state in (None, State.PASSED) for sign in self.signs)


def table(report: Report, page: Page) -> list[StyledLine]:
    """Rows are services, under their stages; columns are interpreters, and before them the service as a whole."""
    headings = _headings(report)
    outcomes = by_cell(report.outcomes)
    chosen = {(cell.service.name, cell.interpreter) for cell in report.cells}
    taking_part = {name for name, _ in chosen} | {name for name, _ in outcomes}
    rows = [
        _Row(service=service, signs=tuple(_sign(service, heading, outcomes, chosen) for heading in headings))
        for service in report.services
        if service.name in taking_part
    ]
    if not rows:
        return []
    shown = rows
    if len(rows) > MANY_SERVICES and page.verbosity < 1:
        shown = [row for row in rows if not row.is_all_ok]
    lines = _laid_out(report, page, headings, shown) if shown else []
    if len(shown) < len(rows):
        rest = counted(len(rows) - len(shown), "more service" if shown else "service")
        lines.append(page.line((f"{_INDENT}{rest}: all ok", "green")))
    legend = _legend(page, [sign for row in shown for sign in row.signs])
    return [*lines, *([page.line((_INDENT + legend, "dim"))] if legend else [])]


def _headings(report: Report) -> list[Interpreter | None]:
    used = {cell.interpreter for cell in report.cells}
    used |= {outcome.interpreter for outcome in report.outcomes if outcome.interpreter}
    as_a_whole = any(outcome.interpreter is None for outcome in report.outcomes)
    return [*([None] if as_a_whole else []), *sorted(used)]


def _sign(
    service: Service, heading: Interpreter | None, outcomes: Outcomes, chosen: set[tuple[str, Interpreter]]
) -> _Sign:
    found = outcomes.get((service.name, heading), ())
    baseline = heading == service.baseline
    if not found and (heading is None or (service.name, heading) not in chosen):
        return _Sign(state=None, baseline=baseline)
    state = state_of(found)
    return _Sign(state=state, cached=state is State.PASSED and all_cached(found), baseline=baseline)


def _laid_out(
    report: Report, page: Page, headings: Sequence[Interpreter | None], rows: Sequence[_Row]
) -> list[StyledLine]:
    names = [page.plain(visible(row.service.name)) for row in rows]
    room = page.width - len(_INDENT) - len(headings) * (_SIGN_WIDTH + _GAP)
    width = min(max(map(columns, names)), max(room, _SHORTEST_NAME))
    titles = [str(heading) if heading else "whole" for heading in headings]
    head = "".join(f"{' ' * _GAP} {title:<{_SIGN_WIDTH - 1}}" for title in titles).rstrip()
    lines = [page.line((_INDENT + " " * width + head, "bold"))]
    stages = {stage.number: stage for stage in report.plan.stages}
    current: int | None = None
    for row, name in zip(rows, names, strict=True):
        number = row.service.stage
        if number != current and (stages or len({other.service.stage for other in rows}) > 1):
            stage = stages.get(number)
            title = f"stage {number}" + (f" {prose(stage.name)}" if stage and stage.name else "")
            lines.append(page.line((title, "bold"), (" (critical)" if stage and stage.critical else "", "")))
        current = number
        label = padded(shortened(name, width, page.ellipsis), width)
        lines.append(page.line((_INDENT + label, ""), *_pieces(page, row.signs)))
    return lines


def _pieces(page: Page, signs: Sequence[_Sign]) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    pending = ""  # the spaces since the last word: never written after the last one of a line
    for sign in signs:
        word, style = _word(page, sign)
        opening, closing = "[]" if sign.baseline else (" ", "")
        pieces += [(pending + " " * _GAP + opening, ""), (word, style), (closing, "")]
        pending = " " * (_SIGN_WIDTH - 1 - len(word) - len(closing))
    return pieces


def _word(page: Page, sign: _Sign) -> tuple[str, str]:
    if sign.state is None:
        return "·" if page.unicode else ".", "dim"
    word, style = _SIGNS[sign.state]
    return (word + "*", style) if sign.cached else (word, style)


def _legend(page: Page, signs: Sequence[_Sign]) -> str:
    entries = (
        ("[ ] runs on it today", any(sign.baseline for sign in signs)),
        ("* known from an earlier run", any(sign.cached for sign in signs)),
        ("? not checked", any(sign.state is State.UNCHECKED for sign in signs)),
        (f"{_word(page, _Sign(state=None))[0]} not part of this run", any(sign.state is None for sign in signs)),
    )
    return "   ".join(text for text, applies in entries if applies)
