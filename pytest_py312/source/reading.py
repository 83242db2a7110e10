"""Reads the Python files of services: each content is scanned once, on all cores, and remembered.

What a file says depends on its text and on which modules it finds beside it, so both are in the key.
"""

import hashlib
import json
import shutil
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pytest_py312 import command
from pytest_py312.safe_files import Refused, read_regular
from pytest_py312.source.facts import FileFacts, packed, unpacked
from pytest_py312.source.memory import Memory
from pytest_py312.source.scan import scan_text
from pytest_py312.tree import Tree

FILE_LIMIT = 2 * 1024**2
"""Bytes: a larger Python file holds data that a program wrote."""
DEPTH = 40
"""Folders below a service that are looked into."""
WORTH_A_PROCESS = 400_000
"""Bytes of source that take longer to scan than a process takes to start."""
SCAN_LIMIT = 300.0
"""Seconds for one process that scans."""

_WORKER = """
import sys
sys.path[:0] = [sys.argv[1]]
from pytest_py312.source.reading import work
work(sys.argv[2], sys.argv[3])
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFolder:
    """A service as far as its source goes: its folder, and the folders on its import path (relative to the root)."""

    path: str
    roots: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRead:
    """The Python files of one service by path: contents, facts, and (file or folder, reason) of what was not read."""

    contents: Mapping[str, bytes]
    facts: tuple[FileFacts, ...]
    unread: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """One file to scan; ``key`` is that of its facts."""

    key: str
    path: str
    content: bytes
    local: frozenset[str]


class _Modules:
    """Which modules lie in which folder of a service; paths are relative to the root."""

    def __init__(self, service: str, files: Sequence[str]) -> None:
        prefix = "" if service == "." else f"{service}/"
        self.sources = [prefix + name for name in files if name.endswith((".py", ".pyw"))]
        self._names: dict[str, set[str]] = {}
        for path in self.sources:
            folder, _, name = path.rpartition("/")
            stem = name.partition(".")[0]
            self._names.setdefault(folder or ".", set()).add(stem)
            if stem == "__init__":
                above, _, package = folder.rpartition("/")
                self._names.setdefault(above or ".", set()).add(package)
        self._local = {folder: frozenset(filter(str.isidentifier, names)) for folder, names in self._names.items()}

    def of(self, folder: str) -> frozenset[str]:
        """The modules and packages directly in a folder. One without ``__init__.py`` is not among them: the standard
        library's module of its name is preferred to it."""
        return self._local.get(folder, frozenset()) - {"__init__"}

    def beside(self, path: str) -> frozenset[str]:
        """What a script, or a test that pytest collects, finds beside it; a module of a package does not."""
        folder = path.rpartition("/")[0] or "."
        found = self._local[folder]
        return frozenset() if "__init__" in found else found


class SourceReader:
    """Reads beneath ``root``; ``processes`` scan at once."""

    def __init__(self, *, root: Path, cache: Path, processes: int) -> None:
        self._tree = Tree(root)
        self._cache = cache
        self._processes = max(1, processes)

    def read(self, folders: Iterable[SourceFolder]) -> dict[str, SourceRead]:
        """All Python files of each folder, by its path."""
        found = {folder.path: self._files(folder) for folder in folders}
        memories = {path: Memory(self._memory(path)) for path in found}
        known: dict[str, FileFacts] = {}
        missing: dict[str, _Task] = {}
        for path, (tasks, _) in found.items():
            for task in tasks:
                facts = _remembered(memories[path].get(task.key))
                if facts is not None:
                    known[task.key] = facts
                else:
                    missing[task.key] = task
        fresh = self._scan(list(missing.values()))
        for path, (tasks, _) in found.items():
            keys = [task.key for task in tasks]
            memories[path].keep({key: packed(fresh[key]) for key in keys if key in fresh}, used=keys)
        known |= fresh
        return {
            path: SourceRead(
                contents={task.path: task.content for task in tasks},
                facts=tuple(replace(known[task.key], path=task.path) for task in tasks),
                unread=unread,
            )
            for path, (tasks, unread) in found.items()
        }

    def _memory(self, path: str) -> Path:
        name = hashlib.sha256(f"{self._tree.root}\0{path}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._cache / "source" / f"{scanner_version()}-{name}.json"

    def _files(self, folder: SourceFolder) -> tuple[list[_Task], tuple[tuple[str, str], ...]]:
        scan = self._tree.scan(folder.path, depth=DEPTH)
        unread = [] if scan.complete else [(folder.path, "holds more files, or deeper folders, than are read")]
        modules = _Modules(folder.path, scan.files)
        shared = frozenset(name for root in folder.roots for name in modules.of(root))
        tasks = []
        for path in modules.sources:
            local = shared | modules.beside(path)
            try:
                content = read_regular(self._tree.root, path, FILE_LIMIT)
            except Refused as refused:
                unread.append((path, str(refused)))
            else:
                tasks.append(_Task(key=_key(content, local), path=path, content=content, local=local))
        return tasks, tuple(unread)

    def _scan(self, tasks: Sequence[_Task]) -> dict[str, FileFacts]:
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

    def _scan_elsewhere(self, tasks: Sequence[_Task]) -> dict[str, FileFacts]:
        """In a process of its own; what it does not give back is scanned here."""
        folder = self._cache / "tmp" / uuid.uuid4().hex
        asked, answered = folder / "asked.json", folder / "answered.json"
        facts: list[FileFacts | None] = [None] * len(tasks)
        try:
            folder.mkdir(parents=True, mode=0o700)
            rows = [(task.path, task.content.decode("latin-1"), sorted(task.local)) for task in tasks]
            asked.write_text(json.dumps(rows), encoding="utf-8")
            package = str(Path(__file__).parents[2])
            command.run(
                [sys.executable, "-I", "-c", _WORKER, package, str(asked), str(answered)], time_limit=SCAN_LIMIT
            )
            facts = [_remembered(row) for row in json.loads(answered.read_bytes())]
        except (OSError, ValueError):
            pass
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {
            task.key: found or _scanned(task)
            for task, found in zip(tasks, [*facts, *[None] * len(tasks)][: len(tasks)], strict=True)
        }


def work(asked: str, answered: str) -> None:
    """What a scanning process does: files in, facts out."""
    rows = json.loads(Path(asked).read_bytes())
    facts = [packed(scan_text(text.encode("latin-1"), path, local=frozenset(local))) for path, text, local in rows]
    Path(answered).write_text(json.dumps(facts), encoding="utf-8")


def _scanned(task: _Task) -> FileFacts:
    return scan_text(task.content, task.path, local=task.local)


def _remembered(data: Any) -> FileFacts | None:
    try:
        return unpacked(data) if data is not None else None
    except ValueError:
        return None


def _key(content: bytes, local: frozenset[str]) -> str:
    digest = hashlib.blake2b(content, digest_size=16)
    digest.update("\0".join(("", *sorted(local))).encode())
    return digest.hexdigest()


def _shares(tasks: Sequence[_Task], count: int) -> list[list[_Task]]:
    """``tasks`` in ``count`` parts of about the same size."""
    parts: list[tuple[int, list[_Task]]] = [(0, []) for _ in range(max(1, count))]
    for task in sorted(tasks, key=lambda task: -len(task.content)):
        at = min(range(len(parts)), key=lambda index: parts[index][0])
        parts[at] = (parts[at][0] + len(task.content), [*parts[at][1], task])
    return [part for _, part in parts]


@cache
def scanner_version() -> str:
    """A digest of the scanner's code and of the interpreter that runs it: another one may see other things."""
    digest = hashlib.blake2b(sys.version.encode(), digest_size=8)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
