"""Cache the findings of services. They remain valid for the same files, lock and interpreters.

A run on some services scans nothing of the others and does not query interpreters about them.
"""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_py312.analysis.files.source_reader import SourceFiles
from pytest_py312.core.json_cache import JsonCache
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.runners.fingerprints import code_digest


class AnalysisCache:
    """The cached findings of the services below ``root``. Incomplete results are not cached.

    Each service has its own file in ``cache``, because a shared file would be rewritten completely for each service.
    """

    def __init__(self, *, root: Path, cache: Path) -> None:
        self._root = root
        self._folder = cache / "source"
        self._json_caches: dict[str, JsonCache] = {}

    def get(self, service: str, key: str) -> tuple[Finding, ...] | None:
        """Return the cached findings of the service at a path, or ``None``."""
        stored = self._json_cache(service).get(key)
        try:
            return tuple([decode(Finding, document) for document in stored]) if isinstance(stored, list) else None
        except (ValueError, KeyError, TypeError):
            return None

    def put(self, service: str, key: str, findings: tuple[Finding, ...]) -> None:
        """Store findings under their key."""
        self._json_cache(service).put({key: encode(findings)})

    def _json_cache(self, service: str) -> JsonCache:
        if service not in self._json_caches:
            name = hashlib.sha256(f"{self._root}\0{service}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
            self._json_caches[service] = JsonCache(self._folder / f"verdicts-{name}.json")
        return self._json_caches[service]


def analysis_key(
    cell: Cell,
    source: SourceFiles,
    builds: Sequence[InterpreterBuild],
    lock: Mapping[str, str] | None,
    declared: Sequence[str],
    *,
    include_lock: bool,
) -> str:
    """Return a digest of everything that the findings depend on.

    :param include_lock: if false, only of what the evidence depends on, which is independent of the lock.
    """
    parts = [
        code_digest(),
        sys.version,
        f"{cell.interpreter} {cell.service.baseline} {cell.service.runs_without_pth or ''}",
        list(map(str, cell.service.interpreter_variables)),
        [build.digest for build in builds],
        [(task.key, task.path) for task in source.tasks],
        source.unread,
        source.compiled,
        source.bytecode,
        [program.name for program in cell.service.programs if program.is_module],
        sorted(lock.items()) if include_lock and lock is not None else None,
        sorted(declared) if include_lock and lock is None else None,
        include_lock,
    ]
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()
