"""Measures services one at a time, with all else that the run has under way held up meanwhile."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_py312.benchmarks.cores import own_core
from pytest_py312.benchmarks.entries import entry_module
from pytest_py312.benchmarks.jobs import Side
from pytest_py312.benchmarks.measuring import Bench, Start
from pytest_py312.benchmarks.sampling import MeasuringFailed
from pytest_py312.benchmarks.speeds import Speeds
from pytest_py312.faults import obstacle
from pytest_py312.installer import Installation, versions_of
from pytest_py312.model import Cell, Plan, Service
from pytest_py312.runners.base import Runner
from pytest_py312.service_images import ImageJob, ImageStarter
from pytest_py312.tree import Tree


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeedTests:
    """``slots`` are those in which suites run, ``parallel`` of them; ``files`` lists those of a service that may say
    what it starts, ``startable`` is its image in a cell (or why there is none). In ``cache`` measurements meet that
    must not have one core."""

    plan: Plan
    runner: Runner
    cache: Path
    slots: threading.Semaphore
    parallel: int
    installation: Callable[[Cell], Installation]
    files: Callable[[Service], tuple[str, ...]]
    startable: Callable[[Cell], ImageJob | str]
    ended: threading.Event
    _one: threading.Lock = field(default_factory=threading.Lock)

    def measure(self, cell: Cell, *, families: int) -> Speeds:
        """The service of ``cell`` there against its baseline; ``families`` services are measured in the run."""
        before = replace(cell, interpreter=cell.service.baseline)
        sides = [self._side(one) for one in (before, cell)]
        old, new = sides
        if isinstance(old, str) or isinstance(new, str):
            return Speeds(unchecked=next(side for side in sides if isinstance(side, str)))
        module = entry_module(Tree(self.plan.root), cell.service, self.files(cell.service))
        with self._alone(), own_core(self.cache / "measured", self.ended) as core:
            if self.ended.is_set():
                return Speeds(unchecked="the run was ended")
            bench = Bench(self.runner, self.plan.root, before=old, after=new, families=families, core=core)
            return bench.measure(module, self._starts(before, cell))

    def _starts(self, before: Cell, after: Cell) -> tuple[Start, Start] | str:
        """How to start the service on both sides, or why that is not measured."""
        if not isinstance(self.runner, ImageStarter):
            return f"images are started by the docker runner alone, and this is {self.runner.name}"
        old, new = self.startable(before), self.startable(after)
        if isinstance(old, str) or isinstance(new, str):
            return old if isinstance(old, str) else str(new)
        return _start(self.runner, old), _start(self.runner, new)

    def _side(self, cell: Cell) -> Side | str:
        """The cell, ready to run something, or why it is not."""
        found = self.installation(cell)
        if found.environment is None or found.build is None:
            return f"there is no environment on {cell.interpreter}: {obstacle(found)}"
        return Side(
            cell=cell,
            build=found.build,
            environment=found.environment.folder,
            built=found.built,
            versions=versions_of(found),
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No suite of this run is under way; one service after the other, or two would wait for each other's slots."""
        with self._one:
            for _ in range(self.parallel):
                self.slots.acquire()
            try:
                yield
            finally:
                self.slots.release(self.parallel)


def _start(runner: ImageStarter, job: ImageJob) -> Start:
    def start(seed: int) -> dict[str, float]:
        found = runner.start_image(job, seed)
        if found.unchecked:
            raise MeasuringFailed(found.unchecked)
        return {"start": found.seconds} | ({"memory": float(found.memory)} if found.memory else {})

    return start
