"""Charts of benchmarks: which are drawn, and that they contain figures only."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_py312.core.model.measurements import BenchmarkComparison, PastComparison, SpeedVerdict
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports import html
from pytest_py312.gate.reports.benchmarks import charts, views
from tests.support.fakes import service
from tests.support.report_samples import finding, judged, report_of, speed

PAST = PastComparison(
    ended_at="2025-02-01T12:00:00Z",
    verdict=SpeedVerdict.SAME,
    ratio=1.02,
    low=0.98,
    high=1.05,
    baseline_median=0.0111,
    target_median=0.0112,
)


def measured(*speeds: BenchmarkComparison) -> Report:
    services = [service(), *(service(one.service) for one in speeds if one.service != "user-service")]
    return replace(report_of(judged(finding()), services=services), benchmarks=speeds)


def labels(page: str) -> list[str]:
    return re.findall(r'<div class="chart" role="img" aria-label="([^"]*)"><svg', page)


def charts_in(page: str) -> list[str]:
    """Return the charts of a page; the bars of the stages are none."""
    return re.findall(r'<svg(?! class="bar").*?</svg>', page, re.DOTALL)


def test_the_ratio_the_samples_and_earlier_runs_are_drawn() -> None:
    """Earlier runs are drawn if there are any. Each chart has a descriptive label."""
    page = html.render(measured(speed(past_comparisons=(PAST,)), speed(name="z")))
    assert labels(page) == [
        "The scale of the ratios below",
        "Ratio 1.42 (1.38 to 1.47)",
        "Samples, median 11 ms on the baseline and 15 ms on the target",
        "Ratios of earlier runs, as in the table below",
        "Ratio 1.42 (1.38 to 1.47)",
        "Samples, median 11 ms on the baseline and 15 ms on the target",
    ]
    assert len(charts_in(page)) == 6


def test_without_the_library_the_page_has_figures_and_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "can_draw", lambda: False)
    page = html.render(measured(speed()))
    assert charts_in(page) == []
    assert "pip install &#39;pytest-py312[charts]&#39;" in page
    assert "1.42 (1.38 to 1.47)" in page


def test_a_failure_to_draw_does_not_prevent_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ValueError("no such <font>")

    monkeypatch.setattr(charts, "ratio_chart", fail)
    page = html.render(measured(speed()))
    assert charts_in(page) == []
    assert "Charts could not be drawn: no such &lt;font&gt;" in page
    assert "1.42 (1.38 to 1.47)" in page


def test_only_the_first_benchmarks_have_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MAX_CHARTS", 1)
    page = html.render(measured(speed(service="auth", kind="import", ratio=2.0), speed()))
    assert [label for label in labels(page) if label.startswith("Ratio")] == ["Ratio 1.42 (1.38 to 1.47)"]


def test_charts_contain_no_text_of_a_repository_and_no_inline_style() -> None:
    """The page's policy allows no inline style."""
    hostile = speed(
        service="hostile", name="hostile", note="hostile", past_comparisons=(replace(PAST, ended_at="hostile"),)
    )
    drawn = "".join(charts_in(html.render(measured(hostile))))
    assert "hostile" not in drawn
    assert "style=" not in drawn
    assert "role=" not in drawn
    assert "var(--bad)" in drawn


def test_axis_labels_are_not_rounded() -> None:
    """Coordinates of the drawing are."""
    drawn = charts.samples_chart(speed(pairs=((1.0011, 1.0015), (1.0012, 1.0017))), 1.0, "s")
    assert {"1.0012", "1.0014", "1.0016"} <= set(re.findall(r">([\d.]+)</text>", drawn))
    assert not re.search(r'="[^"]*\d\.\d{3}', drawn)


def test_drawing_is_deterministic() -> None:
    scale = charts.common_ratio_scale([speed()])
    assert charts.ratio_chart(speed(), scale) == charts.ratio_chart(speed(), scale)
    assert charts.samples_chart(speed(), 1.0, "s") == charts.samples_chart(speed(), 1.0, "s")


@pytest.mark.parametrize("draw", [charts.history_chart, lambda one: charts.samples_chart(one, 1.0, "s")])
@pytest.mark.parametrize(
    "found",
    [
        speed(ratio=1e-9, low=0.0, high=float("inf")),
        speed(ratio=1e9, low=1e-9, high=1e9, pairs=((0.0, 0.0),)),
        speed(pairs=((1e-12, 1e12), (0.0, 1.0))),
    ],
)
def test_extreme_figures_are_drawn(found: BenchmarkComparison, draw: Callable[[BenchmarkComparison], str]) -> None:
    assert draw(found).startswith("<svg")
    assert "NaN" not in draw(found)


@pytest.mark.parametrize("ratio", [1.0, 1.42, 0.2, 40.0])
def test_the_scale_of_ratios_has_one_in_the_middle_and_few_ticks(ratio: float) -> None:
    scale = charts.common_ratio_scale([speed(ratio=ratio, low=ratio * 0.9, high=ratio * 1.1)])
    assert 1.0 in scale.ticks
    assert 2 <= len(scale.ticks) <= 7
    assert scale.low * scale.high == pytest.approx(1.0)
    assert scale.high <= 8.0
