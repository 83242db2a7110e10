"""Rollback and status work from the journal: what is broken in the repository, and which command still works."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings, RolloutSettings
from tests.support.fakes import FakeTarget
from tests.unit.rollout.shells import PLAN, Shell, shell_in

ENVIRONMENTS = '\n[deploy.environments]\ntest = { engine = "ssh://engine-1" }\n'
WAIVER = '\n[[waiver]]\nservice = "auth"\ncode = "PY401"\nreason = "r"\nowner = "o"\nuntil = 2020-01-31\n'


def misspell(root: Path) -> None:
    plan = root / "py312.toml"
    plan.write_text(plan.read_text(encoding="utf-8").replace("readiness-delay", "readyness-delay"), encoding="utf-8")


def break_syntax(root: Path) -> None:
    (root / "py312.toml").write_text("[deploy\n", encoding="utf-8")


def let_waiver_end(root: Path) -> None:
    with (root / "py312.toml").open("a", encoding="utf-8") as plan:
        plan.write(WAIVER)


def remove_plan(root: Path) -> None:
    (root / "py312.toml").unlink()


def rename_stage_services(root: Path) -> None:
    """The stages fit no service any more: the plan can be read, and does not fit its repository."""
    (root / "services" / "auth").rename(root / "services" / "authentication")


BREAKAGES = [misspell, break_syntax, let_waiver_end, remove_plan, rename_stage_services]
COMMANDS = [
    "status",
    "recover",
    "rollback --stage 1",
    "rollback --services auth",
    "deploy --rollback --stage 1",
    "unlock --force",
    "evidence --stage 1",
]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A stage that was deployed at an engine that only the plan names."""
    shell = shell_in(tmp_path, monkeypatch, plan=PLAN + ENVIRONMENTS)
    shell("deploy --stage 1")

    @contextmanager
    def connect(settings: RolloutSettings, environment: str) -> Iterator[FakeTarget]:
        assert settings.deploy.target == "docker"
        assert settings.environment_settings(environment) == EnvironmentSettings(name="test", engine="ssh://engine-1")
        yield shell.target

    monkeypatch.setattr("pytest_py312.rollout.execution.target_factory.connect_target", connect)
    return shell


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_command_works_with(command: str, breakage: Callable[[Path], None], shell: Shell) -> None:
    breakage(shell.root)
    assert main([command.split()[0], str(shell.root), *command.split()[1:]]) == 0


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_a_rollback_restores_what_served_before(breakage: Callable[[Path], None], shell: Shell) -> None:
    assert shell.target.serving()["auth"] == "new-3.12"
    breakage(shell.root)
    assert main(["rollback", "--stage", "1", str(shell.root)]) == 0
    assert shell.target.serving()["auth"] == "old-3.9"
    assert shell.run().state.value == "rolled back"


def test_the_problem_of_the_plan_is_shown(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    misspell(shell.root)
    main(["status", str(shell.root)])
    captured = capsys.readouterr()
    assert "soaking" in captured.out
    assert "py312.toml:4: deploy.readyness-delay: " in captured.err
    assert "the plan cannot be used, so the journal's record of it applies" in captured.err


@pytest.mark.parametrize("command", ["deploy --stage 1", "watch --stage 1", "sample --stage 1", "plan --stage 1"])
def test_what_goes_forward_needs_the_plan(command: str, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    misspell(shell.root)
    assert main([*command.split(), str(shell.root)]) == 4
    assert 'perhaps you meant "readiness-delay"' in capsys.readouterr().err


def test_a_repository_that_is_gone(shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = str(shell.context.state_dir.rename(tmp_path.parent / f"{tmp_path.name}-state"))
    assert main(["rollback", "--stage", "1", "--state-dir", state, str(tmp_path / "gone")]) == 0
    assert shell.target.serving()["auth"] == "old-3.9"


def test_a_journal_without_the_address(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Another engine than that of the deployment is never tried."""
    import sqlite3

    with sqlite3.connect(shell.context.state_dir / "rollout.sqlite") as database:
        database.execute("update runs set document = json_remove(document, '$.address')")
    misspell(shell.root)
    assert main(["rollback", "--stage", "1", str(shell.root)]) == 4
    assert "the plan has to be corrected first" in capsys.readouterr().err
