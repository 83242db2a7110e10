"""Hand the progress of pytest-xdist's workers to their controller: a file of events for each worker."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.progress.display import LOG_INTERVAL, Ticker
from pytest_py312.core.progress.events import (
    EVENT_TYPES,
    ActivityCounted,
    ActivityEnded,
    ActivityStarted,
    ProgressEvent,
)
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.serialization import decode, encode

_PREFIX, _SUFFIX = "progress-", ".jsonl"


class EventWriter:
    """Writer of the events of this process, for :class:`EventReader`.

    :param name: the name of this process, unique among those that share ``folder``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._file = folder / f"{_PREFIX}{name}{_SUFFIX}"
        self._exit_stack = ExitStack()

    def start(self) -> None:
        self._exit_stack.enter_context(PROGRESS.listening(self.write))
        self._exit_stack.enter_context(Ticker(LOG_INTERVAL, lambda _: PROGRESS.poll_counters()))

    def stop(self) -> None:
        """May be called twice."""
        self._exit_stack.close()

    def write(self, event: ProgressEvent) -> None:
        """Append an event. One that cannot be written is not shown."""
        line = json.dumps([type(event).__name__, encode(self._named(event))]) + "\n"
        with suppress(OSError), self._file.open("a", encoding="ascii") as file:
            file.write(line)

    def _named(self, event: ProgressEvent) -> ProgressEvent:
        """Return ``event`` with names that no other process uses."""
        match event:
            case ActivityStarted():
                activity, worker = f"{self._name}/{event.activity}", f"{self._name}/{event.worker}"
                return replace(event, activity=activity, worker=worker)
            case ActivityCounted() | ActivityEnded():
                return replace(event, activity=f"{self._name}/{event.activity}")
        return event


class EventReader:
    """Reader of what the writers of all processes append to their files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}

    def read(self) -> Iterator[ProgressEvent]:
        """Yield the events since the last call."""
        for file in sorted(self._folder.glob(f"{_PREFIX}*{_SUFFIX}")):
            with suppress(OSError), file.open("rb") as stream:
                stream.seek(self._offsets.get(file, 0))
                complete, newline, _ = stream.read().rpartition(b"\n")
                self._offsets[file] = self._offsets.get(file, 0) + len(complete) + len(newline)
                yield from filter(None, map(_parse, complete.splitlines()))


def _parse(line: bytes) -> ProgressEvent | None:
    """Return the event of a line; ``None`` if two threads have written it at once, or a disk was full meanwhile."""
    try:
        kind, data = json.loads(line)
        event: ProgressEvent = decode(EVENT_TYPES[kind], data)
    except (ValueError, TypeError, KeyError):
        return None
    return event
