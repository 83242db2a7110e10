"""Jobs that share one closed container per interpreter, where the attendant gives each a clean process.

The price: jobs of one interpreter see each other's processes and may, if they mean to, tamper with each other's
results; and they share the memory of the container.

Jobs of one cell, one after the other, in a container that stays for them.

It is as closed as the container of a single job and sees no more: the cell's own environment and folders. Each job is a
process of its own with a scratch folder of its own; when it has ended, what it left in memory or in any folder that can
be written is removed. A job that did not end well, or left what cannot be removed, takes the container with it.

What is shared: the container, and so whatever its engine and its kernel do for it. Code that means to can disturb the
later jobs of the same cell, and nobody else's.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import Ended
from pytest_py312.runners.docker.cell_container import End, lost_end, not_run, refused_end
from pytest_py312.runners.docker.container_specs import Ground, Recipe, attendant_recipe, source_binds, station_recipe
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import EngineLost, Refused
from pytest_py312.runners.docker.job_container import Room, Use
from pytest_py312.runners.runner import CellJob, CellRun, CellUnavailable


class Attendants:
    """The shared containers of one run, one for each interpreter build, started at its first job."""

    def __init__(self, engine: Engine, ground: Ground, *, folder: Path, closing: Event, parallel: int) -> None:
        self._engine = engine
        self._ground = ground
        self._folder = folder
        self._closing = closing
        self._parallel = max(parallel, 1)
        self._lock = Lock()
        self._rooms: dict[str, Room] = {}
        self._expecting = False

    def takes(self, job: CellJob) -> bool:
        """Whether a job can share a container: it needs no network, and its environment lies with all others."""
        return not job.network and job.environment.is_relative_to(self._ground.cache / "envs")

    def run(self, job: CellJob, *, image: str) -> CellRun:
        """Run ``job`` as one of many in the container of its interpreter. Never raises for trouble in it."""
        begin = time.monotonic()
        try:
            source_binds(job.root, job.folders)  # raises for what does not exist or lies outside
            return self._open(job, image).run(job)
        except (Refused, EngineLost, OSError, ValueError) as trouble:
            return not_shared(trouble, image, closing=self._closing, seconds=time.monotonic() - begin)

    def expect(self, job: CellJob, images: Mapping[InterpreterBuild, str]) -> None:
        """Once in a run, at its first job: start the containers of other builds too, as their jobs will follow.

        An engine takes a fifth of a second for each, and starts several at once.
        """
        with self._lock:
            expecting, self._expecting = self._expecting, True
        for build, image in images.items() if not expecting else ():
            if build != job.build:
                Thread(target=self._open_ahead, args=(replace(job, build=build), image), daemon=True).start()

    def _open_ahead(self, job: CellJob, image: str) -> None:
        # a job that needs the container meets the trouble itself, and tells of it
        with contextlib.suppress(Refused, EngineLost, OSError, ValueError):
            self._open(job, image)

    def _open(self, job: CellJob, image: str) -> Room:
        """The room of the job's build, with its container running."""
        with self._lock:
            key = f"{job.build.digest} {job.root}"
            if key not in self._rooms:
                self._rooms[key] = self._room(job, image)
            room = self._rooms[key]
        room.open(job, parent=self._folder)
        return room

    def _room(self, job: CellJob, image: str) -> Room:
        use = Use(
            parallel=self._parallel,
            sharers=f"all cells of Python {job.build.interpreter}",
            advice='; with `isolation = "cell"` each has its own',
        )

        def furnish(job: CellJob, spool: Path, memory: int) -> Recipe:
            (self._ground.cache / "envs").mkdir(parents=True, exist_ok=True)
            return attendant_recipe(
                self._ground,
                image=image,
                executable=job.build.executable,
                what=f"attendant-{job.build.interpreter.label}",
                root=job.root,
                spool=spool,
                memory=memory,
                parallel=self._parallel,
            )

        return Room(self._engine, self._ground, self._closing, use, furnish)

    def close(self) -> None:
        """Remove the containers and their spool folders."""
        with self._lock:
            rooms, self._rooms = self._rooms, {}
        if rooms:
            # an engine takes a tenth of a second for each, and does several at once
            with ThreadPoolExecutor(len(rooms)) as pool:
                list(pool.map(Room.close, rooms.values()))


def not_shared(
    trouble: Refused | EngineLost | OSError | ValueError, image: str, *, closing: Event, seconds: float
) -> CellRun:
    """The end of a job that did not get into a shared container, or whose container the engine lost."""
    if isinstance(trouble, OSError | ValueError):
        return not_run(trouble, seconds)
    end = refused_end(trouble, image) if isinstance(trouble, Refused) else lost_end(trouble)
    if closing.is_set():
        end = End(ended=Ended.CANCELLED, trouble="the run was cancelled")
    return CellRun(ended=end.ended, exit_code=None, seconds=seconds, records=(), trouble=end.trouble)


class DockerStation:
    """A container for jobs of one cell; see :class:`~pytest_py312.runners.runner.Station`. It starts with the first.

    ``image_of`` is the image (an id) of a build; it may raise what the engine and a lack of images raise.
    """

    def __init__(
        self,
        engine: Engine,
        ground: Ground,
        *,
        folder: Path,
        closing: Event,
        image_of: Callable[[InterpreterBuild], str],
    ) -> None:
        self._ground = ground
        self._folder = folder
        self._closing = closing
        self._image_of = image_of
        self._suits: object = None
        self._image = ""
        use = Use(parallel=1, sharers="the measurements of one side", alone=True)
        self._room = Room(engine, ground, closing, use, self._furnish)

    def _furnish(self, job: CellJob, spool: Path, memory: int) -> Recipe:
        self._image = self._image_of(job.build)
        return station_recipe(self._ground, job, image=self._image, spool=spool, memory=memory)

    def run(self, job: CellJob) -> CellRun:
        """Run ``job`` alone in the container, or in a new one where it needs another than the job before. Never raises
        for what goes wrong in the cell, its limits or the engine."""
        begin = time.monotonic()
        needs = (job.build.digest, job.environment, job.root, job.folders, job.memory_limit, job.network)
        try:
            if needs != self._suits:
                self._room.close()
                self._suits = needs
            self._room.open(job, parent=self._folder)
            return self._room.run(job)
        except CellUnavailable as unavailable:
            seconds = time.monotonic() - begin
            return CellRun(
                ended=Ended.NOT_STARTED, exit_code=None, seconds=seconds, records=(), trouble=str(unavailable)
            )
        except (Refused, EngineLost, OSError, ValueError) as trouble:
            return not_shared(trouble, self._image, closing=self._closing, seconds=time.monotonic() - begin)

    def close(self) -> None:
        """End and remove the container."""
        self._room.close()
