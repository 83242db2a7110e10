"""Drills: deploy a stage only to roll it back, and record the result in the journal.

The stage is deployed as usual. Then its rollback is requested, or a new version is stopped and monitoring has to notice
that. In both cases the previous version has to serve again, which is verified. A swarm or a cluster replaces what was
stopped, so it is stopped before each sample: that ends with the drill, also if the drill is killed.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from pytest_py312.core import clock
from pytest_py312.core.database import DiskFull
from pytest_py312.core.errors import OptionError, RolloutRefused, did_you_mean
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.context import PlannedRollout, RolloutContext
from pytest_py312.rollout.domain.events import DrillFinished
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.stop_signals import StopRequest, stop_loop_on_signals
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import current_operator
from pytest_py312.rollout.execution.watcher import Watcher, make_watcher
from pytest_py312.rollout.targets.target import SupportsDrill, Target, TargetError

DRILL_INTERVAL = 2.0
"""Seconds between two samples of a drill, which tests that an outage is noticed, not how fast by the plan."""
NOTICE_TIMEOUT = 90.0
"""Seconds within which the fault has to be noticed."""
NO_FAULT = "none"


def check_drill_allowed(stage: int, environment: str, runs: Iterable[StageRun]) -> None:
    """Refuse a drill that would roll back a stage that is up.

    :param runs: the current run of each stage in the environment.
    :raises RolloutRefused: the stage is up there.
    """
    for run in runs:
        if run.stage != stage or not run.is_up or run.is_drill:
            continue
        raise RolloutRefused(
            f"stage {stage} is {run.state.value} in {environment}, and a drill would roll it back; drill it before "
            "it is deployed, or in another environment"
        )


def choose_service(run: StageRun, service: str | None) -> str:
    """Return the service that is to fail: the one that was named, or the last deployed.

    :raises OptionError: the stage has no service of that name.
    """
    name = service or run.services[-1]
    if name not in run.services:
        raise OptionError(f"--service {name}: stage {run.stage} has no such service{did_you_mean(name, run.services)}")
    return name


@dataclass(frozen=True, kw_only=True, slots=True)
class Drill:
    """One drill, with a driver that is used for nothing else meanwhile."""

    context: RolloutContext
    journal: Journal
    driver: Driver
    target: Target

    def run(self, planned: PlannedRollout, *, fault: str, service: str) -> tuple[StageRun, DrillFinished]:
        """Deploy, inject the fault, roll back, and record the result in the journal.

        :param fault: ``none`` or ``stop``.
        :raises RolloutRefused: it cannot start, or its target cannot inject faults. Nothing was changed.
        """
        if fault != NO_FAULT and not isinstance(self.target, SupportsDrill):
            raise RolloutRefused(f"the target {self.target.name} cannot inject faults: drill with --fault none")
        run = replace(planned.run, is_drill=True, needs_drill=False, acceptance=())  # it is never accepted
        run = self.driver.begin(run, planned.conditions)
        self.journal.add_note(run.run, f"a drill: deployed only to be rolled back (fault: {fault})")
        run = self.driver.continue_run(run.run)
        started_at = clock.stopwatch()
        if run.state is not StageState.SOAKING:
            problem = f"it could not be deployed: {run.reason}"
        elif fault == NO_FAULT:
            problem = ""
        else:
            try:
                problem = self._inject_fault(run, service)
            except (DiskFull, RolloutRefused) as error:  # it cannot be monitored, and is rolled back all the same
                problem = str(error)
        run = self._roll_back(run.run)
        seconds = clock.stopwatch() - started_at
        if run.state is not StageState.ROLLED_BACK:
            problem = f"{problem}; {run.reason}" if problem else run.reason
        detail = problem or f"{', '.join(reversed(run.services))} serve again as before, verified"
        event = DrillFinished(
            passed=not problem, fault=fault, by=str(current_operator()), seconds=seconds, detail=detail[:1000]
        )
        return self.journal.record(run.run, event, owner=self.driver.owner), event

    def _inject_fault(self, run: StageRun, service: str) -> str:
        """Make ``service`` fail and monitor; return why the fault was not noticed, empty if it was."""
        container = run[service].new
        assert container is not None, "it was deployed"
        assert isinstance(self.target, SupportsDrill)
        settings = _drill_settings(self.context.settings(), run)
        watcher = make_watcher(self.context, self.journal, self.driver, self.target, run, settings)
        stop = partial(self.target.stop_for_drill, run[service].spec, container)
        try:
            stop()
        except TargetError as error:
            return f"{service} could not be made to fail: {error}"
        self.context.log(f"{service} was stopped; waiting for monitoring to notice it")
        stop_reason = asyncio.run(_watch_until_noticed(watcher, stop))
        updated = self.journal.load_run(run.run)
        if updated.state is StageState.ROLLING_BACK:
            return "" if service in updated.reason else f"it is rolled back for another reason: {updated.reason}"
        if updated.state is StageState.HELD and updated.decisions_about(service):
            self.context.log(f"noticed and held, as the plan says ({updated.reason}); the drill requests the rollback")
            return ""
        return (
            f"interrupted by {stop_reason}"
            if stop_reason != _TIMED_OUT
            else f"{service} was down for {NOTICE_TIMEOUT:g} s without being noticed"
        )

    def _roll_back(self, name: str) -> StageRun:
        """Roll back from any state; continue a rollback that has started."""
        run = self.journal.load_run(name)
        if run.state is StageState.ROLLING_BACK:
            return self.driver.continue_run(name)
        return self.driver.rollback(name, reason=f"a drill, requested by {current_operator()}")


_TIMED_OUT = "the drill's timeout"


async def _watch_until_noticed(watcher: Watcher, inject_fault: Callable[[], None]) -> str:
    """Monitor until something is decided, a signal arrives, or time is up; return which of the last two, or empty."""
    stop = StopRequest()
    with stop_loop_on_signals(stop):
        sampling = asyncio.ensure_future(_sample_until_noticed(watcher, inject_fault, stop))
        await asyncio.wait({sampling}, timeout=NOTICE_TIMEOUT)
        stop.request(_TIMED_OUT)
        await sampling
    return stop.reason


async def _sample_until_noticed(watcher: Watcher, inject_fault: Callable[[], None], stop: StopRequest) -> None:
    """Sample until the stage leaves its soak. A held stage would be monitored on; here it is enough that it is held."""
    while not stop:
        with suppress(TargetError):  # it has failed once, and what does not answer is noticed as well
            inject_fault()
        progress = await watcher.soak.sample_once()
        if progress.run.state is not StageState.SOAKING:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(DRILL_INTERVAL, progress.seconds_to_next)):
                await stop.wait()


def _drill_settings(settings: RolloutSettings, run: StageRun) -> RolloutSettings:
    """Return the plan's settings with frequent samples and without notifications: people stop reading a chat full of
    drills.
    """
    fast_soak = {"interval": DRILL_INTERVAL, "duration": 7 * 24 * 3600.0, "initial_delay": 0.0}
    silent_environments = tuple(
        replace(environment, webhooks=(), notify=(), slack=(), teams=(), mail=None, textfile="")
        for environment in settings.environments
    )
    return replace(settings.with_soak_overrides(run.stage, fast_soak), environments=silent_environments)
