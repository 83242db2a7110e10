"""Environments of services on a private swarm.

Kernels of test machines often lack IP_VS, without which the virtual address of a service does not work, so
services are found by DNS alone (`dnsrr`), or have a port of their node.
"""

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pytest_py312.core.process_identity import this_process
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import Operator
from pytest_py312.rollout.targets.swarm.target import SwarmTarget
from pytest_py312.runners.docker.engine import DockerEngine, connect
from pytest_py312.runners.docker.errors import translate_errors
from tests.integration.rollouts.docker_environments import RolloutEnvironment, build_image, eventually
from tests.integration.rollouts.private_engines import PrivateEngine, Wires, private_engine, wires
from tests.integration.rollouts.small_images import put_in

KINDS = ("3.9 good", "3.9 lost", "3.12 good", "3.12 sick", "3.12 crash", "3.12 late")
REGISTRY = "127.0.0.1:5999"
"""A registry where nothing listens: lookups fail at once and never leave the machine."""
_numbers = itertools.count()


@dataclass(kw_only=True)
class Swarm:
    """A swarm of private engines; the first is its manager."""

    wires: Wires
    folder: Path
    engines: list[PrivateEngine]
    images: dict[str, str]
    """``"3.12"`` or ``"3.12 sick"`` -> id, the same on all of them."""

    @property
    def manager(self) -> PrivateEngine:
        return self.engines[0]

    def state_of(self, node: str) -> str:
        """Return the manager's status of a node, by its id: ``ready``, ``down``, ``unknown``, or empty."""
        listed = self.manager.docker("node", "ls", "--format", "{{.ID}} {{.Status}}")
        return dict(line.split() for line in listed.splitlines()).get(node, "").lower()

    def is_ready(self, node: str) -> bool:
        """Whether the manager schedules tasks on a node, by its id."""
        return self.state_of(node) == "ready"

    @contextlib.contextmanager
    def joined(self, count: int) -> Iterator[list[PrivateEngine]]:
        """Add ``count`` nodes with the same images; they are removed at the end."""
        token = self.manager.docker("swarm", "join-token", "-q", "worker").strip()
        with contextlib.ExitStack() as opened:
            made: list[PrivateEngine] = []
            for _ in range(count):
                number = len(self.engines) + len(made) + 1
                engine = opened.enter_context(private_engine(self.folder / f"engine{number}", self.wires, number))
                made.append(engine)
                save = ["docker", "-H", self.manager.socket, "save", self.images["3.9"], self.images["3.12"]]
                with subprocess.Popen(save, stdout=subprocess.PIPE) as saved:
                    subprocess.run(["docker", "-H", engine.socket, "load", "-q"], stdin=saved.stdout, check=True)
                engine.docker("swarm", "join", "--token", token, f"{self.manager.address}:2377")
            try:
                for engine in made:  # a node may join before the manager schedules tasks on it
                    eventually(partial(self.is_ready, engine.node_id()), f"{engine.name} is not ready")
                yield made
            finally:
                names = [engine.name for engine in made]
                for engine in made:
                    engine.remove()
                self.manager.docker("node", "rm", "--force", *names)


@contextlib.contextmanager
def swarm(folder: Path) -> Iterator[Swarm]:
    """Start a swarm of one node, with test images made from those of this machine's engine."""
    with wires() as plugged, private_engine(folder / "engine1", plugged, 1) as engine:
        own, source = engine.connected(), connect()
        try:
            put_in(own, source, "3.9", "3.12")
            images = {kind.removesuffix(" good"): build_image(own, *kind.split()) for kind in KINDS}
        finally:
            own.close()
            source.close()
        engine.docker("tag", images["3.12"], f"{REGISTRY}/service:3.12")
        engine.docker("swarm", "init", "--advertise-addr", engine.address)
        yield Swarm(wires=plugged, folder=folder, engines=[engine], images=images)


