"""What the probe measures of a service, with this interpreter and really run. Figures are not held to anything."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.gate.benchmarks.jobs import Sample, read_sample
from pytest_py312.gate.benchmarks.sampling import MeasuringFailed
from pytest_py312.runners.agent import probe
from pytest_py312.runners.agent.benchmark_probe import elapsed_clock, precision_of
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


def measured(tmp_path: Path, files: dict[str, str], **asked: Any) -> Sample:
    """What the probe tells of a service with ``files``."""
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
    return read_sample(cell_run_of(*records))


def test_a_services_own_benchmarks(tmp_path: Path) -> None:
    """Each with a figure, and with the threshold that it has of its own; other tests are left out.

    Warnings are errors in this service, and nothing that is done for the measurement is one.
    """
    settings = "[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n"
    sample = measured(tmp_path, {"test_speed.py": SPEED, "pytest.ini": settings}, measure="tests")
    assert set(sample.values) == {"test_speed.py::test_it", "test_speed.py::test_with_a_threshold"}
    assert sample.thresholds == {"test_speed.py::test_with_a_threshold": 0.5}
    assert (sample.exit_code, sample.failed) == (0, {})
    assert {"compiler", "libc", "options", "clock", "core"} <= set(sample.conditions)


def test_only_those_that_are_asked_for(tmp_path: Path) -> None:
    """What is decided already takes no time any more."""
    sample = measured(tmp_path, {"test_speed.py": SPEED}, measure="tests", select=["test_speed.py::test_it"])
    assert list(sample.values) == ["test_speed.py::test_it"]


def test_a_benchmark_that_fails(tmp_path: Path) -> None:
    """Has no figure, and is named."""
    files = {"test_speed.py": SPEED.replace("== 6", "== 7")}
    sample = measured(tmp_path, files, measure="tests")
    assert list(sample.failed) == ["test_speed.py::test_it"]
    assert "test_speed.py::test_it" not in sample.values


def test_an_import(tmp_path: Path) -> None:
    """Its time and its memory, of a module that leaves a mark of both."""
    files = {"slow.py": "import time\ntime.sleep(0.1)\nheld = bytearray(30_000_000)\n", "quick.py": ""}
    slow = measured(tmp_path, files, measure="imports", module="slow", repeats=1, ahead=1)
    quick = measured(tmp_path / "other", files, measure="imports", module="quick", repeats=1, ahead=1)
    assert slow.values["import"] > 0.1  # a sleep is waited for, whatever the load
    assert slow.values["memory"] - quick.values["memory"] > 25_000_000


def test_an_import_that_fails(tmp_path: Path) -> None:
    """With its last words."""
    with pytest.raises(MeasuringFailed, match=r"broken cannot be imported(?s:.*)no such luck"):
        measured(
            tmp_path, {"broken.py": "raise SystemExit('no such luck')"}, measure="imports", module="broken",
            repeats=1, ahead=1,
        )  # fmt: skip


def test_a_suite(tmp_path: Path) -> None:
    """Without its benchmarks; the time waited is in the one figure and not in the other."""
    files = {"test_a.py": "import time\ndef test_a():\n    time.sleep(0.3)\n", "test_speed.py": SPEED}
    sample = measured(tmp_path, files, measure="suite")
    assert sample.values["suite"] > 0.3
    assert sample.values["processor"] > 0
    assert sample.exit_code == 0


def test_the_tests_of_a_suite(tmp_path: Path) -> None:
    """Each that takes more than a moment and passes: the time it took, and that of it in which a core was busy."""
    wait = "import time\n\ndef test_waits():\n    time.sleep(0.2)\n\ndef test_quick():\n    assert True\n"
    work = "def test_works():\n    sum(range(2_000_000))\n"
    sample = measured(tmp_path, {"test_a.py": wait, "test_b.py": work, "test_speed.py": SPEED}, measure="suite")
    named = {name for name in sample.values if " of " in name}
    assert {name for name in named if "waits" in name or "works" in name} == {
        f"{what}time of {test}"
        for what in ("", "processor ")
        for test in ("test_a.py::test_waits", "test_b.py::test_works")
    }
    assert (
        sample.values["time of test_a.py::test_waits"] > 0.2 > sample.values["processor time of test_a.py::test_waits"]
    )


def test_only_the_tests_that_are_watched(tmp_path: Path) -> None:
    """Also one that takes no time to speak of: it took some before. Of unittest's tests as well."""
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


