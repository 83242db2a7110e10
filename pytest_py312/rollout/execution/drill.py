"""A rollback on purpose: a way back that nobody has ever gone is a hope. What came of it is written in the journal.

The stage is deployed as it would be for good, then its rollback is asked for, or a new container is stopped and the
watching has to notice by itself; what served before has to serve again, verified by asking it.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError, RolloutRefused, perhaps
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.context import Ground, Wanted
from pytest_py312.rollout.domain.events import Drilled
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Container, StageRun, StageState
from pytest_py312.rollout.domain.state_machine import WATCHED
from pytest_py312.rollout.domain.stop_signals import Stop, stopped_by_signals
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import myself
from pytest_py312.rollout.execution.watcher import Watcher
from pytest_py312.rollout.targets.target import Target, TargetError

INTERVAL = 2.0
"""Seconds between two samples of a drill: what is tried is that an outage is noticed, not how soon by the plan."""
PATIENCE = 90.0
"""Seconds within which it has to be noticed."""
NONE = "none"


@runtime_checkable
class Breakable(Protocol):
    """A target that can let a container fail."""

    def break_down(self, container: Container) -> None:
        """Let it serve no more; raises as the verbs of a target do."""
        ...


def check_ground(stage: int, environment: str, runs: Iterable[StageRun]) -> None:
    """Refuse a drill that would take something away.

    :param runs: the newest run of each stage in the environment.
    :raises RolloutRefused: the stage is up there.
    """
    for run in runs:
        if run.stage != stage or not run.is_up or run.is_drill:
            continue
        raise RolloutRefused(
            f"stage {stage} is {run.state.value} in {environment}, and a drill would take that away; drill it before "
            "it is deployed, or in another environment"
        )


def chosen(run: StageRun, service: str | None) -> str:
    """The service that is to fail: the last deployed, or the one that was named.

    :raises OptionError: the stage has none of that name.
    """
    name = service or run.services[-1]
    if name not in run.services:
        raise OptionError(f"--service {name}: stage {run.stage} has no such service{perhaps(name, run.services)}")
    return name


@dataclass(frozen=True, kw_only=True, slots=True)
class Drill:
    """One drill, by a driver that nobody else uses meanwhile."""

    ground: Ground
    journal: Journal
    driver: Driver
    target: Target

    def run(self, wanted: Wanted, *, fault: str, service: str) -> tuple[StageRun, Drilled]:
        """Deploy, break, and see it brought back; the outcome is in the journal.

        :param fault: ``none`` or ``stop``.
        :raises RolloutRefused: it cannot begin, or its target cannot let anything fail. Nothing was changed.
        """
        if fault != NONE and not isinstance(self.target, Breakable):
            raise RolloutRefused(f"the target {self.target.name} can let nothing fail: drill with --fault none")
        self._finish_others(wanted.run)
        run = replace(wanted.run, is_drill=True, needs_drill=False)
        run = self.driver.begin(run, earlier=wanted.earlier, after=wanted.after, keep=wanted.keep)
        self.journal.note(run.run, f"a drill: deployed only to be rolled back (fault: {fault})")
        run = self.driver.go_on(run.run)
        begun = clock.stopwatch()
        if run.state is not StageState.SOAKING:
            trouble = f"it could not be deployed: {run.reason}"
        elif fault == NONE:
            trouble = ""
        else:
            trouble = self._broken(run, service)
        run = self._back(run.run)
        seconds = clock.stopwatch() - begun
        if run.state is not StageState.ROLLED_BACK:
            trouble = f"{trouble}; {run.reason}" if trouble else run.reason
        told = trouble or f"{', '.join(reversed(run.services))} serve again as before, verified"
        event = Drilled(passed=not trouble, fault=fault, by=str(myself()), seconds=seconds, detail=told[:1000])
        return self.journal.record(run.run, event, owner=self.driver.owner), event

    def _finish_others(self, run: StageRun) -> None:
        """A drill that was killed while its stage was up has left it up, as any soak is."""
        for other in self.journal.newest(run.environment):
            if other.stage == run.stage and other.is_drill and other.state in WATCHED:
                self.driver.rollback(other.run, reason="left by a drill that did not end")

    def _broken(self, run: StageRun, service: str) -> str:
        """Let ``service`` fail, and watch; why what was to be noticed was not, empty where it was."""
        made = run[service].new
        assert made is not None, "it was deployed"
        assert isinstance(self.target, Breakable)
        watcher = Watcher(
            self.journal,
            self.driver,
            self.target,
            run,
            settings=_quick(self.ground.settings(), run),
            services={one.name: one for one in self.ground.fleet().services},
            root=self.ground.plan.root,
            told=self.ground.told,
        )
        try:
            self.target.break_down(made)
        except TargetError as error:
            return f"{service} could not be made to fail: {error}"
        self.ground.told(f"{service} was stopped; watching whether that is noticed")
        why = asyncio.run(_watched(watcher))
        found = self.journal.run(run.run)
        if found.state is StageState.ROLLING_BACK:
            return "" if service in found.reason else f"it goes back for another reason: {found.reason}"
        if found.state is StageState.HELD and any(key.startswith(f"{service}: ") for key in found.held_for):
            self.ground.told(f"noticed and held, as the plan says ({found.reason}); a person's rollback follows")
            return ""
        return f"interrupted by {why}" if why != _TOO_LONG else f"{service} was down for {PATIENCE:g} s, unnoticed"

    def _back(self, name: str) -> StageRun:
        """Back, whatever has come of it so far; a rollback that has begun is carried on."""
        run = self.journal.run(name)
        if run.state is StageState.ROLLING_BACK:
            return self.driver.go_on(name)
        return self.driver.rollback(name, reason=f"a drill, asked for by {myself()}")


_TOO_LONG = "the drill's patience"


async def _watched(watcher: Watcher) -> str:
    """Watch until something is decided, a signal comes, or patience ends; which of the last two, else empty."""
    stop = Stop()
    with stopped_by_signals(stop):
        watching = asyncio.ensure_future(_until_noticed(watcher, stop))
        await asyncio.wait({watching}, timeout=PATIENCE)
        stop.ask(_TOO_LONG)
        await watching
    return stop.why


async def _until_noticed(watcher: Watcher, stop: Stop) -> None:
    """A held stage would be watched on; here it is enough that it is held."""
    while not stop:
        progress = await watcher.soak.tick()
        if progress.run.state is not StageState.SOAKING:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(INTERVAL, progress.next_in)):
                await stop.wait()


def _quick(settings: RolloutSettings, run: StageRun) -> RolloutSettings:
    """The plan's, with samples that come quickly; nobody is told, as a chat full of drills is one that nobody reads."""
    quick = {"interval": INTERVAL, "duration": 7 * 24 * 3600.0, "initial_delay": 0.0}
    quiet = tuple(replace(one, webhooks=(), notify=(), textfile="") for one in settings.environments)
    return replace(settings.with_soak(run.stage, quick), environments=quiet)
