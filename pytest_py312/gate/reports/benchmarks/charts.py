"""Draw benchmark charts as SVG to embed in the HTML page.

Vega-Lite draws them; it comes with the optional package vl-convert. Charts contain numbers and interpreter versions
only, no text from a service. They use the CSS custom properties of the page as colours, so that they fit the light
theme, the dark theme and print.
"""

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from pytest_py312.core.model.measurements import BenchmarkComparison, SpeedVerdict

Spec = dict[str, Any]

WIDTH = 250
"""Width of the plot in pixels, without its axis. With the axis a chart fits the screen of a phone."""
_MAX_RATIO = 8.0
"""Ratios above this, or below its inverse, are drawn at the edge."""
_MIN_MAX_RATIO = 1.3
"""A ratio axis reaches at least this far."""
_TICKS = (0.25, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_MAX_TICKS = 6
_MEDIAN_SHAPE = "M-0.06,-0.5H0.06V0.5H-0.06Z"
"""A vertical stroke, as a path in a unit square."""
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # an identifier; nothing is downloaded
_INK, _BAND, _LINE = "currentColor", "var(--band)", "var(--line)"
_COLOURS = {
    SpeedVerdict.SLOWER: "var(--bad)",
    SpeedVerdict.FASTER: "var(--good)",
    SpeedVerdict.SAME: "var(--good)",
    SpeedVerdict.INCONCLUSIVE: "var(--unsure)",
    SpeedVerdict.NOT_COMPARABLE: "var(--unsure)",
}
_CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK, "titleColor": _INK, "tickColor": _LINE, "domainColor": _LINE, "gridColor": _LINE,
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal",
    },
}  # fmt: skip
_ATTRIBUTE = re.compile(r'"[^"]*"')
_LONG_NUMBER = re.compile(r"\d+\.\d{3,}")
"""Numbers in attributes are rounded to a hundredth of a pixel. Axis labels are text and stay as they are."""
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
"""ARIA attributes of single marks. They are removed because the page describes each chart as a whole."""


def can_draw() -> bool:
    """Return whether vl-convert is installed (``pytest-py312[charts]``)."""
    return find_spec("vl_convert") is not None


def _render_svg(spec: Spec) -> str:
    import vl_convert  # large; needed only for pages with benchmarks

    svg: str = vl_convert.vegalite_to_svg({"$schema": _SCHEMA, "config": _CONFIG, "padding": 2, **spec})
    short = _ATTRIBUTE.sub(_round_numbers, _ROLES.sub("", svg))
    return short.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _round_numbers(attribute: "re.Match[str]") -> str:
    return _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.2f}", attribute[0])


# ---- ratios


@dataclass(frozen=True, kw_only=True, slots=True)
class RatioScale:
    """Range of the ratio axis of a chart."""

    low: float
    high: float

    @property
    def ticks(self) -> list[float]:
        """Ratios labelled on the axis: 1 and some on both sides of it."""
        visible_ticks = [tick for tick in _TICKS if self.low <= tick <= self.high]
        step = math.ceil(len(visible_ticks) / _MAX_TICKS)
        middle = visible_ticks.index(1.0)
        return visible_ticks[middle % step :: step]

    def vega_axis(self, **changes: Any) -> Spec:
        return {"values": self.ticks, "title": None, "format": "~g", "domain": False, **changes}

    @property
    def vega_scale(self) -> Spec:
        return {"type": "log", "domain": [self.low, self.high], "clamp": True, "nice": False}


def common_ratio_scale(speeds: Iterable[BenchmarkComparison]) -> RatioScale:
    """Return one scale for all comparisons, so that their charts can be compared by eye."""
    values = [value for speed in speeds for value in (speed.ratio, speed.low, speed.high, 1.0 + speed.threshold)]
    ratios = [max(value, 1.0 / value) for value in values if math.isfinite(value) and value > 0.0]
    widest = min(_MAX_RATIO, max(_MIN_MAX_RATIO, *ratios) * 1.05)
    return RatioScale(low=1.0 / widest, high=widest)


def ratio_axis(scale: RatioScale) -> str:
    """Draw the axis that stands above the charts of :func:`ratio_chart`."""
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": scale.vega_scale,
        "axis": scale.vega_axis(orient="top", tickSize=4),
    }
    mark = {"type": "point", "opacity": 0}
    return _render_svg(
        {"width": WIDTH, "height": 1, "data": {"values": [{"x": 1.0}]}, "mark": mark, "encoding": {"x": x}}
    )


def ratio_chart(speed: BenchmarkComparison, scale: RatioScale) -> str:
    """Draw one comparison: the band of insignificant change, the line at 1, the interval and the ratio."""
    colour = _COLOURS[speed.verdict]
    low, high = 1.0 / (1.0 + speed.threshold), 1.0 + speed.threshold
    layers = [
        _layer({"type": "rect", "color": _BAND}, {"x": low, "x2": high}),
        _layer({"type": "rule", "color": _LINE}, {"x": 1.0}),
    ]
    if math.isfinite(speed.high) and speed.low > 0.0:
        layers.append(_layer({"type": "rule", "color": colour, "strokeWidth": 3}, {"x": speed.low, "x2": speed.high}))
    point = {"type": "point", "filled": True, "opacity": 1, "shape": "diamond", "size": 90, "color": colour}
    layers.append(_layer(point, {"x": speed.ratio}))
    x = {"type": "quantitative", "scale": scale.vega_scale, "axis": None}
    return _render_svg({"width": WIDTH, "height": 20, "encoding": {"x": x}, "layer": layers})


