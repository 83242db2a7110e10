"""The docker runner: every cell in a closed container of its interpreter's image, tools in one beside it.

Its parts are the ``docker_*`` modules of this folder. Importing this module does not import the Docker SDK.
"""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Event, Lock, Semaphore

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.core.process_identity import this_process
from pytest_py312.repository.services.images import ImageJob, ImageRun, ImageStart
from pytest_py312.runners.agent import job_supervisor
from pytest_py312.runners.docker.cell_container import run_in_own_container
from pytest_py312.runners.docker.container_pool import Attendants, DockerStation
from pytest_py312.runners.docker.container_specs import Ground, inside, user_of_cells
from pytest_py312.runners.docker.engine import Engine, connect
from pytest_py312.runners.docker.errors import EngineLost, Refused
from pytest_py312.runners.docker.ping import engine_version as engine_version
from pytest_py312.runners.docker.service_image import ImageTrials
from pytest_py312.runners.docker.startup_timing import ImageStarts
from pytest_py312.runners.docker.tool_container import Builder
from pytest_py312.runners.interpreters import build_from_fingerprint
from pytest_py312.runners.runner import TOOLS_PER_CORE, CellJob, CellRun, CellUnavailable

PULL_LIMIT = 600.0
"""Seconds that fetching one image may take."""


