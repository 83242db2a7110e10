"""Run one job in its own container: start it, watch its limits, determine how it ended, and always remove it."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from pytest_py312.core.errors import is_disk_full
from pytest_py312.core.process import ExitReason
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.text import format_size
from pytest_py312.runners.docker.container_specs import ContainerSpec, RunContext, cell_spec, request_for
from pytest_py312.runners.docker.engine import ContainerState, DockerEngine, StartedContainer
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.probe_records import RecordCounter, read_records
from pytest_py312.runners.runner import ProbeJob, ProbeResult

WATCH_INTERVAL = 2.0
"""Seconds between two checks of a running cell: does the engine still answer, and how much has the cell written?"""
OUT_LIMIT = 256 * 1024**2
"""Bytes that a cell may write into its folder on this machine, which has no quota."""
KILL_LIMIT = 10.0
"""Seconds to wait for a killed container to end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobExit:
    """How a job ended, as in :class:`~pytest_py312.runners.runner.ProbeResult`."""

    reason: ExitReason
    exit_code: int | None = None
    failure: str = ""


class JobFiles(Protocol):
    """How a job's container gets what the job reads, and this machine what the job writes.

    All methods raise the engine's errors, and :class:`OSError` and :class:`ValueError` for files of this machine.
    """

    def place(self, spec: ContainerSpec) -> ContainerSpec:
        """Return ``spec``, whose mounts are folders of this machine, with the mounts that the engine can make."""
        ...

    def written(self, container: str, *, ended: bool) -> int:
        """Return the bytes that the job has written, and see to it that its records are on this machine.

        A lower bound is enough, unless the container has ``ended``.
        """
        ...

    def release(self) -> None:
        """Remove what was made on the engine for this job. Never raises."""
        ...


