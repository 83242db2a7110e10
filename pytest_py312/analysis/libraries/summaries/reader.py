"""Summarize installed distributions: each one is scanned once per interpreter, and its summary is cached beside it.

Only the target is queried about what they use. It lacks few of these names, and only about those other interpreters are
queried later.
"""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from operator import attrgetter
from pathlib import Path

from filelock import FileLock

from pytest_py312.analysis.files.file_kinds import ModuleKind
from pytest_py312.analysis.files.newer_syntax import NewerSyntaxScanner, has_syntax_error
from pytest_py312.analysis.files.parallel_scan import FileScanner, ScanTask, facts_key, scanner_version
from pytest_py312.analysis.libraries.summaries.module_files import ModuleFile, classify, list_files, prefixes
from pytest_py312.analysis.libraries.summaries.summarize import module_imports, queries_of, summarize
from pytest_py312.analysis.libraries.summaries.summary import (
    DistributionSummary,
    ModuleSummary,
    from_document,
    to_document,
)
from pytest_py312.analysis.linking.link import link_files
from pytest_py312.analysis.oracle.oracle import Oracle, probe_version
from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable, batches
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.core.files import UnsafeFile, read_regular_file, write_json_atomically
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

FILE_LIMIT = 2 * 1024**2
"""Limit in bytes. Larger Python files contain generated data."""
BATCH_BYTES = 24 * 1024**2
"""Bytes of source that are scanned before an interpreter is queried. This limits the use of memory."""
CHUNK_BYTES = 6 * 1024**2
"""Bytes of source between two checks whether the run was stopped; they take a second or two."""
MAX_SUMMARY_SIZE = 64 * 1024**2


@dataclass(kw_only=True, slots=True)
class _ReadJob:
    """A distribution that is being read."""

    entry: StoredDistribution
    modules: tuple[ModuleFile, ...]
    compiled: tuple[str, ...]
    contents: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, FileFacts] = field(default_factory=dict)
    unread: int = 0

    @property
    def size(self) -> int:
        return sum(len(content) for content in self.contents.values())


class LibraryReader:
    """Reader of installed libraries, which creates their summaries. Safe for threads and for several runs on one cache.

    Only one process at a time scans for an interpreter build.
    """

    def __init__(
        self,
        *,
        cache: Path,
        oracle: Oracle,
        newer: NewerSyntaxScanner,
        processes: int,
        ended: threading.Event | None = None,
    ) -> None:
        """Create a reader.

        :param ended: set when the run was stopped and results are no longer needed.
        """
        self._ended = ended or threading.Event()
        self._lock_folder = cache / "store"
        self._oracle = oracle
        self._newer = newer
        self._scanner = FileScanner(cache=cache, processes=processes)
        self._summaries: dict[Path, DistributionSummary] = {}
        self._scan_lock = threading.Lock()

    def summaries(
        self, entries: Sequence[StoredDistribution], build: InterpreterBuild
    ) -> Mapping[Path, DistributionSummary]:
        """Return the summaries of ``entries`` for ``build``, by folder.

        :raises InterpreterUnavailable: the interpreter could not be queried, or the run was stopped. Exceptions of its
            runner propagate.
        """
        if any(self._summary(entry, build) is None for entry in entries):
            with self._scan_lock, FileLock(self._lock_folder / f"{build.digest}-scan.lock"):
                missing = [entry for entry in entries if self._summary(entry, build) is None]
                for batch in batches(map(_new_job, missing), attrgetter("size"), BATCH_BYTES):
                    self._read(batch, build)
        return {entry.folder: summary for entry in entries if (summary := self._summary(entry, build))}

    def _summary(self, entry: StoredDistribution, build: InterpreterBuild) -> DistributionSummary | None:
        if entry.folder not in self._summaries:
            summary = _read_cache(_cache_file(entry, build))
            if summary is not None:
                self._summaries[entry.folder] = summary
        return self._summaries.get(entry.folder)

    def _read(self, jobs: Sequence[_ReadJob], build: InterpreterBuild) -> None:
        version = (build.interpreter.major, build.interpreter.minor)
        chosen = [(job, file) for job in jobs for file in job.modules if file.kind != ModuleKind.TESTS]
        while chosen:  # tests of a distribution are scanned only if its other modules import them
            self._scan(chosen, build)
            chosen = [(job, file) for job in jobs for file in _tests_to_scan(job, version)]
        for job in jobs:
            linked_facts = link_files(list(job.facts.values()))
            job.facts = {facts.path: facts for facts in linked_facts}
        interpreter_answers = self._oracle.ask(queries_of(facts for job in jobs for facts in job.facts.values()), build)
        for job in jobs:
            scanned = [
                (file, job.facts[file.path], job.contents[file.path]) for file in job.modules if file.path in job.facts
            ]
            unscanned = [file for file in job.modules if file.path not in job.facts]
            summary = summarize(scanned, job.compiled, unscanned, interpreter_answers, job.unread)
            self._summaries[job.entry.folder] = summary
            _write_cache(_cache_file(job.entry, build), summary)

    def _scan(self, chosen: Sequence[tuple[_ReadJob, ModuleFile]], build: InterpreterBuild) -> None:
        tasks: dict[str, ScanTask] = {}
        keys: list[tuple[_ReadJob, ModuleFile, str]] = []
        for job, file in chosen:
            if file.path not in job.contents:
                job.contents[file.path] = _read_content(job, file)
            content = job.contents[file.path]
            key = facts_key(content, frozenset())
            tasks[key] = ScanTask(key=key, path=file.path, content=content)
            keys.append((job, file, key))
        facts: dict[str, FileFacts] = {}
        for chunk in batches(tasks.values(), lambda task: len(task.content), CHUNK_BYTES):
            if self._ended.is_set():
                raise InterpreterUnavailable("the run was stopped")
            facts |= self._scanner.scan(chunk)
        facts |= self._newer.scan([task for task in tasks.values() if has_syntax_error(facts[task.key])], build)
        for job, file, key in keys:
            job.facts[file.path] = replace(facts[key], path=file.path)


