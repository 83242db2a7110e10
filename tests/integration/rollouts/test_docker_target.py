"""A stage on a real engine: up, back, and what a target tells and does."""

import json
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.model import Container, Holder, ServiceSpec, StageState
from pytest_py312.rollout.targets.target import Phase, Readiness, TargetRefused
from pytest_py312.runners.docker.errors import told_apart
from tests.integration.rollouts.services import Place, place

pytestmark = pytest.mark.docker

S = StageState
APlace = Callable[..., AbstractContextManager[Place]]


def test_a_good_stage_serves_on_the_target_with_its_settings_and_can_come_back(a_place: APlace) -> None:
    with a_place("auth", "user") as here, here.driver() as (driver, journal):
        run = driver.deploy(here.run("3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert {python for _, python in here.serving().values()} == {"3.12"}
        with told_apart():
            said = here.engine.client.inspect_container(f"{here.name}-auth")
        host, port = here.target.address(here.spec("auth"), Container(id=said["Id"], image=said["Image"]))
        with urllib.request.urlopen(f"http://{host}:{port}/version", timeout=5) as answer:
            assert json.load(answer)["greeting"] == "from auth"
        assert said["HostConfig"]["RestartPolicy"]["Name"] == "always"
        assert not any(word.startswith("PYTHON_VERSION=3.9") for word in said["Config"]["Env"])
        usage = here.target.sample(here.spec("auth"), Container(id=said["Id"], image=said["Image"]), since=0.0)
        assert usage.memory is not None
        assert usage.memory > 1024**2
        assert usage.log == ("serving",)

        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
        assert here.serving() == here.all_old()
        assert len(here.containers()) == 2
        assert [entry.what for entry in journal.history("r1") if isinstance(entry.what, str)] != []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("3.12 crash", "no module named nothing"),
        ("3.11", "it runs on Python 3.11, not on 3.12"),
    ],
)
def test_what_cannot_serve_or_is_something_else_comes_back(a_place: APlace, kind: str, reason: str) -> None:
    with a_place("auth") as here, here.driver() as (driver, _):
        run = driver.deploy(here.run(kind))
        assert run.state is S.ROLLED_BACK
        assert reason in run.reason
        assert here.serving() == here.all_old()
        assert list(here.containers()) == [f"{here.name}-auth"]


def test_the_third_of_three_is_sick_and_all_are_old_again(here: Place) -> None:
    sick = here.run("3.12", "3.12", "3.12 sick")
    # long enough for a busy machine to start a server in
    deployments = tuple(replace(one, spec=replace(one.spec, ready_timeout=6.0)) for one in sick.deployments)
    with here.driver() as (driver, _):
        run = driver.deploy(replace(sick, deployments=deployments))
        assert run.state is S.ROLLED_BACK
        assert run.reason == "gateway: not ready after 6 s: /health answers 500"
    assert here.serving() == here.all_old()
    assert len(here.containers()) == 3


def test_a_service_that_nothing_served_before(a_place: APlace) -> None:
    with a_place("auth") as here, here.driver() as (driver, _):
        first = replace(here.spec("billing"), environment={"GREETING": "new"})
        run = here.run("3.12")
        run = replace(run, deployments=(replace(run.deployments[0], spec=first),))
        assert driver.deploy(run).state is S.SOAKING
        seen = here.target.observe(first)
        assert seen is not None
        assert str(seen.interpreter) == "3.12"
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
        assert here.target.observe(first) is None


def test_where_the_old_container_was_removed_its_image_is_the_way_back(a_place: APlace) -> None:
    with a_place("auth") as here, here.driver() as (driver, _):
        driver.deploy(here.run("3.12"))
        with told_apart():
            here.engine.client.remove_container(here.old["auth"], force=True)
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
        container, python = here.serving()["auth"]
        assert (container != here.old["auth"], python) == (True, "3.9")
        assert len(here.containers()) == 1