class DockerRunner:
    """Runs cells in containers; a :class:`~pytest_py312.runners.runner.Runner`.

    ``cache`` is the user's cache folder and ``uv`` uv's program on this machine, ``run_folder`` a private folder of
    this run. ``parallel`` is how many jobs the caller runs at once: containers that cells share get that much memory.

    :raises RunnerUnavailable: no engine can be used.
    """

    name = "docker"

    def __init__(
        self,
        *,
        plan: Plan,
        cache: Path,
        uv: Path,
        run_id: str,
        run_folder: Path,
        parallel: int = 2,
        probe: Path = Path(__file__).parents[1] / "agent" / "probe.py",
    ) -> None:
        self._plan = plan
        self._cache = cache.absolute()
        self._uv = uv
        self._probe = probe
        self._run_id = run_id
        self._parallel = parallel
        self._tools = Semaphore(TOOLS_PER_CORE * parallel)
        self._closing = Event()
        self._lock = Lock()
        self._finding: dict[Interpreter, Lock] = {}
        self._found: dict[Interpreter, tuple[InterpreterBuild, Builder] | CellUnavailable] = {}
        self._images: dict[str, tuple[str, Builder]] = {}
        self._owner = this_process()
        self._engine: Engine = connect()
        self._engine.sweep(self._owner, time.time())
        # private (mode 0700), and this process's own: workers of one run share the run's folder
        self._folder = Path(tempfile.mkdtemp(prefix="docker-", dir=run_folder.resolve()))
        # a run that ends without close() leaves nothing behind either
        atexit.register(self.close)

    @cached_property
    def _ground(self) -> Ground:
        options = self._engine.facts()
        rootless = any("rootless" in option for option in options)
        uid, gid = os.getuid(), os.getgid()
        self._cache.mkdir(parents=True, exist_ok=True)
        return Ground(
            run_id=self._run_id,
            owner=str(self._owner),
            cache=self._cache,
            uv=self._uv,
            probe=self._probe.resolve(),
            attendant=Path(job_supervisor.__file__).resolve(),
            user=user_of_cells(uid, gid, rootless=rootless),
            builder="0:0" if rootless else f"{uid}:{gid}",
            extra_security=("label=disable",) if any("selinux" in option for option in options) else (),
        )

    @cached_property
    def _attendants(self) -> Attendants:
        return Attendants(
            self._engine, self._ground, folder=self._folder, closing=self._closing, parallel=self._parallel
        )

    def describe(self) -> str:
        """``docker (engine 26.1.5 answers; a container for each cell)``."""
        version = engine_version() or "of unknown version"
        return f"docker (engine {version} answers; a container for each {self._plan.isolation})"

    def find(self, interpreter: Interpreter) -> InterpreterBuild:
        """The build in the plan's image of ``interpreter``; the image is fetched, once, when it is not here.

        :raises CellUnavailable: the image cannot be had, or holds another Python.
        """
        with self._lock:
            lock = self._finding.setdefault(interpreter, Lock())
        with lock:
            found = self._found.get(interpreter)
            if found is None:
                found = self._look(interpreter)
                self._found[interpreter] = found
        if isinstance(found, CellUnavailable):
            raise CellUnavailable(str(found))
        return found[0]

    def _look(self, interpreter: Interpreter) -> tuple[InterpreterBuild, Builder] | CellUnavailable:
        name = self._plan.image_of(interpreter)
        try:
            image = self._image(name)
            builder = Builder(self._engine, self._ground, image=image, name=name, closing=self._closing)
            with self._lock:
                self._images[f"{interpreter}"] = (image, builder)
            data = builder.fingerprint(interpreter)
            build = build_from_fingerprint(interpreter, data, origin=f"image {name}", salt=image)
        except CellUnavailable as unavailable:
            return unavailable
        except (EngineLost, Refused) as error:
            return CellUnavailable(f"image {name} cannot be used: {error}; or run with --py312-runner=local")
        with self._lock:
            self._images[build.digest] = (image, builder)
        return build, builder

    def _image(self, name: str) -> str:
        """The id of the image, fetched if need be."""
        image = self._engine.image_id(name)
        if image is None:
            try:
                self._engine.pull(name, time_limit=PULL_LIMIT)
                image = self._engine.image_id(name)
                words = "the registry has no image of that name"
            except (EngineLost, Refused) as error:
                words = str(error)
            if image is None:
                raise CellUnavailable(
                    f"image {name} is not here and could not be pulled: {words}; pull it by hand (docker pull {name}), "
                    "or set `images` in the plan, or --py312-runner=local"
                )
        return image

    def _of(self, build: InterpreterBuild) -> tuple[str, Builder]:
        with self._lock:
            known = self._images.get(build.digest)
        if known is None:  # a build that an earlier run found, and this one has not asked for yet
            self.find(build.interpreter)
            with self._lock:
                known = self._images.get(build.digest)
        if known is None:
            raise CellUnavailable(
                f"{build.origin} does not hold the Python {build.version} that was found in it before"
            )
        return known

    def _images_found(self) -> dict[InterpreterBuild, str]:
        """The builds that this run has asked for, with the images (ids) that hold them."""
        with self._lock:
            builds = [found[0] for found in self._found.values() if not isinstance(found, CellUnavailable)]
            return {build: self._images[build.digest][0] for build in builds}

    def tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandRun:
        """Run a trusted tool in the builder container of ``build``.

        :raises CellUnavailable: the container cannot be started, or uv does not run in its image.
        """
        _, builder = self._of(build)
        with self._tools:
            return builder.run(argv, pythons=(build.executable,), stdin=stdin, time_limit=time_limit)

    def inside(self, path: Path) -> str:
        """The path by which tools and cells see ``path``.

        :raises ValueError: it is not in the cache folder.
        """
        return inside(self._cache, path)

    def run(self, job: CellJob) -> CellRun:
        """Run one job in a container of its own, or in its interpreter's where the plan says so and the job allows."""
        if self._closing.is_set():
            return _no_run(Ended.CANCELLED, "the run was cancelled")
        try:
            image, _ = self._of(job.build)
            if self._plan.isolation == "interpreter" and self._attendants.takes(job):
                self._attendants.expect(job, self._images_found())
                return self._attendants.run(job, image=image)
            return run_in_own_container(
                self._engine, self._ground, job, image=image, folder=self._folder, closing=self._closing
            )
        except CellUnavailable as unavailable:
            return _no_run(Ended.NOT_STARTED, str(unavailable))
        except (EngineLost, Refused) as error:
            return _no_run(Ended.ENGINE_LOST, str(error))

    def station(self) -> DockerStation:
        """A container that stays for jobs of one cell, whatever the plan says of others."""
        return DockerStation(
            self._engine,
            self._ground,
            folder=self._folder,
            closing=self._closing,
            image_of=lambda build: self._of(build)[0],
        )

    @cached_property
    def _images_of_services(self) -> ImageTrials:
        return ImageTrials(engine=self._engine, ground=self._ground, folder=self._folder, closing=self._closing)

    def prove_image(self, job: ImageJob) -> ImageRun:
        """Build a service's own image and try it; see :class:`~pytest_py312.repository.services.images.ImageProver`."""
        with self._lock:
            trials = self._images_of_services
        with self._tools:
            return trials.prove(job)

    @cached_property
    def _starts(self) -> ImageStarts:
        return ImageStarts(trials=self._images_of_services)

    def start_image(self, job: ImageJob, seed: int) -> ImageStart:
        """Start a service's own image; see :class:`~pytest_py312.repository.services.images.ImageStarter`."""
        with self._lock:
            starts = self._starts
        with self._tools:
            return starts.start(job, seed)

    def close(self) -> None:
        """End and remove all containers and images of this run. Runs that are under way end as cancelled. May be called
        again."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            builders = [builder for _, builder in self._images.values()]
        atexit.unregister(self.close)
        for builder in builders:
            builder.close()
        if "_attendants" in self.__dict__:
            self._attendants.close()
        if "_images_of_services" in self.__dict__:
            self._images_of_services.close()
        self._engine.remove_run(self._run_id, str(self._owner))
        self._engine.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _no_run(ended: Ended, trouble: str) -> CellRun:
    return CellRun(ended=ended, exit_code=None, seconds=0.0, records=(), trouble=trouble)
