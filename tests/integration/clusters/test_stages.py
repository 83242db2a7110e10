"""A stage in a cluster: up, back, and what keeps it from coming up. The cluster's part is played by a controller."""

from dataclasses import replace

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.targets.labels import RUN_LABEL
from pytest_py312.rollout.targets.target import Phase
from tests.integration.clusters.api_server import Refusal
from tests.integration.clusters.shop import NAMESPACE, Shop

S = StageState


def test_a_good_stage_serves_on_the_target_with_its_settings_and_can_come_back(here: Shop) -> None:
    with here.driver() as (driver, _):
        run = driver.deploy(here.run("3.12", "3.12", "3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert here.serving() == {name: {"3.12"} for name in here.old}
        container = here.template("auth")["spec"]["containers"][0]
        assert container["env"] == [{"name": "GREETING", "value": "from auth"}]
        assert container["image"] == "shop/auth:3.12"
        assert here.template("auth")["metadata"]["annotations"] == {RUN_LABEL: "r1"}
        spec, old, new = run["auth"].spec, run["auth"].old, run["auth"].new
        assert old is not None
        assert new is not None
        assert here.target.keeps(spec, old), "the way back, as the doctor sees it"
        assert here.target.keeps(spec, new)
        assert not here.target.keeps(spec, replace(old, id="0" * 40))
        assert not here.target.keeps(replace(spec, container="nothing"), old)

        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
    assert here.serving() == here.all_old()
    assert here.templates_are_old()
    assert here.left_over() == []


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("3.12-crash", "app has ended with exit code 1; its last words: Traceback (most recent call last): / "
                       "ModuleNotFoundError: No module named 'imp'"),
        ("3.12-pull", "app is in ImagePullBackOff: manifest unknown"),
        ("3.12-never", 'ProgressDeadlineExceeded: ReplicaSet "auth" has timed out progressing.'),
        ("3.12-mixed", "its pods run different images of one name"),
        ("3.11", "it runs on Python 3.11, not on 3.12"),
        ("3.12-noshell", "its process could not be asked for its interpreter; name a `version` path in the plan"),
    ],
)  # fmt: skip
def test_what_cannot_serve_or_is_something_else_comes_back(small: Shop, image: str, reason: str) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run(image))
    assert run.state is S.ROLLED_BACK
    assert reason in run.reason
    assert small.serving() == small.all_old()
    assert small.templates_are_old()
    assert small.left_over() == []


def test_what_no_node_takes_is_told_in_the_schedulers_words(small: Shop) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12-unschedulable"))
    assert "0/3 nodes are available: 3 Insufficient memory." in run.reason


def test_our_own_deadline_ends_it_where_the_cluster_has_none(small: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.integration.clusters.controller.DEADLINE", 10_000)
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12-never", ready_timeout=20.0))
    assert run.state is S.ROLLED_BACK
    assert "not ready after 20 s: 1 of 2 pods are new" in run.reason


def test_the_third_of_three_is_sick_and_all_are_old_again(here: Shop) -> None:
    """Its pods are ready, and the health that the plan asks for is bad."""
    run = here.run("3.12", "3.12", "3.12-sick", health="/health", ready_timeout=20.0)
    with here.driver() as (driver, _):
        run = driver.deploy(run)
    assert run.state is S.ROLLED_BACK
    assert "/health answers 500" in run.reason
    assert here.serving() == here.all_old()
    assert here.left_over() == []


def test_without_a_shell_the_service_may_say_itself_what_it_runs_on(small: Shop) -> None:
    with small.driver() as (driver, _):
        assert driver.deploy(small.run("3.12-noshell", version="/version")).state is S.SOAKING


def test_an_autoscaler_goes_on_with_its_work(small: Shop) -> None:
    """It wants one pod more right between our reading and our writing; both are done."""
    wanted = [3]

    def scaled(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == ("patch", "deployments") and wanted:
            body = {**small.deployment(name)}
            body["spec"] = {**body["spec"], "replicas": wanted.pop()}
            small.server.store.update("deployments", NAMESPACE, name, body)

    small.server.before = scaled
    with small.driver() as (driver, _):
        assert driver.deploy(small.run("3.12")).state is S.SOAKING
        assert small.deployment("auth")["spec"]["replicas"] == 3
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert small.deployment("auth")["spec"]["replicas"] == 3
    assert [verb for verb, resource, _ in small.server.requests if resource == "deployments" and verb != "get"] == [
        "patch"
    ] * 3


def test_two_versions_at_once_are_neither_ready_nor_one_interpreter(small: Shop) -> None:
    spec = small.spec("auth")
    new = small.target.prepare(spec, image="shop/auth:3.12", run="r1")
    small.target.switch(spec, new)
    seen = []
    while (said := small.target.ready(spec, new)).phase is Phase.STARTING:
        found = small.target.observe(spec)
        assert found is not None
        seen.append(({str(one) for one in found.interpreters}, said.detail.partition(":")[0]))
    assert said.phase is Phase.READY
    assert ({"3.9"}, "the cluster has not begun with it yet") in seen
    assert ({"3.9", "3.12"}, "1 of 2 pods are new") in seen
    assert ({"3.12"}, "pods of another template are still there") in seen


def test_a_pod_that_is_moved_later_is_no_failed_deployment(small: Shop) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    new = run["auth"].new
    assert new is not None
    small.controller._end(small.pods("auth")[0])
    phases = [small.target.ready(small.spec("auth"), new).phase for _ in range(6)]
    assert phases == [Phase.READY] * 6


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"paused": True}, "its rollout is paused; `kubectl rollout resume` lets it go on"),
        ({"replicas": 0}, "its container auth does not run: there is nothing to come back to"),
    ],
)
def test_a_deployment_that_cannot_roll_is_left_alone(small: Shop, spec: dict[str, object], reason: str) -> None:
    body = {**small.deployment("auth")}
    body["spec"] = {**body["spec"], **spec}
    small.server.store.update("deployments", NAMESPACE, "auth", body)
    small.controller.settle()
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is S.ROLLED_BACK
    assert reason in run.reason
    assert small.left_over() == []


