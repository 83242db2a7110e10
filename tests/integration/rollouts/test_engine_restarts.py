"""The engine is killed while a stage goes up, and while it soaks: a private one, whose containers die with it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.domain.model import Container, Result, ServiceSpec, StageState
from pytest_py312.rollout.monitoring.breaches import Watched
from pytest_py312.rollout.monitoring.probes import ContainerProbe
from pytest_py312.rollout.monitoring.soak import Soak
from pytest_py312.rollout.targets.docker.inspection import swarm_identity
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.runners.docker.engine import connect
from tests.integration.rollouts.services import Place, place
from tests.integration.rollouts.swarm_places import Swarm

pytestmark = pytest.mark.docker


@pytest.fixture
def here(one_swarm: Swarm, tmp_path: Path) -> Iterator[Place]:
    """Two services that a private engine serves, as containers of its own."""
    with place(tmp_path, one_swarm.images, "auth", "user", address=one_swarm.manager.socket) as made:
        yield made


@pytest.mark.parametrize("restarts", [True, False], ids=["it is back soon", "it is back for the recovery"])
def test_killed_while_a_stage_goes_up_all_is_old_again(one_swarm: Swarm, here: Place, restarts: bool) -> None:
    """Also what was not reached, and so is left alone: containers that are to run unless they were stopped stay down
    with some engines when those were killed."""
    begun = here.target.switch
    again = Thread(target=one_swarm.manager.start)

    def killed(spec: ServiceSpec, container: Container) -> None:
        here.target.switch = begun  # type: ignore[method-assign]  # the way back is not disturbed
        begun(spec, container)
        one_swarm.manager.kill()
        if restarts:
            again.start()

    here.target.switch = killed  # type: ignore[method-assign]  # of this one target
    with here.driver() as (driver, _):
        run = driver.deploy(here.run("3.12"))
        if restarts:
            again.join()
        else:
            assert run.state is not StageState.ROLLED_BACK, "nobody can have brought it back"
            one_swarm.manager.start()
        if run.state is not StageState.ROLLED_BACK:
            (run,) = driver.recover(here.name)
        assert run.state is StageState.ROLLED_BACK, run.reason
        assert here.serving() == here.all_old()
        assert not [name for name in here.containers() if ".next" in name]


def test_an_engine_is_the_same_one_when_it_is_started_anew_and_another_one_is_another(
    one_swarm: Swarm, here: Place
) -> None:
    before, swarm = here.target.identity(), swarm_identity(here.engine)
    own = connect()
    try:
        assert before
        assert DockerTarget(own).identity() not in ("", before)
        assert swarm not in ("", before)
    finally:
        own.close()
    one_swarm.manager.kill()
    one_swarm.manager.start()
    assert (here.target.identity(), swarm_identity(here.engine)) == (before, swarm)


def test_killed_while_a_stage_soaks_it_is_no_fault_of_the_service(one_swarm: Swarm, here: Place) -> None:
    """What is not measured is not credited; what the engine has started again counts as a restart, and goes on."""
    settings = SoakSettings(interval=1.0, duration=600.0, initial_delay=0.0)
    with here.driver() as (driver, journal):
        run = driver.deploy(replace(here.run("3.12"), soak=settings.duration))
        assert run.state is StageState.SOAKING, run.reason
        watched = [
            Watched(
                service=one.service,
                probes=(ContainerProbe(target=here.target, spec=one.spec, container=one.new, interpreter=run.target),),
                critical=True,
                settings=settings,
            )
            for one in run.deployments
            if one.new is not None
        ]
        soak = Soak(journal, run.run, watched, settings, owner=driver.owner)

        def sampled() -> dict[str, Result]:
            before = soak.progress().slot
            while soak.progress().slot == before:
                asyncio.run(soak.tick())
            return {one.metric: one.result for one in journal.samples(run.run, "auth")[-1].measurements}

        assert sampled()["interpreter"] is Result.SUCCESSFUL
        one_swarm.manager.kill()
        assert sampled() == {"engine": Result.ERROR}
        one_swarm.manager.start()
        while "interpreter" not in (found := sampled()):
            assert soak.progress().run.state is StageState.SOAKING, soak.progress().run.reason
        assert found["interpreter"] is Result.SUCCESSFUL
        now = soak.progress().run
        assert (now.state, now.reason) == (StageState.SOAKING, "")
        assert {python for _, python in here.serving().values()} == {"3.12"}


def test_killed_just_when_a_stage_goes_back_the_next_start_ends_it(
    one_swarm: Swarm, here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said to have failed as long as nobody answers; whatever of it was done is not done twice."""
    monkeypatch.setattr("pytest_py312.rollout.execution.driver.LOST_LIMIT", 0.0)
    begun = here.target.restore

    def killed(spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        here.target.restore = begun  # type: ignore[method-assign]
        one_swarm.manager.kill()
        return begun(spec, old, run=run)

    with here.driver() as (driver, _):
        run = driver.deploy(here.run("3.12"))
        assert run.state is StageState.SOAKING, run.reason
        here.target.restore = killed  # type: ignore[method-assign]  # of this one target
        run = driver.rollback(run.run, reason="a test")
        assert run.state is StageState.ROLLBACK_FAILED
        assert "does not answer" in run.reason
        one_swarm.manager.start()
        (run,) = driver.recover(here.name)
        assert run.state is StageState.ROLLED_BACK, run.reason
        assert here.serving() == here.all_old()
        assert here.target.lock(here.name).holder() is None
