"""Jobs that share one closed container per interpreter, where the attendant gives each a clean process.

The price: jobs of one interpreter see each other's processes and may, if they mean to, tamper with each other's
results; and they share the memory of the container.
"""

import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread

from pytest_py312.model import InterpreterBuild
from pytest_py312.runners.base import CellJob, CellRun, Ended
from pytest_py312.runners.docker_cell import End, lost_end, not_run, refused_end
from pytest_py312.runners.docker_engine import Engine
from pytest_py312.runners.docker_recipes import Ground, Recipe, attendant_recipe, source_binds
from pytest_py312.runners.docker_room import Room, Use
from pytest_py312.runners.docker_trouble import EngineLost, Refused


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
