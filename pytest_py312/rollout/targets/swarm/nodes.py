"""Nodes of a swarm and access to the engines on them.

A manager cannot execute commands in containers of other nodes, and has no data about their memory or out-of-memory
kills. These come from the engine of each node: the manager's own, and those that the plan lists for the other nodes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_py312.core.errors import RunnerUnavailable, did_you_mean
from pytest_py312.rollout.metrics.http_client import HttpResponse
from pytest_py312.rollout.targets.docker.health import http_get
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.rollout.targets.swarm.tasks import SwarmNode, SwarmTask, parse_node
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineUnavailable, translate_errors


class SwarmNodes:
    """The nodes of a swarm. Methods raise :class:`~pytest_py312.rollout.targets.target.TargetRefused` and errors of the
    engine's client.

    ``addresses`` maps the name or id of a node to the address of its engine; ``connect`` connects to such an address.
    """

    def __init__(
        self, engine: DockerEngine, addresses: Mapping[str, str], connect: Callable[[str], DockerEngine]
    ) -> None:
        self._engine = engine
        self._addresses = addresses
        self._connect = connect
        self._own_node_id = ""
        self._targets: dict[str, DockerTarget] = {}
        self._engines: dict[str, DockerEngine] = {}
        self._nodes_by_id: dict[str, SwarmNode] = {}

    def node(self, node_id: str) -> SwarmNode:
        """Return a node by its id."""
        if node_id not in self._nodes_by_id:
            self._refresh()
        return self._nodes_by_id.get(node_id) or SwarmNode(id=node_id, name=node_id, address="")

    def _refresh(self) -> None:
        with translate_errors():
            listed: Any = self._engine.client.nodes()
        self._nodes_by_id = {node.id: node for node in map(parse_node, listed)}
        names = sorted({node.name for node in self._nodes_by_id.values()})
        for node_name in self._addresses:
            if node_name not in self._nodes_by_id and node_name not in names:
                raise TargetRefused(
                    f"the plan lists an engine of the node {node_name}, but the swarm has no such node"
                    f"{did_you_mean(node_name, names)}; its nodes are {', '.join(names)}"
                )

    def engine(self, node_id: str) -> DockerEngine | None:
        """Return the engine of a node, ``None`` if the plan does not list it."""
        if not self._own_node_id:
            with translate_errors():
                self._own_node_id = str((self._engine.client.info().get("Swarm") or {}).get("NodeID", ""))
        if node_id == self._own_node_id:
            return self._engine
        if node_id not in self._engines:
            swarm_node = self.node(node_id)
            address = self._addresses.get(swarm_node.id) or self._addresses.get(swarm_node.name)
            if address is None:
                return None
            try:
                node_engine = self._connect(address)
            except RunnerUnavailable as error:
                raise EngineUnavailable(
                    f"the engine of the node {swarm_node.name} does not answer at {address}"
                ) from error
            with translate_errors():
                actual_node_id = str((node_engine.client.info().get("Swarm") or {}).get("NodeID", ""))
            if actual_node_id != node_id:
                node_engine.close()
                actual_name = self.node(actual_node_id).name if actual_node_id else "no node of the swarm"
                raise TargetRefused(
                    f"the engine at {address} belongs to {actual_name}, not to the node {swarm_node.name}"
                )
            self._engines[node_id] = node_engine
        return self._engines[node_id]

    def docker_target(self, task: SwarmTask) -> DockerTarget | None:
        """Return the engine that runs a task's container as a target, ``None`` if it is not accessible."""
        engine = self.engine(task.node)
        if engine is None or not task.container:
            return None
        return self._targets.setdefault(task.node, DockerTarget(engine))

    def http_get(self, task: SwarmTask, port: int, path: str) -> HttpResponse | str | None:
        """Send a GET to a task; return the response or why there is none, ``None`` if no port is published."""
        published, address = task.ports.get(port), self.node(task.node).address
        if not published or not address:
            return None
        return http_get(address, published, path)

    def have_image(self, image: str, nodes: Iterable[str]) -> bool | None:
        """Return whether all nodes have an image; ``None`` if unknown because an engine is not accessible."""
        answers = [self._has_image(node, image) for node in sorted(set(nodes))] or [
            self._engine.image_id(image) is not None
        ]
        return False if False in answers else None if None in answers else True

    def _has_image(self, node_id: str, image: str) -> bool | None:
        try:
            engine = self.engine(node_id)
            return None if engine is None else engine.image_id(image) is not None
        except (EngineUnavailable, TargetRefused):
            return None  # an inaccessible node must not block a rollback
