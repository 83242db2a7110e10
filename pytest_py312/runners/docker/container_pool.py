"""Containers that serve several jobs: a pool with one container per interpreter, and sessions for one cell.

In both the job supervisor (runners/agent/job_supervisor.py) starts a clean process for each job.

* The *pool* runs jobs of all cells of an interpreter in parallel. They see each other's processes, could tamper with
  each other's results on purpose, and share the container's memory.
* A *session* runs the jobs of one cell one after the other. Its container is as isolated as that of a single job and
  sees only the cell's own environment and folders. After each job, its processes and everything that it left in
  writable folders are removed. If a job ends abnormally or something cannot be removed, the next job gets a new
  container. Malicious code could disturb only later jobs of the same cell.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import ExitReason
from pytest_py312.runners.docker.cell_container import (
    cancelled_exit,
    exit_of_refusal,
    exit_of_unavailable,
    not_started_result,
)
from pytest_py312.runners.docker.container_specs import (
    ContainerSpec,
    RunContext,
    pool_spec,
    session_spec,
    source_mounts,
)
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.docker.job_container import JobContainer, SharingPolicy
from pytest_py312.runners.runner import CellUnavailable, ProbeJob, ProbeResult


class ContainerPool:
    """The shared containers of one run: one per interpreter build, started with its first job."""

    def __init__(
        self, engine: DockerEngine, context: RunContext, *, folder: Path, closing: Event, parallel: int
    ) -> None:
        self._engine = engine
        self._context = context
        self._folder = folder
        self._closing = closing
        self._parallel = max(parallel, 1)
        self._lock = Lock()
        self._containers: dict[str, JobContainer] = {}
        self._prestarted = False

    def accepts(self, job: ProbeJob) -> bool:
        """Return whether a job can share a container: it needs no network, and its environment is in the cache."""
        return not job.network and job.environment.is_relative_to(self._context.cache / "envs")

    def run(self, job: ProbeJob, *, image: str) -> ProbeResult:
        """Run ``job`` in the shared container of its interpreter. Never raises for failures in the container."""
        begin = time.monotonic()
        try:
            source_mounts(job.root, job.folders)  # raises for folders that are missing or outside of the root
            return self._ensure_container(job, image).run(job)
        except (EngineRefused, EngineUnavailable, OSError, ValueError) as error:
            return failed_result(error, image, closing=self._closing, seconds=time.monotonic() - begin)

    def prestart(self, job: ProbeJob, images: Mapping[InterpreterBuild, str]) -> None:
        """At the first job of a run, start the containers of other builds too, as their jobs will follow.

        An engine takes a fifth of a second for each, and starts several in parallel.
        """
        with self._lock:
            already_prestarted, self._prestarted = self._prestarted, True
        for build, image in images.items() if not already_prestarted else ():
            if build != job.build:
                Thread(target=self._prestart_one, args=(replace(job, build=build), image), daemon=True).start()

    def _prestart_one(self, job: ProbeJob, image: str) -> None:
        # a job that needs the container gets the same error, and reports it
        with contextlib.suppress(EngineRefused, EngineUnavailable, OSError, ValueError):
            self._ensure_container(job, image)

    def _ensure_container(self, job: ProbeJob, image: str) -> JobContainer:
        """Return the running container of the job's build."""
        with self._lock:
            key = f"{job.build.digest} {job.root}"
            if key not in self._containers:
                self._containers[key] = self._new_container(job, image)
            container = self._containers[key]
        container.ensure_running(job, parent=self._folder)
        return container

    def _new_container(self, job: ProbeJob, image: str) -> JobContainer:
        policy = SharingPolicy(
            parallel=self._parallel,
            sharers=f"all cells of Python {job.build.interpreter}",
            advice='; with `isolation = "cell"` each has its own',
        )

        def spec_for(job: ProbeJob, spool: Path, memory: int) -> ContainerSpec:
            (self._context.cache / "envs").mkdir(parents=True, exist_ok=True)
            return pool_spec(
                self._context,
                image=image,
                executable=job.build.executable,
                what=f"pool-{job.build.interpreter.label}",
                root=job.root,
                spool=spool,
                memory=memory,
                parallel=self._parallel,
            )

        return JobContainer(self._engine, self._context, self._closing, policy, spec_for)

    def close(self) -> None:
        """Remove the containers and their spool folders."""
        with self._lock:
            containers, self._containers = self._containers, {}
        if containers:
            # an engine takes a tenth of a second for each, and removes several in parallel
            with ThreadPoolExecutor(len(containers)) as pool:
                list(pool.map(JobContainer.close, containers.values()))


def failed_result(
    error: EngineRefused | EngineUnavailable | OSError | ValueError, image: str, *, closing: Event, seconds: float
) -> ProbeResult:
    """Return the result of a job that could not run in a shared container, or lost it with the engine."""
    if isinstance(error, OSError | ValueError):
        return not_started_result(error, seconds)
    job_exit = exit_of_refusal(error, image) if isinstance(error, EngineRefused) else exit_of_unavailable(error)
    job_exit = cancelled_exit() if closing.is_set() else job_exit
    return ProbeResult.not_run(job_exit.reason, job_exit.failure, seconds=seconds)


class DockerSession:
    """A :class:`~pytest_py312.runners.runner.JobSession` in one container, which starts with the first job.

    ``image_of`` returns the image (an id) of a build; it may raise :class:`CellUnavailable` and the engine's errors.
    """

    def __init__(
        self,
        engine: DockerEngine,
        context: RunContext,
        *,
        folder: Path,
        closing: Event,
        image_of: Callable[[InterpreterBuild], str],
    ) -> None:
        self._context = context
        self._folder = folder
        self._closing = closing
        self._image_of = image_of
        self._current_needs: object = None
        self._image = ""
        policy = SharingPolicy(parallel=1, sharers="the measurements of one side", exclusive=True)
        self._container = JobContainer(engine, context, closing, policy, self._spec_for)

    def _spec_for(self, job: ProbeJob, spool: Path, memory: int) -> ContainerSpec:
        self._image = self._image_of(job.build)
        return session_spec(self._context, job, image=self._image, spool=spool, memory=memory)

    def run(self, job: ProbeJob) -> ProbeResult:
        """Run ``job`` alone in the container; a new one is started if its needs differ from the previous job's.

        Never raises for failures in the cell, exceeded limits or the engine.
        """
        begin = time.monotonic()
        needs = (job.build.digest, job.environment, job.root, job.folders, job.memory_limit, job.network)
        try:
            if needs != self._current_needs:
                self._container.close()
                self._current_needs = needs
            self._container.ensure_running(job, parent=self._folder)
            return self._container.run(job)
        except CellUnavailable as unavailable:
            return ProbeResult.not_run(ExitReason.NOT_STARTED, str(unavailable), seconds=time.monotonic() - begin)
        except (EngineRefused, EngineUnavailable, OSError, ValueError) as error:
            return failed_result(error, self._image, closing=self._closing, seconds=time.monotonic() - begin)

    def close(self) -> None:
        """Stop and remove the container."""
        self._container.close()
