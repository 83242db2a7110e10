"""Where an environment lies: one engine for each, and the same one until somebody says otherwise."""

from contextlib import closing
from pathlib import Path

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.preflight.health_checks import examined
from pytest_py312.rollout.preflight.health_rows import Health, Row
from tests.unit.rollout.shells import PLAN, Shell, shell_in

A, B = "the Docker engine AAAA", "the Docker engine BBBB"
BOTH = PLAN.replace("[deploy]", '[deploy]\nenvironments = { test = {}, prod = { after = ["test"] } }')
TOGETHER = BOTH.replace("{ after", '{ same-place-as = ["test"], after')


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


@pytest.mark.parametrize("line", ["tick --stage 1", "rollback --stage 1", "deploy --stage 1", "deploy --stage 2"])
def test_nothing_is_done_on_an_engine_that_is_another_one_by_now(py312: Shell, line: str) -> None:
    py312("deploy --stage 1")
    if line == "deploy --stage 2":
        py312.accept(1)
    steps = len(py312.target.steps)
    py312.target.place = B
    told = refusal(py312, line)
    assert f"test lies on {A} (stage 1, run {py312.run().run}), and {B} answers" in told
    assert "py312 recover --env test --moved" in told
    assert not [step for step in py312.target.steps[steps:] if not step.startswith("observe")]


def test_status_does_not_say_that_nobody_holds_what_it_has_not_found(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.target.place = B
    assert f"who holds test cannot be told: test lies on {A}" in py312("status")
    found = py312.document("status")
    assert (found["held_by"], B in found["held_by_unknown"]) == (None, True)


def test_an_exchange_that_is_meant_is_said_once_and_stands_in_the_history(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.target.place = B
    assert f"stage 1 lies on {B}" in py312("recover --moved")
    assert py312.run().place == B
    assert py312.ticked()["state"] == "soaking"
    assert "nothing was left half done" in py312("recover --moved"), "a second time there is nothing to be said"
    py312("evidence --stage 1")
    assert f"place: {B}; by: " in (py312.root / ".py312/evidence/stage-1-test.html").read_text()


def test_earlier_attempts_are_moved_along(py312: Shell) -> None:
    """They can be gone back from, too."""
    for _ in range(2):
        py312("deploy --stage 1")
        py312("rollback --stage 1")
    py312.target.place = B
    assert py312("recover --moved") == f"stage 1 lies on {B}\n"
    with closing(Journal(py312.ground.state)) as journal:
        assert [journal.run(name).place for name in journal.names("test")] == [B, B]


def test_two_environments_do_not_lie_on_one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    py312 = shell_in(tmp_path, monkeypatch, plan=BOTH)
    py312.target.place = A
    py312("deploy --stage 1")
    py312.accept(1)
    told = refusal(py312, "deploy --stage 1 --env prod")
    assert f"prod would lie on {A}, where test lies (stage 1, run {py312.run().run})" in told
    assert 'prod = { same-place-as = ["test"] }' in told
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
    assert f"prod would lie on {A}, where test lies" in refusal(py312, "recover --env prod --moved")


@pytest.mark.parametrize("plan", [TOGETHER, BOTH.replace("test = {}", 'test = { same-place-as = ["prod"] }')])
def test_two_may_lie_there_where_the_plan_says_so_of_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    py312 = shell_in(tmp_path, monkeypatch, plan=plan)
    py312.target.place = A
    py312("deploy --stage 1")
    py312.accept(1)
    py312("deploy --stage 1 --env prod")


def test_a_target_that_does_not_tell_is_not_held_against_anybody(py312: Shell) -> None:
    py312.target.place = ""
    py312("deploy --stage 1")
    py312.target.place = A
    assert py312.ticked()["state"] == "soaking"
    (row,) = _identity(py312, "")
    assert (row.health, row.needed) == (Health.UNKNOWN, False)


def test_the_doctor_sees_another_engine(py312: Shell) -> None:
    (row,) = _identity(py312, A)
    assert (row.health, row.detail) == (Health.OK, A)
    py312("deploy --stage 1")
    (row,) = _identity(py312, B)
    assert (row.health, row.needed) == (Health.TROUBLE, True)
    assert f"test lies on {A}" in row.detail


def _identity(py312: Shell, place: str) -> list[Row]:
    py312.target.place = place
    return [row for row in examined(py312.ground, "test", None) if row.what == "identity"]
