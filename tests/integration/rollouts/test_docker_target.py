"""The Docker target on a real engine: deployment, rollback, and what the target reads and does."""

import json
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.domain.target_model import Container, LockHolder, ServiceSpec
from pytest_py312.rollout.targets.target import Readiness, ReadinessPhase, TargetRefused
from pytest_py312.runners.docker.errors import translate_errors
from tests.integration.rollouts.docker_environments import DockerEnvironment, start_environment

pytestmark = pytest.mark.docker

S = StageState
MakeEnvironment = Callable[..., AbstractContextManager[DockerEnvironment]]


def test_a_deployed_stage_keeps_its_settings_and_can_be_rolled_back(
    make_environment: MakeEnvironment,
) -> None:
    with make_environment("auth", "user") as environment, environment.driver() as (driver, journal):
        run = driver.deploy(environment.run("3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert {python for _, python in environment.serving().values()} == {"3.12"}
        with translate_errors():
            inspected = environment.engine.client.inspect_container(f"{environment.name}-auth")
        host, port = environment.target.address(
            environment.spec("auth"), Container(id=inspected["Id"], image=inspected["Image"])
        )
        with urllib.request.urlopen(f"http://{host}:{port}/version", timeout=5) as answer:
            assert json.load(answer)["greeting"] == "from auth"
        assert inspected["HostConfig"]["RestartPolicy"]["Name"] == "always"
        assert not any(word.startswith("PYTHON_VERSION=3.9") for word in inspected["Config"]["Env"])
        usage = environment.target.read_usage(
            environment.spec("auth"), Container(id=inspected["Id"], image=inspected["Image"]), since=0.0
        )
        assert usage.memory is not None
        assert usage.memory > 1024**2
        assert usage.log == ("serving",)
        assert usage.process_ages

        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
        assert environment.serving() == environment.all_old()
        assert len(environment.containers()) == 2
        assert [entry.content for entry in journal.history("r1") if isinstance(entry.content, str)] != []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("3.12 crash", "no module named nothing"),
        ("3.11", "it runs on Python 3.11, not on 3.12"),
    ],
)
def test_a_broken_or_wrong_image_is_rolled_back(make_environment: MakeEnvironment, kind: str, reason: str) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        run = driver.deploy(environment.run(kind))
        assert run.state is S.ROLLED_BACK
        assert reason in run.reason
        assert environment.serving() == environment.all_old()
        assert list(environment.containers()) == [f"{environment.name}-auth"]


def test_one_unhealthy_service_of_three_rolls_all_back(environment: DockerEnvironment) -> None:
    sick = environment.run("3.12", "3.12", "3.12 sick")
    # long enough for a busy machine to start a server in
    deployments = tuple(
        replace(deployment, spec=replace(deployment.spec, ready_timeout=6.0)) for deployment in sick.deployments
    )
    with environment.driver() as (driver, _):
        run = driver.deploy(replace(sick, deployments=deployments))
        assert run.state is S.ROLLED_BACK
        assert run.reason == "gateway: not ready after 6 s: /health answers 500"
    assert environment.serving() == environment.all_old()
    assert len(environment.containers()) == 3


