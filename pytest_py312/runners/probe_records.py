"""Files exchanged between a runner and the probe. A cell's files are untrusted, so they are read defensively."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_RECORDS_SIZE = 64 * 1024 * 1024
"""Bytes of records read from one cell; a suite of 100,000 tests writes about half of it."""
MAX_COUNTED_SIZE = 1024 * 1024
"""Bytes of records that are counted at once."""


def write_request(folder: Path, request: Mapping[str, Any]) -> Path:
    """Write the probe's request into ``folder`` and return its path."""
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    return path


def read_bounded(path: Path | str, limit: int, *, folder: int | None = None, offset: int = 0) -> bytes | None:
    """Return ``limit`` bytes of a regular file; ``None`` for a missing one, a link, a pipe or a device.

    A relative ``path`` is relative to ``folder``, an open descriptor, if given.
    """
    try:
        # O_NONBLOCK: if the cell has put a pipe here, opening it must not wait for its other end
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        return file.read(limit)


def read_records(
    path: Path | str, limit: int | None = None, *, folder: int | None = None
) -> tuple[Mapping[str, Any], ...]:
    """Return the JSON objects of a file with one per line; invalid lines are dropped.

    ``folder`` is as for :func:`read_bounded`. A file longer than ``limit`` bytes (:data:`MAX_RECORDS_SIZE` by default)
    loses its last lines, so it has no ``end`` record and counts as incomplete.
    """
    content = read_bounded(path, MAX_RECORDS_SIZE if limit is None else limit, folder=folder) or b""
    records = []
    for line in content.split(b"\n"):
        try:
            record = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return tuple(records)


def is_complete(records: tuple[Mapping[str, Any], ...]) -> bool:
    """Return whether the probe has written its final record."""
    return bool(records) and records[-1].get("event") == "end"


class RecordCounter:
    """Counter of the tests in a file of records that the probe is writing.

    ``folder`` is as for :func:`read_bounded`.
    """

    def __init__(self, path: Path | str, *, folder: int | None = None) -> None:
        self._path = path
        self._folder = folder
        self._offset = 0
        self._done = 0
        self._total = 0

    def count(self) -> tuple[int, int]:
        """Return how many tests have ended, and how many there are; 0 if that is not known yet."""
        limit = min(MAX_COUNTED_SIZE, MAX_RECORDS_SIZE - self._offset)
        content = read_bounded(self._path, limit, folder=self._folder, offset=self._offset) or b""
        complete, newline, _ = content.rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        for line in complete.split(b"\n"):
            # the probe writes the event last; only few records have to be parsed
            if line.endswith(b'"event": "test"}'):
                self._done += 1
            elif line.endswith(b'"event": "collected"}'):
                self._total = _collected(line)
        return self._done, self._total


def _collected(line: bytes) -> int:
    try:
        count = json.loads(line).get("count")
    except (ValueError, RecursionError, AttributeError):
        return 0
    return count if isinstance(count, int) and 0 <= count < MAX_RECORDS_SIZE else 0
