"""The measurements of one side, as other tools write theirs."""

import json
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import Comparison
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.benchmark_export import Side, for_pyperf, for_pytest_benchmark
from tests.support.report_samples import finding, judged, report_of, speed


def measured(*speeds: Comparison) -> Report:
    return replace(report_of(judged(finding())), speeds=speeds)


def test_each_file_has_the_samples_of_its_side() -> None:
    """Under the same name on both, so that they are compared."""
    report = measured(speed())
    for side, values in ((Side.BASELINE, [0.010, 0.012, 0.011]), (Side.TARGET, [0.0142, 0.0156, 0.0150])):
        [one] = json.loads(for_pytest_benchmark(report, side))["benchmarks"]
        [other] = json.loads(for_pyperf(report, side))["benchmarks"]
        assert one["stats"]["data"] == values
        assert [found["values"] for found in other["runs"]] == [[value] for value in values]
        assert one["fullname"] == other["metadata"]["name"] == "user-service/tests/test_speed.py::test_it"


def test_a_file_says_which_python_it_is_of() -> None:
    report = measured(speed(conditions={"python": ("3.9.18", "3.12.1")}), speed(name="other"))
    found = json.loads(for_pytest_benchmark(report, Side.TARGET))["machine_info"]["python_version"]
    assert found == "3.12, 3.12.1"


def test_memory_is_for_pyperf_alone() -> None:
    report = measured(speed(kind="memory", unit="B"))
    assert json.loads(for_pytest_benchmark(report, Side.TARGET))["benchmarks"] == []
    [found] = json.loads(for_pyperf(report, Side.TARGET))["benchmarks"]
    assert found["metadata"]["unit"] == "byte"


def test_a_single_sample_tells_no_spread_and_is_left_out() -> None:
    report = measured(speed(pairs=((1.0, 2.0),)))
    assert json.loads(for_pyperf(report, Side.TARGET))["benchmarks"] == []


@given(st.lists(st.floats(1e-9, 1e6), min_size=2, max_size=40))
def test_the_figures_of_pytest_benchmark(values: list[float]) -> None:
    """As its own statistics have them, whatever was measured."""
    report = measured(speed(pairs=tuple((value, value) for value in values)))
    [found] = json.loads(for_pytest_benchmark(report, Side.BASELINE))["benchmarks"]
    stats = found["stats"]
    assert stats["rounds"] == len(values)
    assert (stats["min"], stats["max"]) == (min(values), max(values))
    assert stats["median"] == pytest.approx(statistics.median(values))
    assert stats["ld15iqr"] <= stats["hd15iqr"]
    assert stats["min"] <= stats["q1"] <= stats["q3"] <= stats["max"]