def test_a_process_is_asked_itself_and_has_to_bear_out_what_the_service_says(a_place: APlace) -> None:
    with a_place("auth") as here:
        found = {}
        for path in ("", "/version", "/says/3.7.1"):
            seen = here.target.observe(replace(here.spec("auth"), version=path))
            assert seen is not None
            found[path] = [str(one) for one in seen.interpreters]
        assert found == {"": ["3.9"], "/version": ["3.9"], "/says/3.7.1": ["3.7", "3.9"]}


def test_only_so_many_old_containers_are_kept_and_none_of_others_removed(a_place: APlace) -> None:
    with a_place("auth") as here:
        spec = replace(here.spec("auth"), retain=2)
        made = []
        for number in range(4):
            made.append(here.target.prepare(spec, image=here.images["3.12"], run=f"r{number}"))
            here.target.switch(spec, made[-1])
        left = set(here.containers().values())
        assert left == {here.old["auth"], made[1].id, made[2].id, made[3].id}
        with told_apart():
            states = {one["Id"]: one["State"] for one in here.engine.client.containers(all=True) if one["Id"] in left}
        assert [name for name, state in states.items() if state == "running"] == [made[3].id]


def test_what_a_prune_takes_along_in_the_middle_is_made_up_for(a_place: APlace) -> None:
    """The old container and the lock, both not running, right before the new one fails."""
    with a_place("auth") as here, here.driver() as (driver, journal):
        sick = here.run("3.12 sick")
        one = sick.deployments[0]
        begun = here.target.ready

        def pruned(spec: ServiceSpec, container: Container) -> Readiness:
            if container.id != here.old["auth"] and here.old["auth"] in here.containers().values():
                with told_apart():
                    here.engine.client.remove_container(here.old["auth"], force=True)
                    here.engine.client.remove_container(f"py312-lock-{here.name}", force=True)
            return begun(spec, container)

        here.target.ready = pruned  # type: ignore[method-assign]  # of this one target
        run = driver.deploy(replace(sick, deployments=(replace(one, spec=replace(one.spec, ready_timeout=2.0)),)))
        assert run.state is S.ROLLED_BACK
        container, python = here.serving()["auth"]
        assert (container != here.old["auth"], python) == (True, "3.9")
        with told_apart():
            said = here.engine.client.inspect_container(container)
        assert "GREETING=from auth" in said["Config"]["Env"]
        assert list(here.containers()) == [f"{here.name}-auth"]
        notes = [entry.what for entry in journal.history("r1") if isinstance(entry.what, str)]
        assert any("was gone, and was taken again" in note for note in notes)


def test_what_is_deployed_by_hand_meanwhile_goes_on_serving(a_place: APlace) -> None:
    """After the run has looked, and before it would have put its own there."""
    with a_place("auth", "user") as here, here.driver() as (driver, _):
        client, name, prepared = here.engine.client, f"{here.name}-user", here.target.prepare

        def by_hand(spec: ServiceSpec, *, image: str, run: str) -> Container:
            made = prepared(spec, image=image, run=run)
            if spec.service == "user":
                with told_apart():
                    client.stop(name, timeout=1)
                    client.rename(name, f"{name}.before")
                    client.start(client.create_container(here.images["3.11"], name=name)["Id"])
            return made

        here.target.prepare = by_hand  # type: ignore[method-assign]  # of this one target
        run = driver.deploy(here.run("3.12"))
        assert run.state is S.ROLLED_BACK
        assert f"serves in the place of {here.old['user'][:12]}" in run.reason
        assert run.reason.endswith("which somebody else has deployed, serves, and was left as it is")
        serving = here.serving()
        assert serving["auth"] == (here.old["auth"], "3.9")
        assert serving["user"][1] == "3.11"
        assert here.containers().keys() == {f"{here.name}-auth", name, f"{name}.before"}


def test_one_that_would_vanish_when_stopped_is_refused(a_place: APlace) -> None:
    with a_place("auth") as here, here.driver() as (driver, _):
        with told_apart():
            here.engine.client.remove_container(here.old["auth"], force=True)
            host = here.engine.client.create_host_config(auto_remove=True)
            made = here.engine.client.create_container(here.images["3.9"], name=f"{here.name}-auth", host_config=host)
            here.engine.client.start(made["Id"])
        run = driver.deploy(here.run("3.12"))
        assert run.state is S.ROLLED_BACK
        assert "started with --rm" in run.reason
        assert here.serving()["auth"] == (made["Id"], "3.9")


