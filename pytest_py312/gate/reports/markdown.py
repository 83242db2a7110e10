"""Render the run as Markdown for the summary of a CI job, a pull request or a page."""

from collections.abc import Sequence

from pytest_py312.core.model.findings import Outcome, Severity, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import (
    escape_control,
    escape_markdown,
    escape_terminal,
    join_names,
    markdown_table,
    pluralize,
)
from pytest_py312.gate.reports.benchmarks.table import benchmark_rows
from pytest_py312.gate.reports.results import (
    ReportedFinding,
    describe_lowering,
    merge_places,
    merge_reasons,
    reason_only_outcomes,
    reported_findings,
    worst_first,
)
from pytest_py312.gate.reports.run_verdict import CellState, TableCell, summarize, table_columns, table_rows

SIZE_LIMIT = 1024 * 1024
"""GitHub's limit in bytes for the summary of one step. It does not show a larger summary at all."""

_SIGNS = {
    CellState.PASSED: "✅ passed",
    CellState.FAILED: "❌ failed",
    CellState.ERRORED: "⚠️ could not be checked",
    CellState.SKIPPED: "skipped",
    CellState.UNCHECKED: "not checked",
}
_MAX_ROWS = 200
"""Rows in one table. The other report formats contain all of them."""
_MAX_NAMES = 5


def render(report: Report, *, limit: int = 0) -> str:
    """Return the whole page.

    :param limit: maximum size in bytes of UTF-8; sections are dropped from the end until the page fits. 0 is unlimited.
    """
    parts = [part for part in _sections(report) if part]
    text = "\n".join(parts)
    while limit and len(text.encode("utf-8", "replace")) > limit and len(parts) > 1:
        parts.pop()
        text = "\n".join([*parts, "", "This report was shortened to the size limit.", ""])
    return text if not limit or len(text.encode("utf-8", "replace")) <= limit else ""


def _sections(report: Report) -> list[str]:
    verdict = summarize(report)
    findings = reported_findings(report)
    unaccepted = [result for result in merge_places(findings) if not result.is_accepted and not result.fails_check]
    reason_only = reason_only_outcomes(report)
    head = f"# Python {report.plan.target}: {escape_markdown(verdict.sentence)}\n"
    return [
        head,
        "" if verdict.complete else "**Not complete**: the run was ended early. This is what was known by then.\n",
        _readiness_table(report),
        _findings_section("Blocking", worst_first(result for result in findings if result.fails_check)),
        _reasons_section("Failed", [outcome for outcome in reason_only if outcome.status is Status.FAILED]),
        _reasons_section(
            "Could not be checked", [outcome for outcome in reason_only if outcome.status is Status.ERRORED]
        ),
        _benchmark_section(report),
        _findings_section(
            "Warnings",
            [result for result in unaccepted if result.level is Severity.WARNING and not result.finding.lowered_from],
        ),
        _findings_section("Lowered by a plugin", [result for result in unaccepted if result.finding.lowered_from]),
        _accepted_note(findings),
        *(
            f"## {escape_markdown(escape_terminal(section.title))}\n\n{_plain(section.text)}\n"
            for section in report.sections
        ),
    ]


def _plain(text: str) -> str:
    """Return text of a plugin with its lines kept."""
    return "  \n".join(escape_markdown(escape_terminal(line)) for line in text.splitlines())


def _readiness_table(report: Report) -> str:
    """Return the table of services and interpreters, with the current interpreter of each service in bold."""
    columns, rows = table_columns(report), table_rows(report)
    if not columns:
        return ""
    titles = [str(on) if on else "Any Python" for on in columns]
    titles += ["Owner"] if any(service.owners for service in report.services) else []
    lines = []
    for service in report.services:
        signs = list(map(_cell_text, rows[service.name]))
        signs += [escape_markdown(join_names(service.owners))] * (len(titles) - len(columns))
        lines.append([escape_markdown(escape_control(service.name)), str(service.stage), *signs])
    table = markdown_table(["Service", "Stage", *titles], lines)
    return "\n".join([*table, "", "Bold: the current Python of the service.", ""])


def _benchmark_section(report: Report) -> str:
    heading, *lines = benchmark_rows(report) or [[]]
    if not lines:
        return ""
    table = "\n".join(markdown_table(heading, [[escape_markdown(cell) for cell in line] for line in lines[:_MAX_ROWS]]))
    more = f"and {len(lines) - _MAX_ROWS} more\n\n" if len(lines) > _MAX_ROWS else ""
    return f"## Benchmarks ({len(lines)})\n\n{table}\n\n{more}A ratio above 1 is slower or uses more.\n"


def _cell_text(cell: TableCell) -> str:
    if cell.state is None:
        return ""
    return f"**{_SIGNS[cell.state]}**" if cell.is_baseline else _SIGNS[cell.state]


def _findings_section(title: str, findings: Sequence[ReportedFinding]) -> str:
    if not findings:
        return ""
    rows = []
    for result in findings[:_MAX_ROWS]:
        finding = result.finding
        affected = f"{result.service} ({result.interpreter_labels})" if result.interpreters else result.service
        what = escape_terminal(finding.message)
        what += f" ({describe_lowering(finding)})" if finding.lowered_from else ""
        what += f" (owner: {escape_control(finding.owner)})" if finding.owner else ""
        names = [name for name in finding.names if name not in finding.message]
        if names:
            what += f" [{join_names(names, _MAX_NAMES)}]"
        cells = (
            escape_control(finding.code),
            escape_control(affected),
            escape_control(result.place),
            what,
            escape_terminal(finding.remedy),
        )
        rows.append([escape_markdown(cell) for cell in cells])
    table = markdown_table(["Code", "Service", "Where", "What", "Remedy"], rows)
    lines = [f"## {title} ({len(findings)})", "", *table]
    if len(findings) > _MAX_ROWS:
        lines += ["", f"and {len(findings) - _MAX_ROWS} more"]
    return "\n".join([*lines, ""])


def _reasons_section(title: str, reason_only: Sequence[Outcome]) -> str:
    if not reason_only:
        return ""
    lines = [f"## {title} ({len(reason_only)})", ""]
    for reason in merge_reasons(reason_only):
        keys = [(outcome.service, outcome.check, outcome.interpreter) for outcome in reason.outcomes]
        labels = join_names([" ".join(str(part) for part in key if part is not None) for key in keys])
        lines.append(f"- {escape_markdown(escape_terminal(reason.text))}: {escape_markdown(labels)}")
    return "\n".join([*lines, ""])


def _accepted_note(findings: Sequence[ReportedFinding]) -> str:
    """Return how many findings are not shown because they are known or waived."""
    known_count = sum(result.finding.known for result in findings)
    waived_count = sum(result.finding.waived for result in findings)
    parts = [pluralize(known_count, "known finding")] * bool(known_count) + [
        pluralize(waived_count, "waived finding")
    ] * bool(waived_count)
    return f"Not shown: {' and '.join(parts)}.\n" if parts else ""
