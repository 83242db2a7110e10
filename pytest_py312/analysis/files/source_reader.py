"""Read the Python files of services and cache the facts of their scan."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from pytest_py312.analysis.files.embedded_python import embedded_python, may_embed_python
from pytest_py312.analysis.files.file_kinds import TEST_FOLDERS
from pytest_py312.analysis.files.parallel_scan import FileScanner, ScanTask, decode_facts, facts_key, scanner_version
from pytest_py312.analysis.scanner.facts.facts import FileFacts, pack
from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.json_cache import JsonCache
from pytest_py312.core.model.fleet import FileLines
from pytest_py312.repository.tree import FolderScan, Tree, UnreadableFile, decode_text, join_path, relative_to

FILE_LIMIT = 2 * 1024**2
"""Limit in bytes. Larger Python files contain generated data."""
PYTHON_SUFFIXES = (".py", ".pyw")
PYTHON_COMMAND_SUFFIXES = (".wsgi", ".cgi")
"""Suffixes of scripts that a web server runs. A ``.wsgi`` is always Python; a ``.cgi`` needs a line that says so."""
_PYTHON_LINE = re.compile(
    rb"#![^\r\n]*?[/ \t](?:python(?:3(?:\.\d+)?)?(?=[ \t\r\n]|\Z)"
    rb"|(?:ba|da)?sh[ \t]*\r?\n(?:'{4}|\"{2}:\"|'{3}:')[ \t]*exec[ \t][^\r\n]*?python3?[ \t])"
)
"""The first line of a script of Python, or the first two of one that a shell hands to it, as a string for Python.