@dataclass(kw_only=True)
class SwarmEnvironment(RolloutEnvironment[SwarmTarget]):
    """An environment with services on 3.9 in a swarm; it is removed afterwards."""

    swarm: Swarm
    replicas: int = 1
    old_image: str = ""
    host_port: int = 0
    """A port of the node, for an environment with one service."""
    engines: Mapping[str, str] = field(default_factory=dict)
    monitor: float = 5.0

    @property
    def client(self) -> Any:
        return self.engine.client

    def spec(self, service: str) -> ServiceSpec:
        return replace(super().spec(service), ready_timeout=30.0, monitor=self.monitor)

    def without_node_engines(self) -> SwarmTarget:
        """Return a target that treats the manager as a node whose engine is not configured."""
        target = SwarmTarget(self.engine, engines={}, connect=connect)
        target._nodes._own_node_id = "another"
        return target

    @property
    def shared(self) -> Path:
        """The folder that all tasks see: tasks of the kind `late` break while it contains ``broken``."""
        return self.folder / "shared"

    def service(self, name: str) -> Any:
        with translate_errors():
            return self.client.inspect_service(f"{self.name}-{name}")

    def start_old(self) -> None:
        self.shared.mkdir(exist_ok=True)
        ports = [{"Protocol": "tcp", "TargetPort": 8000, "PublishedPort": self.host_port, "PublishMode": "host"}]
        for service in self.services:
            with translate_errors():
                self.client.create_service(
                    {
                        "ContainerSpec": {
                            "Image": self.old_image,
                            "Env": [f"GREETING=from {service}"],
                            "StopGracePeriod": 2_000_000_000,
                            "Mounts": [{"Type": "bind", "Source": str(self.shared), "Target": "/shared"}],
                        },
                        "RestartPolicy": {"Condition": "any", "Delay": 1_000_000_000},
                    },
                    name=f"{self.name}-{service}",
                    labels={"of": self.name},
                    mode={"Replicated": {"Replicas": self.replicas}},
                    endpoint_spec={"Mode": "dnsrr", "Ports": ports if self.host_port else []},
                )
        for service in self.services:
            eventually(partial(self.reports_python, service), f"{service} does not serve: {self.tasks(service)}")
            eventually(partial(self.is_ready, service), f"{service} is not ready: {self.tasks(service)}")
            (self.old[service], python) = self.serving()[service]
            assert python == "3.9"

    def reports_python(self, service: str) -> bool:
        """Whether a service runs and its Python is known."""
        seen = self.target.observe(self.spec(service))
        return seen is not None and seen.running and bool(seen.interpreters)

    def nodes_of(self, service: str) -> list[str]:
        """Return the ids of the nodes on which a service's tasks run."""
        tasks = [task for task in self.tasks(service) if task["DesiredState"] == "running"]
        return sorted(task["NodeID"] for task in tasks if task["Status"]["State"] == "running")

    def is_down(self, node: str) -> bool:
        """Whether the managers consider a node down."""
        return self.swarm.state_of(node) == "down"

    def tasks(self, service: str) -> list[Any]:
        """Return the tasks of a service, the newest first."""
        with translate_errors():
            listed = self.client.tasks(filters={"service": f"{self.name}-{service}"})
        return sorted(listed, key=lambda task: str(task["CreatedAt"]), reverse=True)

    def configs(self) -> list[str]:
        """Return the names of the configs that rollouts keep in the swarm."""
        with translate_errors():
            listed = self.client.configs()
        return sorted(config["Spec"]["Name"] for config in listed if config["Spec"]["Name"].startswith("py312-"))

    def clear(self) -> None:
        with translate_errors():
            for item in self.client.services(filters={"name": self.name}):
                self.client.remove_service(item["ID"])
            for item in self.client.configs():
                if item["Spec"]["Name"].startswith("py312-"):
                    self.client.remove_config(item["ID"])


@contextlib.contextmanager
def start_swarm_environment(
    swarm: Swarm,
    folder: Path,
    *services: str,
    replicas: int = 1,
    old: str = "3.9",
    host_port: int = 0,
    engines: Mapping[str, str] | None = None,
    monitor: float = 5.0,
) -> Iterator[SwarmEnvironment]:
    """Start an environment with services on 3.9."""
    engine: DockerEngine = swarm.manager.connected()
    environment = SwarmEnvironment(
        engine=engine,
        target=SwarmTarget(engine, engines=engines or {}, connect=connect),
        folder=folder,
        name=f"py312s{os.getpid()}n{next(_numbers)}",
        services=services or ("auth",),
        images=swarm.images,
        swarm=swarm,
        replicas=replicas,
        old_image=swarm.images[old],
        host_port=host_port,
        engines=engines or {},
        monitor=monitor,
    )
    try:
        environment.start_old()
        yield environment
    finally:
        environment.clear()
        engine.close()


def deploy_two_services(socket: str, folder: str, name: str, image: str) -> None:
    """Deploy two services, in a process that will be killed."""
    engine = connect(socket)
    journal = Journal(Path(folder))
    target = SwarmTarget(engine, engines={}, connect=connect)
    environment = RolloutEnvironment(
        engine=engine, target=target, folder=Path(folder), name=name, services=("auth", "user"), images={"3.12": image}
    )
    print("ready", flush=True)
    driver = Driver(journal, target, Operator(name="killed", host="here", process=str(this_process())))
    driver.deploy(environment.run("3.12", name=f"r{os.getpid()}"))
