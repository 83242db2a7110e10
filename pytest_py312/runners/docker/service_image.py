"""Build a service's own image and check it: its Python version, the import of its entry point, its health check."""

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock
from typing import Any
from uuid import uuid4

from pytest_py312.repository.services.images import (
    ImageCheckResult,
    ImageEntryPoint,
    ImageHealth,
    ImageJob,
    entry_point_of,
)
from pytest_py312.runners.docker.build_context import ContextUnavailable, copy_context, ensure_dockerfile
from pytest_py312.runners.docker.container_specs import MAX_PROCESSES, RunContext
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable, translate_errors
from pytest_py312.runners.docker.image_build import BuildRequest, BuildResult, build

CANCELLED = "the run was cancelled"
REPOSITORY = "pytest-py312/proof"
"""Repository of all images built here; they are removed at the end of the run."""
COMMAND_LIMIT = 120.0
"""Seconds for one command in an image, such as an import."""
HEALTH_LIMIT = 900.0
"""Seconds to wait for a health check, whatever it declares."""
_NANOSECONDS = 1_000_000_000
"""Nanoseconds per second: the engine's unit of time."""
_OUTPUT_LIMIT = 4_000

IMPORT_SCRIPT = """\
import importlib, runpy, sys
kind, name = sys.argv[1:]
sys.argv[:] = [name]
if kind == "module":
    importlib.import_module(name)
elif kind == "script":
    sys.path[0] = name.rpartition("/")[0] or "."
    runpy.run_path(name, run_name="py312")
else:
    from importlib.metadata import distributions
    scripts = [e for d in distributions() for e in d.entry_points if e.group == "console_scripts" and e.name == name]
    if not scripts:
        sys.exit(73)
    scripts[0].load()
"""
"""Imports the module or script that the image's command would start. Runs on any Python 3."""
NO_SUCH_COMMAND_CODE = 73


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerExit:
    """How a container ended. ``code`` is ``None`` if it was still running at the time limit."""

    code: int | None
    output: str


