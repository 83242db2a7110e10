"""Commands on a real engine that get a signal, or whose terminal or output is closed."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_py312.core.directories import STATE_FOLDER
from pytest_py312.rollout.domain.journal import RELEASED_PREFIX, Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from tests.integration.rollouts.docker_environments import DockerEnvironment, eventually, start_environment
from tests.support.fakes import service_tree

pytestmark = pytest.mark.docker

PLAN = """
target = "3.12"

[deploy]
image = "py312-rollout-test:{{version}}-{kind}"
drain = "2s"
ready-timeout = "3m"

[soak]
interval = "1s"
duration = "1h"
initial-delay = 0

[[stage]]
number = 1
services = ["auth", "user"]
"""
SERVICE = """
[service.{name}]
deploy = {{ container = "{container}", port = 8000, health = "/health", version = "/version" }}
"""
END_LIMIT = 60.0
LOST_TERMINAL = "lost terminal"


@dataclass
class Command:
    """A running command, whose output is read here from a terminal of its own or from a pipe."""

    process: "subprocess.Popen[bytes]"
    reader: int
    output: str = ""
    closed: bool = field(default=False)

    def wait_for(self, text: str) -> None:
        while text not in self.output:
            try:
                chunk = os.read(self.reader, 65536)
            except OSError:  # how a terminal reports that nobody writes to it any more
                chunk = b""
            assert chunk, f"it ended with {self.process.wait()} before it printed {text}: {self.output}"
            self.output += chunk.decode(errors="replace")

    def close_output(self) -> None:
        if not self.closed:
            os.close(self.reader)
            self.closed = True

    def end(self, how: "signal.Signals | str") -> None:
        """Send a signal, or close the terminal: the kernel sends SIGHUP, and each write fails from then on."""
        if isinstance(how, signal.Signals):
            self.process.send_signal(how)
        else:
            self.close_output()

    def exit_code(self) -> int:
        if not self.closed:
            with suppress(OSError):
                while chunk := os.read(self.reader, 65536):
                    self.output += chunk.decode(errors="replace")
        return self.process.wait(timeout=END_LIMIT)


@dataclass
class Site:
    """A repository with two services that serve on an engine."""

    environment: DockerEnvironment
    root: Path
    commands: list[Command] = field(default_factory=list)

    def plan(self, kind: str = "good") -> None:
        text = PLAN.format(kind=kind) + "".join(
            SERVICE.format(name=name, container=f"{self.environment.name}-{name}") for name in ("auth", "user")
        )
        (self.root / "py312.toml").write_text(text, encoding="utf-8")

    def start(self, *words: str, terminal: str = "own") -> Command:
        """Start a command.

        :param terminal: ``own`` is the one that controls it, ``other`` does not send it SIGHUP, ``none`` is a pipe.
        """
        argv = [sys.executable, "-m", "pytest_py312", *words, str(self.root), "--env", self.environment.name]
        reader, writer = os.pipe() if terminal == "none" else pty.openpty()
        control: Callable[[], object] | None = (
            (lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0)) if terminal == "own" else None
        )
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, start_new_session=True, preexec_fn=control,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
        )  # fmt: skip
        os.close(writer)
        self.commands.append(Command(process=process, reader=reader))
        return self.commands[-1]

    def end_all(self) -> None:
        """Kill what a failed test has left."""
        for command in self.commands:
            command.process.kill()
            command.process.wait()
            command.close_output()
        self.commands.clear()

    def run(self, *words: str) -> int:
        return self.start(*words, terminal="none").exit_code()

    def newest(self) -> tuple[StageRun, str]:
        """Return the current run and its owner."""
        journal = Journal(self.root / STATE_FOLDER)
        try:
            (run,) = journal.current_runs(self.environment.name)
            return run, journal.owner(run.run)
        finally:
            journal.close()

    def is_restored(self) -> bool:
        """Whether only the previous containers are left, and the environment is not locked."""
        is_locked = self.environment.target.environment_lock(self.environment.name).holder() is not None
        return self.environment.serving() == self.environment.all_old() and not is_locked


@pytest.fixture(scope="module")
def engine_site(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    files = {f"services/{name}/requirements.txt": "" for name in ("auth", "user")}
    with start_environment(folder / "unused", images, "auth", "user") as environment:
        yield Site(environment=environment, root=service_tree(folder / "repository", files))


@pytest.fixture
def site(engine_site: Site) -> Iterator[Site]:
    """The site, on which the previous versions serve before and after each test."""
    engine_site.plan()
    yield engine_site
    engine_site.end_all()
    engine_site.plan()
    engine_site.run("rollback", "--stage", "1")
    engine_site.end_all()


def terminal_for(how: "signal.Signals | str") -> str:
    return "own" if how == LOST_TERMINAL else "none"


# each command with each end is tested in memory, see tests/unit/cli/test_interrupted_commands.py


@pytest.mark.parametrize("how", [signal.SIGTERM], ids=str)
def test_a_deployment_is_rolled_back(site: Site, how: "signal.Signals | str") -> None:
    """At once, although the new version would have three minutes to get ready."""
    site.plan(kind="sick")
    command = site.start("deploy", "--stage", "1", terminal=terminal_for(how))
    command.wait_for("switch auth: done")
    command.end(how)
    assert command.exit_code() == 1
    run, _ = site.newest()
    assert (run.state, site.is_restored()) == (StageState.ROLLED_BACK, True)
    name = how.name if isinstance(how, signal.Signals) else "SIGHUP"
    assert run.reason == f"auth: interrupted by {name}"


@pytest.mark.parametrize("how", [signal.SIGHUP], ids=str)
def test_a_watch_ends_and_the_new_version_stays(site: Site, how: "signal.Signals | str") -> None:
    assert site.run("deploy", "--stage", "1") == 0
    command = site.start("watch", "--stage", "1", terminal=terminal_for(how))
    command.wait_for("sample 1")
    command.end(how)
    assert command.exit_code() == 2
    run, owner = site.newest()
    assert (run.state, owner.startswith(RELEASED_PREFIX)) == (StageState.SOAKING, True)
    assert {python for _, python in site.environment.serving().values()} == {"3.12"}
    assert site.run("sample", "--stage", "1") == 75


@pytest.mark.parametrize("how", [LOST_TERMINAL], ids=str)
def test_a_rollback_is_completed(site: Site, how: "signal.Signals | str") -> None:
    assert site.run("deploy", "--stage", "1") == 0
    command = site.start("rollback", "--stage", "1", "--reason", "by hand", terminal=terminal_for(how))
    command.wait_for("restore user: done")
    command.end(how)
    assert command.exit_code() == 0
    assert (site.newest()[0].state, site.is_restored()) == (StageState.ROLLED_BACK, True)


@pytest.mark.parametrize("terminal", ["other"])
def test_closed_output_changes_nothing(site: Site, terminal: str) -> None:
    """As in ``nohup``, or behind ``| tee`` that has ended: nobody reads it, and the work goes on."""
    deploy = site.start("deploy", "--stage", "1", terminal=terminal)
    deploy.wait_for("observe auth: done")
    deploy.close_output()
    assert deploy.exit_code() == 0
    assert site.newest()[0].state is StageState.SOAKING

    watch = site.start("watch", "--stage", "1", terminal=terminal)
    watch.wait_for("sample 1")
    watch.close_output()
    journal = Journal(site.root / STATE_FOLDER)
    run = site.newest()[0].run
    eventually(lambda: len(journal.samples(run, "auth")) >= 4, "it is not monitored any more", limit=END_LIMIT)
    journal.close()
    watch.end(signal.SIGTERM)
    assert watch.exit_code() == 2

    rollback = site.start("rollback", "--stage", "1", terminal=terminal)
    rollback.wait_for("restore user: done")
    rollback.close_output()
    assert rollback.exit_code() == 0
    assert site.is_restored()
