"""A stage in a cluster: deployment, rollback, and failures to deploy, against a simulated cluster."""

from dataclasses import replace

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.targets.common import RUN_LABEL
from pytest_py312.rollout.targets.target import ReadinessPhase
from tests.integration.clusters.api_server import Refusal
from tests.integration.clusters.shop import NAMESPACE, Shop

S = StageState


def test_a_deployed_stage_keeps_its_settings_and_can_be_rolled_back(shop: Shop) -> None:
    with shop.driver() as (driver, _):
        run = driver.deploy(shop.run("3.12", "3.12", "3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert shop.serving() == {name: {"3.12"} for name in shop.old}
        container = shop.template("auth")["spec"]["containers"][0]
        assert container["env"] == [{"name": "GREETING", "value": "from auth"}]
        assert container["image"] == "shop/auth:3.12"
        assert shop.template("auth")["metadata"]["annotations"] == {RUN_LABEL: "r1"}
        spec, old, new = run["auth"].spec, run["auth"].old, run["auth"].new
        assert old is not None
        assert new is not None
        assert shop.target.has_container(spec, old), "the rollback target, as the doctor sees it"
        assert shop.target.has_container(spec, new)
        assert not shop.target.has_container(spec, replace(old, id="0" * 40))
        assert not shop.target.has_container(replace(spec, container="nothing"), old)

        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
    assert shop.serving() == shop.all_old()
    assert shop.templates_are_old()
    assert shop.left_over() == []


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("3.12-crash", "app has ended with exit code 1; last log lines: Traceback (most recent call last): / "
                       "ModuleNotFoundError: No module named 'imp'"),
        ("3.12-pull", "app is in ImagePullBackOff: manifest unknown"),
        ("3.12-never", 'ProgressDeadlineExceeded: ReplicaSet "auth" has timed out progressing.'),
        ("3.12-mixed", "its pods run different images under one tag"),
        ("3.11", "it runs on Python 3.11, not on 3.12"),
        ("3.12-noshell", "the interpreter of its process is unknown; name a `version` path in the plan"),
    ],
)  # fmt: skip
def test_a_broken_or_wrong_image_is_rolled_back(small: Shop, image: str, reason: str) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run(image))
    assert run.state is S.ROLLED_BACK
    assert reason in run.reason
    assert small.serving() == small.all_old()
    assert small.templates_are_old()
    assert small.left_over() == []


def test_an_unschedulable_pod_is_reported_in_the_schedulers_words(small: Shop) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12-unschedulable"))
    assert "0/3 nodes are available: 3 Insufficient memory." in run.reason


def test_the_ready_timeout_applies_where_the_cluster_has_no_deadline(
    small: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.integration.clusters.controller.DEADLINE", 10_000)
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12-never", ready_timeout=20.0))
    assert run.state is S.ROLLED_BACK
    assert "not ready after 20 s: 1 of 2 pods are new" in run.reason


def test_one_unhealthy_service_of_three_rolls_all_back(shop: Shop) -> None:
    """Its pods are ready, and the plan's health check fails."""
    run = shop.run("3.12", "3.12", "3.12-sick", health="/health", ready_timeout=20.0)
    with shop.driver() as (driver, _):
        run = driver.deploy(run)
    assert run.state is S.ROLLED_BACK
    assert "/health answers 500" in run.reason
    assert shop.serving() == shop.all_old()
    assert shop.left_over() == []


def test_without_a_shell_the_version_path_names_the_interpreter(small: Shop) -> None:
    with small.driver() as (driver, _):
        assert driver.deploy(small.run("3.12-noshell", version="/version")).state is S.SOAKING


def test_an_autoscaler_is_not_disturbed(small: Shop) -> None:
    """It adds a pod between our read and our write; both changes are applied."""
    wanted = [3]

    def scale_up(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == ("patch", "deployments") and wanted:
            body = {**small.deployment(name)}
            body["spec"] = {**body["spec"], "replicas": wanted.pop()}
            small.server.store.update("deployments", NAMESPACE, name, body)

    small.server.before = scale_up
    with small.driver() as (driver, _):
        assert driver.deploy(small.run("3.12")).state is S.SOAKING
        assert small.deployment("auth")["spec"]["replicas"] == 3
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert small.deployment("auth")["spec"]["replicas"] == 3
    assert [verb for verb, resource, _ in small.server.requests if resource == "deployments" and verb != "get"] == [
        "patch"
    ] * 3


def test_two_versions_at_once_are_not_ready(small: Shop) -> None:
    spec = small.spec("auth")
    new = small.target.prepare(spec, image="shop/auth:3.12", run="r1")
    small.target.switch(spec, new)
    seen = []
    while (readiness := small.target.readiness(spec, new)).phase is ReadinessPhase.STARTING:
        observed = small.target.observe(spec)
        assert observed is not None
        seen.append(({str(interpreter) for interpreter in observed.interpreters}, readiness.detail.partition(":")[0]))
    assert readiness.phase is ReadinessPhase.READY
    assert ({"3.9"}, "the cluster has not started the rollout yet") in seen
    assert ({"3.9", "3.12"}, "1 of 2 pods are new") in seen
    assert ({"3.12"}, "pods of another template still exist") in seen


def test_a_pod_that_is_replaced_later_is_no_failed_deployment(small: Shop) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    new = run["auth"].new
    assert new is not None
    small.controller._end(small.pods("auth")[0])
    phases = [small.target.readiness(small.spec("auth"), new).phase for _ in range(6)]
    assert phases == [ReadinessPhase.READY] * 6


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"paused": True}, "its rollout is paused; continue it with `kubectl rollout resume`"),
        ({"replicas": 0}, "its container auth is not running, so there is no version to roll back to"),
    ],
)
def test_a_deployment_that_cannot_be_updated_is_not_changed(small: Shop, spec: dict[str, object], reason: str) -> None:
    body = {**small.deployment("auth")}
    body["spec"] = {**body["spec"], **spec}
    small.server.store.update("deployments", NAMESPACE, "auth", body)
    small.controller.settle()
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is S.ROLLED_BACK
    assert reason in run.reason
    assert small.left_over() == []


