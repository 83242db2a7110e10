"""Exported measurements, read by pyperf and pytest-benchmark."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.benchmarks.export import ExportedSide, for_pyperf, for_pytest_benchmark
from tests.support.report_samples import finding, judged, report_of, speed

PAIRS = tuple((0.010 + number / 10_000, 0.020 + number / 10_000) for number in range(9))


def run(*argv: str) -> str:
    done = subprocess.run([sys.executable, "-m", *argv], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def report() -> Report:
    """A report with a benchmark, memory, and a benchmark that was measured once and so has no spread."""
    memory = speed(name="memory after import of app", kind="memory", unit="B", pairs=((2e7, 3e7), (2e7, 3e7)))
    measured = (speed(pairs=PAIRS), memory, speed(name="a single one", pairs=PAIRS[:1]))
    return replace(report_of(judged(finding())), benchmarks=measured)


def test_pyperf_compares_exports(tmp_path: Path, report: Report) -> None:
    """Times and memory."""
    for side in ExportedSide:
        (tmp_path / f"{side.name}.json").write_text(for_pyperf(report, side), encoding="utf-8")
    output = run("pyperf", "compare_to", "--table", str(tmp_path / "BASELINE.json"), str(tmp_path / "TARGET.json"))
    assert "user-service/tests/test_speed.py::test_it" in output
    assert "10.4 ms" in output
    assert "20.4 ms: 1.96x slower" in output
    assert "memory after import of app" in output
    assert "1.50x slower" in output
    assert "a single one" not in output


def test_pytest_benchmark_compares_exports(tmp_path: Path, report: Report) -> None:
    """Times only, one line for each side."""
    for side in ExportedSide:
        (tmp_path / f"{side.name}.json").write_text(for_pytest_benchmark(report, side), encoding="utf-8")
    output = run("pytest_benchmark", "compare", str(tmp_path / "BASELINE.json"), str(tmp_path / "TARGET.json"))
    assert output.count("test_it") == 2
    assert "10.4" in output
    assert "20.4" in output
    assert "memory" not in output
