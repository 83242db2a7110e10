"""Run one stage in one environment step by step, for a user interface that shows each step.

A step does everything that has to come before it, and does it once. So steps may be selected in any order, and nothing
is left out. The result of a stage is always read from the journal, never concluded from the steps.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_py312.core.errors import Py312Error, RolloutRefused
from pytest_py312.core.text import format_duration
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.context import PlannedRollout, RolloutContext, plan_rollout
from pytest_py312.rollout.domain.contracts import ContractResult
from pytest_py312.rollout.domain.deployment_plan import stage_services
from pytest_py312.rollout.domain.events import Breached, ContractPassed
from pytest_py312.rollout.domain.journal import Journal, LostOwnership
from pytest_py312.rollout.domain.model import (
    CONTRACT_METRIC,
    DEPLOYMENT_STATES,
    MONITORED,
    ROLLBACK_STATES,
    StageRun,
    StageState,
)
from pytest_py312.rollout.domain.next_act import is_in_progress
from pytest_py312.rollout.domain.preconditions import is_same_deployment
from pytest_py312.rollout.domain.run_history import JournalEntry, recorded_breaches
from pytest_py312.rollout.domain.soak_overrides import (
    DURATION,
    effective_settings,
    sampling_interval,
    soak_shortfall,
    with_overrides,
)
from pytest_py312.rollout.domain.stop_signals import StopRequest, stop_loop_on_signals
from pytest_py312.rollout.domain.target_model import LockHolder
from pytest_py312.rollout.execution.acceptance_runner import make_acceptance_runner
from pytest_py312.rollout.execution.contract_runner import ContractRunner, make_contract_runner
from pytest_py312.rollout.execution.deploy_gate import (
    check_health,
    check_not_failed_before,
    check_proven,
    report_unmeasured,
)
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.execution.locking import LockedByAnother, current_operator, is_holder_active
from pytest_py312.rollout.execution.watcher import Watcher, make_watcher
from pytest_py312.rollout.monitoring.breaches import make_breach
from pytest_py312.rollout.monitoring.soak import SoakSnapshot
from pytest_py312.rollout.targets.target import Target, TargetError

FindUnproven = Callable[[Sequence[str]], Sequence[str]]
"""Names of services -> their checks that are not proven, with the reason."""


class StepBlocked(Exception):
    """A step that cannot be done because of an earlier one; ``str()`` is the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRequest:
    """What is requested for a stage.

    ``soak_overrides`` come from the command line, see :mod:`~pytest_py312.rollout.domain.soak_overrides`. Without
    ``deploys`` only a stage that is already up is monitored. ``sample_once`` takes the sample that is due, and does not
    wait for others.
    """

    stage: int
    environment: str
    soak_overrides: Mapping[str, float] = field(default_factory=dict)
    deploys: bool = True
    sample_once: bool = False
    accepts_changes: bool = False
    """Continue although the plan was changed since."""


