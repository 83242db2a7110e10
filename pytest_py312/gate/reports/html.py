"""Render the run as one self-contained HTML page: no other files, no network access, no script but its own.

Texts come from the services under test, so the template escapes all of them. As a second barrier, the content security
policy of the page allows only the script with the given digest and forbids loading anything.
"""

from pathlib import Path
from typing import Any

from pytest_py312.core import html_page
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import escape_control, escape_terminal
from pytest_py312.gate.reports.benchmarks.views import benchmark_views, charts_or_reason
from pytest_py312.gate.reports.html_overview import blocker_views, headline, masthead, remarks, stage_views
from pytest_py312.gate.reports.html_view import StatusSign, service_filters, service_views, status_sign, used_signs
from pytest_py312.gate.reports.run_verdict import CellState, RunVerdict, summarize, table_columns

PAGE_DIR = Path(__file__).parent / "page"

_MAX_EXPANDED_FINDINGS = 10
"""Services are expanded if there are at most this many blocking findings, and so are those of one service."""
_MAX_FIRST_BLOCKERS = 5
"""Causes that are shown at once; the others are folded."""


def render(report: Report, *, draw_charts: bool = True) -> str:
    """Return the HTML page. Charts are omitted without ``draw_charts`` or without vl-convert."""
    from markupsafe import Markup

    style = html_page.stylesheet() + (PAGE_DIR / "page.css").read_text(encoding="utf-8")
    script = (PAGE_DIR / "page.js").read_text(encoding="utf-8")
    benchmarks = benchmark_views(report)
    svgs, missing_charts_reason = charts_or_reason(benchmarks) if draw_charts and benchmarks else ({}, "")
    return html_page.load_template(PAGE_DIR / "page.html.j2").render(
        **_overview(report),
        **_services(report),
        **_about(report),
        style=Markup(style),
        script=Markup(script),
        policy=html_page.content_security_policy(style, script),
        benchmarks=benchmarks,
        more_benchmarks=len(report.benchmarks) - len(benchmarks),
        missing_charts_reason=missing_charts_reason,
        charts={name: Markup(svg) for name, svg in svgs.items()},
    )


def _overview(report: Report) -> dict[str, Any]:
    verdict = summarize(report)
    causes, more_causes = blocker_views(report)
    return {
        "target": str(report.plan.target),
        "title": f"Python {report.plan.target}: {verdict.sentence}",
        "mark": _mark(report, verdict),
        "headline": headline(verdict),
        "remarks": remarks(verdict),
        "complete": verdict.complete,
        "masthead": masthead(report, verdict),
        "stages": stage_views(report, verdict),
        "blockers": causes,
        "more_blockers": more_causes,
        "top": _MAX_FIRST_BLOCKERS,
    }


def _mark(report: Report, verdict: RunVerdict) -> StatusSign:
    """Return the sign of the verdict. A run that has passed has no cross, also if it does not prove everything."""
    if verdict.proven:
        return status_sign(CellState.PASSED)
    if report.exit_status == 0:
        return status_sign(CellState.UNCHECKED)
    return status_sign(CellState.FAILED if verdict.blocked else CellState.ERRORED)


def _services(report: Report) -> dict[str, Any]:
    services = service_views(report, summarize(report))
    names = [(stage.number, escape_terminal(stage.name)) for stage in report.plan.stages]
    return {
        "columns": ["Any Python" if column is None else str(column) for column in table_columns(report)],
        "services": services,
        "anchors": {service.name: service.number for service in services},
        "filters": service_filters(services, dict(names)),
        "legend": used_signs(services),
        "blocking": sum(service.blocking for service in services),
        "unfolded": _MAX_EXPANDED_FINDINGS,
    }


def _about(report: Report) -> dict[str, Any]:
    return {
        "sections": [(section.title, _escape_lines(section.text)) for section in report.sections],
        "history": report.history,
        "waivers": [
            (
                escape_terminal(waiver.service),
                escape_terminal(waiver.code or waiver.test),
                waiver.until.isoformat(),
                escape_terminal(waiver.owner),
                escape_terminal(waiver.reason),
            )
            for waiver in report.plan.waivers
        ],
        "assumptions": [escape_terminal(text) for text in report.assumptions],
        "builds": [
            (
                str(build.interpreter),
                escape_control(build.version),
                escape_terminal(build.origin),
                escape_control(build.flags),
            )
            for build in report.builds
        ],
        "about": [
            (name, escape_terminal(text))
            for name, text in (
                ("Verdict", summarize(report).sentence),
                ("Created", report.generated),
                ("Plan", report.plan.source or "none: defaults apply"),
                ("Runner", report.runner),
                ("Resolver", report.resolver),
                ("Tool", f"pytest-py312 {report.tool_version}"),
                ("Exit status", str(report.exit_status)),
            )
            if text
        ],
    }


def _escape_lines(text: str) -> str:
    return "\n".join(map(escape_control, text.splitlines()))
