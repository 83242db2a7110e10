"""Locks of environments: one operator at a time, named to all others, and replaced only after its process has ended.

A lock is stored with the target and outlives the process that took it, because a soak continues between processes. So
what counts is not whether there is a lock, but whether its holder may still be at work.
"""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.process_identity import is_alive, is_dead, this_process, user_name
from pytest_py312.rollout.canary_analysis.soak_status import compute_soak_status
from pytest_py312.rollout.domain.journal import RELEASED_PREFIX, Journal, LostOwnership, current_timestamp
from pytest_py312.rollout.domain.model import MONITORED, StageRun
from pytest_py312.rollout.domain.preconditions import check_same_target
from pytest_py312.rollout.domain.target_model import LockHolder
from pytest_py312.rollout.targets.target import Target, TargetError


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """A user and their process, as :func:`~pytest_py312.core.process_identity.this_process` writes it."""

    name: str
    host: str
    process: str

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"


def current_operator() -> Operator:
    """Return this process, with the user who started it."""
    return Operator(name=user_name(), host=socket.gethostname(), process=str(this_process()))


class LockedByAnother(RolloutRefused):
    """Another operator holds the environment, and may be at work in it."""

    def __init__(self, environment: str, holder: LockHolder) -> None:
        super().__init__(f"{environment} is held by {holder}; only one operator at a time")
        self.holder = holder


class EnvironmentLocks:
    """Locks of environments, acquired and released for one process."""

    def __init__(self, journal: Journal, target: Target, operator: Operator, log: Callable[[str], None]) -> None:
        self._journal = journal
        self._target = target
        self._operator = operator
        self._log = log

    def unlock(self, environment: str, *, force: bool) -> LockHolder | None:
        """Remove a lock whose holder is dead, or any lock if ``force``; return its holder, ``None`` if there was none.

        :raises RolloutRefused: its holder may be alive, or has left something that ``recover`` has to finish.
        """
        lock = self._target.environment_lock(environment)
        holder = lock.holder()
        if holder is None:
            return None
        if not force and not self._may_take_over(holder, ""):
            raise RolloutRefused(
                f"{environment} is held by {holder}, who may still be at work or has left something unfinished: "
                f"`py312 recover --env {environment}` on {holder.host}, or `py312 unlock --env {environment} --force`"
            )
        lock.release(holder)
        self._record_removal(holder, environment)
        return holder

    def _record_removal(self, holder: LockHolder, environment: str) -> None:
        """Note the removal of a lock in the history of its run or, if another journal has that, of the environment's
        runs.
        """
        runs = (
            [holder.run]
            if self._journal.has_run(holder.run)
            else [stage_run.run for stage_run in self._journal.current_runs(environment)]
        )
        for run in runs:
            self._journal.add_note(run, f"{self._operator} took the lock of {environment} away from {holder}")

    def _own_holder(self, run: StageRun) -> LockHolder:
        return LockHolder(
            name=self._operator.name,
            host=self._operator.host,
            process=self._operator.process,
            journal=self._journal.identity,
            run=run.run,
            stage=run.stage,
            since=clock.now_text(),
        )

    def acquire(self, run: StageRun, *, force_takeover: bool = False) -> None:
        """Acquire the lock of the environment for ``run``.

        :param force_takeover: also if another process monitors this very run.
        :raises LockedByAnother: names the holder.
        :raises RolloutRefused: the target is not the environment's.
        """
        check_same_target(run, self._target.identity() if run.place else "")
        lock = self._target.environment_lock(run.environment)
        own = self._own_holder(run)
        holder = lock.acquire(own)
        if holder is not None and _is_same_holder(holder, own):
            return
        if holder is not None and self._may_take_over(holder, run.run, force_takeover):
            previous, holder = holder, lock.acquire(own, replacing=holder)
            if holder is None:
                self._log(f"took {run.environment} over from {previous}")
                if self._journal.has_run(run.run):
                    self._journal.add_note(run.run, f"{self._operator.name} took it over from {previous}")
        if holder is not None:
            raise LockedByAnother(run.environment, holder)

    def _may_take_over(self, holder: LockHolder, run: str, force_takeover: bool = False) -> bool:
        """Return whether it does no harm to take the lock of ``holder`` for ``run``."""
        if holder.journal != self._journal.identity:
            return False  # only its own journal has recorded what it began
        has_left = is_dead(holder.process) or self._journal.owner(holder.run) == f"{RELEASED_PREFIX}{holder.process}"
        if not (force_takeover and holder.run == run) and not has_left:
            return False
        # a process that died between the lock and the journal has changed nothing
        is_recorded = self._journal.has_run(holder.run)
        return holder.run == run or not is_recorded or self._journal.load_run(holder.run).state.is_over

    def verify_ownership(self, run: StageRun) -> None:
        """Check that this process still holds the lock, before it changes anything.

        A lock that has disappeared (`docker container prune` removes it) is acquired again.

        :raises LostOwnership: another process holds the environment.
        """
        lock = self._target.environment_lock(run.environment)
        own = self._own_holder(run)
        holder = lock.holder()
        if holder is None:
            check_same_target(run, self._target.identity() if run.place else "")
            holder = lock.acquire(own)
            if holder is None:
                self._journal.add_note(run.run, f"the lock of {run.environment} was gone, and was taken again")
                return
        if not _is_same_holder(holder, own):
            raise LostOwnership(f"{run.environment} is now held by {holder}; this process stops")

    def release_abandoned(self, environment: str) -> None:
        """Release the lock of a process that was killed before it began, or when only this was left to do."""
        lock = self._target.environment_lock(environment)
        holder = lock.holder()
        if holder is not None and self._may_take_over(holder, ""):
            lock.release(holder)

    def release(self, run: StageRun) -> None:
        """Release the lock if this process holds it."""
        with contextlib.suppress(TargetError):  # the next process may take the lock of a run that is over
            lock = self._target.environment_lock(run.environment)
            holder = lock.holder()
            if holder is not None and _is_same_holder(holder, self._own_holder(run)):
                lock.release(holder)


def _is_same_holder(holder: LockHolder, other: LockHolder) -> bool:
    """Return whether both are the same process with the same run, at whatever time."""
    return (holder.process, holder.run, holder.journal) == (other.process, other.run, other.journal)


def is_holder_active(holder: LockHolder, journal: Journal, run: StageRun, interval: float) -> bool:
    """Return whether ``holder`` is certainly at work on ``run``.

    Its process is alive on this machine, or samples arrive.

    :param interval: seconds between two samples.
    """
    if (holder.journal, holder.run) != (journal.identity, run.run):
        return False
    if is_alive(holder.process):
        return True
    newest = journal.newest_samples(run.run)
    if run.state not in MONITORED or not any(newest):  # "" is the beginning of the schedule, not a sample
        return False
    status = compute_soak_status(run, newest, current_timestamp(), interval)
    return status is not None and status.silent_for is not None and not status.is_silent
