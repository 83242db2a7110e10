"""An isolated container that runs several jobs, and the spool folder through which they are submitted.

Jobs do not involve the engine: the runner writes a job file into the spool folder, the job supervisor in the container
starts a clean process for it and writes a report of its end. That is as fast as a plain process.

Untrusted code can write to the spool. So it is accessed by descriptors opened before that code runs, and no folder can
be replaced by a link.
"""

import contextlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

from pytest_py312.core.process import ExitReason
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.text import format_size
from pytest_py312.runners.docker.cell_container import (
    OUT_LIMIT,
    JobExit,
    cancelled_exit,
    exit_of_excess_output,
    exit_of_unavailable,
    folder_size,
)
from pytest_py312.runners.docker.container_specs import SCRATCH as SCRATCHES
from pytest_py312.runners.docker.container_specs import (
    ContainerSpec,
    RunContext,
    cell_variables,
    path_in_container,
    request_for,
)
from pytest_py312.runners.docker.engine import DockerEngine, StartedContainer
from pytest_py312.runners.docker.errors import EngineUnavailable
from pytest_py312.runners.probe_records import RecordCounter, read_bounded, read_records
from pytest_py312.runners.runner import ProbeJob, ProbeResult

MIN_POLL_INTERVAL = 0.005
MAX_POLL_INTERVAL = 0.01
"""Seconds between two checks for a job's report: shortest and longest."""
STATE_CHECK_INTERVAL = 0.5
"""Seconds between two queries whether the container still runs."""
OVERTIME = 15.0
"""Seconds beyond a job's own limits after which the supervisor is considered stuck."""
REPORT_LIMIT = 1024**2
"""Bytes read of a report."""


@dataclass(frozen=True, slots=True)
class JobSpool:
    """An open spool folder: its path, and descriptors of it, of its ``jobs`` folder and of its ``bell`` pipe."""

    path: Path
    folder: int
    jobs: int
    bell: int

    @classmethod
    def create(cls, parent: Path) -> "JobSpool":
        path = Path(tempfile.mkdtemp(dir=parent))
        for folder in (path, path / "jobs"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
        os.mkfifo(path / "bell")
        (path / "bell").chmod(0o666)
        folder_flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        return cls(
            path=path,
            folder=os.open(path, folder_flags),
            jobs=os.open(path / "jobs", folder_flags),
            bell=os.open(path / "bell", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC),
        )

    def submit(self, job_id: str, job: Mapping[str, Any], request: Mapping[str, Any]) -> int:
        """Submit a job, and return an open descriptor of its folder."""
        os.mkdir(job_id, dir_fd=self.folder)
        job_folder = os.open(job_id, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)
        os.fchmod(job_folder, 0o777)
        _write("request.json", request, folder=job_folder)
        _write(f"{job_id}.part", job, folder=self.jobs)
        os.rename(f"{job_id}.part", f"{job_id}.json", src_dir_fd=self.jobs, dst_dir_fd=self.jobs)
        with contextlib.suppress(
            BlockingIOError
        ):  # the pipe is full after thousands of unread wake-ups; the supervisor polls the spool anyway
            os.write(self.bell, b"!")
        return job_folder

    def delete(self) -> None:
        for descriptor in (self.folder, self.jobs, self.bell):
            os.close(descriptor)
        shutil.rmtree(self.path, ignore_errors=True)


def _write(name: str, document: Mapping[str, Any], *, folder: int) -> None:
    descriptor = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=folder
    )
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o644)
        json.dump(document, file)


@dataclass(frozen=True, kw_only=True, slots=True)
class SharingPolicy:
    """How jobs share a container: ``parallel`` is their number, ``sharers`` and ``advice`` are texts for messages.

    ``exclusive``: jobs run one after the other and must not affect each other, so after an abnormal end the container
    is replaced.
    """

    parallel: int
    sharers: str
    advice: str = ""
    exclusive: bool = False


