"""The target of an environment: one engine for each, and the same one until its relocation is confirmed."""

from contextlib import closing
from pathlib import Path

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.preflight.health_checks import run_health_checks
from pytest_py312.rollout.preflight.health_rows import HealthRow, HealthStatus
from tests.unit.rollout.shells import PLAN, Shell, shell_in

A, B = "the Docker engine AAAA", "the Docker engine BBBB"
BOTH = PLAN.replace("[deploy]", '[deploy]\nenvironments = { test = {}, prod = { after = ["test"] } }')
TOGETHER = BOTH.replace("{ after", '{ shares-target-with = ["test"], after')


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch)
    shell.target.place = A
    return shell


def refusal(py312: Shell, line: str) -> str:
    with pytest.raises(RolloutRefused) as refused:
        py312(line)
    return str(refused.value)


def test_the_place_of_a_deployment_is_written_down_and_shown(py312: Shell) -> None:
    py312("deploy --stage 1")
    assert py312.run().place == A
    assert [run["place"] for run in py312.document("status")["runs"]] == [A]


@pytest.mark.parametrize("line", ["sample --stage 1", "rollback --stage 1", "deploy --stage 1", "deploy --stage 2"])
def test_nothing_is_done_on_an_engine_that_is_another_one_by_now(py312: Shell, line: str) -> None:
    py312("deploy --stage 1")
    if line == "deploy --stage 2":
        py312.accept(1)
    steps = len(py312.target.steps)
    py312.target.place = B
    message = refusal(py312, line)
    assert f"test uses {A} (stage 1, run {py312.run().run}), but {B} answers" in message
    assert "py312 recover --env test --accept-new-engine" in message
    assert not [step for step in py312.target.steps[steps:] if not step.startswith("observe")]


def test_status_does_not_say_that_nobody_holds_what_it_has_not_found(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.target.place = B
    assert f"the lock of test cannot be read: test uses {A}" in py312("status")
    found = py312.document("status")
    assert (found["held_by"], B in found["held_by_unknown"]) == (None, True)


def test_an_accepted_relocation_is_recorded_once_in_the_history(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.target.place = B
    assert f"stage 1 is now on {B}" in py312("recover --accept-new-engine")
    assert py312.run().place == B
    assert py312.sample_once()["state"] == "soaking"
    assert "nothing is unfinished" in py312("recover --accept-new-engine"), "the second time nothing changes"
    py312("evidence --stage 1")
    assert f"place: {B}; by: " in (py312.root / ".py312/evidence/stage-1-test.html").read_text()


def test_earlier_attempts_are_moved_along(py312: Shell) -> None:
    """They can be rolled back, too."""
    for _ in range(2):
        py312("deploy --stage 1")
        py312("rollback --stage 1")
    py312.target.place = B
    assert py312("recover --accept-new-engine") == f"stage 1 is now on {B}\n"
    with closing(Journal(py312.context.state_dir)) as journal:
        assert [journal.load_run(name).place for name in journal.run_names("test")] == [B, B]


def test_two_environments_do_not_lie_on_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    py312 = shell_in(tmp_path, monkeypatch, plan=BOTH)
    py312.target.place = A
    py312("deploy --stage 1")
    py312.accept(1)
    message = refusal(py312, "deploy --stage 1 --env prod")
    assert f"prod would use {A}, which test uses (stage 1, run {py312.run().run})" in message
    assert 'prod = { shares-target-with = ["test"] }' in message
    py312.target.place = B
    py312("deploy --stage 1 --env prod")


def test_an_environment_is_not_moved_to_where_another_one_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    py312 = shell_in(tmp_path, monkeypatch, plan=BOTH)
    py312.target.place = A
    py312("deploy --stage 1")
    py312.accept(1)
    py312.target.place = B
    py312("deploy --stage 1 --env prod")
    py312.target.place = A
    assert f"prod would use {A}, which test uses" in refusal(py312, "recover --env prod --accept-new-engine")


@pytest.mark.parametrize("plan", [TOGETHER, BOTH.replace("test = {}", 'test = { shares-target-with = ["prod"] }')])
def test_two_may_lie_there_where_the_plan_says_so_of_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    py312 = shell_in(tmp_path, monkeypatch, plan=plan)
    py312.target.place = A
    py312("deploy --stage 1")
    py312.accept(1)
    assert "stage 1 is soaking" in py312("deploy --stage 1 --env prod")


def test_a_target_that_does_not_tell_is_not_held_against_anybody(py312: Shell) -> None:
    py312.target.place = ""
    py312("deploy --stage 1")
    py312.target.place = A
    assert py312.sample_once()["state"] == "soaking"
    (row,) = _identity(py312, "")
    assert (row.health, row.needed) == (HealthStatus.UNKNOWN, False)


def test_the_doctor_sees_another_engine(py312: Shell) -> None:
    (row,) = _identity(py312, A)
    assert (row.health, row.detail) == (HealthStatus.OK, A)
    py312("deploy --stage 1")
    (row,) = _identity(py312, B)
    assert (row.health, row.needed) == (HealthStatus.PROBLEM, True)
    assert f"test uses {A}" in row.detail


def _identity(py312: Shell, place: str) -> list[HealthRow]:
    py312.target.place = place
    return [row for row in run_health_checks(py312.context, "test", None) if row.what == "identity"]
