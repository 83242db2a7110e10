"""A cache of limited size in one JSON file, shared by threads and runs.

An unreadable, damaged or foreign file counts as empty; if the file cannot be written, nothing is cached.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pytest_py312.core.files import write_atomically

MAX_ENTRIES = 30_000
"""Entries that are kept; the least recently used ones are dropped."""
MAX_FILE_BYTES = 64 * 1024 * 1024
LOCK_TIMEOUT = 10.0
"""Seconds to wait for another run that is writing; after that the new entries are not stored."""


class JsonCache:
    """The entries of one file, read when the object is created. Values are anything that JSON can hold."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._entries = _read_entries(file)

    def get(self, key: str) -> Any:
        """Return the value of ``key``, or ``None``."""
        return self._entries.get(key)

    def put(self, new_entries: Mapping[str, Any], *, used_keys: Iterable[str] = ()) -> None:
        """Merge ``new_entries`` into the current file; ``used_keys`` are marked as recently used."""
        if not new_entries:
            return
        self._entries |= new_entries
        with suppress(OSError, Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock", timeout=LOCK_TIMEOUT):
                data = _read_entries(self._file)
                for key in [*used_keys, *new_entries]:
                    value = data.pop(key, None)
                    if key in new_entries or value is not None:
                        data[key] = new_entries.get(key, value)
                newest = dict(list(data.items())[-MAX_ENTRIES:])
                write_atomically(self._file, json.dumps(newest, separators=(",", ":")).encode())


def _read_entries(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            return {}
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
