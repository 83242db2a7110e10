"""Faults around a stage in a cluster: killed processes, concurrent operators, an API server that is away or refuses."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.process_identity import this_process
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.domain.measurements import Result, Timestamp
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.domain.target_model import Container, LockHolder
from pytest_py312.rollout.monitoring.probes import DRIFT, ContainerProbe
from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL
from pytest_py312.rollout.targets.target import TargetError, TargetRefused, TargetUnavailable
from tests.integration.clusters.api_server import Dropped, JsonObject, Refusal, ServerThread
from tests.integration.clusters.shop import NAMESPACE, Shop, start_shop

S = StageState
DEAD = "boot/namespace/0/1/1"
CHANGES = ("create", "update", "patch", "delete")


class Killed(BaseException):
    """Simulates SIGKILL: the code under test must not rely on its except and finally clauses."""


@pytest.fixture
def all_other_processes_are_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = str(this_process())
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_dead", lambda process: process != me)


def kill_at_change(shop: Shop, number: int, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the process right before or after its ``number``-th modifying request."""
    counter = count(1)
    read = type(shop.cluster)._call_api

    def call_or_die(self: object, right: str, *words: object, **options: object) -> object:
        mine = right.partition(" ")[0] in CHANGES and next(counter) == number
        if mine and when == "before":
            raise Killed(right)
        answer = read(shop.cluster, right, *words, **options)  # type: ignore[arg-type]  # passed on as they come
        if mine:
            raise Killed(right)
        return answer

    monkeypatch.setattr(type(shop.cluster), "_call_api", call_or_die)


# ---- killed


