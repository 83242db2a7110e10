"""Services that a rollback leaves alone: started if the engine was unreachable meanwhile, otherwise only reported."""

from pathlib import Path

import pytest

from pytest_py312.rollout.targets.target import TargetUnavailable
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
    """The first service fails, and the second, which was not reached, stops meanwhile."""

    def before(step: str) -> None:
        if step == "switch auth":
            py312.target.before = lambda step: None
            next(one for one in py312.target.containers.values() if one.name == "gateway").running = False
            if lost:
                raise TargetUnavailable("the engine does not answer")
            py312.target.unready.add("new-3.12")

    py312.target.before = before
    return py312("deploy --stage 1", code=1)


def test_where_the_engine_was_away_what_ran_before_is_started_again(py312: Shell) -> None:
    assert "rolled back" in failing(py312, lost=True)
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}
    assert "gateway was not changed, ran when the stage began, and is not running now: started" in py312.logged


def test_where_somebody_may_have_stopped_it_he_is_asked(py312: Shell) -> None:
    failing(py312, lost=False)
    assert py312.target.serving() == {"auth": "old-3.9"}
    message = (
        "gateway was not changed, but is not running now: start gateway, or run `py312 recover --env test --start`"
    )
    assert message in py312.logged
    assert py312("recover --start") == "nothing is unfinished in test\n"
    assert py312.target.serving() == {"auth": "old-3.9", "gateway": "old-3.9"}
    assert py312.target.locks == {}


def test_what_cannot_be_started_is_reported(py312: Shell) -> None:
    failing(py312, lost=False)
    gone = next(key for key, one in py312.target.containers.items() if one.name == "gateway")
    del py312.target.containers[gone]
    py312("recover --start", code=1)
    assert "gateway could not be started: the old container is gone" in py312.logged


def test_a_dry_run_starts_nothing(py312: Shell) -> None:
    failing(py312, lost=False)
    assert "would start the stopped services that a rollback has skipped" in py312("recover --start --dry-run")
    assert py312.target.serving() == {"auth": "old-3.9"}
