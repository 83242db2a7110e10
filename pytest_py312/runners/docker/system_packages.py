"""Images of interpreters with packages of the system added, such as compilers and libraries.

The packages come from the base image's own distribution, by apt in a container of that image: as root, with the few
capabilities that apt needs, and without any folder of this machine. The engine keeps the image under a digest of base
image and packages. Like other leftovers it is removed after a day, so that a newer one has newer packages.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from threading import Event, Lock

from pytest_py312.core.model.measurements import ImagePackages
from pytest_py312.runners.agent import system_packages as agent
from pytest_py312.runners.docker.container_specs import (
    CERTIFICATES,
    FORWARDED_VARIABLES,
    HOME,
    MAX_PROCESSES,
    OWNER_LABEL,
    BindMount,
    ContainerSpec,
    RunContext,
    certificate_bundle,
)
from pytest_py312.runners.docker.engine import DockerEngine, StartedContainer
from pytest_py312.runners.docker.errors import translate_errors
from pytest_py312.runners.runner import CellUnavailable, is_system_package

REPOSITORY = "pytest-py312/system-packages"
TIME_LIMIT = 600.0
"""Seconds for adding the packages of one image."""
MEMORY_LIMIT = 2 * 1024**3
PACKAGES_LIMIT = 200
"""Number of packages of one image."""
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID")
_WATCH_INTERVAL = 2.0
_SCRIPT = str(HOME / "system_packages.py")
_REQUEST = str(HOME / "system_packages.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """The image of an interpreter: its ``id``, its ``name`` for users, and its Python (``executable``)."""

    id: str
    name: str
    executable: str


@dataclass(kw_only=True)
class PackageImages:
    """The images with packages of one run. Safe for several threads."""

    engine: DockerEngine
    context: RunContext
    folder: Path
    closing: Event
    _lock: Lock = field(default_factory=Lock)
    _locks: dict[str, Lock] = field(default_factory=dict)
    _failures: dict[str, str] = field(default_factory=dict)

    def find(self, base: BaseImage, packages: ImagePackages) -> str | None:
        """Return the id of the image if the engine has it."""
        return self.engine.image_id(image_tag(base.id, packages))

    def make(self, base: BaseImage, packages: ImagePackages) -> str:
        """Return the id of the image, made if the engine does not have it.

        :raises CellUnavailable: it could not be made; that is not tried again in this run.
        :raises EngineUnavailable, EngineRefused: the engine failed.
        """
        tag = image_tag(base.id, packages)
        with self._lock:
            lock = self._locks.setdefault(tag, Lock())
        with lock:
            existing = self.engine.image_id(tag)
            if existing is not None:
                return existing
            if tag not in self._failures:
                self._failures[tag] = self._make(base, packages, tag)
            if self._failures[tag]:
                raise CellUnavailable(self._failures[tag])
            made = self.engine.image_id(tag)
        if made is None:
            raise CellUnavailable(f"the image with {', '.join(packages.names[:5])} is gone from the Docker engine")
        return made

    def _make(self, base: BaseImage, packages: ImagePackages, tag: str) -> str:
        """Make and tag the image; return why that failed, or an empty string."""
        invalid = [name for name in packages.names if not is_system_package(name)]
        if invalid or not packages.names or len(packages.names) > PACKAGES_LIMIT:
            return f"not a list of package names: {', '.join(packages.names)[:200]}"
        request = Path(mkdtemp(prefix="packages-", dir=self.folder)) / "request.json"
        spec = packages_spec(self.context, base, request=request, environ=os.environ)
        request.write_text(request_text(packages, os.environ), encoding="utf-8")
        started: list[str] = []
        try:
            launched = self.engine.launch(spec, started=started.append)
            failure = self._wait(launched)
            if not failure:
                self._commit(launched.id, tag)
            return failure
        finally:
            for container in started:
                self.engine.remove(container)

    def _wait(self, launched: StartedContainer) -> str:
        deadline = time.monotonic() + TIME_LIMIT
        while not self.engine.wait(launched.id, _WATCH_INTERVAL):
            if self.closing.is_set():
                return "the run was cancelled"
            if time.monotonic() > deadline:
                return f"apt-get did not finish within {TIME_LIMIT:g} s"
        if launched.reader:
            launched.reader.join(timeout=5.0)
        return failure_in(launched.output.text())

    def _commit(self, container: str, tag: str) -> None:
        repository, _, version = tag.rpartition(":")
        # the owner's process ends with this run; the image stays for others
        labels = {**self.context.labels("system packages"), OWNER_LABEL: "shared"}
        with translate_errors():
            self.engine.client.commit(
                container, repository, version, conf={"Labels": labels, "Entrypoint": [], "Cmd": ["python3"]}
            )


def image_tag(base: str, packages: ImagePackages) -> str:
    """Return the name of the image with ``packages`` on the image ``base`` (an id)."""
    parts = [base, packages.recommends, sorted(packages.names), Path(agent.__file__).read_text(encoding="utf-8")]
    return f"{REPOSITORY}:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"


def request_text(packages: ImagePackages, environ: Mapping[str, str]) -> str:
    """Return the request for :mod:`pytest_py312.runners.agent.system_packages`, with this machine's proxies."""
    proxies = {
        name: value
        for name, value in environ.items()
        if name.lower().endswith("_proxy") and FORWARDED_VARIABLES.fullmatch(name)
    }
    certificates = CERTIFICATES if certificate_bundle(environ) else ""
    request = {"names": sorted(packages.names), "recommends": packages.recommends, "variables": proxies}
    return json.dumps({**request, "certificates": certificates})


def failure_in(output: str) -> str:
    """Return why the packages were not added, according to the output of the container; empty if they were."""
    lines = output.strip().splitlines() or ["nothing"]
    try:
        error = json.loads(lines[-1])["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"apt-get could not be run: {lines[-1][:300]}"
    return str(error)


def packages_spec(context: RunContext, base: BaseImage, *, request: Path, environ: Mapping[str, str]) -> ContainerSpec:
    """Return the container in which apt adds packages to an image: root of that image only, and of no other folder."""
    mounts = [
        BindMount(source=Path(agent.__file__).resolve(), target=_SCRIPT),
        BindMount(source=request, target=_REQUEST),
    ]
    certificates = certificate_bundle(environ)
    if certificates is not None:
        mounts.append(BindMount(source=certificates, target=CERTIFICATES))
    return ContainerSpec(
        image=base.id,
        entrypoint=(base.executable, "-I", "-S", _SCRIPT, _REQUEST),
        user="0:0",
        labels=context.labels("system packages"),
        mounts=tuple(mounts),
        variables={},
        working_folder="/",
        isolated=False,
        capabilities=CAPABILITIES,
        network="host",
        memory=MEMORY_LIMIT,
        max_processes=MAX_PROCESSES,
        security=("no-new-privileges:true", *context.extra_security),
    )
