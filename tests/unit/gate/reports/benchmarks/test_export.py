"""Benchmark samples of one interpreter in the formats of other tools."""

import json
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import BenchmarkComparison
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.benchmarks.export import ExportedSide, for_pyperf, for_pytest_benchmark
from tests.support.report_samples import finding, judged, report_of, speed


def measured(*speeds: BenchmarkComparison) -> Report:
    return replace(report_of(judged(finding())), benchmarks=speeds)


def test_each_file_has_the_samples_of_its_side() -> None:
    """The names are the same on both sides, so that they can be compared."""
    report = measured(speed())
    for side, values in (
        (ExportedSide.BASELINE, [0.010, 0.012, 0.011]),
        (ExportedSide.TARGET, [0.0142, 0.0156, 0.0150]),
    ):
        [pytest_benchmark] = json.loads(for_pytest_benchmark(report, side))["benchmarks"]
        [pyperf] = json.loads(for_pyperf(report, side))["benchmarks"]
        assert pytest_benchmark["stats"]["data"] == values
        assert [run["values"] for run in pyperf["runs"]] == [[value] for value in values]
        assert pytest_benchmark["fullname"] == pyperf["metadata"]["name"] == "user-service/tests/test_speed.py::test_it"


def test_a_file_names_its_python_version() -> None:
    report = measured(speed(conditions={"python": ("3.9.18", "3.12.1")}), speed(name="other"))
    found = json.loads(for_pytest_benchmark(report, ExportedSide.TARGET))["machine_info"]["python_version"]
    assert found == "3.12, 3.12.1"


def test_memory_is_exported_for_pyperf_only() -> None:
    report = measured(speed(kind="memory", unit="B"))
    assert json.loads(for_pytest_benchmark(report, ExportedSide.TARGET))["benchmarks"] == []
    [found] = json.loads(for_pyperf(report, ExportedSide.TARGET))["benchmarks"]
    assert found["metadata"]["unit"] == "byte"


def test_a_benchmark_with_a_single_sample_is_left_out() -> None:
    report = measured(speed(pairs=((1.0, 2.0),)))
    assert json.loads(for_pyperf(report, ExportedSide.TARGET))["benchmarks"] == []


@given(st.lists(st.floats(1e-9, 1e6), min_size=2, max_size=40))
def test_the_figures_of_pytest_benchmark(values: list[float]) -> None:
    """The figures match those of pytest-benchmark for any samples."""
    report = measured(speed(pairs=tuple((value, value) for value in values)))
    [found] = json.loads(for_pytest_benchmark(report, ExportedSide.BASELINE))["benchmarks"]
    stats = found["stats"]
    assert stats["rounds"] == len(values)
    assert (stats["min"], stats["max"]) == (min(values), max(values))
    assert stats["median"] == pytest.approx(statistics.median(values))
    assert stats["ld15iqr"] <= stats["hd15iqr"]
    assert stats["min"] <= stats["q1"] <= stats["q3"] <= stats["max"]
