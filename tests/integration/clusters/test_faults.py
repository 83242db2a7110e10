"""What goes wrong around a stage in a cluster: killed processes, other people, a server that is away or says no."""

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
from pytest_py312.rollout.domain.model import Container, Holder, Moment, Result, StageState
from pytest_py312.rollout.monitoring.probes import DRIFT, ContainerProbe
from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL
from pytest_py312.rollout.targets.target import TargetError, TargetLost, TargetRefused
from tests.integration.clusters.api_server import Dropped, Refusal, Running, Said
from tests.integration.clusters.shop import NAMESPACE, Shop, shop

S = StageState
DEAD = "boot/namespace/0/1/1"
CHANGES = ("create", "update", "patch", "delete")


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, no except and no finally of ours may matter."""


@pytest.fixture
def all_others_are_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = str(this_process())
    monkeypatch.setattr("pytest_py312.rollout.execution.locking.is_gone", lambda process: process != me)


def dying(here: Shop, number: int, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends right before or after its ``number``-th request that changes something."""
    counter = count(1)
    read = type(here.cluster)._read

    def once(self: object, right: str, *words: object, **options: object) -> object:
        mine = right.partition(" ")[0] in CHANGES and next(counter) == number
        if mine and when == "before":
            raise Killed(right)
        answer = read(here.cluster, right, *words, **options)  # type: ignore[arg-type]  # passed on as they come
        if mine:
            raise Killed(right)
        return answer

    monkeypatch.setattr(type(here.cluster), "_read", once)


# ---- killed


