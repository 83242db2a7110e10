"""Run work once, and run work ahead of time by priority.

:class:`SingleFlight` shares results between threads and xdist workers. :class:`PriorityExecutor` differs from
``concurrent.futures``, which runs jobs in the order of their submission: here the most urgent job runs first. Jobs
become ready in the order in which interpreters are prepared, but are needed in that in which services are reported.
"""

import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from queue import PriorityQueue
from typing import Any, Generic, TypeVar, cast

from pytest_py312.core.files import write_atomically

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """A piece of work that is done once: its kind, and what it is about. ``T`` is the type of its result."""

    kind: str
    subject: tuple[str, ...] = ()

    def of(self, *subject: object) -> "Work[T]":
        """Return this kind of work about ``subject``, whose parts are distinguished by their text."""
        return replace(self, subject=tuple(map(str, subject)))


class SingleFlight:
    """Run a piece of work once and share its result between threads and xdist workers.

    Results stay in memory, or are pickled into ``shared_folder`` when several processes take part in the run. That
    folder must be private to the run.
    """

    def __init__(self, shared_folder: Path | None) -> None:
        self._shared_folder = shared_folder
        self._results: dict[Work[Any], Any] = {}
        self._locks: dict[Work[Any], threading.Lock] = {}
        self._locks_guard = threading.Lock()

    def run(self, work: Work[T], compute: Callable[[], T]) -> T:
        """Return the result of ``work``, computing it on first use. Exceptions propagate and are not cached."""
        with self._locks_guard:
            lock = self._locks.setdefault(work, threading.Lock())
        with lock:
            if work not in self._results:
                self._results[work] = (
                    compute()
                    if self._shared_folder is None
                    else self._compute_across_processes(work, compute, self._shared_folder)
                )
            return cast(T, self._results[work])

    def _compute_across_processes(self, work: Work[T], compute: Callable[[], T], folder: Path) -> T:
        from filelock import FileLock

        name = sha256(repr(work).encode()).hexdigest()[:32]
        file = folder / f"{name}.pickle"
        with FileLock(folder / f"{name}.lock"):
            if file.exists():
                return cast(T, pickle.loads(file.read_bytes()))
            result = compute()
            write_atomically(file, pickle.dumps(result))
            return result


Priority = tuple[int, ...]
_LOWEST_PRIORITY: Priority = (2**31,)


class PriorityExecutor:
    """A thread pool that always runs the most urgent job next.

    Exceptions of jobs are ignored: a job keeps its own for where its result is needed, or is run again there.
    """

    def __init__(self, thread_count: int) -> None:
        self._queue: PriorityQueue[tuple[Priority, int, Callable[[], object] | None]] = PriorityQueue()
        self._sequence = count()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._run_jobs, name=f"py312-{number}") for number in range(thread_count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, priority: Priority, job: Callable[[], object]) -> None:
        """Queue a job. The lowest priority value runs first; equal priorities run in order of submission."""
        self._queue.put((priority, next(self._sequence), job))

    def close(self) -> None:
        """Discard the queued jobs and wait for the running ones."""
        self._closed.set()
        for _ in self._threads:
            self._queue.put((_LOWEST_PRIORITY, next(self._sequence), None))
        for thread in self._threads:
            thread.join()

    def _run_jobs(self) -> None:
        while True:
            _, _, job = self._queue.get()
            if job is None:
                return
            if not self._closed.is_set():
                with suppress(Exception):  # raised again where the result is needed
                    job()


async def run_in_thread(work: Callable[[], T], *, timeout: float) -> T:
    """Run ``work`` in a thread and return its result; exceptions propagate.

    The event loop's own executor is joined at the end of the loop and of the process. With it, a single engine that
    does not answer would keep a watcher from exiting in time.

    :param timeout: seconds, after which :class:`TimeoutError` is raised and the thread is abandoned.
    """
    import asyncio  # the gate does not need it

    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)  # type: ignore[arg-type]  # without an error there is a value
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            future.set_exception(error)
        else:  # SystemExit or StopIteration of a user's function must not end the watcher
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except BaseException as error:  # raised again where the result is awaited
            failure = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name="py312 watching", daemon=True).start()
    async with asyncio.timeout(timeout):
        return await future