def test_a_missing_deployment_is_not_created(small: Shop) -> None:
    run = small.run("3.12")
    first = replace(run.deployments[0], spec=replace(small.spec("auth"), service="billing", container="billing"))
    with small.driver() as (driver, _):
        run = driver.deploy(replace(run, deployments=(first,)))
    assert run.state is S.ROLLED_BACK
    assert "there is no Deployment billing in the namespace shop; create it first" in run.reason
    assert small.left_over() == []


def test_the_plan_names_the_container_of_a_pod_with_several(small: Shop) -> None:
    template = {**small.template("auth")}
    side = {"name": "mesh", "image": "mesh/proxy:3.1"}
    template["spec"] = {**template["spec"], "containers": [template["spec"]["containers"][0], side]}
    body = {**small.deployment("auth")}
    body["spec"] = {**body["spec"], "template": template}
    small.server.store.update("deployments", NAMESPACE, "auth", body)
    small.controller.settle()
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
        assert run.state is S.ROLLED_BACK
        assert (
            'its pods have several containers (app, mesh); name that of the service in the plan: container = "..."'
            in (run.reason)
        )
        run = driver.deploy(small.run("3.12", run="r2", pod_container="sidecar"))
        assert "its pods have no container sidecar, only app, mesh" in run.reason
        assert driver.deploy(small.run("3.12", run="r3", pod_container="app")).state is S.SOAKING
    images = [container["image"] for container in small.template("auth")["spec"]["containers"]]
    assert images == ["shop/auth:3.12", "mesh/proxy:3.1"]


# ---- rollback


def test_without_the_stored_template_the_clusters_history_is_used(small: Shop) -> None:
    with small.driver() as (driver, _):
        driver.deploy(small.run("3.12"))
        for kind, namespace, name in [key for key in small.server.store.objects if key[0] == "configmaps"]:
            small.server.store.delete(kind, namespace, name, {})
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert small.templates_are_old()
    assert small.serving() == small.all_old()


def test_without_any_old_template_the_serving_version_is_not_changed(small: Shop) -> None:
    with small.driver() as (driver, _):
        driver.deploy(small.run("3.12"))
        for kind, namespace, name in list(small.server.store.objects):
            if kind == "configmaps" or (kind == "replicasets" and not small.pods_of(name)):
                small.server.store.delete(kind, namespace, name, {})
        run = driver.rollback("r1", reason="by hand")
    assert run.state is S.ROLLBACK_FAILED
    assert "of auth no longer exists: neither a ConfigMap nor a ReplicaSet contains it" in run.reason
    assert small.serving() == {"auth": {"3.12"}}


def test_the_number_of_stored_templates_is_limited(small: Shop) -> None:
    spec = small.spec("auth", retain=2)
    for number in range(4):
        new = small.target.prepare(spec, image="shop/auth:3.12", run=f"r{number}")
        small.target.switch(spec, new)
        small.controller.settle()
    kept = [
        config_map["metadata"]["labels"][RUN_LABEL] for config_map in small.server.store.listed("configmaps", NAMESPACE)
    ]
    assert sorted(kept) == ["r2", "r2", "r3"] or sorted(kept) == ["r1", "r2", "r3"]
    assert small.target.observe(spec) is not None


def test_stored_templates_are_immutable(small: Shop) -> None:
    small.target.prepare(small.spec("auth"), image="shop/auth:3.12", run="r1")
    config_map = small.server.store.listed("configmaps", NAMESPACE)[0]
    with pytest.raises(Refusal, match="immutable"):
        small.server.store.update("configmaps", NAMESPACE, config_map["metadata"]["name"], {**config_map, "data": {}})


def test_a_namespace_of_another_cluster_has_another_identity(small: Shop) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
        assert run.place == small.target.identity() != ""
        small.server.cluster = "there"
        with pytest.raises(RolloutRefused, match=r"uses the namespace .* but the namespace .*there.* answers"):
            driver.rollback(run.run, reason="a test")
        small.server.forbidden.add(("get", "namespaces"))
        assert small.target.identity() == "", "a missing permission must not prevent a rollback"
        assert driver.rollback(run.run, reason="a test").state is StageState.ROLLED_BACK
