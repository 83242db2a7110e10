"""A stage on a real engine, watched: kept while it is well, and brought back when it is not."""

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
    Confirm,
    RolloutSettings,
    SoakSettings,
    TrafficSettings,
)
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Container, Result, Sample, StageRun, StageState, Verdict
from pytest_py312.rollout.domain.stop_signals import Stop
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.monitoring.probe_plan import watched_of
from pytest_py312.rollout.monitoring.soak import Soak
from pytest_py312.runners.docker.errors import told_apart
from tests.integration.rollouts.services import Place
from tests.support.fakes import service

pytestmark = pytest.mark.docker

SETTINGS = SoakSettings(interval=2.0, duration=6.0, initial_delay=0.0)
APlace = Callable[..., AbstractContextManager[Place]]


def soak_of(
    here: Place, driver: Driver, journal: Journal, run: StageRun, root: Path, settings: SoakSettings = SETTINGS
) -> Soak:
    services = {name: service(name, critical=True) for name in here.services}
    compare = CompareSettings(min_points=2, max_ratio=1000)  # that it is compared, and not how
    watched = watched_of(run, services, RolloutSettings(soak=settings, compare=compare), here.target, root=root)
    return Soak(journal, run.run, watched, settings, owner=driver.owner)


def deployed(here: Place, driver: Driver, *, twin: str = "") -> StageRun:
    """:param twin: the service that has one."""
    run = replace(here.run("3.12", name=here.name), soak=SETTINGS.duration)
    run = driver.deploy(run.with_deployment(twin, wants_twin=True) if twin else run)
    assert run.state is StageState.SOAKING, run.reason
    assert [one.service for one in run.deployments if one.twin] == ([twin] if twin else []), run
    return run


def results(sample: Sample) -> dict[str, Result]:
    return {one.metric: one.result for one in sample.measurements}


def test_a_stage_that_is_well_is_accepted(a_place: APlace, tmp_path: Path) -> None:
    with a_place("auth", "user") as here, here.driver() as (driver, journal):
        run = deployed(here, driver, twin="auth")
        names = {name for name in here.containers() if ".twin-" in name}
        progress = asyncio.run(soak_of(here, driver, journal, run, tmp_path).wait(Stop()))
        assert (progress.run.state, progress.run.verdict) == (StageState.ACCEPTED, Verdict.PASSED), progress.run.reason
        samples = journal.samples(run.run, "auth")
        assert {"availability", "latency", "cpu", "memory", "restarts", "out of memory", "exceptions"} <= results(
            samples[0]
        ).keys()
        assert set(results(samples[0]).values()) == {Result.SUCCESSFUL}
        assert {"twin", "old latency"} <= results(samples[0]).keys()
        driver.detach(run.run)
        assert names - here.containers().keys() == names, "the twin has done its part"
        assert journal.run(run.run)["auth"].twin_removed
        assert {python for _, python in here.serving().values()} == {"3.12"}


def test_what_befalls_both_versions_is_the_environments_and_a_twin_that_is_gone_is_no_failure(
    a_place: APlace, tmp_path: Path
) -> None:
    once = replace(SETTINGS, confirm=Confirm(probes=1, every=0.1, bad=1))
    with a_place("auth") as here, here.driver() as (driver, journal):
        run = deployed(here, driver, twin="auth")
        new, twin = run["auth"].new, run["auth"].twin
        assert new is not None
        assert twin is not None
        assert seen_of(here, twin) == ("3.9", {}, "from auth")

        def sampled() -> Sample:
            """A new one; the first time there is only a schedule."""
            before = len(journal.samples(run.run, "auth"))
            while len(found := journal.samples(run.run, "auth")) == before:
                progress = asyncio.run(soak_of(here, driver, journal, run, tmp_path, once).tick())
                assert progress.run.state is StageState.SOAKING, progress.run.reason
                clock.pause(progress.next_in)
            return found[-1]

        assert sampled().is_good
        for one in (new, twin):
            with told_apart():
                here.engine.client.pause(one.id)
        assert results(sampled())["availability"] is Result.INCONCLUSIVE
        for one in (new, twin):
            with told_apart():
                here.engine.client.unpause(one.id)
        with told_apart():
            here.engine.client.stop(twin.id, timeout=1)
        alone = sampled()
        assert results(alone)["availability"] is Result.SUCCESSFUL
        assert "twin" not in results(alone)
        assert driver.rollback(run.run, reason="by hand").state is StageState.ROLLED_BACK
        assert here.serving() == here.all_old()
        assert list(here.containers()) == [f"{here.name}-auth"]


