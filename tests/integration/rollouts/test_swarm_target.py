"""The swarm target on a real swarm of private engines."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from pytest_py312.cli.main import main
from pytest_py312.core.errors import RolloutRefused
from pytest_py312.repository.plan.rollout_settings import ConfirmSettings, RolloutSettings, SoakSettings
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.stop_signals import StopRequest
from pytest_py312.rollout.domain.target_model import Container, LockHolder, ServiceSpec
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.monitoring.probe_plan import monitored_services
from pytest_py312.rollout.monitoring.soak import SoakMonitor
from pytest_py312.rollout.targets.swarm.services import SwarmServices
from pytest_py312.rollout.targets.swarm.target import SwarmTarget
from pytest_py312.rollout.targets.target import ReadinessPhase, TargetRefused
from pytest_py312.runners.docker.engine import connect
from pytest_py312.runners.docker.errors import translate_errors
from tests.integration.rollouts.docker_environments import eventually
from tests.integration.rollouts.swarm_environments import REGISTRY, Swarm, SwarmEnvironment, start_swarm_environment
from tests.support.fakes import service, service_tree

pytestmark = pytest.mark.docker

S = StageState
MakeEnvironment = Callable[..., AbstractContextManager[SwarmEnvironment]]


@pytest.fixture
def make_environment(shared_swarm: Swarm, tmp_path: Path) -> MakeEnvironment:
    """Return a function that starts an environment with the given services."""
    return partial(start_swarm_environment, shared_swarm, tmp_path)


def test_a_deployed_stage_keeps_its_settings_and_can_be_rolled_back(
    make_environment: MakeEnvironment,
) -> None:
    with make_environment("auth", replicas=2) as environment, environment.driver() as (driver, _):
        spec_before = environment.service("auth")["Spec"]
        run = driver.deploy(environment.run("3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert {python for _, python in environment.serving().values()} == {"3.12"}
        spec = environment.service("auth")["Spec"]
        assert spec["UpdateConfig"] == {
            "Parallelism": 1,
            "FailureAction": "rollback",
            "Monitor": 5_000_000_000,
            "MaxFailureRatio": 0,
            "Order": "start-first",
        }
        assert spec["RollbackConfig"]["FailureAction"] == "pause"
        assert spec["TaskTemplate"]["ContainerSpec"]["Env"] == ["GREETING=from auth"]
        new = run["auth"].new
        assert new is not None
        usage = environment.target.read_usage(environment.spec("auth"), new, since=0.0)
        assert usage.memory is not None
        assert usage.memory > 2 * 1024**2
        assert usage.log == ("serving", "serving")
        facts, old = environment.target.engine_info(), run["auth"].old
        assert (facts.swarm_state, facts.is_manager, facts.is_local) == ("active", True, True)
        assert old is not None
        assert environment.target.has_container(environment.spec("auth"), old), (
            "the rollback target, as the doctor sees it"
        )
        assert not environment.target.has_container(environment.spec("auth"), replace(old, id="none"))
        assert environment.target.image_info(f"{REGISTRY}/nothing:3.12") is None

        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
        assert environment.serving() == environment.all_old()
        assert environment.service("auth")["Spec"] == spec_before
        assert environment.configs() == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("3.12 crash", "no module named nothing"),
        ("3.12 sick", "auth: not ready after 5 s: 0 of 1 tasks run, 1 of another version still run; one is "),
    ],
)
def test_a_broken_image_is_rolled_back_without_stopping_the_old_version(
    make_environment: MakeEnvironment, kind: str, reason: str
) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        task = environment.tasks("auth")[0]["ID"]
        requested = environment.run(kind)
        deployment = requested.deployments[0]
        limit = 5.0 if kind == "3.12 sick" else 30.0
        run = driver.deploy(
            replace(requested, deployments=(replace(deployment, spec=replace(deployment.spec, ready_timeout=limit)),))
        )
        assert run.state is S.ROLLED_BACK
        assert reason in run.reason
        assert environment.serving() == environment.all_old()
        assert [
            deployment["ID"] for deployment in environment.tasks("auth") if deployment["Status"]["State"] == "running"
        ] == [task]
        assert environment.configs() == []


def test_a_host_port_is_released_before_it_is_bound_again(make_environment: MakeEnvironment) -> None:
    """Started first, the new task would wait for the port, and the update would neither end nor fail."""
    with make_environment("auth", host_port=8123) as environment, environment.driver() as (driver, _):
        run = driver.deploy(environment.run("3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert environment.service("auth")["Spec"]["UpdateConfig"]["Order"] == "stop-first"
        assert environment.serving()["auth"][1] == "3.12"
        # reachable by the address of its node, so its version path counts
        with pytest.raises(TargetRefused, match="its task on the node node-1 cannot be inspected: add the eng"):
            environment.without_node_engines().observe(replace(environment.spec("auth"), version=""))
        seen = environment.without_node_engines().observe(environment.spec("auth"))
        assert seen is not None
        assert str(seen.interpreter) == "3.12"
        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
        assert environment.serving() == environment.all_old()


def test_an_image_that_no_node_has_is_rolled_back(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        nowhere = f"{REGISTRY}/nothing:1"
        with pytest.raises(TargetRefused, match=f"neither the manager nor a registry has the image {nowhere}"):
            environment.target.image_id(nowhere)
        run = environment.run("3.12")
        run = driver.deploy(replace(run, deployments=(replace(run.deployments[0], image=nowhere),)))
        assert run.state is S.ROLLED_BACK
        assert "No such image" in run.reason
        assert environment.serving() == environment.all_old()


def test_without_the_old_image_the_serving_version_is_not_changed(make_environment: MakeEnvironment) -> None:
    with make_environment("auth", old="3.9 lost") as environment, environment.driver() as (driver, _):
        run = driver.deploy(environment.run("3.12"))
        serving_before = environment.serving()
        with translate_errors():
            for container in environment.engine.client.containers(
                all=True, filters={"ancestor": environment.old_image}
            ):
                environment.engine.client.remove_container(container["Id"], force=True)
            environment.engine.client.remove_image(environment.old_image, force=True)
        run = driver.rollback(run.run, reason="by hand")
        assert run.state is S.ROLLBACK_FAILED
        assert "is on no node and in no registry; the serving version was not changed" in run.reason
        assert environment.serving() == serving_before
        assert (
            environment.service("auth")["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == environment.images["3.12"]
        )


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
        assert environment.configs() == []


def test_an_engine_killed_during_an_update_leads_to_a_rollback(
    make_environment: MakeEnvironment, shared_swarm: Swarm
) -> None:
    """It restarts a moment later, and the rollback waits for it."""
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        real_switch = environment.target.switch

        def switch_and_kill(spec: ServiceSpec, container: Container) -> None:
            real_switch(spec, container)
            shared_swarm.manager.kill()
            restart.start()

        restart = Thread(target=shared_swarm.manager.start)
        environment.target.switch = switch_and_kill  # type: ignore[method-assign]  # of this one target
        run = driver.deploy(environment.run("3.12"))
        restart.join()
        assert run.state is S.ROLLED_BACK, run.reason
        assert "does not answer" in run.reason
        assert environment.serving() == environment.all_old()
        assert environment.configs() == []


@pytest.mark.parametrize("watches", [True, False], ids=["swarm rolls back", "engine was killed"])
def test_a_service_that_breaks_in_the_soak_is_rolled_back(
    make_environment: MakeEnvironment, shared_swarm: Swarm, tmp_path: Path, watches: bool
) -> None:
    """An engine killed while it monitors an update reports `completed` afterwards, and restarts tasks for ever."""
    with make_environment("auth", monitor=600.0) as environment, environment.driver() as (driver, journal):
        run = driver.deploy(replace(environment.run("3.12 late"), soak=600.0))
        assert run.state is S.SOAKING, run.reason
        assert environment.service("auth")["UpdateStatus"]["State"] == "updating"
        if not watches:
            shared_swarm.manager.kill()
            shared_swarm.manager.start()
        (environment.shared / "broken").touch()
        run = asyncio.run(soak_of(environment, driver, journal, run, tmp_path).wait(StopRequest())).run
        assert run.state is S.ROLLING_BACK, run.reason
        if watches:
            assert "the engine has" in run.reason
        else:
            assert environment.service("auth")["UpdateStatus"]["State"] == "completed"
        (recovered,) = driver.recover(environment.name)
        assert recovered.state is S.ROLLED_BACK, recovered
        assert environment.serving() == environment.all_old()


def soak_of(environment: SwarmEnvironment, driver: Driver, journal: Journal, run: StageRun, root: Path) -> SoakMonitor:
    settings = SoakSettings(
        interval=2.0,
        duration=600.0,
        initial_delay=0.0,
        confirm=ConfirmSettings(probes=2, every=0.5, bad=2),
        failure_limit=0.5,
    )
    services = {name: service(name, critical=True) for name in environment.services}
    watched = monitored_services(run, services, RolloutSettings(soak=settings), environment.target, root=root)
    return SoakMonitor(journal, run.run, watched, settings, owner=driver.owner)


def test_one_of_twelve_gets_the_lock_and_the_others_get_its_holder(shared_swarm: Swarm) -> None:
    holders = [
        LockHolder(name=f"operator {number}", host="h", process=f"p{number}", journal="j", run="r", stage=1, since="")
        for number in range(12)
    ]
    environment = f"a name with spaces, too long for a config's {'x' * 40}"

    def take(holder: LockHolder) -> LockHolder | None:
        engine = shared_swarm.manager.connected()
        try:
            return SwarmTarget(engine, engines={}, connect=connect).environment_lock(environment).acquire(holder)
        finally:
            engine.close()

    with ThreadPoolExecutor(12) as together:
        answers = list(together.map(take, holders))
    first = holders[answers.index(None)]
    assert [answer for answer in answers if answer is not None] == [first] * 11
    engine = shared_swarm.manager.connected()
    lock = SwarmTarget(engine, engines={}, connect=connect).environment_lock(environment)
    other, third = [holder for holder in holders if holder != first][:2]
    assert lock.acquire(other, replacing=third) == first
    assert lock.acquire(other, replacing=first) is None
    lock.release(first)
    assert lock.holder() == other
    lock.release(other)
    assert lock.holder() is None
    engine.close()


def test_the_second_operator_is_refused_and_changes_nothing(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, journal):
        night = LockHolder(name="night", host="b7", process="p", journal="j", run="r7", stage=2, since="")
        assert environment.target.environment_lock(environment.name).acquire(night) is None
        version_before = environment.service("auth")["Version"]
        with pytest.raises(RolloutRefused, match="is held by night on b7"):
            driver.deploy(environment.run("3.12"))
        assert journal.current_runs() == []
        assert environment.service("auth")["Version"] == version_before

        # a change by someone who ignores the lock is noticed before it is replaced
        made = environment.target.prepare(environment.spec("auth"), image=environment.images["3.12"], run="r1")
        environment.swarm.manager.docker("service", "update", "-d", "--env-add", "BY=hand", f"{environment.name}-auth")
        with pytest.raises(TargetRefused, match="was changed by someone else since it was observed"):
            environment.target.switch(environment.spec("auth"), made)


def test_the_number_of_stored_specs_is_limited(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment:
        spec = replace(environment.spec("auth"), retain=2)
        for run in ("r1", "r2", "r3", "r3"):
            made = environment.target.prepare(spec, image=environment.images["3.12"], run=run)
        # a change that replaces no task does not affect readiness
        environment.swarm.manager.docker(
            "service", "update", "-d", "--constraint-add", "node.role==manager", f"{environment.name}-auth"
        )
        assert (
            environment.target.readiness(spec, Container(id=environment.old["auth"], image="")).phase
            is ReadinessPhase.READY
        )
        assert environment.serving() == environment.all_old()
        names = [name.removeprefix("py312-spec-") for name in environment.configs()]
        assert len(names) == 3
        assert {environment.old["auth"], made.id} < set(names)


def test_an_update_out_of_sequence_is_repeated_on_the_current_spec(make_environment: MakeEnvironment) -> None:
    """The engine answers 500 `update out of sequence`, and not 409."""
    with make_environment("auth") as environment:
        name, seen = f"{environment.name}-auth", []

        def change(current: object) -> dict[str, object]:
            assert isinstance(current, dict)
            seen.append(current["Labels"])
            if len(seen) == 1:
                environment.swarm.manager.docker("service", "update", "-d", "--label-add", "by=another", name)
            return {**current, "Labels": {**current["Labels"], "by": "us"}}

        SwarmServices(environment.engine).update(name, change)
        assert [labels.get("by") for labels in seen] == [None, "another"]
        assert environment.service("auth")["Spec"]["Labels"]["by"] == "us"


DEPLOY_TWO_SERVICES = """
import sys
from tests.integration.rollouts.swarm_environments import deploy_two_services
deploy_two_services(*sys.argv[1:])
"""


def test_after_a_kill_all_services_are_old_or_all_are_new(make_environment: MakeEnvironment) -> None:
    rng = random.Random(7)
    with make_environment("auth", "user") as environment:
        for ends in range(2):
            arguments = (
                environment.swarm.manager.socket,
                environment.folder,
                environment.name,
                environment.images["3.12"],
            )
            argv = [sys.executable, "-c", DEPLOY_TWO_SERVICES, *map(str, arguments)]
            with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                time.sleep(rng.uniform(0.2, 5.0))
                process.send_signal(signal.SIGKILL)
            with environment.driver() as (driver, journal):
                driver.recover(environment.name)
                states = {run.run: run.state for run in journal.current_runs(environment.name)}
                if S.SOAKING in states.values():
                    assert {python for _, python in environment.serving().values()} == {"3.12"}
                    assert driver.rollback(next(iter(states)), reason="the round is over").state is S.ROLLED_BACK
                else:
                    assert set(states.values()) <= {S.ROLLED_BACK}, (ends, states)
                assert environment.serving() == environment.all_old()
                assert environment.configs() == []


def test_one_of_three_nodes_is_lost_during_the_soak(shared_swarm: Swarm, tmp_path: Path) -> None:
    with shared_swarm.joined(2) as workers:
        engines = {engine.name: engine.socket for engine in workers}
        with (
            start_swarm_environment(shared_swarm, tmp_path, "auth", replicas=3, engines=engines) as environment,
            environment.driver() as (driver, _),
        ):
            assert {*environment.nodes_of("auth")} == {engine.node_id() for engine in (shared_swarm.manager, *workers)}
            with pytest.raises(TargetRefused, match=r"its task on the node node-[23] cannot be inspected: add"):
                SwarmTarget(environment.engine, engines={}, connect=connect).observe(environment.spec("auth"))
            with pytest.raises(TargetRefused, match='no such node, perhaps you meant "node-2"'):
                SwarmTarget(environment.engine, engines={"node2": "unix:///x"}, connect=connect).observe(
                    environment.spec("auth")
                )
            run = driver.deploy(environment.run("3.12"))
            assert (run.state, run.reason) == (S.SOAKING, "")
            new = run["auth"].new
            assert new is not None
            usage = environment.target.read_usage(environment.spec("auth"), new, since=0.0)
            assert usage.log == ("serving",) * 3

            # the engine chooses the nodes of restarted tasks
            lost = next(engine for engine in workers if engine.node_id() in environment.nodes_of("auth"))
            gone = lost.node_id()
            lost.cut()
            eventually(lambda: environment.is_down(gone), "the managers have not noticed that a node is gone")
            eventually(
                lambda: environment.target.readiness(environment.spec("auth"), new).phase is ReadinessPhase.READY,
                "the task of the lost node was not restarted elsewhere",
            )
            assert len(environment.nodes_of("auth")) == 3
            assert gone not in environment.nodes_of("auth")
            assert environment.serving()["auth"] == (new.id, "3.12")
            assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
            assert environment.serving() == environment.all_old()


PLAN = """
target = "3.12"

