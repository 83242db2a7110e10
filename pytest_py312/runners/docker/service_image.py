"""A service's own image, built and tried: which Python it has, whether its entry is imported, whether it gets well."""

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock
from typing import Any
from uuid import uuid4

from pytest_py312.repository.services.images import Entry, Health, ImageJob, ImageRun, entry_of
from pytest_py312.runners.docker.build_context import NoContext, dockerfile_in, staged
from pytest_py312.runners.docker.container_specs import PROCESSES, Ground
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import EngineLost, Refused, told_apart
from pytest_py312.runners.docker.image_build import Built, Order, build

CANCELLED = "the run was cancelled"
REPOSITORY = "pytest-py312/proof"
"""The name of all images that are built here; they are removed at the end of the run."""
QUESTION_LIMIT = 120.0
"""Seconds that a version or an import may take."""
HEALTH_LIMIT = 900.0
"""Seconds that a health check is waited for, whatever it declares."""
_SECOND = 1_000_000_000
"""The engine counts nanoseconds."""
_SAID_LIMIT = 4_000

IMPORT = """\
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
    found = [e for d in distributions() for e in d.entry_points if e.group == "console_scripts" and e.name == name]
    if not found:
        sys.exit(73)
    found[0].load()
"""
"""Imports what the image's command starts, without starting it. Runs on any Python 3."""
NO_SUCH_COMMAND = 73


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a container ended: ``code`` is ``None`` for one that was still at work when its time was over."""

    code: int | None
    output: str


@dataclass(kw_only=True)
class ImageTrials:
    """Builds and tries images for one run, and removes all of them in the end. Safe for several threads."""

    engine: Engine
    ground: Ground
    folder: Path
    closing: Event
    _lock: Lock = field(default_factory=Lock)
    _images: list[str] = field(default_factory=list)

    def prove(self, job: ImageJob) -> ImageRun:
        """See :class:`~pytest_py312.repository.services.images.ImageProver`."""
        tag, run = self.made(job)
        try:
            return self._tried(job, tag, run) if tag else run
        except (EngineLost, Refused) as trouble:
            return replace(run, unchecked=CANCELLED if self.closing.is_set() else str(trouble))
        finally:
            self._close_late()

    def made(self, job: ImageJob) -> tuple[str, ImageRun]:
        """The tag of the image, built; empty where it is not, and then the run says why. Never raises."""
        run = ImageRun(dockerfile=job.image.dockerfile)
        if self.closing.is_set():
            return "", replace(run, unchecked=CANCELLED)
        place = Path(tempfile.mkdtemp(prefix="image-", dir=self.folder))
        try:
            folder = staged(job, place / "context")
            order = Order(
                folder=folder,
                dockerfile=dockerfile_in(job, folder),
                tag=f"{REPOSITORY}:{uuid4().hex}",
                labels=self.ground.labels(job.identifier),
            )
            built = build(self.engine, order, self.closing)
            self._remember(built, order.tag)
            if built.unchecked or built.failed:
                return "", replace(
                    run, unchecked=built.unchecked, failed=built.failed, line=built.line, output=built.output
                )
            return order.tag, run
        except (EngineLost, Refused) as trouble:
            return "", replace(run, unchecked=CANCELLED if self.closing.is_set() else str(trouble))
        except (NoContext, OSError, ValueError) as trouble:
            return "", replace(run, unchecked=str(trouble))
        finally:
            shutil.rmtree(place, ignore_errors=True)
            self._close_late()

    def _close_late(self) -> None:
        if self.closing.is_set():
            self.close()  # what was made after all others were removed

    def _remember(self, built: Built, tag: str) -> None:
        with self._lock:
            self._images += [*built.layers, *([tag] if built.image else [])]

    def close(self) -> None:
        """Remove all images, the newest first: those that others were made from are free by then."""
        with self._lock:
            images, self._images = list(dict.fromkeys(reversed(self._images))), []
        left = None
        # builds side by side share layers, so that a pass may find one in use by what it removes later
        while images and images != left:
            left, images = images, [image for image in images if not self._removed(image)]

    def _removed(self, image: str) -> bool:
        try:
            with told_apart():
                self.engine.client.remove_image(image, force=False, noprune=True)
        except Refused as refused:
            return refused.not_found
        except EngineLost:
            return True
        return True

    # ---- the finished image

    def _tried(self, job: ImageJob, tag: str, run: ImageRun) -> ImageRun:
        config = self.config(tag)
        program, said = self.version(job, tag)
        if said.code is None:
            return replace(run, unchecked=f"python -VV came to no end in the image: {said.output}")
        run = replace(run, version=said.output.strip() if said.code == 0 else "", output=said.output)
        if not run.version:
            return run
        entry = entry_of([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())])
        if entry is not None:
            run = self._imported(job, tag, program, entry, run)
        check = config.get("Healthcheck") or {}
        if (check.get("Test") or ["NONE"])[0] != "NONE":
            run = self._well(job, tag, check, run)
        return run

    def config(self, tag: str) -> Mapping[str, Any]:
        """What an image says of itself, as the engine has it."""
        with told_apart():
            found: Mapping[str, Any] = self.engine.client.inspect_image(tag)["Config"]  # type: ignore[no-untyped-call]  # so in its stubs
        return found

    def version(self, job: ImageJob, tag: str) -> tuple[str, End]:
        """The name of the program, and what it answers."""
        for program in ("python", "python3"):
            said = self.answer(job, tag, [program, "-VV"])
            if said.code == 0:
                break
        return program, said

    def _imported(self, job: ImageJob, tag: str, program: str, entry: Entry, run: ImageRun) -> ImageRun:
        said = self.answer(job, tag, [program, "-c", IMPORT, entry.kind, entry.name])
        if said.code in (0, NO_SUCH_COMMAND):
            return replace(run, entry=str(entry) if said.code == 0 else "")
        ended = "" if said.code is not None else f"\nnot imported within {QUESTION_LIMIT:g} s"
        return replace(run, entry=str(entry), import_error=(said.output + ended).strip() or f"exit code {said.code}")

    def answer(
        self, job: ImageJob, tag: str, argv: Sequence[str], *, limit: float = QUESTION_LIMIT, seed: int | None = None
    ) -> End:
        """Run ``argv`` in a fresh container instead of the image's command, for at most ``limit`` seconds."""
        container = ""
        try:
            container = self._container(job, tag, entry=argv, seed=seed)
            with told_apart():
                self.engine.client.start(container)
            ended = self.engine.wait(container, limit)
            state = self.engine.state(container)
            code = state.exit_code if ended and state is not None else None
            return End(code=code, output=self._output(container))
        except Refused as refused:
            if refused.no_such_program:
                return End(code=127, output=str(refused))
            raise
        finally:
            if container:
                self.engine.remove(container)

    def _well(self, job: ImageJob, tag: str, check: Mapping[str, Any], run: ImageRun) -> ImageRun:
        """Start the image as it is, and wait for its health check within what it declares."""
        container = self._container(job, tag, entry=None)
        try:
            with told_apart():
                self.engine.client.start(container)
            deadline = time.monotonic() + patience(check)
            while not self.closing.is_set():
                with told_apart():
                    state = self.engine.client.inspect_container(container)["State"]
                health = state.get("Health") or {}
                if health.get("Status") == "healthy":
                    return replace(run, health=Health.HEALTHY)
                last = str(((health.get("Log") or [{}])[-1]).get("Output", ""))
                if not state.get("Running"):
                    words = f"exit code {state.get('ExitCode')}\n{self._output(container)}"
                    return replace(run, health=Health.ENDED, said=words[-_SAID_LIMIT:])
                if health.get("Status") == "unhealthy" or time.monotonic() > deadline:
                    words = f"{last}\n{self._output(container)}".strip()
                    return replace(run, health=Health.UNHEALTHY, said=words[-_SAID_LIMIT:])
                time.sleep(0.25)
            return replace(run, unchecked=CANCELLED)
        finally:
            self.engine.remove(container)

    def _container(self, job: ImageJob, tag: str, *, entry: Sequence[str] | None, seed: int | None = None) -> str:
        from docker.types import LogConfig

        more: dict[str, Any] = {} if entry is None else {"entrypoint": list(entry), "command": []}
        if entry is not None:
            more["healthcheck"] = {"test": ["NONE"]}
        if seed is not None:
            more["environment"] = {"PYTHONHASHSEED": str(seed)}
        with told_apart():
            client = self.engine.client
            host = client.create_host_config(
                network_mode="bridge" if job.network else "none",
                mem_limit=job.memory_limit,
                memswap_limit=job.memory_limit,
                pids_limit=PROCESSES,
                security_opt=["no-new-privileges:true", *self.ground.extra_security],
                log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
            )
            labels = self.ground.labels(job.identifier)
            created = client.create_container(tag, labels=labels, host_config=host, **more)
        return str(created["Id"])

    def _output(self, container: str) -> str:
        with told_apart():
            said = self.engine.client.logs(container, tail=200)
        return bytes(said).decode("utf-8", "replace")[-_SAID_LIMIT:]


def patience(check: Mapping[str, Any]) -> float:
    """Seconds until a health check has said its word: its start period, then as often as it may fail.

    ``check`` is as the engine has it, in nanoseconds; what it leaves out has Docker's defaults.
    """
    interval, timeout, start = (
        (check.get(name) or default * _SECOND) / _SECOND
        for name, default in (("Interval", 30), ("Timeout", 30), ("StartPeriod", 0))
    )
    retries = check.get("Retries") or 3
    return min(start + (interval + timeout) * retries + interval, HEALTH_LIMIT)
