"""Render the terminal output: the header, and the summary at the end of a run.

The sections of the summary follow the questions of a reader: the readiness table (one word per cell), what blocks and
why, what could not be checked, what else is worth knowing, and one closing sentence with the verdict.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from pytest_py312.core.model.findings import Finding, Interpreter, Severity, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import SuiteComparison
from pytest_py312.core.model.plan import Waiver
from pytest_py312.core.model.report import Report, ReportSection
from pytest_py312.core.text import (
    StyledLine,
    TerminalFormat,
    display_width,
    escape_control,
    escape_terminal,
    join_names,
    pad,
    pluralize,
    shorten_middle,
    truncate,
)
from pytest_py312.gate.reports.benchmarks.table import benchmark_lines
from pytest_py312.gate.reports.results import MergedFinding, describe_lowering, failure_findings, grouped
from pytest_py312.gate.reports.run_verdict import (
    CellState,
    RunVerdict,
    TableCell,
    summarize,
    table_columns,
    table_rows,
)
from pytest_py312.gate.reports.terminal_findings import (
    blocking_section,
    errored_section,
    hidden_count_lines,
    merge_for_display,
)

WAIVER_WARNING_DAYS = 30
"""A waiver that ends within this many days is mentioned."""

_MAX_NON_BLOCKING_LINES = 10
_MAX_ASSUMPTIONS = 5


def header_lines(*, target: str, services: int, cells: int, runner: str, resolver: str, plan: str) -> list[str]:
    """Return the lines for ``pytest_report_header``. ``plan`` is the file of the plan, empty if there is none."""
    scope = f"{pluralize(services, 'service')}, {pluralize(cells, 'cell')}"
    executors = "; ".join(
        f"{name} {escape_control(text)}" for name, text in (("runner", runner), ("resolver", resolver)) if text
    )
    lines = [
        f"py312: target {target}; {scope}; " + (f"plan {escape_control(plan)}" if plan else "no plan, using defaults")
    ]
    return [*lines, f"py312: {executors}"] if executors else lines


def summary_lines(report: Report, *, width: int, unicode: bool, verbosity: int, today: date) -> list[StyledLine]:
    """Return the whole summary.

    :param width: width of the terminal in columns.
    :param unicode: if false, all lines are ASCII.
    :param verbosity: at -1, only the table, what blocks and the closing sentence remain, below that no table either;
        from 1 on, nothing is left out.
    """
    page = TerminalFormat(width=width, unicode=unicode, verbosity=verbosity)
    verdict = summarize(report)
    sections = [blocking_section(report, page), errored_section(report, page), _incomplete_section(verdict, page)]
    if verbosity >= -1:
        sections.insert(0, readiness_table(report, page))
    if verbosity >= 0:
        sections.append(benchmark_lines(report, page))
        sections += [
            _non_blocking_section(report, page),
            _waivers_section(report, page, today),
            _assumptions_section(report, page),
            *(_plugin_section(section, page) for section in report.sections),
        ]
    lines: list[StyledLine] = []
    for section in sections:
        lines += [*section, StyledLine()] if section else []
    return [*lines, *page.paragraph(("", ""), verdict.sentence, _verdict_style(verdict))]


def _verdict_style(verdict: RunVerdict) -> str:
    if verdict.proven:
        return "green"
    return "red" if verdict.blocked or verdict.errored or verdict.interrupted else "yellow"


def _incomplete_section(verdict: RunVerdict, page: TerminalFormat) -> list[StyledLine]:
    if not verdict.anything_checked:
        return []
    lines = [page.styled_line(("Incomplete", "bold"))] if verdict.incomplete else []
    for reason, entries in grouped(verdict.incomplete, lambda entry: entry[1]).items():
        lines += page.paragraph(("  ", ""), f"{reason}: {join_names([service for service, _ in entries])}")
    return lines


# ---- shown, not blocking


def _non_blocking_section(report: Report, page: TerminalFormat) -> list[StyledLine]:
    """Return one line for each non-blocking fact, the more important kinds first, skipped checks last."""
    reported_tests = _tests_in_comparisons(report)
    lines_on = partial(_finding_lines, report, reported_tests, page)
    kinds = (
        ("pre-existing", [*_failing_on_both_lines(report), *lines_on(lambda finding: finding.preexisting)]),
        ("flaky", _flaky_lines(report)),
        ("lowered", lines_on(lambda finding: finding.lowered_from is not None)),
        ("waived", lines_on(lambda finding: finding.waived and not finding.preexisting)),
        ("warning", lines_on(_has_open_severity(Severity.WARNING))),
        ("note", lines_on(_has_open_severity(Severity.NOTE)) if page.verbosity >= 1 else []),
        ("known", lines_on(lambda finding: finding.known and not finding.preexisting)),
        ("skipped", _skip_lines(report)),
    )
    entries = [(kind, text) for kind, texts in kinds for text in texts]
    if not entries:
        return []
    nouns = ("warning", "note")
    numbers = ", ".join(
        pluralize(len(texts), kind) if kind in nouns else f"{len(texts)} {kind}" for kind, texts in kinds if texts
    )
    lines = [page.styled_line(("Non-blocking", "bold"), (f" ({numbers})", ""))]
    visible = entries if page.verbosity >= 1 else entries[:_MAX_NON_BLOCKING_LINES]
    indent = max(len(kind) for kind, _ in visible)
    for kind, text in visible:
        lines += page.paragraph((f"  {kind:<{indent}}  ", "yellow"), text)
    return lines + hidden_count_lines(len(entries) - len(visible), 2, page)


def _tests_in_comparisons(report: Report) -> frozenset[tuple[str, str]]:
    """Return (service, test id) of the tests in the suite comparisons; findings about them are not repeated."""
    return frozenset(
        (comparison.service, test)
        for comparison in report.comparisons
        for test in (*comparison.failing_on_both, *comparison.flaky)
    )


def _failing_on_both_lines(report: Report) -> list[str]:
    texts = []
    for comparison, tests in _tests_by_service(report, lambda comparison: comparison.failing_on_both):
        verb = "fails" if len(tests) == 1 else "fail"
        also = f"{pluralize(len(tests), 'test')} also {verb} on {comparison.baseline}"
        texts.append(f"{escape_control(comparison.service)}: {also}: {join_names(tests)}")
    return texts


def _flaky_lines(report: Report) -> list[str]:
    return [
        f"{escape_control(comparison.service)}: {pluralize(len(tests), 'flaky test')}: {join_names(tests)}"
        for comparison, tests in _tests_by_service(report, lambda comparison: comparison.flaky)
    ]


def _tests_by_service(
    report: Report, tests_of: Callable[[SuiteComparison], Iterable[str]]
) -> Iterator[tuple[SuiteComparison, list[str]]]:
    """Yield the first comparison of each service that has such tests in one, and all of these tests."""
    for comparisons in grouped(report.comparisons, lambda comparison: comparison.service).values():
        if tests := sorted({test for comparison in comparisons for test in tests_of(comparison)}):
            yield comparisons[0], tests


def _has_open_severity(severity: Severity) -> Callable[[Finding], bool]:
    return lambda finding: (
        finding.severity is severity and not (finding.preexisting or finding.waived or finding.lowered_from)
    )


def _finding_lines(
    report: Report, reported_tests: frozenset[tuple[str, str]], page: TerminalFormat, matches: Callable[[Finding], bool]
) -> list[str]:
    by_service: dict[str, list[tuple[Interpreter | None, Finding]]] = {}
    for outcome in report.outcomes:
        if outcome.status is Status.ERRORED:
            continue  # listed with their reason elsewhere
        failing = failure_findings(outcome) if outcome.status is Status.FAILED else []
        for finding in (candidate for candidate in outcome.findings if candidate not in failing):
            is_reported = finding.names and all((outcome.service, name) in reported_tests for name in finding.names)
            if matches(finding) and not (is_reported and outcome.check == "suite"):
                by_service.setdefault(outcome.service, []).append((outcome.interpreter, finding))
    lines = (
        _finding_line(service, group[0], len(group) - 1)
        for service, pairs in by_service.items()
        for group in grouped(merge_for_display(pairs, page), _kind).values()
    )
    return list(dict.fromkeys(lines))  # services share files


def _kind(merged_finding: MergedFinding) -> tuple[object, ...]:
    """Return what is equal for findings that only differ in their place."""
    return merged_finding.finding.code, merged_finding.finding.message, merged_finding.interpreters


def _finding_line(service: str, merged_finding: MergedFinding, more_places: int) -> str:
    finding = merged_finding.finding
    where = escape_control(str(finding.location)) if finding.location else escape_control(service)
    on = f" ({merged_finding.interpreter_labels})" if merged_finding.interpreter_labels else ""
    where += f" (and {pluralize(more_places, 'more place')})" if more_places else ""
    where += f" ({describe_lowering(finding)})" if finding.lowered_from else ""
    return f"{escape_control(finding.code)} {where}: {escape_terminal(finding.message)}{on}"


def _skip_lines(report: Report) -> list[str]:
    by_reason: dict[tuple[str, str], dict[str, None]] = {}
    for outcome in report.outcomes:
        if outcome.status is Status.SKIPPED:
            by_reason.setdefault((outcome.check, outcome.reason), {})[outcome.service] = None
    return [
        f"{escape_control(check)} of {join_names(list(services), 3)}: {escape_terminal(reason)}"
        for (check, reason), services in by_reason.items()
    ]


# ---- waivers and assumptions


def _waivers_section(report: Report, page: TerminalFormat, today: date) -> list[StyledLine]:
    expiring = sorted(
        (waiver for waiver in report.plan.waivers if (waiver.until - today).days <= WAIVER_WARNING_DAYS),
        key=lambda waiver: (waiver.until, waiver.service, waiver.code, waiver.test),
    )
    lines = [page.styled_line(("Waivers ending soon", "bold"))] if expiring else []
    for waiver in expiring:
        lines += page.paragraph(("  ", ""), _describe_expiry(waiver, (waiver.until - today).days), "yellow")
    return lines


def _describe_expiry(waiver: Waiver, days: int) -> str:
    what = f"{escape_control(waiver.code or waiver.test)} of {escape_control(waiver.service)}"
    if days < 0:
        when = f"ended on {waiver.until}, {pluralize(-days, 'day')} ago"
    else:
        when = f"ends on {waiver.until}, " + (f"in {pluralize(days, 'day')}" if days else "today")
    return f"{what} {when} ({escape_terminal(waiver.owner)}: {escape_terminal(waiver.reason)})"


def _assumptions_section(report: Report, page: TerminalFormat) -> list[StyledLine]:
    visible = report.assumptions if page.verbosity >= 1 else report.assumptions[:_MAX_ASSUMPTIONS]
    lines = [page.styled_line(("Assumptions", "bold"))] if report.assumptions else []
    for assumption in visible:
        lines += page.paragraph(("  ", ""), escape_terminal(assumption))
    return lines + hidden_count_lines(len(report.assumptions) - len(visible), 2, page)


def _plugin_section(section: ReportSection, page: TerminalFormat) -> list[StyledLine]:
    lines = [page.styled_line((escape_terminal(section.title), "bold"))]
    for line in section.text.splitlines():
        lines += page.paragraph(("  ", ""), escape_terminal(line))
    return lines


MANY_SERVICES = 60
"""With more services than this, only those with problems have a row (unless ``-v`` is given)."""

_SIGN_WIDTH = 6  # "[FAIL]", the longest
_WHOLE_HEADING = "any Python"
_GAP = 2
_MIN_NAME_WIDTH = 12
_MIN_OWNER_WIDTH = 8
"""Columns that have to be left beside the table; with fewer, owners are not shown."""
_INDENT = "  "

_SIGNS = {
    CellState.PASSED: ("ok", "green"),
    CellState.FAILED: ("FAIL", "red"),
    CellState.ERRORED: ("ERR", "yellow"),
    CellState.SKIPPED: ("skip", "cyan"),
    CellState.UNCHECKED: ("?", "yellow"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    service: Service
    cells: tuple[TableCell, ...]

    @property
    def is_all_ok(self) -> bool:
        return all(cell.state in (None, CellState.PASSED) for cell in self.cells)


def readiness_table(report: Report, page: TerminalFormat) -> list[StyledLine]:
    """Return the table: one row per service, grouped by stage; one column per interpreter and one for the service as a
    whole.
    """
    cells = table_rows(report)
    participants = {cell.service.name for cell in report.cells} | {outcome.service for outcome in report.outcomes}
    rows = [
        _Row(service=service, cells=cells[service.name]) for service in report.services if service.name in participants
    ]
    if not rows:
        return []
    visible_rows = rows
    if len(rows) > MANY_SERVICES and page.verbosity < 1:
        visible_rows = [row for row in rows if not row.is_all_ok]
    lines = _render_rows(report, page, visible_rows) if visible_rows else []
    if len(visible_rows) < len(rows):
        hidden_count = pluralize(len(rows) - len(visible_rows), "more service" if visible_rows else "service")
        lines.append(page.styled_line((f"{_INDENT}{hidden_count}: all ok", "green")))
    legend = _legend(page, [cell for row in visible_rows for cell in row.cells])
    return [*lines, *([page.styled_line((_INDENT + legend, "dim"))] if legend else [])]


def _render_rows(report: Report, page: TerminalFormat, rows: Sequence[_Row]) -> list[StyledLine]:
    headings = table_columns(report)
    names = [page.to_encodable(escape_control(row.service.name)) for row in rows]
    widths = [_SIGN_WIDTH if heading else max(_SIGN_WIDTH, 1 + len(_WHOLE_HEADING)) for heading in headings]
    available = page.width - len(_INDENT) - sum(widths) - len(widths) * _GAP
    width = min(max(map(display_width, names)), max(available, _MIN_NAME_WIDTH))
    titles = [str(heading) if heading else _WHOLE_HEADING for heading in headings]
    head = "".join(f"{' ' * _GAP} {title:<{column - 1}}" for title, column in zip(titles, widths, strict=True)).rstrip()
    signs_width = sum(widths) + len(widths) * _GAP
    owner_width = max(0, available - width - _GAP) if any(row.service.owners for row in rows) else 0
    if owner_width >= _MIN_OWNER_WIDTH:
        head = f"{head:<{signs_width}}{' ' * _GAP}owner"
    lines = [page.styled_line((_INDENT + " " * width + head, "bold"))]
    stages = {stage.number: stage for stage in report.plan.stages}
    current: int | None = None
    for row, name in zip(rows, names, strict=True):
        number = row.service.stage
        if number != current and (stages or len({other.service.stage for other in rows}) > 1):
            stage = stages.get(number)
            title = f"stage {number}" + (f" {escape_terminal(stage.name)}" if stage and stage.name else "")
            lines.append(page.styled_line((title, "bold"), (" (critical)" if stage and stage.critical else "", "")))
        current = number
        label = pad(shorten_middle(name, width, page.ellipsis), width)
        pieces = _sign_pieces(page, row.cells, widths)
        if row.service.owners and owner_width >= _MIN_OWNER_WIDTH:
            owner = page.to_encodable(escape_control(", ".join(row.service.owners)))
            used = sum(display_width(text) for text, _ in pieces)
            pieces.append((" " * (signs_width - used + _GAP) + truncate(owner, owner_width, page.ellipsis), "dim"))
        lines.append(page.styled_line((_INDENT + label, ""), *pieces))
    return lines


def _sign_pieces(page: TerminalFormat, cells: Sequence[TableCell], widths: Sequence[int]) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    pending = ""  # spaces after a word, written only if another word follows
    for cell, width in zip(cells, widths, strict=True):
        word, style = _sign_text(page, cell)
        opening, closing = "[]" if cell.is_baseline else (" ", "")
        pieces += [(pending + " " * _GAP + opening, ""), (word, style), (closing, "")]
        pending = " " * (width - 1 - len(word) - len(closing))
    return pieces


def _sign_text(page: TerminalFormat, cell: TableCell) -> tuple[str, str]:
    if cell.state is None:
        return _sign_of_nothing(page), "dim"
    word, style = _SIGNS[cell.state]
    return (word + "*", style) if cell.is_cached else (word, style)


def _sign_of_nothing(page: TerminalFormat) -> str:
    return "·" if page.unicode else "."


def _legend(page: TerminalFormat, cells: Sequence[TableCell]) -> str:
    entries = (
        ("[ ] current Python", any(cell.is_baseline for cell in cells)),
        ("* cached", any(cell.is_cached for cell in cells)),
        ("? not checked", any(cell.state is CellState.UNCHECKED for cell in cells)),
        (f"{_sign_of_nothing(page)} not part of this run", any(cell.state is None for cell in cells)),
    )
    return "   ".join(text for text, applies in entries if applies)
