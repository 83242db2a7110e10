"""What tasks tell, and what that comes to."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.rollout.domain.model import Container, ServiceSpec
from pytest_py312.rollout.targets.swarm.nodes import Nodes
from pytest_py312.rollout.targets.swarm.services import Services
from pytest_py312.rollout.targets.swarm.specs import id_of
from pytest_py312.rollout.targets.swarm.target import SwarmTarget
from pytest_py312.rollout.targets.swarm.tasks import Standing, node_of, standing_of
from pytest_py312.rollout.targets.target import Phase, Readiness
from pytest_py312.runners.docker.engine import Engine

OLD, NEW = ({"ContainerSpec": {"Image": image}} for image in ("auth:3.9", "auth:3.12"))
OLD_ID, NEW_ID = id_of("auth", OLD), id_of("auth", NEW)


def service(template: dict[str, Any], *, update: str = "", replicas: int = 2) -> dict[str, Any]:
    said = {"Spec": {"Name": "auth", "TaskTemplate": template, "Mode": {"Replicated": {"Replicas": replicas}}}}
    return {**said, "UpdateStatus": {"State": update, "Message": "because"}} if update else said


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


def standing(said: dict[str, Any], *tasks: Any) -> Standing:
    return standing_of(said, tasks)


def test_what_serves_is_what_runs_and_not_what_the_service_says() -> None:
    """So also where the engine has stopped on its way back: the spec says old, and the new version serves."""
    paused = standing(service(OLD, update="rollback_paused"), task(NEW, 1), task(NEW, 2))
    assert paused.serving == (NEW_ID, "auth:3.12")
    assert paused.spec_id == OLD_ID
    assert paused.is_whole(NEW_ID)
    assert not paused.is_whole(OLD_ID)
    assert paused.is_paused
    assert paused.undone == "the engine has stopped going back by itself: because"


def test_a_mixture_is_neither() -> None:
    mixed = standing(service(NEW), task(OLD, 1), task(NEW, 2))
    assert mixed.serving[0] not in (OLD_ID, NEW_ID)
    assert set(mixed.serving[0].split("+")) == {OLD_ID, NEW_ID}
    assert not any(mixed.is_whole(one) for one in (OLD_ID, NEW_ID, mixed.serving[0]))
    assert mixed.lack(NEW_ID) == "1 of 2 tasks run, 1 of another version still do"


def test_a_finished_rollback_without_a_running_task_is_none() -> None:
    """The engine announces one so."""
    announced = standing(
        service(OLD, update="rollback_completed", replicas=1),
        task(OLD, 1, state="assigned"),
        task(NEW, 1, wanted="shutdown"),
    )
    assert not announced.is_whole(OLD_ID)
    assert announced.lack(OLD_ID) == "0 of 1 tasks run; one is assigned"
    assert announced.undone.startswith("the engine has gone back by itself")


def test_two_tasks_in_one_place_are_one() -> None:
    assert not standing(service(NEW), task(NEW, 1), task(NEW, 1)).is_whole(NEW_ID)


def test_one_whose_node_is_gone_does_not_count() -> None:
    left = standing(service(NEW), task(NEW, 1), task(NEW, 2, wanted="shutdown"), task(NEW, 2, created="2026-11-27"))
    assert left.is_whole(NEW_ID)
    assert [one.place for one in left.up] == ["2", "1"]


def test_one_on_a_node_that_is_down_serves_nobody_whatever_it_was_last_known_to_do() -> None:
    """The managers give its tasks up one after the other, once they have given up the node."""
    nodes = [
        {"ID": "n1", "Description": {"Hostname": "node-1"}, "Status": {"State": "ready"}},
        {"ID": "n2", "Description": {"Hostname": "node-2"}, "Status": {"State": "down"}},
    ]
    found = standing_of(service(NEW), [task(NEW, 1), {**task(NEW, 2), "NodeID": "n2"}], nodes)
    assert not found.is_whole(NEW_ID)
    assert [one.node for one in found.up] == ["n1"]
    assert found.lack(NEW_ID) == "1 of 2 tasks run; one is on the node node-2, which is down"


def test_a_port_that_is_taken_is_told() -> None:
    waiting = task(NEW, 1, state="pending", error="no suitable node (host-mode port already in use on 1 node)")
    assert standing(service(NEW, replicas=1), waiting).lack(NEW_ID) == (
        "0 of 1 tasks run; one is pending (no suitable node (host-mode port already in use on 1 node))"
    )


def test_tasks_that_ended_by_themselves_the_newest_first() -> None:
    said = standing(
        service(NEW, replicas=1),
        task(NEW, 1, state="failed", wanted="shutdown", created="2026-11-25", code=3),
        task(NEW, 1, state="failed", wanted="shutdown", created="2026-11-26", code=4),
        task(NEW, 1, state="shutdown", wanted="shutdown"),
        task(OLD, 1, state="failed", wanted="shutdown"),
    )
    assert [one.exit_code for one in said.ended(NEW_ID)] == [4, 3]


def test_of_a_global_service_each_node_that_shall_have_one_is_a_place() -> None:
    said = service(NEW)
    said["Spec"]["Mode"] = {"Global": {}}
    tasks = [{**task(NEW, 0), "NodeID": node} for node in ("n1", "n2", "n3")]
    whole = standing(said, *tasks)
    assert (whole.wanted, whole.is_whole(NEW_ID)) == (3, True)
    tasks[2]["Status"]["State"] = "starting"
    assert not standing(said, *tasks).is_whole(NEW_ID)


def test_nothing_is_wanted_is_not_whole() -> None:
    assert not standing(service(NEW, replicas=0)).is_whole(NEW_ID)


def test_a_manager_that_knows_no_address_of_its_own_is_reached_where_managers_reach_it() -> None:
    said = {"ID": "n1", "Status": {"Addr": "0.0.0.0"}, "ManagerStatus": {"Addr": "10.0.0.1:2377"}}
    assert node_of(said).address == "10.0.0.1"
    assert node_of({"ID": "n2", "Description": {"Hostname": "w"}, "Status": {"Addr": "10.0.0.2"}}).name == "w"


@pytest.mark.parametrize(("runs", "phase"), [(False, Phase.STARTING), (True, Phase.BROKEN)])
def test_what_has_ended_and_is_taken_for_running_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, runs: bool, phase: Phase
) -> None:
    """A manager that was just started again has not looked yet. What runs and is unhealthy is broken."""
    inside = SimpleNamespace(
        ready=lambda spec, container: Readiness(phase=Phase.BROKEN, detail="it has ended with exit code 0"),
        observe=lambda spec: SimpleNamespace(running=runs),
    )
    up = standing(service(OLD, replicas=1), task(OLD, 1))
    monkeypatch.setattr(Services, "standing", lambda self, name: up)
    monkeypatch.setattr(Nodes, "target", lambda self, one: inside)
    target = SwarmTarget(
        cast(Engine, SimpleNamespace(client=None)), engines={}, connect=lambda address: pytest.fail(address)
    )

    found = target.ready(ServiceSpec(service="auth", container="auth"), Container(id=OLD_ID, image="auth:3.9"))

    assert (found.phase, found.detail) == (phase, "it has ended with exit code 0")