class JobContainer:
    """A shared container and its spool.

    ``spec_for`` returns its specification, given the first job, the spool folder and the memory for all jobs in bytes.
    """

    def __init__(
        self,
        engine: DockerEngine,
        context: RunContext,
        closing: Event,
        policy: SharingPolicy,
        spec_for: Callable[[ProbeJob, Path, int], ContainerSpec],
    ) -> None:
        self._engine = engine
        self._context = context
        self._closing = closing
        self._policy = policy
        self._spec_for = spec_for
        self._lock = Lock()
        self._container: StartedContainer | None = None
        self._spool: JobSpool | None = None
        self._memory = 0
        self._checked = 0.0
        self._was_shared: dict[str, bool] = {}

    def ensure_running(self, job: ProbeJob, *, parent: Path) -> None:
        """Start the container if it is not running, with memory for jobs as large as this one.

        :raises EngineUnavailable: also if the run was cancelled.
        :raises EngineRefused: the engine does not start it.
        """
        with self._lock:
            if self._closing.is_set():
                raise EngineUnavailable("the run was cancelled")
            memory = max(self._memory, job.memory_limit * self._policy.parallel)
            if self._container is not None and self._is_running():
                if memory > self._memory:
                    self._engine.allow_memory(self._container.id, memory)
            else:
                self._stop()
                self._start(job, parent, memory)
            self._memory = memory

    def _is_running(self) -> bool:
        """Return whether the container runs, with one query per :data:`STATE_CHECK_INTERVAL` seconds at most."""
        now = time.monotonic()
        if self._container is None:
            return False
        if now - self._checked > STATE_CHECK_INTERVAL:
            state = self._engine.state(self._container.id)
            if state is None or not state.running:
                return False
            self._checked = now
        return True

    def _start(self, job: ProbeJob, parent: Path, memory: int) -> None:
        self._spool = JobSpool.create(parent)
        self._container = self._engine.launch(self._spec_for(job, self._spool.path, memory))
        self._checked = time.monotonic()

    def _stop(self) -> None:
        container, self._container = self._container, None
        spool, self._spool = self._spool, None
        if container is not None:
            self._engine.remove(container.id)
        if spool is not None and not self._was_shared:
            spool.delete()  # else active jobs still read it; it is removed with the run's folder

    def run(self, job: ProbeJob) -> ProbeResult:
        """Submit the job and wait for its end."""
        job_id = uuid.uuid4().hex
        with self._lock:
            spool, container = self._spool, self._container
            if spool is None or container is None:
                raise EngineUnavailable("the run was cancelled")
            for other in self._was_shared:
                self._was_shared[other] = True
            self._was_shared[job_id] = bool(self._was_shared)
        job_folder: int | None = None
        report: Mapping[str, Any] | JobExit
        must_replace = True
        begin = time.monotonic()
        try:
            job_folder = spool.submit(
                job_id, self._job_document(job, job_id), request_for(job, scratch=_scratch_of(job_id))
            )
            try:
                with PROGRESS.counting(RecordCounter("records.jsonl", folder=job_folder).count):
                    report = self._wait_for_report(job, spool, job_folder)
            except EngineUnavailable as unavailable:  # records written until then are still read
                report = exit_of_unavailable(unavailable)
            seconds = time.monotonic() - begin
            job_exit = (
                report
                if isinstance(report, JobExit)
                else exit_from_report(report, job, shared=self._was_shared[job_id])
            )
            must_replace = job_exit.reason is not ExitReason.EXITED or (
                isinstance(report, Mapping) and bool(report.get("left"))
            )
            return ProbeResult(
                exit_reason=job_exit.reason,
                exit_code=job_exit.exit_code,
                seconds=seconds,
                records=read_records("records.jsonl", folder=job_folder),
                output_tail=container.output.text() if isinstance(report, JobExit) else str(report.get("output", "")),
                failure=job_exit.failure,
            )
        finally:
            self._discard(job_id, spool, job_folder)
            if must_replace and self._policy.exclusive:
                self.close()

    def _discard(self, job_id: str, spool: JobSpool, job_folder: int | None) -> None:
        with self._lock:
            self._was_shared.pop(job_id, None)
        if job_folder is not None:
            os.close(job_folder)
            # the spool is deleted already, or files of the job cannot be removed
            with contextlib.suppress(OSError):
                shutil.rmtree(job_id, dir_fd=spool.folder)

    def _job_document(self, job: ProbeJob, job_id: str) -> dict[str, Any]:
        variables = cell_variables(job, home=_scratch_of(job_id))
        return {
            "id": job_id,
            "python": f"{path_in_container(self._context.cache, job.environment)}/bin/python",
            "variables": variables,
            "time_limit": job.time_limit,
            "grace": job.grace,
        }

    def _wait_for_report(self, job: ProbeJob, spool: JobSpool, job_folder: int) -> Mapping[str, Any] | JobExit:
        """Return the supervisor's report, or the exit of a job that has none."""
        overdue = time.monotonic() + job.time_limit + job.grace + OVERTIME
        pause, measured = MIN_POLL_INTERVAL, time.monotonic()
        while not self._closing.wait(pause):
            report = _read_report(job_folder)
            if report is not None:
                return report
            if not self._is_running():
                break
            now = time.monotonic()
            if now > overdue:
                failure = f"time limit of {job.time_limit:g} s reached, and its end was not reported after that"
                return JobExit(reason=ExitReason.TIMED_OUT, failure=failure)
            # only where no other job would be stopped with the container
            if self._policy.exclusive and now - measured > STATE_CHECK_INTERVAL:
                measured = now
                if sum(map(folder_size, (job_folder, spool.folder, spool.jobs))) > OUT_LIMIT:
                    return exit_of_excess_output()
            pause = min(pause * 1.3, MAX_POLL_INTERVAL)
        if self._closing.is_set():
            return cancelled_exit()
        return _read_report(job_folder) or self._unexpected_exit()

    def _unexpected_exit(self) -> JobExit:
        state = self._engine.state(self._container.id) if self._container else None
        if state is not None and (state.out_of_memory or state.exit_code == 137):
            failure = (
                f"memory limit of {format_size(self._memory)} for {self._policy.sharers} reached; their container ended"
            )
            return JobExit(reason=ExitReason.OUT_OF_MEMORY, failure=failure)
        failure = (
            f"the container shared by {self._policy.sharers} ended during the job: it was removed, or a process in it "
            f"killed the others{self._policy.advice}"
        )
        return JobExit(reason=ExitReason.KILLED, failure=failure)

    def close(self) -> None:
        """Stop and remove the container and its spool; the next job gets new ones."""
        with self._lock:
            self._stop()
            self._memory = 0


