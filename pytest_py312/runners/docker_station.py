"""Jobs of one cell, one after the other, in a container that stays for them.

It is as closed as the container of a single job and sees no more: the cell's own environment and folders. Each job is a
process of its own with a scratch folder of its own; when it has ended, what it left in memory or in any folder that can
be written is removed. A job that did not end well, or left what cannot be removed, takes the container with it.

What is shared: the container, and so whatever its engine and its kernel do for it. Code that means to can disturb the
later jobs of the same cell, and nobody else's.
"""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from pytest_py312.model import InterpreterBuild
from pytest_py312.runners.base import CellJob, CellRun, CellUnavailable, Ended
from pytest_py312.runners.docker_attendant import not_shared
from pytest_py312.runners.docker_engine import Engine
from pytest_py312.runners.docker_recipes import Ground, Recipe, station_recipe
from pytest_py312.runners.docker_room import Room, Use
from pytest_py312.runners.docker_trouble import EngineLost, Refused


class DockerStation:
    """A container for jobs of one cell; see :class:`~pytest_py312.runners.base.Station`. It starts with the first.

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