def seen_of(here: Place, twin: Container) -> tuple[str, object, str]:
    """Its Python, its published ports, and its greeting, asked of itself."""
    host, port = here.target.address(here.spec("auth"), twin)
    with urllib.request.urlopen(f"http://{host}:{port}/version", timeout=10) as answer:
        said = json.load(answer)
    with told_apart():
        ports = here.engine.client.inspect_container(twin.id)["HostConfig"]["PortBindings"]
    return said["python"].rpartition(".")[0], ports, said["greeting"]


def test_errors_that_only_traffic_shows_bring_a_stage_back(a_place: APlace, tmp_path: Path) -> None:
    """Its health is good, and one of ten requests fails; the old version beside it answers all of them."""
    load = TrafficSettings(rate=40, path="/work", seconds=2.0)
    settings = replace(SETTINGS, interval=4.0, duration=400.0, load=load)
    with a_place("auth") as here, here.driver() as (driver, journal):
        run = replace(here.run("3.12 errs", name=here.name), soak=settings.duration)
        run = driver.deploy(run.with_deployment("auth", wants_twin=True))
        assert run.state is StageState.SOAKING, run.reason
        run = asyncio.run(soak_of(here, driver, journal, run, tmp_path, settings).wait(Stop())).run
        assert run.state is StageState.ROLLING_BACK
        assert run.reason.startswith("auth: load errors burn: the error budget of 0.001 burns "), run.reason
        figures = {one.metric: one.value for one in journal.samples(run.run, "auth")[-1].measurements}
        new, old, count = (figures[name] for name in ("load errors", "old load errors", "load errors requests"))
        assert new is not None
        assert old is not None
        assert (count, figures["twin"]) == (80.0, 1.0)
        assert new >= 0.1 > 0.05 > old, "an engine that is busy with others may lose some of both"
        assert {"load latency", "load rate"} <= figures.keys()
        assert [one.state for one in driver.recover(here.name)] == [StageState.ROLLED_BACK]
        assert here.serving() == here.all_old()


@pytest.mark.parametrize("trouble", ["stopped", "replaced"])
def test_one_that_is_not_is_brought_back_or_held(a_place: APlace, tmp_path: Path, trouble: str) -> None:
    """A container that is stopped is an outage; one that somebody else has put there is no proof of anything."""
    with a_place("auth") as here, here.driver() as (driver, journal):
        run = deployed(here, driver)
        asyncio.run(soak_of(here, driver, journal, run, tmp_path).tick())
        new = run["auth"].new
        assert new is not None
        with told_apart():
            here.engine.client.stop(new.id, timeout=1)
            if trouble == "replaced":
                here.engine.client.rename(new.id, f"{here.name}-auth.away")
                here.engine.client.rename(here.old["auth"], f"{here.name}-auth")
                here.engine.client.start(here.old["auth"])
        clock.pause(SETTINGS.interval)
        run = asyncio.run(soak_of(here, driver, journal, run, tmp_path).tick()).run
        if trouble == "replaced":
            assert (run.state, run.held_for) == (StageState.HELD, ("auth: drift",))
            assert here.serving() == here.all_old()
            return
        assert run.state is StageState.ROLLING_BACK
        assert run.reason.startswith("auth: availability: confirmed")
        assert [one.state for one in driver.recover(here.name)] == [StageState.ROLLED_BACK]
        assert here.serving() == here.all_old()
