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
from pytest_py312.gate.reports.html_view import service_views
from pytest_py312.gate.reports.run_verdict import summarize, table_columns

PAGE_DIR = Path(__file__).parent / "page"

_MAX_EXPANDED_FINDINGS = 10
"""Blocking findings are expanded if there are at most this many."""


def render(report: Report, *, draw_charts: bool = True) -> str:
    """Return the HTML page. Charts are omitted without ``draw_charts`` or without vl-convert."""
    from markupsafe import Markup

    style, script = html_page.stylesheet(), (PAGE_DIR / "page.js").read_text(encoding="utf-8")
    benchmarks = benchmark_views(report)
    svgs, missing_charts_reason = charts_or_reason(benchmarks) if draw_charts and benchmarks else ({}, "")
    return html_page.load_template(PAGE_DIR / "page.html.j2").render(
        **_template_context(report),
        style=Markup(style),
        script=Markup(script),
        policy=html_page.content_security_policy(style, script),
        benchmarks=benchmarks,
        more_benchmarks=len(report.benchmarks) - len(benchmarks),
        missing_charts_reason=missing_charts_reason,
        charts={name: Markup(svg) for name, svg in svgs.items()},
    )


def _template_context(report: Report) -> dict[str, Any]:
    verdict = summarize(report)
    services = service_views(report)
    return {
        "target": str(report.plan.target),
        "proven": verdict.proven,
        "verdict": verdict.sentence,
        "complete": verdict.complete,
        "tiles": [
            ("ready", "passed", verdict.ready),
            ("blocked", "failed", verdict.blocked),
            ("could not be checked", "errored", verdict.errored),
            ("incomplete", "unchecked", [name for name, _ in verdict.incomplete]),
        ],
        "incomplete": [(escape_control(name), escape_terminal(reason)) for name, reason in verdict.incomplete],
        "columns": ["As a whole" if column is None else str(column) for column in table_columns(report)],
        "services": services,
        "unfold": sum(service.blocking for service in services) <= _MAX_EXPANDED_FINDINGS,
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
                ("Created", report.generated),
                ("Plan", report.plan.source or "none: defaults apply"),
                ("Runner", report.runner),
                ("Resolver", report.resolver),
                ("Tool", f"pytest-py312 {report.tool_version}"),
                ("Exit status", str(report.exit_status)),
            )
            if text
        ],
    }  # fmt: skip
