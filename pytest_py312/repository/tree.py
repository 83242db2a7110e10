"""The one safe way to list and read files of the repository under test.

Nothing here follows a link out of the root, opens anything but a regular file, or reads more than a limit.
All paths are POSIX strings relative to the root; the root itself is ``"."``.
"""

import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

FILE_LIMIT = 2 * 1024**2
"""Bytes: larger files hold no requirements and no settings that a person wrote."""

SKIPPED = frozenset(
    {
        ".git", ".hg", ".svn", ".venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache", ".hypothesis", ".eggs", ".idea", ".vscode", ".gradle", "site-packages", "__pypackages__",
        ".py312",
    }
)  # fmt: skip
"""Names of folders that hold no source of the repository, wherever they are."""


class Unreadable(Exception):
    """A file that cannot or must not be read. ``str()`` is the end of a sentence: ``does not exist``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The names in one folder, sorted: regular files (links to files inside the root too) and true folders.

    ``linked`` are those of ``files`` that are links, ``ways`` are links to folders of the root, which are not in
    ``folders``; ``astray`` are links to nothing, or out of the root.
    """

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What lies beneath a folder: paths relative to that folder, sorted. ``complete``: no limit ended it.

    ``linked``, ``ways`` and ``astray`` are as in a :class:`Listing`.
    """

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()
    complete: bool = True

    def named(self, *names: str) -> tuple[str, ...]:
        """Those of ``names`` that are files directly in the folder, in the order asked."""
        present = set(self.files)
        return tuple(name for name in names if name in present)

    def without(self, folders: Collection[str]) -> "Scan":
        """The same without what lies in ``folders``, which are relative to the folder scanned."""
        if not folders:
            return self
        inside = tuple(f"{folder}/" for folder in folders)

        def kept(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if not f"{name}/".startswith(inside))

        return replace(
            self,
            files=kept(self.files),
            folders=kept(self.folders),
            linked=kept(self.linked),
            ways=kept(self.ways),
            astray=kept(self.astray),
        )


def join(*parts: str) -> str:
    """Join and normalise; ``join(".", "a")`` is ``"a"`` and the root is ``"."``."""
    return posixpath.normpath(posixpath.join(*parts))


def relative_to(folder: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of ``paths`` that lie beneath ``folder``, relative to it."""
    if folder == ".":
        return tuple(path for path in paths if path != ".")
    return tuple(path.removeprefix(f"{folder}/") for path in paths if path.startswith(f"{folder}/"))


