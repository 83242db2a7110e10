"""Which core is measured on: one on which nobody else measures, and of those the one with the least to do."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from pytest_py312.core import clock

WATCHED = 0.3
"""Seconds for which it is watched what cores have to do."""
PATIENCE = 0.5
"""Seconds between two questions whether a core is free by now."""


@contextmanager
def own_core(folder: Path, ended: Event) -> Iterator[int | None]:
    """Wait for a core and hold it against other measurements that know of ``folder``: those of xdist's workers, and of
    other runs. ``None`` where cores cannot be told apart, or the run has ``ended`` meanwhile."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    while not ended.is_set():
        # where nobody can choose a core, measurements are one after the other all the same
        choices: list[int | None] = [*ordered_cores()] or [None]
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
        clock.pause(PATIENCE)
    yield None


def ordered_cores() -> list[int]:
    """The cores of this process, that with the least to do first; none where the system does not tell."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:
        return []
    before = _ticks()
    clock.pause(WATCHED)
    return by_idleness(before, _ticks(), allowed)


def by_idleness(before: str, after: str, allowed: Collection[int]) -> list[int]:
    """The ``allowed`` cores in order of the time they have had to spare between two texts of ``/proc/stat``.

    Of equals the last goes first: the first core is that which answers most devices.
    """
    old, new = _spare(before), _spare(after)
    spare: Callable[[int], int] = lambda core: new.get(core, 0) - old.get(core, 0)  # noqa: E731  # a key
    return sorted(allowed, key=lambda core: (spare(core), core), reverse=True)


def _spare(text: str) -> dict[int, int]:
    """Core -> ticks in which it had nothing to do, or only waited for a disk."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if (
            len(words) > 5
            and words[0][:3] == "cpu"
            and words[0][3:].isdecimal()
            and all(map(str.isdecimal, words[4:6]))
        ):
            found[int(words[0][3:])] = int(words[4]) + int(words[5])
    return found


def _ticks() -> str:
    try:
        return Path("/proc/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
