"""Acceptance tests in processes of their own: what they find, and that none of them is left."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core import clock
from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings, RolloutSettings
from pytest_py312.rollout.domain.events import AcceptanceTested
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import AcceptancePhase, AcceptanceResult
from pytest_py312.rollout.execution.acceptance_runner import AcceptanceRunner
from pytest_py312.rollout.execution.actions import WaitInterrupted
from tests.support.fakes import service_tree
from tests.unit.rollout.runs import planned

SUITE = """
import os
import pytest

@pytest.mark.parametrize("number", [1, 2])
def test_passes(number):
    assert os.environ["BASE_URL"] == "http://shop"

def test_fails():
    assert False, "on purpose"

@pytest.mark.skip(reason="on purpose")
def test_skipped():
    pass

@pytest.fixture
def broken():
    yield
    raise RuntimeError("on purpose")

def test_that_leaves_something(broken):
    pass
"""
HANGING = """
import os, subprocess, sys, time
from pathlib import Path

def test_hangs():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path("child.part").write_text(str(child.pid))
    os.replace("child.part", "child")
    time.sleep(600)
"""


def run_tests(root: Path, cancelled: threading.Event | None = None, **settings: Any) -> AcceptanceResult:
    """Run tests before a deployment."""
    tests = AcceptanceSettings(name="e2e", environment=(("BASE_URL", "http://shop"),), **settings)
    runner = AcceptanceRunner(settings=RolloutSettings(acceptance=((1, tests),)), services={}, root=root)
    run = planned("auth", acceptance=("e2e",))
    event: AcceptanceTested = runner.test(run, "e2e", AcceptancePhase.BEFORE, cancelled or threading.Event())
    return event.result


def wait_until(fact: Callable[[], bool], otherwise: str) -> None:
    deadline = clock.stopwatch() + 60.0
    while not fact():
        assert clock.stopwatch() < deadline, otherwise
        clock.pause(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_each_test_has_its_own_result_and_the_gate_stays_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the settings of the repository ask for the gate in every run."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "--py312-stage=1")
    settings = "[pytest]\npy312 = true\naddopts = --py312 -p no:cacheprovider\n"
    service_tree(tmp_path, {"pytest.ini": settings, "tests/e2e/test_shop.py": SUITE})
    result = run_tests(tmp_path, pytest="tests/e2e")
    assert result.passing == (
        "tests.e2e.test_shop::test_passes[1]",
        "tests.e2e.test_shop::test_passes[2]",
    ), result
    assert result.known_failing == (
        "tests.e2e.test_shop::test_fails",
        "tests.e2e.test_shop::test_that_leaves_something",
    )
    assert "on purpose" in result.output
    assert "py312" not in result.output


def test_a_time_limit_ends_all_processes(tmp_path: Path) -> None:
    service_tree(tmp_path, {"pytest.ini": "[pytest]\n", "test_it.py": HANGING})
    result = run_tests(tmp_path, pytest="test_it.py", timeout=8.0)
    assert (result.result, result.reason) == (Result.INCONCLUSIVE, "the time limit of 8 s was reached")
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_running(child), "a process of the tests was left")


def test_a_cancellation_ends_all_processes(tmp_path: Path) -> None:
    service_tree(tmp_path, {"pytest.ini": "[pytest]\n", "test_it.py": HANGING})
    cancelled, raised = threading.Event(), threading.Event()

    def work() -> None:
        with pytest.raises(WaitInterrupted):
            run_tests(tmp_path, cancelled, pytest="test_it.py")
        raised.set()

    thread = threading.Thread(target=work)
    thread.start()
    wait_until((tmp_path / "child").exists, "the tests have not started")
    cancelled.set()
    thread.join()
    assert raised.is_set()
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_running(child), "a process of the tests was left")


KILLED = """
import sys, threading
from pathlib import Path
from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings, RolloutSettings
from pytest_py312.rollout.domain.model import AcceptancePhase
from pytest_py312.rollout.execution.acceptance_runner import AcceptanceRunner
from tests.unit.rollout.runs import planned

tests = AcceptanceSettings(name="e2e", pytest="test_it.py")
runner = AcceptanceRunner(settings=RolloutSettings(acceptance=((1, tests),)), services={}, root=Path(sys.argv[1]))
runner.test(planned("auth", acceptance=("e2e",)), "e2e", AcceptancePhase.BEFORE, threading.Event())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel sends no signal when a parent ends")
def test_nothing_is_left_if_the_tool_is_killed(tmp_path: Path) -> None:
    """Neither a process in a session of its own without the variables of the tests, nor the folder of their report."""
    hanging = HANGING.replace("start_new_session=True", "start_new_session=True, env={}")
    root = service_tree(tmp_path / "root", {"pytest.ini": "[pytest]\n", "test_it.py": hanging})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(root)], cwd=Path(__file__).parents[2], env=variables
    ) as tool:
        wait_until((root / "child").exists, "the tests have not started")
        assert [*temporary.iterdir()]
        tool.kill()
    child = int((root / "child").read_text())
    wait_until(lambda: not is_running(child), "a process of the tests was left")
    wait_until(lambda: not [*temporary.iterdir()], "the folder of the report was left")


@pytest.mark.parametrize(
    ("files", "settings", "reason"),
    [
        ({"test_it.py": "def helper(): ..."}, {}, "no test was collected"),
        ({"test_it.py": "import nothing_of_that_name"}, {}, "pytest was interrupted, or could not collect the tests"),
        ({"test_it.py": SUITE}, {"python": "no-such-python"}, "no-such-python could not be started"),
        ({"test_it.py": SUITE, "bare": f"#!/bin/sh\nexec {sys.executable} -S \"$@\"\n"}, {"python": "./bare"},
         "pytest wrote no results"),
        ({"test_it.py": "import os\ndef test_it(): os.kill(os.getpid(), 9)"}, {}, "the process was ended by signal 9"),
        ({}, {"pytest": "", "command": ("no-such-command",)}, "no-such-command could not be started"),
        ({"bare": "true"}, {"pytest": "", "command": ("./bare",)}, "./bare could not be started: [Errno 8]"),
    ],
    ids=["nothing collected", "collection error", "no interpreter", "no pytest", "killed", "no command", "no program"],
)  # fmt: skip
def test_a_run_that_was_not_possible_is_inconclusive(
    tmp_path: Path, files: dict[str, str], settings: dict[str, Any], reason: str
) -> None:
    service_tree(tmp_path, {"pytest.ini": "[pytest]\n", **files})
    for path in tmp_path.glob("bare"):
        path.chmod(0o755)
    result = run_tests(tmp_path, **{"pytest": "test_it.py", **settings})
    assert result.result is Result.INCONCLUSIVE
    assert result.reason.startswith(reason)


@pytest.mark.parametrize(("code", "result"), [(0, Result.SUCCESSFUL), (3, Result.FAILED)])
def test_the_exit_code_of_a_command_decides(tmp_path: Path, code: int, result: Result) -> None:
    service_tree(tmp_path, {"tests/smoke.sh": f"test $BASE_URL = http://shop && echo {'x' * 9000} && exit {code}\n"})
    outcome = run_tests(tmp_path, command=("sh", "smoke.sh"), folder="tests")
    assert outcome.result is result
    assert len(outcome.output) <= 1500
    assert [path.name for path in tmp_path.iterdir()] == ["tests"], "nothing is written to the repository"
