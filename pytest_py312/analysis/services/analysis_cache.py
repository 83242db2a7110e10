"""What was found in the source of services before: with the same files, lock and interpreters it holds still.

A run that judges only some services again, or none, scans nothing of the others and asks nobody about them.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.analysis.files.source_reader import SourceSeen
from pytest_py312.core.json_cache import Memory
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.runners.fingerprints import code_digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """All that was found. Only whole answers are kept, so nothing was left open."""

    findings: tuple[Finding, ...]


class Verdicts:
    """The verdicts on services beneath ``root`` that are kept in ``cache``, in a file for each service: one for all
    would be written again as a whole for each of them."""

    def __init__(self, *, root: Path, cache: Path) -> None:
        self._root = root
        self._folder = cache / "source"
        self._memories: dict[str, Memory] = {}

    def get(self, service: str, key: str) -> Verdict | None:
        """The verdict that was kept of the service of a path, or ``None``."""
        kept = self._memory(service).get(key)
        try:
            return None if kept is None else decode(Verdict, kept)
        except (ValueError, KeyError):
            return None

    def keep(self, service: str, key: str, verdict: Verdict) -> None:
        """Keep a verdict by its key."""
        self._memory(service).keep({key: encode(verdict)})

    def _memory(self, service: str) -> Memory:
        if service not in self._memories:
            name = hashlib.sha256(f"{self._root}\0{service}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
            self._memories[service] = Memory(self._folder / f"verdicts-{name}.json")
        return self._memories[service]


def key_of(
    cell: Cell,
    seen: SourceSeen,
    builds: Sequence[InterpreterBuild],
    lock: Mapping[str, str] | None,
    declared: Sequence[str],
    *,
    judged: bool,
) -> str:
    """What a verdict depends on. With ``judged`` false, what all its witnesses depend on, whatever the lock."""
    parts = [
        code_digest(),
        sys.version,
        f"{cell.interpreter} {cell.service.baseline}",
        [build.digest for build in builds],
        [(task.key, task.path) for task in seen.tasks],
        seen.unread,
        sorted(lock.items()) if judged and lock is not None else None,
        sorted(declared) if judged and lock is None else None,
        judged,
    ]
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()
