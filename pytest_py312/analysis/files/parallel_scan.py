"""Scans many files at once: each content once, on all cores.

What a file says depends on its text and on which modules it finds beside it, so both are in its key.
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
from pathlib import Path
from typing import Any

from pytest_py312.analysis.scanner.facts.facts import FileFacts, unpacked
from pytest_py312.analysis.scanner.gc_pause import no_collector
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core import process

WORTH_A_PROCESS = 400_000
"""Bytes of source that take longer to scan than a process takes to start."""
SCAN_LIMIT = 300.0
"""Seconds for one process that scans."""

_WORKER = """
import sys
sys.path[:0] = [sys.argv[1]]
from pytest_py312.analysis.scanner.scan_worker import work
work(sys.argv[2], sys.argv[3])
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One file to scan; ``key`` is that of its facts."""

    key: str
    path: str
    content: bytes
    local: frozenset[str] = frozenset()

    @property
    def row(self) -> tuple[str, str, list[str]]:
        """What a process that scans is told (``analysis.scanner.scan_worker.facts_of``)."""
        return self.path, self.content.decode("latin-1"), sorted(self.local)


class FileScanner:
    """Scans in this process and in up to ``processes`` - 1 others; their files lie in ``cache``."""

    def __init__(self, *, cache: Path, processes: int) -> None:
        self._cache = cache
        self._processes = max(1, processes)

    def scan(self, tasks: Sequence[Task]) -> dict[str, FileFacts]:
        """The facts of each task by its key."""
        with no_collector():
            return self._scan(tasks)

    def _scan(self, tasks: Sequence[Task]) -> dict[str, FileFacts]:
        size = sum(len(task.content) for task in tasks)
        shares = _shares(tasks, min(self._processes, 1 + size // WORTH_A_PROCESS))
        if len(shares) < 2:
            return {task.key: _scanned(task) for task in tasks}
        with ThreadPoolExecutor(len(shares) - 1) as threads:
            others = threads.map(self._scan_elsewhere, shares[1:])
            facts = {task.key: _scanned(task) for task in shares[0]}
            for part in others:
                facts |= part
            return facts

    def _scan_elsewhere(self, tasks: Sequence[Task]) -> dict[str, FileFacts]:
        """In a process of its own; what it does not give back is scanned here."""
        folder = self._cache / "tmp" / uuid.uuid4().hex
        asked, answered = folder / "asked.json", folder / "answered.json"
        facts: list[FileFacts | None] = []
        try:
            folder.mkdir(parents=True, mode=0o700)
            asked.write_text(json.dumps([task.row for task in tasks]), encoding="utf-8")
            package = str(Path(__file__).parents[3])
            process.run(
                [sys.executable, "-I", "-S", "-c", _WORKER, package, str(asked), str(answered)], time_limit=SCAN_LIMIT
            )
            facts = [remembered(row) for row in json.loads(answered.read_bytes())]
        except (OSError, ValueError):
            pass
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {
            task.key: found or _scanned(task)
            for task, found in zip(tasks, [*facts, *[None] * len(tasks)][: len(tasks)], strict=True)
        }


def remembered(data: Any) -> FileFacts | None:
    """Facts that were packed, or ``None`` where ``data`` is nothing of the kind."""
    try:
        return unpacked(data) if data is not None else None
    except ValueError:
        return None


def key_of(content: bytes, local: frozenset[str]) -> str:
    """The key of the facts of a file."""
    digest = hashlib.blake2b(content, digest_size=16)
    digest.update("\0".join(("", *sorted(local))).encode())
    return digest.hexdigest()


def _scanned(task: Task) -> FileFacts:
    return scan_text(task.content, task.path, local=task.local)


def _shares(tasks: Sequence[Task], count: int) -> list[list[Task]]:
    """``tasks`` in ``count`` parts of about the same size."""
    parts: list[list[Task]] = [[] for _ in range(max(1, count))]
    sizes = [0] * len(parts)
    for task in sorted(tasks, key=lambda task: -len(task.content)):
        least = min(range(len(parts)), key=sizes.__getitem__)
        parts[least].append(task)
        sizes[least] += len(task.content)
    return parts


@cache
def scanner_version() -> str:
    """A digest of the scanner's code and of the interpreter that runs it: another one may see other things."""
    digest = hashlib.blake2b(sys.version.encode(), digest_size=8)
    for file in sorted((Path(__file__).parents[1] / "scanner").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
