"""A stage on a real engine, watched: kept while it is well, and brought back when it is not."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312 import clock
from pytest_py312.rollout.driver import Driver
from pytest_py312.rollout.journal import Journal
from pytest_py312.rollout.model import Result, Sample, StageRun, StageState, Verdict
from pytest_py312.rollout.settings import RolloutSettings, SoakSettings
from pytest_py312.rollout.soak import Soak
from pytest_py312.rollout.stopping import Stop
from pytest_py312.rollout.watch_plan import watched_of
from pytest_py312.runners.docker_engine import told_apart
from pytest_py312.testing import service
from tests.integration.rollouts.services import Place

pytestmark = pytest.mark.docker

SETTINGS = SoakSettings(interval=2.0, duration=6.0, initial_delay=0.0)
APlace = Callable[..., AbstractContextManager[Place]]


def soak_of(here: Place, driver: Driver, journal: Journal, run: StageRun, root: Path) -> Soak:
    services = {name: service(name, critical=True) for name in here.services}
    watched = watched_of(run, services, RolloutSettings(soak=SETTINGS), here.target, root=root)
    return Soak(journal, run.run, watched, SETTINGS, owner=driver.owner)


def deployed(here: Place, driver: Driver) -> StageRun:
    run = driver.deploy(replace(here.run("3.12", name=here.name), soak=SETTINGS.duration))
    assert run.state is StageState.SOAKING, run.reason
    return run


def results(sample: Sample) -> dict[str, Result]:
    return {one.metric: one.result for one in sample.measurements}


def test_a_stage_that_is_well_is_accepted(a_place: APlace, tmp_path: Path) -> None:
    with a_place("auth", "user") as here, here.driver() as (driver, journal):
        run = deployed(here, driver)
        progress = asyncio.run(soak_of(here, driver, journal, run, tmp_path).wait(Stop()))
        assert (progress.run.state, progress.run.verdict) == (StageState.ACCEPTED, Verdict.PASSED), progress.run.reason
        samples = journal.samples(run.run, "auth")
        assert {"availability", "latency", "cpu", "memory", "restarts", "out of memory", "exceptions"} <= results(
            samples[0]
        ).keys()
        assert set(results(samples[0]).values()) == {Result.SUCCESSFUL}
        assert {python for _, python in here.serving().values()} == {"3.12"}


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