[deploy]
target = "swarm"
image = "{registry}/service:{{version}}"
environments = {{ test = {{ engine = "{engine}", drill = true }} }}
readiness-delay = "1s"

[[stage]]
number = 1
services = ["auth"]

[service.auth]
deploy = {{ container = "{container}", port = 8000, health = "/health" }}
"""


def test_a_plan_names_the_swarm(
    make_environment: MakeEnvironment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_environment("auth") as environment:
        plan = PLAN.format(
            container=f"{environment.name}-auth", engine=environment.swarm.manager.socket, registry=REGISTRY
        )
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
        assert main(["deploy", "--stage", "1", str(root)]) == 0
        assert environment.serving()["auth"][1] == "3.12"
        assert main(["rollback", "--stage", "1", str(root)]) == 0
        assert environment.serving() == environment.all_old()
        assert capsys.readouterr().out == "stage 1 is soaking\nstage 1 is rolled back: manual\n"


def test_a_drill_stops_what_the_swarm_replaces_until_it_is_noticed(
    make_environment: MakeEnvironment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_environment("auth", replicas=2) as environment:
        plan = PLAN.format(
            container=f"{environment.name}-auth", engine=environment.swarm.manager.socket, registry=REGISTRY
        )
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
        assert main(["drill", "--stage", "1", "--fault", "stop", str(root), "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert (result["passed"], result["state"]) == (True, "rolled back")
        assert environment.serving() == environment.all_old()
        assert environment.configs() == []


def test_a_drill_needs_the_engine_of_each_node(make_environment: MakeEnvironment) -> None:
    with make_environment("auth") as environment, environment.driver() as (driver, _):
        run = driver.deploy(environment.run("3.12"))
        new = run["auth"].new
        assert new is not None
        with pytest.raises(TargetRefused, match="cannot be inspected: add the engine of that node to the environment"):
            environment.without_node_engines().stop_for_drill(environment.spec("auth"), new)
        assert environment.serving()["auth"] == (new.id, "3.12")
