"""Watches a stage that was deployed: one sampler for all its services, on a schedule that no process owns.

The schedule is t0 + k x interval, and t0 lies in the journal, as does every sample; so a soak is a deadline and a log,
and whoever comes next goes on with it: a process that stays, or one that is started each time a sample is due. What
was not sampled is a gap, and gaps prove nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core import clock
from pytest_py312.core.database import DiskFull
from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.canary_analysis.judge import clock_jumps, confirmed, from_the_future, slot_due
from pytest_py312.rollout.canary_analysis.time_series import CONFIRMED, Credit, Tally
from pytest_py312.rollout.domain.events import Breached, Credited, Drifted, Event, Judged
from pytest_py312.rollout.domain.identity import this_moment
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample, StageRun, StageState
from pytest_py312.rollout.domain.state_machine import WATCHED
from pytest_py312.rollout.domain.stop_signals import Stop
from pytest_py312.rollout.metrics.resource_usage import CPU_COUNTER, RESTART_COUNTER
from pytest_py312.rollout.monitoring.breaches import Watched, breaches, drift_in, joined, last_judgement, untold
from pytest_py312.rollout.monitoring.probes import DRIFT, INTERPRETER, Probe
from pytest_py312.rollout.monitoring.reprobe import DECIDED, Beside

START = 0
"""The slot whose sample says when the schedule begins. It is none of the soak's."""
LONGEST_REST = 30.0
"""Seconds of one sleep: a machine that was suspended wakes with a schedule that has moved on."""
SHOWN_EACH = 300.0
"""Seconds of credit after which the journal is told, for those who look."""
NEVER_IGNORED = (DRIFT, INTERPRETER)
"""What no decision makes good: samples of something else prove nothing about what was deployed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a soak has come. ``slot`` is the newest that was taken, ``missed`` how many in between were not.

    ``untold`` says why nothing can be said just now; ``interrupted`` is the signal that ended the watching.
    """

    run: StageRun
    slot: int = 0
    missed: int = 0
    untold: tuple[str, ...] = ()
    interrupted: str = ""
    next_in: float = 0.0
    """Seconds to the next sample."""


Changed = Callable[[StageRun, StageRun], Awaitable[None]]
"""Told of each change of state: the run before and after it."""


async def _nobody(before: StageRun, after: StageRun) -> None:
    return None


