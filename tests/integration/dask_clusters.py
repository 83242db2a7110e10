"""Schedulers and workers of Dask as processes of their own, and the gate in front of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.child_pytest import PYTEST

WAIT = 180.0
"""Seconds that a test waits for a condition."""
OPENER = [sys.executable, "-m"]


def wait_until(condition: Callable[[], object], what: str, seconds: float = WAIT) -> None:
    """Wait until ``condition`` is true.

    :raises TimeoutError: it does not become true.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)


@dataclass(kw_only=True)
class GateOnCluster:
    """A run of the gate that goes on, with its output in a file."""

    process: "subprocess.Popen[bytes]"
    log: Path
    report: Path

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, seconds: float = 120.0) -> int:
        """Wait for the end, and return the exit status."""
        return self.process.wait(timeout=seconds)


@dataclass(kw_only=True)
class DaskCluster:
    """A scheduler and workers, each a process of its own, perhaps each in a network namespace."""

    folder: Path
    address: str = ""
    scheduler: "subprocess.Popen[bytes] | None" = None
    workers: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    """Set for all of its processes."""

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def start(self, name: str, argv: Sequence[str], variables: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            variables = {**environment(), **self.variables, **variables}
            return subprocess.Popen(
                argv,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env=variables,
                start_new_session=True,
            )

    def start_scheduler(
        self, host: str = "127.0.0.1", *, prefix: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        fixed = ["--host", host, "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
        argv = [*prefix, *OPENER, "distributed.cli.dask_scheduler", *fixed, *options]
        self.scheduler = self.start("scheduler", argv, {})
        wait_until(lambda: file.exists() and '"address"' in file.read_text(), "a scheduler")
        self.address = file.read_text().split('"address": "')[1].split('"')[0]

    def start_worker(
        self, name: str, *, prefix: Sequence[str] = (), variables: Mapping[str, str] = {}, options: Sequence[str] = ()
    ) -> None:
        scratch = self.folder / name
        scratch.mkdir(exist_ok=True)
        fixed = ["--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(scratch)]
        argv = [*prefix, *OPENER, "distributed.cli.dask_worker", self.address, *fixed, *options]
        self.workers[name] = self.start(name, argv, {"TMPDIR": str(scratch), **variables})
        process = self.workers[name]
        wait_until(lambda: "Registered to" in self.log(name) or process.poll() is not None, f"worker {name}")
        assert process.poll() is None, self.log(name)

    def kill(self, name: str) -> None:
        """Kill the process of a worker, and nothing else."""
        os.kill(self.workers[name].pid, signal.SIGKILL)
        self.workers[name].wait()

    def worker_of(self, pid: int) -> str:
        """Return the name of the worker that a process descends from."""
        names = {process.pid: name for name, process in self.workers.items()}
        while pid not in names:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return names[pid]

    def gate(self, root: Path, *arguments: str, prefix: Sequence[str] = ()) -> GateOnCluster:
        """Start the gate on this cluster."""
        report = self.folder / "report.json"
        argv = [
            *prefix, *PYTEST, "--py312", "--py312-runner=local", "-p", "no:cacheprovider",
            f"--py312-cluster={self.address}", f"--py312-report={report}", *arguments,
        ]  # fmt: skip
        log = self.folder / "gate.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                cwd=root,
                stdout=output,
                stderr=output,
                env={**environment(), **self.variables},
                start_new_session=True,
            )
        return GateOnCluster(process=process, log=log, report=report)

    def stop(self) -> None:
        for process in (*self.workers.values(), *([self.scheduler] if self.scheduler else [])):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def environment() -> dict[str, str]:
    """Return the variables for a process of a cluster, without those of the tests that start it."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_", "PY312_C"))}


@contextmanager
def dask_cluster(folder: Path) -> Iterator[DaskCluster]:
    """A cluster without a scheduler yet; what was started is killed at the end."""
    cluster = DaskCluster(folder=folder)
    try:
        yield cluster
    finally:
        cluster.stop()


def commands_with(*texts: str) -> list[str]:
    """Return the command lines of processes that have all of ``texts`` in them."""
    commands = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if all(text in command for text in texts):
                    commands.append(command)
    return commands


def session_of(leader: int) -> list[int]:
    """Return the processes of a session: what its first process has started, also after it has ended."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, session, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(session) == leader and state != "Z":
                    members.append(int(entry.name))
    return members
