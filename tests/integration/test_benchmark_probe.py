"""The benchmark probe, run on this interpreter. Measured values are only checked roughly."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.gate.benchmarks.jobs import ProcessMeasurements, read_measurements
from pytest_py312.gate.benchmarks.sampling import MeasurementFailed
from pytest_py312.runners.agent import probe
from pytest_py312.runners.agent.benchmark_probe import clock_precision, elapsed_clock
from tests.support.fakes import cell_run_of, service_tree

SPEED = """
import pytest

def test_it(benchmark):
    assert benchmark(sum, [1, 2, 3]) == 6

@pytest.mark.py312_benchmark(threshold=0.5)
def test_with_a_threshold(benchmark):
    benchmark(sorted, range(50))

def test_without():
    assert True
"""


def measured(tmp_path: Path, files: dict[str, str], **asked: Any) -> ProcessMeasurements:
    """Run the probe on a service with ``files`` and return its measurements."""
    service_tree(tmp_path / "source" / "app", files)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    request = {
        "kind": "benchmark",
        "core": True,
        "runner": "pytest",
        "arguments": ["-p", "no:cacheprovider"],
        "import_mode": "",
        "prepare": [],
        "service": "app",
        "folders": ["app"],
        "python_path": [],
        "installed": [],
        "source": str(tmp_path / "source"),
        "scratch": str(scratch),
        "select": [],
        "seconds": 0.01,
        **asked,
    }
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    argv = [sys.executable, probe.__file__, str(tmp_path / "request.json"), str(tmp_path / "records.jsonl")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120)
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    assert records[-1]["event"] == "end", done.stdout
    return read_measurements(cell_run_of(*records))


def test_a_services_own_benchmarks(tmp_path: Path) -> None:
    """Each has a value, and its own threshold if it has one; other tests are left out.

    Warnings are errors in this service, and the measurement itself raises none.
    """
    settings = "[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n"
    sample = measured(tmp_path, {"test_speed.py": SPEED, "pytest.ini": settings}, measure="tests")
    assert set(sample.values) == {"test_speed.py::test_it", "test_speed.py::test_with_a_threshold"}
    assert sample.thresholds == {"test_speed.py::test_with_a_threshold": 0.5}
    assert (sample.exit_code, sample.failed) == (0, {})
    assert {"compiler", "libc", "options", "clock", "core"} <= set(sample.conditions)


def test_only_selected_benchmarks_are_measured(tmp_path: Path) -> None:
    """Benchmarks that are decided already take no more time."""
    sample = measured(tmp_path, {"test_speed.py": SPEED}, measure="tests", select=["test_speed.py::test_it"])
    assert list(sample.values) == ["test_speed.py::test_it"]


def test_a_failing_benchmark_is_reported(tmp_path: Path) -> None:
    """It has no value."""
    files = {"test_speed.py": SPEED.replace("== 6", "== 7")}
    sample = measured(tmp_path, files, measure="tests")
    assert list(sample.failed) == ["test_speed.py::test_it"]
    assert "test_speed.py::test_it" not in sample.values


def test_an_import_is_measured(tmp_path: Path) -> None:
    """Time and memory of a module that uses both."""
    files = {"slow.py": "import time\ntime.sleep(0.1)\nheld = bytearray(30_000_000)\n", "quick.py": ""}
    slow = measured(tmp_path, files, measure="imports", module="slow", repeats=1, ahead=1)
    quick = measured(tmp_path / "other", files, measure="imports", module="quick", repeats=1, ahead=1)
    assert slow.values["import"] > 0.1  # a sleep is waited for, whatever the load
    assert slow.values["memory"] - quick.values["memory"] > 25_000_000


def test_a_failing_import_is_reported(tmp_path: Path) -> None:
    """With its last output."""
    with pytest.raises(MeasurementFailed, match=r"broken cannot be imported(?s:.*)no such luck"):
        measured(
            tmp_path, {"broken.py": "raise SystemExit('no such luck')"}, measure="imports", module="broken",
            repeats=1, ahead=1,
        )  # fmt: skip


def test_a_suite_is_measured(tmp_path: Path) -> None:
    """Without its benchmarks; waiting counts as suite time and not as processor time."""
    files = {"test_a.py": "import time\ndef test_a():\n    time.sleep(0.3)\n", "test_speed.py": SPEED}
    sample = measured(tmp_path, files, measure="suite")
    assert sample.values["suite"] > 0.2  # of 0.3: the clock of a virtual machine may be late
    assert sample.values["processor"] > 0
    assert sample.exit_code == 0


def test_the_tests_of_a_suite_are_measured(tmp_path: Path) -> None:
    """Time and processor time of each passing test that takes more than a moment."""
    wait = "import time\n\ndef test_waits():\n    time.sleep(0.2)\n\ndef test_quick():\n    assert True\n"
    work = "def test_works():\n    sum(range(20_000_000))\n"
    sample = measured(tmp_path, {"test_a.py": wait, "test_b.py": work, "test_speed.py": SPEED}, measure="suite")
    named = {name for name in sample.values if " of " in name}
    assert {name for name in named if "waits" in name or "works" in name} == {
        f"{what}time of {test}"
        for what in ("", "processor ")
        for test in ("test_a.py::test_waits", "test_b.py::test_works")
    }
    waits = "time of test_a.py::test_waits"
    assert sample.values[waits] > 2 * sample.values[f"processor {waits}"]


def test_watched_tests_are_measured(tmp_path: Path) -> None:
    """Even if they are quick now, and with unittest as well."""
    files = {
        "test_a.py": "import unittest\n\nclass A(unittest.TestCase):\n    def test_one(self):\n        pass\n\n"
        "    def test_other(self):\n        pass\n"
    }
    sample = measured(
        tmp_path, files, measure="suite", runner="unittest", arguments=["test_a"], watch=["test_a.A.test_one"]
    )
    assert {name for name in sample.values if " of " in name} == {
        "time of test_a.A.test_one", "processor time of test_a.A.test_one"
    }  # fmt: skip
    assert sample.exit_code == 0


def test_the_peak_memory_of_a_suite_is_measured(tmp_path: Path) -> None:
    """Including memory that is held for a moment only."""
    plain = measured(tmp_path / "plain", {"test_a.py": "def test_a():\n    pass\n"}, measure="suite")
    large = measured(
        tmp_path / "large", {"test_a.py": "def test_a():\n    bytearray(b'x' * 40_000_000)\n"}, measure="suite"
    )
    assert large.values["peak"] - plain.values["peak"] > 35_000_000


def test_the_probe_runs_on_the_requested_core(tmp_path: Path) -> None:
    """Or on another core if that one is not allowed."""
    import os

    allowed = sorted(os.sched_getaffinity(0))
    for number, (wanted, core) in enumerate(((allowed[0], allowed[0]), (max(allowed) + 64, allowed[-1]))):
        files = {"quick.py": ""}
        folder = tmp_path / str(number)
        sample = measured(folder, files, measure="imports", module="quick", repeats=1, ahead=1, core=wanted)
        assert sample.conditions["core"] == str(core)


def test_cpu_info_is_not_collected_for_every_sample(tmp_path: Path) -> None:
    """pytest-benchmark would start a process for it."""
    spoilt = (
        "import cpuinfo\n\ndef get_cpu_info():\n    raise SystemExit('asked')\n\ncpuinfo.get_cpu_info = get_cpu_info\n"
    )
    sample = measured(tmp_path, {"test_speed.py": SPEED, "conftest.py": spoilt}, measure="tests")
    assert set(sample.values) == {"test_speed.py::test_it", "test_speed.py::test_with_a_threshold"}


def test_the_clock_is_not_calibrated_for_every_sample(tmp_path: Path) -> None:
    """pytest-benchmark would spend a second on it; only a benchmark's own clock is calibrated."""
    spoilt = "import pytest_benchmark.fixture as fixture\n\ndef tried(timer):\n    raise ValueError(timer.__name__)\n\n"
    spoilt += "fixture.compute_timer_precision = tried\n"
    own = "import time\nimport pytest\n\n@pytest.mark.benchmark(timer=time.process_time)\n"
    own += "def test_of_the_processor(benchmark):\n    benchmark(sum, [1, 2, 3])\n"
    files = {"test_speed.py": SPEED, "test_own.py": own, "conftest.py": spoilt}
    sample = measured(tmp_path, files, measure="tests")
    assert set(sample.values) == {"test_speed.py::test_it", "test_speed.py::test_with_a_threshold"}
    assert "ValueError: process_time" in sample.failed["test_own.py::test_of_the_processor"]


def test_clock_precision_is_the_smallest_step() -> None:
    """A clock that does not advance has the precision 0."""
    steps = iter([0.0, 2.0, 2.0, 2.5, 2.5, 2.5] + [9.0] * 1994)
    assert clock_precision(lambda: next(steps)) == 0.5
    assert clock_precision(lambda: 1.0) == 0.0
    assert 0 < clock_precision(elapsed_clock()) < 0.01


def test_the_clock_advances_while_waiting() -> None:
    """A service that waits longer is slower."""
    import time

    elapsed = elapsed_clock()
    begin = elapsed()
    time.sleep(0.05)
    assert elapsed() - begin > 0.04
