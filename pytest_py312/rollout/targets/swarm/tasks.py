"""Status of a swarm service, computed from its tasks. Pure.

The status of the service's update is not used to detect success: after an engine crash it reports `completed` for tasks
that fail a moment later, and a finished rollback of which no task runs. The tasks themselves are reliable.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_py312.rollout.targets.common import JsonObject
from pytest_py312.rollout.targets.swarm.specs import desired_replicas, template_id, template_image, template_run

ENDED_STATES = frozenset({"complete", "failed", "rejected"})
"""States of tasks that ended by themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SwarmNode:
    """A node of the swarm. Its published ports are reached at ``address``."""

    id: str
    name: str
    address: str
    is_down: bool = False
    """Whether the managers consider it down and have replaced its tasks."""


def parse_node(node: JsonObject) -> SwarmNode:
    """Convert a node as the engine lists it."""
    status = node.get("Status") or {}
    address = str(status.get("Addr", ""))
    manager = str((node.get("ManagerStatus") or {}).get("Addr", ""))
    if address in ("", "0.0.0.0") and manager:  # some managers report this for themselves
        address = manager.rpartition(":")[0].strip("[]")
    return SwarmNode(
        id=str(node["ID"]),
        name=str((node.get("Description") or {}).get("Hostname", "")) or str(node["ID"]),
        address=address,
        is_down=status.get("State") == "down",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SwarmTask:
    """A task of a service.

    ``spec_id`` is the id of its template, ``run`` the run of this tool that created the template, if any. ``slot`` is
    its slot, or its node for a global service.
    """

    id: str
    spec_id: str
    run: str
    image: str
    slot: str
    node: str
    state: str
    is_desired: bool
    container: str = ""
    error: str = ""
    exit_code: int = 0
    created_at: str = ""
    changed_at: str = ""
    ports: Mapping[int, int] = field(default_factory=dict)
    """Port of the container -> published port of the node."""
    down_node: str = ""
    """Name of its node if that is down; the other fields are then its last known state."""

    @property
    def is_running(self) -> bool:
        """Whether it runs and is meant to run. With a health check, a task runs only after that has succeeded."""
        return self.is_desired and self.state == "running" and not self.down_node


def parse_task(service_name: str, task: JsonObject, down_nodes: Mapping[str, str] = MappingProxyType({})) -> SwarmTask:
    """Convert a task as the engine lists it.

    :param down_nodes: id -> name of the nodes that are down.
    """
    status = task.get("Status") or {}
    container = status.get("ContainerStatus") or {}
    template = task.get("Spec") or {}
    slot = int(task.get("Slot") or 0)
    node = str(task.get("NodeID", ""))
    return SwarmTask(
        id=str(task["ID"]),
        spec_id=template_id(service_name, template),
        run=template_run(template),
        image=template_image(template),
        slot=str(slot) if slot else node,
        node=node,
        state=str(status.get("State", "")),
        is_desired=task.get("DesiredState") in ("running", "ready"),
        container=str(container.get("ContainerID", "")),
        error=str(status.get("Err", "")),
        exit_code=int(container.get("ExitCode") or 0),
        created_at=str(task.get("CreatedAt", "")),
        changed_at=str(status.get("Timestamp", "")),
        ports=_ports(status),
        down_node=down_nodes.get(node, ""),
    )


def _ports(status: JsonObject) -> dict[int, int]:
    ports: Iterable[Mapping[str, Any]] = (status.get("PortStatus") or {}).get("Ports") or ()
    return {
        int(port["TargetPort"]): int(port["PublishedPort"])
        for port in ports
        if port.get("Protocol", "tcp") == "tcp" and port.get("PublishedPort")
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class SwarmServiceStatus:
    """A service with all tasks that the swarm lists, the newest first."""

    name: str
    spec: Mapping[str, Any]
    tasks: tuple[SwarmTask, ...]
    update: Mapping[str, Any] = field(default_factory=dict)

    @property
    def desired_spec_id(self) -> str:
        """Id of the service's spec, which may differ from that of the running tasks."""
        return template_id(self.name, self.spec["TaskTemplate"])

    @property
    def desired_count(self) -> int:
        """Number of slots."""
        planned = desired_replicas(self.spec)
        return planned if planned is not None else len({task.slot for task in self.tasks if task.is_desired})

    @property
    def running_tasks(self) -> tuple[SwarmTask, ...]:
        return tuple(task for task in self.tasks if task.is_running)

    def tasks_of(self, spec_id: str) -> tuple[SwarmTask, ...]:
        """Return the tasks of a template."""
        return tuple(task for task in self.tasks if task.spec_id == spec_id)

    @property
    def serving(self) -> tuple[str, str]:
        """Spec id and image of the running tasks, or the desired ones if nothing runs.

        Several versions are joined with ``+``, which matches no single id.
        """
        ids = sorted({task.spec_id for task in self.running_tasks}) or [self.desired_spec_id]
        images = sorted({task.image for task in self.running_tasks}) or [template_image(self.spec["TaskTemplate"])]
        return "+".join(ids), "+".join(images)

    def is_fully_running(self, spec_id: str) -> bool:
        """Return whether each slot has a running task of this template and no other task runs."""
        slots = {task.slot for task in self.running_tasks if task.spec_id == spec_id}
        return 0 < self.desired_count <= len(slots) and all(task.spec_id == spec_id for task in self.running_tasks)

    def describe_missing(self, spec_id: str) -> str:
        """Describe why :meth:`is_fully_running` is false, for people."""
        running_slots = {task.slot for task in self.running_tasks if task.spec_id == spec_id}
        description = f"{len(running_slots)} of {self.desired_count} tasks run"
        other_count = sum(task.spec_id != spec_id for task in self.running_tasks)
        if other_count:
            description += f", {other_count} of another version still run"
        waiting = [task for task in self.tasks if task.is_desired and not task.is_running]
        return description + "".join(f"; one is {_describe_waiting(task)}" for task in waiting)

    def ended_tasks(self, spec_id: str) -> tuple[SwarmTask, ...]:
        """Return the tasks of a template that ended by themselves, the newest first."""
        return tuple(task for task in self.tasks_of(spec_id) if task.state in ENDED_STATES)

    @property
    def engine_intervention(self) -> str:
        """What the engine rolled back or stopped by itself, with its message; empty if nothing."""
        intervention = _ENGINE_INTERVENTIONS.get(str(self.update.get("State", "")))
        return f"the engine has {intervention}: {self.update.get('Message', '')}" if intervention else ""

    @property
    def is_paused(self) -> bool:
        """Whether the engine stopped an update halfway and waits for a decision."""
        return self.update.get("State") in ("paused", "rollback_paused")


def _describe_waiting(task: SwarmTask) -> str:
    if task.down_node:
        return f"on the node {task.down_node}, which is down"
    return task.state + (f" ({task.error})" if task.error else "")


_ENGINE_INTERVENTIONS = {
    "paused": "stopped the update",
    "rollback_started": "started a rollback by itself",
    "rollback_paused": "stopped its own rollback",
    "rollback_completed": "rolled back by itself",
}


def parse_service_status(
    service: JsonObject, tasks: Iterable[JsonObject], nodes: Iterable[JsonObject] = ()
) -> SwarmServiceStatus:
    """Convert a service with its tasks and nodes as the engine lists them."""
    name = str(service["Spec"]["Name"])
    down_nodes = {node.id: node.name for node in map(parse_node, nodes) if node.is_down}
    parsed_tasks = [parse_task(name, listed_task, down_nodes) for listed_task in tasks]
    return SwarmServiceStatus(
        name=name,
        spec=service["Spec"],
        tasks=tuple(sorted(parsed_tasks, key=lambda task: task.created_at, reverse=True)),
        update=service.get("UpdateStatus") or {},
    )
