"""Who holds an environment: one operator at a time, told by name to all others, and followed only when he is gone.

The lock lies with the target and outlives the process that took it, because a soak goes on between processes. So the
question is never whether it is there, but whether whoever took it may still be at work.

Whether somebody else is at a stage just now, so that a second one has nothing to do, and nothing is wrong.

A lock alone does not say so: it outlives the process that took it.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused
from pytest_py312.core.process_identity import this_process
from pytest_py312.rollout.canary_analysis.soak_status import standing_of
from pytest_py312.rollout.domain.identity import is_alive, is_gone, this_host, this_moment, this_operator
from pytest_py312.rollout.domain.journal import LEFT, Journal, LostRun
from pytest_py312.rollout.domain.model import Holder, StageRun
from pytest_py312.rollout.domain.preconditions import check_same_place
from pytest_py312.rollout.domain.state_machine import WATCHED
from pytest_py312.rollout.targets.target import Target, TargetError


@dataclass(frozen=True, kw_only=True, slots=True)
class Me:
    """Who acts, and where. ``process`` is as :func:`~pytest_py312.core.process_identity.this_process` writes it."""

    name: str
    host: str
    process: str

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"


def myself() -> Me:
    """This process, for the user who started it."""
    return Me(name=this_operator(), host=this_host(), process=str(this_process()))


class HeldByAnother(RolloutRefused):
    """Somebody else holds the environment, and may be at work in it."""

    def __init__(self, environment: str, holder: Holder) -> None:
        super().__init__(f"{environment} is held by {holder}; one at a time")
        self.holder = holder


class Holding:
    """Takes and gives back the locks of environments for one process."""

    def __init__(self, journal: Journal, target: Target, me: Me, told: Callable[[str], None]) -> None:
        self._journal = journal
        self._target = target
        self._me = me
        self._told = told

    def unlock(self, environment: str, *, force: bool) -> Holder | None:
        """Take away a lock whose holder is gone, or any if ``force``; whose it was, ``None`` where there was none.

        :raises RolloutRefused: its holder may live, or left something half done that ``recover`` has to finish.
        """
        lock = self._target.lock(environment)
        found = lock.holder()
        if found is None:
            return None
        if not force and not self._may_follow(found, ""):
            raise RolloutRefused(
                f"{environment} is held by {found}, who may be at work or has left something half done: "
                f"`py312 recover --env {environment}` on {found.host}, or `py312 unlock --env {environment} --force`"
            )
        lock.release(found)
        self._write_down(found, environment)
        return found

    def _write_down(self, holder: Holder, environment: str) -> None:
        """That a lock was taken away: in the history of its run, or where that is elsewhere, of what stands here."""
        runs = (
            [holder.run] if self._journal.knows(holder.run) else [one.run for one in self._journal.newest(environment)]
        )
        for run in runs:
            self._journal.note(run, f"{self._me} took the lock of {environment} away from {holder}")

    def _holder(self, run: StageRun) -> Holder:
        return Holder(
            name=self._me.name,
            host=self._me.host,
            process=self._me.process,
            journal=self._journal.identity,
            run=run.run,
            stage=run.stage,
            since=clock.now_text(),
        )

    def hold(self, run: StageRun, *, even_from_the_living: bool = False) -> None:
        """Hold the environment of ``run`` for it.

        :param even_from_the_living: also where another process watches this very run.
        :raises HeldByAnother: another one holds it, with its name.
        :raises RolloutRefused: it does not lie on this target.
        """
        check_same_place(run, self._target.identity() if run.place else "")
        lock = self._target.lock(run.environment)
        me = self._holder(run)
        found = lock.take(me)
        if found is not None and _same(found, me):
            return
        if found is not None and self._may_follow(found, run.run, even_from_the_living):
            follows, found = found, lock.take(me, instead_of=found)
            if found is None:
                self._told(f"took {run.environment} over from {follows}")
                if self._journal.knows(run.run):
                    self._journal.note(run.run, f"{self._me.name} took it over from {follows}")
        if found is not None:
            raise HeldByAnother(run.environment, found)

    def _may_follow(self, holder: Holder, run: str, even_from_the_living: bool = False) -> bool:
        """Whether nobody is harmed when the lock of ``holder`` is taken for ``run``."""
        if holder.journal != self._journal.identity:
            return False  # only its own journal knows what it has begun
        is_away = is_gone(holder.process) or self._journal.owner(holder.run) == f"{LEFT}{holder.process}"
        if not (even_from_the_living and holder.run == run) and not is_away:
            return False
        # a process that died between the lock and the journal has begun nothing
        known = self._journal.knows(holder.run)
        return holder.run == run or not known or self._journal.run(holder.run).state.is_over

    def check(self, run: StageRun) -> None:
        """Whoever was taken for dead, and is not, learns it here, before it touches anything.

        A lock that is simply gone (`docker container prune` takes it along) is taken again.

        :raises LostRun: another one holds the environment by now.
        """
        lock = self._target.lock(run.environment)
        me = self._holder(run)
        holder = lock.holder()
        if holder is None:
            check_same_place(run, self._target.identity() if run.place else "")
            holder = lock.take(me)
            if holder is None:
                self._journal.note(run.run, f"the lock of {run.environment} was gone, and was taken again")
                return
        if not _same(holder, me):
            raise LostRun(f"{run.environment} is held by {holder} by now; this process touches nothing more")

    def sweep(self, environment: str) -> None:
        """Give back what a process has left that was killed when all was done but this, or before it had begun."""
        lock = self._target.lock(environment)
        found = lock.holder()
        if found is not None and self._may_follow(found, ""):
            lock.release(found)

    def let_go(self, run: StageRun) -> None:
        """Give it back, if it is ours."""
        with contextlib.suppress(TargetError):  # a lock of a run that is over is taken by whoever comes next
            lock = self._target.lock(run.environment)
            holder = lock.holder()
            if holder is not None and _same(holder, self._holder(run)):
                lock.release(holder)


def _same(one: Holder, other: Holder) -> bool:
    """The same process for the same run, whenever it took it."""
    return (one.process, one.run, one.journal) == (other.process, other.run, other.journal)


def is_at_work(holder: Holder, journal: Journal, run: StageRun, interval: float) -> bool:
    """Whether ``holder`` is certain to be at ``run``: it is a process of this machine that runs, or samples come in.

    :param interval: seconds between two samples.
    """
    if (holder.journal, holder.run) != (journal.identity, run.run):
        return False
    if is_alive(holder.process):
        return True
    newest = journal.newest_samples(run.run)
    if run.state not in WATCHED or not any(newest):  # "" is the beginning of the schedule, and no sample
        return False
    standing = standing_of(run, newest, this_moment(), interval)
    return standing is not None and standing.silent_for is not None and not standing.is_silent
