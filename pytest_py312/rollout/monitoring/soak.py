"""The soak of a deployed stage: samples all its services on a schedule that is independent of processes.

Samples are due at t0 + k * interval. The journal stores t0 and every sample, so any process can continue a soak: one
that keeps running, or a new one for each sample. Slots without a sample are gaps and earn no credit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core import clock
from pytest_py312.core.database import DiskFull
from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.canary_analysis.judge import clock_jumps, is_from_future, slot_due
from pytest_py312.rollout.canary_analysis.time_series import ServiceMetrics, SoakProgress
from pytest_py312.rollout.domain.events import AcceptanceTested, Breached, Drifted, Event, Judged, SoakCredited
from pytest_py312.rollout.domain.journal import Journal, current_timestamp
from pytest_py312.rollout.domain.measurements import Sample, Timestamp
from pytest_py312.rollout.domain.model import MONITORED, AcceptancePhase, Reaction, StageRun, StageState
from pytest_py312.rollout.domain.run_history import recorded_breaches
from pytest_py312.rollout.domain.stop_signals import StopRequest
from pytest_py312.rollout.monitoring.breaches import (
    describe_drift,
    final_verdict,
    find_breaches,
    inconclusive_reasons,
)
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probes import DRIFT, INTERPRETER
from pytest_py312.rollout.monitoring.service_sampling import START_SLOT, ServiceSampler

MAX_SLEEP = 30.0
"""Maximum seconds of one sleep, because the schedule advances while a machine is suspended."""
CREDIT_RECORD_STEP = 300.0
"""Seconds of new credit after which the journal is updated."""
NEVER_IGNORED = (DRIFT, INTERPRETER)
"""Metrics that a decision cannot accept: samples of anything else prove nothing about the deployed version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoakSnapshot:
    """State of a soak. ``slot`` is that of the newest sample, ``missed`` the number of slots without a sample.

    ``inconclusive_reasons`` is why the current state is unclear, ``interrupted_by`` the signal that ended the process.
    """

    run: StageRun
    slot: int = 0
    missed: int = 0
    inconclusive_reasons: tuple[str, ...] = ()
    interrupted_by: str = ""
    seconds_to_next: float = 0.0
    """Seconds to the next sample."""
    storage_problem: str = ""
    """Why the newest sample could not be stored; empty if it was."""


StateChangeCallback = Callable[[StageRun, StageRun], Awaitable[None]]
"""Called at each change of state with the run before and after it."""
StorageCallback = Callable[[StageRun, str], Awaitable[None]]
"""Called when samples can no longer be stored, with the problem, and when they can again, with an empty text."""

AcceptanceTests = Callable[[StageRun, str], Awaitable[AcceptanceTested]]
"""Runs acceptance tests of a stage, by their name, at the end of its soak."""


async def _ignore_change(previous: StageRun, current: StageRun) -> None:
    return None


async def _ignore_storage(run: StageRun, problem: str) -> None:
    return None


async def _no_acceptance_tests(run: StageRun, name: str) -> AcceptanceTested:
    raise NotImplementedError(f"nothing here can run the acceptance tests {name}")


