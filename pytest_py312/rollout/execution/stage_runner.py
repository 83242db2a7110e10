"""One stage in one environment, brought from what is asked for to what the journal says of it, step by step.

For a face that shows each step. A step does whatever has to come before it and is done once, so that whichever are
chosen, and in whatever order, nothing is left out. Whether the stage is done is never concluded from the steps: the
journal says so.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_py312.core.errors import Py312Error, RolloutRefused
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.context import Ground, Wanted, wanted_of
from pytest_py312.rollout.domain.contracts import ContractResult
from pytest_py312.rollout.domain.deployment_plan import stage_services
from pytest_py312.rollout.domain.events import Breached, ContractKept
from pytest_py312.rollout.domain.journal import Entry, Journal, LostRun
from pytest_py312.rollout.domain.model import CONTRACT, Holder, StageRun, StageState
from pytest_py312.rollout.domain.preconditions import is_the_same
from pytest_py312.rollout.domain.soak_overrides import DURATION, interval_of, lack_of_soak, settings_of, with_asked
from pytest_py312.rollout.domain.state_machine import WATCHED, is_half_done
from pytest_py312.rollout.domain.stop_signals import Stop, stopped_by_signals
from pytest_py312.rollout.execution.contract_runner import Contracting, contracting
from pytest_py312.rollout.execution.deploy_gate import check_again, check_health, check_proven, tell_unmeasured
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import HeldByAnother, is_at_work, myself
from pytest_py312.rollout.execution.watcher import Watcher
from pytest_py312.rollout.monitoring.breaches import breach
from pytest_py312.rollout.monitoring.soak import Progress
from pytest_py312.rollout.monitoring.soak_report import in_hours
from pytest_py312.rollout.targets.target import Target, TargetError

GOING_UP = frozenset({StageState.PLANNED, StageState.LOCKED, StageState.DEPLOYING, StageState.VERIFYING})
GOING_BACK = frozenset({StageState.ROLLING_BACK, StageState.ROLLED_BACK, StageState.ROLLBACK_FAILED})
END_OF_RUN = "the end of the run"

Unproven = Callable[[Sequence[str]], Sequence[str]]
"""Names of services -> which of their checks are not proven, and why."""


class NotDone(Exception):
    """A step cannot be done, because of what ``str()`` says of one that comes before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked of a stage.

    ``asked`` is what a command line says of the soak (see :mod:`~pytest_py312.rollout.domain.soak_overrides`). Where a
    stage is not to be deployed, only what is up already is watched; ``ticks`` is to take the sample that is due, and
    not to wait for others.
    """

    stage: int
    environment: str
    asked: Mapping[str, float] = field(default_factory=dict)
    deploys: bool = True
    ticks: bool = False
    accepts_changes: bool = False
    """Go on although the plan was changed since."""


class Staging:
    """What one process does with one stage. ``stop`` is asked by whoever wants it to end; close it in the end."""

    def __init__(self, ground: Ground, wish: Wish, *, unproven: Unproven, stop: Stop) -> None:
        self.wish = wish
        self.stop = stop
        self.refused = ""
        """Why nothing is done with the stage."""
        self.busy = False
        """Whether that is another process, which watches it."""
        self.resumes = False
        """Whether it was up before this process came."""
        self.watcher: Watcher | None = None
        self._ground = ground
        self._unproven = unproven
        self._run: StageRun | None = None
        self._lost = ""
        self._closing = ""
        self._has_ticked = False
        self._contracting: Contracting | None = None
        self._loop = asyncio.Runner()

    # ---- what it stands on

    @cached_property
    def journal(self) -> Journal:
        return Journal(self._ground.state)

    @cached_property
    def target(self) -> Target:
        return self._ground.target()

    @cached_property
    def driver(self) -> Driver:
        return Driver(
            self.journal,
            self.target,
            myself(),
            stopping=lambda: self.stop.why or self._closing,
            told=self._ground.told,
        )

    @cached_property
    def services(self) -> Mapping[str, Service]:
        return {service.name: service for service in self._ground.fleet().services}

    @cached_property
    def _wanted(self) -> Wanted:
        """What would be deployed, each image by its id."""
        return wanted_of(
            self._ground,
            stage=self.wish.stage,
            environment=self.wish.environment,
            asked=self.wish.asked,
            image_id=self.target.image_id,
        )

    @property
    def newest(self) -> StageRun | None:
        """How the stage stands in the journal; ``None``: it was never deployed."""
        return next((run for run in self.journal.newest(self.wish.environment) if run.stage == self.wish.stage), None)

    def __str__(self) -> str:
        return f"stage {self.wish.stage} in {self.wish.environment}"

    # ---- step by step

    def preflight(self) -> StageRun:
        """The run that this is about: one that is up, or a new one, before anything is touched for it.

        :raises NotDone: neither can be had; says what has to come first.
        """
        if self._run is None and not self.refused:
            try:
                self._run = self._prepared()
            except (Py312Error, TargetError) as error:
                self.refused = str(error)
                self.busy = isinstance(error, HeldByAnother) and self._is_watched_by(error.holder)
        if self.refused or self._run is None:
            raise NotDone(self.refused)
        return self._run

    def up_to(self, until: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """The run once it has come so far up; without ``until`` once it is watched, or was.

        :raises NotDone: it has gone back.
        """
        run = self.preflight()
        if run.state in GOING_UP and not self._lost:
            try:
                run = self._run = self.driver.go_on(run.run, until)
            except LostRun as error:
                run = self._lose(error)
        if run.state in GOING_BACK or (run.state in GOING_UP and not until(run)):
            raise NotDone(f"{self} is {run.state.value}: {run.reason or self._lost}")
        return run

    def watched_until(self, decided: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """The run once its soak is over, or ``decided``, or somebody has asked to stop; or after one tick.

        :raises NotDone: it never came up.
        """
        run = self._run
        if run is None or run.state in GOING_UP:
            run = self.up_to()
        if self.watcher is None:
            if run.state not in WATCHED or self._lost:
                return run
            self.watcher = self._watcher(run, with_asked(self._ground.settings(), run.stage, run.asked))
        try:
            if self.wish.ticks:
                self._tick(self.watcher)
            else:
                self._wait(self.watcher, decided)
        except LostRun as error:
            self._lose(error)
        return self.run

    @property
    def run(self) -> StageRun:
        """As far as it has come.

        :raises NotDone: there is none.
        """
        if self._run is None:
            raise NotDone(self.refused or f"{self} was never deployed")
        return self._run

    @property
    def progress(self) -> Progress | None:
        return self.watcher.soak.progress() if self.watcher else None

    def history(self) -> list[Entry]:
        """What was written down of the run."""
        return self.journal.history(self.run.run)

    # ---- between services

    def contracts(self, edge: str) -> list[ContractResult]:
        """What there is to be said of each contract of an edge, ``caller->callee``.

        :raises RolloutRefused: one cannot be kept here, or names a service that there is not.
        """
        settings = self._ground.settings()
        if self._contracting is None:
            runs = self.journal.newest(self.wish.environment)
            self._contracting = contracting(self.target, runs, settings, self.services.values())
        return [self._contracting.result(one) for one in settings.contracts if one.edge == edge]

    def contract_kept(self, edge: str, detail: str = "") -> None:
        """Write down that a contract holds, and which versions met: without it the stage is not accepted."""
        if self.run.state in WATCHED and edge not in self.run.kept:
            self._run = self.journal.record(
                self.run.run, ContractKept(edge=edge, detail=detail[:2000]), owner=self.driver.owner
            )

    def contract_broken(self, edge: str, detail: str) -> StageRun:
        """Write down that a contract does not hold, and do what follows of that."""
        run, (caller, _, callee) = self.run, edge.partition("->")
        service = callee if callee in run.services else caller
        if run.state not in WATCHED:
            return run
        watcher = self.watcher or self._watcher(run, with_asked(self._ground.settings(), run.stage, run.asked))
        watched = next(one for one in watcher.watched if one.service == service)
        found = breach(watched, f"{CONTRACT} {edge}", detail)
        known = {each.what.breach.key for each in self.history() if isinstance(each.what, Breached)}
        if found.key in known or found.key in run.decided:
            return run
        after = self.journal.record(run.run, Breached(breach=found), owner=self.driver.owner)
        self._loop.run(watcher.teller.changed(run, after))
        self.watcher = None  # it is watched from here on as it stands by now
        self._run = watcher.ended(Progress(run=after)).run
        return self._run

    def _is_watched_by(self, holder: Holder) -> bool:
        run = self.newest
        if run is None or run.state not in WATCHED:
            return False
        return is_at_work(holder, self.journal, run, interval_of(run, self._ground.settings()))

    # ---- the beginning

    def _prepared(self) -> StageRun:
        """Whatever a dead process has left is finished before anything else."""
        self.driver.recover(self.wish.environment)
        run = self.newest
        if run is not None and run.state in WATCHED:
            if run.is_drill:
                raise RolloutRefused(
                    f"{self} is {run.state.value} for a drill; `py312 rollback --stage {run.stage} --env "
                    f"{run.environment}` ends it"
                )
            return self._resumed(run)
        if run is not None and self._still_holds(run):
            self.resumes = True
            return run
        if not self.wish.deploys:
            found = "was never deployed"
            if run is not None:
                credit = f"{in_hours(run.credited)} credited"
                found = f"is {run.state.value} ({run.reason or 'by an earlier run'}, {credit})"
            raise RolloutRefused(f"{self} {found}: there is nothing to watch; deploy it first")
        return self._begun(run)

    def _resumed(self, run: StageRun) -> StageRun:
        """Its soak goes on, if it is the soak that is asked for, of what would be deployed."""
        settings = settings_of(run, self._ground.settings(), self.wish.asked, accept=self.wish.accepts_changes)
        if self.wish.deploys:
            others = [name for name, image in self._wanted.run.images.items() if run.images.get(name) != image]
            others += [name for name in run.images if name not in self._wanted.run.images]
            if others:
                raise RolloutRefused(
                    f"{self} is {run.state.value}, with other images than there are by now of {', '.join(others)}; "
                    f"`py312 watch --stage {run.stage} --env {run.environment}` goes on with what is up, "
                    f"`py312 rollback --stage {run.stage} --env {run.environment}` makes room for the new ones"
                )
        self.resumes = True
        self.watcher = self._watcher(run, settings)
        return run

    def _still_holds(self, run: StageRun) -> bool:
        """Whether what was accepted is what is asked for, and serves."""
        if not run.is_completed or run.credited < self.wish.asked.get(DURATION, 0.0):
            return False
        if self.wish.deploys and (not is_the_same(run, self._wanted.run) or lack_of_soak(run, self._wanted.run)):
            return False
        seen = [(self.target.observe(one.spec), one.image) for one in run.deployments]
        return all(found is not None and found.running and found.container.image == image for found, image in seen)

    def _begun(self, before: StageRun | None) -> StageRun:
        listed = stage_services(self._ground.plan, self._ground.fleet(), self.wish.stage)
        check_proven(str(self), self._unproven([service.name for service in listed]))
        wanted = self._wanted
        if before is not None and before.state is StageState.ROLLED_BACK and not before.is_drill:
            check_again(before, wanted.run, self.journal.history(before.run))
        check_health(self._ground, self.wish.environment, self.wish.stage)
        tell_unmeasured(self.target, self._ground.settings(), self.wish.stage, self._ground.told)
        begun = self.driver.begin(wanted.run, earlier=wanted.earlier, after=wanted.after, keep=wanted.keep)
        self._run = begun  # whatever happens from here on, close() brings it back
        run = self.driver.go_on(begun.run, until=lambda run: run.state is not StageState.LOCKED)
        if run.state in GOING_BACK:
            self._run = run
            raise RolloutRefused(f"{self} is {run.state.value}: {run.reason}")
        return run

    # ---- watching

    def _watcher(self, run: StageRun, settings: RolloutSettings) -> Watcher:
        return Watcher(
            self.journal,
            self.driver,
            self.target,
            run,
            settings=settings,
            services=self.services,
            root=self._ground.plan.root,
            told=self._ground.told,
        )

    def _tick(self, watcher: Watcher) -> None:
        if not self._has_ticked:
            self._has_ticked = True
            self._run = watcher.ended(self._loop.run(watcher.soak.tick())).run

    def _wait(self, watcher: Watcher, decided: Callable[[StageRun], bool]) -> None:
        run = self.run
        whole = run.state is StageState.HELD and run.credited >= run.soak
        if self.stop or run.state not in WATCHED or whole or (watcher.soak.tallies and decided(run)):
            return

        async def waiting() -> Progress:
            with stopped_by_signals(self.stop):
                return await watcher.soak.wait(self.stop, decided)

        progress = watcher.ended(self._loop.run(waiting()))
        self._run = progress.run

    def _lose(self, error: LostRun) -> StageRun:
        """Another process has it by now: this one touches nothing more, and only reads what becomes of it."""
        self._lost = str(error)
        self._ground.told(self._lost)
        self._run = self.journal.run(self.run.run)
        return self._run

    # ---- the end

    def close(self) -> StageRun | None:
        """Bring back what was left half done, and say what the journal says of the stage; ``None``: nothing."""
        try:
            if self._run is not None and is_half_done(self._run) and not self._lost:
                self._closing = END_OF_RUN
                try:
                    self._run = self.driver.go_on(self._run.run)
                except LostRun as error:
                    self._lose(error)
            if self._run is not None and not self._lost:
                self.driver.leave(self._run.run)
            return self._found()
        finally:
            self._loop.close()
            if self._contracting is not None:
                self._contracting.close()
            self.journal.close()

    def _found(self) -> StageRun | None:
        """What the journal has that answers what was asked for; where no step was done, it was not looked at yet."""
        if self._run is not None:
            return self.journal.run(self._run.run)
        run = self.newest
        if self.refused or run is None or run.state is not StageState.ACCEPTED:
            return run
        try:
            return run if self._still_holds(run) else None
        except (Py312Error, TargetError) as error:
            self.refused = str(error)
            return None