def names_only_summary(entry: StoredDistribution) -> DistributionSummary:
    """Return a summary that contains the names of the modules only."""
    files = classify(list_files(entry.folder / "lib"))
    modules = tuple(ModuleSummary(name=file.name, path=file.path, kind=file.kind) for file in files.modules)
    return DistributionSummary(modules=modules, compiled=files.compiled)


def _new_job(entry: StoredDistribution) -> _ReadJob:
    files = classify(list_files(entry.folder / "lib"))
    job = _ReadJob(entry=entry, modules=files.modules, compiled=files.compiled)
    for file in files.modules:
        if file.kind != ModuleKind.TESTS:
            job.contents[file.path] = _read_content(job, file)
    return job


def _read_content(job: _ReadJob, file: ModuleFile) -> bytes:
    try:
        return read_regular_file(job.entry.folder / "lib", file.path, FILE_LIMIT)
    except UnsafeFile:
        job.unread += 1
        return b""


def _tests_to_scan(job: _ReadJob, version: tuple[int, int]) -> list[ModuleFile]:
    """Return tests that are not scanned yet although a scanned module imports them."""
    unscanned = {file.name: file for file in job.modules if file.path not in job.facts}
    if not unscanned:
        return []
    names = frozenset(file.name for file in job.modules)
    by_path = {file.path: file for file in job.modules}
    needed: dict[str, ModuleFile] = {}
    for path, facts in job.facts.items():
        for target in module_imports(by_path[path], facts, names, version):
            needed |= {name: unscanned[name] for name in prefixes(target) if name in unscanned}
    return list(needed.values())


# ---- keeping


def _cache_file(entry: StoredDistribution, build: InterpreterBuild) -> Path:
    return entry.folder / f"source-{summary_version()}-{build.digest[:12]}.json"


def _write_cache(file: Path, summary: DistributionSummary) -> None:
    try:
        write_json_atomically(file, to_document(summary))
    except OSError:
        return  # the next run creates it again


def _read_cache(file: Path) -> DistributionSummary | None:
    try:
        if file.stat().st_size > MAX_SUMMARY_SIZE:
            return None
        return from_document(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None


@cache
def summary_version() -> str:
    """Return a digest of the code that creates summaries. Summaries of other versions are discarded."""
    state = hashlib.blake2b(f"{scanner_version()} {probe_version()}".encode(), digest_size=6)
    for file in sorted(Path(__file__).parents[2].rglob("*.py")):
        state.update(file.read_bytes())
    return state.hexdigest()
