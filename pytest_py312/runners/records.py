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


def read_records(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The probe's records, in order; lines that are no JSON object are dropped.

    A symlink or anything but a regular file gives no records: a cell may have planted it to have a file of the host
    read. What lies beyond :data:`LARGEST` is not read, so the run has no "end" record then and is not complete.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return ()
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(LARGEST)
    records = []
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return tuple(records)


def came_to_its_end(records: tuple[Mapping[str, Any], ...]) -> bool:
    """Whether the probe wrote its last word."""
    return bool(records) and records[-1].get("event") == "end"
