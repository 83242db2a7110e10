"""Reads installed distributions: each is scanned once for an interpreter, on all cores, and its digest kept beside it.

The target alone is asked about what they use. What it lacks is little, and only about that are others asked later.
"""

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from filelock import FileLock

from pytest_py312.analysis.files.newer_syntax import NewerSyntax, is_refused
from pytest_py312.analysis.files.parallel_scan import FileScanner, Task, key_of, scanner_version
from pytest_py312.analysis.libraries.import_graph import prefixes
from pytest_py312.analysis.libraries.module_files import ModuleFile, classify, list_files
from pytest_py312.analysis.libraries.summarize import digest_of, imports_of, questions_of
from pytest_py312.analysis.libraries.summary import Digest, Module, Part, document, from_document
from pytest_py312.analysis.linking.link import linked
from pytest_py312.analysis.oracle.oracle import Oracle, probe_version
from pytest_py312.analysis.oracle.probe_protocol import Unanswered
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.core.files import Refused, read_regular, write_whole
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.installation.distribution_store import Entry

FILE_LIMIT = 2 * 1024**2
"""Bytes: a larger Python file holds data that a program wrote."""
BATCH = 24 * 1024**2
"""Bytes of source that are scanned before interpreters are asked: so much is held in memory."""
CHUNK = 6 * 1024**2
"""Bytes of source after which it is looked whether the run was ended: a second or two."""
LARGEST_DIGEST = 64 * 1024**2


@dataclass(kw_only=True, slots=True)
class _Job:
    """One distribution while it is read."""

    entry: Entry
    modules: tuple[ModuleFile, ...]
    compiled: tuple[str, ...]
    contents: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, FileFacts] = field(default_factory=dict)
    unread: int = 0

    @property
    def size(self) -> int:
        return sum(len(content) for content in self.contents.values())


class LibraryReader:
    """Makes digests. Safe for threads and for several runs on one cache; one process at a time scans for a build."""

    def __init__(
        self,
        *,
        cache: Path,
        oracle: Oracle,
        newer: NewerSyntax,
        processes: int,
        ended: threading.Event | None = None,
    ) -> None:
        """``ended`` is set when nobody waits for an answer any more."""
        self._ended = ended or threading.Event()
        self._locks = cache / "store"
        self._oracle = oracle
        self._newer = newer
        self._scanner = FileScanner(cache=cache, processes=processes)
        self._known: dict[Path, Digest] = {}
        self._guard = threading.Lock()

    def digests(self, entries: Sequence[Entry], build: InterpreterBuild) -> Mapping[Path, Digest]:
        """The digest of each of ``entries`` for ``build``, by its folder.

        :raises Unanswered: the interpreter could not be asked, or the run was ended. What its runner raises passes
            through.
        """
        if any(self._digest(entry, build) is None for entry in entries):
            with self._guard, FileLock(self._locks / f"{build.digest}-scan.lock"):
                missing = [entry for entry in entries if self._digest(entry, build) is None]
                for batch in _batches(map(_job, missing)):
                    self._read(batch, build)
        return {entry.folder: digest for entry in entries if (digest := self._digest(entry, build))}

    def _digest(self, entry: Entry, build: InterpreterBuild) -> Digest | None:
        if entry.folder not in self._known:
            digest = _kept(_place(entry, build))
            if digest is not None:
                self._known[entry.folder] = digest
        return self._known.get(entry.folder)

    def _read(self, jobs: Sequence[_Job], build: InterpreterBuild) -> None:
        version = (build.interpreter.major, build.interpreter.minor)
        chosen = [(job, file) for job in jobs for file in job.modules if file.part != Part.TESTS]
        while chosen:  # tests of a distribution are scanned where its other modules lead into them
            self._scan(chosen, build)
            chosen = [(job, file) for job in jobs for file in _wanted(job, version)]
        for job in jobs:
            linked_facts = linked(list(job.facts.values()))
            job.facts = {facts.path: facts for facts in linked_facts}
        testimony = self._oracle.ask(questions_of(facts for job in jobs for facts in job.facts.values()), build)
        for job in jobs:
            read = [
                (file, job.facts[file.path], job.contents[file.path]) for file in job.modules if file.path in job.facts
            ]
            others = [file for file in job.modules if file.path not in job.facts]
            digest = digest_of(read, job.compiled, others, testimony, job.unread)
            self._known[job.entry.folder] = digest
            _keep(_place(job.entry, build), digest)

    def _scan(self, chosen: Sequence[tuple[_Job, ModuleFile]], build: InterpreterBuild) -> None:
        tasks: dict[str, Task] = {}
        keys: list[tuple[_Job, ModuleFile, str]] = []
        for job, file in chosen:
            if file.path not in job.contents:
                job.contents[file.path] = _content(job, file)
            content = job.contents[file.path]
            key = key_of(content, frozenset())
            tasks[key] = Task(key=key, path=file.path, content=content)
            keys.append((job, file, key))
        facts: dict[str, FileFacts] = {}
        for chunk in _chunks(list(tasks.values())):
            if self._ended.is_set():
                raise Unanswered("the run was ended")
            facts |= self._scanner.scan(chunk)
        facts |= self._newer.scan([task for task in tasks.values() if is_refused(facts[task.key])], build)
        for job, file, key in keys:
            job.facts[file.path] = replace(facts[key], path=file.path)


