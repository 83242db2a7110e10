"""``py312 contract``, typed at a target in memory: what it finds to hold is known when the stage is judged."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.rollout.model import StageState
from tests.unit.rollout.shells import PLAN, STAGES, Shell, shell_in
from tests.unit.rollout.test_contracting import Answering

EDGE = "gateway->auth"
CONTRACT = """
[[contract]]
caller = "gateway"
callee = "auth"
path = "/verify"
"""


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch, plan=PLAN, stages=STAGES + CONTRACT)
    meeting = Answering()
    for name in ("auth", "gateway"):
        meeting.serve(name, "old-3.9")
    shell.target = meeting  # type: ignore[assignment]  # one of which nobody asks what it is
    shell("deploy --stage 1")
    return shell


def soaked(py312: Shell, *, code: int) -> StageState:
    for seconds in (0.0, 60.0, 60.0):
        py312.ticked(seconds=seconds)
    py312.ticked(code=code)
    return py312.run().state


def test_what_holds_is_written_down(py312: Shell) -> None:
    assert f"{EDGE}  /verify  kept" in py312("contract --stage 1")
    assert py312.run().kept == (EDGE,)
    assert soaked(py312, code=0) is StageState.ACCEPTED


def test_a_stage_of_which_nobody_has_asked_is_held(py312: Shell) -> None:
    assert soaked(py312, code=1) is StageState.HELD
    assert py312.run().reason == f"verdict: contract {EDGE}: was not tried"
    py312("decide accept --stage 1 --reason tried-by-hand")
    assert py312.run().state is StageState.ACCEPTED


def test_whoever_watches_is_left_alone(py312: Shell) -> None:
    """They are told, and the one that watches keeps the run."""
    py312.target.locks["test"] = replace(py312.target.locks["test"], journal="another one's")
    assert "kept" in py312("contract --stage 1")
    assert py312.run().kept == ()
    assert any("not written down" in line for line in py312.told), py312.told
