"""Work that is done once in a run, whoever asks: threads of this process, and xdist's workers beside it.

Work done ahead by a few threads, the most urgent piece first.

concurrent.futures does what was submitted first. Here what is asked for first should be done first: pieces become
ready in the order in which interpreters are prepared, and are wanted in the order in which services are reported.
"""

import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from queue import PriorityQueue
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Once:
    """Answers by key. The first to ask works the answer out, the others wait for it.

    ``shared`` is a private folder that this run has made for its own processes; answers are pickled there. Without it
    (no xdist) they stay in memory.
    """

    def __init__(self, shared: Path | None) -> None:
        self._shared = shared
        self._answers: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def __call__(self, key: str, work: Callable[[], T]) -> T:
        """The answer to ``key``. What ``work`` raises is raised to whoever ran it, and not kept."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._answers:
                self._answers[key] = work() if self._shared is None else self._across(key, work, self._shared)
            return cast(T, self._answers[key])

    def _across(self, key: str, work: Callable[[], T], folder: Path) -> T:
        from filelock import FileLock

        name = sha256(key.encode()).hexdigest()[:32]
        file = folder / f"{name}.pickle"
        with FileLock(folder / f"{name}.lock"):
            if file.exists():
                return cast(T, pickle.loads(file.read_bytes()))
            answer = work()
            part = file.with_suffix(".part")
            part.write_bytes(pickle.dumps(answer))
            part.replace(file)
            return answer


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