class Soak:
    """The watching of one run.

    ``owner`` has to hold it in the journal. ``now`` and ``rest`` are the clock. All methods raise
    :class:`~pytest_py312.rollout.domain.journal.LostRun` once another process holds the run; nothing is to be done
    then.
    """

    def __init__(
        self,
        journal: Journal,
        run: str,
        watched: Sequence[Watched],
        settings: SoakSettings,
        *,
        owner: str,
        changed: Changed = _nobody,
        now: Callable[[], Moment] = this_moment,
        rest: Callable[[float], Awaitable[None]] = clock.rest,
    ) -> None:
        self._journal = journal
        self._name = run
        self._watched = tuple(watched)
        self._settings = settings
        self._owner = owner
        self._changed = changed
        self._now = now
        self._rest = rest
        self._run = journal.run(run)
        if {one.service for one in self._watched} != set(self._run.services):
            raise ValueError("a soak watches all services of its stage")
        self._start: Moment | None = None
        self._slot = START
        self._missed = 0
        self._known: set[str] = set()
        self._tallies: dict[str, Tally] = {}
        self._credit = Credit((), 1.0)
        self.on_sample: Callable[[], None] = lambda: None
        """Called after each sample of :meth:`wait`, for whoever shows it."""

    # ---- what can be asked of it

    async def tick(self) -> Progress:
        """Take the sample that is due, if there is one that nobody has taken, and leave."""
        await self._begin()
        slot = self._due()
        if self._goes_on and slot > self._slot:
            await self._take(slot)
        await self._show()
        return self.progress()

    async def wait(self, stop: Stop, until: Callable[[StageRun], bool] = lambda run: False) -> Progress:
        """Take samples until the soak is decided, or ``stop`` is asked; the new version stays up then.

        A stage that is held is watched until its credit is whole: a person may decide at any time.

        :param until: says what else there is to be told; the soak is gone on with by calling this again.
        """
        await self._begin()
        while self._goes_on and not stop and not until(self._run):
            slot = self._due()
            if slot > self._slot:
                await _unless(stop, self._take(slot))
                self.on_sample()
            else:
                await _unless(stop, self._rest(min(self._next_in(), LONGEST_REST)))
        if stop:
            self._note(f"watching was interrupted by {stop.why}; the new version stays up")
        await self._show()
        return replace(self.progress(), interrupted=stop.why)

    def progress(self) -> Progress:
        """How far it has come."""
        reasons = [why for one in self._watched for why in untold(one, self._tallies.get(one.service, Tally()))]
        return Progress(
            run=self._run,
            slot=self._slot,
            missed=self._missed,
            untold=tuple(reasons),
            next_in=self._next_in() if self._goes_on else 0.0,
        )

    @property
    def credited(self) -> float:
        """Seconds that are proven by now; the run, which lies in the journal, is told from time to time."""
        return max(self._run.credited, self._credit.seconds)

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """Service -> what was measured of it so far."""
        return self._tallies

    # ---- the schedule

    @property
    def _goes_on(self) -> bool:
        held_to_the_end = self._run.state is StageState.HELD and self._run.credited >= self._run.soak
        return self._run.state in WATCHED and not held_to_the_end

    def _due(self) -> int:
        assert self._start is not None, "the soak was begun"
        return slot_due(self._now(), self._start, self._settings.interval)

    def _next_in(self) -> float:
        """Seconds to the next slot of the schedule."""
        if self._start is None:
            return 0.0
        now = self._now()
        since = now.since(self._start)
        elapsed = now.wall - self._start.wall if since is None else since
        return max(0.001, (self._due() + 1) * self._settings.interval - elapsed)

    async def _begin(self) -> None:
        """Find the beginning of the schedule, or make it; and what was measured before."""
        if self._start is not None:
            return
        self._replay()
        if self._start is None:
            await self._make_start()
            self._replay()
        self._known = {
            each.what.breach.key for each in self._journal.history(self._name) if isinstance(each.what, Breached)
        }
        if self._slot > START:  # whoever kept the last sample may have been killed before it was judged
            await self._judge()

    async def _make_start(self) -> None:
        """What engines count is read at once, so that the first sample has something to be held against."""
        now = self._now()
        delay = self._settings.initial_delay
        begin = Moment(wall=now.wall + delay, boottime=now.boottime + delay, boot=now.boot)
        counted = await asyncio.gather(*(self._counters(one, now) for one in self._watched))
        starts = [
            Sample(service=one.service, slot=START, at=begin, measurements=found)
            for one, found in zip(self._watched, counted, strict=True)
        ]
        self._journal.keep_samples(self._name, starts, owner=self._owner)

    async def _counters(self, watched: Watched, now: Moment) -> tuple[Measurement, ...]:
        asked = await asyncio.gather(*(probe.measure(None, now) for probe in watched.probes if not probe.repeatable))
        return tuple(each for found in asked for each in found if each.metric in (CPU_COUNTER, RESTART_COUNTER))

    def _replay(self) -> None:
        """Count everything anew: at the beginning, and when what counts has changed."""
        ignored = ignored_in(self._run)
        self._tallies = {one.service: Tally(one.kept) for one in self._watched}
        self._credit = Credit([one.service for one in self._watched], self._settings.interval, ignored)
        now, slack = self._now(), self._settings.interval / 2
        for one in self._watched:
            for sample in self._journal.samples(self._name, one.service, first_slot=START):
                if sample.slot == START:
                    self._start = sample.at
                    if self._run.first_slot == 1:  # else of something that no longer counts
                        self._tallies[one.service].begin(sample)
                    self._tallies[one.service].last = sample
                    continue
                if from_the_future(sample.at, now, slack):
                    continue  # by a clock that was wrong; nor may it keep the slots until then from being taken
                self._slot = max(self._slot, sample.slot)
                if sample.slot >= self._run.first_slot:
                    self._count(sample)

    def _count(self, sample: Sample) -> None:
        if drift_in(sample):
            self._tallies[sample.service].last = sample
            return
        self._tallies[sample.service].add(sample)
        self._credit.add(sample)

    # ---- one slot

    async def _take(self, slot: int) -> None:
        """Sample all services at once, keep it, and say what comes of it."""
        now = self._now()
        samples = await asyncio.gather(*(self._sample(one, slot, now) for one in self._watched))
        self._notice(now)
        try:
            kept = self._journal.keep_samples(self._name, samples, owner=self._owner)
            trouble = "" if kept == len(samples) else "there is one already, of a time that has not come yet"
        except DiskFull as error:
            trouble = str(error)
        if trouble:  # what is not kept does not count, and the service is not to blame
            self._missed += 1
            self._slot = slot
            self._note(f"slot {slot} could not be kept: {trouble}")
            return
        self._missed += slot - self._slot - 1
        self._slot = slot
        for sample in samples:
            self._count(sample)
        await self._judge()

    def _note(self, text: str) -> None:
        try:
            self._journal.note(self._name, text)
        except DiskFull:
            return

    def _notice(self, now: Moment) -> None:
        last = next((tally.last for tally in self._tallies.values() if tally.last and tally.last.slot > START), None)
        for _, jump in clock_jumps([last.at, now], self._settings.interval) if last else []:
            self._note(f"the clock was set by {jump:+.0f} s; the soak goes by the one that cannot be set")

    async def _sample(self, watched: Watched, slot: int, now: Moment) -> Sample:
        before = last = self._tallies[watched.service].last
        if before is not None and before.slot == START:  # its moment is that of the schedule, not of the reading
            before = replace(before, at=_earlier(before.at, self._settings.initial_delay))
        beside = Beside(asked=[(one, asyncio.ensure_future(one.measure(before, now))) for one in watched.twin])
        new, old = await asyncio.gather(
            asyncio.gather(*(self._asked(watched, probe, before, now, beside) for probe in watched.probes)),
            asyncio.gather(*(first for _, first in beside.asked)),
        )
        first = last is None or last.slot == START
        measurements = joined(watched, _flat(new), beside.settled(_flat(old)), None if first else last)
        return Sample(service=watched.service, slot=slot, at=now, measurements=measurements)

    async def _asked(
        self, watched: Watched, probe: Probe, before: Sample | None, now: Moment, beside: Beside
    ) -> tuple[Measurement, ...]:
        """What a probe says; where something failed, it is asked again to tell a blip from an outage, and so is the
        twin."""
        first = await probe.measure(before, now)
        failed = [one.metric for one in first if one.result is Result.FAILED]
        if not failed or not probe.repeatable:
            return first
        rule = watched.rule(failed[0]).limits.confirm
        # asking again ends before the next sample is due
        every = min(rule.every, self._settings.interval / (rule.probes + 1))
        bursts: dict[str, list[Result]] = {metric: [] for metric in failed}
        twins = await beside.answering(failed)
        for _ in range(rule.probes):
            await self._rest(every)
            answers = await asyncio.gather(*(one.measure(before, now) for one in (probe, *twins)))
            again = {one.metric: one.result for one in answers[0]}
            for metric, burst in bursts.items():
                burst.append(again.get(metric, Result.INCONCLUSIVE))
            beside.take(failed, _flat(answers[1:]))
            if all(confirmed(burst, rule) in DECIDED for burst in (*bursts.values(), *beside.bursts(failed))):
                break
        said = {metric: (confirmed(burst, rule), burst) for metric, burst in bursts.items()}
        beside.settle([metric for metric in failed if said[metric][0] is Result.FAILED], rule)
        return tuple(_with_burst(one, *said[one.metric]) if one.metric in said else one for one in first)

    # ---- what comes of it

    async def _judge(self) -> None:
        for one in self._watched:
            tally = self._tallies[one.service]
            drift = drift_in(tally.last)
            if drift and self._is_watched and f"{one.service}: {DRIFT}" not in self._run.held_for:
                await self._record(Drifted(service=one.service, detail=drift, slot=self._slot))
                self._replay()
            for breach in [] if drift else breaches(one, tally):
                if breach.key in self._known or breach.key in self._run.decided or not self._is_watched:
                    continue
                self._known.add(breach.key)
                await self._record(Breached(breach=breach))
        await self._show(SHOWN_EACH)
        if self._run.state is StageState.SOAKED:
            said = last_judgement(self._watched, self._tallies, self._run.decided, self._run.untried)
            await self._record(Judged(verdict=said.verdict, reason=said.reason[:2000]))

    @property
    def _is_watched(self) -> bool:
        return self._run.state in WATCHED

    async def _show(self, step: float = 0.0) -> None:
        """Write the credit down, when it is whole or has grown by more than ``step``."""
        seconds = self._credit.seconds
        if not self._is_watched or seconds <= self._run.credited:
            return
        if seconds >= self._run.soak or seconds - self._run.credited > step:
            await self._record(Credited(seconds=seconds))

    async def _record(self, event: Event) -> None:
        before = self._run
        self._run = self._journal.record(self._name, event, owner=self._owner)
        if self._run.state is not before.state:
            await self._changed(before, self._run)


def ignored_in(run: StageRun) -> list[str]:
    """What a person's decision takes out of a sample's judgement; what serves and on which interpreter it cannot."""
    return [key for key in run.decided if not key.endswith(tuple(f": {name}" for name in NEVER_IGNORED))]


def _with_burst(one: Measurement, said: Result, burst: Sequence[Result]) -> Measurement:
    """The first answer stays what it was: a service that fails now and then has failed."""
    bad = burst.count(Result.FAILED)
    told = f"{CONFIRMED if said is Result.FAILED else ''}{bad} of {len(burst)} more were bad"
    return replace(one, detail=f"{told}; {one.detail}" if one.detail else told)


def _flat(found: Sequence[tuple[Measurement, ...]]) -> list[Measurement]:
    return [one for each in found for one in each]


def _earlier(at: Moment, seconds: float) -> Moment:
    return Moment(wall=at.wall - seconds, boottime=at.boottime - seconds, boot=at.boot)


async def _unless(stop: Stop, work: Awaitable[None]) -> None:
    """Do ``work``, but leave it where it is when ``stop`` is asked."""
    doing = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (doing, asked):
            task.cancel()
        await asyncio.gather(doing, asked, return_exceptions=True)
    if not doing.cancelled():
        doing.result()
