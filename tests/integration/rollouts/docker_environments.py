"""Environments of small services on a real engine: a server of the standard library in images of several Pythons."""

import io
import itertools
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.process_identity import this_process
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Deployment, StageRun
from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import Operator
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.rollout.targets.target import ReadinessPhase, Target
from pytest_py312.runners.docker.engine import DockerEngine, connect
from pytest_py312.runners.docker.errors import EngineRefused, translate_errors

SERVER = """
import http.server, itertools, json, os, signal, sys, threading, time

kind = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if kind == "crash":
    raise SystemExit("no module named nothing")
if os.path.exists("/dead"):
    raise SystemExit("a restart does not repair what /die has broken")
if kind == "leak":
    hoard = []
    threading.Thread(target=lambda: [(hoard.append(b"x" * 2**25), time.sleep(0.2)) for _ in range(9)]).start()
if kind == "late":  # breaks while the file exists, also after each restart
    def wait():
        while not os.path.exists("/shared/broken"):
            time.sleep(0.1)
        os._exit(3)
    threading.Thread(target=wait, daemon=True).start()

numbers = itertools.count()
SHARES = {"errs": 10, "few": 20}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path != "/health" or kind != "sick"
        if self.path == "/work" and kind in SHARES:  # while its health is good
            well = next(numbers) % SHARES[kind] != 0
        if self.path == "/query":
            time.sleep(0.15 if kind == "slow" else 0.1)
        if self.path == "/die":
            open("/dead", "w").close()
        if self.path in ("/die", "/stumble"):
            os._exit(3)
        if self.path == "/grow":
            self.hoard = b"x" * 2**29
        body = json.dumps({"python": sys.version.split()[0], "greeting": os.environ.get("GREETING", "")}).encode()
        if self.path.startswith("/says/"):
            body = self.path[6:].encode()
        self.send_response(200 if well else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

print("serving", flush=True)
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""
KINDS = ("good", "sick", "crash", "late", "errs", "few", "slow", "leak")
LABEL = "pytest-py312.test"
_numbers = itertools.count()


def build_image(engine: DockerEngine, python: str, kind: str = "good", claims: str = "") -> str:
    """Build an image that serves on ``python`` and return its id; it only adds a file, so this is quick.

    :param claims: the version in its environment variables, if it differs.
    """
    dockerfile = f'FROM python:{python}-slim\nCOPY server.py /server.py\nCMD ["python", "/server.py", "{kind}"]\n'
    if claims:
        dockerfile += f"ENV PYTHON_VERSION={claims}\n"
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, text in (("Dockerfile", dockerfile), ("server.py", SERVER)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    context.seek(0)
    tag = f"py312-rollout-test:{python}-{kind}{'-claims' if claims else ''}"
    with translate_errors():
        for message in engine.client.build(
            fileobj=context, custom_context=True, tag=tag, rm=True, labels={LABEL: "image"}, decode=True
        ):
            assert "error" not in message, message
    image_id = engine.image_id(tag)
    assert image_id is not None
    return image_id


def eventually(fact: Callable[[], bool], otherwise: str, limit: float = 180.0) -> None:
    """Wait until a condition is true. It must stay true: a short state may be missed between two polls."""
    deadline = time.monotonic() + limit
    while not fact():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


AnyTarget = TypeVar("AnyTarget", bound=Target)


@dataclass(kw_only=True)
class RolloutEnvironment(Generic[AnyTarget]):
    """An environment with services that serve on 3.9, for any target."""

    engine: DockerEngine
    target: AnyTarget
    folder: Path
    name: str
    services: tuple[str, ...]
    images: dict[str, str]
    """``"3.12"`` or ``"3.12 sick"`` -> id."""
    old: dict[str, str] = field(default_factory=dict)
    """Service -> id of the container that serves on 3.9."""

    def spec(self, service: str) -> ServiceSpec:
        return ServiceSpec(
            service=service,
            container=f"{self.name}-{service}",
            port=8000,
            health="/health",
            version="/version",
            ready_timeout=20.0,
            readiness_delay=0.5,
            drain=3.0,
        )

    def run(self, *kinds: str, name: str = "r1") -> StageRun:
        """Return a run that deploys the images ``kinds``, one for each service; the last one for all others."""
        given = [*kinds, *[kinds[-1] if kinds else "3.12"] * len(self.services)]
        return StageRun(
            run=name,
            environment=self.name,
            stage=1,
            target=Interpreter(3, 12),
            deployments=tuple(
                Deployment(spec=self.spec(service), image=self.images[kind])
                for service, kind in zip(self.services, given, strict=False)
            ),
            soak=600.0,
        )

    @contextmanager
    def driver(self, name: str = "release engineer") -> Iterator[tuple[Driver, Journal]]:
        journal = Journal(self.folder)
        try:
            yield Driver(journal, self.target, Operator(name=name, host="here", process=str(this_process()))), journal
        finally:
            journal.close()

    def is_ready(self, service: str) -> bool:
        """Whether the serving version is ready."""
        seen = self.target.observe(self.spec(service))
        assert seen is not None
        return self.target.readiness(self.spec(service), seen.container).phase is ReadinessPhase.READY

    def serving(self) -> dict[str, tuple[str, str]]:
        """Return container id and Python of each service, asked of the serving process."""
        containers = {}
        for service in self.services:
            seen = self.target.observe(self.spec(service))
            assert seen is not None
            assert seen.running
            containers[service] = (seen.container.id, str(seen.interpreter))
        return containers

    def all_old(self) -> dict[str, tuple[str, str]]:
        return {service: (self.old[service], "3.9") for service in self.services}


@dataclass(kw_only=True)
class DockerEnvironment(RolloutEnvironment[DockerTarget]):
    """An environment of containers, which are removed afterwards."""

    def containers(self) -> dict[str, str]:
        """Return the ids of all containers by name, stopped ones included."""
        with translate_errors():
            listed = self.engine.client.containers(all=True, filters={"name": self.name})
        return {container["Names"][0].removeprefix("/"): container["Id"] for container in listed}

    def start_old(self) -> None:
        for service in self.services:
            container = f"{self.name}-{service}"
            with translate_errors():
                made = self.engine.client.create_container(
                    self.images["3.9"],
                    name=container,
                    environment={"GREETING": f"from {service}", "PYTHONHASHSEED": "0"},
                    labels={LABEL: self.name},
                    host_config=self.engine.client.create_host_config(restart_policy={"Name": "unless-stopped"}),
                )
                self.engine.client.start(made["Id"])
            self.old[service] = made["Id"]
        for service in self.services:
            eventually(partial(self.is_ready, service), f"{service} does not serve on 3.9")

    def clear(self) -> None:
        """Remove all containers and the lock of this environment."""
        with translate_errors():
            listed = self.engine.client.containers(all=True, filters={"name": self.name})
        for container in listed:
            with suppress(EngineRefused), translate_errors():  # gone already
                self.engine.client.remove_container(container["Id"], force=True, v=True)


@dataclass(kw_only=True)
class IsolatedDockerEnvironment(DockerEnvironment):
    """An environment on an engine in another network namespace, so its containers cannot be reached from here."""

    def spec(self, service: str) -> ServiceSpec:
        return replace(super().spec(service), port=0, health="", version="")


@contextmanager
def start_environment(
    folder: Path, images: dict[str, str], *services: str, address: str = ""
) -> Iterator[DockerEnvironment]:
    """Start an environment with services on 3.9.

    :param address: of a private engine; default: the engine of this machine.
    """
    engine = connect(address) if address else connect()
    name = f"py312t{os.getpid()}n{next(_numbers)}"
    environment = (IsolatedDockerEnvironment if address else DockerEnvironment)(
        engine=engine,
        target=DockerTarget(engine),
        folder=folder,
        name=name,
        services=services or ("auth", "user", "gateway"),
        images=images,
    )
    try:
        environment.start_old()
        yield environment
    finally:
        environment.clear()
        engine.close()


def with_last(run: StageRun, image: str) -> StageRun:
    """Return the run with another image for its last service."""
    return replace(run, deployments=(*run.deployments[:-1], replace(run.deployments[-1], image=image)))
