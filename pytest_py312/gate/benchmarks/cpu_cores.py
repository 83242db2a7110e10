"""Choose the CPU core to measure on: one without another measurement, and of those the most idle one."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from pytest_py312.core import clock

IDLE_SAMPLE_SECONDS = 0.3
"""Time over which the load of the cores is measured, in seconds."""
RETRY_SECONDS = 0.5
"""Time between two attempts to get a core, in seconds."""


@contextmanager
def exclusive_core(folder: Path, run_ended: Event) -> Iterator[int | None]:
    """Wait for a core and reserve it, with a lock file in ``folder``, against xdist workers and other runs.

    Yields ``None`` if the system cannot choose cores, or if the run was ended meanwhile.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    while not run_ended.is_set():
        # if cores cannot be chosen, measurements still run one after the other
        choices: list[int | None] = [*cores_by_idleness()] or [None]
        for core in choices:
            lock = FileLock(folder / f"{'any' if core is None else core}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            try:
                yield core
            finally:
                lock.release()
            return
        clock.pause(RETRY_SECONDS)
    yield None


def cores_by_idleness() -> list[int]:
    """Return the cores of this process, the most idle one first; none if the system does not report them."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:
        return []
    first_stat = _read_proc_stat()
    clock.pause(IDLE_SAMPLE_SECONDS)
    return rank_by_idleness(first_stat, _read_proc_stat(), allowed)


def rank_by_idleness(first_stat: str, second_stat: str, allowed: Collection[int]) -> list[int]:
    """Sort the ``allowed`` cores by their idle time between two texts of ``/proc/stat``, the most idle one first.

    Of equally idle cores the last one is first, because the first core usually serves most device interrupts.
    """
    first_idle, second_idle = _idle_ticks(first_stat), _idle_ticks(second_stat)
    idle_gain: Callable[[int], int] = lambda core: second_idle.get(core, 0) - first_idle.get(core, 0)  # noqa: E731  # a key
    return sorted(allowed, key=lambda core: (idle_gain(core), core), reverse=True)


def _idle_ticks(text: str) -> dict[int, int]:
    """Map each core to its ticks of idling or waiting for a disk."""
    ticks_by_core = {}
    for line in text.splitlines():
        words = line.split()
        if (
            len(words) > 5
            and words[0][:3] == "cpu"
            and words[0][3:].isdecimal()
            and all(map(str.isdecimal, words[4:6]))
        ):
            ticks_by_core[int(words[0][3:])] = int(words[4]) + int(words[5])
    return ticks_by_core


def _read_proc_stat() -> str:
    try:
        return Path("/proc/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
