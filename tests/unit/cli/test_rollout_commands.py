"""The commands of a rollout, as they are typed, on a target in memory."""

import json
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.cli.main import _parsers
from pytest_py312.cli.rollout_commands import run_command
from pytest_py312.cli.rollout_parser import STANDING
from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.events import Credited, Judged
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Holder, Verdict
from pytest_py312.rollout.execution.locking import myself
from tests.support.fakes import FakeTarget, service_tree

PLAN = """
deploy = { image = "new-{version}", readiness-delay = 0 }
soak = { interval = "1m", duration = "1h" }

[[stage]]
number = 1
services = ["auth", "user"]

[[stage]]
number = 2
services = ["gateway"]

[service.auth]
deploy = { needs = ["user"] }
"""


class Shell:
    """Types commands."""

    def __init__(self, root: Path) -> None:
        files = {f"services/{name}/requirements.txt": "attrs\n" for name in ("auth", "user", "gateway")}
        service_tree(root, {**files, "py312.toml": PLAN})
        self.target = FakeTarget()
        for name in ("auth", "user", "gateway"):
            self.target.serve(name, "old-3.9")
        self.told: list[str] = []
        self.ground = Ground(
            plan=load_plan(root / "py312.toml", today=clock.today()),
            state=root / ".py312",
            target=lambda: self.target,
            told=self.told.append,
        )

    def __call__(self, line: str, *, code: int = 0) -> str:
        text, found = run_command(_parsers()[0].parse_args(line.split()), self.ground)
        assert found == code, text
        return text

    def document(self, line: str, *, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(f"{line} --json", code=code))
        return found

    def accept(self, stage: int) -> None:
        """Let a stage soak to its end in a moment."""
        journal = Journal(self.ground.state)
        name = next(run.run for run in journal.newest("test") if run.stage == stage)
        journal.take(name, owner="test")
        journal.record(name, Credited(seconds=3600.0), owner="test")
        journal.record(name, Judged(verdict=Verdict.PASSED), owner="test")
        journal.close()
        self.target.locks.clear()


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    return Shell(tmp_path)


def test_the_plan_of_a_stage_says_what_comes_first(py312: Shell) -> None:
    text = py312("plan --stage 1")
    assert text.splitlines() == [
        "stage 1 in test, to Python 3.12, watched for 1.0 h:",
        "  1. user: container user from new-3.12",
        "  2. auth: container auth from new-3.12",
    ]
    assert py312.target.steps == []


def test_a_stage_is_deployed_and_told_step_by_step(py312: Shell) -> None:
    assert py312("deploy --stage 1") == "stage 1 is soaking\n"
    assert "switch auth: done" in py312.told
    assert py312.target.serving() == {"auth": "new-3.12", "user": "new-3.12", "gateway": "old-3.9"}
    text = py312("status")
    assert "soaking" in text
    assert "0 min of 1.0 h" in text
    assert "2      not deployed" in text
    assert "test is held by" in text


def test_a_stage_that_comes_back_is_not_what_was_asked_for(py312: Shell) -> None:
    py312.target.unready.add("new-3.12")
    assert py312("deploy --stage 1", code=1) == "stage 1 is rolled back: user: exit code 1\n"
    found = py312.document("status")["runs"][0]
    assert (found["state"], found["verdict"], found["reason"]) == ("rolled back", "failed", "user: exit code 1")


def test_stages_come_one_after_the_other_and_go_back_in_reverse(py312: Shell) -> None:
    with pytest.raises(RolloutRefused, match="stage 1 was never deployed"):
        py312("deploy --stage 2")
    py312("deploy --stage 1")
    py312.accept(1)
    py312("deploy --stage 2")
    py312.accept(2)
    with pytest.raises(RolloutRefused, match="--cascade"):
        py312("rollback --stage 1")
    assert py312("rollback --stage 1 --cascade --dry-run").splitlines() == [
        "would roll stage 2 back: gateway",
        "would roll stage 1 back: auth, user",
    ]
    assert py312("rollback --stage 1 --cascade").splitlines() == [
        "stage 2 is rolled back: by hand",
        "stage 1 is rolled back: by hand",
    ]
    assert set(py312.target.serving().values()) == {"old-3.9"}


def test_a_rollback_to_the_new_python_is_told_as_one(py312: Shell) -> None:
    """A stage that was accepted is deployed anew and comes back: to what was accepted, and not to the old Python."""
    py312("deploy --stage 1")
    py312.accept(1)
    plan = py312.ground.plan.root / "py312.toml"
    plan.write_text(PLAN.replace("new-{version}", "newer-{version}"))
    py312.target.unready.add("newer-3.12")
    assert "is rolled back" in py312("deploy --stage 1", code=1)
    told = py312("rollback --stage 1")
    assert "had brought up serves again, on Python 3.12; `py312 rollback --stage 1 --env test --run " in told
    assert py312.target.serving()["user"] == "new-3.12", "asked twice, it does not go further than asked"
    assert "had brought up serves again" in py312("status")

    first = told.split("--run ")[1].split("`")[0]
    assert "would roll stage 1 back: auth, user" in py312(f"rollback --run {first} --dry-run")
    assert py312(f"rollback --run {first}") == "stage 1 is rolled back: by hand\n"
    assert py312.target.serving()["user"] == "old-3.9"
    assert py312.document("status")["runs"][0]["run"] == first, "it is the one that tells how the stage stands"
    assert py312("rollback --stage 1") == "stage 1 is rolled back: by hand\n"


