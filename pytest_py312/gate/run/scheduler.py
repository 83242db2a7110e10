"""Schedule the tasks of a run.

    plan + tree -> fleet -> cells -> (requirements -> lock -> environment) -> suite runs -> outcomes

pytest runs one task at a time with :meth:`Scheduler.run`, while :meth:`Scheduler.prefetch` computes all selected tasks
in the background, in parallel.
"""

import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.concurrency import PriorityExecutor, SingleFlight, Work
from pytest_py312.core.model.findings import Interpreter, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.serialization import decode, encode
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckResult, CheckTraits
from pytest_py312.gate.checks.dependencies import DependencyCheck
from pytest_py312.gate.checks.static_analysis import SourceCheck
from pytest_py312.gate.checks.suite import SuiteCheck
from pytest_py312.gate.run.fact_provider import FactProvider
from pytest_py312.gate.run.finalization import Finalizer
from pytest_py312.gate.run.outcome_keys import OutcomeKeys
from pytest_py312.gate.run.state import StateFile
from pytest_py312.gate.run.tasks import CheckTask, unread_outcome
from pytest_py312.runners.runner import Runner

UNDETERMINED_CODES = frozenset(("PY111", "PY112", "PY113"))
"""Codes of findings on what could not be determined."""
_ANALYZED: Work[None] = Work("analyzed")
_PREPARED: Work[bool] = Work("prepared")
_ITEM = "item "
"""Prefix of the durations of items in the state file."""
LAST = 2**30
"""Amount of work of what is done after everything else."""
SERVICES_AT_ONCE = 8
"""Number of services that are prepared together: the first ones of a large fleet end while others are installed."""