@pytest.mark.usefixtures("all_other_processes_are_dead")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_change_is_rolled_back_by_the_next_start(
    server_thread: ServerThread, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the deployment was complete. The recovery is killed as well, at its first change."""
    for number in count(1):
        with start_shop(server_thread, tmp_path / str(number)) as shop:
            for service in ("auth", "user"):
                shop.serve(service, replicas=1)
            survived = False
            with monkeypatch.context() as patched, suppress(Killed), shop.driver(process=DEAD) as (driver, _):
                kill_at_change(shop, number, when, patched)
                driver.deploy(shop.run("3.12", "3.12-never"))
                survived = True
            with monkeypatch.context() as patched, suppress(Killed), shop.driver(process=f"{DEAD}2") as (driver, _):
                kill_at_change(shop, 1, when, patched)
                driver.recover("test")
            with shop.driver() as (driver, journal):
                driver.recover("test")
                states = [run.state for run in journal.current_runs("test")]
            assert states in ([S.ROLLED_BACK], []), number
            assert shop.serving() == shop.all_old(), number
            assert shop.templates_are_old(), number
            assert shop.left_over() == [], number
            if survived:
                assert number > 10
                return


@pytest.mark.usefixtures("all_other_processes_are_dead")
def test_another_process_continues_a_soak_and_takes_over_the_lease(small: Shop) -> None:
    with small.driver(process=DEAD) as (driver, _):
        driver.deploy(small.run("3.12"))
    with small.driver() as (driver, _):
        assert driver.recover("test") == []
        assert driver.attach("r1").state is S.SOAKING
    holder = small.target.environment_lock("test").holder()
    assert holder is not None
    assert holder.process == str(this_process())
    lease = small.server.store.listed("leases", NAMESPACE)[0]
    assert lease["spec"]["holderIdentity"] == "release engineer@here"


# ---- concurrent operators


def other_holder(**changes: str) -> LockHolder:
    made = LockHolder(
        name="night shift", host="build-7", process="elsewhere", journal="another", run="r7", stage=2,
        since="2026-11-25T20:00:00Z",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # names are those of the fields


def test_the_second_operator_gets_the_name_of_the_first(small: Shop) -> None:
    lock = small.target.environment_lock("test")
    assert lock.acquire(other_holder()) is None
    objects_before = list(small.server.store.objects)
    with small.driver() as (driver, journal):
        with pytest.raises(RolloutRefused, match=r"test is held by night shift on build-7 \(stage 2, run r7"):
            driver.deploy(small.run("3.12"))
        assert journal.current_runs() == []
        assert list(small.server.store.objects) == objects_before
        with pytest.raises(RolloutRefused, match="--force"):
            driver.locks.unlock("test", force=False)
        assert driver.locks.unlock("test", force=True) == other_holder()
    assert lock.holder() is None


def test_a_lease_has_one_holder_and_only_the_holder_is_replaced(small: Shop) -> None:
    lock = small.target.environment_lock("test")
    first, second, third = other_holder(), other_holder(process="p2"), other_holder(process="p3")
    assert lock.acquire(first) is None
    assert lock.acquire(second) == first
    assert lock.acquire(second, replacing=third) == first
    assert lock.acquire(second, replacing=first) is None
    assert lock.acquire(third, replacing=first) == second
    lock.release(first)
    assert lock.holder() == second
    lock.release(second)
    assert lock.holder() is None


@pytest.mark.parametrize("act", ["take", "release"])
def test_one_of_two_concurrent_successors_of_a_dead_holder_is_refused(small: Shop, act: str) -> None:
    """The other process is quicker: it acts between our read of the Lease and our deletion."""
    lock = small.target.environment_lock("test")
    dead, quicker, mine = other_holder(), other_holder(process="quicker"), other_holder(process="mine")
    lock.acquire(dead)

    def replace_lease(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == ("delete", "leases"):
            small.server.before = lambda *_: None
            lease = small.server.store.get("leases", NAMESPACE, name)
            annotations = {HOLDER_LABEL: json.dumps(encode(quicker))}
            body = {**lease, "metadata": {**lease["metadata"], "annotations": annotations}}
            small.server.store.update("leases", NAMESPACE, name, body)

    small.server.before = replace_lease
    if act == "take":
        assert lock.acquire(mine, replacing=dead) == quicker
    else:
        lock.release(dead)
    assert lock.holder() == quicker


def test_each_environment_of_a_namespace_has_its_own_lock(small: Shop) -> None:
    for name in ("test", "Test", "pre_prod", "pre.prod", "pre-prod"):
        assert small.target.environment_lock(name).acquire(other_holder()) is None
    assert small.target.environment_lock("pre-prod").acquire(other_holder(process="mine")) == other_holder()


def test_a_foreign_lease_is_not_changed(small: Shop) -> None:
    foreign = {"metadata": {"name": "py312-lock-test"}, "spec": {"holderIdentity": "a controller"}}
    small.server.store.create("leases", NAMESPACE, foreign)
    with pytest.raises(TargetRefused, match="not a lock of pytest-py312"):
        small.target.environment_lock("test").acquire(other_holder())


# ---- foreign deployments


def deploy_by_hand(shop: Shop, image: str) -> None:
    template: JsonObject = {**shop.template("auth")}
    template["spec"] = {**template["spec"], "containers": [{**template["spec"]["containers"][0], "image": image}]}
    body = {**shop.deployment("auth")}
    body["spec"] = {**body["spec"], "template": template}
    shop.server.store.update("deployments", NAMESPACE, "auth", body)


def test_a_foreign_deployment_during_the_soak_is_drift(small: Shop) -> None:
    with small.driver() as (driver, _):
        new = driver.deploy(small.run("3.12"))["auth"].new
    assert new is not None
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=new)
    at = Timestamp(wall=1e9, boottime=1.0, boot="b")
    results = {measurement.metric: measurement.result for measurement in asyncio.run(probe.measure(None, at))}
    assert results[DRIFT] is Result.SUCCESSFUL
    deploy_by_hand(small, "shop/auth:3.12@sha256:" + "a" * 64)
    measured = asyncio.run(probe.measure(None, at))
    assert [(measurement.metric, measurement.result) for measurement in measured] == [(DRIFT, Result.FAILED)]


@pytest.mark.parametrize("moment", [("create", "configmaps"), ("patch", "deployments")])
def test_a_foreign_deployment_meanwhile_is_kept(small: Shop, moment: tuple[str, str]) -> None:
    """Made between our two reads, or right before our own change: it is neither replaced nor reverted."""
    image = "shop/auth:3.9@sha256:" + "b" * 64

    def meanwhile(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == moment:
            small.server.before = lambda *_: None
            deploy_by_hand(small, image)

    small.server.before = meanwhile
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is S.ROLLED_BACK
    assert "someone else" in run.reason
    assert "deployed by someone else, serves and was left as it is" in run.reason
    [container] = small.template("auth")["spec"]["containers"]
    assert container["image"] == image
    assert small.left_over() == []


def test_nothing_is_prepared_after_a_foreign_change(small: Shop) -> None:
    small.target.observe(small.spec("auth"))
    deploy_by_hand(small, "shop/auth:3.9@sha256:" + "b" * 64)
    with pytest.raises(TargetRefused, match="since it was observed"):
        small.target.prepare(small.spec("auth"), image="shop/auth:3.12", run="r1")
    assert small.left_over() == []


# ---- an API server that is away or refuses


def drop_connections(shop: Shop, verb: str, resource: str, *, times: int, when: str = "before") -> None:
    """Cut the connection at these requests: before they are processed, or after it."""
    left = [times]

    def hook(request_verb: str, request_resource: str, name: str) -> None:
        if (request_verb, request_resource) == (verb, resource) and left[0]:
            left[0] -= 1
            raise Dropped

    setattr(shop.server, when, hook)


def test_a_change_whose_response_is_lost_is_reverted(small: Shop) -> None:
    drop_connections(small, "patch", "deployments", times=1, when="after")
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is S.ROLLED_BACK
    assert "the cluster does not answer (patch deployments.apps)" in run.reason
    assert small.serving() == small.all_old()
    assert small.left_over() == []


def test_a_rollback_waits_for_an_unreachable_server(small: Shop) -> None:
    with small.driver() as (driver, _):
        driver.deploy(small.run("3.12"))
        drop_connections(small, "patch", "deployments", times=3)
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert small.serving() == small.all_old()


def test_an_unreachable_server_is_a_measurement_error(small: Shop) -> None:
    drop_connections(small, "get", "deployments", times=9)
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=Container(id="x", image="y"))
    measurements = asyncio.run(probe.measure(None, Timestamp(wall=1e9, boottime=1.0, boot="b")))
    assert [measurement.result for measurement in measurements] == [Result.ERROR]


@pytest.mark.parametrize(
    ("verb", "resource", "reason"),
    [
        ("patch", "deployments", 'missing permission to patch deployments.apps: deployments.apps "auth" is '
                                 'forbidden: User "ci" cannot patch resource "deployments" in API group "apps"'),
        ("create", "configmaps", "missing permission to create configmaps"),
        ("get", "pods/exec", "missing permission to get pods/exec"),
        ("list", "pods", "missing permission to list pods"),
    ],
)  # fmt: skip
def test_a_missing_permission_is_named(small: Shop, verb: str, resource: str, reason: str) -> None:
    small.server.forbidden.add((verb, resource))
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert reason in run.reason
    assert small.templates_are_old()


@pytest.mark.parametrize("image", ["3.12-crash", "3.12-never"])
def test_optional_permissions_are_not_needed_for_a_rollback(small: Shop, image: str) -> None:
    small.server.forbidden |= {("get", "pods/log"), ("delete", "configmaps")}
    with small.driver() as (driver, journal):
        run = driver.deploy(small.run(image))
        notes = " ".join(str(entry.content) for entry in journal.history("r1"))
    assert run.state is S.ROLLED_BACK
    assert small.serving() == small.all_old()
    assert "missing permission to delete configmaps" in notes
    assert [name.partition(" ")[0] for name in small.left_over()] == ["configmaps"] * 2


def test_a_policy_violation_is_not_called_a_missing_permission(small: Shop) -> None:
    def full(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == ("create", "configmaps"):
            raise Refusal(403, "Forbidden", 'configmaps "auth" is forbidden: exceeded quota: objects')

    small.server.before = full
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert "the cluster forbids it (create configmaps): " in run.reason


def test_a_deployment_managed_by_a_controller_is_not_changed(small: Shop) -> None:
    master = {"apiVersion": "shop/v1", "kind": "Shop", "name": "main", "uid": "1", "controller": True}
    body = {**small.deployment("auth")}
    body["metadata"] = {**body["metadata"], "ownerReferences": [master]}
    small.server.store.update("deployments", NAMESPACE, "auth", body)
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert "the Deployment auth is managed by Shop main, which would revert any change" in run.reason
    assert small.left_over() == []


def test_without_permission_for_leases_nothing_is_begun(small: Shop) -> None:
    small.server.forbidden.add(("create", "leases"))
    with small.driver() as (driver, journal):
        with pytest.raises(TargetError, match=r"missing permission to create leases\.coordination\.k8s\.io"):
            driver.deploy(small.run("3.12"))
        assert journal.current_runs() == []


def test_a_cluster_without_an_active_controller_is_not_ready(small: Shop) -> None:
    """The template is stored and not acted on; the numbers of the previous version look healthy."""
    spec = small.spec("auth")
    new = small.target.prepare(spec, image="shop/auth:3.12", run="r1")
    small.controller.asleep = True
    small.target.switch(spec, new)
    readiness = [small.target.readiness(spec, new) for _ in range(3)]
    assert {answer.detail for answer in readiness} == {"the cluster has not started the rollout yet"}


def test_a_server_with_too_many_requests_is_unavailable(small: Shop) -> None:
    def busy(verb: str, resource: str, name: str) -> None:
        raise Refusal(429, "TooManyRequests", "please try again later")

    small.server.before = busy
    with pytest.raises(TargetUnavailable, match="please try again later"):
        small.target.observe(small.spec("auth"))
