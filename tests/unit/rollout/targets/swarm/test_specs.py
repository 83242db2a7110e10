"""What a swarm is asked for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.targets.swarm.lock import lock_name
from pytest_py312.rollout.targets.swarm.specs import (
    first_spec,
    going_back,
    id_of,
    run_in,
    starts_first,
    updated,
    wanted_in,
    with_ours,
)
from pytest_py312.rollout.targets.target import TargetRefused

SPEC = ServiceSpec(
    service="auth", container="stack_auth", port=8000, health="/health", ready_timeout=30.0, monitor=60.0
)
OLD: dict[str, Any] = {
    "Name": "stack_auth",
    "Labels": {"team": "a"},
    "TaskTemplate": {
        "ContainerSpec": {"Image": "auth:3.9", "Env": ["A=1"], "Labels": {"of": "us"}, "Isolation": "default"},
        "Networks": [{"Target": "n1"}],
        "Runtime": "container",
    },
    "Mode": {"Replicated": {"Replicas": 3}},
    "UpdateConfig": {"Parallelism": 2, "Delay": 5, "FailureAction": "continue", "Order": "stop-first"},
}


def new(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"image": "sha256:b", "run": "r1", "first": True, "is_checked": False}
    return updated(OLD, SPEC, **{**given, **changes})


def test_an_update_says_everything_itself_and_keeps_how_many_at_once() -> None:
    """What an engine or its SDK takes for granted is: all at once, go on after failures, stop first."""
    made = new()
    assert made["UpdateConfig"] == {
        "Parallelism": 2,
        "Delay": 5,
        "FailureAction": "rollback",
        "Monitor": 60_000_000_000,
        "MaxFailureRatio": 0,
        "Order": "start-first",
    }
    assert made["RollbackConfig"]["Parallelism"] == 1
    assert made["RollbackConfig"]["FailureAction"] == "pause"
    assert new(first=False)["UpdateConfig"]["Order"] == "stop-first"
    assert made["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=1"]
    assert made["TaskTemplate"]["ContainerSpec"]["Labels"]["of"] == "us"
    assert run_in(made["TaskTemplate"]) == "r1"
    assert run_in(OLD["TaskTemplate"]) == ""
    assert OLD["TaskTemplate"]["ContainerSpec"]["Labels"] == {"of": "us"}


def test_a_service_without_a_health_check_gets_one_where_the_plan_tells_how() -> None:
    check = new()["TaskTemplate"]["ContainerSpec"]["Healthcheck"]
    assert "http://127.0.0.1:8000/health" in check["Test"][1]
    assert (check["Timeout"], check["Retries"], check["StartInterval"]) == (5_000_000_000, 3, 1_000_000_000)
    assert all(isinstance(value, int) for key, value in check.items() if key != "Test")
    assert "StartInterval" not in new(api=(1, 43))["TaskTemplate"]["ContainerSpec"]["Healthcheck"]
    assert "Healthcheck" not in new(is_checked=True)["TaskTemplate"]["ContainerSpec"]


def test_each_run_has_another_id_and_each_service_too() -> None:
    ids = {
        id_of("a", OLD["TaskTemplate"]),
        id_of("b", OLD["TaskTemplate"]),
        id_of("a", new()["TaskTemplate"]),
        id_of("a", new(run="r2")["TaskTemplate"]),
    }
    assert len(ids) == 4
    assert all(len(one) == 32 for one in ids)


plain = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "container", "default"])
documents = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ABC"), inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from("ABCD"), documents, max_size=4), st.sampled_from([None, "", 0, False, [], {}]))
def test_what_the_engine_adds_by_itself_changes_no_id(template: dict[str, Any], nothing: Any) -> None:
    told = {"Runtime": "container", "Isolation": "default", "Placement": nothing, **dict(reversed(template.items()))}
    assert id_of("a", told) == id_of("a", template)


def test_a_port_of_the_node_and_the_network_of_the_node_are_given_up_first() -> None:
    host = {"EndpointSpec": {"Ports": [{"TargetPort": 8000, "PublishedPort": 80, "PublishMode": "host"}]}}
    mesh = {"EndpointSpec": {"Ports": [{"TargetPort": 8000, "PublishedPort": 80, "PublishMode": "ingress"}]}}
    nodes = frozenset({"host", "n1"})
    assert starts_first(OLD, frozenset({"host"}))
    assert not starts_first(OLD, nodes)
    assert not starts_first({**OLD, **host}, frozenset())
    assert starts_first({**OLD, **mesh}, frozenset())


def test_how_many_tasks_are_wanted() -> None:
    assert wanted_in(OLD) == 3
    assert wanted_in({"Mode": {"Global": {}}}) is None
    with pytest.raises(TargetRefused, match="stack_nightly is a job, which ends by itself"):
        wanted_in({"Name": "stack_nightly", "Mode": {"ReplicatedJob": {}}})


def test_on_the_way_back_what_others_have_changed_stays() -> None:
    meanwhile = {**new(), "Mode": {"Replicated": {"Replicas": 9}}, "Labels": {"team": "b"}}
    back = going_back(meanwhile, OLD, first=True)
    assert back["TaskTemplate"] == OLD["TaskTemplate"]
    assert back["UpdateConfig"]["FailureAction"] == "pause"
    at_last = with_ours(back, OLD)
    assert at_last == {**OLD, "Mode": {"Replicated": {"Replicas": 9}}, "Labels": {"team": "b"}}


def test_a_first_service_is_published_on_all_addresses_or_refused() -> None:
    published = ServiceSpec(service="auth", container="auth", publish=((":8080", 80),), environment={"A": "1"})
    made = first_spec(published, image="i", run="r", network="n1", api=(1, 45))
    assert made["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}
    ]
    assert made["TaskTemplate"]["Networks"] == [{"Target": "n1"}]
    assert made["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=1"]
    alone = ServiceSpec(service="auth", container="auth", publish=(("127.0.0.1:8080", 80),))
    with pytest.raises(TargetRefused, match=r"on every address of its nodes, not on 127\.0\.0\.1 alone; write 8080"):
        first_spec(alone, image="i", run="r", network="", api=(1, 45))


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_lock_has_a_name_that_a_config_can_have_and_no_other_environment_has(one: str, other: str) -> None:
    name = lock_name(one)
    assert len(name) <= 64
    assert name.isascii()
    assert all(character.isalnum() or character in "_.-" for character in name)
    assert name[-1].isalnum()
    assert (lock_name(other) == name) == (one == other)
