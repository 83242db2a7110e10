"""The run as Markdown: for the summary of a CI job, a pull request or a page. Pure."""

from collections.abc import Sequence

from pytest_py312.core.model.findings import Interpreter, Location, Outcome, Severity, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import counted, escaped, listed, prose, row, visible
from pytest_py312.gate.reports.benchmark_table import speed_table
from pytest_py312.gate.reports.results import Result, results, told_by_reason, worst_first
from pytest_py312.gate.reports.run_verdict import State, by_cell, judge, state_of

SIZE_LIMIT = 1024 * 1024
"""Bytes that GitHub takes as the summary of one step; of a larger one it shows nothing."""

_SIGNS = {
    State.PASSED: "✅ passed",
    State.FAILED: "❌ failed",
    State.ERRORED: "⚠️ not checked",
    State.SKIPPED: "skipped",
    State.UNCHECKED: "not checked",
}
_SHOWN = 200
"""Rows in one table; a report in another form has them all."""
_NAMES = 5


def render(report: Report, *, limit: int = 0) -> str:
    """The whole page. With a ``limit`` in bytes of UTF-8, tables are left out from the end until it fits."""
    parts = [part for part in _parts(report) if part]
    text = "\n".join(parts)
    while limit and len(text.encode("utf-8", "replace")) > limit and len(parts) > 1:
        parts.pop()
        text = "\n".join([*parts, "", "More was found than fits here.", ""])
    return text if not limit or len(text.encode("utf-8", "replace")) <= limit else ""


def _parts(report: Report) -> list[str]:
    verdict = judge(report)
    found = results(report)
    open_ones = [result for result in found if not result.accepted and not result.stops]
    told = told_by_reason(report)
    head = f"# Python {report.plan.target}: {escaped(verdict.sentence)}\n"
    return [
        head,
        _cells(report),
        _findings("Blocking", worst_first(result for result in found if result.stops)),
        _reasons("Failed", [outcome for outcome in told if outcome.status is Status.FAILED]),
        _reasons("Could not be checked", [outcome for outcome in told if outcome.status is Status.ERRORED]),
        _speeds(report),
        _findings("Warnings", [result for result in open_ones if result.level is Severity.WARNING]),
        _accepted(found),
    ]


def _cells(report: Report) -> str:
    """Services and interpreters. The interpreter that a service runs on today is in bold."""
    states = {key: state_of(outcomes) for key, outcomes in by_cell(report.outcomes).items()}
    columns = sorted({cell.interpreter for cell in report.cells})
    if not columns:
        return ""
    chosen = {(cell.service.name, cell.interpreter) for cell in report.cells}
    lines = [row(["Service", "Stage", *map(str, columns)]), row(["---"] * (2 + len(columns)))]
    for service in report.services:
        signs = [_sign(service.name, on, service.baseline, states, chosen) for on in columns]
        lines.append(row([escaped(visible(service.name)), str(service.stage), *signs]))
    return "\n".join([*lines, "", "In bold: what the service runs on today.", ""])


def _speeds(report: Report) -> str:
    """What was measured."""
    heading, *lines = speed_table(report) or [[]]
    if not lines:
        return ""
    told = [row([escaped(cell) for cell in line]) for line in lines[:_SHOWN]]
    table = "\n".join([row(heading), row(["---"] * len(heading)), *told])
    more = f"and {len(lines) - _SHOWN} more\n\n" if len(lines) > _SHOWN else ""
    return f"## Measured ({len(lines)})\n\n{table}\n\n{more}A ratio above 1 is slower, or takes more.\n"


def _sign(
    service: str,
    interpreter: Interpreter,
    baseline: Interpreter,
    states: dict[tuple[str, Interpreter | None], State],
    chosen: set[tuple[str, Interpreter]],
) -> str:
    if (service, interpreter) not in chosen:
        return ""
    sign = _SIGNS[states.get((service, interpreter), State.UNCHECKED)]
    return f"**{sign}**" if interpreter == baseline else sign


def _findings(title: str, found: Sequence[Result]) -> str:
    if not found:
        return ""
    lines = [f"## {title} ({len(found)})", "", row(["Code", "Service", "Where", "What", "Remedy"]), row(["---"] * 5)]
    for result in found[:_SHOWN]:
        finding = result.finding
        on = f"{result.service} ({result.labels})" if result.interpreters else result.service
        what = prose(finding.message)
        names = [name for name in finding.names if name not in finding.message]
        if names:
            what += f" [{listed(names, _NAMES)}]"
        cells = (visible(finding.code), visible(on), _where(finding.location), what, prose(finding.remedy))
        lines.append(row([escaped(cell) for cell in cells]))
    if len(found) > _SHOWN:
        lines += ["", f"and {len(found) - _SHOWN} more"]
    return "\n".join([*lines, ""])


def _where(place: Location | None) -> str:
    return visible(str(place)) if place else ""


def _reasons(title: str, told: Sequence[Outcome]) -> str:
    by_reason: dict[str, list[Outcome]] = {}
    for outcome in told:
        by_reason.setdefault(outcome.reason, []).append(outcome)
    if not by_reason:
        return ""
    lines = [f"## {title} ({len(told)})", ""]
    for reason, outcomes in by_reason.items():
        lines.append(f"- {escaped(prose(reason))}: {escaped(listed([_name(outcome) for outcome in outcomes]))}")
    return "\n".join([*lines, ""])


def _name(outcome: Outcome) -> str:
    return " ".join([outcome.service, outcome.check, *([str(outcome.interpreter)] if outcome.interpreter else [])])


def _accepted(found: Sequence[Result]) -> str:
    """How much is shown nowhere here, and why."""
    known = sum(result.finding.known for result in found)
    waived = sum(result.finding.waived for result in found)
    parts = [counted(known, "known finding")] * bool(known) + [counted(waived, "waived finding")] * bool(waived)
    return f"Not shown: {' and '.join(parts)}.\n" if parts else ""
