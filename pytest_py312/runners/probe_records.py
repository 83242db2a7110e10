"""Files exchanged between a runner and the probe. A cell's files are untrusted, so they are read defensively."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_RECORDS_SIZE = 64 * 1024 * 1024
"""Bytes of records read from one cell; a suite of 100,000 tests writes about half of it."""


def write_request(folder: Path, request: Mapping[str, Any]) -> Path:
    """Write the probe's request into ``folder`` and return its path."""
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    return path


def read_bounded(path: Path | str, limit: int, *, folder: int | None = None) -> bytes | None:
    """Return the first ``limit`` bytes of a regular file; ``None`` for a missing one, a link, a pipe or a device.

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