def test_a_new_service_is_deployed_and_removed_again(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        first = replace(environment.spec("billing"), environment={"GREETING": "new"})
        run = environment.run("3.12")
        run = replace(run, deployments=(replace(run.deployments[0], spec=first),))
        assert driver.deploy(run).state is S.SOAKING
        seen = environment.target.observe(first)
        assert seen is not None
        assert str(seen.interpreter) == "3.12"
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
        assert environment.target.observe(first) is None


def test_a_rollback_uses_the_old_image_if_the_container_was_removed(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        driver.deploy(environment.run("3.12"))
        with translate_errors():
            environment.engine.client.remove_container(environment.old["auth"], force=True)
        assert driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
        container, python = environment.serving()["auth"]
        assert (container != environment.old["auth"], python) == (True, "3.9")
        assert len(environment.containers()) == 1


def test_the_interpreter_of_the_process_is_checked_beside_the_version_path(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment:
        interpreters = {}
        for path in ("", "/version", "/says/3.7.1"):
            seen = environment.target.observe(replace(environment.spec("auth"), version=path))
            assert seen is not None
            interpreters[path] = [str(interpreter) for interpreter in seen.interpreters]
        assert interpreters == {"": ["3.9"], "/version": ["3.9"], "/says/3.7.1": ["3.7", "3.9"]}


def test_the_number_of_kept_containers_is_limited(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment:
        spec = replace(environment.spec("auth"), retain=2)
        made = []
        for number in range(4):
            made.append(environment.target.prepare(spec, image=environment.images["3.12"], run=f"r{number}"))
            environment.target.switch(spec, made[-1])
        left = set(environment.containers().values())
        assert left == {environment.old["auth"], made[1].id, made[2].id, made[3].id}
        with translate_errors():
            states = {
                container["Id"]: container["State"]
                for container in environment.engine.client.containers(all=True)
                if container["Id"] in left
            }
        assert [name for name, state in states.items() if state == "running"] == [made[3].id]


def test_a_prune_during_a_deployment_is_compensated(make_environment: MakeEnvironment) -> None:
    """It removes the old container and the lock, which do not run, right before the new container fails."""
    with make_environment("auth") as environment, environment.driver() as (driver, journal):
        sick = environment.run("3.12 sick")
        deployment = sick.deployments[0]
        real_readiness = environment.target.readiness

        def prune_first(spec: ServiceSpec, container: Container) -> Readiness:
            if container.id != environment.old["auth"] and environment.old["auth"] in environment.containers().values():
                with translate_errors():
                    environment.engine.client.remove_container(environment.old["auth"], force=True)
                    environment.engine.client.remove_container(f"py312-lock-{environment.name}", force=True)
            return real_readiness(spec, container)

        environment.target.readiness = prune_first  # type: ignore[method-assign]  # of this one target
        run = driver.deploy(
            replace(sick, deployments=(replace(deployment, spec=replace(deployment.spec, ready_timeout=2.0)),))
        )
        assert run.state is S.ROLLED_BACK
        container, python = environment.serving()["auth"]
        assert (container != environment.old["auth"], python) == (True, "3.9")
        with translate_errors():
            inspected = environment.engine.client.inspect_container(container)
        assert "GREETING=from auth" in inspected["Config"]["Env"]
        assert list(environment.containers()) == [f"{environment.name}-auth"]
        notes = [entry.content for entry in journal.history("r1") if isinstance(entry.content, str)]
        assert any("was gone, and was taken again" in note for note in notes)


def test_a_manual_deployment_meanwhile_is_kept(make_environment: MakeEnvironment) -> None:
    """Made after the run has observed the service and before it switches."""
    with make_environment("auth", "user") as environment, environment.driver() as (driver, _):
        client, name, prepared = environment.engine.client, f"{environment.name}-user", environment.target.prepare

        def prepare_after_manual_deployment(spec: ServiceSpec, *, image: str, run: str) -> Container:
            made = prepared(spec, image=image, run=run)
            if spec.service == "user":
                with translate_errors():
                    client.stop(name, timeout=1)
                    client.rename(name, f"{name}.before")
                    client.start(client.create_container(environment.images["3.11"], name=name)["Id"])
            return made

        environment.target.prepare = prepare_after_manual_deployment  # type: ignore[method-assign]  # of this one target
        run = driver.deploy(environment.run("3.12"))
        assert run.state is S.ROLLED_BACK
        assert f"serves in place of {environment.old['user'][:12]}" in run.reason
        assert run.reason.endswith("deployed by someone else, serves and was left as it is")
        serving = environment.serving()
        assert serving["auth"] == (environment.old["auth"], "3.9")
        assert serving["user"][1] == "3.11"
        assert environment.containers().keys() == {f"{environment.name}-auth", name, f"{name}.before"}


def test_a_container_started_with_rm_is_refused(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        with translate_errors():
            environment.engine.client.remove_container(environment.old["auth"], force=True)
            host = environment.engine.client.create_host_config(auto_remove=True)
            made = environment.engine.client.create_container(
                environment.images["3.9"], name=f"{environment.name}-auth", host_config=host
            )
            environment.engine.client.start(made["Id"])
        run = driver.deploy(environment.run("3.12"))
        assert run.state is S.ROLLED_BACK
        assert "started with --rm" in run.reason
        assert environment.serving()["auth"] == (made["Id"], "3.9")


def test_two_environments_of_one_engine_are_independent(tmp_path: Path, images: dict[str, str]) -> None:
    """Even if their runs have the same name."""
    with (
        start_environment(tmp_path / "one", images, "auth") as first,
        start_environment(tmp_path / "two", images, "auth") as second,
        first.driver() as (first_driver, _),
        second.driver() as (second_driver, _),
    ):
        assert first_driver.deploy(first.run("3.12")).state is S.SOAKING
        assert second_driver.deploy(second.run("3.12")).state is S.SOAKING
        serving_before = second.serving()
        assert first_driver.rollback("r1", reason="by hand").state is S.ROLLED_BACK
        assert first.serving() == first.all_old()
        assert second.serving() == serving_before


def test_the_second_operator_gets_the_name_of_the_first(environment: DockerEnvironment) -> None:
    lock = environment.target.environment_lock(environment.name)
    first = LockHolder(
        name="night shift",
        host="build-7",
        process="elsewhere",
        journal="another",
        run="r7",
        stage=2,
        since="2026-11-25T20:00:00Z",
    )
    assert lock.acquire(first) is None
    containers_before = environment.containers()
    with environment.driver() as (driver, journal):
        with pytest.raises(RolloutRefused, match=r"is held by night shift on build-7 \(stage 2, run r7"):
            driver.deploy(environment.run("3.12"))
        assert journal.current_runs() == []
        assert environment.containers() == containers_before
        with pytest.raises(RolloutRefused, match="--force"):
            driver.locks.unlock(environment.name, force=False)
        assert driver.locks.unlock(environment.name, force=True) == first
    assert lock.holder() is None


def test_a_lock_has_one_holder_and_only_the_holder_is_replaced(environment: DockerEnvironment) -> None:
    lock = environment.target.environment_lock(environment.name)
    first = LockHolder(name="one", host="h", process="p1", journal="j", run="r1", stage=1, since="")
    second, third = replace(first, name="other", process="p2"), replace(first, name="third", process="p3")
    assert lock.acquire(first) is None
    assert lock.acquire(second) == first
    assert lock.acquire(second, replacing=third) == first
    assert lock.acquire(second, replacing=first) is None
    assert lock.acquire(third, replacing=first) == second
    lock.release(first)
    assert lock.holder() == second
    lock.release(second)
    assert lock.holder() is None


def test_the_address_of_a_container_is_current(make_environment: MakeEnvironment) -> None:
    """After a restart it may differ; a stopped container has none."""
    with make_environment("auth") as environment:
        old = Container(id=environment.old["auth"], image=environment.images["3.9"])
        spec = environment.spec("auth")
        assert environment.target.address(spec, old)[1] == 8000
        with translate_errors():
            environment.engine.client.stop(old.id, timeout=1)
        with pytest.raises(TargetRefused, match="does not run"):
            environment.target.address(spec, old)
        with pytest.raises(TargetRefused, match="is gone"):
            environment.target.address(spec, Container(id="0" * 64, image=""))


def test_a_container_in_an_internal_network_is_reachable(
    make_environment: MakeEnvironment, request: pytest.FixtureRequest
) -> None:
    with make_environment("auth") as environment:
        client = environment.engine.client
        with translate_errors():
            network = client.create_network(f"{environment.name}-net", driver="bridge", internal=True)["Id"]
        request.addfinalizer(lambda: client.remove_network(network))
        host = client.create_host_config(network_mode=network)
        with translate_errors():
            made = client.create_container(
                environment.images["3.9"], name=f"{environment.name}-other", host_config=host
            )["Id"]
            client.start(made)
        spec, container = environment.spec("other"), Container(id=made, image=environment.images["3.9"])
        address = environment.target.address(spec, container)
        deadline = clock.stopwatch() + 20
        while environment.target.readiness(spec, container).phase is not ReadinessPhase.READY:
            assert clock.stopwatch() < deadline, address
            clock.pause(0.1)


def test_a_missing_image_is_reported(environment: DockerEnvironment) -> None:
    with pytest.raises(TargetRefused, match="the engine has no image nothing-of-that-name"):
        environment.target.image_id("nothing-of-that-name:1")
