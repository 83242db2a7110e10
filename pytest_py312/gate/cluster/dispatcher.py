"""Send the jobs of a run to a cluster, and answer each exactly once, whatever happens to workers and scheduler.

Dask decides which worker takes which job, and runs a job again elsewhere whose worker is lost. Each start is reported
by the worker, which refuses the start after the last that is allowed. All events are handled by one thread.
"""

import queue
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.errors import describe_internal_error
from pytest_py312.core.text import format_duration, join_names, pluralize
from pytest_py312.gate.cluster.connection import AttemptFailed, ClusterConnection, Failure
from pytest_py312.gate.cluster.jobs import (
    MAX_RUNS,
    RunSetup,
    ServiceAnswer,
    ServiceJob,
    WorkerFacts,
    from_text,
    to_text,
)
from pytest_py312.gate.cluster.placement import ServiceNeeds, cannot_be_placed, missing
from pytest_py312.gate.cluster.tree_archive import TreeArchive
from pytest_py312.gate.cluster.worker_pool import WorkerPool

POLL_INTERVAL = 1.0
NO_WORKER_LIMIT = 60.0
"""Seconds that services wait for another worker after all were lost."""
MAX_REFUSALS = 10
"""How often a service may come to a worker that takes no part in the run."""

SCHEDULER_LOST = "the scheduler of the cluster was lost"

JobId = tuple[str, bool]
Notify = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedJob:
    """A job, and what a worker needs for it. Those of a higher ``weight`` are started earlier."""

    job: ServiceJob
    needs: ServiceNeeds
    weight: int


@dataclass(kw_only=True, slots=True)
class _JobState:
    placed: PlacedJob
    answer: "Future[ServiceAnswer]" = field(default_factory=Future)
    starts: list[str] = field(default_factory=list)
    """The workers that started it."""
    fit: frozenset[str] = frozenset()
    """The workers that it was sent to; empty: all."""
    refusals: int = 0
    future: Any = None
    begun: float = 0.0

    @property
    def is_open(self) -> bool:
        return not self.answer.done()