class SoakMonitor:
    """Monitor that samples and judges the services of one run.

    ``owner`` has to own the run in the journal. ``now`` and ``sleep`` are the clock. All methods raise
    :class:`~pytest_py312.rollout.domain.journal.LostOwnership` once another process owns the run; the caller must then
    stop without any further action.
    """

    def __init__(
        self,
        journal: Journal,
        run_name: str,
        services: Sequence[MonitoredService],
        settings: SoakSettings,
        *,
        owner: str,
        on_state_change: StateChangeCallback = _ignore_change,
        on_storage_problem: StorageCallback = _ignore_storage,
        run_acceptance_tests: AcceptanceTests = _no_acceptance_tests,
        now: Callable[[], Timestamp] = current_timestamp,
        sleep: Callable[[float], Awaitable[None]] = clock.async_pause,
    ) -> None:
        self._journal = journal
        self._run_name = run_name
        self._services = tuple(services)
        self._settings = settings
        self._owner = owner
        self._on_state_change = on_state_change
        self._on_storage_problem = on_storage_problem
        self._run_acceptance_tests = run_acceptance_tests
        self._storage_problem = ""
        self._has_unstored = False
        self._sampler = ServiceSampler(settings=settings, sleep=sleep)
        self._now = now
        self._sleep = sleep
        self._run = journal.load_run(run_name)
        if {monitored.service for monitored in self._services} != set(self._run.services):
            raise ValueError("a soak monitors all services of its stage")
        self._start: Timestamp | None = None
        self._slot = START_SLOT
        self._missed = 0
        self._reported_breaches: set[str] = set()
        self._metrics_by_service: dict[str, ServiceMetrics] = {}
        self._credit = SoakProgress((), 1.0)
        self.on_sample: Callable[[], None] = lambda: None
        """Called after each sample of :meth:`wait`, to update displays."""

    # ---- public

    async def sample_once(self, stop: StopRequest | None = None) -> SoakSnapshot:
        """Take the due sample unless it has been taken already, or ``stop`` is requested meanwhile."""
        stop = StopRequest() if stop is None else stop
        await self._load_or_start(stop)
        slot = self._due_slot()
        if self._is_active and slot > self._slot and not stop:
            await stop.run(self._take_samples(slot))
        return await self._finish(stop)

    async def wait(self, stop: StopRequest, until: Callable[[StageRun], bool] = lambda run: False) -> SoakSnapshot:
        """Take samples until the soak is decided or ``stop`` is requested, which leaves the new version running.

        A held stage is sampled until its credit is complete, because a person may decide at any time.

        :param until: additional condition to return; another call continues the soak.
        """
        await self._load_or_start(stop)
        while self._is_active and not stop and not until(self._run):
            slot = self._due_slot()
            if slot > self._slot:
                await stop.run(self._take_samples(slot))
                self.on_sample()
            else:
                await stop.run(self._sleep(min(self._seconds_to_next(), MAX_SLEEP)))
        return await self._finish(stop)

    async def _finish(self, stop: StopRequest) -> SoakSnapshot:
        if stop:
            self._journal.add_note(
                self._run_name, f"monitoring was interrupted by {stop.reason}; the new version keeps running"
            )
        await self._record_credit()
        return replace(self.snapshot(), interrupted_by=stop.reason)

    def snapshot(self) -> SoakSnapshot:
        """Return the current state."""
        reasons = [
            reason
            for monitored in self._services
            for reason in inconclusive_reasons(
                monitored, self._metrics_by_service.get(monitored.service, ServiceMetrics())
            )
        ]
        reasons += [f"the newest sample was not stored: {self._storage_problem}"] if self._storage_problem else []
        return SoakSnapshot(
            run=self._run,
            slot=self._slot,
            missed=self._missed,
            inconclusive_reasons=tuple(reasons),
            seconds_to_next=self._seconds_to_next() if self._is_active else 0.0,
            storage_problem=self._storage_problem,
        )

    @property
    def credited(self) -> float:
        """Credited seconds so far. The run in the journal is updated less often."""
        return max(self._run.credited, self._credit.seconds)

    @property
    def metrics_by_service(self) -> Mapping[str, ServiceMetrics]:
        """Measurements so far by service."""
        return self._metrics_by_service

    # ---- the schedule

    @property
    def _is_active(self) -> bool:
        is_held_and_complete = self._run.state is StageState.HELD and self._run.credited >= self._run.soak
        return self._run.state in MONITORED and not is_held_and_complete

    def _due_slot(self) -> int:
        assert self._start is not None, "the soak was started"
        return slot_due(self._now(), self._start, self._settings.interval)

    def _seconds_to_next(self) -> float:
        """Return the seconds to the next slot."""
        if self._start is None:
            return 0.0
        elapsed = self._now().elapsed_since(self._start)
        return max(0.001, (self._due_slot() + 1) * self._settings.interval - elapsed)

    async def _load_or_start(self, stop: StopRequest) -> None:
        """Load the schedule and earlier samples from the journal, or start the schedule."""
        if self._start is not None:
            return
        self._replay()
        if self._start is None:
            try:
                await self._record_start()
            except DiskFull as error:
                await self._set_storage_problem(str(error))
                raise
            self._replay()
        self._reported_breaches = recorded_breaches(self._journal.history(self._run_name))
        if self._slot > START_SLOT:  # the process may have been killed between storing the last sample and judging it
            await stop.run(self._judge())

    async def _record_start(self) -> None:
        """Store the start of the schedule, with the engines' counters as a reference for the first sample."""
        now = self._now()
        delay = self._settings.initial_delay
        start = Timestamp(wall=now.wall + delay, boottime=now.boottime + delay, boot=now.boot)
        counters = await asyncio.gather(*(self._sampler.read_counters(monitored, now) for monitored in self._services))
        starts = [
            Sample(service=monitored.service, slot=START_SLOT, at=start, measurements=measurements)
            for monitored, measurements in zip(self._services, counters, strict=True)
        ]
        self._journal.add_samples(self._run_name, starts, owner=self._owner)

    def _replay(self) -> None:
        """Recompute metrics and credit from the journal, at the start and after the counting rules changed."""
        ignored = ignored_metrics(self._run)
        self._has_unstored = False
        self._metrics_by_service = {
            monitored.service: ServiceMetrics(monitored.value_metrics) for monitored in self._services
        }
        self._credit = SoakProgress(
            [monitored.service for monitored in self._services], self._settings.interval, ignored
        )
        now, slack = self._now(), self._settings.interval / 2
        for monitored in self._services:
            for sample in self._journal.samples(self._run_name, monitored.service, first_slot=START_SLOT):
                if sample.slot == START_SLOT:
                    self._start = sample.at
                    if self._run.first_slot == 1:  # otherwise it refers to samples that no longer count
                        self._metrics_by_service[monitored.service].add_initial_sample(sample)
                    self._metrics_by_service[monitored.service].last_sample = sample
                    continue
                if is_from_future(sample.at, now, slack):
                    continue  # taken with a wrong clock; it must not block the slots until then
                self._slot = max(self._slot, sample.slot)
                if sample.slot >= self._run.first_slot:
                    self._count(sample)

    def _count(self, sample: Sample, *, is_stored: bool = True) -> None:
        """Count a sample. One that is not stored shows what is wrong, but earns no credit."""
        self._has_unstored = self._has_unstored or not is_stored
        if describe_drift(sample):
            self._metrics_by_service[sample.service].last_sample = sample
            return
        self._metrics_by_service[sample.service].add(sample)
        if is_stored:
            self._credit.add(sample)

    # ---- one slot

    async def _take_samples(self, slot: int) -> None:
        """Sample all services at once, store the samples and judge them."""
        now = self._now()
        samples = await asyncio.gather(
            *(
                self._sampler.sample(monitored, slot, now, self._metrics_by_service[monitored.service].last_sample)
                for monitored in self._services
            )
        )
        self._note_clock_jump(now)
        try:
            stored_count = self._journal.add_samples(self._run_name, samples, owner=self._owner)
            problem = "" if stored_count == len(samples) else "the journal has a sample with a timestamp in the future"
        except DiskFull as error:
            problem = str(error)
            for sample in samples:  # it may show an outage
                self._count(sample, is_stored=False)
        if problem:  # a sample that was not stored earns no credit
            self._missed += 1
            self._slot = slot
            self._journal.add_note(self._run_name, f"the sample of slot {slot} could not be stored: {problem}")
            await self._set_storage_problem(problem)
            if self._has_unstored:
                await self._record_breaches()
            return
        await self._set_storage_problem("")
        self._missed += slot - self._slot - 1
        self._slot = slot
        if self._has_unstored:  # from now on only what every process reads in the journal
            self._replay()
        else:
            for sample in samples:
                self._count(sample)
        await self._judge()

    async def _set_storage_problem(self, problem: str) -> None:
        """Report the first sample that was not stored, and the first that was stored again."""
        has_changed = bool(problem) is not bool(self._storage_problem)
        self._storage_problem = problem
        if has_changed:
            await self._on_storage_problem(self._run, problem)

    def _note_clock_jump(self, now: Timestamp) -> None:
        last = next(
            (
                service_metrics.last_sample
                for service_metrics in self._metrics_by_service.values()
                if service_metrics.last_sample and service_metrics.last_sample.slot > START_SLOT
            ),
            None,
        )
        for _, jump in clock_jumps([last.at, now], self._settings.interval) if last else []:
            self._journal.add_note(
                self._run_name, f"the clock was set by {jump:+.0f} s; the soak uses the monotonic clock"
            )

    # ---- judgement

    async def _record_breaches(self) -> None:
        for monitored in self._services:
            service_metrics = self._metrics_by_service[monitored.service]
            drift = describe_drift(service_metrics.last_sample)
            drifted = Drifted(service=monitored.service, detail=drift, slot=self._slot)
            if drift and self._is_monitored and drifted.key not in self._run.pending_decisions:
                await self._record(drifted)
                self._replay()
            for breach in [] if drift else find_breaches(monitored, service_metrics):
                is_known = breach.key in self._reported_breaches or breach.key in self._run.accepted_breaches
                # on a full disk there is only space for decisions
                is_pending = self._has_unstored and breach.reaction is Reaction.RECORD
                if is_known or is_pending or not self._is_monitored:
                    continue
                self._reported_breaches.add(breach.key)
                await self._record(Breached(breach=breach))

    async def _judge(self) -> None:
        await self._record_breaches()
        await self._record_credit(CREDIT_RECORD_STEP)
        while self._run.state is StageState.SOAKED and (pending := self._run.pending_acceptance(AcceptancePhase.END)):
            await self._record(await self._run_acceptance_tests(self._run, pending[0]))
        if self._run.state is StageState.SOAKED:
            final = final_verdict(
                self._services, self._metrics_by_service, self._run.accepted_breaches, self._run.untested
            )
            await self._record(Judged(verdict=final.verdict, reason=final.reason[:2000]))

    @property
    def _is_monitored(self) -> bool:
        return self._run.state in MONITORED

    async def _record_credit(self, step: float = 0.0) -> None:
        """Record the credit if it is complete or has grown by more than ``step``."""
        seconds = self._credit.seconds
        if not self._is_monitored or seconds <= self._run.credited:
            return
        if seconds >= self._run.soak or seconds - self._run.credited > step:
            await self._record(SoakCredited(seconds=seconds))

    async def _record(self, event: Event) -> None:
        previous = self._run
        self._run = self._journal.record(self._run_name, event, owner=self._owner)
        if self._run.state is not previous.state:
            await self._on_state_change(previous, self._run)


def ignored_metrics(run: StageRun) -> list[str]:
    """Return the accepted breaches, which samples are not judged by; drift and the interpreter are never among them."""
    return [key for key in run.accepted_breaches if not key.endswith(tuple(f": {name}" for name in NEVER_IGNORED))]
