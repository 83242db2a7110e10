"""Services on a swarm of our own.

The kernels that tests run on often have no IP_VS, without which the virtual address of a service does not work: so
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
from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import Me
from pytest_py312.rollout.targets.swarm.target import SwarmTarget
from pytest_py312.runners.docker.engine import Engine, connect
from pytest_py312.runners.docker.errors import told_apart
from tests.integration.rollouts.private_engines import PrivateEngine, Wires, private_engine, wires
from tests.integration.rollouts.services import PlaceOf, built, eventually
from tests.integration.rollouts.small_images import put_in

KINDS = ("3.9 good", "3.9 lost", "3.12 good", "3.12 sick", "3.12 crash", "3.12 late")
REGISTRY = "127.0.0.1:5999"
"""Where nobody listens: that it has none is known at once, and nothing is looked for outside."""
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
        """What the manager says of a node, by its id: ``ready``, ``down`` or ``unknown``; empty where it knows none."""
        listed = self.manager.docker("node", "ls", "--format", "{{.ID}} {{.Status}}")
        return dict(line.split() for line in listed.splitlines()).get(node, "").lower()

    def is_ready(self, node: str) -> bool:
        """Whether the manager gives a node, by its id, something to do."""
        return self.state_of(node) == "ready"

    @contextlib.contextmanager
    def joined(self, count: int) -> Iterator[list[PrivateEngine]]:
        """So many further nodes with the same images, which leave again."""
        token = self.manager.docker("swarm", "join-token", "-q", "worker").strip()
        with contextlib.ExitStack() as opened:
            made: list[PrivateEngine] = []
            for _ in range(count):
                number = len(self.engines) + len(made) + 1
                one = opened.enter_context(private_engine(self.folder / f"engine{number}", self.wires, number))
                made.append(one)
                save = ["docker", "-H", self.manager.socket, "save", self.images["3.9"], self.images["3.12"]]
                with subprocess.Popen(save, stdout=subprocess.PIPE) as saved:
                    subprocess.run(["docker", "-H", one.socket, "load", "-q"], stdin=saved.stdout, check=True)
                one.docker("swarm", "join", "--token", token, f"{self.manager.address}:2377")
            try:
                for one in made:  # it may have joined a moment before the manager gives it anything to do
                    eventually(partial(self.is_ready, one.node_id()), f"{one.name} is not ready")
                yield made
            finally:
                names = [one.name for one in made]
                for one in made:
                    one.remove()
                self.manager.docker("node", "rm", "--force", *names)


@contextlib.contextmanager
def swarm(folder: Path) -> Iterator[Swarm]:
    """One node with the images of these tests, made of those of the engine of this machine."""
    with wires() as plugged, private_engine(folder / "engine1", plugged, 1) as engine:
        own, source = engine.connected(), connect()
        try:
            put_in(own, source, "3.9", "3.12")
            images = {kind.removesuffix(" good"): built(own, *kind.split()) for kind in KINDS}
        finally:
            own.close()
            source.close()
        engine.docker("tag", images["3.12"], f"{REGISTRY}/service:3.12")
        engine.docker("swarm", "init", "--advertise-addr", engine.address)
        yield Swarm(wires=plugged, folder=folder, engines=[engine], images=images)


@dataclass(kw_only=True)
class SwarmPlace(PlaceOf[SwarmTarget]):
    """An environment with services of 3.9 in a swarm, of which nothing is left afterwards."""

    swarm: Swarm
    replicas: int = 1
    old_image: str = ""
    host_port: int = 0
    """A port of the node, for the one service that there is then."""
    engines: Mapping[str, str] = field(default_factory=dict)
    monitor: float = 5.0

    @property
    def client(self) -> Any:
        return self.engine.client

    def spec(self, service: str) -> ServiceSpec:
        return replace(super().spec(service), ready_timeout=30.0, monitor=self.monitor)

    def blind(self) -> SwarmTarget:
        """A target that takes the manager for a node whose engine nobody has told of."""
        made = SwarmTarget(self.engine, engines={}, connect=connect)
        made._nodes._own = "another"
        return made

    @property
    def shared(self) -> Path:
        """What all tasks see: of the kind `late`, those break while there is a file ``broken``."""
        return self.folder / "shared"

    def service(self, name: str) -> Any:
        with told_apart():
            return self.client.inspect_service(f"{self.name}-{name}")

    def start_old(self) -> None:
        self.shared.mkdir(exist_ok=True)
        ports = [{"Protocol": "tcp", "TargetPort": 8000, "PublishedPort": self.host_port, "PublishMode": "host"}]
        for service in self.services:
            with told_apart():
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
            eventually(partial(self.is_told, service), f"{service} does not serve: {self.tasks(service)}")
            eventually(partial(self.is_ready, service), f"{service} is not ready: {self.tasks(service)}")
            (self.old[service], python) = self.serving()[service]
            assert python == "3.9"

    def is_told(self, service: str) -> bool:
        """Whether it runs and has told its Python."""
        seen = self.target.observe(self.spec(service))
        return seen is not None and seen.running and bool(seen.interpreters)

    def nodes_of(self, service: str) -> list[str]:
        """The ids of the nodes on which its tasks run."""
        tasks = [one for one in self.tasks(service) if one["DesiredState"] == "running"]
        return sorted(one["NodeID"] for one in tasks if one["Status"]["State"] == "running")

    def is_down(self, node: str) -> bool:
        """Whether the managers have given a node up."""
        return self.swarm.state_of(node) == "down"

    def tasks(self, service: str) -> list[Any]:
        """As the engine lists them, the newest first."""
        with told_apart():
            found = self.client.tasks(filters={"service": f"{self.name}-{service}"})
        return sorted(found, key=lambda one: str(one["CreatedAt"]), reverse=True)

    def configs(self) -> list[str]:
        """The names of what a rollout keeps in the swarm."""
        with told_apart():
            found = self.client.configs()
        return sorted(one["Spec"]["Name"] for one in found if one["Spec"]["Name"].startswith("py312-"))

    def clear(self) -> None:
        with told_apart():
            for one in self.client.services(filters={"name": self.name}):
                self.client.remove_service(one["ID"])
            for one in self.client.configs():
                if one["Spec"]["Name"].startswith("py312-"):
                    self.client.remove_config(one["ID"])


@contextlib.contextmanager
def swarm_place(
    made: Swarm,
    folder: Path,
    *services: str,
    replicas: int = 1,
    old: str = "3.9",
    host_port: int = 0,
    engines: Mapping[str, str] | None = None,
    monitor: float = 5.0,
) -> Iterator[SwarmPlace]:
    """Services that serve on 3.9."""
    engine: Engine = made.manager.connected()
    here = SwarmPlace(
        engine=engine,
        target=SwarmTarget(engine, engines=engines or {}, connect=connect),
        folder=folder,
        name=f"py312s{os.getpid()}n{next(_numbers)}",
        services=services or ("auth",),
        images=made.images,
        swarm=made,
        replicas=replicas,
        old_image=made.images[old],
        host_port=host_port,
        engines=engines or {},
        monitor=monitor,
    )
    try:
        here.start_old()
        yield here
    finally:
        here.clear()
        engine.close()


def act(socket: str, folder: str, name: str, image: str) -> None:
    """What a process does that is killed: deploy two services."""
    engine = connect(socket)
    journal = Journal(Path(folder))
    target = SwarmTarget(engine, engines={}, connect=connect)
    place = PlaceOf(
        engine=engine, target=target, folder=Path(folder), name=name, services=("auth", "user"), images={"3.12": image}
    )
    print("ready", flush=True)
    driver = Driver(journal, target, Me(name="killed", host="here", process=str(this_process())))
    driver.deploy(place.run("3.12", name=f"r{os.getpid()}"))
