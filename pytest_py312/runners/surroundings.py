"""The files around a service that its suite may read, as it can in CI: tracked files above it and beside it.

They are copied with the service. What would change how pytest runs the suite is left out, and so is everything that
belongs to other services: their code must not become importable. Of large repositories only the files directly in the
folders above the service are taken, and those that its sources name, because every run of a suite copies them.
"""

import base64
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from pytest_py312.core.model.fleet import Service
from pytest_py312.runners.agent.probe import NOT_COPIED
from pytest_py312.runners.git_index import tracked_files

FILE_COUNT_LIMIT = 1000
FILE_SIZE_LIMITS = (1024**2, 256 * 1024)
"""Bytes of one file; the second counts where files up to the first are too large together."""
TOTAL_SIZE_LIMIT = 4 * 1024**2
"""Limits of what is copied for one suite: settings and fixtures, not data."""
INDEX_SIZE_LIMIT = 64 * 1024**2

_DECIDE_HOW_PYTEST_RUNS = frozenset(
    {
        "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "setup.cfg",
        "setup.py", "tox.ini", "__init__.py",
    }
)  # fmt: skip


_NAMED_FILE = re.compile(rb"""["'/]([\w.-]{1,100}\.(?!py\b)\w{1,8})["']""", re.ASCII)
"""The name of a file in a text of a source: ``open("../../lib/settings.json")``."""


class Surroundings:
    """The files around each service of a repository. Thread-safe.

    :param services: all services; the files of others are left out.
    """

    def __init__(self, root: Path, services: Sequence[Service]) -> None:
        self._root = root
        self._services = services
        self._tracked: tuple[str, ...] | None = None
        self._lock = threading.Lock()

    def files(self, service: Service) -> Mapping[str, str]:
        """Return path (relative to the root) to content (base64) of the files around ``service``."""
        if service.path == ".":
            return {}
        with self._lock:
            if self._tracked is None:
                self._tracked = _tracked_below(self._root)
        choices = self._choices(service, list(self._around(service, self._tracked)))
        readings = (self._read(chosen, file_size) for chosen in choices for file_size in FILE_SIZE_LIMITS)
        return next((contents for contents in readings if contents is not None), {})

    def _choices(self, service: Service, paths: Sequence[str]) -> Iterator[Sequence[str]]:
        """Yield the paths to take, fewer each time, for as long as those before are too many or too large."""
        yield paths
        above = {"", *_ancestors(service.path)}
        of_folders_above = {path for path in paths if path.rpartition("/")[0] in above}
        named = self._names_in_sources(service)
        yield [path for path in paths if path in of_folders_above or path.rpartition("/")[2] in named]
        yield sorted(of_folders_above)

    def _names_in_sources(self, service: Service) -> set[str]:
        """Return the names of files, other than those of code, that the sources of the service contain."""
        own = (path for path in self._tracked or () if path.startswith(f"{service.path}/") and path.endswith(".py"))
        texts = (_regular_file(self._root, path, FILE_SIZE_LIMITS[0]) or b"" for path in islice(own, FILE_COUNT_LIMIT))
        return {match[1].decode() for text in texts for match in _NAMED_FILE.finditer(text)}

    def _around(self, service: Service, tracked: Sequence[str]) -> Iterator[str]:
        copied = [service.path, *service.settings.needs]
        others = [other.path for other in self._services if other.path not in (".", service.path)]
        decisive = _folders_to_the_suite(service)
        root_is_service = any(other.path == "." for other in self._services)
        for path in tracked:
            parts = path.split("/")
            is_code = parts[-1].endswith(".py") and root_is_service
            is_decisive = parts[-1] in _DECIDE_HOW_PYTEST_RUNS and (path.rpartition("/")[0] or ".") not in decisive
            if is_code or is_decisive or not NOT_COPIED.isdisjoint(parts):
                continue
            if not any(path.startswith(f"{folder}/") for folder in (*copied, *others)):
                yield path

    def _read(self, paths: Sequence[str], file_size: int) -> dict[str, str] | None:
        """Return the contents of regular files up to a size; ``None`` if they are too many, or too large together."""
        contents, size = {}, 0
        if len(paths) > FILE_COUNT_LIMIT:
            return None
        for path in paths:
            content = _regular_file(self._root, path, file_size)
            size += len(content or b"")
            if size > TOTAL_SIZE_LIMIT:
                return None
            if content is not None:
                contents[path] = base64.b64encode(content).decode()
        return contents


def _folders_to_the_suite(service: Service) -> set[str]:
    """Return the folders whose files decide how pytest runs a suite elsewhere: from there to the service."""
    start = service.suite.folder if service.suite is not None else ""
    inside = {path for path in _ancestors(service.path) if start in (".", path) or path.startswith(f"{start}/")}
    return {start, *inside} if start else set()


def _ancestors(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _tracked_below(root: Path) -> tuple[str, ...]:
    """Return the tracked files below ``root``, relative to it; none outside of a work tree of git."""
    real = Path(os.path.realpath(root))
    for top in (real, *real.parents):
        git = top / ".git"
        if git.exists():
            index = _index_of(git)
            tracked = tracked_files(index) if index is not None else None
            prefix = "" if top == real else f"{real.relative_to(top).as_posix()}/"
            return tuple(path[len(prefix) :] for path in tracked or () if path.startswith(prefix))
    return ()


def _index_of(git: Path) -> bytes | None:
    try:
        if git.is_file():  # a linked work tree
            text = git.read_text(encoding="utf-8", errors="replace")[:4096]
            git = git.parent / text.partition("gitdir:")[2].strip()
        index = git / "index"
        return index.read_bytes() if index.stat().st_size <= INDEX_SIZE_LIMIT else None
    except (OSError, ValueError):
        return None


def _regular_file(root: Path, path: str, limit: int) -> bytes | None:
    """Return the content of a file below ``root`` that is reached through no link; ``None`` if larger, or none."""
    full = Path(os.path.realpath(root)) / path
    try:
        info = full.lstat()
        if not stat.S_ISREG(info.st_mode) or info.st_size > limit or os.path.realpath(full) != str(full):
            return None
        return full.read_bytes()
    except (OSError, ValueError):
        return None
