"""The run as one page that stands alone: no other file, no network, and no script but its own.

All texts come from services, so all are escaped by the template. Should one get through all the same, the page's
policy lets no script run but the one whose digest it names, and lets nothing be loaded from anywhere.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytest_py312.core import html_page
from pytest_py312.core.model.measurements import Comparison
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import prose, visible
from pytest_py312.gate.reports import charts
from pytest_py312.gate.reports.html_view import SpeedView, columns_of, services_of, speeds_of
from pytest_py312.gate.reports.run_verdict import judge

FOLDER = Path(__file__).parent / "page"

DRAWN = 150
"""Comparisons that get charts, the first of the page: drawing takes time, and all have their figures."""
_OPENED = 10
"""Findings that block and are shown unfolded, where there are not more of them."""


def render(report: Report, *, drawing: bool = True) -> str:
    """The page. Without ``drawing``, or without the library for it, measurements have figures and no charts."""
    from markupsafe import Markup

    style, script = html_page.style(), (FOLDER / "page.js").read_text(encoding="utf-8")
    speeds = speeds_of(report)
    pictures, lack = _pictures_or_why_not(speeds) if drawing and speeds else ({}, "")
    return html_page.template(FOLDER / "page.html.j2").render(
        **_facts(report),
        style=Markup(style),
        script=Markup(script),
        policy=html_page.policy(style, script),
        speeds=speeds,
        more_speeds=len(report.speeds) - len(speeds),
        lack=lack,
        pictures={name: Markup(svg) for name, svg in pictures.items()},
    )


def _facts(report: Report) -> dict[str, Any]:
    verdict = judge(report)
    services = services_of(report)
    return {
        "target": str(report.plan.target),
        "proven": verdict.proven,
        "verdict": verdict.sentence,
        "tiles": [
            ("ready", "passed", verdict.ready),
            ("blocked", "failed", verdict.blocked),
            ("could not be checked", "errored", verdict.errored),
            ("not checked in full", "unchecked", [name for name, _ in verdict.unfinished]),
        ],
        "unfinished": [(visible(name), prose(why)) for name, why in verdict.unfinished],
        "columns": ["whole" if on is None else str(on) for on in columns_of(report)],
        "services": services,
        "unfold": sum(service.blocking for service in services) <= _OPENED,
        "waivers": [
            tuple(map(prose, (one.service, one.code or one.test, one.until.isoformat(), one.owner, one.reason)))
            for one in report.plan.waivers
        ],
        "assumptions": [prose(text) for text in report.assumptions],
        "builds": [
            (str(one.interpreter), visible(one.version), prose(one.origin), visible(one.flags)) for one in report.builds
        ],
        "about": [
            (name, prose(text))
            for name, text in (
                ("Made", report.generated),
                ("Plan", report.plan.source or "none: defaults hold"),
                ("Runner", report.runner),
                ("Resolver", report.resolver),
                ("Tool", f"pytest-py312 {report.tool_version}"),
                ("Exit status", str(report.exit_status)),
            )
            if text
        ],
    }  # fmt: skip


def _pictures_or_why_not(speeds: Iterable[SpeedView]) -> tuple[dict[str, str], str]:
    """The charts, or a sentence why there are none: a page with figures alone is better than no page."""
    if not charts.can_draw():
        return {}, "Charts are drawn where vl-convert is installed: pip install 'pytest-py312[charts]'."
    try:
        return _pictures(speeds), ""
    except (ImportError, ValueError) as error:
        return {}, f"Charts could not be drawn: {prose(str(error))}"


def _pictures(speeds: Iterable[SpeedView]) -> dict[str, str]:
    """SVG by its place in the page: ``axis``, ``ratio-1``, ``samples-1``, ``history-1``."""
    chosen = list(speeds)[:DRAWN]
    scale = charts.scale_of(view.speed for view in chosen)
    pictures = {"axis": charts.ratio_axis(scale)}
    for view in chosen:
        speed, number = view.speed, view.number
        if speed.ratio > 0.0:
            pictures[f"ratio-{number}"] = charts.ratio_chart(speed, scale)
            if speed.earlier:
                pictures[f"history-{number}"] = charts.history_chart(speed)
        if speed.pairs:
            pictures[f"samples-{number}"] = charts.samples_chart(speed, *_unit(speed))
    return pictures


def _unit(speed: Comparison) -> tuple[float, str]:
    """A unit in which the measurements are short numbers, and what one of it comes to."""
    if speed.unit == "B":
        return 1e6, "MB"
    least = min(min(pair) for pair in speed.pairs)
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if least >= factor:
            return factor, unit
    return 1e-9, "ns"
