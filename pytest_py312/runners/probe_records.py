"""The files between a runner and the probe. What a cell wrote is untrusted: it is opened and read with care."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGEST = 64 * 1024 * 1024
"""Bytes of records that are read from one cell; a suite of 100,000 tests writes about half of it."""


def write_request(folder: Path, request: Mapping[str, Any]) -> Path:
    """Write the probe's request into ``folder`` and return its path."""
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    return path


def read_bounded(path: Path | str, limit: int, *, folder: int | None = None) -> bytes | None:
    """The first ``limit`` bytes of a regular file; ``None`` for a missing one, a link, a pipe or a device.

    A relative ``path`` is looked up in ``folder``, an open descriptor, where one is given.
    """
    try:
        # O_NONBLOCK: opening a pipe that was planted here must not wait for its other end
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        return None
    with os.fdopen(number, "rb") as file:
        return file.read(limit)


def read_records(
    path: Path | str, limit: int | None = None, *, folder: int | None = None
) -> tuple[Mapping[str, Any], ...]:
    """The JSON objects of a file of one per line; lines that are anything else are dropped.

    ``folder`` is as for :func:`read_bounded`. A file longer than ``limit`` bytes (else :data:`LARGEST`) loses its last
    lines, so it has no ``end`` record and counts as incomplete.
    """
    content = read_bounded(path, LARGEST if limit is None else limit, folder=folder) or b""
    records = []
    for line in content.split(b"\n"):
        try:
            record = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return tuple(records)


def came_to_its_end(records: tuple[Mapping[str, Any], ...]) -> bool:
    """Whether the probe wrote its last word."""
    return bool(records) and records[-1].get("event") == "end"