def test_a_service_without_a_deployment_is_not_made_up(small: Shop) -> None:
    run = small.run("3.12")
    first = replace(run.deployments[0], spec=replace(small.spec("auth"), service="billing", container="billing"))
    with small.driver() as (driver, _):
        run = driver.deploy(replace(run, deployments=(first,)))
    assert run.state is S.ROLLED_BACK
    assert "there is no Deployment billing in the namespace shop; create it first" in run.reason
    assert small.left_over() == []


def test_of_several_containers_the_plan_names_the_services(small: Shop) -> None:
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
        assert 'its pods have several containers (app, mesh); write which is the service\'s: container = "..."' in (
            run.reason
        )
        run = driver.deploy(small.run("3.12", run="r2", pod_container="sidecar"))
        assert "its pods have no container sidecar; they have app, mesh" in run.reason
        assert driver.deploy(small.run("3.12", run="r3", pod_container="app")).state is S.SOAKING
    images = [one["image"] for one in small.template("auth")["spec"]["containers"]]
    assert images == ["shop/auth:3.12", "mesh/proxy:3.1"]


# ---- the way back


def test_where_what_was_kept_is_gone_the_clusters_own_history_is_the_way_back(small: Shop) -> None:
    with small.driver() as (driver, _):
        driver.deploy(small.run("3.12"))
        for kind, namespace, name in [key for key in small.server.store.objects if key[0] == "configmaps"]:
            small.server.store.delete(kind, namespace, name, {})
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert small.templates_are_old()
    assert small.serving() == small.all_old()


def test_where_nobody_knows_the_old_template_any_more_what_serves_is_left(small: Shop) -> None:
    with small.driver() as (driver, _):
        driver.deploy(small.run("3.12"))
        for kind, namespace, name in list(small.server.store.objects):
            if kind == "configmaps" or (kind == "replicasets" and not small.pods_of(name)):
                small.server.store.delete(kind, namespace, name, {})
        run = driver.rollback("r1", reason="by hand")
    assert run.state is S.ROLLBACK_FAILED
    assert "of auth is gone: neither a ConfigMap nor a ReplicaSet has it any more" in run.reason
    assert small.serving() == {"auth": {"3.12"}}


def test_only_so_many_templates_are_kept(small: Shop) -> None:
    spec = small.spec("auth", retain=2)
    for number in range(4):
        new = small.target.prepare(spec, image="shop/auth:3.12", run=f"r{number}")
        small.target.switch(spec, new)
        small.controller.settle()
    kept = [one["metadata"]["labels"][RUN_LABEL] for one in small.server.store.listed("configmaps", NAMESPACE)]
    assert sorted(kept) == ["r2", "r2", "r3"] or sorted(kept) == ["r1", "r2", "r3"]
    assert small.target.observe(spec) is not None


def test_what_is_kept_cannot_be_changed(small: Shop) -> None:
    small.target.prepare(small.spec("auth"), image="shop/auth:3.12", run="r1")
    one = small.server.store.listed("configmaps", NAMESPACE)[0]
    with pytest.raises(Refusal, match="immutable"):
        small.server.store.update("configmaps", NAMESPACE, one["metadata"]["name"], {**one, "data": {}})


def test_a_namespace_of_another_cluster_is_another_place(small: Shop) -> None:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
        assert run.place == small.target.identity() != ""
        small.server.cluster = "there"
        with pytest.raises(RolloutRefused, match=r"lies on the namespace .* and the namespace .*there.* answers"):
            driver.rollback(run.run, reason="a test")
        small.server.forbidden.add(("get", "namespaces"))
        assert small.target.identity() == "", "without the right to it nobody is kept from the way back"
        assert driver.rollback(run.run, reason="a test").state is StageState.ROLLED_BACK
