"""The measurements in the forms of other tools, which are run on them."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.benchmark_export import Side, for_pyperf, for_pytest_benchmark
from tests.support.report_samples import finding, judged, report_of, speed

PAIRS = tuple((0.010 + number / 10_000, 0.020 + number / 10_000) for number in range(9))


def run(*argv: str) -> str:
    done = subprocess.run([sys.executable, "-m", *argv], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def report() -> Report:
    """A benchmark, memory, and one that was measured once and so tells no spread."""
    memory = speed(name="memory after import of app", kind="memory", unit="B", pairs=((2e7, 3e7), (2e7, 3e7)))
    measured = (speed(pairs=PAIRS), memory, speed(name="a single one", pairs=PAIRS[:1]))
    return replace(report_of(judged(finding())), speeds=measured)


def test_pyperf_compares_them(tmp_path: Path, report: Report) -> None:
    """Times and memory."""
    for side in Side:
        (tmp_path / f"{side.name}.json").write_text(for_pyperf(report, side), encoding="utf-8")
    said = run("pyperf", "compare_to", "--table", str(tmp_path / "BASELINE.json"), str(tmp_path / "TARGET.json"))
    assert "user-service/tests/test_speed.py::test_it" in said
    assert "10.4 ms" in said
    assert "20.4 ms: 1.96x slower" in said
    assert "memory after import of app" in said
    assert "1.50x slower" in said
    assert "a single one" not in said


def test_pytest_benchmark_compares_them(tmp_path: Path, report: Report) -> None:
    """Times only, one line for each side."""
    for side in Side:
        (tmp_path / f"{side.name}.json").write_text(for_pytest_benchmark(report, side), encoding="utf-8")
    said = run("pytest_benchmark", "compare", str(tmp_path / "BASELINE.json"), str(tmp_path / "TARGET.json"))
    assert said.count("test_it") == 2
    assert "10.4" in said
    assert "20.4" in said
    assert "memory" not in said