def _layer(mark: Spec, point: dict[str, float]) -> Spec:
    """Return a layer with one mark at one point."""
    encoding: Spec = {name: {"field": name} for name in point}
    encoding["x"]["type"] = "quantitative"
    return {"data": {"values": [point]}, "mark": mark, "encoding": encoding}


# ---- single measurements


def samples_chart(speed: BenchmarkComparison, factor: float, unit: str) -> str:
    """Draw all samples of both interpreters as dots, with quartiles and medians.

    :param factor: samples are divided by it to be in ``unit``.
    """
    names = (str(speed.baseline), str(speed.target))
    rows: list[Spec] = []
    boxes: list[Spec] = []
    for side, name in enumerate(names):
        values = [pair[side] / factor for pair in speed.pairs]
        # the height of a dot has no meaning: it separates the dots, and is deterministic
        rows += [{"on": name, "x": value, "j": index * 7 % 11 - 5} for index, value in enumerate(values)]
        boxes.append(_quartile_row(name, values))
    y = {
        "field": "on", "type": "nominal", "sort": list(names), "scale": {"paddingInner": 0.35, "paddingOuter": 0.2},
        "axis": {"title": None, "ticks": False, "domain": False},
    }  # fmt: skip
    colour = {"field": "on", "scale": {"domain": list(names), "range": ["var(--old)", "var(--new)"]}, "legend": None}
    axis = {"title": unit, "tickCount": 5, "grid": True}
    x = {"type": "quantitative", "scale": {"zero": False, "nice": True}, "axis": axis}
    offset = {"field": "j", "type": "quantitative", "scale": {"domain": [-6, 6]}}
    dots = {
        "data": {"values": rows},
        "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.55},
        "encoding": {"x": {"field": "x", **x}, "yOffset": offset},
    }
    quartiles = {
        "data": {"values": boxes},
        "mark": {"type": "rule", "strokeWidth": 2, "color": _INK},
        "encoding": {"x": {"field": "q1", **x}, "x2": {"field": "q3"}, "color": {"value": _INK}},
    }
    middles = {
        "data": {"values": boxes},
        "mark": {"type": "point", "filled": True, "opacity": 1, "shape": _MEDIAN_SHAPE, "size": 700, "color": _INK},
        "encoding": {"x": {"field": "middle", **x}, "color": {"value": _INK}},
    }
    return _render_svg(
        {"width": WIDTH, "height": 96, "encoding": {"y": y, "color": colour}, "layer": [dots, quartiles, middles]}
    )


def _quartile_row(name: str, values: Sequence[float]) -> Spec:
    q1, middle, q3 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return {"on": name, "q1": q1, "middle": middle, "q3": q3}


# ---- earlier runs


def history_chart(speed: BenchmarkComparison) -> str:
    """Draw the ratios of earlier runs, oldest first, and that of this run, each with its interval."""
    points = [(past.ratio, past.low, past.high) for past in speed.past_comparisons if past.ratio > 0.0]
    rows = [_history_row(index, *point) for index, point in enumerate([*points, (speed.ratio, speed.low, speed.high)])]
    low, high = 1.0 / (1.0 + speed.threshold), 1.0 + speed.threshold
    scale = RatioScale(
        low=min(low, *(row["low"] for row in rows)) / 1.05, high=max(high, *(row["high"] for row in rows)) * 1.05
    )
    axis = scale.vega_axis(title="ratio", grid=False, domain=True)
    y = {"type": "quantitative", "scale": scale.vega_scale, "axis": axis}
    places = {"domain": [-0.5, max(len(rows), 5) - 0.5], "nice": False}
    x = {"x": {"field": "x", "type": "quantitative", "axis": None, "scale": places}}
    at, to = {"y": {"field": "y", **y}}, {"y": {"field": "low", **y}, "y2": {"field": "high"}}
    dot: Spec = {"type": "point", "filled": True, "opacity": 1}
    latest = {**dot, "shape": "diamond", "size": 110, "color": _COLOURS[speed.verdict]}
    marks: tuple[tuple[list[Spec], Spec, Spec], ...] = (
        ([{"low": low, "high": high}], {"type": "rect", "color": _BAND}, to),
        ([{"y": 1.0}], {"type": "rule", "color": _LINE}, at),
        (rows, {"type": "line", "color": _INK, "opacity": 0.6}, {**x, **at}),
        (rows, {"type": "rule", "color": _INK}, {**x, **to}),
        (rows, {**dot, "size": 26, "color": _INK}, {**x, **at}),
        (rows[-1:], latest, {**x, **at}),
    )
    layers = [{"data": {"values": data}, "mark": mark, "encoding": encoding} for data, mark, encoding in marks]
    return _render_svg({"width": WIDTH, "height": 96, "layer": layers})


def _history_row(index: int, ratio: float, low: float, high: float) -> Spec:
    """Return one row of data. An unbounded interval is drawn as a single point."""
    is_bounded = low > 0.0 and math.isfinite(high)
    return {"x": index, "y": ratio, "low": low if is_bounded else ratio, "high": high if is_bounded else ratio}
