"""The soak of a stage on a real engine: accepted while it is healthy, rolled back when it is not."""

import asyncio
import json
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.repository.plan.rollout_settings import (
    CompareSettings,
    ConfirmSettings,
    RolloutSettings,
    SoakSettings,
    TrafficSettings,
)
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.measurements import Result, Sample
from pytest_py312.rollout.domain.model import StageRun, StageState, Verdict
from pytest_py312.rollout.domain.stop_signals import StopRequest
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.monitoring.breaches import CONTROL_HEALTH
from pytest_py312.rollout.monitoring.probe_plan import monitored_services
from pytest_py312.rollout.monitoring.soak import SoakMonitor
from pytest_py312.rollout.monitoring.traffic import CONTROL_VERSION
from pytest_py312.runners.docker.errors import translate_errors
from tests.integration.rollouts.docker_environments import DockerEnvironment
from tests.support.fakes import service

pytestmark = pytest.mark.docker

SETTINGS = SoakSettings(interval=2.0, duration=6.0, initial_delay=0.0)
MakeEnvironment = Callable[..., AbstractContextManager[DockerEnvironment]]


def soak_of(
    environment: DockerEnvironment,
    driver: Driver,
    journal: Journal,
    run: StageRun,
    root: Path,
    settings: SoakSettings = SETTINGS,
) -> SoakMonitor:
    services = {name: service(name, critical=True) for name in environment.services}
    compare = CompareSettings(min_points=2, max_ratio=1000)  # the comparison must happen; its result does not matter
    watched = monitored_services(
        run, services, RolloutSettings(soak=settings, compare=compare), environment.target, root=root
    )
    return SoakMonitor(journal, run.run, watched, settings, owner=driver.owner)


def deployed(environment: DockerEnvironment, driver: Driver, *, controlled: str = "") -> StageRun:
    """Deploy a stage.

    :param controlled: the service that gets a control.
    """
    run = replace(environment.run("3.12", name=environment.name), soak=SETTINGS.duration)
    run = driver.deploy(run.with_deployment(controlled, wants_control=True) if controlled else run)
    assert run.state is StageState.SOAKING, run.reason
    assert [deployment.service for deployment in run.deployments if deployment.control] == (
        [controlled] if controlled else []
    ), run
    return run


def results(sample: Sample) -> dict[str, Result]:
    return {measurement.metric: measurement.result for measurement in sample.measurements}


def test_a_healthy_stage_is_accepted(make_environment: MakeEnvironment, tmp_path: Path) -> None:
    with make_environment("auth", "user") as environment, environment.driver() as (driver, journal):
        run = deployed(environment, driver, controlled="auth")
        names = {name for name in environment.containers() if ".control-" in name}
        progress = asyncio.run(soak_of(environment, driver, journal, run, tmp_path).wait(StopRequest()))
        assert (progress.run.state, progress.run.verdict) == (StageState.ACCEPTED, Verdict.PASSED), progress.run.reason
        samples = journal.samples(run.run, "auth")
        assert {"availability", "latency", "cpu", "memory", "restarts", "out of memory", "exceptions"} <= results(
            samples[0]
        ).keys()
        assert set(results(samples[0]).values()) == {Result.SUCCESSFUL}
        assert {CONTROL_HEALTH, "old latency"} <= results(samples[0]).keys()
        driver.detach(run.run)
        assert names - environment.containers().keys() == names, "the control is removed"
        assert journal.load_run(run.run)["auth"].control_removed
        assert {python for _, python in environment.serving().values()} == {"3.12"}