class StageRunner:
    """The work of one process on one stage. Setting ``stop`` ends it early. It has to be closed."""

    def __init__(
        self, context: RolloutContext, request: StageRequest, *, find_unproven: FindUnproven, stop: StopRequest
    ) -> None:
        self.request = request
        self.stop = stop
        self.refusal = ""
        """Why the stage is refused; empty if it is not."""
        self.is_watched_elsewhere = False
        """Whether that is because another process monitors it."""
        self.was_already_up = False
        """Whether it was up before this process started."""
        self.watcher: Watcher | None = None
        self._context = context
        self._find_unproven = find_unproven
        self._run: StageRun | None = None
        self._lost_reason = ""
        self._closing_reason = ""
        self._has_sampled = False
        self._contract_runner: ContractRunner | None = None
        self._loop = asyncio.Runner()

    # ---- collaborators

    @cached_property
    def journal(self) -> Journal:
        return Journal(self._context.state_dir)

    @cached_property
    def target(self) -> Target:
        return self._context.target()

    @cached_property
    def driver(self) -> Driver:
        return Driver(
            self.journal,
            self.target,
            current_operator(),
            stop_reason=lambda: self.stop.reason or self._closing_reason,
            log=self._context.log,
            acceptance=make_acceptance_runner(self._context),
        )

    @cached_property
    def _planned(self) -> PlannedRollout:
        """The run that would be deployed, each image by its id."""
        return plan_rollout(
            self._context,
            stage=self.request.stage,
            environment=self.request.environment,
            soak_overrides=self.request.soak_overrides,
            look_up_image_id=self.target.image_id,
        )

    @property
    def current_run(self) -> StageRun | None:
        """The current run of the stage in the journal; ``None``: it was never deployed."""
        return self.journal.current_run(self.request.environment, self.request.stage)

    def __str__(self) -> str:
        return f"stage {self.request.stage} in {self.request.environment}"

    # ---- steps

    def preflight(self) -> StageRun:
        """Return the run to work on: one that is up, or a new one before it has changed anything.

        :raises StepBlocked: there is neither; says what has to come first.
        """
        if self._run is None and not self.refusal:
            try:
                self._run = self._prepare()
            except (Py312Error, TargetError) as error:
                self.refusal = str(error)
                self.is_watched_elsewhere = isinstance(error, LockedByAnother) and self._is_watched_by(error.holder)
        if self.refusal or self._run is None:
            raise StepBlocked(self.refusal)
        return self._run

    def deploy_until(self, until: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """Deploy until ``until`` is true, by default until the run is monitored or over.

        :raises StepBlocked: it was rolled back.
        """
        run = self.preflight()
        if run.state in DEPLOYMENT_STATES and not self._lost_reason:
            try:
                run = self._run = self.driver.continue_run(run.run, until)
            except LostOwnership as error:
                run = self._on_lost_ownership(error)
        if run.state in ROLLBACK_STATES or (run.state in DEPLOYMENT_STATES and not until(run)):
            raise StepBlocked(f"{self} is {run.state.value}: {run.reason or self._lost_reason}")
        return run

    def watch_until(self, is_decided: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """Monitor until the soak is over, ``is_decided`` is true, or a stop is requested; or take one sample.

        :raises StepBlocked: it never came up.
        """
        run = self._run
        if run is None or run.state in DEPLOYMENT_STATES:
            run = self.deploy_until()
        if self.watcher is None:
            if run.state not in MONITORED or self._lost_reason:
                return run
            self.watcher = self._make_watcher(run)
        try:
            if not self.request.sample_once:
                self._wait(self.watcher, is_decided)
            elif not self._has_sampled:
                self._has_sampled = True
                self._finish(self.watcher, self.watcher.soak.sample_once(self.stop))
        except LostOwnership as error:
            self._on_lost_ownership(error)
        return self.run

    @property
    def run(self) -> StageRun:
        """The run in its current state.

        :raises StepBlocked: there is none.
        """
        if self._run is None:
            raise StepBlocked(self.refusal or f"{self} was never deployed")
        return self._run

    @property
    def progress(self) -> SoakSnapshot | None:
        return self.watcher.soak.snapshot() if self.watcher else None

    def history(self) -> list[JournalEntry]:
        """Return what was recorded of the run."""
        return self.journal.history(self.run.run)

    # ---- contracts

    def run_contracts(self, edge: str) -> list[ContractResult]:
        """Return the result of each contract of an edge, ``caller->callee``.

        :raises RolloutRefused: the target does not support contracts, or a contract names an unknown service.
        """
        settings = self._context.settings()
        if self._contract_runner is None:
            runs = self.journal.current_runs(self.request.environment)
            self._contract_runner = make_contract_runner(self.target, runs, settings, self._context.fleet().services)
        return [
            self._contract_runner.run_contract(contract) for contract in settings.contracts if contract.edge == edge
        ]

    def record_contract_passed(self, edge: str, detail: str = "") -> None:
        """Record that a contract holds, and with which versions: without this the stage is not accepted."""
        if self.run.state in MONITORED and edge not in self.run.kept:
            self._run = self.journal.record(
                self.run.run, ContractPassed(edge=edge, detail=detail[:2000]), owner=self.driver.owner
            )

    def record_contract_broken(self, edge: str, detail: str) -> StageRun:
        """Record that a contract does not hold, and react to it."""
        run, (caller, _, callee) = self.run, edge.partition("->")
        service = callee if callee in run.services else caller
        if run.state not in MONITORED:
            return run
        watcher = self.watcher or self._make_watcher(run)
        new_breach = make_breach(watcher.monitored_service(service), f"{CONTRACT_METRIC} {edge}", detail)
        if new_breach.key in recorded_breaches(self.history()) or new_breach.key in run.accepted_breaches:
            return run
        updated = self.journal.record(run.run, Breached(breach=new_breach), owner=self.driver.owner)
        self._loop.run(watcher.reporter.report_change(run, updated))
        self.watcher = None  # the next step monitors it in its new state
        self._run = watcher.finish(SoakSnapshot(run=updated)).run
        return self._run

    def _is_watched_by(self, holder: LockHolder) -> bool:
        run = self.current_run
        if run is None or run.state not in MONITORED:
            return False
        return is_holder_active(holder, self.journal, run, sampling_interval(run, self._context.settings()))

    # ---- preparation

    def _prepare(self) -> StageRun:
        """Recover what a dead process has left, then return the run to work on."""
        self.driver.recover(self.request.environment)
        run = self.current_run
        if run is not None and run.state in MONITORED:
            if run.is_drill:
                raise RolloutRefused(
                    f"{self} is {run.state.value} for a drill; `py312 rollback --stage {run.stage} --env "
                    f"{run.environment}` ends it"
                )
            return self._resume(run)
        if run is not None and self._is_still_accepted(run):
            self.was_already_up = True
            return run
        if not self.request.deploys:
            status = "was never deployed"
            if run is not None:
                reason = run.reason or "by an earlier run"
                status = f"is {run.state.value} ({reason}, {format_duration(run.credited)} credited)"
            raise RolloutRefused(f"{self} {status}: there is nothing to monitor; deploy it first")
        return self._begin(run)

    def _resume(self, run: StageRun) -> StageRun:
        """Continue a soak, if it is the requested one and its images are those that would be deployed."""
        settings = effective_settings(
            run, self._context.settings(), self.request.soak_overrides, accept_changes=self.request.accepts_changes
        )
        if self.request.deploys:
            planned = self._planned.run.images
            changed_services = [name for name, image in planned.items() if run.images.get(name) != image]
            changed_services += [name for name in run.images if name not in planned]
            if changed_services:
                raise RolloutRefused(
                    f"{self} is {run.state.value}, with other images of {', '.join(changed_services)} than now; "
                    f"`py312 watch --stage {run.stage} --env {run.environment}` continues with what is up, "
                    f"`py312 rollback --stage {run.stage} --env {run.environment}` makes room for the new ones"
                )
        self.was_already_up = True
        self.watcher = self._make_watcher(run, settings)
        return run

    def _is_still_accepted(self, run: StageRun) -> bool:
        """Return whether what was accepted is what is requested, and serves."""
        if not run.is_completed or run.credited < self.request.soak_overrides.get(DURATION, 0.0):
            return False
        if self.request.deploys and (
            not is_same_deployment(run, self._planned.run) or soak_shortfall(run, self._planned.run)
        ):
            return False
        observations = [(self.target.observe(deployment.spec), deployment.image) for deployment in run.deployments]
        return all(
            observed is not None and observed.running and observed.container.image == image
            for observed, image in observations
        )

    def _begin(self, previous: StageRun | None) -> StageRun:
        services = stage_services(self._context.plan, self._context.fleet(), self.request.stage)
        check_proven(str(self), self._find_unproven([service.name for service in services]))
        planned = self._planned
        if previous is not None and previous.state is StageState.ROLLED_BACK and not previous.is_drill:
            check_not_failed_before(previous, planned.run, self.journal.history(previous.run))
        check_health(self._context, self.request.environment, self.request.stage)
        report_unmeasured(self.target, self._context.settings(), self.request.stage, self._context.log)
        locked_run = self.driver.begin(planned.run, planned.conditions)
        self._run = locked_run  # from here on, close() rolls it back
        run = self.driver.continue_run(locked_run.run, until=lambda run: run.state is not StageState.LOCKED)
        if run.state in ROLLBACK_STATES:
            self._run = run
            raise RolloutRefused(f"{self} is {run.state.value}: {run.reason}")
        return run

    # ---- monitoring

    def _make_watcher(self, run: StageRun, settings: RolloutSettings | None = None) -> Watcher:
        """:param settings: by default those with which the run began."""
        settings = settings or with_overrides(self._context.settings(), run.stage, run.asked)
        return make_watcher(self._context, self.journal, self.driver, self.target, run, settings)

    def _wait(self, watcher: Watcher, is_decided: Callable[[StageRun], bool]) -> None:
        run = self.run
        is_soak_complete = run.state is StageState.HELD and run.credited >= run.soak
        if (
            self.stop
            or run.state not in MONITORED
            or is_soak_complete
            or (watcher.soak.metrics_by_service and is_decided(run))
        ):
            return
        self._finish(watcher, watcher.soak.wait(self.stop, is_decided))

    def _finish(self, watcher: Watcher, sampling: Awaitable[SoakSnapshot]) -> None:
        """Sample until that ends or a signal arrives, and do what follows from the result."""

        async def work() -> SoakSnapshot:
            with stop_loop_on_signals(self.stop):
                return await sampling

        self._run = watcher.finish(self._loop.run(work())).run

    def _on_lost_ownership(self, error: LostOwnership) -> StageRun:
        """Stop working on a run that another process owns now; only its state is read."""
        self._lost_reason = str(error)
        self._context.log(self._lost_reason)
        self._run = self.journal.load_run(self.run.run)
        return self._run

    # ---- closing

    def close(self) -> StageRun | None:
        """Roll back what is unfinished, and return the run that answers the request; ``None``: there is none."""
        try:
            if self._run is not None and is_in_progress(self._run) and not self._lost_reason:
                self._closing_reason = "the end of the run"
                try:
                    self._run = self.driver.continue_run(self._run.run)
                except LostOwnership as error:
                    self._on_lost_ownership(error)
            if self._run is not None and not self._lost_reason:
                self.driver.release(self._run.run)
            return self._final_run()
        finally:
            self._loop.close()
            if self._contract_runner is not None:
                self._contract_runner.close()
            self.journal.close()

    def _final_run(self) -> StageRun | None:
        """Return the run that answers the request. If no step was done, it is compared with the request first."""
        if self._run is not None:
            return self.journal.load_run(self._run.run)
        run = self.current_run
        if self.refusal or run is None or run.state is not StageState.ACCEPTED:
            return run
        try:
            return run if self._is_still_accepted(run) else None
        except (Py312Error, TargetError) as error:
            self.refusal = str(error)
            return None
