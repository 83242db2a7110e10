"""The nodes of a swarm, and who on them can be asked about a task.

A manager runs no command in a container of another node, and knows neither its memory nor whether the kernel ended it.
So each node's own engine is asked: the one we speak to for its node, and those that the plan names for theirs.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_py312.core.errors import RunnerUnavailable, perhaps
from pytest_py312.rollout.metrics.http_client import Answer, NoAnswer, NotAsked, ask
from pytest_py312.rollout.targets.docker.target import ASK_LIMIT, DockerTarget
from pytest_py312.rollout.targets.swarm.tasks import Node, Task, node_of
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import EngineLost, told_apart


class Nodes:
    """All nodes. Methods raise as the engine's client does, and
    :class:`~pytest_py312.rollout.targets.target.TargetRefused`.

    ``addresses`` maps a node, by its name or id, to the address of its engine; ``connect`` makes an engine of that.
    """

    def __init__(self, engine: Engine, addresses: Mapping[str, str], connect: Callable[[str], Engine]) -> None:
        self._engine = engine
        self._addresses = addresses
        self._connect = connect
        self._own = ""
        self._targets: dict[str, DockerTarget] = {}
        self._engines: dict[str, Engine] = {}
        self._known: dict[str, Node] = {}

    def node(self, node: str) -> Node:
        """A node by its id."""
        if node not in self._known:
            self._look()
        return self._known.get(node) or Node(id=node, name=node, address="")

    def _look(self) -> None:
        with told_apart():
            listed: Any = self._engine.client.nodes()
        self._known = {found.id: found for found in map(node_of, listed)}
        names = sorted({found.name for found in self._known.values()})
        for wanted in self._addresses:
            if wanted not in self._known and wanted not in names:
                raise TargetRefused(
                    f"the plan has an engine of the node {wanted}, and the swarm has no such node"
                    f"{perhaps(wanted, names)}; its nodes are {', '.join(names)}"
                )

    def engine(self, node: str) -> Engine | None:
        """The engine of a node, ``None`` where nobody told of it."""
        if not self._own:
            with told_apart():
                self._own = str((self._engine.client.info().get("Swarm") or {}).get("NodeID", ""))
        if node == self._own:
            return self._engine
        if node not in self._engines:
            found = self.node(node)
            address = self._addresses.get(found.id) or self._addresses.get(found.name)
            if address is None:
                return None
            try:
                made = self._connect(address)
            except RunnerUnavailable as error:
                raise EngineLost(f"the engine of the node {found.name} does not answer at {address}") from error
            with told_apart():
                there = str((made.client.info().get("Swarm") or {}).get("NodeID", ""))
            if there != node:
                made.close()
                other = self.node(there).name if there else "of no swarm"
                raise TargetRefused(f"the engine at {address} is that of {other}, and not of the node {found.name}")
            self._engines[node] = made
        return self._engines[node]

    def target(self, task: Task) -> DockerTarget | None:
        """Who can be asked about the container of a task, ``None`` where nobody can."""
        engine = self.engine(task.node)
        if engine is None or not task.container:
            return None
        return self._targets.setdefault(task.node, DockerTarget(engine))

    def asked(self, task: Task, port: int, path: str) -> Answer | str | None:
        """What a task answers over HTTP, or why it does not; ``None`` where it has no port of its node."""
        published, address = task.ports.get(port), self.node(task.node).address
        if not published or not address:
            return None
        host = f"[{address}]" if ":" in address else address
        try:
            return asyncio.run(ask(f"http://{host}:{published}{path}", limit=ASK_LIMIT))
        except (NoAnswer, NotAsked) as error:
            return str(error)
        except ImportError as error:
            raise TargetRefused(f"asking over HTTP needs pytest-py312[rollout] ({error})") from error

    def have(self, image: str, nodes: Iterable[str]) -> bool | None:
        """Whether each of the nodes has an image, as far as their engines can be asked; ``None`` where one cannot."""
        found = [self._has(node, image) for node in sorted(set(nodes))] or [self._engine.image_id(image) is not None]
        return False if False in found else None if None in found else True

    def _has(self, node: str, image: str) -> bool | None:
        try:
            engine = self.engine(node)
            return None if engine is None else engine.image_id(image) is not None
        except (EngineLost, TargetRefused):
            return None  # a node that cannot be asked keeps nobody from going back