def test_a_failure_of_both_versions_and_a_missing_control_are_no_failures(
    make_environment: MakeEnvironment, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, confirm=ConfirmSettings(probes=1, every=0.1, bad=1))
    with make_environment("auth") as environment, environment.driver() as (driver, journal):
        run = deployed(environment, driver, controlled="auth")
        new, control = run["auth"].new, run["auth"].control
        assert new is not None
        assert control is not None
        assert identity_of(environment, control) == ("3.9", {}, "from auth")

        def next_sample() -> Sample:
            """Return a new sample; the first call only creates the schedule."""
            count_before = len(journal.samples(run.run, "auth"))
            while len(samples := journal.samples(run.run, "auth")) == count_before:
                progress = asyncio.run(soak_of(environment, driver, journal, run, tmp_path, settings).sample_once())
                assert progress.run.state is StageState.SOAKING, progress.run.reason
                clock.pause(progress.seconds_to_next)
            return samples[-1]

        assert next_sample().is_good
        for container in (new, control):
            with translate_errors():
                environment.engine.client.pause(container.id)
        assert results(next_sample())["availability"] is Result.INCONCLUSIVE
        for container in (new, control):
            with translate_errors():
                environment.engine.client.unpause(container.id)
        with translate_errors():
            environment.engine.client.stop(control.id, timeout=1)
        alone = next_sample()
        assert results(alone)["availability"] is Result.SUCCESSFUL
        assert CONTROL_HEALTH not in results(alone)
        assert driver.rollback(run.run, reason="by hand").state is StageState.ROLLED_BACK
        assert environment.serving() == environment.all_old()
        assert list(environment.containers()) == [f"{environment.name}-auth"]


def identity_of(environment: DockerEnvironment, control: Container) -> tuple[str, object, str]:
    """Return a container's Python, published ports and greeting."""
    host, port = environment.target.address(environment.spec("auth"), control)
    with urllib.request.urlopen(f"http://{host}:{port}/version", timeout=10) as answer:
        reply = json.load(answer)
    with translate_errors():
        ports = environment.engine.client.inspect_container(control.id)["HostConfig"]["PortBindings"]
    return reply["python"].rpartition(".")[0], ports, reply["greeting"]


def test_errors_under_load_roll_a_stage_back(make_environment: MakeEnvironment, tmp_path: Path) -> None:
    """Its health is good, and one of ten requests fails; the control answers all of them."""
    load = TrafficSettings(rate=40, path="/work", seconds=2.0)
    settings = replace(SETTINGS, interval=4.0, duration=400.0, load=load)
    with make_environment("auth") as environment, environment.driver() as (driver, journal):
        run = replace(environment.run("3.12 errs", name=environment.name), soak=settings.duration)
        run = driver.deploy(run.with_deployment("auth", wants_control=True))
        assert run.state is StageState.SOAKING, run.reason
        run = asyncio.run(soak_of(environment, driver, journal, run, tmp_path, settings).wait(StopRequest())).run
        assert run.state is StageState.ROLLING_BACK
        assert run.reason.startswith("auth: load errors burn: the error budget of 0.001 burns "), run.reason
        figures = {item.metric: item.value for item in journal.samples(run.run, "auth")[-1].measurements}
        new, old, count = (figures[name] for name in ("load errors", "old load errors", "load errors requests"))
        assert new is not None
        assert old is not None
        assert (count, figures[CONTROL_VERSION]) == (80.0, 1.0)
        assert new >= 0.1 > 0.05 > old, "a busy engine may lose requests of both"
        assert {"load latency", "load rate"} <= figures.keys()
        assert [item.state for item in driver.recover(environment.name)] == [StageState.ROLLED_BACK]
        assert environment.serving() == environment.all_old()


@pytest.mark.parametrize("fault", ["stopped", "replaced"])
def test_an_unhealthy_stage_is_rolled_back_or_held(
    make_environment: MakeEnvironment, tmp_path: Path, fault: str
) -> None:
    """A stopped container is an outage; a foreign container proves nothing about ours."""
    with make_environment("auth") as environment, environment.driver() as (driver, journal):
        run = deployed(environment, driver)
        asyncio.run(soak_of(environment, driver, journal, run, tmp_path).sample_once())
        new = run["auth"].new
        assert new is not None
        with translate_errors():
            environment.engine.client.stop(new.id, timeout=1)
            if fault == "replaced":
                environment.engine.client.rename(new.id, f"{environment.name}-auth.away")
                environment.engine.client.rename(environment.old["auth"], f"{environment.name}-auth")
                environment.engine.client.start(environment.old["auth"])
        clock.pause(SETTINGS.interval)
        run = asyncio.run(soak_of(environment, driver, journal, run, tmp_path).sample_once()).run
        if fault == "replaced":
            assert (run.state, run.pending_decisions) == (StageState.HELD, ("auth: drift",))
            assert environment.serving() == environment.all_old()
            return
        assert run.state is StageState.ROLLING_BACK
        assert run.reason.startswith("auth: availability: confirmed")
        assert [recovered.state for recovered in driver.recover(environment.name)] == [StageState.ROLLED_BACK]
        assert environment.serving() == environment.all_old()