def names_alone(entry: Entry) -> Digest:
    """A digest that says which modules there are, and nothing of what they do."""
    files = classify(list_files(entry.folder / "lib"))
    modules = tuple(Module(name=file.name, path=file.path, part=file.part) for file in files.modules)
    return Digest(modules=modules, compiled=files.compiled)


def _job(entry: Entry) -> _Job:
    files = classify(list_files(entry.folder / "lib"))
    job = _Job(entry=entry, modules=files.modules, compiled=files.compiled)
    for file in files.modules:
        if file.part != Part.TESTS:
            job.contents[file.path] = _content(job, file)
    return job


def _content(job: _Job, file: ModuleFile) -> bytes:
    try:
        return read_regular(job.entry.folder / "lib", file.path, FILE_LIMIT)
    except Refused:
        job.unread += 1
        return b""


def _wanted(job: _Job, version: tuple[int, int]) -> list[ModuleFile]:
    """Tests that are not scanned yet, although a module that is scanned imports them."""
    left = {file.name: file for file in job.modules if file.path not in job.facts}
    if not left:
        return []
    names = frozenset(file.name for file in job.modules)
    by_path = {file.path: file for file in job.modules}
    found: dict[str, ModuleFile] = {}
    for path, facts in job.facts.items():
        for target in imports_of(by_path[path], facts, names, version):
            found |= {name: left[name] for name in prefixes(target) if name in left}
    return list(found.values())


def _batches(jobs: Iterable[_Job]) -> Iterator[list[_Job]]:
    batch: list[_Job] = []
    size = 0
    for job in jobs:
        batch.append(job)
        size += job.size
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _chunks(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    chunk: list[Task] = []
    size = 0
    for task in tasks:
        chunk.append(task)
        size += len(task.content)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


# ---- keeping


def _place(entry: Entry, build: InterpreterBuild) -> Path:
    return entry.folder / f"source-{digest_version()}-{build.digest[:12]}.json"


def _keep(file: Path, digest: Digest) -> None:
    try:
        write_whole(file, document(digest))
    except OSError:
        return  # it is made again in the next run


def _kept(file: Path) -> Digest | None:
    try:
        if file.stat().st_size > LARGEST_DIGEST:
            return None
        return from_document(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None


@cache
def digest_version() -> str:
    """Changes with the code that makes digests, so that none of an older one is believed."""
    state = hashlib.blake2b(f"{scanner_version()} {probe_version()}".encode(), digest_size=6)
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        state.update(file.read_bytes())
    return state.hexdigest()