One for ``python2`` is never run by a Python 3.
"""
_SHELL_LINE = re.compile(rb"#![^\r\n]*?[/ \t](?:ba|da|k|z)?sh(?=[ \t\r\n]|\Z)")
_RUN_FILE = re.compile(
    rb"""\b(?:(?:from_pyfile|run_path|execfile)\(|exec\(\s*(?:compile\(\s*)?(?:open|(?:pathlib\.)?Path)\()"""
    rb"""\s*["'](?P<path>[\w./-]{1,200})["']"""
)
"""A call that runs a file as Python which is named in place: settings of Flask, ``exec(open("version").read())``."""
_FIRST_LINE = 256
"""Bytes at the start of a file that are read to see whether it is a script; Linux reads as many."""
COMPILED_SUFFIXES = (".so", ".pyd")
NATIVE_SOURCE_SUFFIXES = (".c", ".cc", ".cpp", ".cxx", ".f", ".f90", ".go", ".pyx", ".rs")
"""Sources of extension modules. Where a service has some, its compiled modules may be left over from a local build."""
TOO_MANY_FILES = "contains more files, or deeper folders, than are read"
BROKEN_LINK = "It is a broken link, or a link out of the repository."
MAX_DEPTH = 40
"""Levels of folders below a service that are searched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFolder:
    """Where the source of a service is: its folder, the folders on its import path, and other folders that it
    ``needs``.

    All paths are relative to the root.
    """

    path: str
    roots: tuple[str, ...]
    needs: tuple[str, ...] = ()
    runs_other_tests: bool = True
    """Whether its suite may run tests in folders that it needs; else these belong to other suites."""
    files: tuple[str, ...] = ()
    """Files elsewhere that install it or start it, such as a Dockerfile: they may have commands with Python."""
    started_above: tuple[FileLines, ...] = ()
    """Where files elsewhere start it: no other lines of these count."""
    nested_services: tuple[str, ...] = ()
    """Folders of other services inside of this one. Their source is excluded."""
    scripts: tuple[str, ...] = ()
    """Ends of the paths of files without a suffix that commands run with Python: ``python jobs/purge``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFiles:
    """The Python files of one service before they are scanned. ``unread`` are (file or folder, reason).

    ``compiled`` are the paths of its extension modules; empty if it has sources to compile. ``bytecode`` are those of
    its modules without a source (``app/secret.pyc``), with the magic number of each.
    """

    tasks: tuple[ScanTask, ...]
    unread: tuple[tuple[str, str], ...]
    compiled: tuple[str, ...] = ()
    bytecode: tuple[tuple[str, int], ...] = ()

    @property
    def contents(self) -> dict[str, bytes]:
        """Contents by path."""
        return {task.path: task.content for task in self.tasks}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannedSource:
    """The Python files of one service with their facts. ``unread`` are (file or folder, reason)."""

    contents: Mapping[str, bytes]
    facts: tuple[FileFacts, ...]
    unread: tuple[tuple[str, str], ...] = ()


def _is_in_folder_of_tests(name: str) -> bool:
    return not TEST_FOLDERS.isdisjoint(name.split("/")[:-1])


class _FolderModules:
    """The modules and scripts in each folder of a service. Paths are relative to the root."""

    def __init__(
        self, service: str, files: Sequence[str], starts: Mapping[str, bytes], scripts: Sequence[str] = ()
    ) -> None:
        """Sort the files of a folder.

        :param starts: the beginnings of those files whose names do not say whether they are scripts.
        :param scripts: the ends of the paths of those that commands run with Python.
        """
        prefix = "" if service == "." else f"{service}/"
        modules = [prefix + name for name in files if name.endswith(PYTHON_SUFFIXES)]
        run = _run_scripts(scripts, starts)
        self.sources = [
            *modules,
            *(prefix + name for name, start in starts.items() if name in run or _is_python(name, start)),
        ]
        self._names: dict[str, set[str]] = {}
        for path in modules:
            folder, _, name = path.rpartition("/")
            stem = name.partition(".")[0]
            self._names.setdefault(folder or ".", set()).add(stem)
            if stem == "__init__":
                above, _, package = folder.rpartition("/")
                self._names.setdefault(above or ".", set()).add(package)
        self._modules_by_folder = {
            folder: frozenset(filter(str.isidentifier, names)) for folder, names in self._names.items()
        }

    def importable_from(self, folder: str) -> frozenset[str]:
        """Return the modules and packages directly in a folder.

        Folders without ``__init__.py`` are not included, because a standard library module of the same name takes
        precedence.
        """
        return self._modules_by_folder.get(folder, frozenset()) - {"__init__"}

    def visible_to(self, path: str) -> frozenset[str]:
        """Return the modules beside a script or a test that pytest collects; none for a module of a package."""
        folder = path.rpartition("/")[0] or "."
        modules = self._modules_by_folder.get(folder, frozenset())
        return frozenset() if "__init__" in modules else modules


def _is_module(name: str) -> bool:
    """Return whether Python can import or run a file. Links of editors such as ``.#main.py`` are excluded."""
    return name.endswith(PYTHON_SUFFIXES) and not _base_name(name).startswith(".")


def _may_be_script(name: str) -> bool:
    """Return whether a file may be a script by its name; hidden files are settings and hooks of developers."""
    base = _base_name(name)
    return "." not in base or (base.endswith(PYTHON_COMMAND_SUFFIXES) and not base.startswith("."))


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def _shell_scripts(starts: Mapping[str, Mapping[str, bytes]]) -> frozenset[str]:
    """Return the paths of the files without a suffix, by folder in ``starts``, whose first line names a shell."""
    return frozenset(
        join_path(folder, name)
        for folder, names in starts.items()
        for name, start in names.items()
        if "." not in _base_name(name) and _SHELL_LINE.match(start)
    )


def _run_scripts(scripts: Sequence[str], starts: Mapping[str, bytes]) -> set[str]:
    """Return the outermost file without a suffix for each script; none that is compressed or not for Python."""
    run = set()
    for script in scripts:
        names = [name for name in starts if "." not in _base_name(name) and f"/{name}".endswith(f"/{script}")]
        for name in sorted(names, key=lambda name: (name.count("/"), name))[:1]:
            if not starts[name].startswith((b"#!", b"PK")) and b"\0" not in starts[name]:
                run.add(name)
    return run


def _files_run_by(contents: Iterable[bytes], files: Sequence[str]) -> Iterator[str]:
    """Yield those of ``files`` that code runs as Python, by what their names end with, the outermost of each."""
    named = {match["path"].decode().removeprefix("./") for content in contents for match in _RUN_FILE.finditer(content)}
    for name in sorted(named):
        matching = [file for file in files if f"/{file}".endswith(f"/{name.lstrip('/')}")]
        yield from sorted(matching, key=lambda file: (file.count("/"), file))[:1]


def _is_python(name: str, start: bytes) -> bool:
    """Return whether a script is Python, by its name or its first line, such as ``bin/manage``."""
    return name.endswith(".wsgi") or _PYTHON_LINE.match(start) is not None


def _embedded_tasks(texts: Iterable[tuple[str, str]], local_modules: frozenset[str]) -> Iterator[ScanTask]:
    """Yield the Python in Dockerfiles, scripts of a shell and other files that are not Python themselves."""
    for path, text in texts:
        content = embedded_python(text, path).encode()
        if content:
            key = facts_key(content, local_modules)
            yield ScanTask(key=key, path=path, content=content, local_modules=local_modules)


def _compiled_files(files: Sequence[str]) -> tuple[str, ...]:
    """Return the extension modules among ``files``; none if there are sources to compile."""
    if any(name.endswith(NATIVE_SOURCE_SUFFIXES) for name in files):
        return ()
    return tuple(name for name in files if name.endswith(COMPILED_SUFFIXES))


class SourceReader:
    """Reader of the sources below ``root``.

    :param processes: number of processes that scan at the same time.
    :param overrides: contents, by path, that replace those of the files.
    """

    def __init__(
        self, *, root: Path, cache: Path, processes: int, overrides: Mapping[str, bytes] | None = None
    ) -> None:
        self._tree = Tree(root)
        self._overrides = overrides or {}
        self._cache = cache
        self._scanner = FileScanner(cache=cache, processes=processes)

    def read(self, folders: Iterable[SourceFolder]) -> dict[str, ScannedSource]:
        """Load and scan all Python files of each folder; return them by its path."""
        return self.scan(self.load(folders))

    def load(self, folders: Iterable[SourceFolder]) -> dict[str, SourceFiles]:
        """Return the contents of all Python files of each folder, by its path."""
        return {folder.path: self._load_folder(folder) for folder in folders}

    def scan(self, sources: Mapping[str, SourceFiles]) -> dict[str, ScannedSource]:
        """Scan the files that :meth:`load` returned."""
        caches = {path: JsonCache(self._cache_path(path)) for path in sources}
        facts_by_key: dict[str, FileFacts] = {}
        missing: dict[str, ScanTask] = {}
        for path, source in sources.items():
            for task in source.tasks:
                facts = decode_facts(caches[path].get(task.key))
                if facts is not None:
                    facts_by_key[task.key] = facts
                else:
                    missing[task.key] = task
        fresh = self._scanner.scan(list(missing.values()))
        for path, source in sources.items():
            keys = [task.key for task in source.tasks]
            caches[path].put({key: pack(fresh[key]) for key in keys if key in fresh}, used_keys=keys)
        facts_by_key |= fresh
        return {
            path: ScannedSource(
                contents=source.contents,
                facts=tuple(replace(facts_by_key[task.key], path=task.path) for task in source.tasks),
                unread=source.unread,
            )
            for path, source in sources.items()
        }

    def _cache_path(self, path: str) -> Path:
        name = hashlib.sha256(f"{self._tree.root}\0{path}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self._cache / "source" / f"{scanner_version()}-{name}.json"

    def _load_folder(self, folder: SourceFolder) -> SourceFiles:
        scans = self._list_folders(folder)
        unread = [(path, TOO_MANY_FILES) for path, scan in scans.items() if not scan.complete]
        starts = {path: self._starts(path, scan.files) for path, scan in scans.items()}
        modules = {
            path: _FolderModules(path, scan.files, starts[path], folder.scripts if path == folder.path else ())
            for path, scan in scans.items()
        }
        roots = {*folder.roots, *scans, *(path.rpartition("/")[0] or "." for path in list(scans)[1:])}
        shared = frozenset(
            name
            for folder_modules in modules.values()
            for root in roots
            for name in folder_modules.importable_from(root)
        )
        tasks: dict[str, ScanTask] = {}
        for path, scan in scans.items():
            unread += [(join_path(path, name), BROKEN_LINK) for name in scan.broken_links if _is_module(name)]
            linked = {join_path(path, name) for name in scan.linked_files}
            pending = self._resolve_links(modules[path].sources, linked)
            while pending:
                added: list[bytes] = []
                for file, real in pending.items():
                    try:
                        task = self._task(real, shared | modules[path].visible_to(file))
                    except UnsafeFile as refused:
                        unread.append((file, str(refused)))
                    else:
                        added += [task.content] if tasks.setdefault(real, task) is task else []
                run = (join_path(path, name) for name in _files_run_by(added, scan.files))
                pending = self._resolve_links([file for file in run if file not in tasks], linked)
        files = [join_path(path, name) for path, scan in scans.items() for name in scan.files]
        starts["."] = starts.get(".", {}) | self._starts(".", folder.files)
        of_shell = _shell_scripts(starts)
        embedding = [path for path in (*files, *folder.files) if path in of_shell or may_embed_python(path)]
        texts = chain(self._texts(embedding), self._texts_of_lines(folder.started_above))
        for task in _embedded_tasks(texts, shared):
            tasks.setdefault(task.path, task)
        return SourceFiles(
            tasks=tuple(tasks.values()),
            unread=tuple(unread),
            compiled=_compiled_files(files),
            bytecode=tuple(self._bytecode(files)),
        )

    def _bytecode(self, files: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Yield the modules that are only there as bytecode, with their magic numbers."""
        compiled = [name for name in files if name.endswith(".pyc") and "__pycache__" not in name.split("/")]
        sources = set(files) if compiled else set()
        for name in compiled:
            if name[:-1] not in sources:
                with suppress(OSError, UnsafeFile):
                    yield name, int.from_bytes(self._tree.read_start(name, 2), "little")

    def _task(self, path: str, local_modules: frozenset[str]) -> ScanTask:
        """Return a file with its content.

        :raises UnsafeFile: it cannot be read.
        """
        override = self._overrides.get(path)
        content = read_regular_file(self._tree.root, path, FILE_LIMIT) if override is None else override
        key = facts_key(content, local_modules)
        return ScanTask(key=key, path=path, content=content, local_modules=local_modules)

    def _texts(self, files: Iterable[str]) -> Iterator[tuple[str, str]]:
        for path in files:
            override = self._overrides.get(path)
            text = self._tree.read_or_none(path) if override is None else decode_text(override)
            yield path, text or ""

    def _texts_of_lines(self, parts: Sequence[FileLines]) -> Iterator[tuple[str, str]]:
        """Yield files with those lines alone; the others are empty."""
        for path, text in self._texts(dict.fromkeys(part.path for part in parts)):
            kept = {number for part in parts if part.path == path for number in range(part.first, part.last + 1)}
            lines = enumerate(text.split("\n"), 1)
            yield path, "\n".join(line if number in kept else "" for number, line in lines)

    def _starts(self, folder: str, files: Sequence[str]) -> dict[str, bytes]:
        """Return the beginnings of the ``files`` whose names do not say whether they are scripts."""
        starts = {}
        for name in filter(_may_be_script, files):
            try:
                starts[name] = self._tree.read_start(join_path(folder, name), _FIRST_LINE)
            except UnreadableFile:
                starts[name] = b""
        return starts

    def _list_folders(self, folder: SourceFolder) -> dict[str, FolderScan]:
        """List the folder of a service, the folders it needs, and folders of the repository that links lead to."""
        scans: dict[str, FolderScan] = {}
        pending = [folder.path, *folder.needs]
        while pending:
            path = pending.pop(0)
            is_listed = any(
                path == listed_path or listed_path == "." or path.startswith(f"{listed_path}/") for listed_path in scans
            )
            if (
                is_listed or path == "." != folder.path or folder.path.startswith(f"{path}/")
            ):  # a parent folder contains files of other services
                continue
            scan = self._tree.scan_folder(path, depth=MAX_DEPTH).without(relative_to(path, folder.nested_services))
            if path != folder.path and not folder.runs_other_tests:
                scan = replace(scan, files=tuple(name for name in scan.files if not _is_in_folder_of_tests(name)))
            scans[path] = scan
            for link in scan.linked_folders:
                try:
                    pending.append(self._tree.resolve_links(join_path(path, link)))
                except UnreadableFile:  # it was changed just now
                    continue
        return scans

    def _resolve_links(self, paths: Sequence[str], linked: Set[str]) -> dict[str, str]:
        """Return ``paths`` with the files they refer to when links are followed, without duplicates."""
        resolved = {path: path for path in paths if path not in linked}
        taken = set(resolved)
        for path in paths:
            if path in linked:
                try:
                    real = self._tree.resolve_links(path)
                except UnreadableFile:  # it was changed just now: reading it will report why
                    real = path
                if real not in taken:
                    taken.add(real)
                    resolved[path] = real
        return resolved
