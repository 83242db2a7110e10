"""Status of swarm services, computed from their tasks."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.targets.swarm.nodes import SwarmNodes
from pytest_py312.rollout.targets.swarm.services import SwarmServices
from pytest_py312.rollout.targets.swarm.specs import template_id
from pytest_py312.rollout.targets.swarm.target import SwarmTarget
from pytest_py312.rollout.targets.swarm.tasks import SwarmServiceStatus, parse_node, parse_service_status
from pytest_py312.rollout.targets.target import Readiness, ReadinessPhase
from pytest_py312.runners.docker.engine import DockerEngine

OLD, NEW = ({"ContainerSpec": {"Image": image}} for image in ("auth:3.9", "auth:3.12"))
OLD_ID, NEW_ID = template_id("auth", OLD), template_id("auth", NEW)


def service(template: dict[str, Any], *, update: str = "", replicas: int = 2) -> dict[str, Any]:
    document = {"Spec": {"Name": "auth", "TaskTemplate": template, "Mode": {"Replicated": {"Replicas": replicas}}}}
    return {**document, "UpdateStatus": {"State": update, "Message": "because"}} if update else document


def task(template: dict[str, Any], slot: int, *, state: str = "running", wanted: str = "running", **more: Any) -> Any:
    return {
        "ID": f"t{slot}{state}",
        "CreatedAt": more.get("created", "2026-11-26T03:00:00Z"),
        "Spec": {**template, "ForceUpdate": 0},
        "Slot": slot,
        "NodeID": "n1",
        "DesiredState": wanted,
        "Status": {"State": state, "Err": more.get("error", ""), "ContainerStatus": {"ExitCode": more.get("code", 0)}},
    }


def status_of(document: dict[str, Any], *tasks: Any) -> SwarmServiceStatus:
    return parse_service_status(document, tasks)


def test_running_tasks_decide_what_serves() -> None:
    """Also when the engine stopped its own rollback: its spec is the old version, but the new version serves."""
    paused = status_of(service(OLD, update="rollback_paused"), task(NEW, 1), task(NEW, 2))
    assert paused.serving == (NEW_ID, "auth:3.12")
    assert paused.desired_spec_id == OLD_ID
    assert paused.is_fully_running(NEW_ID)
    assert not paused.is_fully_running(OLD_ID)
    assert paused.is_paused
    assert paused.engine_intervention == "the engine has stopped its own rollback: because"


def test_two_running_versions_match_no_single_id() -> None:
    mixed = status_of(service(NEW), task(OLD, 1), task(NEW, 2))
    assert mixed.serving[0] not in (OLD_ID, NEW_ID)
    assert set(mixed.serving[0].split("+")) == {OLD_ID, NEW_ID}
    assert not any(mixed.is_fully_running(one) for one in (OLD_ID, NEW_ID, mixed.serving[0]))
    assert mixed.describe_missing(NEW_ID) == "1 of 2 tasks run, 1 of another version still run"


def test_a_finished_rollback_without_a_running_task_does_not_count() -> None:
    """The engine reports such rollbacks as finished."""
    announced = status_of(
        service(OLD, update="rollback_completed", replicas=1),
        task(OLD, 1, state="assigned"),
        task(NEW, 1, wanted="shutdown"),
    )
    assert not announced.is_fully_running(OLD_ID)
    assert announced.describe_missing(OLD_ID) == "0 of 1 tasks run; one is assigned"
    assert announced.engine_intervention.startswith("the engine has rolled back by itself")


def test_two_tasks_in_one_slot_count_once() -> None:
    assert not status_of(service(NEW), task(NEW, 1), task(NEW, 1)).is_fully_running(NEW_ID)


def test_a_task_without_its_node_does_not_count() -> None:
    left = status_of(service(NEW), task(NEW, 1), task(NEW, 2, wanted="shutdown"), task(NEW, 2, created="2026-11-27"))
    assert left.is_fully_running(NEW_ID)
    assert [one.slot for one in left.running_tasks] == ["2", "1"]


def test_a_task_on_a_node_that_is_down_does_not_serve() -> None:
    """The managers replace its tasks one after the other."""
    nodes = [
        {"ID": "n1", "Description": {"Hostname": "node-1"}, "Status": {"State": "ready"}},
        {"ID": "n2", "Description": {"Hostname": "node-2"}, "Status": {"State": "down"}},
    ]
    found = parse_service_status(service(NEW), [task(NEW, 1), {**task(NEW, 2), "NodeID": "n2"}], nodes)
    assert not found.is_fully_running(NEW_ID)
    assert [one.node for one in found.running_tasks] == ["n1"]
    assert found.describe_missing(NEW_ID) == "1 of 2 tasks run; one is on the node node-2, which is down"


def test_a_taken_port_is_reported() -> None:
    waiting = task(NEW, 1, state="pending", error="no suitable node (host-mode port already in use on 1 node)")
    assert status_of(service(NEW, replicas=1), waiting).describe_missing(NEW_ID) == (
        "0 of 1 tasks run; one is pending (no suitable node (host-mode port already in use on 1 node))"
    )


def test_tasks_that_ended_by_themselves_the_newest_first() -> None:
    status = status_of(
        service(NEW, replicas=1),
        task(NEW, 1, state="failed", wanted="shutdown", created="2026-11-25", code=3),
        task(NEW, 1, state="failed", wanted="shutdown", created="2026-11-26", code=4),
        task(NEW, 1, state="shutdown", wanted="shutdown"),
        task(OLD, 1, state="failed", wanted="shutdown"),
    )
    assert [one.exit_code for one in status.ended_tasks(NEW_ID)] == [4, 3]


def test_each_eligible_node_is_a_slot_of_a_global_service() -> None:
    global_service = service(NEW)
    global_service["Spec"]["Mode"] = {"Global": {}}
    tasks = [{**task(NEW, 0), "NodeID": node} for node in ("n1", "n2", "n3")]
    whole = status_of(global_service, *tasks)
    assert (whole.desired_count, whole.is_fully_running(NEW_ID)) == (3, True)
    tasks[2]["Status"]["State"] = "starting"
    assert not status_of(global_service, *tasks).is_fully_running(NEW_ID)


def test_a_service_without_slots_is_not_running() -> None:
    assert not status_of(service(NEW, replicas=0)).is_fully_running(NEW_ID)


def test_a_manager_without_address_is_reached_at_its_manager_address() -> None:
    node = {"ID": "n1", "Status": {"Addr": "0.0.0.0"}, "ManagerStatus": {"Addr": "10.0.0.1:2377"}}
    assert parse_node(node).address == "10.0.0.1"
    assert parse_node({"ID": "n2", "Description": {"Hostname": "w"}, "Status": {"Addr": "10.0.0.2"}}).name == "w"


@pytest.mark.parametrize(("runs", "phase"), [(False, ReadinessPhase.STARTING), (True, ReadinessPhase.BROKEN)])
def test_an_ended_task_listed_as_running_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, runs: bool, phase: ReadinessPhase
) -> None:
    """A restarted manager has not checked it yet. A running and unhealthy task is broken."""
    inside = SimpleNamespace(
        readiness=lambda spec, container: Readiness(
            phase=ReadinessPhase.BROKEN, detail="it has ended with exit code 0"
        ),
        observe=lambda spec: SimpleNamespace(running=runs),
    )
    up = status_of(service(OLD, replicas=1), task(OLD, 1))
    monkeypatch.setattr(SwarmServices, "status", lambda self, name: up)
    monkeypatch.setattr(SwarmNodes, "docker_target", lambda self, one: inside)
    target = SwarmTarget(
        cast(DockerEngine, SimpleNamespace(client=None)), engines={}, connect=lambda address: pytest.fail(address)
    )

    found = target.readiness(ServiceSpec(service="auth", container="auth"), Container(id=OLD_ID, image="auth:3.9"))

    assert (found.phase, found.detail) == (phase, "it has ended with exit code 0")
