"""Watchers that are killed, told to stop, and followed by others."""

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
from tests.unit.rollout.watchers import Watching

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A stage of one service in its soak of three seconds, as a process has left it that is gone."""
    made = Watching(folder=tmp_path / "state", settings=SETTINGS)
    made.journal.close()
    return tmp_path / "state"


def watcher(folder: Path, mode: str = "wait", *before: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*before, sys.executable, "-m", "tests.integration.watcher_process", str(folder), mode],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for_a_sample(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline().startswith("asked")


def slots_and_credit(folder: Path) -> tuple[list[int], float, StageState]:
    journal = Journal(folder)
    slots = [sample.slot for sample in journal.samples("r1", "user")]
    run = journal.run("r1")
    journal.close()
    return slots, run.credited, run.state


def test_a_watcher_that_is_killed_again_and_again_loses_no_sample_and_counts_none_twice(folder: Path) -> None:
    """What was kept stays, each slot once, and the soak is as long as it has to be."""
    chance = random.Random(7)
    kept: list[int] = []
    for _ in range(6):
        process = watcher(folder)
        wait_for_a_sample(process)
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        slots, credit, _ = slots_and_credit(folder)
        assert slots[: len(kept)] == kept
        assert len(slots) == len(set(slots))
        assert credit <= len(slots) * SETTINGS.interval + 1e-6
        kept = slots
    last = watcher(folder)
    told, _ = last.communicate(timeout=60)
    slots, credit, state = slots_and_credit(folder)
    assert (last.returncode, state) == (0, StageState.ACCEPTED), told
    assert slots[: len(kept)] == kept
    assert slots == sorted(set(slots))
    assert len(slots) >= SETTINGS.samples
    assert credit >= SETTINGS.duration


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_watching_and_nothing_else(folder: Path, number: signal.Signals) -> None:
    process = watcher(folder)
    wait_for_a_sample(process)
    process.send_signal(number)
    told, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert told.splitlines()[-1] == f"soaking {number.name}"
    assert slots_and_credit(folder)[2] is StageState.SOAKING


def test_a_watcher_in_the_background_of_a_shell_is_told_as_well(folder: Path) -> None:
    """There SIGINT is ignored from the beginning, and a CI that cancels its job sends just that."""
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = watcher(folder, "wait", sys.executable, "-c", ignoring)
    wait_for_a_sample(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 2


def test_a_process_for_each_sample_comes_to_the_same(folder: Path) -> None:
    codes = set()
    for _ in range(3):
        process = watcher(folder, "tick")
        process.communicate(timeout=30)
        codes.add(process.returncode)
    slots, credit, state = slots_and_credit(folder)
    assert codes == {75}
    assert state is StageState.SOAKING
    # the first one only began the schedule, or came late enough to take a sample as well
    assert 2 <= len(slots) <= 3
    assert credit == pytest.approx(len(slots) * SETTINGS.interval)