@dataclass(kw_only=True)
class ServiceImageTester:
    """Builder and checker of images for one run; all of them are removed at the end. Safe for several threads."""

    engine: DockerEngine
    context: RunContext
    folder: Path
    closing: Event
    _lock: Lock = field(default_factory=Lock)
    _images: list[str] = field(default_factory=list)

    def check_image(self, job: ImageJob) -> ImageCheckResult:
        """See :class:`~pytest_py312.repository.services.images.ImageChecker`."""
        tag, run = self.build_image(job)
        try:
            return self._check_built(job, tag, run) if tag else run
        except (EngineUnavailable, EngineRefused) as error:
            return replace(run, unchecked=CANCELLED if self.closing.is_set() else str(error))
        finally:
            self._close_if_cancelled()

    def build_image(self, job: ImageJob) -> tuple[str, ImageCheckResult]:
        """Build the image and return its tag; without one, the result says why. Never raises."""
        run = ImageCheckResult(dockerfile=job.image.dockerfile)
        if self.closing.is_set():
            return "", replace(run, unchecked=CANCELLED)
        build_folder = Path(tempfile.mkdtemp(prefix="image-", dir=self.folder))
        try:
            folder = copy_context(job, build_folder / "context")
            build_request = BuildRequest(
                folder=folder,
                dockerfile=ensure_dockerfile(job, folder),
                tag=f"{REPOSITORY}:{uuid4().hex}",
                labels=self.context.labels(job.identifier),
            )
            build_result = build(self.engine, build_request, self.closing)
            self._track(build_result, build_request.tag)
            if build_result.unchecked or build_result.failed:
                return "", replace(
                    run,
                    unchecked=build_result.unchecked,
                    failed=build_result.failed,
                    line=build_result.line,
                    output=build_result.output,
                )
            return build_request.tag, run
        except (EngineUnavailable, EngineRefused) as error:
            return "", replace(run, unchecked=CANCELLED if self.closing.is_set() else str(error))
        except (ContextUnavailable, OSError, ValueError) as error:
            return "", replace(run, unchecked=str(error))
        finally:
            shutil.rmtree(build_folder, ignore_errors=True)
            self._close_if_cancelled()

    def _close_if_cancelled(self) -> None:
        if self.closing.is_set():
            self.close()  # removes an image that was finished after the first close

    def _track(self, build_result: BuildResult, tag: str) -> None:
        with self._lock:
            self._images += [*build_result.layers, *([tag] if build_result.image else [])]

    def close(self) -> None:
        """Remove all images, the newest first, so that no image is still the base of another."""
        with self._lock:
            images, self._images = list(dict.fromkeys(reversed(self._images))), []
        remaining_before = None
        # parallel builds share layers, so an image may still be in use by one that is removed later in the same pass
        while images and images != remaining_before:
            remaining_before, images = images, [image for image in images if not self._remove(image)]

    def _remove(self, image: str) -> bool:
        try:
            with translate_errors():
                self.engine.client.remove_image(image, force=False, noprune=True)
        except EngineRefused as refused:
            return refused.not_found
        except EngineUnavailable:
            return True
        return True

    # ---- the finished image

    def _check_built(self, job: ImageJob, tag: str, run: ImageCheckResult) -> ImageCheckResult:
        config = self.config(tag)
        program, version_exit = self.python_version(job, tag)
        if version_exit.code is None:
            return replace(run, unchecked=f"python -VV did not finish in the image: {version_exit.output}")
        run = replace(
            run, version=version_exit.output.strip() if version_exit.code == 0 else "", output=version_exit.output
        )
        if not run.version:
            return run
        entry = entry_point_of([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())])
        if entry is not None:
            run = self._check_import(job, tag, program, entry, run)
        check = config.get("Healthcheck") or {}
        if (check.get("Test") or ["NONE"])[0] != "NONE":
            run = self._check_health(job, tag, check, run)
        return run

    def config(self, tag: str) -> Mapping[str, Any]:
        """Return the configuration of an image, as the engine has it."""
        with translate_errors():
            image_config: Mapping[str, Any] = self.engine.client.inspect_image(tag)["Config"]  # type: ignore[no-untyped-call]  # so in its stubs
        return image_config

    def python_version(self, job: ImageJob, tag: str) -> tuple[str, ContainerExit]:
        """Return the name of the Python program, and the exit of its ``-VV``."""
        for program in ("python", "python3"):
            version_exit = self.run_command(job, tag, [program, "-VV"])
            if version_exit.code == 0:
                break
        return program, version_exit

    def _check_import(
        self, job: ImageJob, tag: str, program: str, entry: ImageEntryPoint, run: ImageCheckResult
    ) -> ImageCheckResult:
        import_exit = self.run_command(job, tag, [program, "-c", IMPORT_SCRIPT, entry.kind, entry.name])
        if import_exit.code in (0, NO_SUCH_COMMAND_CODE):
            return replace(run, entry_point=str(entry) if import_exit.code == 0 else "")
        timeout_note = "" if import_exit.code is not None else f"\nnot imported within {COMMAND_LIMIT:g} s"
        return replace(
            run,
            entry_point=str(entry),
            import_error=(import_exit.output + timeout_note).strip() or f"exit code {import_exit.code}",
        )

    def run_command(
        self, job: ImageJob, tag: str, argv: Sequence[str], *, limit: float = COMMAND_LIMIT, seed: int | None = None
    ) -> ContainerExit:
        """Run ``argv`` instead of the image's command in a fresh container, for at most ``limit`` seconds."""
        container = ""
        try:
            container = self._create_container(job, tag, entry=argv, seed=seed)
            with translate_errors():
                self.engine.client.start(container)
            ended = self.engine.wait(container, limit)
            state = self.engine.state(container)
            code = state.exit_code if ended and state is not None else None
            return ContainerExit(code=code, output=self._output(container))
        except EngineRefused as refused:
            if refused.no_such_program:
                return ContainerExit(code=127, output=str(refused))
            raise
        finally:
            if container:
                self.engine.remove(container)

    def _check_health(
        self, job: ImageJob, tag: str, check: Mapping[str, Any], run: ImageCheckResult
    ) -> ImageCheckResult:
        """Start the image unchanged, and wait for its health check for as long as it declares."""
        container = self._create_container(job, tag, entry=None)
        try:
            with translate_errors():
                self.engine.client.start(container)
            deadline = time.monotonic() + health_check_timeout(check)
            while not self.closing.is_set():
                with translate_errors():
                    state = self.engine.client.inspect_container(container)["State"]
                health = state.get("Health") or {}
                if health.get("Status") == "healthy":
                    return replace(run, health=ImageHealth.HEALTHY)
                last = str(((health.get("Log") or [{}])[-1]).get("Output", ""))
                if not state.get("Running"):
                    message = f"exit code {state.get('ExitCode')}\n{self._output(container)}"
                    return replace(run, health=ImageHealth.ENDED, last_output=message[-_OUTPUT_LIMIT:])
                if health.get("Status") == "unhealthy" or time.monotonic() > deadline:
                    message = f"{last}\n{self._output(container)}".strip()
                    return replace(run, health=ImageHealth.UNHEALTHY, last_output=message[-_OUTPUT_LIMIT:])
                time.sleep(0.25)
            return replace(run, unchecked=CANCELLED)
        finally:
            self.engine.remove(container)

    def _create_container(
        self, job: ImageJob, tag: str, *, entry: Sequence[str] | None, seed: int | None = None
    ) -> str:
        from docker.types import LogConfig

        options: dict[str, Any] = {} if entry is None else {"entrypoint": list(entry), "command": []}
        if entry is not None:
            options["healthcheck"] = {"test": ["NONE"]}
        if seed is not None:
            options["environment"] = {"PYTHONHASHSEED": str(seed)}
        with translate_errors():
            client = self.engine.client
            host = client.create_host_config(
                network_mode="bridge" if job.network else "none",
                mem_limit=job.memory_limit,
                memswap_limit=job.memory_limit,
                pids_limit=MAX_PROCESSES,
                security_opt=["no-new-privileges:true", *self.context.extra_security],
                log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
            )
            labels = self.context.labels(job.identifier)
            created = client.create_container(tag, labels=labels, host_config=host, **options)
        return str(created["Id"])

    def _output(self, container: str) -> str:
        with translate_errors():
            logs = self.engine.client.logs(container, tail=200)
        return bytes(logs).decode("utf-8", "replace")[-_OUTPUT_LIMIT:]


def health_check_timeout(check: Mapping[str, Any]) -> float:
    """Return the seconds after which a health check is decided: its start period plus all retries.

    ``check`` is the engine's configuration, in nanoseconds; missing values have Docker's defaults.
    """
    interval, timeout, start = (
        (check.get(name) or default * _NANOSECONDS) / _NANOSECONDS
        for name, default in (("Interval", 30), ("Timeout", 30), ("StartPeriod", 0))
    )
    retries = check.get("Retries") or 3
    return min(start + (interval + timeout) * retries + interval, HEALTH_LIMIT)
