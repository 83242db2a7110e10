"""Reads the Python files of services, and remembers what was scanned."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_py312.analysis.files.parallel_scan import FileScanner, Task, key_of, remembered, scanner_version
from pytest_py312.analysis.scanner.facts.facts import FileFacts, packed
from pytest_py312.core.files import Refused, read_regular
from pytest_py312.core.json_cache import Memory
from pytest_py312.repository.tree import Scan, Tree, Unreadable, join, relative_to

FILE_LIMIT = 2 * 1024**2
"""Bytes: a larger Python file holds data that a program wrote."""
PYTHON = (".py", ".pyw")
TOO_MUCH = "holds more files, or deeper folders, than are read"
LEADS_NOWHERE = "It is a link to nothing, or out of the repository."
DEPTH = 40
"""Folders below a service that are looked into."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFolder:
    """A service as far as its source goes: its folder, the folders on its import path, and those that it ``needs``
    beside its own. All are relative to the root."""

    path: str
    roots: tuple[str, ...]
    needs: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    """Folders of other services beneath it, whose source is theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSeen:
    """The Python files of one service before they are scanned, and (file or folder, reason) of what was not read."""

    tasks: tuple[Task, ...]
    unread: tuple[tuple[str, str], ...]

    @property
    def contents(self) -> dict[str, bytes]:
        """The contents by path."""
        return {task.path: task.content for task in self.tasks}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRead:
    """The Python files of one service by path: contents, facts, and (file or folder, reason) of what was not read."""

    contents: Mapping[str, bytes]
    facts: tuple[FileFacts, ...]
    unread: tuple[tuple[str, str], ...] = ()


class _Modules:
    """Which modules lie in which folder of a service; paths are relative to the root."""

    def __init__(self, service: str, files: Sequence[str]) -> None:
        prefix = "" if service == "." else f"{service}/"
        self.sources = [prefix + name for name in files if name.endswith(PYTHON)]
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


def _is_module(name: str) -> bool:
    """Whether it is a file that Python imports or runs; editors leave links such as ``.#main.py``."""
    return name.endswith(PYTHON) and not name.rpartition("/")[2].startswith(".")


class SourceReader:
    """Reads beneath ``root``; ``processes`` scan at once. ``instead`` are contents that files are to be read with."""

    def __init__(self, *, root: Path, cache: Path, processes: int, instead: Mapping[str, bytes] | None = None) -> None:
        self._tree = Tree(root)
        self._instead = instead or {}
        self._cache = cache
        self._scanner = FileScanner(cache=cache, processes=processes)

    def read(self, folders: Iterable[SourceFolder]) -> dict[str, SourceRead]:
        """All Python files of each folder, by its path."""
        return self.scan(self.look(folders))

    def look(self, folders: Iterable[SourceFolder]) -> dict[str, SourceSeen]:
        """The contents of all Python files of each folder, by its path."""
        return {folder.path: self._files(folder) for folder in folders}

    def scan(self, found: Mapping[str, SourceSeen]) -> dict[str, SourceRead]:
        """What :meth:`look` has found, with the facts."""
        memories = {path: Memory(self._memory(path)) for path in found}
        known: dict[str, FileFacts] = {}
        missing: dict[str, Task] = {}
        for path, seen in found.items():
            for task in seen.tasks:
                facts = remembered(memories[path].get(task.key))
                if facts is not None:
                    known[task.key] = facts
                else:
                    missing[task.key] = task
        fresh = self._scanner.scan(list(missing.values()))
        for path, seen in found.items():
            keys = [task.key for task in seen.tasks]
            memories[path].keep({key: packed(fresh[key]) for key in keys if key in fresh}, used=keys)
        known |= fresh
        return {
            path: SourceRead(
                contents=seen.contents,
                facts=tuple(replace(known[task.key], path=task.path) for task in seen.tasks),
                unread=seen.unread,
            )
            for path, seen in found.items()
        }

    def _memory(self, path: str) -> Path:
        name = hashlib.sha256(f"{self._tree.root}\0{path}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._cache / "source" / f"{scanner_version()}-{name}.json"

    def _files(self, folder: SourceFolder) -> SourceSeen:
        scans = self._scans(folder)
        unread = [(path, TOO_MUCH) for path, scan in scans.items() if not scan.complete]
        modules = {path: _Modules(path, scan.files) for path, scan in scans.items()}
        roots = {*folder.roots, *scans, *(path.rpartition("/")[0] or "." for path in list(scans)[1:])}
        shared = frozenset(name for one in modules.values() for root in roots for name in one.of(root))
        tasks: dict[str, Task] = {}
        for path, scan in scans.items():
            unread += [(join(path, name), LEADS_NOWHERE) for name in scan.astray if _is_module(name)]
            linked = {join(path, name) for name in scan.linked}
            for file, real in self._once(modules[path].sources, linked).items():
                local = shared | modules[path].beside(file)
                try:
                    changed = self._instead.get(real)
                    content = read_regular(self._tree.root, real, FILE_LIMIT) if changed is None else changed
                except Refused as refused:
                    unread.append((file, str(refused)))
                else:
                    tasks.setdefault(real, Task(key=key_of(content, local), path=real, content=content, local=local))
        return SourceSeen(tasks=tuple(tasks.values()), unread=tuple(unread))

    def _scans(self, folder: SourceFolder) -> dict[str, Scan]:
        """What lies in the service's folder, in those it needs, and in folders of the repository that links lead to."""
        scans: dict[str, Scan] = {}
        pending = [folder.path, *folder.needs]
        while pending:
            path = pending.pop(0)
            seen = any(path == known or known == "." or path.startswith(f"{known}/") for known in scans)
            if seen or path == "." != folder.path or folder.path.startswith(f"{path}/"):  # what is around it is others'
                continue
            scans[path] = scan = self._tree.scan(path, depth=DEPTH).without(relative_to(path, folder.inner))
            for way in scan.ways:
                try:
                    pending.append(self._tree.resolved(join(path, way)))
                except Unreadable:  # it was changed just now
                    continue
        return scans

    def _once(self, paths: Sequence[str], linked: Set[str]) -> dict[str, str]:
        """Each of ``paths``, and the file it is when links are followed; none for those that another has already."""
        found = {path: path for path in paths if path not in linked}
        taken = set(found)
        for path in paths:
            if path in linked:
                try:
                    real = self._tree.resolved(path)
                except Unreadable:  # it was changed just now: reading it will tell
                    real = path
                if real not in taken:
                    taken.add(real)
                    found[path] = real
        return found
