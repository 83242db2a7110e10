"""Scan many files on all cores, each distinct content once.

The facts of a file depend on its text and on the modules beside it, so both are part of the cache key.
"""

import hashlib
import json
import shutil
import sys
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pytest_py312.analysis.scanner.facts.facts import FileFacts, unpack
from pytest_py312.analysis.scanner.gc_pause import gc_paused
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core import process

MIN_BYTES_PER_PROCESS = 400_000
"""Bytes of source that take longer to scan than a process takes to start."""
SCAN_LIMIT = 300.0
"""Time limit in seconds for one scanning process."""

_WORKER = """
import sys
sys.path[:0] = [sys.argv[1]]
from pytest_py312.analysis.scanner.scan import scan_files
scan_files(sys.argv[2], sys.argv[3])
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanTask:
    """A file to scan. ``key`` is the cache key of its facts."""

    key: str
    path: str
    content: bytes
    local_modules: frozenset[str] = frozenset()

    @property
    def to_row(self) -> tuple[str, str, list[str]]:
        """The task as a row for a scanning process (``analysis.scanner.scan``)."""
        return self.path, self.content.decode("latin-1"), sorted(self.local_modules)


class FileScanner:
    """Scanner that works in this process and in up to ``processes`` - 1 others, which exchange files in ``cache``."""

    def __init__(self, *, cache: Path, processes: int) -> None:
        self._cache = cache
        self._processes = max(1, processes)

    def scan(self, tasks: Sequence[ScanTask]) -> dict[str, FileFacts]:
        """Return the facts of each task by its key."""
        with gc_paused():
            return self._scan(tasks)

    def _scan(self, tasks: Sequence[ScanTask]) -> dict[str, FileFacts]:
        size = sum(len(task.content) for task in tasks)
        shares = _split_by_size(tasks, min(self._processes, 1 + size // MIN_BYTES_PER_PROCESS))
        if len(shares) < 2:
            return {task.key: _scan_task(task) for task in tasks}
        with ThreadPoolExecutor(len(shares) - 1) as threads:
            remote_results = threads.map(self._scan_in_subprocess, shares[1:])
            facts = {task.key: _scan_task(task) for task in shares[0]}
            for part in remote_results:
                facts |= part
            return facts

    def _scan_in_subprocess(self, tasks: Sequence[ScanTask]) -> dict[str, FileFacts]:
        """Scan in another process. Files without a result are scanned in this process."""
        folder = self._cache / "tmp" / uuid.uuid4().hex
        request_file, response_file = folder / "asked.json", folder / "answered.json"
        facts: list[FileFacts | None] = []
        try:
            folder.mkdir(parents=True, mode=0o700)
            request_file.write_text(json.dumps([task.to_row for task in tasks]), encoding="utf-8")
            package = str(Path(__file__).parents[3])
            process.run(
                [sys.executable, "-I", "-S", "-c", _WORKER, package, str(request_file), str(response_file)],
                time_limit=SCAN_LIMIT,
            )
            facts = [decode_facts(row) for row in json.loads(response_file.read_bytes())]
        except (OSError, ValueError):
            pass
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {
            task.key: scanned_facts or _scan_task(task)
            for task, scanned_facts in zip_longest(tasks, facts[: len(tasks)])
        }


def decode_facts(data: Any) -> FileFacts | None:
    """Return packed facts, or ``None`` if ``data`` is invalid."""
    try:
        return unpack(data) if data is not None else None
    except ValueError:
        return None


def facts_key(content: bytes, local_modules: frozenset[str]) -> str:
    """Return the cache key of the facts of a file."""
    digest = hashlib.blake2b(content, digest_size=16)
    digest.update("\0".join(("", *sorted(local_modules))).encode())
    return digest.hexdigest()


def _scan_task(task: ScanTask) -> FileFacts:
    return scan_text(task.content, task.path, local_modules=task.local_modules)


def _split_by_size(tasks: Sequence[ScanTask], count: int) -> list[list[ScanTask]]:
    """Distribute ``tasks`` over ``count`` lists of about the same size in bytes."""
    parts: list[list[ScanTask]] = [[] for _ in range(max(1, count))]
    sizes = [0] * len(parts)
    for task in sorted(tasks, key=lambda task: -len(task.content)):
        smallest = min(range(len(parts)), key=sizes.__getitem__)
        parts[smallest].append(task)
        sizes[smallest] += len(task.content)
    return parts


@cache
def scanner_version() -> str:
    """Return a digest of the scanner's code and of the interpreter that runs it. Both determine the facts."""
    digest = hashlib.blake2b(sys.version.encode(), digest_size=8)
    for file in sorted((Path(__file__).parents[1] / "scanner").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
