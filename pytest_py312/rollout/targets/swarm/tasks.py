"""What a swarm says of the tasks of a service, and what that comes to. Pure.

An update's own status is not looked at for success: after an engine was killed it says `completed` of what breaks a
moment later, and it announces a finished rollback of which no task runs. Each task tells what it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_py312.rollout.targets.labels import Said
from pytest_py312.rollout.targets.swarm.specs import id_of, image_in, run_in, wanted_in

ENDED = frozenset({"complete", "failed", "rejected"})
"""States of tasks that have ended by themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node, as the swarm lists it. ``address`` is by which its ports are reached."""

    id: str
    name: str
    address: str
    is_down: bool = False
    """Whether the managers have not heard of it for so long that they have given its tasks up."""


def node_of(said: Said) -> Node:
    """A node, as the engine lists it."""
    status = said.get("Status") or {}
    address = str(status.get("Addr", ""))
    manager = str((said.get("ManagerStatus") or {}).get("Addr", ""))
    if address in ("", "0.0.0.0") and manager:  # what some managers say of themselves
        address = manager.rpartition(":")[0].strip("[]")
    return Node(
        id=str(said["ID"]),
        name=str((said.get("Description") or {}).get("Hostname", "")) or str(said["ID"]),
        address=address,
        is_down=status.get("State") == "down",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task. ``spec`` names the template that it was made of, ``run`` the run of ours that made that, if one did;
    ``place`` is its slot, or its node."""

    id: str
    spec: str
    run: str
    image: str
    place: str
    node: str
    state: str
    is_wanted: bool
    container: str = ""
    error: str = ""
    exit_code: int = 0
    created: str = ""
    changed: str = ""
    ports: Mapping[int, int] = field(default_factory=dict)
    """Port inside -> port of its node."""
    lost_with: str = ""
    """The name of its node where that is down: what it was doing last is then all that the swarm has to say of it."""

    @property
    def is_up(self) -> bool:
        """Whether it runs, and is to. One with a health check runs only when that has succeeded."""
        return self.is_wanted and self.state == "running" and not self.lost_with


def task_of(name: str, said: Said, down: Mapping[str, str] = MappingProxyType({})) -> Task:
    """A task of the service ``name``, as the engine lists it.

    :param down: id -> name of each node that is down.
    """
    status = said.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    template = said.get("Spec") or {}
    slot = int(said.get("Slot") or 0)
    node = str(said.get("NodeID", ""))
    return Task(
        id=str(said["ID"]),
        spec=id_of(name, template),
        run=run_in(template),
        image=image_in(template),
        place=str(slot) if slot else node,
        node=node,
        state=str(status.get("State", "")),
        is_wanted=said.get("DesiredState") in ("running", "ready"),
        container=str(container.get("ContainerID", "")),
        error=str(status.get("Err", "")),
        exit_code=int(container.get("ExitCode") or 0),
        created=str(said.get("CreatedAt", "")),
        changed=str(status.get("Timestamp", "")),
        ports=_ports(status),
        lost_with=down.get(node, ""),
    )


def _ports(status: Said) -> dict[int, int]:
    ports: Iterable[Mapping[str, Any]] = (status.get("PortStatus") or {}).get("Ports") or ()
    return {
        int(port["TargetPort"]): int(port["PublishedPort"])
        for port in ports
        if port.get("Protocol", "tcp") == "tcp" and port.get("PublishedPort")
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A service with all tasks that the swarm remembers, the newest first."""

    name: str
    spec: Mapping[str, Any]
    tasks: tuple[Task, ...]
    update: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spec_id(self) -> str:
        """What the service is to be: not yet, or no longer, what serves."""
        return id_of(self.name, self.spec["TaskTemplate"])

    @property
    def wanted(self) -> int:
        """How many places there are."""
        planned = wanted_in(self.spec)
        return planned if planned is not None else len({task.place for task in self.tasks if task.is_wanted})

    @property
    def up(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.is_up)

    def of(self, spec: str) -> tuple[Task, ...]:
        """The tasks that were made of a template."""
        return tuple(task for task in self.tasks if task.spec == spec)

    @property
    def serving(self) -> tuple[str, str]:
        """Id and image of what serves; of several, all of them, which is the id of none. Where nothing runs, of what
        should."""
        ids = sorted({task.spec for task in self.up}) or [self.spec_id]
        images = sorted({task.image for task in self.up}) or [image_in(self.spec["TaskTemplate"])]
        return "+".join(ids), "+".join(images)

    def is_whole(self, spec: str) -> bool:
        """Whether each place has a task that runs and was made of this template, and no other runs."""
        places = {task.place for task in self.up if task.spec == spec}
        return 0 < self.wanted <= len(places) and all(task.spec == spec for task in self.up)

    def lack(self, spec: str) -> str:
        """Why it is not :meth:`is_whole`, for people."""
        mine = {task.place for task in self.up if task.spec == spec}
        told = f"{len(mine)} of {self.wanted} tasks run"
        others = sum(task.spec != spec for task in self.up)
        if others:
            told += f", {others} of another version still do"
        waiting = [task for task in self.tasks if task.is_wanted and not task.is_up]
        return told + "".join(f"; one is {_waiting(task)}" for task in waiting)

    def ended(self, spec: str) -> tuple[Task, ...]:
        """Tasks of a template that have ended by themselves, the newest first."""
        return tuple(task for task in self.of(spec) if task.state in ENDED)

    @property
    def undone(self) -> str:
        """What the engine has undone or stopped by itself, in its words; empty where it has not."""
        done = _DONE.get(str(self.update.get("State", "")))
        return f"the engine has {done}: {self.update.get('Message', '')}" if done else ""

    @property
    def is_paused(self) -> bool:
        """Whether the engine has stopped in the middle, and waits for somebody."""
        return self.update.get("State") in ("paused", "rollback_paused")


def _waiting(task: Task) -> str:
    if task.lost_with:
        return f"on the node {task.lost_with}, which is down"
    return task.state + (f" ({task.error})" if task.error else "")


_DONE = {
    "paused": "stopped the update",
    "rollback_started": "begun to go back by itself",
    "rollback_paused": "stopped going back by itself",
    "rollback_completed": "gone back by itself",
}


def standing_of(service: Said, tasks: Iterable[Said], nodes: Iterable[Said] = ()) -> Standing:
    """A service, its tasks, and the nodes that these may be on, as the engine lists them."""
    name = str(service["Spec"]["Name"])
    down = {found.id: found.name for found in map(node_of, nodes) if found.is_down}
    found = [task_of(name, said, down) for said in tasks]
    return Standing(
        name=name,
        spec=service["Spec"],
        tasks=tuple(sorted(found, key=lambda task: task.created, reverse=True)),
        update=service.get("UpdateStatus") or {},
    )