def folders_beneath(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Each of ``paths`` that has others beneath it, and those others."""
    known = set(paths)
    inner: dict[str, list[str]] = {}
    for path in sorted(known - {"."}):
        above = path
        while above:
            above = above.rpartition("/")[0]
            if (above or ".") in known:
                inner.setdefault(above or ".", []).append(path)
    return {path: tuple(found) for path, found in inner.items()}


def escapes(path: str) -> bool:
    """Whether ``path``, relative to the root, is absolute or climbs out of it."""
    normal = posixpath.normpath(path)
    return normal.startswith(("/", "../")) or normal == ".."


def decode(data: bytes) -> str:
    """Text as pip and editors would read it: by its byte order mark, else UTF-8, else Latin-1. Never fails."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


class Tree:
    """The files beneath ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = os.path.realpath(root)

    def read(self, path: str, *, limit: int = FILE_LIMIT) -> str:
        """The text of the file ``path``.

        :raises Unreadable: it is missing, outside the root, no regular file, longer than ``limit`` bytes or forbidden.
        """
        try:
            real = self._inside(path)
            # O_NONBLOCK: a named pipe put in the place of a file must not hang us before it is recognised
            handle = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with open(handle, "rb") as file:  # noqa: PTH123 - it is a descriptor, not a path
                state = os.fstat(handle)
                if not stat.S_ISREG(state.st_mode):
                    raise Unreadable("is not a regular file")
                if state.st_size > limit:
                    raise Unreadable(f"is larger than {limit // 1024} KiB")
                return decode(file.read(limit))
        except FileNotFoundError:
            raise Unreadable("does not exist") from None
        except (OSError, ValueError) as error:
            raise Unreadable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None

    def text(self, path: str) -> str | None:
        """The text of the file ``path``, or ``None`` when it cannot be read."""
        try:
            return self.read(path)
        except Unreadable:
            return None

    def is_file(self, path: str) -> bool:
        try:
            return stat.S_ISREG(os.stat(self._inside(path)).st_mode)  # noqa: PTH116 - a str that realpath gave
        except (Unreadable, OSError, ValueError):
            return False

    def is_folder(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(self._inside(path)).st_mode)  # noqa: PTH116 - a str that realpath gave
        except (Unreadable, OSError, ValueError):
            return False

    def resolved(self, path: str) -> str:
        """The path of what ``path`` is once all links on the way are followed.

        :raises Unreadable: it leads out of the root.
        """
        return posixpath.relpath(self._inside(path), self._real_root)

    def listing(self, folder: str) -> Listing:
        """What is in ``folder``; empty when it cannot be listed. Linked folders are left out: they lie elsewhere."""
        try:
            return self._listed(folder, self._inside(folder))
        except Unreadable:
            return Listing()

    def _listed(self, folder: str, real: str) -> Listing:
        """What is in ``folder``, which is at ``real``, no link among the folders on the way."""
        files: list[str] = []
        folders: list[str] = []
        linked: list[str] = []
        ways: list[str] = []
        astray: list[str] = []
        try:
            with os.scandir(real) as entries:
                for entry in entries:
                    if not _is_text(entry.name):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        files.append(entry.name)
                    elif entry.is_symlink():
                        if self.is_file(join(folder, entry.name)):
                            files.append(entry.name)
                            linked.append(entry.name)
                        else:
                            (ways if self.is_folder(join(folder, entry.name)) else astray).append(entry.name)
        except (OSError, ValueError):
            return Listing()
        if "pyvenv.cfg" in files:
            return Listing()
        return Listing(
            files=tuple(sorted(files)),
            folders=tuple(sorted(set(folders) - SKIPPED)),
            linked=tuple(sorted(linked)),
            ways=tuple(sorted(set(ways) - SKIPPED)),
            astray=tuple(sorted(astray)),
        )

    def scan(self, folder: str, *, depth: int, limit: int = 20_000) -> Scan:
        """Everything beneath ``folder``, ``depth`` folders deep and ``limit`` names long at most, in one pass."""
        files: list[str] = []
        folders: list[str] = []
        linked: list[str] = []
        ways: list[str] = []
        astray: list[str] = []
        complete = True
        for inner, listing, level in self._walk(folder, depth):
            prefix = "" if inner == "." else f"{inner}/"
            files += [prefix + name for name in listing.files]
            folders += [prefix + name for name in listing.folders]
            linked += [prefix + name for name in listing.linked]
            ways += [prefix + name for name in listing.ways]
            astray += [prefix + name for name in listing.astray]
            complete = complete and not (level == depth and listing.folders)
            if len(files) + len(folders) > limit:
                complete = False
                break
        return Scan(
            files=tuple(sorted(files)),
            folders=tuple(sorted(folders)),
            linked=tuple(sorted(linked)),
            ways=tuple(sorted(ways)),
            astray=tuple(sorted(astray)),
            complete=complete,
        )

    def _walk(self, folder: str, depth: int) -> Iterator[tuple[str, Listing, int]]:
        try:
            pending = [(".", self._inside(folder), 0)]
        except Unreadable:
            return
        while pending:
            inner, real, level = pending.pop()
            listing = self._listed(join(folder, inner), real)
            yield inner, listing, level
            if level < depth:
                prefix = "" if inner == "." else f"{inner}/"
                pending += [(prefix + name, f"{real}/{name}", level + 1) for name in reversed(listing.folders)]

    def _inside(self, path: str) -> str:
        if escapes(path):
            raise Unreadable("lies outside the repository")
        real = os.path.realpath(os.path.join(self._real_root, path))  # noqa: PTH118 - a str in a hot place
        if real != self._real_root and not real.startswith(self._real_root.rstrip("/") + "/"):
            raise Unreadable("lies outside the repository")
        return real


def _is_text(name: str) -> bool:
    """Names that are not UTF-8 cannot be told apart in a report, and no tool of ours needs them."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
