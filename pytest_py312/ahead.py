"""Work done ahead by a few threads, the most urgent piece first.

concurrent.futures does what was submitted first. Here what is asked for first should be done first: pieces become
ready in the order in which interpreters are prepared, and are wanted in the order in which services are reported.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from queue import PriorityQueue

Priority = tuple[int, ...]
_LAST: Priority = (2**31,)


class Ahead:
    """A queue of work and the threads that do it. What a piece of work raises is left to whoever asks again."""

    def __init__(self, threads: int) -> None:
        self._queue: PriorityQueue[tuple[Priority, int, Callable[[], object] | None]] = PriorityQueue()
        self._order = count()
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._work, name=f"py312-{number}") for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def add(self, priority: Priority, work: Callable[[], object]) -> None:
        """Queue a piece of work; the lowest priority is done first, among equals the first that was added."""
        self._queue.put((priority, next(self._order), work))

    def close(self) -> None:
        """Begin nothing more, and wait for what was begun."""
        self._closed.set()
        for _ in self._threads:
            self._queue.put((_LAST, next(self._order), None))
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            _, _, work = self._queue.get()
            if work is None:
                return
            if not self._closed.is_set():
                with suppress(Exception):  # raised again for whoever asks for the answer itself
                    work()
