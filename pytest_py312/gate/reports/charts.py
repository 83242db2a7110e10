"""Charts of what was measured, as SVG that stands in a page. Drawn by Vega-Lite, which vl-convert brings; without it
there are none.

They hold figures and names of interpreters only, never a text of a service. Colours are the page's own custom
properties, so that a chart is right in the dark and on paper.
"""

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from pytest_py312.core.model.measurements import Comparison, Verdict

Spec = dict[str, Any]

WIDTH = 250
"""Of what is drawn in, without its axis: with it a chart fits on a telephone."""
_WIDEST = 8.0
"""Ratios beyond this, or its inverse, are drawn at the edge."""
_NARROWEST = 1.3
_TICKS = (0.25, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_MOST_TICKS = 6
_UPRIGHT = "M-0.06,-0.5H0.06V0.5H-0.06Z"
"""A stroke, as a shape of one by one."""
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # the name of the form; nothing is fetched
_INK, _BAND, _LINE = "currentColor", "var(--band)", "var(--line)"
_COLOURS = {
    Verdict.SLOWER: "var(--bad)",
    Verdict.FASTER: "var(--good)",
    Verdict.SAME: "var(--good)",
    Verdict.INCONCLUSIVE: "var(--unsure)",
    Verdict.NOT_COMPARABLE: "var(--unsure)",
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
"""Within attributes: a place to a hundredth of a pixel. What is written on an axis stays as it is."""
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
"""What describes each mark by itself: the page says what a chart shows, in words and once."""


def can_draw() -> bool:
    """Whether the library is there (``pytest-py312[charts]``)."""
    return find_spec("vl_convert") is not None


def _drawn(spec: Spec) -> str:
    """``spec`` as SVG."""
    import vl_convert  # large, and only asked for by a page with measurements

    svg: str = vl_convert.vegalite_to_svg({"$schema": _SCHEMA, "config": _CONFIG, "padding": 2, **spec})
    short = _ATTRIBUTE.sub(_rounded, _ROLES.sub("", svg))
    return short.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _rounded(attribute: "re.Match[str]") -> str:
    return _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.2f}", attribute[0])


# ---- ratios


@dataclass(frozen=True, kw_only=True, slots=True)
class RatioScale:
    """The ratios from one edge of all charts to the other."""

    low: float
    high: float

    @property
    def ticks(self) -> list[float]:
        """The ratios that are written on the axis: 1, and some on both sides of it."""
        found = [tick for tick in _TICKS if self.low <= tick <= self.high]
        step = math.ceil(len(found) / _MOST_TICKS)
        middle = found.index(1.0)
        return found[middle % step :: step]

    def axis(self, **changes: Any) -> Spec:
        return {"values": self.ticks, "title": None, "format": "~g", "domain": False, **changes}

    @property
    def scale(self) -> Spec:
        return {"type": "log", "domain": [self.low, self.high], "clamp": True, "nice": False}


def scale_of(speeds: Iterable[Comparison]) -> RatioScale:
    """One scale for all of them, so that they can be compared with the eye."""
    values = [value for speed in speeds for value in (speed.ratio, speed.low, speed.high, 1.0 + speed.threshold)]
    ends = [max(value, 1.0 / value) for value in values if math.isfinite(value) and value > 0.0]
    reach = min(_WIDEST, max(_NARROWEST, *ends) * 1.05)
    return RatioScale(low=1.0 / reach, high=reach)


def ratio_axis(scale: RatioScale) -> str:
    """The axis alone, to stand above the charts of :func:`ratio_chart`."""
    x = {"field": "x", "type": "quantitative", "scale": scale.scale, "axis": scale.axis(orient="top", tickSize=4)}
    mark = {"type": "point", "opacity": 0}
    return _drawn({"width": WIDTH, "height": 1, "data": {"values": [{"x": 1.0}]}, "mark": mark, "encoding": {"x": x}})


def ratio_chart(speed: Comparison, scale: RatioScale) -> str:
    """A row of the forest: the band in which a change does not count, 1, the interval and the ratio."""
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
    x = {"type": "quantitative", "scale": scale.scale, "axis": None}
    return _drawn({"width": WIDTH, "height": 20, "encoding": {"x": x}, "layer": layers})


def _layer(mark: Spec, place: dict[str, float]) -> Spec:
    """One mark at one place."""
    encoding: Spec = {name: {"field": name} for name in place}
    encoding["x"]["type"] = "quantitative"
    return {"data": {"values": [place]}, "mark": mark, "encoding": encoding}


# ---- single measurements


def samples_chart(speed: Comparison, factor: float, unit: str) -> str:
    """Every measurement of both sides, one dot each, with their quartiles and medians.

    :param factor: what one ``unit`` comes to in the unit of the samples.
    """
    names = (str(speed.baseline), str(speed.target))
    rows: list[Spec] = []
    boxes: list[Spec] = []
    for side, name in enumerate(names):
        values = [pair[side] / factor for pair in speed.pairs]
        # a dot's height means nothing: it keeps dots apart, and is the same whenever it is drawn
        rows += [{"on": name, "x": value, "j": index * 7 % 11 - 5} for index, value in enumerate(values)]
        boxes.append(_box(name, values))
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
        "mark": {"type": "point", "filled": True, "opacity": 1, "shape": _UPRIGHT, "size": 700, "color": _INK},
        "encoding": {"x": {"field": "middle", **x}, "color": {"value": _INK}},
    }
    return _drawn(
        {"width": WIDTH, "height": 96, "encoding": {"y": y, "color": colour}, "layer": [dots, quartiles, middles]}
    )


def _box(name: str, values: Sequence[float]) -> Spec:
    q1, middle, q3 = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return {"on": name, "q1": q1, "middle": middle, "q3": q3}


# ---- earlier runs


def history_chart(speed: Comparison) -> str:
    """The ratios of earlier runs, the oldest on the left, and that of this run, each with its interval."""
    points = [(past.ratio, past.low, past.high) for past in speed.earlier if past.ratio > 0.0]
    rows = [_history_row(index, *point) for index, point in enumerate([*points, (speed.ratio, speed.low, speed.high)])]
    low, high = 1.0 / (1.0 + speed.threshold), 1.0 + speed.threshold
    scale = RatioScale(
        low=min(low, *(row["low"] for row in rows)) / 1.05, high=max(high, *(row["high"] for row in rows)) * 1.05
    )
    axis = scale.axis(title="ratio", grid=False, domain=True)
    y = {"type": "quantitative", "scale": scale.scale, "axis": axis}
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
    return _drawn({"width": WIDTH, "height": 96, "layer": layers})


def _history_row(index: int, ratio: float, low: float, high: float) -> Spec:
    """An interval that is not known is as short as can be."""
    known = low > 0.0 and math.isfinite(high)
    return {"x": index, "y": ratio, "low": low if known else ratio, "high": high if known else ratio}