def _scratch_of(job_id: str) -> str:
    return f"{SCRATCHES}/{job_id}/scratch"


def _read_report(job_folder: int) -> Mapping[str, Any] | None:
    content = read_bounded("end.json", REPORT_LIMIT, folder=job_folder)
    if content is None:
        return None
    try:
        report = json.loads(content)
    except (ValueError, RecursionError):
        report = None
    return report if isinstance(report, dict) else {"killed": True}


def exit_from_report(report: Mapping[str, Any], job: ProbeJob, *, shared: bool) -> JobExit:
    """Return how a job ended from its supervisor's report. ``shared``: other jobs ran in the container meanwhile.

    The counter of the OOM killer is the container's. If other jobs ran, it counts only if this job ended abnormally.
    """
    if report.get("not_started"):
        failure = f"{job.environment}/bin/python does not start in the image: {str(report['not_started'])[:500]}"
        return JobExit(reason=ExitReason.NOT_STARTED, failure=failure)
    signal_number, exit_code = _int_or_none(report.get("signal")), _int_or_none(report.get("exit_code"))
    if signal_number is not None:
        exit_code = 128 + signal_number
    if report.get("timed_out") is True:
        return JobExit(
            reason=ExitReason.TIMED_OUT, exit_code=exit_code, failure=f"time limit of {job.time_limit:g} s reached"
        )
    kills_before, kills_after = _int_or_none(report.get("oom_before")), _int_or_none(report.get("oom_after"))
    counted = kills_before is not None and kills_after is not None
    grown = kills_before is not None and kills_after is not None and kills_after > kills_before
    own_fault = not shared or exit_code != 0
    if (grown and own_fault) or (signal_number == 9 and not counted):
        failure = f"memory limit of {format_size(job.memory_limit)} reached"
        return JobExit(reason=ExitReason.OUT_OF_MEMORY, exit_code=exit_code, failure=failure)
    if signal_number == 9 or exit_code is None:
        return JobExit(
            reason=ExitReason.KILLED, exit_code=exit_code, failure="killed by a process of its own container"
        )
    return JobExit(reason=ExitReason.EXITED, exit_code=exit_code)


def _int_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
