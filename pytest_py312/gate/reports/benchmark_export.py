"""The measurements of one side, for ``pytest-benchmark compare`` and ``pyperf compare_to``. Pure.

A sample is what one process of ours measured. Names begin with the service, and are the same on both sides.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

from pytest_py312.core.model.measurements import Comparison
from pytest_py312.core.model.report import Report
from pytest_py312.core.serialization import written
from pytest_py312.gate.reports.benchmark_table import ordered

LEAST = 2
"""Fewer samples than this tell no spread; their benchmark is left out."""
_UNITS = {"s": "second", "B": "byte"}
_FORM = "5.1.0"
"""The release of pytest-benchmark whose form is written."""


class Side(IntEnum):
    """A side of each pair."""

    BASELINE = 0
    TARGET = 1


def for_pytest_benchmark(report: Report, side: Side) -> str:
    """A file as ``--benchmark-json`` writes it. Times only: it knows no other unit."""
    timed = [found for found in _series(report, side) if found[1].unit == "s"]
    return written(
        {
            "machine_info": {
                "node": "",
                "processor": ", ".join(sorted({_condition(speed, "processor", side) for _, speed, _ in timed})),
                "python_version": ", ".join(sorted({_version(speed, side) for _, speed, _ in timed})),
            },
            "commit_info": {"id": "", "time": report.generated, "dirty": False},
            "benchmarks": [_benchmark(name, speed, values, side) for name, speed, values in timed],
            "datetime": report.generated,
            "version": _FORM,
        }
    )


def for_pyperf(report: Report, side: Side) -> str:
    """A suite of pyperf's benchmarks, times and memory. pyperf refuses one in which nothing was measured."""
    found = [
        {
            "metadata": {"name": name, "unit": _UNITS[speed.unit], "loops": 1, "python_version": _version(speed, side)},
            "runs": [{"metadata": {"date": _date(report)}, "values": [value]} for value in values],
        }
        for name, speed, values in _series(report, side)
    ]
    return json.dumps({"version": "1.0", "metadata": {}, "benchmarks": found}, indent=2) + "\n"


def _series(report: Report, side: Side) -> Iterator[tuple[str, Comparison, list[float]]]:
    for service, speeds in ordered(report).items():
        for speed in speeds:
            values = [pair[side] for pair in speed.pairs]
            if len(values) >= LEAST:
                yield f"{service}/{speed.name}", speed, values


def _condition(speed: Comparison, name: str, side: Side) -> str:
    return speed.conditions.get(name, ("", ""))[side]


def _version(speed: Comparison, side: Side) -> str:
    return _condition(speed, "python", side) or str((speed.baseline, speed.target)[side])


def _date(report: Report) -> str:
    """As pyperf reads it: without the zone."""
    return report.generated.replace("T", " ").removesuffix("Z")


def _benchmark(name: str, speed: Comparison, values: Sequence[float], side: Side) -> dict[str, Any]:
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
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    outside = sum(not low <= value <= high for value in values)
    far = sum(abs(value - mean) > spread for value in values)
    return {
        "min": min(values),
        "max": max(values),
        "mean": mean,
        "stddev": spread,
        "rounds": len(values),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outside,
        "stddev_outliers": far,
        "outliers": f"{far};{outside}",
        "ld15iqr": min((value for value in values if value >= low), default=min(values)),
        "hd15iqr": max((value for value in values if value <= high), default=max(values)),
        "ops": 1.0 / mean if mean else 0.0,
        "total": sum(values),
        "iterations": 1,
        "data": list(values),
    }
