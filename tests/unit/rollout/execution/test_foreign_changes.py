"""Services that a way back leaves alone: started where the engine was away meanwhile, else told."""

from pathlib import Path

import pytest

from pytest_py312.rollout.targets.target import TargetLost
from tests.unit.rollout.shells import PLAN, Shell, shell_in

BOTH = """
[[stage]]
number = 1
services = ["auth", "gateway"]

[service.gateway]
deploy = { needs = ["auth"] }
"""


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return shell_in(tmp_path, monkeypatch, plan=PLAN, stages=BOTH)


def failing(py312: Shell, *, lost: bool) -> str:
    """The first service fails, and the second, which was not reached, goes down meanwhile."""

    def before(step: str) -> None:
        if step == "switch auth":
            py312.target.before = lambda step: None
            next(one for one in py312.target.containers.values() if one.name == "gateway").running = False
            if lost:
                raise TargetLost("the engine does not answer")
            py312.target.unready.add("new-3.12")

    py312.target.before = before
    return py312("deploy --stage 1", code=1)


def test_where_the_engine_was_away_what_ran_before_is_started_again(py312: Shell) -> None:
    assert "rolled back" in failing(py312, lost=True)
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}
    assert "gateway was not touched, ran when the stage was begun, and does not by now: started" in py312.told


def test_where_somebody_may_have_stopped_it_he_is_asked(py312: Shell) -> None:
    failing(py312, lost=False)
    assert py312.target.serving() == {"auth": "old-3.9"}
    told = "gateway was not touched, and does not run by now: start gateway, or `py312 recover --env test --start`"
    assert told in py312.told
    assert py312("recover --start") == "nothing was left half done in test\n"
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}
    assert py312.target.locks == {}


def test_what_cannot_be_started_is_told(py312: Shell) -> None:
    failing(py312, lost=False)
    gone = next(key for key, one in py312.target.containers.items() if one.name == "gateway")
    del py312.target.containers[gone]
    py312("recover --start", code=1)
    assert "gateway could not be started: the old container is gone" in py312.told


def test_a_dry_run_starts_nothing(py312: Shell) -> None:
    failing(py312, lost=False)
    assert "would start again what a way back has left alone" in py312("recover --start --dry-run")
    assert py312.target.serving() == {"auth": "old-3.9"}
