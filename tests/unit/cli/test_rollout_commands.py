"""The commands of a rollout, on a target in memory."""

import json
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError, RolloutRefused
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.events import Judged, SoakCredited
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.domain.target_model import LockHolder
from pytest_py312.rollout.execution.locking import current_operator
from tests.support.fakes import FakeTarget, service_tree
from tests.unit.rollout.shells import run_line

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
    """Runs commands of ``py312`` in this process."""

    def __init__(self, root: Path) -> None:
        files = {f"services/{name}/requirements.txt": "attrs\n" for name in ("auth", "user", "gateway")}
        service_tree(root, {**files, "py312.toml": PLAN})
        self.target = FakeTarget()
        for name in ("auth", "user", "gateway"):
            self.target.serve(name, "old-3.9")
        self.log_lines: list[str] = []
        self.context = RolloutContext(
            plan=load_plan(root / "py312.toml", today=clock.today()),
            state_dir=root / ".py312",
            target=lambda: self.target,
            log=self.log_lines.append,
        )

    def __call__(self, line: str, *, code: int = 0) -> str:
        text, found = run_line(line, self.context)
        assert found == code, text
        return text

    def document(self, line: str, *, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(f"{line} --json", code=code))
        return found

    def accept(self, stage: int) -> None:
        """Let a stage soak to its end in a moment."""
        journal = Journal(self.context.state_dir)
        name = next(run.run for run in journal.current_runs("test") if run.stage == stage)
        journal.acquire(name, owner="test")
        journal.record(name, SoakCredited(seconds=3600.0), owner="test")
        journal.record(name, Judged(verdict=Verdict.PASSED), owner="test")
        journal.close()
        self.target.locks.clear()


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    return Shell(tmp_path)


def test_the_plan_of_a_stage_shows_the_order(py312: Shell) -> None:
    text = py312("plan --stage 1")
    assert text.splitlines() == [
        "stage 1 in test, to Python 3.12, monitored for 1 h:",
        "  1. user: container user from new-3.12",
        "  2. auth: container auth from new-3.12",
    ]
    assert py312.target.steps == []


def test_the_deployment_of_a_stage_is_logged_step_by_step(py312: Shell) -> None:
    assert py312("deploy --stage 1") == "stage 1 is soaking\n"
    assert "switch auth: done" in py312.log_lines
    assert py312.target.serving() == {"auth": "new-3.12", "user": "new-3.12", "gateway": "old-3.9"}
    text = py312("status")
    assert "soaking" in text
    assert "0 s of 1 h" in text
    assert "2      not deployed" in text
    assert "test is locked by" in text


def test_a_rolled_back_stage_is_a_failure(py312: Shell) -> None:
    py312.target.unready.add("new-3.12")
    assert py312("deploy --stage 1", code=1) == "stage 1 is rolled back: user: exit code 1\n"
    found = py312.document("status")["runs"][0]
    assert (found["state"], found["verdict"], found["reason"]) == ("rolled back", "failed", "user: exit code 1")


def test_stages_are_deployed_in_order_and_rolled_back_in_reverse(py312: Shell) -> None:
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
        "stage 2 is rolled back: manual",
        "stage 1 is rolled back: manual",
    ]
    assert set(py312.target.serving().values()) == {"old-3.9"}


def test_a_rollback_to_the_new_python_is_reported_as_such(py312: Shell) -> None:
    """A rollback of a second deployment restores the accepted version, not the old Python."""
    py312("deploy --stage 1")
    py312.accept(1)
    plan = py312.context.plan.root / "py312.toml"
    plan.write_text(PLAN.replace("new-{version}", "newer-{version}"))
    py312.target.unready.add("newer-3.12")
    assert "is rolled back" in py312("deploy --stage 1", code=1)
    output = py312("rollback --stage 1")
    assert " serves again, on Python 3.12; `py312 rollback --stage 1 --env test --run " in output
    assert py312.target.serving()["user"] == "new-3.12", "a repeated rollback goes back no further"
    assert "serves again" in py312("status")

    first = output.split("--run ")[1].split("`")[0]
    assert "would roll stage 1 back: auth, user" in py312(f"rollback --run {first} --dry-run")
    assert py312(f"rollback --run {first}") == "stage 1 is rolled back: manual\n"
    assert py312.target.serving()["user"] == "old-3.9"
    assert py312.document("status")["runs"][0]["run"] == first, "this run determines the state of the stage"
    assert py312("rollback --stage 1") == "stage 1 is rolled back: manual\n"


