"""The further engines of the plan: connect to them, run jobs on them, and clean up there."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.process_identity import this_process
from pytest_py312.runners.docker.cell_container import run_in_own_container
from pytest_py312.runners.docker.container_specs import RunContext
from pytest_py312.runners.docker.engine import DockerEngine, EngineFacts, connect
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.docker.ping import engine_version
from pytest_py312.runners.engines.copied_files import CopiedFiles
from pytest_py312.runners.engines.places import Place, PlaceChooser
from pytest_py312.runners.engines.volumes import EngineVolumes
from pytest_py312.runners.runner import ProbeJob, ProbeResult

ANSWER_LIMIT = 5.0
"""Seconds for the first answer of an engine."""


class FurtherEngine:
    """A connected engine that does not see the files of this machine."""

    def __init__(
        self, address: str, engine: DockerEngine, facts: EngineFacts, context: RunContext, folder: Path, closing: Event
    ) -> None:
        self.address = address
        self.facts = facts
        self._engine = engine
        self._context = context
        self._folder = folder
        self._closing = closing
        self._volumes = EngineVolumes(engine, context, folder)
        self._lock = Lock()
        self._images: dict[str, bool] = {}
        process, now = this_process(), time.time()
        engine.sweep(process, now)
        self._volumes.sweep(process, now)

    def run(self, image: str, job: ProbeJob) -> ProbeResult:
        """Run one job to its end. Never raises for failures in the cell, exceeded limits or the engine."""
        return run_in_own_container(
            self._engine,
            self._context,
            job,
            image=image,
            folder=self._folder,
            closing=self._closing,
            files_of=lambda out: CopiedFiles(self._volumes, out),
        )

    def has_image(self, image: str) -> bool:
        """Return whether the engine has the image of that id; an engine that does not answer has none."""
        with self._lock:
            if image not in self._images:
                try:
                    self._images[image] = self._engine.image_id(image) == image
                except (EngineUnavailable, EngineRefused):
                    return False
            return self._images[image]

    def close(self) -> None:
        """Remove everything that this run has on the engine. Never raises."""
        self._engine.remove_run(self._context.run_id, self._context.owner)
        self._volumes.remove_all()
        self._engine.close()


class FurtherEngines:
    """The further engines of a run, at ``addresses``. One that is ``own``, the runner's engine, is left out.

    ``context_of`` returns what the containers of an engine have in common.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        own: EngineFacts,
        context_of: Callable[[EngineFacts], RunContext],
        folder: Path,
        closing: Event,
    ) -> None:
        self._context_of = context_of
        self._folder = folder
        self._closing = closing
        self._unused: list[str] = []
        self._engines: list[FurtherEngine] = []
        ids = {own.id}
        with ThreadPoolExecutor(max(len(addresses), 1)) as pool:
            for address, answer in zip(addresses, pool.map(self._connect, addresses), strict=True):
                if isinstance(answer, str):
                    self._unused.append(f"The engine {address} was not used: {answer}.")
                elif answer.facts.id in ids:
                    answer.close()
                else:
                    ids.add(answer.facts.id)
                    self._engines.append(answer)

    def _connect(self, address: str) -> FurtherEngine | str:
        """Return the engine, or why it cannot be used."""
        if not address.startswith("ssh://") and engine_version(ANSWER_LIMIT, address=address) is None:
            return "no Docker engine answers there"
        try:
            engine = connect(address)
        except RunnerUnavailable as unavailable:
            return str(unavailable)
        try:
            facts = engine.facts()
            return FurtherEngine(address, engine, facts, self._context_of(facts), self._folder, self._closing)
        except (EngineUnavailable, EngineRefused) as error:
            engine.close()
            return str(error)

    @property
    def slots(self) -> int:
        """The number of jobs that run on all of them in parallel."""
        return sum(engine.facts.cores for engine in self._engines)

    def chooser(self, run: Callable[[str, ProbeJob], ProbeResult], *, parallel: int) -> PlaceChooser:
        """Return the chooser of places, where ``run`` runs up to ``parallel`` jobs on the runner's own engine."""
        further = [
            Place(
                name=engine.address,
                slots=engine.facts.cores,
                memory=engine.facts.memory,
                run=engine.run,
                has_image=engine.has_image,
            )
            for engine in self._engines
        ]
        return PlaceChooser(Place(name="of this run", slots=parallel, run=run), further, self._closing)

    def notes(self) -> tuple[str, ...]:
        """Return sentences about engines that were not used from the beginning."""
        return tuple(self._unused)

    def close(self) -> None:
        """Remove everything that this run has on the engines. Never raises."""
        with ThreadPoolExecutor(max(len(self._engines), 1)) as pool:
            list(pool.map(FurtherEngine.close, self._engines))
