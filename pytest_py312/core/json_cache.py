"""What was answered before: one JSON file, shared by threads and runs, that never grows without end.

It is only a cache. A file that is torn, foreign or not readable holds nothing, and one that cannot be written is not.
"""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

MOST = 30_000
"""Answers kept; those asked for the longest ago are dropped."""
LARGEST = 64 * 1024 * 1024
WAIT = 10.0
"""Seconds to wait for another run that writes; after that the fresh answers are not kept."""


class Memory:
    """The answers in one file, as they were when it was made. Values are whatever JSON takes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._data = _read(file)

    def get(self, key: str) -> Any:
        """The answer, or ``None``."""
        return self._data.get(key)

    def keep(self, fresh: Mapping[str, Any], *, used: Iterable[str] = ()) -> None:
        """Add ``fresh`` to the file as it is now; ``used`` are keys whose answers were asked for just now."""
        if not fresh:
            return
        self._data |= fresh
        with suppress(OSError, Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock", timeout=WAIT):
                data = _read(self._file)
                for key in [*used, *fresh]:
                    value = data.pop(key, None)
                    if key in fresh or value is not None:
                        data[key] = fresh.get(key, value)
                kept = dict(list(data.items())[-MOST:])
                self.write(self._file, json.dumps(kept, separators=(",", ":")).encode())

    @staticmethod
    def write(file: Path, content: bytes) -> None:
        """Put a complete file in place, or none.

        :raises OSError: it cannot be written.
        """
        part = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            part.write_bytes(content)
            part.replace(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > LARGEST:
            return {}
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
