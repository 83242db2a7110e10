"""A stage on a real swarm, of engines of our own in namespaces of their own."""

import asyncio
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
from pytest_py312.repository.plan.rollout_settings import Confirm, RolloutSettings, SoakSettings
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Container, Holder, ServiceSpec, StageRun, StageState
from pytest_py312.rollout.domain.stop_signals import Stop
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.monitoring.probe_plan import watched_of
from pytest_py312.rollout.monitoring.soak import Soak
from pytest_py312.rollout.targets.swarm.services import Services
from pytest_py312.rollout.targets.swarm.target import SwarmTarget
from pytest_py312.rollout.targets.target import Phase, TargetRefused
from pytest_py312.runners.docker.engine import connect
from pytest_py312.runners.docker.errors import told_apart
from tests.integration.rollouts.services import eventually
from tests.integration.rollouts.swarm_places import REGISTRY, Swarm, SwarmPlace, swarm_place
from tests.support.fakes import service, service_tree

pytestmark = pytest.mark.docker

S = StageState
ASwarmPlace = Callable[..., AbstractContextManager[SwarmPlace]]


@pytest.fixture
def a_place(one_swarm: Swarm, tmp_path: Path) -> ASwarmPlace:
    """Makes a place with the services it is given."""
    return partial(swarm_place, one_swarm, tmp_path)


def test_a_good_stage_serves_on_the_target_beside_which_nothing_stopped_and_can_come_back(a_place: ASwarmPlace) -> None:
    with a_place("auth", replicas=2) as here, here.driver() as (driver, _):
        before = here.service("auth")["Spec"]
        run = driver.deploy(here.run("3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert {python for _, python in here.serving().values()} == {"3.12"}
        spec = here.service("auth")["Spec"]
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
        usage = here.target.sample(here.spec("auth"), new, since=0.0)
        assert usage.memory is not None
        assert usage.memory > 2 * 1024**2
        assert usage.log == ("serving", "serving")
        facts, old = here.target.engine_facts(), run["auth"].old
        assert (facts.swarm, facts.is_manager, facts.is_beside) == ("active", True, True)
        assert old is not None
        assert here.target.keeps(here.spec("auth"), old), "the way back, as the doctor sees it"
        assert not here.target.keeps(here.spec("auth"), replace(old, id="none"))
        assert here.target.image_facts(f"{REGISTRY}/nothing:3.12") is None

        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
        assert here.serving() == here.all_old()
        assert here.service("auth")["Spec"] == before
        assert here.configs() == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("3.12 crash", "no module named nothing"),
        ("3.12 sick", "auth: not ready after 5 s: 0 of 1 tasks run, 1 of another version still do; one is "),
    ],
)
def test_what_cannot_serve_comes_back_and_the_old_one_never_stopped(
    a_place: ASwarmPlace, kind: str, reason: str
) -> None:
    with a_place("auth") as here, here.driver() as (driver, _):
        task = here.tasks("auth")[0]["ID"]
        asked = here.run(kind)
        one = asked.deployments[0]
        limit = 5.0 if kind == "3.12 sick" else 30.0
        run = driver.deploy(replace(asked, deployments=(replace(one, spec=replace(one.spec, ready_timeout=limit)),)))
        assert run.state is S.ROLLED_BACK
        assert reason in run.reason
        assert here.serving() == here.all_old()
        assert [one["ID"] for one in here.tasks("auth") if one["Status"]["State"] == "running"] == [task]
        assert here.configs() == []


def test_a_port_of_the_node_is_given_up_before_it_is_taken(a_place: ASwarmPlace) -> None:
    """Started first, the new task would wait for that port in an update that never ends and never fails."""
    with a_place("auth", host_port=8123) as here, here.driver() as (driver, _):
        run = driver.deploy(here.run("3.12"))
        assert (run.state, run.reason) == (S.SOAKING, "")
        assert here.service("auth")["Spec"]["UpdateConfig"]["Order"] == "stop-first"
        assert here.serving()["auth"][1] == "3.12"
        # asked by the address of its node as well, so what it says there counts
        with pytest.raises(TargetRefused, match="nobody can be asked about its task on the node node-1: name the eng"):
            here.blind().observe(replace(here.spec("auth"), version=""))
        seen = here.blind().observe(here.spec("auth"))
        assert seen is not None
        assert str(seen.interpreter) == "3.12"
        assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
        assert here.serving() == here.all_old()


