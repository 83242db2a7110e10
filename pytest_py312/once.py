"""Work that is done once in a run, whoever asks: threads of this process, and xdist's workers beside it."""

import pickle
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
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