def test_the_peak_memory_of_a_suite(tmp_path: Path) -> None:
    """Of what it holds for a moment as well."""
    plain = measured(tmp_path / "plain", {"test_a.py": "def test_a():\n    pass\n"}, measure="suite")
    large = measured(
        tmp_path / "large", {"test_a.py": "def test_a():\n    bytearray(b'x' * 40_000_000)\n"}, measure="suite"
    )
    assert large.values["peak"] - plain.values["peak"] > 35_000_000


def test_it_stays_on_the_core_that_is_asked_for(tmp_path: Path) -> None:
    """And on another one where that is not allowed to it."""
    import os

    allowed = sorted(os.sched_getaffinity(0))
    for number, (wanted, core) in enumerate(((allowed[0], allowed[0]), (max(allowed) + 64, allowed[-1]))):
        files = {"quick.py": ""}
        folder = tmp_path / str(number)
        sample = measured(folder, files, measure="imports", module="quick", repeats=1, ahead=1, core=wanted)
        assert sample.conditions["core"] == str(core)


def test_nobody_looks_at_the_processor_for_every_sample(tmp_path: Path) -> None:
    """pytest-benchmark would start a process that does so; what it would find out is known."""
    spoilt = (
        "import cpuinfo\n\ndef get_cpu_info():\n    raise SystemExit('asked')\n\ncpuinfo.get_cpu_info = get_cpu_info\n"
    )
    sample = measured(tmp_path, {"test_speed.py": SPEED, "conftest.py": spoilt}, measure="tests")
    assert set(sample.values) == {"test_speed.py::test_it", "test_speed.py::test_with_a_threshold"}


def test_nobody_tries_the_clock_for_a_second_in_every_sample(tmp_path: Path) -> None:
    """pytest-benchmark would, to find out how fine it is; a benchmark that brings its own clock has it tried."""
    spoilt = "import pytest_benchmark.fixture as fixture\n\ndef tried(timer):\n    raise ValueError(timer.__name__)\n\n"
    spoilt += "fixture.compute_timer_precision = tried\n"
    own = "import time\nimport pytest\n\n@pytest.mark.benchmark(timer=time.process_time)\n"
    own += "def test_of_the_processor(benchmark):\n    benchmark(sum, [1, 2, 3])\n"
    files = {"test_speed.py": SPEED, "test_own.py": own, "conftest.py": spoilt}
    sample = measured(tmp_path, files, measure="tests")
    assert set(sample.values) == {"test_speed.py::test_it", "test_speed.py::test_with_a_threshold"}
    assert "ValueError: process_time" in sample.failed["test_own.py::test_of_the_processor"]


def test_a_clock_is_as_fine_as_its_smallest_step() -> None:
    """One that stands still tells nothing, and is no finer than any other for that."""
    steps = iter([0.0, 2.0, 2.0, 2.5, 2.5, 2.5] + [9.0] * 1994)
    assert precision_of(lambda: next(steps)) == 0.5
    assert precision_of(lambda: 1.0) == 0.0
    assert 0 < precision_of(elapsed_clock()) < 0.01


def test_the_clock_goes_on_while_nothing_is_done() -> None:
    """Waiting is told, since a service that waits longer is slower."""
    import time

    elapsed = elapsed_clock()
    begin = elapsed()
    time.sleep(0.05)
    assert elapsed() - begin > 0.04