class Scheduler:
    """Scheduler of check tasks. Thread-safe; has to be closed."""

    def __init__(
        self,
        *,
        facts: FactProvider,
        keys: OutcomeKeys,
        finalizer: Finalizer,
        runner: Runner,
        state: StateFile,
        single_flight: SingleFlight,
        parallel: int,
        reuse: bool = True,
        reuse_failures: bool = True,
    ) -> None:
        """
        :param keys: cache keys of outcomes.
        :param reuse: use valid outcomes of earlier runs.
        :param reuse_failures: use those that failed, too.
        """
        self.facts = facts
        self._keys = keys
        self._finalizer = finalizer
        self._runner = runner
        self._state = state
        self._single_flight = single_flight
        self._parallel = parallel
        self._reuse = reuse
        self._reusable = (Status.PASSED, Status.FAILED) if reuse_failures else (Status.PASSED,)
        self._used_keys: list[str] = []
        self.measured_elsewhere = 0
        """Number of services that are measured in other parts of the run: they count for what is significant."""
        facts.suite_warnings = self._suite_warnings
        self._futures: dict[str, Future[CheckResult]] = {}
        self._workers: PriorityExecutor | None = None
        self._builders: PriorityExecutor | None = None
        self._preparers: PriorityExecutor | None = None

    # -- results

    def run(self, task: CheckTask) -> CheckResult:
        """Return the result of ``task``: prefetched, cached by an earlier run, or computed now."""
        future = self._futures.get(task.name)
        if future is not None and not future.cancelled():
            return future.result()
        if task.cell.service.unread:
            PROGRESS.answer([task.name])
            return CheckResult(outcome=unread_outcome(task))
        return self._run(task)

    def finished(self, task: CheckTask) -> CheckResult | None:
        """Return the result of ``task`` if it was prefetched and is there; ``None`` otherwise."""
        future = self._futures.get(task.name)
        if future is None or not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return future.result()

    def is_proven(self, task: CheckTask) -> bool:
        """Return whether ``task`` has passed in an earlier run, and nothing that it depends on has changed since."""
        key = self._key(task)
        result = self._cached_result(key, task) if key else None
        return result is not None and result.outcome.status is Status.PASSED

    def _run(self, task: CheckTask) -> CheckResult:
        with PROGRESS.activity("checking", task.title, item=task.name):
            return self._answer(task)

    def _answer(self, task: CheckTask) -> CheckResult:
        started = clock.stopwatch()
        key = self._key(task)
        cached_result = self._cached_result(key, task) if key else None
        if cached_result is not None:
            return cached_result
        result = task.check.run(task.cell, self.facts)
        ahead = self.facts.seconds_ahead.get((task.cell.identifier, task.check.name), 0.0)
        seconds = max(clock.stopwatch() - started, ahead)
        finalized = self._finalized(task, result, seconds=seconds)
        self._store(task, result, finalized.outcome.status)
        self._state.store_duration(f"{_ITEM}{task.name}", seconds)
        return finalized

    def _finalized(
        self, task: CheckTask, result: CheckResult, *, seconds: float = 0.0, cached: bool = False
    ) -> CheckResult:
        is_target = task.cell == self.facts.cells(task.cell.service)[-1]
        outcome = self._finalizer.finalize(result.outcome, task, is_target=is_target, seconds=seconds, cached=cached)
        return replace(result, outcome=outcome)

    def _cached_result(self, key: str, task: CheckTask) -> CheckResult | None:
        document = self._state.outcome(key)
        if document is None:
            return None
        try:
            result = decode(CheckResult, document)
        except (ValueError, TypeError, KeyError):
            return None
        if (result.outcome.service, result.outcome.interpreter) != (task.cell.service.name, task.interpreter):
            return None
        result = self._finalized(task, result, cached=True)
        status = result.outcome.status
        may_expire = status is Status.FAILED or not self._keys.is_locked(task.cell.service)
        if status not in self._reusable or (may_expire and not self._is_fresh(result.determined_at)):
            return None
        self._used_keys.append(key)
        return result

    def _is_fresh(self, computed: float | None) -> bool:
        """Return whether what was computed then is still valid: for as long as a lock would be."""
        return computed is not None and 0 <= clock.timestamp() - computed < self.facts.plan.lock_hours * 3600

    def _suite_warnings(self, cell: Cell) -> SuiteRun:
        """Return the warnings of a complete run of the suite, which may be one of an earlier session.

        Where the suite cannot run on the target, they are asked of the older interpreters. Such an outcome is never
        cached: without a cache of their own, these suites would run in each session.
        """
        task = CheckTask(cell=cell, check=next(check for check in CHECKS if check.name == SuiteCheck.name))
        key_of_suite = self._key(task)
        key = f"{key_of_suite} warnings" if key_of_suite else ""
        with suppress(ValueError, TypeError, KeyError):  # a document of another version
            document: Any = self._state.outcome(key) if key else None
            if document is not None and self._is_fresh(document["computed"]):
                self._used_keys.append(key)
                return decode(SuiteRun, document["run"])
        run = self.facts.suite_run(cell)
        if key and run.complete and self._keys.is_still_valid(task):
            warnings_only = SuiteRun(interpreter=run.interpreter, results={}, warnings=run.warnings)
            self._state.store_outcome(key, {"computed": clock.timestamp(), "run": encode(warnings_only)})
        return run

    def _key(self, task: CheckTask) -> str:
        installs = CheckTraits.of(task.check).needs_installation or task.cell in self.facts.installed_cells
        return self._keys.key_of(task, installs=installs) if self._reuse else ""

    def _store(self, task: CheckTask, result: CheckResult, status: Status) -> None:
        """Cache an outcome for later runs, unless the source has changed while it was computed.

        One that could not be checked is never cached. A failure, and what belongs to a set without a lock, may depend
        on answers of the index. It is valid for as long as a lock, and only if nothing remained undetermined.

        :param status: the status of the finalized outcome.
        """
        if not result.is_kept or status not in (Status.PASSED, Status.FAILED):
            return
        key, service = self._key(task), task.cell.service
        is_determined = (
            not self.facts.plan.offline
            and self.facts.installer.locks.is_determined(service)
            and not any(finding.code in UNDETERMINED_CODES for finding in result.outcome.findings)
        )
        if not is_determined and (status is Status.FAILED or not self._keys.is_locked(service)):
            return
        if key and self._keys.is_still_valid(task):
            determined_at = clock.timestamp() if is_determined else None
            self._state.store_outcome(key, encode(replace(result, determined_at=determined_at)))

    # -- prefetching

    def prefetch(self, tasks: Sequence[CheckTask]) -> None:
        """Compute ``tasks`` in the background; the runner decides how many cells run at once.

        While the distributions of one interpreter are installed, those of the next one are resolved, and suites run as
        soon as their environments are ready. What has to build sources first has threads of its own, the least work
        first: a compiler that runs for minutes keeps no other service back.
        """
        pending = self._take_cached(tasks)
        if not pending:
            return
        self._workers, self._builders = PriorityExecutor(self._parallel + 2), PriorityExecutor(self._parallel)
        self._preparers = PriorityExecutor(2)
        order = {name: index for index, name in enumerate(dict.fromkeys(task.cell.service.name for task in pending))}
        for task in pending:
            self._futures[task.name] = Future()
        self._prefetch_source_analysis(pending)
        self._enqueue([task for task in pending if task.cell not in self.facts.installed_cells], order)
        installing = [task for task in pending if task.cell in self.facts.installed_cells]
        names = list(dict.fromkeys(task.cell.service.name for task in installing))
        for start in range(0, len(names), SERVICES_AT_ONCE):
            names_of_group = frozenset(names[start : start + SERVICES_AT_ONCE])
            group = [task for task in installing if task.cell.service.name in names_of_group]
            readiness = _Readiness(group, lambda ready: self._enqueue(ready, order))
            for interpreter, cells in self.facts.installer.group_by_interpreter([task.cell for task in group]).items():
                self._preparers.submit(
                    (start, interpreter.minor),
                    partial(self._prepare_interpreter, interpreter, tuple(cells), readiness, order),
                )

    def _take_cached(self, tasks: Sequence[CheckTask]) -> list[CheckTask]:
        """Complete the tasks that earlier runs answer; return those to compute, of services that could be read."""
        recorded = self._state.durations(_ITEM)
        PROGRESS.plan({task.name: recorded.get(task.name, 0.0) for task in tasks}, parallel=self._parallel)
        tasks = [task for task in tasks if not task.cell.service.unread]
        self._register(tasks)
        with PROGRESS.activity("reading", "the results of earlier runs"):
            pending = [task for task in tasks if not self._answer_from_cache(task)]
        PROGRESS.answer(self._futures)
        return pending

    def _register(self, tasks: Sequence[CheckTask]) -> None:
        self.facts.installed_cells = frozenset(
            task.cell for task in tasks if CheckTraits.of(task.check).needs_installation
        )
        measured = sum(CheckTraits.of(task.check).comes_last for task in tasks) + self.measured_elsewhere
        self.facts.measured_services = max(1, measured)

    def _prefetch_source_analysis(self, tasks: Sequence[CheckTask]) -> None:
        """Analyze the source of all selected services while their distributions are downloaded."""
        services = [task.cell.service for task in tasks if task.check.name == SourceCheck.name]
        if services:
            self.facts.service_analyzer.register(services)
            self._submit((-1,), self._analyze_source)

    def _analyze_source(self) -> None:
        with PROGRESS.activity("reading", "the source of all services"):
            self.facts.service_analyzer.prefetch()

    def _prepare_interpreter(
        self, interpreter: Interpreter, cells: Sequence[Cell], readiness: "_Readiness", order: Mapping[str, int]
    ) -> None:
        started = clock.stopwatch()
        try:
            self.facts.installer.prepare(interpreter, cells)
        finally:
            share = (clock.stopwatch() - started) / len(cells)
            self.facts.seconds_ahead |= {(cell.identifier, DependencyCheck.name): share for cell in cells}
            for cell in cells:
                if cell in readiness.cells_with_suites:
                    priority = (order[cell.service.name], 0, cell.interpreter.minor)
                    self._submit(priority, partial(self.facts.suite_run, cell), work=self._remaining_work(cell))
            readiness.mark_prepared(interpreter)

    def _enqueue(self, tasks: Sequence[CheckTask], order: Mapping[str, int]) -> None:
        """Submit tasks that wait for no preparation (any more)."""
        cells = dict.fromkeys(task.cell for task in tasks if task.cell in self.facts.installed_cells)
        remaining: dict[str, int] = {}
        for cell in cells:
            remaining[cell.service.name] = remaining.get(cell.service.name, 0) + self._remaining_work(cell)
        for index, task in enumerate(tasks):
            priority, job = (order[task.cell.service.name], 1, index), partial(self._complete, task)
            if CheckTraits.of(task.check).comes_last:
                self._submit((LAST, *priority), job)
            else:
                self._submit(priority, job, work=remaining.get(task.cell.service.name, 0))

    def _remaining_work(self, cell: Cell) -> int:
        try:
            return self.facts.installer.locks.remaining_work(cell)
        except Exception:  # raised again where the result is needed
            return LAST

    def _submit(self, priority: tuple[int, ...], job: Callable[[], object], *, work: int = 0) -> None:
        executor = self._builders if work else self._workers
        if executor is not None:
            executor.submit((work, *priority), job)

    def _complete(self, task: CheckTask) -> None:
        future = self._futures[task.name]
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._run(task))
        except BaseException as error:  # also those with which pytest skips and exits: without one, pytest would wait
            future.set_exception(error)

    def _answer_from_cache(self, task: CheckTask) -> bool:
        """Complete a task at once if the result of an earlier run is still valid; return whether it is."""
        try:
            key = self._key(task)
            cached_result = self._cached_result(key, task) if key else None
        except Exception:  # raised again where the result is needed
            return False
        if cached_result is None:
            return False
        future: Future[CheckResult] = Future()
        future.set_result(cached_result)
        self._futures[task.name] = future
        return True

    def prepare_shared(self, tasks: Sequence[CheckTask]) -> None:
        """Prepare what all tasks need, for xdist workers: the first worker resolves and installs it."""
        pending = self._take_cached(tasks)
        self._futures.clear()  # each worker runs some of the tasks, and reads the results of earlier runs itself
        self.facts.service_analyzer.register(
            task.cell.service for task in pending if task.check.name == SourceCheck.name
        )
        with suppress(Exception):  # raised again where the result is needed
            self._single_flight.run(_ANALYZED, self._analyze_source)
        for interpreter, cells in self.facts.installer.group_by_interpreter(
            [task.cell for task in pending if task.cell in self.facts.installed_cells]
        ).items():
            with suppress(Exception):
                self._single_flight.run(
                    _PREPARED.of(interpreter), partial(self.facts.installer.prepare, interpreter, tuple(cells))
                )

    def close(self) -> None:
        """Stop all running work and clean up."""
        self.facts.stop()
        for future in self._futures.values():
            future.cancel()
        self._runner.close()
        for threads in (self._preparers, self._workers, self._builders):
            if threads is not None:
                threads.close()
        self._state.touch(self._used_keys)
        self._state.close()


class _Readiness:
    """Watcher that calls ``on_ready`` with the tasks of a service when all of its interpreters are prepared."""

    def __init__(self, tasks: Sequence[CheckTask], on_ready: Callable[[Sequence[CheckTask]], None]) -> None:
        self._items: dict[str, list[CheckTask]] = {}
        for task in tasks:
            self._items.setdefault(task.cell.service.name, []).append(task)
        self._unprepared = {
            name: {task.cell.interpreter for task in group} | {group[0].cell.service.baseline}
            for name, group in self._items.items()
        }
        self._on_ready = on_ready
        self._lock = threading.Lock()
        self.cells_with_suites = {task.cell for task in tasks if task.check.name == "suite"}

    def mark_prepared(self, interpreter: Interpreter) -> None:
        with self._lock:
            finished = []
            for name, unprepared in self._unprepared.items():
                if interpreter in unprepared:
                    unprepared.discard(interpreter)
                    if not unprepared:
                        finished.append(name)
        for name in finished:
            self._on_ready(self._items[name])


def new_run_id() -> str:
    """Return a new id, which names the folder, processes and containers of a run."""
    return f"{clock.now_text().replace(':', '').replace('-', '')}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
