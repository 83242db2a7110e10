"""Brings a run from act to act: written down, done, written down again. And takes up what a dead process left.

It does what :func:`~pytest_py312.rollout.domain.state_machine.next_act` says and nothing else, so that it needs no
memory of its own: killed at any moment, another one goes on from the journal. Nothing here relies on being able to
clean up after itself.

Whether a run may begin where things stand: what the journal knows, and what serves.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from pytest_py312.core import clock
from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import (
    DeployFailed,
    Event,
    LeftAlone,
    Locked,
    Outdated,
    Restored,
    RestoreFailed,
    Resumed,
    RollbackAsked,
    TwinRemoved,
)
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Act, Deployment, Holder, Intent, StageRun, StageState
from pytest_py312.rollout.domain.preconditions import (
    check_drilled,
    check_place,
    check_promotion,
    check_start,
    standing_on,
)
from pytest_py312.rollout.domain.state_machine import (
    INTERRUPTED,
    WATCHED,
    advance,
    is_half_done,
    is_unfinished,
    next_act,
)
from pytest_py312.rollout.execution.actions import Acts, trouble_removing_twin
from pytest_py312.rollout.execution.foreign_changes import AWAY, fallen, left_alone, started, was_away
from pytest_py312.rollout.execution.locking import Holding, Me
from pytest_py312.rollout.targets.target import Target, TargetError, TargetLost, TargetRefused

PATIENCE = 4
"""Interruptions of which the last leaves things as they are."""
SETTLING = 2.0
"""Seconds that a target gets to finish what a process asked of it that has died since: what it makes after the way back
was gone would be left over."""
LOST_LIMIT = 60.0
"""Seconds for which a way back waits for a target that does not answer."""


class Driver:
    """Drives runs on one target, written down in one journal.

    ``stopping`` says why to stop (``"SIGINT"``), or ``""``: what goes up is then brought back, what comes back goes on.
    ``told`` is given each step in words. ``pause`` and ``stopwatch`` are the clock.
    """

    def __init__(
        self,
        journal: Journal,
        target: Target,
        me: Me,
        *,
        stopping: Callable[[], str] = lambda: "",
        told: Callable[[str], None] = lambda text: None,
        pause: Callable[[float], None] = clock.pause,
        stopwatch: Callable[[], float] = clock.stopwatch,
    ) -> None:
        self._journal = journal
        self._target = target
        self._me = me
        self._holding = Holding(journal, target, me, told)
        self._acts = Acts(target, pause=pause, stopwatch=stopwatch)
        self._stopping = stopping
        self._told = told
        self._pause = pause
        self._stopwatch = stopwatch

    @property
    def owner(self) -> str:
        """By which the journal knows this process."""
        return self._me.process

    # ---- what can be asked of it

    def deploy(
        self, run: StageRun, *, earlier: Iterable[int] = (), after: Iterable[str] = (), keep: int = 5
    ) -> StageRun:
        """Bring a new run up to its soak, or back to what was before.

        Parameters and errors are those of :meth:`begin`.
        """
        return self._through(self.begin(run, earlier=earlier, after=after, keep=keep))

    def begin(
        self, run: StageRun, *, earlier: Iterable[int] = (), after: Iterable[str] = (), keep: int = 5
    ) -> StageRun:
        """Lock the environment for a new run and write it down; nothing is touched yet. :meth:`go_on` does the rest.

        :param earlier: numbers of the stages before it in the plan.
        :param after: environments that have to accept the same first.
        :param keep: runs of the stage whose samples are kept.
        :raises RolloutRefused: something else has to come first, or another one is at it. Nothing was changed.
        """
        if not run.deployments:
            raise RolloutRefused(f"stage {run.stage} has no service that could be deployed")
        self.recover(run.environment)
        run = replace(run, place=self._target.identity())
        check_ground(self._journal, self._target, run, list(earlier), list(after))
        self._holding.hold(run)
        try:
            check_ground(
                self._journal, self._target, run, list(earlier), list(after)
            )  # once more: nobody can change it now
            self._journal.begin(run, owner=self.owner, keep=keep)
        except BaseException:
            self._holding.let_go(run)
            raise
        return self._journal.record(run.run, Locked(by=str(self._me)), owner=self.owner)

    def go_on(self, name: str, until: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """Bring a run that this process holds further up, or back.

        :param until: says when it has come far enough, while it is on the way up.
        :raises LostRun: another process holds it.
        """
        return self._through(self._journal.run(name), until)

    def verify(self, name: str, service: str) -> str:
        """Why what serves is not what was deployed, on the target, and well; ``""`` where it is. Records nothing."""
        run = self._journal.run(name)
        try:
            self._acts.verify(run, run[service])
        except TargetError as error:
            return str(error)
        return ""

    def verify_old(self, name: str, service: str) -> str:
        """Why what serves is not what served before the run; ``""`` where it is, and is well. Records nothing."""
        try:
            return self._acts.not_old(self._journal.run(name)[service])
        except TargetError as error:
            return str(error)

    def recover(self, environment: str) -> list[StageRun]:
        """Finish what dead processes have left half done in an environment. Done twice it is done once.

        :raises RolloutRefused: a living process is at it, or nobody can tell whether it lives.
        """
        found = []
        for run in self._journal.newest(environment):
            if not is_unfinished(run):
                continue
            self._told(f"stage {run.stage} was left {run.state.value}")
            try:
                self._holding.hold(run)
            except RolloutRefused:
                if is_half_done(run):
                    raise
                continue  # what it has left is in nobody's way
            self._journal.take(run.run, owner=self.owner)
            if self._journal.open_intent(run.run) is not None:
                self._pause(SETTLING)
            found.append(self._through(self._journal.record(run.run, Resumed(by=str(self._me)), owner=self.owner)))
        self._holding.sweep(environment)
        return found

    def rollback(self, name: str, *, reason: str, services: tuple[str, ...] = ()) -> StageRun:
        """Bring a run, or some services of it, back to what served before.

        Whoever watches it is told by losing the run: a healthy soak holds nobody up.

        :raises RolloutRefused: another one is deploying, or there is no such service.
        """
        run = self._journal.run(name)
        if is_half_done(run):
            self.recover(run.environment)
            run = self._journal.run(name)
        event = RollbackAsked(reason=reason, services=services, by=str(self._me))
        if next_act(advance(run, event)) is None:  # refused, or there is nothing left to bring back
            return run
        self._holding.hold(run, even_from_the_living=run.state in WATCHED)
        self._journal.take(name, owner=self.owner)
        self._outdate(run, f"stage {run.stage} was rolled back under it")
        return self._through(self._journal.record(name, event, owner=self.owner))

    def start_again(self, environment: str) -> list[str]:
        """Start what ways back have left alone, what ran when their stages were begun, and does not by now.

        :returns: the services that could not be.
        :raises RolloutRefused: another one is at work there.
        """
        troubled = []
        for run in self._journal.newest(environment):
            down = fallen(self._target, run) if run.state is StageState.ROLLED_BACK else []
            if down:
                self._holding.hold(run)
                troubled += [one.service for one in down if self._start(run, one)]
                self._holding.let_go(run)
        return troubled

    def attach(self, name: str) -> StageRun:
        """Hold a run in order to watch it.

        :raises RolloutRefused: a living process watches it.
        """
        run = self._journal.run(name)
        self._holding.hold(run)
        return self._journal.take(name, owner=self.owner)

    def leave(self, name: str) -> None:
        """Nobody is at work on a soak from now on: whoever comes next goes on with it, on whichever machine."""
        run = self._journal.run(name)
        if run.state not in WATCHED or self._journal.owner(name) != self.owner:
            return
        try:
            self._holding.hold(run, even_from_the_living=True)
        except (RolloutRefused, TargetError) as error:
            self._told(f"stage {run.stage} is left, and {run.environment} is not: {error}")
        self._journal.leave(name, owner=self.owner)

    def unlock(self, environment: str, *, force: bool) -> Holder | None:
        """See :meth:`.locking.Holding.unlock`."""
        return self._holding.unlock(environment, force=force)

    def detach(self, name: str) -> None:
        """Let go of the environment, and of what stood beside, if the run is over; else the lock outlives us."""
        if not (run := self._journal.run(name)).state.is_over:
            return
        try:
            if next_act(run) is not None:
                self._holding.hold(run, even_from_the_living=True)
                self._through(run)
            self._holding.let_go(run)
        except (RolloutRefused, TargetError) as error:
            self._told(f"something of stage {run.stage} is left for `py312 recover`: {error}")

    def _outdate(self, run: StageRun, reason: str) -> None:
        known = self._journal.newest(run.environment)
        for number in standing_on(run.stage, run.environment, known):
            name = next(other.run for other in known if other.stage == number)
            self._journal.take(name, owner=self.owner)
            self._journal.record(name, Outdated(reason=reason), owner=self.owner)

    # ---- from act to act

    def _through(self, run: StageRun, until: Callable[[StageRun], bool] = lambda run: False) -> StageRun:
        """Until it waits or is over. An interruption turns the way up into the way back, before it is passed on.

        The way back itself is interrupted in earnest only by the last of :data:`PATIENCE` attempts.
        """
        interruption: BaseException | None = None
        for left in reversed(range(PATIENCE)):
            try:
                run = self._carry_on(run, until)
                break
            except (KeyboardInterrupt, SystemExit) as error:
                if left == 0:
                    raise  # whatever comes next recovers it
                interruption = error
                self._told(f"bringing back what was begun; interrupt {left} times more to leave it as it is")
                self._journal.note(run.run, f"interrupted by {type(error).__name__}")
                run = self._journal.record(run.run, Resumed(by=str(self._me)), owner=self.owner)
        if run.state.is_over:
            self._holding.let_go(run)
        if interruption is not None:
            raise interruption
        return run

    def _carry_on(self, run: StageRun, until: Callable[[StageRun], bool]) -> StageRun:
        while (intent := next_act(run)) is not None:
            is_way_up = intent.act not in (Act.RESTORE, Act.UNTWIN)
            if is_way_up and until(run):
                return run
            stop = self._stopping() if is_way_up else ""
            if stop:
                event: Event | None = DeployFailed(service=intent.service, reason=f"{INTERRUPTED}{stop}")
            else:
                event = self._done(run, intent)
            if event is None:
                break  # whoever comes next tries again
            run = self._journal.record(run.run, event, owner=self.owner)
            self._told(f"{intent.act.value} {intent.service}: {_in_words(event)}")
        self._told(f"stage {run.stage} is {run.state.value}" + (f": {run.reason}" if run.reason else ""))
        if run.state is StageState.ROLLED_BACK:
            self._look_at_the_untouched(run)
        return run

    def _look_at_the_untouched(self, run: StageRun) -> None:
        away = was_away(self._journal.history(run.run))
        for one in fallen(self._target, run):
            self._start(run, one) if away else self._tell(
                run,
                f"{one.service} was not touched, and does not run by now: start {one.spec.container}, or "
                f"`py312 recover --env {run.environment} --start`",
            )

    def _start(self, run: StageRun, one: Deployment) -> str:
        self._tell(run, f"{one.service} was not touched, ran when the stage was begun, and does not by now: started")
        trouble = started(self._target, run, one, self._acts.not_old)
        if trouble:
            self._tell(run, f"{one.service} could not be started: {trouble}")
        return trouble

    def _tell(self, run: StageRun, text: str) -> None:
        self._told(text)
        self._journal.note(run.run, text)

    def _done(self, run: StageRun, intent: Intent) -> Event | None:
        """Do one act and say what came of it. The intent is on the disk before anything is touched.

        ``None`` where it was not done, and nothing depends on it.
        """
        self._journal.intend(run.run, intent, owner=self.owner)
        one = run[intent.service]
        if intent.act is Act.RESTORE:
            return self._restored(run, one)
        if intent.act is Act.UNTWIN:
            return self._untwinned(run, one)
        try:
            self._holding.check(run)
            if intent.act is Act.PREPARE and one == run.deployments[0]:  # from here on something changes
                self._outdate(run, f"stage {run.stage} was deployed anew under it")
            return self._acts.do(intent.act, run, one)
        except TargetError as error:
            if isinstance(error, TargetLost):
                self._journal.note(run.run, f"{AWAY}{error}")
            return DeployFailed(service=intent.service, reason=str(error))

    def _untwinned(self, run: StageRun, one: Deployment) -> Event | None:
        self._holding.check(run)
        trouble = trouble_removing_twin(self._target, run, one)
        if trouble:
            self._told(trouble)
        return None if trouble else TwinRemoved(service=one.service)

    # ---- the way back

    def _restored(self, run: StageRun, one: Deployment) -> Event:
        """Tried for a while where the target does not answer: there is nothing better to be done meanwhile."""
        begun = self._stopwatch()
        while True:
            try:
                self._holding.check(run)
                stranger = left_alone(self._target, one, run.run)
                if stranger:
                    return LeftAlone(service=one.service, what=stranger)
                logged = self._target.restore(one.spec, one.old, run=run.run)
                if logged:
                    self._journal.note(run.run, f"{one.service} had logged:\n{logged[-1500:]}")
                trouble = self._acts.not_old(one)
            except TargetLost as error:
                self._journal.note(run.run, f"{AWAY}{error} (restore {one.service})")
                if self._stopwatch() - begun < LOST_LIMIT:
                    self._pause(2.0)
                    continue
                trouble = str(error)
            except TargetRefused as error:
                trouble = str(error)
            if trouble:
                return RestoreFailed(service=one.service, reason=trouble)
            return Restored(service=one.service)


def _in_words(event: Event) -> str:
    reason = getattr(event, "reason", "")
    return f"failed, {reason}" if reason else "done"


def check_ground(journal: Journal, target: Target, run: StageRun, earlier: list[int], after: list[str]) -> None:
    """
    :param earlier: numbers of the stages before it in the plan.
    :param after: environments that have to accept the same first.
    :raises RolloutRefused: something else has to come first.
    """
    known = journal.newest()
    check_place(run.environment, run.place, known, run.shares)
    before = [one for one in known if one.environment == run.environment and one.stage in earlier]
    serving = {}
    for other in before:
        for one in other.deployments if other.is_completed else ():
            seen = target.observe(one.spec)
            serving[one.service] = seen.container.image if seen else "nothing"
    check_start(run.stage, run.environment, earlier, known, serving)
    check_promotion(run, after, known)
    if run.needs_drill and not earlier:
        check_drilled(run, after, journal.drills())
