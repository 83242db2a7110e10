"""The one place where the stages of a run report what they do.

As for logging, there is one hub in a process: what shows the progress listens to it. As long as nothing does, a report
costs nothing.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from pytest_py312.core import clock
from pytest_py312.core.progress.events import (
    ActivityCounted,
    ActivityEnded,
    ActivityStarted,
    ItemsAnswered,
    ProgressEvent,
    RunPlanned,
)

Listener = Callable[[ProgressEvent], None]
Counter = Callable[[], tuple[int, int]]
"""Returns how much of an activity is done, and of how much; 0 for what is unknown."""


class ProgressHub:
    """Hub of the progress of this process. Thread-safe."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._numbers = count(1)
        self._thread = threading.local()
        self._counters: dict[str, Counter] = {}
        self._lock = threading.Lock()

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Call ``listener`` with each event, in the thread that reports it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other != listener)

    def _emit(self, event: ProgressEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def plan(self, items: Mapping[str, float], *, parallel: int) -> None:
        """Report what is to be done, see :class:`RunPlanned`."""
        if self._listeners:
            self._emit(RunPlanned(items=dict(items), parallel=parallel, at=clock.stopwatch()))

    def answer(self, items: Iterable[str]) -> None:
        """Report that the results of ``items`` are there without work."""
        if self._listeners:
            self._emit(ItemsAnswered(items=tuple(items), at=clock.stopwatch()))

    @contextmanager
    def activity(self, what: str, subject: str = "", *, item: str = "") -> Iterator[None]:
        """Report that this thread does something, until the block ends.

        :param subject: what it is about; by default the subject of the activity that it is a part of.
        :param item: the item that is done when it ends.
        """
        if not self._listeners:
            yield
            return
        stack = self._stack()
        start = ActivityStarted(
            activity=str(next(self._numbers)),
            worker=str(threading.get_ident()),
            what=what,
            subject=subject or (stack[-1].subject if stack else ""),
            item=item,
            at=clock.stopwatch(),
        )
        stack.append(start)
        self._emit(start)
        try:
            yield
        finally:
            stack.pop()
            self._emit(ActivityEnded(activity=start.activity, at=clock.stopwatch()))

    def _stack(self) -> list[ActivityStarted]:
        stack: list[ActivityStarted] | None = getattr(self._thread, "stack", None)
        if stack is None:
            stack = self._thread.stack = []
        return stack

    @contextmanager
    def counting(self, counter: Counter) -> Iterator[None]:
        """Let ``counter`` say how far the current activity of this thread is, until the block ends."""
        stack = self._stack()
        if not stack:
            yield
            return
        name = stack[-1].activity
        with self._lock:
            self._counters[name] = counter
        try:
            yield
        finally:
            with self._lock:  # no counter is asked any more once this returns
                self._counters.pop(name, None)

    def poll_counters(self) -> None:
        """Report how far the activities are that can be counted."""
        with self._lock:
            counts = {name: counter() for name, counter in self._counters.items()}
        for name, (done, total) in counts.items():
            if done or total:
                self._emit(ActivityCounted(activity=name, done=done, total=total))


PROGRESS = ProgressHub()
"""The hub of this process."""
