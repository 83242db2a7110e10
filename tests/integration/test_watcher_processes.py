"""Watcher processes that are killed, stopped by signals, and replaced by others."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageState
from tests.integration.watcher_process import SETTINGS
from tests.unit.rollout.watchers import MonitoredStage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stage of one service in its soak of three seconds, left by a process that has ended."""
    made = MonitoredStage(folder=tmp_path / "state", settings=SETTINGS)
    made.journal.close()
    return tmp_path / "state"


def watcher(folder: Path, mode: str = "wait", *launcher: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*launcher, sys.executable, "-m", "tests.integration.watcher_process", str(folder), mode],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_a_sample(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline().startswith("asked")


def slots_and_credit(folder: Path) -> tuple[list[int], float, StageState]:
    journal = Journal(folder)
    slots = [sample.slot for sample in journal.samples("r1", "user")]
    run = journal.load_run("r1")
    journal.close()
    return slots, run.credited, run.state


def test_a_watcher_that_is_killed_repeatedly_loses_and_repeats_no_sample(folder: Path) -> None:
    """Stored samples stay, each slot occurs once, and the soak has its full duration."""
    rng = random.Random(7)
    kept: list[int] = []
    for _ in range(6):
        process = watcher(folder)
        wait_for_a_sample(process)
        time.sleep(rng.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        slots, credit, _ = slots_and_credit(folder)
        assert slots[: len(kept)] == kept
        assert len(slots) == len(set(slots))
        assert credit <= len(slots) * SETTINGS.interval + 1e-6
        kept = slots
    last = watcher(folder)
    output, _ = last.communicate(timeout=60)
    slots, credit, state = slots_and_credit(folder)
    assert (last.returncode, state) == (0, StageState.ACCEPTED), output
    assert slots[: len(kept)] == kept
    assert slots == sorted(set(slots))
    assert len(slots) >= SETTINGS.sample_count
    assert credit >= SETTINGS.duration


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_watcher_and_not_the_soak(folder: Path, number: signal.Signals) -> None:
    process = watcher(folder)
    wait_for_a_sample(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert output.splitlines()[-1] == f"soaking {number.name}"
    assert slots_and_credit(folder)[2] is StageState.SOAKING


def test_a_watcher_in_the_background_of_a_shell_can_be_interrupted(folder: Path) -> None:
    """There SIGINT is ignored from the start, and a CI that cancels its job sends SIGINT."""
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = watcher(folder, "wait", sys.executable, "-c", ignoring)
    wait_for_a_sample(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 2


def test_one_process_per_sample_gives_the_same_result(folder: Path) -> None:
    codes = set()
    for _ in range(3):
        process = watcher(folder, "sample")
        process.communicate(timeout=30)
        codes.add(process.returncode)
    slots, credit, state = slots_and_credit(folder)
    assert codes == {75}
    assert state is StageState.SOAKING
    # the first process only starts the schedule, or takes a sample if it is late enough
    assert 2 <= len(slots) <= 3
    assert credit == pytest.approx(len(slots) * SETTINGS.interval)
