"""Export the benchmark samples of one interpreter for ``pytest-benchmark compare`` and ``pyperf compare_to``.

A sample is one value measured in one process. Benchmark names start with the service and are the same for the baseline
and the target. Nothing is written here; the functions return the text of the file.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

from pytest_py312.core.model.measurements import BenchmarkComparison
from pytest_py312.core.model.report import Report
from pytest_py312.core.serialization import format_json
from pytest_py312.gate.reports.benchmarks.table import comparisons_by_service

MIN_SAMPLES = 2
"""Benchmarks with fewer samples are left out: their spread cannot be computed."""
_UNITS = {"s": "second", "B": "byte"}
_FORMAT_VERSION = "5.1.0"
"""Release of pytest-benchmark whose file format is written."""


class ExportedSide(IntEnum):
    """Index of a side within each pair of samples."""

    BASELINE = 0
    TARGET = 1


def for_pytest_benchmark(report: Report, side: ExportedSide) -> str:
    """Return a file in the format of ``--benchmark-json``.

    It contains times only, because pytest-benchmark has no other unit.
    """
    timed = [series for series in _sampled_benchmarks(report, side) if series[1].unit == "s"]
    return format_json(
        {
            "machine_info": {
                "node": "",
                "processor": ", ".join(sorted({_condition(speed, "processor", side) for _, speed, _ in timed})),
                "python_version": ", ".join(sorted({_version(speed, side) for _, speed, _ in timed})),
            },
            "commit_info": {"id": "", "time": report.generated, "dirty": False},
            "benchmarks": [_pytest_benchmark_entry(name, speed, values, side) for name, speed, values in timed],
            "datetime": report.generated,
            "version": _FORMAT_VERSION,
        }
    )


def for_pyperf(report: Report, side: ExportedSide) -> str:
    """Return a pyperf benchmark suite with times and memory.

    pyperf rejects a suite without benchmarks.
    """
    benchmarks = [
        {
            "metadata": {"name": name, "unit": _UNITS[speed.unit], "loops": 1, "python_version": _version(speed, side)},
            "runs": [{"metadata": {"date": _pyperf_date(report)}, "values": [value]} for value in values],
        }
        for name, speed, values in _sampled_benchmarks(report, side)
    ]
    return json.dumps({"version": "1.0", "metadata": {}, "benchmarks": benchmarks}, indent=2) + "\n"


def _sampled_benchmarks(report: Report, side: ExportedSide) -> Iterator[tuple[str, BenchmarkComparison, list[float]]]:
    for service, speeds in comparisons_by_service(report).items():
        for speed in speeds:
            values = [pair[side] for pair in speed.pairs]
            if len(values) >= MIN_SAMPLES:
                yield f"{service}/{speed.name}", speed, values


def _condition(speed: BenchmarkComparison, name: str, side: ExportedSide) -> str:
    return speed.conditions.get(name, ("", ""))[side]


def _version(speed: BenchmarkComparison, side: ExportedSide) -> str:
    return _condition(speed, "python", side) or str((speed.baseline, speed.target)[side])


def _pyperf_date(report: Report) -> str:
    """Return the time of the run in pyperf's format, which has no time zone."""
    return report.generated.replace("T", " ").removesuffix("Z")


def _pytest_benchmark_entry(
    name: str, speed: BenchmarkComparison, values: Sequence[float], side: ExportedSide
) -> dict[str, Any]:
    return {
        "group": None,
        "name": name.rpartition("::")[2],
        "fullname": name,
        "params": None,
        "param": None,
        "extra_info": {"verdict": speed.verdict.value, "ratio": speed.ratio},
        "options": {"timer": _condition(speed, "clock", side), "disable_gc": False, "warmup": True},
        "stats": _stats(values),
    }


def _stats(values: Sequence[float]) -> dict[str, Any]:
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    mean, stddev = statistics.fmean(values), statistics.stdev(values)
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    iqr_outliers = sum(not low <= value <= high for value in values)
    stddev_outliers = sum(abs(value - mean) > stddev for value in values)
    return {
        "min": min(values),
        "max": max(values),
        "mean": mean,
        "stddev": stddev,
        "rounds": len(values),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": iqr_outliers,
        "stddev_outliers": stddev_outliers,
        "outliers": f"{stddev_outliers};{iqr_outliers}",
        "ld15iqr": min((value for value in values if value >= low), default=min(values)),
        "hd15iqr": max((value for value in values if value <= high), default=max(values)),
        "ops": 1.0 / mean if mean else 0.0,
        "total": sum(values),
        "iterations": 1,
        "data": list(values),
    }
