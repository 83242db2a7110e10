"""The further engines of the plan: connect to them, run jobs on them, and clean up there."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.process_identity import this_process
from pytest_py312.core.text import join_with_and
from pytest_py312.runners.docker.cell_container import run_in_own_container
from pytest_py312.runners.docker.container_specs import RunContext
from pytest_py312.runners.docker.engine import DockerEngine, EngineFacts, connect
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.docker.ping import engine_version
from pytest_py312.runners.engines.copied_files import CopiedFiles
from pytest_py312.runners.engines.places import Place, PlaceChooser
from pytest_py312.runners.engines.ssh_tunnel import SshTunnel
from pytest_py312.runners.engines.volumes import EngineVolumes
from pytest_py312.runners.runner import ProbeJob, ProbeResult

ANSWER_LIMIT = 5.0
"""Seconds for the first answer of an engine."""
MAX_SLOTS = 128


class FurtherEngine:
    """A connected engine that does not see the files of this machine."""

    def __init__(
        self,
        address: str,
        engine: DockerEngine,
        tunnel: SshTunnel | None,
        *,
        context_of: Callable[[EngineFacts], RunContext],
        folder: Path,
        closing: Event,
    ) -> None:
        self.address = address
        self.facts = engine.facts()
        self.context = context_of(self.facts)
        self._engine = engine
        self._tunnel = tunnel
        self._folder = folder
        self._closing = closing
        self._volumes = EngineVolumes(engine, self.context, folder)
        self._lock = Lock()
        self._images: dict[str, bool] = {}
        process, now = this_process(), time.time()
        engine.sweep(process, now)
        self._volumes.sweep(process, now)

    def run(self, image: str, job: ProbeJob) -> ProbeResult:
        """Run one job to its end. Never raises for failures in the cell, exceeded limits or the engine.

        :raises NotCopied: what it reads cannot be copied there.
        """
        return run_in_own_container(
            self._engine,
            self.context,
            job,
            image=image,
            folder=self._folder,
            closing=self._closing,
            files_of=lambda out: CopiedFiles(self._volumes, out),
        )

    @property
    def slots(self) -> int:
        """The number of jobs that it runs in parallel."""
        return min(self.facts.cores, MAX_SLOTS)

    def image_id(self, name: str) -> str | None:
        """Return the id of an image by its name; ``None`` if the engine has none of that name."""
        return self._engine.image_id(name)

    def has_image(self, image: str) -> bool:
        """Return whether the engine has the image of that id; one that does not answer has none."""
        with self._lock:
            if image not in self._images:
                try:
                    self._images[image] = self._engine.image_id(image) == image
                except (EngineUnavailable, EngineRefused):
                    self._images[image] = False
            return self._images[image]

    def close(self) -> None:
        """Remove everything that this run has on the engine. Never raises."""
        self._engine.remove_run(self.context.run_id, self.context.owner)
        self._volumes.close()
        self._engine.close()
        if self._tunnel is not None:
            self._tunnel.close()


class FurtherEngines:
    """The further engines of a run, at ``addresses``. One that is ``own``, the runner's engine, is left out.

    ``images`` are the names of the base images of the run, ``context_of`` returns what the containers of an engine have
    in common. An engine that lacks an image that the own one has, or on which cells would have another user, is not
    used: what runs there has to be comparable.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        own: DockerEngine,
        images: Sequence[str],
        context_of: Callable[[EngineFacts], RunContext],
        folder: Path,
        closing: Event,
    ) -> None:
        self._context_of = context_of
        self._folder = folder
        self._closing = closing
        self._unused: list[str] = []
        self._engines: list[FurtherEngine] = []
        own_facts = own.facts()
        own_images = {name: image for name in images if (image := own.image_id(name)) is not None}
        user = context_of(own_facts).cell_user
        ids = {own_facts.id}
        with ThreadPoolExecutor(max(len(addresses), 1)) as pool:
            answers = list(pool.map(lambda address: self._connect(address, own_images, user), addresses))
        for address, answer in zip(addresses, answers, strict=True):
            if isinstance(answer, str):
                self._unused.append(f"The engine {address} was not used: {answer}.")
            elif answer.facts.id in ids:
                answer.close()
            else:
                ids.add(answer.facts.id)
                self._engines.append(answer)

    def _connect(self, address: str, images: Mapping[str, str], user: str) -> FurtherEngine | str:
        """Return the engine, or why it cannot be used."""
        tunnel: SshTunnel | None = None
        engine: DockerEngine | None = None
        try:
            tunnel = SshTunnel(address) if address.startswith("ssh://") else None
            location = tunnel.address if tunnel is not None else address
            if engine_version(ANSWER_LIMIT, address=location) is None:
                reason = "no Docker engine answers there"
            else:
                engine = connect(location)
                further = FurtherEngine(
                    address,
                    engine,
                    tunnel,
                    context_of=self._context_of,
                    folder=self._folder,
                    closing=self._closing,
                )
                reason = _obstacle(further, images, user)
                if not reason:
                    return further
        except (RunnerUnavailable, EngineUnavailable, EngineRefused, ValueError, TypeError) as error:
            reason = str(error)
        if engine is not None:
            engine.close()
        if tunnel is not None:
            tunnel.close()
        return reason

    @property
    def slots(self) -> int:
        """The number of jobs that run on all of them in parallel."""
        return sum(engine.slots for engine in self._engines)

    def chooser(self, run: Callable[[str, ProbeJob], ProbeResult], *, parallel: int) -> PlaceChooser:
        """Return the chooser of places, where ``run`` runs up to ``parallel`` jobs on the runner's own engine."""
        further = [
            Place(
                name=engine.address,
                slots=engine.slots,
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


def _obstacle(engine: FurtherEngine, images: Mapping[str, str], user: str) -> str:
    """Return why what runs on an engine could not be compared with what runs on the own one; empty if it can."""
    if engine.context.cell_user != user:
        return "cells would run as another user there, since only one of the engines is rootless"
    missing = sorted(name for name, image in images.items() if engine.image_id(name) != image)
    return f"it does not have the same {join_with_and(missing)} (load the image there)" if missing else ""