def test_only_a_serving_run_can_be_rolled_back(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.accept(1)
    first = py312.document("status")["runs"][0]["run"]
    (py312.context.plan.root / "py312.toml").write_text(PLAN.replace("new-{version}", "newer-{version}"))
    py312("deploy --stage 1")
    with pytest.raises(RolloutRefused, match=f"run {first} of stage 1 does not serve in test; the newest is run .*"):
        py312(f"rollback --run {first}")
    with pytest.raises(OptionError, match="--run r7: stage 1 of test has no such run"):
        py312("rollback --stage 1 --run r7")
    output = py312("rollback --stage 1")
    assert f"run {first} serves again" in output
    assert py312.target.serving()["user"] == "new-3.12"


def test_options_of_older_scripts_are_accepted(py312: Shell) -> None:
    """``deploy --rollback --services NAME``; the stage is found by the service."""
    py312("deploy --stage 1 --env test")
    assert py312("deploy --rollback --services user") == "stage 1 is rolled back: manual\n"
    assert py312.target.serving()["user"] == "old-3.9"
    assert py312.target.serving()["auth"] == "new-3.12"
    assert py312("deploy --rollback --stage 1") == "stage 1 is rolled back: manual\n"
    assert py312.target.serving()["auth"] == "old-3.9"


@pytest.mark.parametrize(
    "line", ["deploy --stage 1", "rollback --stage 1", "recover", "unlock", "deploy --rollback --stage 1"]
)
def test_a_dry_run_changes_nothing(py312: Shell, line: str) -> None:
    if "deploy --stage" not in line:
        py312("deploy --stage 1")
    serving_before, locks = py312.target.serving(), dict(py312.target.locks)
    steps = len(py312.target.steps)
    py312(f"{line} --dry-run")
    py312.document(f"{line} --dry-run")
    assert (py312.target.serving(), py312.target.locks) == (serving_before, locks)
    assert len(py312.target.steps) == steps


def test_the_work_of_a_killed_run_is_finished(py312: Shell) -> None:
    assert py312("recover") == "nothing is unfinished in test\n"

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


def test_a_foreign_lock_is_shown_and_only_taken_by_force(py312: Shell) -> None:
    py312.target.locks["test"] = LockHolder(
        name="night shift", host="build-7", process="elsewhere", journal="another", run="r7", stage=2, since="today"
    )
    with pytest.raises(RolloutRefused, match="held by night shift on build-7"):
        py312("deploy --stage 1")
    with pytest.raises(RolloutRefused, match="--force"):
        py312("unlock")
    assert py312.document("unlock --force --dry-run")["held_by"]["name"] == "night shift"
    assert "was taken from night shift" in py312("unlock --force")
    assert py312("unlock") == "test is not locked\n"


def test_taking_a_lock_is_recorded_with_the_operator(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.target.locks["test"] = replace(py312.target.locks["test"], name="night shift", process="elsewhere")
    py312("unlock --force")
    with closing(Journal(py312.context.state_dir)) as journal:
        (run,) = journal.run_names("test")
        output = [str(entry.content) for entry in journal.history(run)]
    assert any(f"{current_operator()} took the lock of test away from night shift" in line for line in output), output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("plan --stage 7", "there is no stage 7; the plan has 1, 2"),
        ("deploy", "--stage is missing"),
        ("deploy --stage 1 --services user", "--services is for a rollback"),
        ("rollback", "select one stage"),
        ("rollback --services nobody", "no such service was deployed"),
        ("rollback --stage 1", "never deployed in test"),
    ],
)
def test_user_errors_are_explained(py312: Shell, line: str, message: str) -> None:
    with pytest.raises((OptionError, RolloutRefused), match=message):
        py312(line)


def test_a_missing_image_in_the_plan_is_explained(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "py312.toml").write_text(PLAN.replace('image = "new-{version}", ', ""))
    with pytest.raises(RolloutRefused, match=r'the plan names no image for user; write image = "registry/\{service\}'):
        shell("deploy --stage 1")
    assert shell.target.steps == []


def test_signal_handlers_are_restored(py312: Shell) -> None:
    before = signal.getsignal(signal.SIGTERM)
    py312("deploy --stage 1")
    assert signal.getsignal(signal.SIGTERM) == before