def test_an_image_that_no_node_has_comes_back(a_place: ASwarmPlace) -> None:
    with a_place("auth") as here, here.driver() as (driver, _):
        nowhere = f"{REGISTRY}/nothing:1"
        with pytest.raises(TargetRefused, match=f"neither the manager nor a registry has the image {nowhere}"):
            here.target.image_id(nowhere)
        run = here.run("3.12")
        run = driver.deploy(replace(run, deployments=(replace(run.deployments[0], image=nowhere),)))
        assert run.state is S.ROLLED_BACK
        assert "No such image" in run.reason
        assert here.serving() == here.all_old()


def test_where_the_way_back_has_lost_its_image_what_serves_is_left_alone(a_place: ASwarmPlace) -> None:
    with a_place("auth", old="3.9 lost") as here, here.driver() as (driver, _):
        run = driver.deploy(here.run("3.12"))
        before = here.serving()
        with told_apart():
            for one in here.engine.client.containers(all=True, filters={"ancestor": here.old_image}):
                here.engine.client.remove_container(one["Id"], force=True)
            here.engine.client.remove_image(here.old_image, force=True)
        run = driver.rollback(run.run, reason="by hand")
        assert run.state is S.ROLLBACK_FAILED
        assert "that served before is gone from the nodes, and no registry has it; what serves now" in run.reason
        assert here.serving() == before
        assert here.service("auth")["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == here.images["3.12"]


def test_a_service_that_nothing_served_before(a_place: ASwarmPlace) -> None:
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
        assert here.configs() == []


def test_the_engine_is_killed_in_the_middle_of_an_update(a_place: ASwarmPlace, one_swarm: Swarm) -> None:
    """And comes back a moment later: the way back waits for it."""
    with a_place("auth") as here, here.driver() as (driver, _):
        begun = here.target.switch

        def killed(spec: ServiceSpec, container: Container) -> None:
            begun(spec, container)
            one_swarm.manager.kill()
            again.start()

        again = Thread(target=one_swarm.manager.start)
        here.target.switch = killed  # type: ignore[method-assign]  # of this one target
        run = driver.deploy(here.run("3.12"))
        again.join()
        assert run.state is S.ROLLED_BACK, run.reason
        assert "does not answer" in run.reason
        assert here.serving() == here.all_old()
        assert here.configs() == []


@pytest.mark.parametrize("watches", [True, False], ids=["it goes back", "it was killed"])
def test_what_breaks_while_it_soaks_is_brought_back_whether_the_engine_has_noticed_or_not(
    a_place: ASwarmPlace, one_swarm: Swarm, tmp_path: Path, watches: bool
) -> None:
    """Killed within its minute, the engine says `completed` when it is back, and starts what breaks again for ever."""
    with a_place("auth", monitor=600.0) as here, here.driver() as (driver, journal):
        run = driver.deploy(replace(here.run("3.12 late"), soak=600.0))
        assert run.state is S.SOAKING, run.reason
        assert here.service("auth")["UpdateStatus"]["State"] == "updating"
        if not watches:
            one_swarm.manager.kill()
            one_swarm.manager.start()
        (here.shared / "broken").touch()
        run = asyncio.run(soak_of(here, driver, journal, run, tmp_path).wait(Stop())).run
        assert run.state is S.ROLLING_BACK, run.reason
        if watches:
            assert "the engine has" in run.reason
        else:
            assert here.service("auth")["UpdateStatus"]["State"] == "completed"
        assert [one.state for one in driver.recover(here.name)] == [S.ROLLED_BACK]
        assert here.serving() == here.all_old()


def soak_of(here: SwarmPlace, driver: Driver, journal: Journal, run: StageRun, root: Path) -> Soak:
    settings = SoakSettings(
        interval=2.0, duration=600.0, initial_delay=0.0, confirm=Confirm(probes=2, every=0.5, bad=2), failure_limit=0.5
    )
    services = {name: service(name, critical=True) for name in here.services}
    watched = watched_of(run, services, RolloutSettings(soak=settings), here.target, root=root)
    return Soak(journal, run.run, watched, settings, owner=driver.owner)


def test_one_of_twelve_gets_the_lock_and_all_others_are_told_who(one_swarm: Swarm) -> None:
    holders = [
        Holder(name=f"operator {number}", host="h", process=f"p{number}", journal="j", run="r", stage=1, since="")
        for number in range(12)
    ]
    environment = f"a name with spaces, too long for a config's {'x' * 40}"

    def take(holder: Holder) -> Holder | None:
        engine = one_swarm.manager.connected()
        try:
            return SwarmTarget(engine, engines={}, connect=connect).lock(environment).take(holder)
        finally:
            engine.close()

    with ThreadPoolExecutor(12) as together:
        told = list(together.map(take, holders))
    first = holders[told.index(None)]
    assert [one for one in told if one is not None] == [first] * 11
    engine = one_swarm.manager.connected()
    lock = SwarmTarget(engine, engines={}, connect=connect).lock(environment)
    other, third = [holder for holder in holders if holder != first][:2]
    assert lock.take(other, instead_of=third) == first
    assert lock.take(other, instead_of=first) is None
    lock.release(first)
    assert lock.holder() == other
    lock.release(other)
    assert lock.holder() is None
    engine.close()


def test_the_second_operator_is_refused_and_changes_nothing(a_place: ASwarmPlace) -> None:
    with a_place("auth") as here, here.driver() as (driver, journal):
        night = Holder(name="night", host="b7", process="p", journal="j", run="r7", stage=2, since="")
        assert here.target.lock(here.name).take(night) is None
        before = here.service("auth")["Version"]
        with pytest.raises(RolloutRefused, match="is held by night on b7"):
            driver.deploy(here.run("3.12"))
        assert journal.newest() == []
        assert here.service("auth")["Version"] == before

        # and whoever knows of no lock is noticed before anything is put in the place of what he has made
        made = here.target.prepare(here.spec("auth"), image=here.images["3.12"], run="r1")
        here.swarm.manager.docker("service", "update", "-d", "--env-add", "BY=hand", f"{here.name}-auth")
        with pytest.raises(TargetRefused, match="was changed by somebody else since it was looked at"):
            here.target.switch(here.spec("auth"), made)


def test_only_so_many_specs_are_kept_beside_those_that_are_needed(a_place: ASwarmPlace) -> None:
    with a_place("auth") as here:
        spec = replace(here.spec("auth"), retain=2)
        for run in ("r1", "r2", "r3", "r3"):
            made = here.target.prepare(spec, image=here.images["3.12"], run=run)
        # what no task is replaced for takes nothing from what serves
        here.swarm.manager.docker(
            "service", "update", "-d", "--constraint-add", "node.role==manager", f"{here.name}-auth"
        )
        assert here.target.ready(spec, Container(id=here.old["auth"], image="")).phase is Phase.READY
        assert here.serving() == here.all_old()
        names = [one.removeprefix("py312-spec-") for one in here.configs()]
        assert len(names) == 3
        assert {here.old["auth"], made.id} < set(names)


def test_a_change_that_came_too_late_is_made_of_what_there_is_by_then(a_place: ASwarmPlace) -> None:
    """The engine answers 500 `update out of sequence`, and not 409."""
    with a_place("auth") as here:
        name, seen = f"{here.name}-auth", []

        def change(current: object) -> dict[str, object]:
            assert isinstance(current, dict)
            seen.append(current["Labels"])
            if len(seen) == 1:
                here.swarm.manager.docker("service", "update", "-d", "--label-add", "by=another", name)
            return {**current, "Labels": {**current["Labels"], "by": "us"}}

        Services(here.engine).change(name, change)
        assert [labels.get("by") for labels in seen] == [None, "another"]
        assert here.service("auth")["Spec"]["Labels"]["by"] == "us"


def test_killed_at_a_random_moment_all_are_old_or_all_are_new(a_place: ASwarmPlace) -> None:
    drawn = random.Random(7)
    with a_place("auth", "user") as here:
        for ends in range(2):
            code = "import sys; from tests.integration.rollouts.swarm_places import act; act(*sys.argv[1:])"
            argv = [
                sys.executable, "-c", code, here.swarm.manager.socket, str(here.folder), here.name, here.images["3.12"]
            ]  # fmt: skip
            with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                time.sleep(drawn.uniform(0.2, 5.0))
                process.send_signal(signal.SIGKILL)
            with here.driver() as (driver, journal):
                driver.recover(here.name)
                states = {run.run: run.state for run in journal.newest(here.name)}
                if S.SOAKING in states.values():
                    assert {python for _, python in here.serving().values()} == {"3.12"}
                    assert driver.rollback(next(iter(states)), reason="the round is over").state is S.ROLLED_BACK
                else:
                    assert set(states.values()) <= {S.ROLLED_BACK}, (ends, states)
                assert here.serving() == here.all_old()
                assert here.configs() == []


def test_three_nodes_of_which_one_is_lost_while_it_soaks(one_swarm: Swarm, tmp_path: Path) -> None:
    with one_swarm.joined(2) as workers:
        engines = {one.name: one.socket for one in workers}
        with (
            swarm_place(one_swarm, tmp_path, "auth", replicas=3, engines=engines) as here,
            here.driver() as (driver, _),
        ):
            assert {*here.nodes_of("auth")} == {one.node_id() for one in (one_swarm.manager, *workers)}
            with pytest.raises(TargetRefused, match=r"nobody can be asked about its task on the node node-[23]: name"):
                SwarmTarget(here.engine, engines={}, connect=connect).observe(here.spec("auth"))
            with pytest.raises(TargetRefused, match='no such node, perhaps you meant "node-2"'):
                SwarmTarget(here.engine, engines={"node2": "unix:///x"}, connect=connect).observe(here.spec("auth"))
            run = driver.deploy(here.run("3.12"))
            assert (run.state, run.reason) == (S.SOAKING, "")
            new = run["auth"].new
            assert new is not None
            usage = here.target.sample(here.spec("auth"), new, since=0.0)
            assert usage.log == ("serving",) * 3

            # the engine spreads what it starts anew as it likes
            lost = next(one for one in workers if one.node_id() in here.nodes_of("auth"))
            gone = lost.node_id()
            lost.cut()
            eventually(lambda: here.is_down(gone), "the managers have not noticed that a node is gone")
            eventually(
                lambda: here.target.ready(here.spec("auth"), new).phase is Phase.READY,
                "what ran on the node that is gone is started nowhere else",
            )
            assert len(here.nodes_of("auth")) == 3
            assert gone not in here.nodes_of("auth")
            assert here.serving()["auth"] == (new.id, "3.12")
            assert driver.rollback(run.run, reason="by hand").state is S.ROLLED_BACK
            assert here.serving() == here.all_old()


PLAN = """
target = "3.12"

[deploy]
target = "swarm"
image = "{registry}/service:{{version}}"
environments = {{ test = {{ engine = "{engine}" }} }}
readiness-delay = "1s"

[[stage]]
number = 1
services = ["auth"]

[service.auth]
deploy = {{ container = "{container}", port = 8000, health = "/health" }}
"""


def test_a_plan_names_the_swarm(a_place: ASwarmPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with a_place("auth") as here:
        plan = PLAN.format(container=f"{here.name}-auth", engine=here.swarm.manager.socket, registry=REGISTRY)
        root = service_tree(tmp_path / "repository", {"services/auth/requirements.txt": "", "py312.toml": plan})
        assert main(["deploy", "--stage", "1", str(root)]) == 0
        assert here.serving()["auth"][1] == "3.12"
        assert main(["rollback", "--stage", "1", str(root)]) == 0
        assert here.serving() == here.all_old()
        assert capsys.readouterr().out == "stage 1 is soaking\nstage 1 is rolled back: by hand\n"
