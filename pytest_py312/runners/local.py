"""Run cells as plain processes on this machine.

Guaranteed: a scratch copy of the service, a separate home and temporary folder, environment variables without the
caller's PYTHONPATH, limits of time and memory, and that no process of a cell survives it (elsewhere than on Linux,
unless it both leaves the cell's process group and drops its environment variables). Not guaranteed: a suite can read
and write whatever the user can, and use the network. The docker runner prevents that.
"""

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.errors import is_disk_full
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.runners.bubblewrap import confined_argv, confined_variables, find_bubblewrap, retry_lost_mounts
from pytest_py312.runners.confinement import explain_exit, hand_over, memory_of_builds
from pytest_py312.runners.interpreters import FingerprintCache, find_local
from pytest_py312.runners.probe_records import RecordCounter, is_complete, read_records, write_request
from pytest_py312.runners.runner import (
    CELL_PARENT,
    TOOL_VARIABLES,
    TOOLS_PER_CORE,
    ConfinedCommand,
    ProbeJob,
    ProbeResult,
)

PROBE = Path(__file__).parent / "agent" / "probe.py"

LOCAL = "local"
"""The runner's name."""

INHERITED_VARIABLES = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SYSTEMROOT",
)  # fmt: skip
"""Variables that a cell inherits: program paths, locale, certificates and proxies, but nothing about Python."""

