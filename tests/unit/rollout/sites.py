"""A repository whose journal has a deployed stage, and the commands that work from the journal, with their effect."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.domain.events import Breached
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Breach, BreachSeverity, Reaction, StageState
from pytest_py312.rollout.targets.target import TargetUnavailable
from tests.support.fakes import FakeTarget
from tests.unit.rollout.shells import PLAN, Shell, shell_in

OLD, NEW = "old-3.9", "new-3.12"
ENGINE = "ssh://engine-1"
WATCHED = """
[deploy.environments]
test = { engine = "ssh://engine-1", prometheus = "http://prometheus:9090" }

[[soak.metric]]
name = "errors"
provider = "prometheus"
query = "vector(0)"
success = "value < 0.01"
"""


@dataclass
class Site:
    """A stage that was deployed at an engine that only the plan names."""

    shell: Shell
    monkeypatch: pytest.MonkeyPatch
    state_dir: Path
    is_engine_away: bool = False

    def type(self, command: str) -> int:
        name, *arguments = command.split()
        return main([name, *arguments, "--state-dir", str(self.state_dir), str(self.shell.root)])

    @property
    def state(self) -> StageState:
        journal = Journal(self.state_dir)
        try:
            return journal.current_runs("test")[0].state
        finally:
            journal.close()

    @property
    def served(self) -> str:
        return self.shell.target.serving()["auth"]


def site_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a site with a target in memory."""
    (tmp_path / "repository").mkdir()
    shell = shell_in(tmp_path / "repository", monkeypatch, plan=PLAN + WATCHED)
    made = Site(shell=shell, monkeypatch=monkeypatch, state_dir=shell.context.state_dir)

    @contextmanager
    def connect(settings: RolloutSettings, environment: str) -> Iterator[FakeTarget]:
        assert settings.deploy.target == "docker"
        assert settings.environment_settings(environment).engine == ENGINE
        if made.is_engine_away:
            raise TargetUnavailable("the engine does not answer")
        yield shell.target

    monkeypatch.setattr("pytest_py312.rollout.execution.target_factory.connect_target", connect)
    return made


# ---- the state in which a command is needed, and its effect


def left_in_the_middle(site: Site) -> None:
    """The process that deployed is dead; nothing serves."""

    class Killed(BaseException):
        pass

    def kill(step: str) -> None:
        if step == "switch (nothing serves) auth":
            raise Killed

    site.shell.target.before = kill
    with pytest.raises(Killed):
        site.shell("deploy --stage 1")
    site.shell.target.before = lambda step: None
    site.monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: True)
    site.monkeypatch.setattr("pytest_py312.rollout.execution.driver.SETTLE_SECONDS", 0.0)


def soaking(site: Site) -> None:
    site.shell("deploy --stage 1")
    assert site.served == NEW


def held(site: Site) -> None:
    soaking(site)
    breach = Breach(
        service="auth", metric="latency", severity=BreachSeverity.MINOR, reaction=Reaction.HOLD, detail="slow"
    )
    journal = Journal(site.state_dir)
    run = journal.current_runs("test")[0].run
    journal.record(run, Breached(breach=breach), owner=journal.owner(run))
    journal.close()


def is_shown(site: Site, output: str) -> None:
    assert "soaking" in output or not output
    assert (site.state, site.served) == (StageState.SOAKING, NEW)


def is_restored(site: Site, output: str) -> None:
    assert (site.state, site.served) == (StageState.ROLLED_BACK, OLD)
    assert site.shell.target.locks == {}


def is_unlocked(site: Site, output: str) -> None:
    assert site.shell.target.locks == {}
    assert (site.state, site.served) == (StageState.SOAKING, NEW)


def is_written(site: Site, output: str) -> None:
    assert len([*(site.state_dir / "evidence").glob("*.html")]) == 1


@dataclass(frozen=True, kw_only=True)
class Case:
    command: str
    state: Callable[[Site], None]
    check: Callable[[Site, str], None]


CASES = (
    Case(command="status", state=soaking, check=is_shown),
    Case(command="recover", state=left_in_the_middle, check=is_restored),
    Case(command="rollback --stage 1", state=soaking, check=is_restored),
    Case(command="rollback --services auth", state=soaking, check=is_restored),
    Case(command="deploy --rollback --stage 1", state=soaking, check=is_restored),
    Case(command="unlock --force", state=soaking, check=is_unlocked),
    Case(command="abort --stage 1 --reason no", state=held, check=is_restored),
    Case(command="evidence --stage 1", state=soaking, check=is_written),
)
