"""Two watchers of one stage, and a rollback that lost its engine: the next process continues."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.process_identity import process_start_ticks, this_process
from pytest_py312.rollout.domain.events import Restored
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.execution import driver
from pytest_py312.rollout.targets.target import TargetUnavailable
from tests.unit.rollout.shells import Shell, shell_in

LIVING = str(replace(this_process(), pid=1, start_ticks=process_start_ticks(1) or 0))
"""A process of this machine that is not this one, and does not end."""


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch)
    shell("deploy --stage 1")
    return shell


def taken(py312: Shell, *, run: str = "") -> None:
    """Let another process hold the stage."""
    name = run or py312.run().run
    found = py312.target.locks["test"]
    py312.target.locks["test"] = replace(found, name="night shift", process=LIVING, run=name)
    with closing(Journal(py312.context.state_dir)) as journal:
        journal.acquire(py312.run().run, owner=LIVING)


@pytest.mark.parametrize("command", ["sample", "watch"])
def test_the_second_watcher_says_who_watches_and_harms_nothing(py312: Shell, command: str) -> None:
    taken(py312)
    py312.seconds += 60.0
    text = py312(f"{command} --stage 1", code=75)
    assert "another process is working on this stage: test is held by night shift" in text
    assert "stage 1 in test is soaking" in text
    with closing(Journal(py312.context.state_dir)) as journal:
        assert journal.owner(py312.run().run) == LIVING
        assert journal.newest_samples(py312.run().run) == {}
    assert "night shift" in py312.document("sample --stage 1", code=75)["busy"]


def test_a_second_watcher_of_a_held_stage_reports_the_same_as_the_first(py312: Shell) -> None:
    py312.sample_once()
    for key, one in [*py312.target.containers.items()]:
        if one.name == "auth":
            py312.target.containers[key] = replace(one, name="auth.gone", running=False)
    py312.target.serve("auth", "hand-3.12")
    assert py312.sample_once(code=1)["state"] == "held"
    taken(py312)
    assert "night shift" in py312.document("sample --stage 1", code=1)["busy"]


@pytest.mark.parametrize(("seconds", "is_there"), [(60.0, True), (180.0, False)], ids=["samples come", "none for long"])
def test_of_a_process_elsewhere_only_samples_tell_that_it_lives(py312: Shell, seconds: float, is_there: bool) -> None:
    """A lock without a process behind it must not be waited for in silence."""
    py312.sample_once()
    py312.sample_once()
    found = py312.target.locks["test"]
    py312.target.locks["test"] = replace(found, name="night shift", process="elsewhere")
    py312.seconds += seconds
    if is_there:
        assert "night shift" in py312("sample --stage 1", code=75)
        return
    with pytest.raises(RolloutRefused, match="held by night shift"):
        py312("sample --stage 1")


def test_another_journal_is_another_operator_who_is_refused(py312: Shell) -> None:
    found = py312.target.locks["test"]
    py312.target.locks["test"] = replace(found, name="night shift", process=LIVING, journal="another")
    with pytest.raises(RolloutRefused, match="held by night shift"):
        py312("sample --stage 1")


def test_the_engine_was_away_just_when_the_stage_went_back(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollback has failed then and says so; the next sample reaches the engine again, and finishes it."""
    monkeypatch.setattr(driver, "UNREACHABLE_LIMIT", 0.0)
    is_away = True

    def before(step: str) -> None:
        if is_away and step.startswith("restore"):
            raise TargetUnavailable("the engine does not answer")

    py312.target.before = before
    assert "stage 1 is rollback failed" in py312("rollback --stage 1", code=1)
    for _ in range(2):
        document = py312.sample_once(code=1)
        assert document["state"] == "rollback failed"
        assert document["reason"].count("could not be brought back") == 1, "it does not grow with each try"
    is_away = False
    assert py312.sample_once(code=1)["state"] == "rolled back"
    assert py312.target.serving()["auth"] == "old-3.9"
    assert py312.target.locks == {}


def test_killed_just_when_it_went_back_the_next_sample_goes_on(py312: Shell) -> None:
    def killed(step: str) -> None:
        if step.startswith("restore"):
            raise MemoryError

    py312.target.before = killed
    with pytest.raises(MemoryError):
        py312("rollback --stage 1")
    assert py312.run().state is StageState.ROLLING_BACK
    py312.target.before = lambda step: None
    assert py312.sample_once(code=1)["state"] == "rolled back"
    with closing(Journal(py312.context.state_dir)) as journal:
        whats = [entry.content for entry in journal.history(py312.run().run)]
    assert [what for what in whats if isinstance(what, Restored)] == [Restored(service="auth")]


def test_a_sample_during_a_deployment_comes_back_later(py312: Shell) -> None:
    def beside(step: str) -> None:
        if step == "switch auth":
            py312.target.before = lambda step: None
            ours = dict(py312.target.locks)
            with closing(Journal(py312.context.state_dir)) as journal:
                name = next(run.run for run in journal.current_runs("test") if run.state is StageState.DEPLOYING)
            py312.target.locks["test"] = replace(ours["test"], process=LIVING)
            documents.append(py312.document("sample --stage 1", code=75))
            py312.target.locks.update(ours)
            assert documents[0]["run"] == name

    documents: list[dict[str, object]] = []
    py312("rollback --stage 1")
    py312.target.before = beside
    py312("deploy --stage 1")
    assert documents[0]["state"] == "deploying"