RESULT_AFFECTING_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""Inherited variables on which results may depend. The others are paths and addresses that differ between shells."""


TOOL_OUTPUT_LIMIT = 4 * 1024 * 1024
"""Bytes kept of the output of a tool."""


def _tool_variables() -> dict[str, str]:
    # uv keeps the caller's index settings and certificates, but the interpreter is chosen here
    variables = {**TOOL_VARIABLES, **os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    # uv wraps its output at the terminal's width, which would break the parsing of compiler messages
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "COLUMNS"):
        variables.pop(name, None)
    return variables


class LocalRunner:
    """A :class:`~pytest_py312.runners.runner.Runner` on this machine."""

    name = LOCAL

    def __init__(
        self,
        *,
        cache: Path,
        uv: Path,
        run_id: str,
        run_folder: Path,
        download_interpreters: bool,
        choice_reason: str = "",
        parallel: int = 2,
        build_network: bool = False,
    ) -> None:
        self._uv = uv
        self._run_id = run_id
        self._folder = run_folder / "cells"
        self._download_interpreters = download_interpreters
        self._choice_reason = choice_reason
        self._build_network = build_network
        self._build_memory = memory_of_builds(parallel)
        self._fingerprints = FingerprintCache(cache / "interpreters")
        self._ports = cache / "ports"
        self._builds: dict[Interpreter, InterpreterBuild] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._tool_slots = threading.Semaphore(TOOLS_PER_CORE * parallel)

    def describe(self) -> str:
        return f"local ({self._choice_reason})" if self._choice_reason else "local"

    def find_interpreter(self, interpreter: Interpreter) -> InterpreterBuild:
        with self._lock:
            if interpreter not in self._builds:
                self._builds[interpreter] = find_local(
                    interpreter, uv=str(self._uv), fetch=self._download_interpreters, cache=self._fingerprints
                )
            return self._builds[interpreter]

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        with self._tool_slots:
            return process.run(
                self._command(build, argv),
                env=_tool_variables(),
                stdin=stdin,
                time_limit=time_limit,
                tail_limit=TOOL_OUTPUT_LIMIT,
                cancelled=self._closed,
            )

    def _command(self, build: InterpreterBuild, argv: Sequence[str]) -> list[str]:
        replacements = {"{uv}": str(self._uv), "{python}": build.executable}
        return [replacements.get(word, word) for word in argv]

    @property
    def confines(self) -> bool:
        """See :class:`~pytest_py312.runners.runner.SupportsConfinement`: with bubblewrap."""
        return bool(find_bubblewrap())

    def run_confined(self, build: InterpreterBuild, command: ConfinedCommand) -> CommandResult:
        """See :class:`~pytest_py312.runners.runner.SupportsConfinement`."""
        hand_over(command.folder, f"{os.getuid()}:{os.getgid()}")
        argv = confined_argv(
            find_bubblewrap(),
            command,
            self._command(build, command.argv),
            python=build.executable,
            needed=(Path(build.executable).resolve().parents[1], self._uv, Path(build.executable).parents[1]),
            network=command.fetches or self._build_network,
        )
        with self._tool_slots:
            result = retry_lost_mounts(
                lambda: process.run(
                    argv,
                    env=confined_variables(_tool_variables(), command),
                    time_limit=command.time_limit,
                    memory_limit=self._build_memory,
                    tail_limit=TOOL_OUTPUT_LIMIT,
                    cancelled=self._closed,
                )
            )
        return explain_exit(result)

    def path_inside(self, path: Path) -> str:
        return str(path)

    def run(self, job: ProbeJob) -> ProbeResult:
        folder = self._folder / job.identifier
        try:
            return self._run_in(folder, job)
        except OSError as error:
            exit_reason = ExitReason.DISK_FULL if is_disk_full(error) else ExitReason.NOT_STARTED
            return ProbeResult.not_run(exit_reason, f"the cell could not be run in {folder}: {error.strerror or error}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run_in(self, folder: Path, job: ProbeJob) -> ProbeResult:
        shutil.rmtree(folder, ignore_errors=True)
        scratch = folder / "scratch"
        scratch.mkdir(parents=True)
        paths = {"source": str(job.root), "scratch": str(scratch), "ports": str(self._ports)}
        request = write_request(folder, {**job.request, **paths, "folders": list(job.folders)})
        records_file = folder / "records.jsonl"
        with PROGRESS.counting(RecordCounter(records_file).count):
            result = process.run(
                [str(job.environment / "bin" / "python"), str(PROBE), str(request), str(records_file)],
                cwd=scratch,
                env=self._variables(job),
                time_limit=job.time_limit,
                grace_period=job.grace,
                memory_limit=job.memory_limit,
                merge_stderr=True,
                mark=f"{self._run_id}:{job.identifier}",
                parent=CELL_PARENT,
                cancelled=self._closed,
            )
        records = read_records(records_file)
        exit_reason, failure = _exit_of(result, job, complete=is_complete(records), disk_free=_free_bytes(folder))
        return ProbeResult(
            exit_reason=exit_reason,
            exit_code=result.exit_code,
            seconds=result.seconds,
            records=records,
            output_tail=result.stdout,
            failure=failure,
        )

    def _variables(self, job: ProbeJob) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
        user = {"USER": "app", "LOGNAME": "app", "VIRTUAL_ENV": str(job.environment)}
        return {"LANG": "C.UTF-8", **inherited, **user, **dict(job.variables)}

    def close(self) -> None:
        self._closed.set()
        process.kill_marked(lambda value: value.startswith(f"{self._run_id}:"))
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_bytes(folder: Path) -> int:
    """Return the free bytes for this user on the disk of ``folder``; -1 if unknown."""
    try:
        space = os.statvfs(folder)
    except OSError:
        return -1
    return space.f_bavail * space.f_frsize


def _exit_of(result: CommandResult, job: ProbeJob, *, complete: bool, disk_free: int) -> tuple[ExitReason, str]:
    """Return (exit reason, failure message; empty if it ended normally)."""
    if result.exit_reason is ExitReason.TIMED_OUT:
        return result.exit_reason, f"time limit of {job.time_limit:g} s reached"
    if result.exit_reason is ExitReason.OUT_OF_MEMORY:
        return result.exit_reason, f"memory limit of {job.memory_limit // 1024**2} MiB reached"
    if result.exit_reason is ExitReason.NOT_STARTED:
        return result.exit_reason, result.stderr
    if result.exit_reason is ExitReason.CANCELLED:
        return result.exit_reason, "the run was cancelled"
    if complete:
        return ExitReason.EXITED, ""
    if disk_free == 0 or "No space left on device" in result.stdout[-4000:]:
        return ExitReason.DISK_FULL, f"the disk is full ({disk_free} bytes free for the scratch folder)"
    if result.exit_reason is ExitReason.KILLED:
        return result.exit_reason, f"killed by signal {-(result.exit_code or 0)}, which this run did not send"
    return ExitReason.EXITED, f"the process ended early, with exit code {result.exit_code}"