class MountedFiles:
    """The :class:`JobFiles` of an engine that sees the files of this machine; ``out`` is what the job writes to."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def place(self, spec: ContainerSpec) -> ContainerSpec:
        return spec

    def written(self, container: str, *, ended: bool) -> int:
        return folder_size(self._out)

    def release(self) -> None:
        """Do nothing: nothing was made."""


def run_in_own_container(
    engine: DockerEngine,
    context: RunContext,
    job: ProbeJob,
    *,
    image: str,
    folder: Path,
    closing: Event,
    files_of: Callable[[Path], JobFiles] = MountedFiles,
) -> ProbeResult:
    """Run ``job`` in a fresh container of ``image`` (an id). ``folder`` is for files exchanged with the cell.

    ``files_of`` returns how they are exchanged, given the folder on this machine that the job's records belong to.
    Setting ``closing`` ends the job with :attr:`ExitReason.CANCELLED`. Never raises for failures in the cell, exceeded
    limits or the engine.
    """
    begin = time.monotonic()
    job_folder: Path | None = None
    try:
        job_folder = Path(tempfile.mkdtemp(dir=folder))
        out = write_job_folder(job_folder / "out", request_for(job))
        container = _Container(engine, job, files_of(out), closing)
        with PROGRESS.counting(RecordCounter(out / "records.jsonl").count):
            job_exit = container.run(context, image, out)
        records = read_records(out / "records.jsonl")
        job_exit = check_full_disk(job_exit, out, complete=bool(records) and records[-1].get("event") == "end")
        seconds = container.seconds
        return ProbeResult(
            exit_reason=job_exit.reason,
            exit_code=job_exit.exit_code,
            seconds=seconds,
            records=records,
            output_tail=container.output(),
            failure=job_exit.failure,
        )
    except (OSError, ValueError) as error:
        return not_started_result(error, time.monotonic() - begin)
    finally:
        if job_folder is not None:
            shutil.rmtree(job_folder, ignore_errors=True)


def not_started_result(error: Exception, seconds: float) -> ProbeResult:
    """Return the result of a job that could not be started."""
    exit_reason = ExitReason.DISK_FULL if is_disk_full(error) else ExitReason.NOT_STARTED
    return ProbeResult.not_run(exit_reason, str(error), seconds=seconds)


def write_job_folder(folder: Path, request: dict[str, object]) -> Path:
    """Create ``folder`` with the request in it, writable by all users (its parent is private to this one)."""
    folder.mkdir()
    folder.chmod(0o777)  # the cell may run as another user, and user namespaces map user ids
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    path.chmod(0o644)
    return folder


def check_full_disk(job_exit: JobExit, out: Path, *, complete: bool) -> JobExit:
    """Return ``job_exit``, or a full disk if that explains the incomplete records of a process that exited."""
    if complete or job_exit.reason is not ExitReason.EXITED or shutil.disk_usage(out).free > 1024**2:
        return job_exit
    failure = f"the disk of {out.parent} is full, so the cell could not report its results"
    return JobExit(reason=ExitReason.DISK_FULL, exit_code=job_exit.exit_code, failure=failure)


def exit_of_state(state: ContainerState, *, memory_limit: int) -> JobExit:
    """Return how a job ended from the state of its container, which ended by itself."""
    limit = format_size(memory_limit)
    if state.out_of_memory:
        failure = f"memory limit of {limit} reached"
        return JobExit(reason=ExitReason.OUT_OF_MEMORY, exit_code=state.exit_code, failure=failure)
    if state.exit_code == 137:
        # engines do not always notice: this run did not send the SIGKILL, so the kernel probably did
        failure = f"killed (SIGKILL) by the system, most likely because the memory limit of {limit} was reached"
        return JobExit(reason=ExitReason.OUT_OF_MEMORY, exit_code=137, failure=failure)
    return JobExit(reason=ExitReason.EXITED, exit_code=state.exit_code)


def exit_of_refusal(refused: EngineRefused, image: str) -> JobExit:
    """Return the exit of a job whose container the engine refused to create or start."""
    if refused.disk_full:
        return JobExit(reason=ExitReason.DISK_FULL, failure=f"the Docker engine's disk is full: {refused}")
    if refused.not_found:
        failure = f"the image {image[:19]} is gone from the Docker engine ({refused}); pull or build it and run again"
        return JobExit(reason=ExitReason.NOT_STARTED, failure=failure)
    hint = ""
    if "bind source path does not exist" in str(refused):
        hint = "; the engine does not see the files of this machine (is it on another one, or in a virtual machine?)"
    return JobExit(
        reason=ExitReason.NOT_STARTED, failure=f"the Docker engine could not start a container: {refused}{hint}"
    )


def exit_of_unavailable(unavailable: EngineUnavailable) -> JobExit:
    """Return the exit of a job whose engine no longer answers."""
    return JobExit(reason=ExitReason.ENGINE_LOST, failure=f"{unavailable}; its running jobs have no result")


def exit_of_excess_output() -> JobExit:
    """Return the exit of a job that wrote more than :data:`OUT_LIMIT`."""
    failure = f"wrote more than {format_size(OUT_LIMIT)} into the folder for its results"
    return JobExit(reason=ExitReason.KILLED, failure=failure)


class _Container:
    """The container of one job."""

    def __init__(self, engine: DockerEngine, job: ProbeJob, files: JobFiles, closing: Event) -> None:
        self._engine = engine
        self._job = job
        self._files = files
        self._closing = closing
        self._ids: list[str] = []
        self._launched: StartedContainer | None = None
        self.seconds = 0.0

    def output(self) -> str:
        return self._launched.output.text() if self._launched else ""

    def run(self, context: RunContext, image: str, out: Path) -> JobExit:
        if self._closing.is_set():
            return cancelled_exit()
        begin = time.monotonic()
        try:
            spec = self._files.place(cell_spec(context, self._job, image=image, out=out))
            if self._closing.is_set():
                return cancelled_exit()
            self._launched = self._engine.launch(spec, started=self._ids.append)
            begin = time.monotonic()
            return self._run_to_end(self._launched)
        except EngineRefused as refused:
            return cancelled_exit() if self._closing.is_set() else exit_of_refusal(refused, image)
        except EngineUnavailable as unavailable:
            return cancelled_exit() if self._closing.is_set() else exit_of_unavailable(unavailable)
        finally:
            self.seconds = time.monotonic() - begin
            for container in self._ids:
                self._engine.remove(container)
            self._files.release()
            if self._launched and self._launched.reader:
                self._launched.reader.join(timeout=5.0)

    def _run_to_end(self, launched: StartedContainer) -> JobExit:
        stopped = self._watch(launched.id)
        state = self._engine.state(launched.id)
        if self._closing.is_set():
            return cancelled_exit()
        if state is None:
            return JobExit(reason=ExitReason.KILLED, failure="its container was removed by someone else while it ran")
        if self._files.written(launched.id, ended=True) > OUT_LIMIT:
            stopped = stopped or exit_of_excess_output()
        if stopped is not None:
            return JobExit(reason=stopped.reason, exit_code=state.exit_code, failure=stopped.failure)
        if launched.reader:
            launched.reader.join(timeout=5.0)
        if state.exit_code in (126, 127) and launched.output.text().startswith("[FATAL tini"):
            failure = (
                f"{self._job.environment}/bin/python does not start in the image: {launched.output.text().strip()}"
            )
            return JobExit(reason=ExitReason.NOT_STARTED, failure=failure)
        return exit_of_state(state, memory_limit=self._job.memory_limit)

    def _watch(self, container: str) -> JobExit | None:
        """Wait for the container's end, and return why it was stopped; ``None`` if it ended by itself."""
        deadline = time.monotonic() + self._job.time_limit
        while (remaining := deadline - time.monotonic()) > 0 and not self._closing.is_set():
            if self._engine.wait(container, min(remaining, WATCH_INTERVAL)):
                return None
            self._engine.state(container)  # raises if the engine hangs
            if self._files.written(container, ended=False) > OUT_LIMIT:
                self._kill(container)
                return exit_of_excess_output()
        self._engine.signal(container, "SIGINT")
        if not self._engine.wait(container, self._job.grace):
            self._kill(container)
        return JobExit(reason=ExitReason.TIMED_OUT, failure=f"time limit of {self._job.time_limit:g} s reached")

    def _kill(self, container: str) -> None:
        self._engine.signal(container, "SIGKILL")
        self._engine.wait(container, KILL_LIMIT)


def cancelled_exit() -> JobExit:
    """Return the exit of a job that was ended with the run."""
    return JobExit(reason=ExitReason.CANCELLED, failure="the run was cancelled")


def folder_size(folder: Path | int) -> int:
    """Return the bytes of the files directly in a folder (or an open descriptor of one), without following links.

    A lower bound is enough.
    """
    size = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                size += entry.stat(follow_symlinks=False).st_blocks * 512
    return size
