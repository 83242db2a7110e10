"""A repository with services on the real engine, a journal on a small disk, and commands that can be killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.runners.docker.errors import translate_errors
from tests.integration.rollouts.docker_environments import DockerEnvironment, start_environment
from tests.integration.small_disks import enlarge, small_disk
from tests.support.fakes import service_tree

SERVICES = ("auth", "user")
CONTROLLED = "user"
"""The service that has a control."""
STAGE = ("--stage", "1")
DISK_SIZE = "160m"
"""A deployment is not started with less than 64 MiB of free space."""
MARK = "PY312_KILLS"
"""Environment variable of all processes of a site."""
END_LIMIT = 180.0
PLAN = """
target = "3.12"

[deploy]
image = "py312-rollout-test:{version}-good"
drain = "1s"

[deploy.environments]
ENVIRONMENT = { drill = true }

[soak]
interval = "0.5s"
duration = "5s"
initial-delay = 0
failure-limit = 1.0
consecutive-failure-limit = 1000
inconclusive-limit = 1000
consecutive-error-limit = 1000
compare = { min-points = 8, max-ratio = 99 }

[[stage]]
number = 1
services = ["auth", "user"]

[[stage.acceptance]]
name = "smoke"
command = ["sh", "-c", "sleep 600 & sleep 0.3"]

[[stage.acceptance]]
name = "suite"
pytest = "tests/e2e"
python = "./python"

[service.auth]
deploy = { container = "ENVIRONMENT-auth", port = 8000, health = "/health", version = "/version" }

[service.user]
deploy = { container = "ENVIRONMENT-user", port = 8000, health = "/health", version = "/version" }
soak = { control = true }
"""
PYTHON = """#!/bin/sh
for word; do case $word in --junitxml=*) report=${word#--junitxml=};; esac; done
sleep 0.2
echo '<testsuite><testcase classname="e2e" name="test_it"/></testsuite>' > "$report"
"""
"""Stands for an interpreter that runs pytest, in a tenth of its time."""
BROKEN_PLANS = ('target = "3.12\n', PLAN.replace("drain", "drian"), 'target = 3.12\n[[stage]]\nnumber = "one"\n')
"""No TOML, a misspelt key, and wrong values."""


@dataclass(kw_only=True)
class Site:
    """Two services on one engine, the repository whose plan deploys them, and the disk of its journal."""

    environment: DockerEnvironment
    root: Path
    disk: Path

    @property
    def temporary(self) -> Path:
        """The folder for temporary files of all commands."""
        return self.root.parent / "temporary"

    def write_plan(self, text: str = PLAN) -> None:
        (self.root / "py312.toml").write_text(text.replace("ENVIRONMENT", self.environment.name), encoding="utf-8")

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command in a process group of its own, with its output in one pipe."""
        options = (str(self.root), "--env", self.environment.name, "--state-dir", str(self.disk))
        variables = {MARK: self.environment.name, "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [sys.executable, "-m", "pytest_py312", *words, *options], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, **variables},
        )  # fmt: skip

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and output."""
        with self.start(*words) as process:
            output, _ = process.communicate(timeout=END_LIMIT)
            return process.returncode, output

    def state(self) -> StageState | None:
        """Return the state of the stage in the journal; ``None`` if it was never deployed."""
        journal = Journal(self.disk)
        try:
            return next((run.state for run in journal.current_runs(self.environment.name)), None)
        finally:
            journal.close()

    # ---- the disk

    def fill_disk(self) -> None:
        """Leave no free byte: the file system shrinks to what is used."""
        for _ in range(50):
            space = os.statvfs(self.disk)
            try:
                enlarge(self.disk, str((space.f_blocks - space.f_bfree) * space.f_frsize))
                return
            except AssertionError:  # something was written meanwhile
                continue
        raise AssertionError("the disk could not be filled")

    def free_disk(self) -> None:
        enlarge(self.disk, DISK_SIZE)

    def entries(self) -> int:
        """Return the number of entries in the journal, without the help of what is tested."""
        try:
            with closing(sqlite3.connect(f"file:{self.disk / JOURNAL_FILE}?mode=ro", uri=True)) as connection:
                return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
        except sqlite3.Error:
            return 0

    # ---- what is left

    def processes(self) -> list[int]:
        """Return the processes of all commands of this site, and of what they started."""
        wanted = f"{MARK}={self.environment.name}".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if wanted in _read(path)]

    def volumes(self) -> set[str]:
        """Return the volumes of all containers of this site."""
        with translate_errors():
            listed = self.environment.engine.client.containers(all=True, filters={"name": self.environment.name})
        mounts = [mount for container in listed for mount in container["Mounts"]]
        return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}

    def existing_volumes(self) -> set[str]:
        """Return all volumes of the engine."""
        with translate_errors():
            return {volume["Name"] for volume in self.environment.engine.client.volumes()["Volumes"] or ()}

    def end_processes(self) -> None:
        """Kill what a failed round has left, so that the next one finds its own leftovers."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def site_in(folder: Path, images: dict[str, str]) -> Iterator[Site]:
    """Start the services, and give their journal a small disk."""
    files = {f"services/{name}/requirements.txt": "" for name in SERVICES}
    files |= {"tests/e2e/test_it.py": "", "python": PYTHON}
    with (
        small_disk(folder / "disk", DISK_SIZE) as disk,
        start_environment(folder / "unused", images, *SERVICES) as environment,
    ):
        site = Site(environment=environment, root=service_tree(folder / "repository", files), disk=disk)
        site.temporary.mkdir()
        (site.root / "python").chmod(0o755)
        site.write_plan()
        try:
            yield site
        finally:
            site.end_processes()


@contextmanager
def new_site(images: dict[str, str]) -> Iterator[Site]:
    """Start a site in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="py312-kills-") as folder, site_in(Path(folder), images) as site:
        yield site


def wait_until_gone(site: Site, seconds: float = 10.0) -> Sequence[int]:
    """Wait for the processes of a site to end; return those that do not."""
    deadline = time.monotonic() + seconds
    while (left := site.processes()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
