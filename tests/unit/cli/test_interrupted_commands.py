"""SIGINT, SIGTERM and SIGHUP during commands: the same end for each of them, wherever they arrive.

Signals are sent to this process, by the target in memory, while a command works.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from pytest_py312.core.process import Terminated, interrupt_on_termination
from pytest_py312.rollout.domain.journal import RELEASED_PREFIX, Journal
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.domain.target_model import Usage
from tests.unit.rollout.shells import Shell, shell_in

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
OLD, NEW = "old-3.9", "new-3.12"
KILLED = Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=True)

pytestmark = pytest.mark.parametrize("number", STOP_SIGNALS, ids=lambda number: number.name)


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return shell_in(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def _handlers_are_restored(number: signal.Signals) -> object:
    previous_handler = signal.getsignal(number)
    yield
    assert signal.getsignal(number) is previous_handler


def interrupt_at(py312: Shell, step: str, number: signal.Signals) -> None:
    """Send the signal at a step of the target."""

    def send(current: str) -> None:
        if current == step:
            os.kill(os.getpid(), number)

    py312.target.before = send


def interrupt_sample(py312: Shell, number: signal.Signals, usage: Usage) -> None:
    """Send the signal while a sample is taken."""

    def read_usage(*arguments: object, **named: object) -> Usage:
        os.kill(os.getpid(), number)
        return usage

    py312.target.read_usage = read_usage  # type: ignore[method-assign]  # of this target only


def owner(py312: Shell) -> str:
    journal = Journal(py312.context.state_dir)
    try:
        return journal.owner(py312.run().run)
    finally:
        journal.close()


@pytest.mark.parametrize("step", ["observe auth", "prepare auth", "switch auth", "ready auth"])
def test_a_deployment_is_rolled_back(py312: Shell, number: signal.Signals, step: str) -> None:
    interrupt_at(py312, step, number)
    assert py312("deploy --stage 1", code=1) == f"stage 1 is rolled back: auth: interrupted by {number.name}\n"
    assert py312.target.serving()["auth"] == OLD
    assert py312.target.locks == {}


@pytest.mark.parametrize("command", ["rollback --stage 1", "deploy --rollback --stage 1"])
def test_a_rollback_is_completed(py312: Shell, number: signal.Signals, command: str) -> None:
    py312("deploy --stage 1")
    interrupt_at(py312, "restore auth", number)
    assert py312(command) == "stage 1 is rolled back: manual\n"
    assert py312.target.serving()["auth"] == OLD
    assert py312.target.locks == {}


@pytest.mark.parametrize("command", ["watch", "sample"])
def test_a_sample_is_given_up_and_the_stage_released(py312: Shell, number: signal.Signals, command: str) -> None:
    """The next process continues at once, on whichever machine."""
    py312("deploy --stage 1")
    py312.sample_once()
    py312.seconds += 60.0
    interrupt_sample(py312, number, py312.target.usage)
    document = py312.document(f"{command} --stage 1", code=2)
    assert (document["state"], document["interrupted"], document["exit_status"]) == ("soaking", number.name, 2)
    assert py312.target.serving()["auth"] == NEW
    assert owner(py312).startswith(RELEASED_PREFIX)


@pytest.mark.parametrize("command", ["watch", "sample"])
def test_a_rollback_after_a_breach_is_completed(py312: Shell, number: signal.Signals, command: str) -> None:
    py312("deploy --stage 1")
    py312.sample_once()
    py312.seconds += 60.0
    py312.target.usage = KILLED
    interrupt_at(py312, "restore auth", number)
    assert "stage 1 in test is rolled back: auth: out of memory" in py312(f"{command} --stage 1", code=1)
    assert py312.target.serving()["auth"] == OLD
    assert py312.target.locks == {}


@pytest.mark.parametrize("command", ["watch --stage 1", "recover", "deploy --stage 1"])
def test_what_a_dead_process_has_left_is_completed(
    py312: Shell, number: signal.Signals, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(step: str) -> None:
        if step == "switch (nothing serves) auth":
            raise Killed

    py312.target.before = kill
    with pytest.raises(Killed):
        py312("deploy --stage 1")
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: True)
    monkeypatch.setattr("pytest_py312.rollout.execution.driver.SETTLE_SECONDS", 0.0)
    interrupt_at(py312, "restore auth", number)
    py312(command, code=0 if command == "recover" else 1)
    assert "restore auth" in py312.target.steps
    assert py312.run().state is StageState.ROLLED_BACK
    assert py312.target.serving()["auth"] == OLD


def test_an_aborted_stage_is_rolled_back_and_released(py312: Shell, number: signal.Signals) -> None:
    py312("deploy --stage 1")
    py312.sample_once()
    for one in py312.target.containers.values():
        one.running = one.running and one.name != "auth"
        one.name = one.name.replace("auth", "gone")
    foreign = py312.target.serve("auth", "hand-3.12")
    py312.sample_once(code=1)
    assert py312.run().state is StageState.HELD
    del py312.target.containers[foreign.id]
    interrupt_at(py312, "restore auth", number)
    py312("abort --stage 1 --reason no")
    assert py312.target.serving()["auth"] == OLD
    assert py312.target.locks == {}


# ---- elsewhere


def test_a_command_that_waits_is_ended_and_cleans_up(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything was changed, or where nothing is changed: as SIGINT, whose exit code a shell expects."""
    cleaned: list[str] = []

    def wait(options: object) -> int:
        try:
            os.kill(os.getpid(), number)
            raise AssertionError("it goes on")
        finally:
            cleaned.append("yes")

    monkeypatch.setattr("pytest_py312.cli.gate_commands.inventory", wait)
    # whatever a test in front of this one, or the shell that started the tests, has left
    default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    previous = signal.signal(number, default)
    try:
        assert main(["inventory", str(tmp_path)]) == 128 + number
    finally:
        signal.signal(number, previous)
    assert cleaned == ["yes"]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None], ids=["ignored", "own"])
def test_another_handler_is_left_alone(number: signal.Signals, handler: Callable[..., None]) -> None:
    previous_handler = signal.signal(number, handler)
    try:
        with interrupt_on_termination():
            assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, previous_handler)
    assert issubclass(Terminated, KeyboardInterrupt)
