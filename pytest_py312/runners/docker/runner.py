"""The Docker runner: cells run in isolated containers of their interpreter's image, tools in another container.

Importing this module does not import the Docker SDK.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Event, Lock, Semaphore

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import ImagePackages, InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.core.process_identity import this_process
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.repository.services.images import ImageCheckResult, ImageJob, ImageStartup
from pytest_py312.runners.agent import job_supervisor
from pytest_py312.runners.confinement import hand_over, memory_of_builds
from pytest_py312.runners.docker.cell_container import run_in_own_container
from pytest_py312.runners.docker.container_pool import ContainerPool, DockerSession
from pytest_py312.runners.docker.container_specs import (
    RunContext,
    build_spec,
    cell_user,
    network_of_build,
    path_in_container,
)
from pytest_py312.runners.docker.engine import DockerEngine, EngineFacts, connect
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable
from pytest_py312.runners.docker.ping import engine_version as engine_version
from pytest_py312.runners.docker.service_image import ServiceImageTester
from pytest_py312.runners.docker.startup_timing import ImageStartTimer
from pytest_py312.runners.docker.system_packages import BaseImage, PackageImages
from pytest_py312.runners.docker.tool_container import ToolContainer, run_in_build_container
from pytest_py312.runners.interpreters import build_from_fingerprint
from pytest_py312.runners.runner import TOOLS_PER_CORE, CellUnavailable, ConfinedCommand, ProbeJob, ProbeResult

PULL_LIMIT = 600.0
"""Seconds for fetching one image."""


class DockerRunner:
    """A :class:`~pytest_py312.runners.runner.Runner` that runs cells in containers.

    ``cache`` is the user's cache folder, ``uv`` the program on this machine, ``run_folder`` a private folder of this
    run. ``parallel`` is the number of jobs that the caller runs in parallel: shared containers get memory for as many.

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
        self._find_locks: dict[Interpreter, Lock] = {}
        self._builds: dict[Interpreter, tuple[InterpreterBuild, ToolContainer] | CellUnavailable] = {}
        self._images: dict[str, tuple[str, ToolContainer]] = {}
        self._owner = this_process()
        self._engine: DockerEngine = connect()
        self._engine.sweep(self._owner, time.time())
        # private (mode 0700) and only for this process, as the workers of a run share the run's folder
        self._folder = Path(tempfile.mkdtemp(prefix="docker-", dir=run_folder.resolve()))
        # for runs that end without close()
        atexit.register(self.close)

    @cached_property
    def _context(self) -> RunContext:
        return self._context_of(self._engine.facts())

    def _context_of(self, facts: EngineFacts) -> RunContext:
        options = facts.security_options
        rootless = any("rootless" in option for option in options)
        uid, gid = os.getuid(), os.getgid()
        self._cache.mkdir(parents=True, exist_ok=True)
        return RunContext(
            run_id=self._run_id,
            owner=str(self._owner),
            cache=self._cache,
            uv=self._uv,
            probe=self._probe.resolve(),
            supervisor=Path(job_supervisor.__file__).resolve(),
            cell_user=cell_user(uid, gid, rootless=rootless),
            tool_user="0:0" if rootless else f"{uid}:{gid}",
            extra_security=("label=disable",) if any("selinux" in option for option in options) else (),
        )

    @cached_property
    def _pool(self) -> ContainerPool:
        return ContainerPool(
            self._engine, self._context, folder=self._folder, closing=self._closing, parallel=self._parallel
        )

    def describe(self) -> str:
        """Return ``docker (engine 26.1.5 answers; a container for each cell)``."""
        version = engine_version() or "of unknown version"
        return f"docker (engine {version} answers; a container for each {self._plan.isolation})"

    def find_interpreter(self, interpreter: Interpreter) -> InterpreterBuild:
        """Return the build in the plan's image of ``interpreter``; the image is fetched if it is missing.

        :raises CellUnavailable: the image cannot be fetched, or has another Python.
        """
        with self._lock:
            lock = self._find_locks.setdefault(interpreter, Lock())
        with lock:
            result = self._builds.get(interpreter)
            if result is None:
                result = self._find_in_image(interpreter)
                self._builds[interpreter] = result
        if isinstance(result, CellUnavailable):
            raise CellUnavailable(str(result))
        return result[0]

    def _find_in_image(self, interpreter: Interpreter) -> tuple[InterpreterBuild, ToolContainer] | CellUnavailable:
        name = self._plan.image_of(interpreter)
        try:
            image = self._ensure_image(name)
            builder = ToolContainer(self._engine, self._context, image=image, name=name, closing=self._closing)
            with self._lock:
                self._images[f"{interpreter}"] = (image, builder)
            data = builder.fingerprint(interpreter)
            build = build_from_fingerprint(interpreter, data, origin=f"image {name}", salt=image)
        except CellUnavailable as unavailable:
            return unavailable
        except (EngineUnavailable, EngineRefused) as error:
            return CellUnavailable(f"image {name} cannot be used: {error}; or run with --py312-runner=local")
        with self._lock:
            self._images[build.digest] = (image, builder)
        return build, builder

    def _ensure_image(self, name: str) -> str:
        """Return the id of the image, fetched if it is missing."""
        image = self._engine.image_id(name)
        if image is None:
            try:
                with PROGRESS.activity("downloading the image", name):
                    self._engine.pull(name, time_limit=PULL_LIMIT)
                image = self._engine.image_id(name)
                reason = "the registry has no image of that name"
            except (EngineUnavailable, EngineRefused) as error:
                reason = str(error)
            if image is None:
                raise CellUnavailable(
                    f"image {name} is missing and could not be pulled: {reason}; pull it manually "
                    f"(docker pull {name}), or set `images` in the plan, or --py312-runner=local"
                )
        return image

    def _image_and_tools(self, build: InterpreterBuild) -> tuple[str, ToolContainer]:
        with self._lock:
            cached = self._images.get(build.digest)
        if cached is None:  # the build is of another process or an earlier run, and not used in this process yet
            found = self.find_interpreter(build.interpreter)
            if build.packages is not None:
                self.add_packages(found, build.packages)
            with self._lock:
                cached = self._images.get(build.digest)
        if cached is None:
            raise CellUnavailable(
                f"{build.origin} no longer has the Python {build.version} that was found in it before"
            )
        return cached

    # ---- packages of the system

    @cached_property
    def _package_images(self) -> PackageImages:
        return PackageImages(engine=self._engine, context=self._context, folder=self._folder, closing=self._closing)

    def find_with_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild | None:
        """See :class:`~pytest_py312.runners.runner.SupportsSystemPackages`."""
        return self._with_packages(build, packages, make=False)

    def add_packages(self, build: InterpreterBuild, packages: ImagePackages) -> InterpreterBuild:
        """See :class:`~pytest_py312.runners.runner.SupportsSystemPackages`."""
        equipped = self._with_packages(build, packages, make=True)
        assert equipped is not None
        return equipped

    def _with_packages(
        self, build: InterpreterBuild, packages: ImagePackages, *, make: bool
    ) -> InterpreterBuild | None:
        base = BaseImage(
            id=self._image_and_tools(build)[0],
            name=self._plan.image_of(build.interpreter),
            executable=build.executable,
        )
        try:
            with self._lock:
                images = self._package_images
            image = images.make(base, packages) if make else images.find(base, packages)
        except (EngineUnavailable, EngineRefused) as error:
            raise CellUnavailable(f"image {base.name} with {packages} cannot be used: {error}") from error
        if image is None:
            return None
        equipped = replace(
            build,
            origin=f"image {base.name} with {packages}",
            digest=hashlib.sha256(f"{build.digest} {image}".encode()).hexdigest()[:16],
            packages=packages,
        )
        with self._lock:
            if equipped.digest not in self._images:
                tools = ToolContainer(
                    self._engine, self._context, image=image, name=equipped.origin, closing=self._closing
                )
                self._images[equipped.digest] = (image, tools)
        return equipped

    def _known_images(self) -> dict[InterpreterBuild, str]:
        """Return the builds used in this run so far, with their images (ids)."""
        with self._lock:
            builds = [result[0] for result in self._builds.values() if not isinstance(result, CellUnavailable)]
            return {build: self._images[build.digest][0] for build in builds}

    def run_tool(
        self, build: InterpreterBuild, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0
    ) -> CommandResult:
        """Run a trusted tool in the tool container of ``build``.

        :raises CellUnavailable: the container cannot be started, or uv does not run in its image.
        """
        _, builder = self._image_and_tools(build)
        with self._tools:
            return builder.run(argv, pythons=(build.executable,), stdin=stdin, time_limit=time_limit)

    @property
    def confines(self) -> bool:
        """See :class:`~pytest_py312.runners.runner.SupportsConfinement`: containers confine what runs in them."""
        return True

    def run_confined(self, build: InterpreterBuild, command: ConfinedCommand) -> CommandResult:
        """See :class:`~pytest_py312.runners.runner.SupportsConfinement`.

        :raises CellUnavailable: as :meth:`run_tool`.
        """
        image, _ = self._image_and_tools(build)
        hand_over(command.folder, self._context.cell_user)
        network = network_of_build(command, os.environ, allowed=self._plan.build_network)
        spec = build_spec(
            self._context,
            command,
            image=image,
            executable=build.executable,
            environ=os.environ,
            network=network,
            memory=memory_of_builds(self._parallel),
        )
        with self._tools:
            return run_in_build_container(
                self._engine,
                spec,
                command.argv,
                python=build.executable,
                time_limit=command.time_limit,
                closing=self._closing,
            )

    def path_inside(self, path: Path) -> str:
        """Return the path by which tools and cells see ``path``.

        :raises ValueError: it is not in the cache folder.
        """
        return path_in_container(self._cache, path)

    def run(self, job: ProbeJob) -> ProbeResult:
        """Run one job in its own container, or in its interpreter's shared one if both plan and job allow that."""
        if self._closing.is_set():
            return ProbeResult.not_run(ExitReason.CANCELLED, "the run was cancelled")
        try:
            image, _ = self._image_and_tools(job.build)
        except CellUnavailable as unavailable:
            return ProbeResult.not_run(ExitReason.NOT_STARTED, str(unavailable))
        except (EngineUnavailable, EngineRefused) as error:
            return ProbeResult.not_run(ExitReason.ENGINE_LOST, str(error))
        return self._run_in(image, job)

    def _run_in(self, image: str, job: ProbeJob) -> ProbeResult:
        try:
            if self._plan.isolation == "interpreter" and self._pool.accepts(job):
                self._pool.prestart(job, self._known_images())
                return self._pool.run(job, image=image)
            return run_in_own_container(
                self._engine, self._context, job, image=image, folder=self._folder, closing=self._closing
            )
        except (EngineUnavailable, EngineRefused) as error:
            return ProbeResult.not_run(ExitReason.ENGINE_LOST, str(error))

    def session(self) -> DockerSession:
        """Open a session: one container for several jobs of one cell, whatever isolation the plan has."""
        return DockerSession(
            self._engine,
            self._context,
            folder=self._folder,
            closing=self._closing,
            image_of=lambda build: self._image_and_tools(build)[0],
        )

    @cached_property
    def _image_tester(self) -> ServiceImageTester:
        return ServiceImageTester(
            engine=self._engine, context=self._context, folder=self._folder, closing=self._closing
        )

    def check_image(self, job: ImageJob) -> ImageCheckResult:
        """Build and check a service's own image; see :class:`~pytest_py312.repository.services.images.ImageChecker`."""
        with self._lock:
            tester = self._image_tester
        with self._tools:
            return tester.check_image(job)

    @cached_property
    def _start_timer(self) -> ImageStartTimer:
        return ImageStartTimer(tester=self._image_tester)

    def start_image(self, job: ImageJob, seed: int) -> ImageStartup:
        """Start a service's own image; see :class:`~pytest_py312.repository.services.images.ImageStarter`."""
        with self._lock:
            timer = self._start_timer
        with self._tools:
            return timer.start(job, seed)

    def close(self) -> None:
        """Stop and remove all containers and images of this run; active jobs end as cancelled. May be called again."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            builders = [builder for _, builder in self._images.values()]
        atexit.unregister(self.close)
        for builder in builders:
            builder.close()
        if "_pool" in self.__dict__:
            self._pool.close()
        if "_image_tester" in self.__dict__:
            self._image_tester.close()
        self._engine.remove_run(self._run_id, str(self._owner))
        self._engine.close()
        shutil.rmtree(self._folder, ignore_errors=True)