def test_two_environments_of_one_engine_leave_each_other_alone(tmp_path: Path, images: dict[str, str]) -> None:
    """Even if their runs had the same name."""
    with (
        place(tmp_path / "one", images, "auth") as one,
        place(tmp_path / "two", images, "auth") as two,
        one.driver() as (driver, _),
        two.driver() as (other, _),
    ):
        assert driver.deploy(one.run("3.12")).state is S.SOAKING
        assert other.deploy(two.run("3.12")).state is S.SOAKING
        before = two.serving()
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
        assert one.serving() == one.all_old()
        assert two.serving() == before


def test_the_second_operator_is_told_the_name_of_the_first(here: Place) -> None:
    lock = here.target.lock(here.name)
    first = Holder(
        name="night shift",
        host="build-7",
        process="elsewhere",
        journal="another",
        run="r7",
        stage=2,
        since="2026-11-25T20:00:00Z",
    )
    assert lock.take(first) is None
    before = here.containers()
    with here.driver() as (driver, journal):
        with pytest.raises(RolloutRefused, match=r"is held by night shift on build-7 \(stage 2, run r7"):
            driver.deploy(here.run("3.12"))
        assert journal.newest() == []
        assert here.containers() == before
        with pytest.raises(RolloutRefused, match="--force"):
            driver.unlock(here.name, force=False)
        assert driver.unlock(here.name, force=True) == first
    assert lock.holder() is None


def test_a_lock_is_taken_once_and_followed_only_from_whom_it_was(here: Place) -> None:
    lock = here.target.lock(here.name)
    one = Holder(name="one", host="h", process="p1", journal="j", run="r1", stage=1, since="")
    other, third = replace(one, name="other", process="p2"), replace(one, name="third", process="p3")
    assert lock.take(one) is None
    assert lock.take(other) == one
    assert lock.take(other, instead_of=third) == one
    assert lock.take(other, instead_of=one) is None
    assert lock.take(third, instead_of=one) == other
    lock.release(one)
    assert lock.holder() == other
    lock.release(other)
    assert lock.holder() is None


def test_where_a_container_is_asked_is_where_it_is_now(a_place: APlace) -> None:
    """Started again it may have another address; stopped it has none."""
    with a_place("auth") as here:
        old = Container(id=here.old["auth"], image=here.images["3.9"])
        spec = here.spec("auth")
        assert here.target.address(spec, old)[1] == 8000
        with told_apart():
            here.engine.client.stop(old.id, timeout=1)
        with pytest.raises(TargetRefused, match="does not run"):
            here.target.address(spec, old)
        with pytest.raises(TargetRefused, match="is gone"):
            here.target.address(spec, Container(id="0" * 64, image=""))


def test_a_network_that_leads_nowhere_else_is_this_machines_all_the_same(
    a_place: APlace, request: pytest.FixtureRequest
) -> None:
    with a_place("auth") as here:
        client = here.engine.client
        with told_apart():
            network = client.create_network(f"{here.name}-net", driver="bridge", internal=True)["Id"]
        request.addfinalizer(lambda: client.remove_network(network))
        host = client.create_host_config(network_mode=network)
        with told_apart():
            made = client.create_container(here.images["3.9"], name=f"{here.name}-other", host_config=host)["Id"]
            client.start(made)
        spec, container = here.spec("other"), Container(id=made, image=here.images["3.9"])
        address = here.target.address(spec, container)
        deadline = clock.stopwatch() + 20
        while here.target.ready(spec, container).phase is not Phase.READY:
            assert clock.stopwatch() < deadline, address
            clock.pause(0.1)


def test_an_image_that_is_not_there_is_told(here: Place) -> None:
    with pytest.raises(TargetRefused, match="the engine has no image nothing-of-that-name"):
        here.target.image_id("nothing-of-that-name:1")
