"""The phases in order, and the one place where they meet.

    plan + tree -> fleet -> cells -> (requirements -> lock -> environment) -> suite runs -> outcomes

:class:`Gate` answers for one item at a time, from the facts of ``fact_provider.py``; :meth:`Gate.start_ahead` lets the
cores work through all chosen items meanwhile.
"""

import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_py312.core import clock
from pytest_py312.core.concurrency import Ahead, Once
from pytest_py312.core.model.findings import Interpreter, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.gate.checks.check import Judgement, comes_last, needs_installation
from pytest_py312.gate.checks.static_analysis import Source
from pytest_py312.gate.run.fact_provider import Gathering
from pytest_py312.gate.run.outcome_keys import OutcomeKeys
from pytest_py312.gate.run.state import State
from pytest_py312.gate.run.tasks import Item
from pytest_py312.gate.run.waivers import apply_waivers, waivers_of
from pytest_py312.runners.runner import Runner

if TYPE_CHECKING:
    from pytest_py312.analysis.services.service_analysis import Inspection


class Gate:
    """Answers items. Safe for several threads; close it in the end."""

    def __init__(
        self,
        *,
        facts: Gathering,
        keys: OutcomeKeys,
        runner: Runner,
        state: State,
        once: Once,
        parallel: int,
        reuse: bool = True,
    ) -> None:
        """``keys`` tell which answers of earlier runs hold, which are used with ``reuse`` only."""
        self._facts = facts
        self._keys = keys
        self._runner = runner
        self._state = state
        self._once = once
        self._parallel = parallel
        self._reuse = reuse
        self._used: list[str] = []
        self._ahead: dict[str, Future[Judgement]] = {}
        self._workers: Ahead | None = None
        self._preparing: Ahead | None = None

    # -- answers

    def judge(self, item: Item) -> Judgement:
        """The answer to ``item``: from the work done ahead, from an unchanged earlier run, or worked out now."""
        future = self._ahead.get(item.name)
        if future is not None and not future.cancelled():
            return future.result()
        return self._judge(item)

    def is_proven(self, item: Item) -> bool:
        """Whether an earlier run has passed ``item``, and nothing that it depends on has changed since."""
        key = self._key(item)
        return bool(key) and self._recalled(key, item) is not None

    def _judge(self, item: Item) -> Judgement:
        started = clock.stopwatch()
        key = self._key(item)
        known = self._recalled(key, item) if key else None
        if known is not None:
            return known
        judgement = item.check.judge(item.cell, self._facts)
        target = self._facts.cells(item.cell.service)[-1]
        outcome = apply_waivers(
            judgement.outcome,
            waivers_of(self._facts.plan.waivers, item.cell),
            item.check.codes,
            is_target=item.cell == target,
        )
        outcome = replace(outcome, seconds=round(clock.stopwatch() - started, 3))
        judgement = replace(judgement, outcome=outcome)
        if outcome.status is Status.PASSED and self._reuse:
            self._keep(item, judgement)
        return judgement

    def _recalled(self, key: str, item: Item) -> Judgement | None:
        document = self._state.outcome(key)
        if document is None:
            return None
        try:
            judgement = decode(Judgement, document)
        except (ValueError, TypeError, KeyError):
            return None
        outcome = judgement.outcome
        same = (outcome.service, outcome.interpreter) == (item.cell.service.name, item.interpreter)
        if outcome.status is not Status.PASSED or not same:
            return None
        self._used.append(key)
        return replace(judgement, outcome=replace(outcome, cached=True, seconds=0.0))

    def _key(self, item: Item) -> str:
        installs = needs_installation(item.check) or item.cell in self._facts.installed
        return self._keys.of(item, installs=installs) if self._reuse else ""

    def _keep(self, item: Item, judgement: Judgement) -> None:
        """Keep a passed outcome for later runs, unless the source has changed while it was worked out."""
        key = self._key(item)
        if key and self._keys.hold(item):
            self._state.keep_outcome(key, encode(judgement))

    # -- working ahead

    def start_ahead(self, items: Sequence[Item]) -> None:
        """Begin to answer ``items`` in the background, with as many cells at once as there are cores for it.

        While one interpreter's distributions are installed, the next one's are resolved, and suites whose
        environments can be made already run.
        """
        self._expect(items)
        fresh = [item for item in items if not self._quickly(item)]
        if not fresh:
            return
        self._workers = Ahead(self._parallel + 2)
        self._preparing = Ahead(2)
        order = {name: index for index, name in enumerate(dict.fromkeys(item.cell.service.name for item in fresh))}
        for item in fresh:
            self._ahead[item.name] = Future()
        self._inspect_ahead(fresh)
        self._queue([item for item in fresh if item.cell not in self._facts.installed], order)
        bound = [item for item in fresh if item.cell in self._facts.installed]
        waiting = _Countdown(bound, lambda ready: self._queue(ready, order))
        for interpreter, cells in self._facts.installer.by_interpreter([item.cell for item in bound]).items():
            self._preparing.add(
                (interpreter.minor,), partial(self._prepare_one, interpreter, tuple(cells), waiting, order)
            )

    def _expect(self, items: Sequence[Item]) -> None:
        self._facts.installed = frozenset(item.cell for item in items if needs_installation(item.check))
        self._facts.measured = max(1, sum(comes_last(item.check) for item in items))

    def _inspect_ahead(self, items: Sequence[Item]) -> None:
        """Read the source of all services that are asked about, while their distributions are fetched."""
        services = [item.cell.service for item in items if item.check.name == Source.name]
        if services:
            self._facts.inspector.expect(services)
            self._work((-1,), self._facts.inspector.prepare)

    def _prepare_one(
        self, interpreter: Interpreter, cells: Sequence[Cell], waiting: "_Countdown", order: Mapping[str, int]
    ) -> None:
        try:
            self._facts.installer.prepare(interpreter, cells)
        finally:
            for cell in cells:
                if cell in waiting.with_suites:
                    self._work(
                        (order[cell.service.name], 0, cell.interpreter.minor), partial(self._facts.suite_run, cell)
                    )
            waiting.done(interpreter)

    def _queue(self, items: Sequence[Item], order: Mapping[str, int]) -> None:
        """All of a service's interpreters are prepared: its items can be answered."""
        for index, item in enumerate(items):
            last = len(order) if comes_last(item.check) else 0
            self._work((order[item.cell.service.name] + last, 1, index), partial(self._answer, item))

    def _work(self, priority: tuple[int, ...], work: Callable[[], object]) -> None:
        if self._workers is not None:
            self._workers.add(priority, work)

    def _answer(self, item: Item) -> None:
        future = self._ahead[item.name]
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(self._judge(item))
        except Exception as error:
            future.set_exception(error)

    def _quickly(self, item: Item) -> bool:
        """Answer an item at once if an earlier run's answer still holds."""
        key = self._key(item)
        known = self._recalled(key, item) if key else None
        if known is None:
            return False
        future: Future[Judgement] = Future()
        future.set_result(known)
        self._ahead[item.name] = future
        return True

    def prepare_shared(self, items: Sequence[Item]) -> None:
        """For xdist's workers: what all items need is resolved and installed by the first worker that comes."""
        self._expect(items)
        fresh = [item for item in items if not self._quickly(item)]
        self._ahead.clear()
        self._facts.inspector.expect(item.cell.service for item in fresh if item.check.name == Source.name)
        self._once("inspect", self._facts.inspector.prepare)
        for interpreter, cells in self._facts.installer.by_interpreter(
            [item.cell for item in fresh if item.cell in self._facts.installed]
        ).items():
            self._once(f"prepare {interpreter}", partial(self._facts.installer.prepare, interpreter, tuple(cells)))

    def builds(self) -> tuple[InterpreterBuild, ...]:
        """The interpreter builds that were used."""
        return self._facts.builds()

    def inspection_with(self, files: Mapping[str, bytes], services: Sequence[Service]) -> "dict[str, Inspection]":
        """See :meth:`Gathering.inspection_with`."""
        return self._facts.inspection_with(files, services)

    def close(self) -> None:
        """End what still runs, and leave nothing of it."""
        self._facts.end()
        for future in self._ahead.values():
            future.cancel()
        self._runner.close()
        for threads in (self._preparing, self._workers):
            if threads is not None:
                threads.close()
        self._state.touch(self._used)
        self._state.close()


class _Countdown:
    """Says when all interpreters of a service are prepared."""

    def __init__(self, items: Sequence[Item], ready: Callable[[Sequence[Item]], None]) -> None:
        self._items: dict[str, list[Item]] = {}
        for item in items:
            self._items.setdefault(item.cell.service.name, []).append(item)
        self._missing = {
            name: {item.cell.interpreter for item in group} | {group[0].cell.service.baseline}
            for name, group in self._items.items()
        }
        self._ready = ready
        self._lock = threading.Lock()
        self.with_suites = {item.cell for item in items if item.check.name == "suite"}

    def done(self, interpreter: Interpreter) -> None:
        with self._lock:
            finished = []
            for name, missing in self._missing.items():
                if interpreter in missing:
                    missing.discard(interpreter)
                    if not missing:
                        finished.append(name)
        for name in finished:
            self._ready(self._items[name])


def new_run_id() -> str:
    """Names this run's folder, processes and containers."""
    return f"{clock.now_text().replace(':', '').replace('-', '')}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
