"""A private engine is killed while a stage is deployed, soaks, or is rolled back."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probes import ContainerProbe
from pytest_py312.rollout.monitoring.soak import SoakMonitor
from pytest_py312.rollout.targets.docker.inspection import swarm_identity
from pytest_py312.rollout.targets.docker.target import DockerTarget
from pytest_py312.runners.docker.engine import connect
from tests.integration.rollouts.docker_environments import DockerEnvironment, start_environment
from tests.integration.rollouts.swarm_environments import Swarm

pytestmark = pytest.mark.docker


@pytest.fixture
def environment(shared_swarm: Swarm, tmp_path: Path) -> Iterator[DockerEnvironment]:
    """Two services in containers of a private engine."""
    with start_environment(tmp_path, shared_swarm.images, "auth", "user", address=shared_swarm.manager.socket) as made:
        yield made


@pytest.mark.parametrize("restarts", [True, False], ids=["restarts soon", "restarts before the recovery"])
def test_an_engine_killed_during_deployment_leads_to_a_rollback(
    shared_swarm: Swarm, environment: DockerEnvironment, monkeypatch: pytest.MonkeyPatch, restarts: bool
) -> None:
    """Also of services that were not reached: with some engines containers with the policy `unless-stopped` stay down
    after a kill."""
    real_switch = environment.target.switch
    restart = Thread(target=shared_swarm.manager.start)

    def switch_and_kill(spec: ServiceSpec, container: Container) -> None:
        environment.target.switch = real_switch  # type: ignore[method-assign]  # the rollback is not disturbed
        real_switch(spec, container)
        shared_swarm.manager.kill()
        if restarts:
            restart.start()

    if not restarts:
        monkeypatch.setattr("pytest_py312.rollout.execution.driver.UNREACHABLE_LIMIT", 1.0)
    environment.target.switch = switch_and_kill  # type: ignore[method-assign]  # of this one target
    with environment.driver() as (driver, _):
        run = driver.deploy(environment.run("3.12"))
        if restarts:
            restart.join()
        else:
            assert run.state is not StageState.ROLLED_BACK, "no rollback is possible without an engine"
            shared_swarm.manager.start()
        if run.state is not StageState.ROLLED_BACK:
            (run,) = driver.recover(environment.name)
        assert run.state is StageState.ROLLED_BACK, run.reason
        assert environment.serving() == environment.all_old()
        assert not [name for name in environment.containers() if ".next" in name]


def test_the_identity_of_an_engine_survives_a_restart(shared_swarm: Swarm, environment: DockerEnvironment) -> None:
    identity, swarm_id = environment.target.identity(), swarm_identity(environment.engine)
    own = connect()
    try:
        assert identity
        assert DockerTarget(own).identity() not in ("", identity)
        assert swarm_id not in ("", identity)
    finally:
        own.close()
    shared_swarm.manager.kill()
    shared_swarm.manager.start()
    assert (environment.target.identity(), swarm_identity(environment.engine)) == (identity, swarm_id)


def test_an_engine_killed_during_the_soak_is_no_fault_of_the_service(
    shared_swarm: Swarm, environment: DockerEnvironment
) -> None:
    """Missing measurements are not credited; a container that the engine restarts counts as a restart."""
    settings = SoakSettings(interval=1.0, duration=600.0, initial_delay=0.0)
    with environment.driver() as (driver, journal):
        run = driver.deploy(replace(environment.run("3.12"), soak=settings.duration))
        assert run.state is StageState.SOAKING, run.reason
        watched = [
            MonitoredService(
                service=deployment.service,
                probes=(
                    ContainerProbe(
                        target=environment.target,
                        spec=deployment.spec,
                        container=deployment.new,
                        interpreter=run.target,
                    ),
                ),
                critical=True,
                settings=settings,
            )
            for deployment in run.deployments
            if deployment.new is not None
        ]
        soak = SoakMonitor(journal, run.run, watched, settings, owner=driver.owner)

        def sample_once() -> dict[str, Result]:
            slot_before = soak.snapshot().slot
            while soak.snapshot().slot == slot_before:
                asyncio.run(soak.sample_once())
            return {
                deployment.metric: deployment.result for deployment in journal.samples(run.run, "auth")[-1].measurements
            }

        assert sample_once()["interpreter"] is Result.SUCCESSFUL
        shared_swarm.manager.kill()
        assert sample_once() == {"engine": Result.ERROR}
        shared_swarm.manager.start()
        while "interpreter" not in (results := sample_once()):
            assert soak.snapshot().run.state is StageState.SOAKING, soak.snapshot().run.reason
        assert results["interpreter"] is Result.SUCCESSFUL
        now = soak.snapshot().run
        assert (now.state, now.reason) == (StageState.SOAKING, "")
        assert {python for _, python in environment.serving().values()} == {"3.12"}


def test_an_engine_killed_during_the_rollback_is_recovered_by_the_next_start(
    shared_swarm: Swarm, environment: DockerEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rollback counts as failed while the engine is away; completed steps are not repeated."""
    monkeypatch.setattr("pytest_py312.rollout.execution.driver.UNREACHABLE_LIMIT", 0.0)
    real_restore = environment.target.restore

    def kill_and_restore(spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        environment.target.restore = real_restore  # type: ignore[method-assign]
        shared_swarm.manager.kill()
        return real_restore(spec, old, run=run)

    with environment.driver() as (driver, _):
        run = driver.deploy(environment.run("3.12"))
        assert run.state is StageState.SOAKING, run.reason
        environment.target.restore = kill_and_restore  # type: ignore[method-assign]  # of this one target
        run = driver.rollback(run.run, reason="a test")
        assert run.state is StageState.ROLLBACK_FAILED
        assert "does not answer" in run.reason
        shared_swarm.manager.start()
        (run,) = driver.recover(environment.name)
        assert run.state is StageState.ROLLED_BACK, run.reason
        assert environment.serving() == environment.all_old()
        assert environment.target.environment_lock(environment.name).holder() is None
