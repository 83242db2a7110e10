"""Prepare what was measured for the HTML page: plain texts and figures, and the charts."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_py312.core.model.measurements import BenchmarkComparison, SpeedVerdict
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import escape_control, escape_terminal
from pytest_py312.gate.reports.benchmarks import charts
from pytest_py312.gate.reports.benchmarks.table import (
    OWN_BENCHMARK,
    format_measurement,
    format_ratio,
    sorted_for_table,
    unit_of,
)

MAX_BENCHMARKS = 2_000
"""Comparisons shown on the page."""
MAX_CHARTS = 150
"""Only the first comparisons get charts, because drawing takes time. All of them have figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PastBenchmarkView:
    """The result of an earlier run."""

    timestamp: str
    verdict: str
    ratio: str
    baseline_value: str
    target_value: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkView:
    """A benchmark comparison. ``speed`` has the unformatted figures, for sorting and drawing."""

    number: int
    service: str
    name: str
    kind: str
    versions: str
    verdict: str
    sign: str
    ratio: str
    baseline_value: str
    target_value: str
    pairs: int
    threshold: str
    control: str
    note: str
    more_pairs_note: str
    p_value: str
    confidence: str
    conditions: tuple[tuple[str, str, str], ...]
    past: tuple[PastBenchmarkView, ...]
    expanded: bool
    """Whether its details are visible at first: true for what blocks."""
    speed: BenchmarkComparison


_VERDICT_SIGNS = {"slower": "▲", "faster": "▼", "same": "=", "inconclusive": "?", "not comparable": "≠"}


def benchmark_views(report: Report) -> list[BenchmarkView]:
    """Return the first comparisons in table order. The other report formats contain all of them."""
    return [_benchmark_view(number, speed) for number, speed in enumerate(sorted_for_table(report)[:MAX_BENCHMARKS], 1)]


def _benchmark_view(number: int, speed: BenchmarkComparison) -> BenchmarkView:
    baseline_value, target_value = speed.medians
    return BenchmarkView(
        number=number,
        service=escape_control(speed.service),
        name=escape_control(speed.name),
        kind="its own benchmark" if speed.kind == OWN_BENCHMARK else escape_control(speed.kind),
        versions=f"{speed.baseline} → {speed.target}",
        verdict=speed.verdict.value,
        sign=_VERDICT_SIGNS[speed.verdict.value],
        ratio=format_ratio(speed.ratio, speed.low, speed.high),
        baseline_value=format_measurement(speed, baseline_value) if speed.pairs else "",
        target_value=format_measurement(speed, target_value) if speed.pairs else "",
        pairs=len(speed.pairs),
        threshold=f"{100 * speed.threshold:g} %",
        control=format_ratio(*speed.control) if speed.control is not None else "",
        note=escape_terminal(speed.note),
        more_pairs_note=_more_pairs_note(speed),
        p_value=f"{speed.p_value:.2g}",
        confidence=f"{math.floor(1000 * speed.confidence) / 10:g} %",
        conditions=tuple(_condition_rows(speed)),
        past=tuple(_past_views(speed)),
        expanded=speed.kind == OWN_BENCHMARK and speed.verdict is SpeedVerdict.SLOWER,
        speed=speed,
    )


def _more_pairs_note(speed: BenchmarkComparison) -> str:
    if speed.pairs_needed is None:
        return "more pairs would not decide it: the ratio is too close to the threshold"
    return f"about {speed.pairs_needed} more pairs needed" if speed.pairs_needed else ""


def _condition_rows(speed: BenchmarkComparison) -> Iterator[tuple[str, str, str]]:
    for name in sorted(speed.conditions):
        baseline_value, target_value = (escape_terminal(value) for value in speed.conditions[name])
        if baseline_value or target_value:
            yield escape_terminal(name), baseline_value, target_value


def _past_views(speed: BenchmarkComparison) -> Iterator[PastBenchmarkView]:
    """Yield the earlier runs, newest first."""
    for past in reversed(speed.past_comparisons):
        yield PastBenchmarkView(
            timestamp=escape_control(past.ended_at),
            verdict=past.verdict.value,
            ratio=format_ratio(past.ratio, past.low, past.high),
            baseline_value=format_measurement(speed, past.baseline_median),
            target_value=format_measurement(speed, past.target_median),
        )


# ---- charts


def charts_or_reason(benchmarks: Iterable[BenchmarkView]) -> tuple[dict[str, str], str]:
    """Return the charts, or a sentence that explains why there are none.

    A failure to draw must not prevent the page.
    """
    if not charts.can_draw():
        return {}, "Charts require vl-convert: pip install 'pytest-py312[charts]'."
    try:
        return _draw_charts(benchmarks), ""
    except (ImportError, ValueError) as error:
        return {}, f"Charts could not be drawn: {escape_terminal(str(error))}"


def _draw_charts(benchmarks: Iterable[BenchmarkView]) -> dict[str, str]:
    """Return SVG by its place in the page: ``axis``, ``ratio-1``, ``samples-1``, ``history-1``."""
    chosen = list(benchmarks)[:MAX_CHARTS]
    scale = charts.common_ratio_scale(view.speed for view in chosen)
    svgs = {"axis": charts.ratio_axis(scale)}
    for view in chosen:
        speed, number = view.speed, view.number
        if speed.ratio > 0.0:
            svgs[f"ratio-{number}"] = charts.ratio_chart(speed, scale)
            if speed.past_comparisons:
                svgs[f"history-{number}"] = charts.history_chart(speed)
        if speed.pairs:
            svgs[f"samples-{number}"] = charts.samples_chart(speed, *unit_of(speed, min(map(min, speed.pairs))))
    return svgs
