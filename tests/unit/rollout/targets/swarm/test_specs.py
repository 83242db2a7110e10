"""Specs of swarm services."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.targets.swarm.lock import lock_name
from pytest_py312.rollout.targets.swarm.specs import (
    can_start_first,
    desired_replicas,
    initial_spec,
    rollback_spec,
    template_id,
    template_run,
    updated_spec,
    with_managed_fields,
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
    given: dict[str, Any] = {"image": "sha256:b", "run": "r1", "start_first": True, "image_has_health_check": False}
    return updated_spec(OLD, SPEC, **{**given, **changes})


def test_update_settings_are_complete_and_keep_the_parallelism() -> None:
    """The defaults of engine and SDK are: all at once, continue after failures, stop first."""
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
    assert new(start_first=False)["UpdateConfig"]["Order"] == "stop-first"
    assert made["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=1"]
    assert made["TaskTemplate"]["ContainerSpec"]["Labels"]["of"] == "us"
    assert template_run(made["TaskTemplate"]) == "r1"
    assert template_run(OLD["TaskTemplate"]) == ""
    assert OLD["TaskTemplate"]["ContainerSpec"]["Labels"] == {"of": "us"}


def test_a_health_check_is_added_from_the_plan() -> None:
    check = new()["TaskTemplate"]["ContainerSpec"]["Healthcheck"]
    assert "http://127.0.0.1:8000/health" in check["Test"][1]
    assert (check["Timeout"], check["Retries"], check["StartInterval"]) == (5_000_000_000, 3, 1_000_000_000)
    assert all(isinstance(value, int) for key, value in check.items() if key != "Test")
    assert "StartInterval" not in new(api_version=(1, 43))["TaskTemplate"]["ContainerSpec"]["Healthcheck"]
    assert "Healthcheck" not in new(image_has_health_check=True)["TaskTemplate"]["ContainerSpec"]


def test_ids_differ_by_run_and_service() -> None:
    ids = {
        template_id("a", OLD["TaskTemplate"]),
        template_id("b", OLD["TaskTemplate"]),
        template_id("a", new()["TaskTemplate"]),
        template_id("a", new(run="r2")["TaskTemplate"]),
    }
    assert len(ids) == 4
    assert all(len(one) == 32 for one in ids)


plain = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "container", "default"])
documents = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ABC"), inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from("ABCD"), documents, max_size=4), st.sampled_from([None, "", 0, False, [], {}]))
def test_defaults_of_the_engine_do_not_change_an_id(template: dict[str, Any], nothing: Any) -> None:
    reported_template = {
        "Runtime": "container",
        "Isolation": "default",
        "Placement": nothing,
        **dict(reversed(template.items())),
    }
    assert template_id("a", reported_template) == template_id("a", template)


def test_host_ports_and_the_host_network_need_stop_first() -> None:
    host = {"EndpointSpec": {"Ports": [{"TargetPort": 8000, "PublishedPort": 80, "PublishMode": "host"}]}}
    mesh = {"EndpointSpec": {"Ports": [{"TargetPort": 8000, "PublishedPort": 80, "PublishMode": "ingress"}]}}
    nodes = frozenset({"host", "n1"})
    assert can_start_first(OLD, frozenset({"host"}))
    assert not can_start_first(OLD, nodes)
    assert not can_start_first({**OLD, **host}, frozenset())
    assert can_start_first({**OLD, **mesh}, frozenset())


def test_the_desired_number_of_tasks() -> None:
    assert desired_replicas(OLD) == 3
    assert desired_replicas({"Mode": {"Global": {}}}) is None
    with pytest.raises(TargetRefused, match="stack_nightly is a job, which ends by itself"):
        desired_replicas({"Name": "stack_nightly", "Mode": {"ReplicatedJob": {}}})


def test_a_rollback_keeps_changes_by_others() -> None:
    meanwhile = {**new(), "Mode": {"Replicated": {"Replicas": 9}}, "Labels": {"team": "b"}}
    back = rollback_spec(meanwhile, OLD, start_first=True)
    assert back["TaskTemplate"] == OLD["TaskTemplate"]
    assert back["UpdateConfig"]["FailureAction"] == "pause"
    at_last = with_managed_fields(back, OLD)
    assert at_last == {**OLD, "Mode": {"Replicated": {"Replicas": 9}}, "Labels": {"team": "b"}}


def test_a_first_service_is_published_on_all_addresses_or_refused() -> None:
    published = ServiceSpec(service="auth", container="auth", publish=((":8080", 80),), environment={"A": "1"})
    made = initial_spec(published, image="i", run="r", network="n1", api_version=(1, 45))
    assert made["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}
    ]
    assert made["TaskTemplate"]["Networks"] == [{"Target": "n1"}]
    assert made["TaskTemplate"]["ContainerSpec"]["Env"] == ["A=1"]
    alone = ServiceSpec(service="auth", container="auth", publish=(("127.0.0.1:8080", 80),))
    with pytest.raises(TargetRefused, match=r"on all addresses of its nodes, not only on 127\.0\.0\.1; write 8080"):
        initial_spec(alone, image="i", run="r", network="", api_version=(1, 45))


@given(st.text(max_size=80), st.text(max_size=80))
def test_lock_names_are_valid_and_unique(environment: str, other: str) -> None:
    name = lock_name(environment)
    assert len(name) <= 64
    assert name.isascii()
    assert all(character.isalnum() or character in "_.-" for character in name)
    assert name[-1].isalnum()
    assert (lock_name(other) == name) == (environment == other)
