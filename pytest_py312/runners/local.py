"""Cells as plain processes on this machine.

What it guarantees: a scratch copy of the service, a home and a temporary folder of its own, an environment of
variables without the caller's PYTHONPATH, limits of time and memory, and that no process of a cell outlives it, unless
it both leaves the cell's process group and throws its environment variables away. What it does not: a suite can read
and write whatever the user can, and use the network. The docker runner takes all of that away.
"""

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.runners.interpreters import Remembered, find_local
from pytest_py312.runners.probe_records import came_to_its_end, read_records, write_request
from pytest_py312.runners.runner import TOOL_VARIABLES, TOOLS_PER_CORE, CellJob, CellRun

PROBE = Path(__file__).parent / "agent" / "probe.py"

LOCAL = "local"
"""The runner's name."""

KEPT_VARIABLES = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SYSTEMROOT",
)  # fmt: skip
"""What a cell inherits of the caller's variables: how to find programs, talk and be talked to, nothing about Python."""

TELLING_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""Those of them on which results may depend. The others differ from shell to shell and say where things are."""


class LocalRunner:
    """runners.runner.Runner on this machine."""

    name = LOCAL

    def __init__(
        self, *, cache: Path, uv: Path, run_id: str, run_folder: Path, fetch: bool, reason: str = "", parallel: int = 2
    ) -> None:
        self._uv = uv
        self._run_id = run_id
        self._folder = run_folder / "cells"
        self._fetch = fetch
        self._reason = reason
        self._remembered = Remembered(cache / "interpreters")
        self._found: dict[Interpreter, InterpreterBuild] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._tools = threading.Semaphore(TOOLS_PER_CORE * parallel)

    def describe(self) -> str:
        return f"local ({self._reason})" if self._reason else "local"

    def find(self, interpreter: Interpreter) -> InterpreterBuild:
        with self._lock:
            if interpreter not in self._found:
                self._found[interpreter] = find_local(
                    interpreter, uv=str(self._uv), fetch=self._fetch, remembered=self._remembered
                )
            return self._found[interpreter]

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        places = {"{uv}": str(self._uv), "{python}": build.executable}
        words = [places.get(word, word) for word in argv]
        # the caller's index settings and certificates hold for uv; which Python it takes is settled by us
        env = {**TOOL_VARIABLES, **os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
        # uv folds what it prints to the columns of a terminal, and what a compiler said is read from that
        for name in ("PYTHONPATH", "VIRTUAL_ENV", "COLUMNS"):
            env.pop(name, None)
        with self._tools:
            return process.run(
                words, env=env, stdin=stdin, time_limit=time_limit, tail=4 * 1024 * 1024, cancelled=self._closed
            )

    def inside(self, path: Path) -> str:
        return str(path)

    def run(self, job: CellJob) -> CellRun:
        folder = self._folder / job.identifier
        try:
            return self._run_in(folder, job)
        except OSError as error:
            full = error.errno in (28, 122)  # ENOSPC, EDQUOT
            return CellRun(
                ended=Ended.DISK_FULL if full else Ended.NOT_STARTED,
                exit_code=None,
                seconds=0.0,
                records=(),
                trouble=f"{folder} cannot be written: {error.strerror or error}",
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run_in(self, folder: Path, job: CellJob) -> CellRun:
        shutil.rmtree(folder, ignore_errors=True)
        scratch = folder / "scratch"
        scratch.mkdir(parents=True)
        places = {"source": str(job.root), "scratch": str(scratch), "folders": list(job.folders)}
        request = write_request(folder, {**job.request, **places})
        records_file = folder / "records.jsonl"
        done = process.run(
            [str(job.environment / "bin" / "python"), str(PROBE), str(request), str(records_file)],
            cwd=scratch,
            env=self._variables(job),
            time_limit=job.time_limit,
            grace=job.grace,
            memory_limit=job.memory_limit,
            merge=True,
            mark=f"{self._run_id}:{job.identifier}",
            cancelled=self._closed,
        )
        records = read_records(records_file)
        ended, trouble = _verdict(done, job, complete=came_to_its_end(records), disk_free=_free(folder))
        return CellRun(
            ended=ended,
            exit_code=done.exit_code,
            seconds=done.seconds,
            records=records,
            output_tail=done.stdout,
            trouble=trouble,
        )

    def _variables(self, job: CellJob) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        user = {"USER": "app", "LOGNAME": "app", "VIRTUAL_ENV": str(job.environment)}
        return {"LANG": "C.UTF-8", **kept, **user, **dict(job.variables)}

    def close(self) -> None:
        self._closed.set()
        process.kill_marked(lambda value: value.startswith(f"{self._run_id}:"))
        shutil.rmtree(self._folder, ignore_errors=True)


def _free(folder: Path) -> int:
    """Bytes free for this user where ``folder`` is."""
    try:
        space = os.statvfs(folder)
    except OSError:
        return -1
    return space.f_bavail * space.f_frsize


def _verdict(done: CommandRun, job: CellJob, *, complete: bool, disk_free: int) -> tuple[Ended, str]:
    """How the cell ended and, unless it ended well, the sentence that says so."""
    if done.ended is Ended.TIMED_OUT:
        return done.ended, f"time limit of {job.time_limit:g} s reached"
    if done.ended is Ended.OUT_OF_MEMORY:
        return done.ended, f"memory limit of {job.memory_limit // 1024**2} MiB reached"
    if done.ended is Ended.NOT_STARTED:
        return done.ended, done.stderr
    if done.ended is Ended.CANCELLED:
        return done.ended, "the run was ended"
    if complete:
        return Ended.EXITED, ""
    if disk_free == 0 or "No space left on device" in done.stdout[-4000:]:
        return Ended.DISK_FULL, f"the disk is full ({disk_free} bytes free for the scratch folder)"
    if done.ended is Ended.KILLED:
        return done.ended, f"killed by signal {-(done.exit_code or 0)}, which this run did not send"
    return Ended.EXITED, f"the process ended early, with exit code {done.exit_code}"
