"""Drive runs from act to act: record the intent, act, record the event. And recover what a dead process has left.

The driver does what :func:`~pytest_py312.rollout.domain.next_act.next_act` says and nothing else, so it keeps no
state of its own: if it is killed, another process continues from the journal. It never relies on cleaning up after
itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.rollout.domain.acceptance import describe_outcome
from pytest_py312.rollout.domain.events import (
    AcceptanceInvalidated,
    AcceptanceTested,
    ControlRemoved,
    DeployFailed,
    EnvironmentMoved,
    Event,
    ForeignChangeKept,
    Locked,
    Restored,
    RestoreFailed,
    Resumed,
    RollbackRequested,
)
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import MONITORED, Act, Deployment, Intent, StageRun, StageState
from pytest_py312.rollout.domain.next_act import PHASE_OF_ACT, has_pending_work, is_drill_up, is_in_progress, next_act
from pytest_py312.rollout.domain.preconditions import (
    StartConditions,
    check_target_identity,
    dependent_stages,
)
from pytest_py312.rollout.domain.state_machine import INTERRUPTED_PREFIX, advance
from pytest_py312.rollout.execution.acceptance_runner import AcceptanceRunner
from pytest_py312.rollout.execution.actions import Actions, WaitInterrupted, remove_control
from pytest_py312.rollout.execution.deploy_gate import check_can_begin
from pytest_py312.rollout.execution.foreign_changes import (
    UNREACHABLE_PREFIX,
    SkippedServices,
    keep_foreign,
    stopped_services,
)
from pytest_py312.rollout.execution.locking import EnvironmentLocks, Operator
from pytest_py312.rollout.targets.target import Target, TargetError, TargetRefused, TargetUnavailable

MAX_INTERRUPTIONS = 4
"""Number of interruptions of which the last one leaves things as they are."""
SETTLE_SECONDS = 2.0
"""Seconds for a target to finish what a dead process has requested: what appears after the rollback would be left over.
"""
UNREACHABLE_LIMIT = 60.0
"""Seconds for which a rollback waits for a target that does not answer."""

_UNCONDITIONAL = StartConditions()


class Driver:
    """Driver of runs on one target, recorded in one journal.

    ``stop_reason`` returns why to stop (``"SIGINT"``), or ``""``: a deployment is then rolled back, a rollback
    continues. ``log`` receives each step as text. ``acceptance`` is needed to deploy a stage that has acceptance
    tests. ``pause`` and ``stopwatch`` are the clock.
    """

    def __init__(
        self,
        journal: Journal,
        target: Target,
        operator: Operator,
        *,
        stop_reason: Callable[[], str] = lambda: "",
        log: Callable[[str], None] = lambda text: None,
        acceptance: AcceptanceRunner | None = None,
        pause: Callable[[float], None] = clock.pause,
        stopwatch: Callable[[], float] = clock.stopwatch,
    ) -> None:
        self._journal = journal
        self._target = target
        self._operator = operator
        self.locks = EnvironmentLocks(journal, target, operator, log)
        self._actions = Actions(target, pause=pause, stopwatch=stopwatch, stop_reason=stop_reason)
        self._skipped = SkippedServices(journal, target, self._actions.verify_previous, log)
        self._acceptance = acceptance
        self._stop_reason = stop_reason
        self._log = log
        self._pause = pause
        self._stopwatch = stopwatch

    @property
    def owner(self) -> str:
        """The owner as which the journal records this process."""
        return self._operator.process

    # ---- operations

    def deploy(self, run: StageRun, conditions: StartConditions = _UNCONDITIONAL) -> StageRun:
        """Bring a new run up to its soak, or roll it back; raises as :meth:`begin` does."""
        return self._run_to_end(self.begin(run, conditions))

    def begin(self, run: StageRun, conditions: StartConditions = _UNCONDITIONAL) -> StageRun:
        """Lock the environment for a new run and record it. Nothing is changed yet; :meth:`continue_run` does the rest.

        :raises RolloutRefused: something else has to come first, or another process is at work. Nothing was changed.
        """
        if not run.deployments:
            raise RolloutRefused(f"stage {run.stage} has no service to deploy")
        self.recover(run.environment)
        run = replace(run, place=self._target.identity())
        check_can_begin(self._journal, self._target, run, conditions)
        self.locks.acquire(run)
        try:
            # again: with the lock, no other process can change it
            check_can_begin(self._journal, self._target, run, conditions)
            self._journal.begin(run, owner=self.owner, retain=conditions.retain)
        except BaseException:
            self.locks.release(run)
            raise
        return self._journal.record(run.run, Locked(by=str(self._operator)), owner=self.owner)

    def continue_run(self, name: str, until: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """Continue the deployment or the rollback of a run that this process owns.

        :param until: returns whether a deployment has come far enough.
        :raises LostOwnership: another process owns it.
        """
        return self._run_to_end(self._journal.load_run(name), until)

    def verify(self, name: str, service: str) -> str:
        """Return why what serves is not what was deployed, on the target and well; empty if it is. Records nothing."""
        run = self._journal.load_run(name)
        try:
            self._actions.verify(run, run[service])
        except TargetError as error:
            return str(error)
        return ""

    def verify_previous(self, name: str, service: str) -> str:
        """Return why what serves is not what served before the run; empty if it is, and is well. Records nothing."""
        try:
            return self._actions.verify_previous(self._journal.load_run(name)[service])
        except TargetError as error:
            return str(error)

    def recover(self, environment: str) -> list[StageRun]:
        """Finish what dead processes have left unfinished in an environment. Idempotent.

        :raises RolloutRefused: a living process is at work, or it is unknown whether it lives.
        """
        recovered = []
        for run in self._journal.current_runs(environment):
            if not has_pending_work(run):
                continue
            self._log(f"stage {run.stage} was left {run.state.value}")
            try:
                self.locks.acquire(run)
            except RolloutRefused:
                if is_in_progress(run):
                    raise
                continue  # what it has left blocks nothing
            self._journal.acquire(run.run, owner=self.owner)
            if self._journal.open_intent(run.run) is not None:
                self._pause(SETTLE_SECONDS)
            event: Event = Resumed(by=str(self._operator))
            if is_drill_up(run):
                event = RollbackRequested(reason="left by an unfinished drill", by=str(self._operator))
            recovered.append(self._run_to_end(self._journal.record(run.run, event, owner=self.owner)))
        self.locks.release_abandoned(environment)
        return recovered

    def accept_relocation(self, environment: str) -> list[StageRun]:
        """Record that ``environment`` is on this target now: another engine, swarm or namespace than before.

        :returns: the runs for which that was new.
        :raises RolloutRefused: the target belongs to another environment, or does not report its identity.
        """
        identity = self._target.identity()
        if not identity:
            raise RolloutRefused(f"the target {self._target.name} does not report its identity")
        # earlier runs as well: they can be rolled back, too
        runs = [self._journal.load_run(name) for name in self._journal.run_names(environment)]
        affected_runs = [run for run in runs if run.may_have_changed_target and run.place != identity]
        other_runs = [run for run in self._journal.current_runs() if run.environment != environment]
        for run in affected_runs:
            check_target_identity(environment, identity, other_runs, run.shares)
        event = EnvironmentMoved(place=identity, by=str(self._operator))
        updated_runs = []
        for run in affected_runs:
            self._journal.acquire(run.run, owner=self.owner)
            updated_runs.append(self._journal.record(run.run, event, owner=self.owner))
            self.release(run.run)
        return updated_runs

    def rollback(self, name: str, *, reason: str, services: tuple[str, ...] = ()) -> StageRun:
        """Roll a run, or some of its services, back to what served before.

        A process that monitors the run notices that it has lost it: a healthy soak does not block a rollback.

        :raises RolloutRefused: another process is deploying, or there is no such service.
        """
        run = self._journal.load_run(name)
        if is_in_progress(run):
            self.recover(run.environment)
            run = self._journal.load_run(name)
        event = RollbackRequested(reason=reason, services=services, by=str(self._operator))
        if next_act(advance(run, event)) is None:  # nothing is left to restore
            self.locks.release_abandoned(run.environment)
            return run
        self.locks.acquire(run, force_takeover=run.state in MONITORED)
        self._journal.acquire(name, owner=self.owner)
        self._invalidate_dependents(run, f"stage {run.stage}, on which it depends, was rolled back")
        return self._run_to_end(self._journal.record(name, event, owner=self.owner))

    def start_stopped(self, environment: str) -> list[str]:
        """Start services that rollbacks left alone, that ran when their stages began, and that do not run now.

        :returns: the services that could not be started.
        :raises RolloutRefused: another process is at work there.
        """
        failed = []
        for run in self._journal.current_runs(environment):
            stopped = stopped_services(self._target, run) if run.state is StageState.ROLLED_BACK else []
            if stopped:
                self.locks.acquire(run)
                failed += [deployment.service for deployment in stopped if not self._skipped.start(run, deployment)]
                self.locks.release(run)
        return failed

    def attach(self, name: str) -> StageRun:
        """Become the owner of a run in order to monitor it.

        :raises RolloutRefused: a living process monitors it.
        :raises DiskFull: no samples could be stored.
        """
        run = self._journal.load_run(name)
        self._journal.require_space()  # before anything is locked
        self.locks.acquire(run)
        return self._journal.acquire(name, owner=self.owner, urgent=False)

    def release(self, name: str) -> None:
        """Release a run during its soak, so that any process can continue it, on any machine."""
        run = self._journal.load_run(name)
        if run.state not in MONITORED or self._journal.owner(name) != self.owner:
            return
        try:
            self.locks.acquire(run, force_takeover=True)
        except (RolloutRefused, TargetError) as error:
            self._log(f"stage {run.stage} is released, but the lock of {run.environment} is not: {error}")
        self._journal.release(name, owner=self.owner)

    def detach(self, name: str) -> None:
        """Release the environment and remove the control if the run is over; else the lock outlives this process."""
        if not (run := self._journal.load_run(name)).state.is_over:
            return
        try:
            if next_act(run) is not None:
                self.locks.acquire(run, force_takeover=True)
                self._run_to_end(run)
            self.locks.release(run)
        except (RolloutRefused, TargetError) as error:
            self._log(f"something of stage {run.stage} is left for `py312 recover`: {error}")

    def _invalidate_dependents(self, run: StageRun, reason: str) -> None:
        current_runs = self._journal.current_runs(run.environment)
        for number in dependent_stages(run.stage, run.environment, current_runs):
            name = next(other.run for other in current_runs if other.stage == number)
            self._journal.acquire(name, owner=self.owner)
            self._journal.record(name, AcceptanceInvalidated(reason=reason), owner=self.owner)

    # ---- from act to act

    def _run_to_end(self, run: StageRun, until: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """Perform acts until the run waits or is over. An interruption turns a deployment into a rollback, and is
        raised then.

        A rollback itself is aborted only by the last of :data:`MAX_INTERRUPTIONS` interruptions.
        """
        interruption: BaseException | None = None
        for attempts_left in reversed(range(MAX_INTERRUPTIONS)):
            try:
                run = self._perform_acts(run, until)
                break
            except (KeyboardInterrupt, SystemExit) as error:
                if attempts_left == 0:
                    raise  # the next process recovers it
                interruption = error
                self._log(f"rolling back; interrupt {attempts_left} more times to abort the rollback")
                self._journal.add_note(run.run, f"interrupted by {type(error).__name__}")
                run = self._journal.record(run.run, Resumed(by=str(self._operator)), owner=self.owner)
        if run.state.is_over:
            self.locks.release(run)
        if interruption is not None:
            raise interruption
        return run

    def _perform_acts(self, run: StageRun, until: Callable[[StageRun], bool]) -> StageRun:
        while (intent := next_act(run)) is not None:
            is_deployment = intent.act not in (Act.RESTORE, Act.REMOVE_CONTROL)
            if is_deployment and until(run):
                return run
            stop_reason = self._stop_reason() if is_deployment else ""
            if stop_reason:
                event: Event | None = DeployFailed(service=intent.service, reason=f"{INTERRUPTED_PREFIX}{stop_reason}")
            else:
                event = self._perform(run, intent)
            if event is None:
                break  # the next process tries again
            run = self._journal.record(run.run, event, owner=self.owner)
            self._log(f"{intent.act.value} {intent.service}: {_describe_event(event)}")
        self._log(f"stage {run.stage} is {run.described_state}")
        if run.state is StageState.ROLLED_BACK:
            self._skipped.check(run)
        return run

    def _perform(self, run: StageRun, intent: Intent) -> Event | None:
        """Perform one act and return its event. The intent is on disk before anything is changed.

        ``None`` if it was not done and nothing depends on it.
        """
        self._journal.record_intent(run.run, intent, owner=self.owner)
        if intent.act is Act.RESTORE:
            with PROGRESS.activity("restoring", intent.service):
                return self._restore(run, run[intent.service])
        if intent.act is Act.REMOVE_CONTROL:
            return self._remove_control(run, run[intent.service])
        try:
            self.locks.verify_ownership(run)
            if intent.act in PHASE_OF_ACT:
                return self._test(run, intent)
            deployment = run[intent.service]
            if intent.act is Act.PREPARE and deployment == run.deployments[0]:  # the first act that changes something
                self._invalidate_dependents(run, f"stage {run.stage}, on which it depends, was deployed again")
            return self._actions.perform(intent.act, run, deployment)
        except WaitInterrupted as reason:
            return DeployFailed(service=intent.service, reason=f"{INTERRUPTED_PREFIX}{self._stop_reason() or reason}")
        except TargetError as error:
            if isinstance(error, TargetUnavailable):
                self._journal.add_note(run.run, f"{UNREACHABLE_PREFIX}{error}", urgent=True)
            return DeployFailed(service=intent.service, reason=str(error))

    def _test(self, run: StageRun, intent: Intent) -> Event:
        if self._acceptance is None:
            return DeployFailed(service=intent.service, reason="this process has no acceptance tests")
        stop = _StopRequested(self._stop_reason)
        return self._acceptance.test(run, intent.service, PHASE_OF_ACT[intent.act], stop)

    def _remove_control(self, run: StageRun, deployment: Deployment) -> Event | None:
        self.locks.verify_ownership(run)
        problem = remove_control(self._target, run, deployment)
        if problem:
            self._log(problem)
        return None if problem else ControlRemoved(service=deployment.service)

    # ---- rollback

    def _restore(self, run: StageRun, deployment: Deployment) -> Event:
        """Restore the previous version; retry for a while if the target does not answer."""
        started_at = self._stopwatch()
        while True:
            try:
                self.locks.verify_ownership(run)
                foreign_change = keep_foreign(self._target, deployment, run.run)
                if foreign_change:
                    return ForeignChangeKept(service=deployment.service, what=foreign_change)
                last_log = self._target.restore(deployment.spec, deployment.old, run=run.run)
                if last_log:
                    self._journal.add_note(run.run, f"{deployment.service} logged:\n{last_log[-1500:]}")
                problem = self._actions.verify_previous(deployment)
            except TargetUnavailable as error:
                note = f"{UNREACHABLE_PREFIX}{error} (restore {deployment.service})"
                self._journal.add_note(run.run, note, urgent=True)
                if self._stopwatch() - started_at < UNREACHABLE_LIMIT:
                    self._pause(2.0)
                    continue
                problem = str(error)
            except TargetRefused as error:
                problem = str(error)
            if problem:
                return RestoreFailed(service=deployment.service, reason=problem)
            return Restored(service=deployment.service)


@dataclass(frozen=True, slots=True)
class _StopRequested:
    """Whether there is a reason to stop, for a process that is polled meanwhile."""

    stop_reason: Callable[[], str]

    def is_set(self) -> bool:
        return bool(self.stop_reason())


def _describe_event(event: Event) -> str:
    if isinstance(event, AcceptanceTested):
        return describe_outcome(event.result)
    reason = getattr(event, "reason", "")
    return f"failed, {reason}" if reason else "done"