@pytest.mark.usefixtures("all_others_are_dead")
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_change_the_next_start_makes_it_all_old(
    running: Running, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it was through already, and is all new. The recovery is killed as well, at its first change."""
    for number in count(1):
        with shop(running, tmp_path / str(number)) as here:
            for service in ("auth", "user"):
                here.serve(service, replicas=1)
            survived = False
            with monkeypatch.context() as patched, suppress(Killed), here.driver(process=DEAD) as (driver, _):
                dying(here, number, when, patched)
                driver.deploy(here.run("3.12", "3.12-never"))
                survived = True
            with monkeypatch.context() as patched, suppress(Killed), here.driver(process=f"{DEAD}2") as (driver, _):
                dying(here, 1, when, patched)
                driver.recover("test")
            with here.driver() as (driver, journal):
                driver.recover("test")
                states = [run.state for run in journal.newest("test")]
            assert states in ([S.ROLLED_BACK], []), number
            assert here.serving() == here.all_old(), number
            assert here.templates_are_old(), number
            assert here.left_over() == [], number
            if survived:
                assert number > 10
                return


@pytest.mark.usefixtures("all_others_are_dead")
def test_a_soak_goes_on_in_another_process_which_follows_the_dead_ones_lease(small: Shop) -> None:
    with small.driver(process=DEAD) as (driver, _):
        driver.deploy(small.run("3.12"))
    with small.driver() as (driver, _):
        assert driver.recover("test") == []
        assert driver.attach("r1").state is S.SOAKING
    holder = small.target.lock("test").holder()
    assert holder is not None
    assert holder.process == str(this_process())
    lease = small.server.store.listed("leases", NAMESPACE)[0]
    assert lease["spec"]["holderIdentity"] == "release engineer@here"


# ---- two at once


def theirs(**changes: str) -> Holder:
    made = Holder(
        name="night shift", host="build-7", process="elsewhere", journal="another", run="r7", stage=2,
        since="2026-11-25T20:00:00Z",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]  # names are those of the fields


def test_the_second_operator_is_told_the_name_of_the_first(small: Shop) -> None:
    lock = small.target.lock("test")
    assert lock.take(theirs()) is None
    before = list(small.server.store.objects)
    with small.driver() as (driver, journal):
        with pytest.raises(RolloutRefused, match=r"test is held by night shift on build-7 \(stage 2, run r7"):
            driver.deploy(small.run("3.12"))
        assert journal.newest() == []
        assert list(small.server.store.objects) == before
        with pytest.raises(RolloutRefused, match="--force"):
            driver.unlock("test", force=False)
        assert driver.unlock("test", force=True) == theirs()
    assert lock.holder() is None


def test_a_lease_is_taken_once_and_followed_only_from_whom_it_was(small: Shop) -> None:
    lock = small.target.lock("test")
    one, other, third = theirs(), theirs(process="p2"), theirs(process="p3")
    assert lock.take(one) is None
    assert lock.take(other) == one
    assert lock.take(other, instead_of=third) == one
    assert lock.take(other, instead_of=one) is None
    assert lock.take(third, instead_of=one) == other
    lock.release(one)
    assert lock.holder() == other
    lock.release(other)
    assert lock.holder() is None


@pytest.mark.parametrize("act", ["take", "release"])
def test_of_two_who_follow_a_dead_one_at_the_same_moment_one_is_told(small: Shop, act: str) -> None:
    """The other one is quicker, right between our reading of the Lease and our deleting it."""
    lock = small.target.lock("test")
    one, other, mine = theirs(), theirs(process="quicker"), theirs(process="mine")
    lock.take(one)

    def first(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == ("delete", "leases"):
            small.server.before = lambda *_: None
            lease = small.server.store.get("leases", NAMESPACE, name)
            annotations = {HOLDER_LABEL: json.dumps(encode(other))}
            body = {**lease, "metadata": {**lease["metadata"], "annotations": annotations}}
            small.server.store.update("leases", NAMESPACE, name, body)

    small.server.before = first
    if act == "take":
        assert lock.take(mine, instead_of=one) == other
    else:
        lock.release(one)
    assert lock.holder() == other


def test_environments_of_one_namespace_have_locks_of_their_own(small: Shop) -> None:
    for name in ("test", "Test", "pre_prod", "pre.prod", "pre-prod"):
        assert small.target.lock(name).take(theirs()) is None
    assert small.target.lock("pre-prod").take(theirs(process="mine")) == theirs()


def test_a_lease_of_somebody_else_is_not_touched(small: Shop) -> None:
    foreign = {"metadata": {"name": "py312-lock-test"}, "spec": {"holderIdentity": "a controller"}}
    small.server.store.create("leases", NAMESPACE, foreign)
    with pytest.raises(TargetRefused, match="no lock of ours"):
        small.target.lock("test").take(theirs())


# ---- somebody else deploys


def by_hand(here: Shop, image: str) -> None:
    template: Said = {**here.template("auth")}
    template["spec"] = {**template["spec"], "containers": [{**template["spec"]["containers"][0], "image": image}]}
    body = {**here.deployment("auth")}
    body["spec"] = {**body["spec"], "template": template}
    here.server.store.update("deployments", NAMESPACE, "auth", body)


def test_what_somebody_else_deploys_in_the_soak_is_drift_and_not_a_bad_service(small: Shop) -> None:
    with small.driver() as (driver, _):
        new = driver.deploy(small.run("3.12"))["auth"].new
    assert new is not None
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=new)
    at = Moment(wall=1e9, boottime=1.0, boot="b")
    found = {one.metric: one.result for one in asyncio.run(probe.measure(None, at))}
    assert found[DRIFT] is Result.SUCCESSFUL
    by_hand(small, "shop/auth:3.12@sha256:" + "a" * 64)
    measured = asyncio.run(probe.measure(None, at))
    assert [(one.metric, one.result) for one in measured] == [(DRIFT, Result.FAILED)]


@pytest.mark.parametrize("moment", [("create", "configmaps"), ("patch", "deployments")])
def test_what_somebody_else_deploys_meanwhile_is_left_alone(small: Shop, moment: tuple[str, str]) -> None:
    """Between our first look and our second, or right before our own change: it is not built upon, nor undone."""
    image = "shop/auth:3.9@sha256:" + "b" * 64

    def meanwhile(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == moment:
            small.server.before = lambda *_: None
            by_hand(small, image)

    small.server.before = meanwhile
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is S.ROLLED_BACK
    assert "somebody else" in run.reason
    assert "which somebody else has deployed, serves, and was left as it is" in run.reason
    [container] = small.template("auth")["spec"]["containers"]
    assert container["image"] == image
    assert small.left_over() == []


def test_where_it_was_changed_since_it_was_looked_at_nothing_is_prepared(small: Shop) -> None:
    small.target.observe(small.spec("auth"))
    by_hand(small, "shop/auth:3.9@sha256:" + "b" * 64)
    with pytest.raises(TargetRefused, match="since it was looked at"):
        small.target.prepare(small.spec("auth"), image="shop/auth:3.12", run="r1")
    assert small.left_over() == []


# ---- a server that is away, or says no


def cut(here: Shop, verb: str, resource: str, *, times: int, when: str = "before") -> None:
    """Connections are cut at these requests: before anything was done, or after it."""
    left = [times]

    def hook(asked: str, what: str, name: str) -> None:
        if (asked, what) == (verb, resource) and left[0]:
            left[0] -= 1
            raise Dropped

    setattr(here.server, when, hook)


def test_where_the_answer_to_the_change_is_lost_it_is_undone_whether_or_not_it_was_made(small: Shop) -> None:
    cut(small, "patch", "deployments", times=1, when="after")
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is S.ROLLED_BACK
    assert "the cluster does not answer (patch deployments.apps)" in run.reason
    assert small.serving() == small.all_old()
    assert small.left_over() == []


def test_a_way_back_waits_for_a_server_that_is_away(small: Shop) -> None:
    with small.driver() as (driver, _):
        driver.deploy(small.run("3.12"))
        cut(small, "patch", "deployments", times=3)
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
    assert small.serving() == small.all_old()


def test_a_server_that_is_away_is_trouble_of_the_measuring(small: Shop) -> None:
    cut(small, "get", "deployments", times=9)
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=Container(id="x", image="y"))
    found = asyncio.run(probe.measure(None, Moment(wall=1e9, boottime=1.0, boot="b")))
    assert [one.result for one in found] == [Result.ERROR]


@pytest.mark.parametrize(
    ("verb", "resource", "reason"),
    [
        ("patch", "deployments", 'the right to patch deployments.apps is missing: deployments.apps "auth" is '
                                 'forbidden: User "ci" cannot patch resource "deployments" in API group "apps"'),
        ("create", "configmaps", "the right to create configmaps is missing"),
        ("get", "pods/exec", "the right to get pods/exec is missing"),
        ("list", "pods", "the right to list pods is missing"),
    ],
)  # fmt: skip
def test_a_right_that_is_missing_is_named(small: Shop, verb: str, resource: str, reason: str) -> None:
    small.server.forbidden.add((verb, resource))
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert reason in run.reason
    assert small.templates_are_old()


@pytest.mark.parametrize("image", ["3.12-crash", "3.12-never"])
def test_no_right_that_is_only_good_to_have_keeps_a_stage_from_coming_back(small: Shop, image: str) -> None:
    small.server.forbidden |= {("get", "pods/log"), ("delete", "configmaps")}
    with small.driver() as (driver, journal):
        run = driver.deploy(small.run(image))
        notes = " ".join(str(entry.what) for entry in journal.history("r1"))
    assert run.state is S.ROLLED_BACK
    assert small.serving() == small.all_old()
    assert "the right to delete configmaps is missing" in notes
    assert [name.partition(" ")[0] for name in small.left_over()] == ["configmaps"] * 2


def test_what_a_policy_forbids_is_not_called_a_missing_right(small: Shop) -> None:
    def full(verb: str, resource: str, name: str) -> None:
        if (verb, resource) == ("create", "configmaps"):
            raise Refusal(403, "Forbidden", 'configmaps "auth" is forbidden: exceeded quota: objects')

    small.server.before = full
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert "the cluster forbids it (create configmaps): " in run.reason


def test_what_an_operator_makes_is_left_to_it(small: Shop) -> None:
    master = {"apiVersion": "shop/v1", "kind": "Shop", "name": "main", "uid": "1", "controller": True}
    body = {**small.deployment("auth")}
    body["metadata"] = {**body["metadata"], "ownerReferences": [master]}
    small.server.store.update("deployments", NAMESPACE, "auth", body)
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert "the Deployment auth is made by Shop main, which would undo any change of it" in run.reason
    assert small.left_over() == []


def test_without_the_right_to_a_lease_nothing_is_begun(small: Shop) -> None:
    small.server.forbidden.add(("create", "leases"))
    with small.driver() as (driver, journal):
        with pytest.raises(TargetError, match=r"the right to create leases\.coordination\.k8s\.io is missing"):
            driver.deploy(small.run("3.12"))
        assert journal.newest() == []


def test_a_cluster_whose_controller_sleeps_is_not_called_ready(small: Shop) -> None:
    """The template is there, and nobody acts on it: by the numbers of the old one all would be well."""
    spec = small.spec("auth")
    new = small.target.prepare(spec, image="shop/auth:3.12", run="r1")
    small.controller.asleep = True
    small.target.switch(spec, new)
    said = [small.target.ready(spec, new) for _ in range(3)]
    assert {one.detail for one in said} == {"the cluster has not begun with it yet"}


def test_a_server_that_has_enough_for_now_is_away(small: Shop) -> None:
    def busy(verb: str, resource: str, name: str) -> None:
        raise Refusal(429, "TooManyRequests", "please try again later")

    small.server.before = busy
    with pytest.raises(TargetLost, match="please try again later"):
        small.target.observe(small.spec("auth"))