def test_only_what_serves_is_gone_back_from(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.accept(1)
    first = py312.document("status")["runs"][0]["run"]
    (py312.ground.plan.root / "py312.toml").write_text(PLAN.replace("new-{version}", "newer-{version}"))
    py312("deploy --stage 1")
    with pytest.raises(RolloutRefused, match=f"run {first} of stage 1 does not serve in test; run .* is the newest"):
        py312(f"rollback --run {first}")
    with pytest.raises(OptionError, match="--run r7: stage 1 of test has no such run"):
        py312("rollback --stage 1 --run r7")
    told = py312("rollback --stage 1")
    assert f"what run {first} had brought up serves again" in told
    assert py312.target.serving()["user"] == "new-3.12"


def test_the_words_of_the_older_scripts_are_understood(py312: Shell) -> None:
    """``deploy --rollback --services NAME``, and the stage is found by the service."""
    py312("deploy --stage 1 --env test")
    assert py312("deploy --rollback --services user") == "stage 1 is rolled back: by hand\n"
    assert py312.target.serving()["user"] == "old-3.9"
    assert py312.target.serving()["auth"] == "new-3.12"
    assert py312("deploy --rollback --stage 1") == "stage 1 is rolled back: by hand\n"
    assert py312.target.serving()["auth"] == "old-3.9"


@pytest.mark.parametrize(
    "line", ["deploy --stage 1", "rollback --stage 1", "recover", "unlock", "deploy --rollback --stage 1"]
)
def test_a_dry_run_does_nothing(py312: Shell, line: str) -> None:
    if "deploy --stage" not in line:
        py312("deploy --stage 1")
    before, locks = py312.target.serving(), dict(py312.target.locks)
    steps = len(py312.target.steps)
    py312(f"{line} --dry-run")
    py312.document(f"{line} --dry-run")
    assert (py312.target.serving(), py312.target.locks) == (before, locks)
    assert len(py312.target.steps) == steps


def test_what_a_dead_run_left_is_finished(py312: Shell) -> None:
    assert py312("recover") == "nothing was left half done in test\n"

    def killed(step: str) -> None:
        if step == "switch auth":
            raise MemoryError

    py312.target.before = killed
    with pytest.raises(MemoryError):
        py312("deploy --stage 1")
    py312.target.before = lambda step: None
    assert "would finish stage 1, which was left deploying" in py312("recover --dry-run")
    assert "stage 1 is rolled back" in py312("recover")
    assert set(py312.target.serving().values()) == {"old-3.9"}


def test_a_foreign_lock_is_shown_and_taken_by_force_only(py312: Shell) -> None:
    py312.target.locks["test"] = Holder(
        name="night shift", host="build-7", process="elsewhere", journal="another", run="r7", stage=2, since="today"
    )
    with pytest.raises(RolloutRefused, match="held by night shift on build-7"):
        py312("deploy --stage 1")
    with pytest.raises(RolloutRefused, match="--force"):
        py312("unlock")
    assert py312.document("unlock --force --dry-run")["held_by"]["name"] == "night shift"
    assert "was taken from night shift" in py312("unlock --force")
    assert py312("unlock") == "nobody holds test\n"


def test_a_lock_that_was_taken_away_stands_in_the_history_with_who_did_it(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.target.locks["test"] = replace(py312.target.locks["test"], name="night shift", process="elsewhere")
    py312("unlock --force")
    with closing(Journal(py312.ground.state)) as journal:
        (run,) = journal.names("test")
        told = [str(entry.what) for entry in journal.history(run)]
    assert any(f"{myself()} took the lock of test away from night shift" in line for line in told), told


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("plan --stage 7", "there is no stage 7; the plan has 1, 2"),
        ("deploy", "--stage is missing"),
        ("deploy --stage 1 --services user", "--services is for a rollback"),
        ("rollback", "name what is meant"),
        ("rollback --services nobody", "no such service was deployed"),
        ("rollback --stage 1", "never deployed in test"),
    ],
)
def test_mistakes_are_told(py312: Shell, line: str, message: str) -> None:
    with pytest.raises((OptionError, RolloutRefused), match=message):
        py312(line)


def test_without_an_image_in_the_plan_it_is_said_what_to_write(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "py312.toml").write_text(PLAN.replace('image = "new-{version}", ', ""))
    with pytest.raises(RolloutRefused, match=r'from which image user is deployed; write image = "registry/\{service\}'):
        shell("deploy --stage 1")
    assert shell.target.steps == []


def test_signals_are_as_before_afterwards(py312: Shell) -> None:
    before = signal.getsignal(signal.SIGTERM)
    py312("deploy --stage 1")
    assert signal.getsignal(signal.SIGTERM) == before


def test_each_command_has_its_help() -> None:
    assert set(STANDING) <= set(_parsers()[1])
    assert all(_parsers()[1][name].format_help() for name in STANDING)