class Dispatcher:
    """Dispatcher of the jobs of a run. Has to be closed.

    :param notify: called with lines for the user, by another thread.
    """

    def __init__(
        self,
        connection: ClusterConnection,
        pool: WorkerPool,
        jobs: Sequence[PlacedJob],
        *,
        setup: RunSetup,
        archive: TreeArchive,
        runner: str,
        fetches: bool,
        notify: Notify,
    ) -> None:
        self._connection = connection
        self._pool = pool
        self._setup = setup
        self._archive = archive
        self._runner = runner
        self._fetches = fetches
        self._notify = notify
        self._jobs: dict[JobId, _JobState] = {placed.job.id: _JobState(placed=placed) for placed in jobs}
        self._open = Counter(placed.job.measures for placed in jobs)
        """How many checks and how many measurements are not answered."""
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_closing = threading.Event()
        self._workers_seen_at = clock.stopwatch()
        self._are_measured = False
        self._lacks_at, self._lacks_by_needs = -1, dict[ServiceNeeds, Mapping[str, str]]()
        self._thread = threading.Thread(target=self._handle_events, name="py312-cluster", daemon=True)

    # -- what the coordinator asks

    def start(self) -> None:
        """Send all jobs, after those that no worker can take are answered."""
        self._connection.subscribe(self._setup.run_id, lambda message: self._put(partial(self._on_start, message)))
        for state in self._jobs.values():
            self._refuse_unplaceable(state)
        self._pool.prepare(self._setup, self._archive)
        self._submit_phase(measures=False)
        self._submit_measurements()
        self._thread.start()

    def answer(self, job_id: JobId) -> "Future[ServiceAnswer]":
        """Return the future of the answer of a job."""
        return self._jobs[job_id].answer

    def close(self) -> None:
        """Cancel what is not answered, let all workers end it, and close the connection."""
        self._is_closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * POLL_INTERVAL)
        pending = [state for state in self._jobs.values() if state.is_open]
        for state in pending:
            state.answer.cancel()
        if self._connection.is_alive:
            self._connection.cancel([state.future for state in pending if state.future is not None])
            self._pool.dismiss()
        self._connection.close()

    # -- events: one thread

    def _put(self, event: Callable[[], None]) -> None:
        self._events.put(event)

    def _handle_events(self) -> None:
        polled = clock.stopwatch()
        try:
            while not self._is_closing.is_set() and self._open.total():
                with suppress(queue.Empty):
                    self._events.get(timeout=POLL_INTERVAL)()
                if clock.stopwatch() - polled >= POLL_INTERVAL:
                    self._poll()
                    polled = clock.stopwatch()
        except Exception as error:  # pytest would wait for answers for ever
            self._fail_all(describe_internal_error(error))

    def _poll(self) -> None:
        """Look for workers that have joined or left, and for a scheduler that is lost."""
        if not self._connection.is_alive:
            self._fail_all(SCHEDULER_LOST)
            return
        joined, left = self._pool.refresh(self._objection)
        for address in left:
            self._notify(f"worker {self._pool.name(address)} has left the cluster")
        if joined:
            self._pool.prepare(self._setup, self._archive)
            self._notify(f"{pluralize(len(joined), 'worker')} joined: {join_names(list(map(self._pool.name, joined)))}")
        for state in self._jobs.values():
            if state.is_open and state.fit and state.fit.isdisjoint(self._pool.facts) and state.future is not None:
                self._submit_again(state)
        if self._pool.facts:
            self._workers_seen_at = clock.stopwatch()
        elif clock.stopwatch() - self._workers_seen_at > NO_WORKER_LIMIT:
            limit = format_duration(NO_WORKER_LIMIT)
            self._fail_all(f"all workers of the cluster were lost, and none came within {limit}")

    def _objection(self, facts: WorkerFacts) -> str:
        """Return why a worker that joins late cannot take part: what was sent to all workers could come to it."""
        for state in self._jobs.values():
            lack = self._missing(facts, state.placed.needs) if state.is_open and not state.fit else ""
            if lack:
                return f"{state.placed.job.service} may come to it, and {lack}"
        return ""

    def _on_start(self, message: Mapping[str, Any]) -> None:
        state = self._jobs.get((str(message.get("service")), bool(message.get("measures"))))
        if state is None or not state.is_open:
            return
        worker, service = str(message.get("worker")), state.placed.job.service
        lost = [self._pool.name(address) for address in state.starts]
        state.starts.append(worker)
        state.begun = clock.stopwatch()
        if len(state.starts) > MAX_RUNS:
            self._give_up(state)
        elif lost:
            self._notify(f"{service}: worker {lost[-1]} was lost, so it runs again on {self._pool.name(worker)}")

    def _give_up(self, state: _JobState) -> None:
        workers = join_names([self._pool.name(address) for address in state.starts[:MAX_RUNS]], MAX_RUNS)
        reason = (
            f"{MAX_RUNS} workers were lost while they checked it, one after the other: {workers}. It may take more "
            "memory than they have: give them more, or limit it in the plan (memory-limit)"
        )
        self._finish(state, ServiceAnswer(failure=reason))
        self._connection.cancel([state.future])

    def _on_end(self, state: _JobState, future: Any) -> None:
        if not state.is_open or future is not state.future:
            return
        try:
            answer = from_text(ServiceAnswer, self._connection.answer(future))
        except AttemptFailed as failure:
            if not self._connection.is_alive:
                self._fail_all(SCHEDULER_LOST)
            elif failure.failure is Failure.FINAL:
                self._finish(state, ServiceAnswer(failure=str(failure)))
            else:
                self._try_again(state, failure.failure)
        except (ValueError, TypeError, KeyError):
            self._finish(state, ServiceAnswer(failure="the worker's answer cannot be read"))
        else:
            self._finish(state, answer)

    def _try_again(self, state: _JobState, failure: Failure) -> None:
        if failure is Failure.REFUSED and state.starts:
            self._pool.forget(state.starts.pop())  # it did not run, and the worker is asked again
            state.refusals += 1
        if len(state.starts) >= MAX_RUNS:
            self._give_up(state)
        elif state.refusals > MAX_REFUSALS:
            self._finish(state, ServiceAnswer(failure="it came to workers again and again that take no part"))
        else:
            self._submit_again(state)

    # -- submission

    def _missing(self, facts: WorkerFacts, needs: ServiceNeeds) -> str:
        return missing(facts, needs, runner=self._runner, fetches=self._fetches)

    def _lacks(self, needs: ServiceNeeds) -> Mapping[str, str]:
        """Return what each worker lacks. Thousands of services have few different needs."""
        if self._lacks_at != self._pool.changes:
            self._lacks_at, self._lacks_by_needs = self._pool.changes, {}
        if needs not in self._lacks_by_needs:
            facts_by_address = self._pool.facts.items()
            self._lacks_by_needs[needs] = {address: self._missing(facts, needs) for address, facts in facts_by_address}
        return self._lacks_by_needs[needs]

    def _refuse_unplaceable(self, state: _JobState) -> bool:
        """Answer a job that no worker can take; return whether it is one."""
        lacks = self._lacks(state.placed.needs)
        if not lacks or not all(lacks.values()):
            return False
        named = {self._pool.name(address): lack for address, lack in lacks.items()}
        self._finish(state, ServiceAnswer(failure=cannot_be_placed(named)))
        return True

    def _submit_again(self, state: _JobState) -> None:
        future, state.future = state.future, None
        self._connection.cancel([future])
        if self._pool.facts and not self._refuse_unplaceable(state):
            self._submit(state, everywhere=False)
        elif state.is_open:
            self._submit(state)

    def _submit_phase(self, *, measures: bool) -> None:
        states = [state for state in self._jobs.values() if state.placed.job.measures is measures and state.is_open]
        for state in sorted(states, key=lambda state: -state.placed.weight):
            self._submit(state)

    def _submit(self, state: _JobState, *, everywhere: bool = True) -> None:
        """Submit a job to the workers that can take it. Late ones get it too if all workers can take it now."""
        fit = frozenset(address for address, lack in self._lacks(state.placed.needs).items() if not lack)
        is_fit = everywhere and len(fit) == len(self._pool.facts) and not self._pool.refused
        state.fit = frozenset() if is_fit else fit
        job = replace(state.placed.job, earlier_starts=len(state.starts))
        state.future = self._connection.submit(
            to_text(job),
            uuid.uuid4().hex,  # an answer to an earlier attempt has another key
            workers=state.fit,
            alone=job.measures,
            priority=state.placed.weight,
            on_end=lambda future: self._put(partial(self._on_end, state, future)),
        )

    def _submit_measurements(self) -> None:
        """Submit the benchmarks once nothing else runs."""
        if not self._open[False] and not self._are_measured:
            self._are_measured = True
            self._submit_phase(measures=True)

    # -- answers

    def _finish(self, state: _JobState, answer: ServiceAnswer) -> None:
        job = state.placed.job
        self._open[job.measures] -= 1
        remaining = f"{self._open.total()} of {len(self._jobs)} left"
        if answer.failure:
            self._notify(f"{job.service} could not be checked ({remaining}): {answer.failure}")
        else:
            what = "was measured" if job.measures else "was checked"
            seconds = format_duration(clock.stopwatch() - state.begun)
            where = f" by {self._pool.name(state.starts[-1])} in {seconds}" if state.starts else ""
            self._notify(f"{job.service} {what}{where} ({remaining})")
        state.answer.set_result(answer)
        if self._thread.is_alive():
            self._submit_measurements()

    def _fail_all(self, reason: str) -> None:
        self._notify(f"{reason}: what has not ended is not checked")
        for state in self._jobs.values():
            if state.is_open:
                state.answer.set_result(ServiceAnswer(failure=reason))
        self._open.clear()
