"""List and read files of the repository under test safely.

Nothing here follows a link out of the root, opens anything but a regular file, or reads more than a limit. All paths
are POSIX strings relative to the root; the root itself is ``"."``.
"""

import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

FILE_LIMIT = 2 * 1024**2
"""Bytes: larger files contain neither requirements nor hand-written settings."""

SKIPPED_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", ".venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache", ".hypothesis", ".eggs", ".idea", ".vscode", ".gradle", "site-packages", "__pypackages__",
        ".py312",
    }
)  # fmt: skip
"""Names of folders that contain no source of the repository, at any depth."""

VENDORED_FOLDERS = frozenset(
    {
        "_third_party", "_vendor", "_vendored", "_vendored_packages", "third-party", "third_party", "thirdparty",
        "vendor", "vendored",
    }
)  # fmt: skip
"""Names of folders with copies of other projects."""


class UnreadableFile(Exception):
    """A file that cannot or must not be read. ``str()`` is the end of a sentence: ``does not exist``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderListing:
    """The sorted names in one folder: regular files (including links to files inside the root) and real folders.

    ``linked_files`` are those of ``files`` that are links. ``linked_folders`` are links to folders of the root; they
    are not in ``folders``. ``broken_links`` lead to nothing or out of the root.
    """

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    linked_files: tuple[str, ...] = ()
    linked_folders: tuple[str, ...] = ()
    broken_links: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderScan(FolderListing):
    """The content of a folder at all depths: sorted paths relative to it. ``complete``: no limit was reached."""

    complete: bool = True

    def existing_files(self, *names: str) -> tuple[str, ...]:
        """Return those of ``names`` that are files directly in the folder, in the given order."""
        present_files = set(self.files)
        return tuple(name for name in names if name in present_files)

    def without(self, folders: Collection[str]) -> "FolderScan":
        """Return the scan without the content of ``folders``, which are relative to the scanned folder."""
        if not folders:
            return self
        inside = tuple(f"{folder}/" for folder in folders)

        def kept(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if not f"{name}/".startswith(inside))

        return FolderScan(complete=self.complete, **{kind: kept(getattr(self, kind)) for kind in _KINDS})


_KINDS = tuple(kind.name for kind in fields(FolderListing))
_KINDS_OF_TYPES = {stat.S_IFDIR: ("folders",), stat.S_IFREG: ("files",)}


def join_path(*parts: str) -> str:
    """Join and normalise paths; ``join_path(".", "a")`` is ``"a"``, and the root is ``"."``."""
    return posixpath.normpath(posixpath.join(*parts))


def with_outer_folders(folder: str) -> Iterator[str]:
    """Yield a folder and those around it, up to the root."""
    yield folder
    while folder not in (".", ""):
        folder = folder.rpartition("/")[0] or "."
        yield folder


def lies_in(path: str, folder: str) -> bool:
    """Return whether a path is a folder or below it. The root, ``"."``, contains only itself here."""
    return f"{path}/".startswith(f"{folder}/")


def is_inside(path: str, folder: str) -> bool:
    """Return whether a path is a folder or below it, where the root contains everything of the repository."""
    return not leaves_root(path) if folder == "." else lies_in(path, folder)


def relative_to(folder: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``paths`` that are below ``folder``, relative to it."""
    if folder == ".":
        return tuple(path for path in paths if path != ".")
    return tuple(path.removeprefix(f"{folder}/") for path in paths if path.startswith(f"{folder}/"))


def nested_paths(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Map each of ``paths`` that contains others of them to those others."""
    path_set = set(paths)
    nested_by_path: dict[str, list[str]] = {}
    for path in sorted(path_set - {"."}):
        ancestor = path
        while ancestor:
            ancestor = ancestor.rpartition("/")[0]
            if (ancestor or ".") in path_set:
                nested_by_path.setdefault(ancestor or ".", []).append(path)
    return {path: tuple(nested) for path, nested in nested_by_path.items()}


def leaves_root(path: str) -> bool:
    """Return whether ``path``, relative to the root, is absolute or leads out of the root."""
    normal = posixpath.normpath(path)
    return normal.startswith(("/", "../")) or normal == ".."


def is_inside_root(path: str) -> bool:
    """Return whether a path that a file of the repository names, relative to the root, can be one inside of it."""
    return not (path.startswith(("/", "~")) or leaves_root(path) or "\0" in path)


def decode_text(data: bytes) -> str:
    """Decode text as pip and editors do: by its byte order mark, else UTF-8, else Latin-1. Never fails."""
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
    """The files below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = os.path.realpath(root)

    def read(self, path: str, *, limit: int = FILE_LIMIT) -> str:
        """Return the text of the file ``path``.

        :raises UnreadableFile: it is missing, outside the root, not a regular file, longer than ``limit`` bytes or not
            readable.
        """
        return decode_text(self._read(path, limit, at_most=limit))

    def read_start(self, path: str, length: int) -> bytes:
        """Return the first ``length`` bytes of the file ``path``, whatever its size.

        :raises UnreadableFile: it is missing, outside the root, not a regular file or not readable.
        """
        return self._read(path, length, at_most=None)

    def _read(self, path: str, length: int, *, at_most: int | None) -> bytes:
        """Return the first ``length`` bytes of a file that has ``at_most`` so many bytes in all."""
        try:
            real_path = self._real_path(path)
            # O_NONBLOCK: opening a named pipe must not block before it is recognised as one
            handle = os.open(real_path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with open(handle, "rb") as file:  # noqa: PTH123 - it is a descriptor, not a path
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    raise UnreadableFile("is not a regular file")
                if at_most is not None and status.st_size > at_most:
                    raise UnreadableFile(f"is larger than {at_most // 1024} KiB")
                return file.read(length)
        except FileNotFoundError:
            raise UnreadableFile("does not exist") from None
        except (OSError, ValueError) as error:
            raise UnreadableFile(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None

    def read_or_none(self, path: str) -> str | None:
        """Return the text of the file ``path``, or ``None`` if it cannot be read."""
        try:
            return self.read(path)
        except UnreadableFile:
            return None

    def is_file(self, path: str) -> bool:
        try:
            return stat.S_ISREG(os.stat(self._real_path(path)).st_mode)  # noqa: PTH116 - a str that realpath gave
        except (UnreadableFile, OSError, ValueError):
            return False

    def is_folder(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(self._real_path(path)).st_mode)  # noqa: PTH116 - a str that realpath gave
        except (UnreadableFile, OSError, ValueError):
            return False

    def exists(self, path: str) -> bool:
        """Return whether a path is a file or a folder."""
        return self.is_file(path) or self.is_folder(path)

    def resolve_links(self, path: str) -> str:
        """Return ``path`` with all links resolved.

        :raises UnreadableFile: it leads out of the root.
        """
        return posixpath.relpath(self._real_path(path), self._real_root)

    def list_folder(self, folder: str) -> FolderListing:
        """List ``folder``; empty if it cannot be listed. Linked folders are omitted, because they are elsewhere."""
        try:
            return self._list_real_folder(folder, self._real_path(folder))
        except (UnreadableFile, ValueError):  # a path with a NUL
            return FolderListing()

    def _list_real_folder(self, folder: str, real_path: str) -> FolderListing:
        """List ``folder``, whose resolved path is ``real_path``."""
        names: dict[str, set[str]] = {kind: set() for kind in _KINDS}
        for name, entry_type in (self._entries_of(real_path) or {}).items():
            for kind in self._kinds_of(folder, name, entry_type) if _is_utf8_name(name) else ():
                names[kind].add(name)
        if "pyvenv.cfg" in names["files"]:
            return FolderListing()
        for kind in ("folders", "linked_folders"):
            names[kind] -= SKIPPED_FOLDERS
        return FolderListing(**{kind: tuple(sorted(of_kind)) for kind, of_kind in names.items()})

    def _entries_of(self, real_path: str) -> dict[str, int] | None:
        """Return the types of what a folder contains, nothing if it is missing; ``None`` if it cannot be listed."""
        try:
            with os.scandir(real_path) as entries:
                return {entry.name: _type_of(entry) for entry in entries}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            return None

    def _kinds_of(self, folder: str, name: str, entry_type: int) -> tuple[str, ...]:
        """Return the fields of a :class:`FolderListing` that have an entry; none for pipes and the like."""
        if entry_type != stat.S_IFLNK:
            return _KINDS_OF_TYPES.get(entry_type, ())
        path = join_path(folder, name)
        if self.is_file(path):
            return ("files", "linked_files")
        return ("linked_folders",) if self.is_folder(path) else ("broken_links",)

    def scan_folder(self, folder: str, *, depth: int, limit: int = 20_000) -> FolderScan:
        """List everything below ``folder``, at most ``depth`` levels deep and about ``limit`` names, in one pass."""
        paths: dict[str, list[str]] = {kind: [] for kind in _KINDS}
        complete = True
        for inner, listing, level in self._walk(folder, depth):
            prefix = "" if inner == "." else f"{inner}/"
            for kind, of_kind in paths.items():
                of_kind += [prefix + name for name in getattr(listing, kind)]
            complete = complete and not (level == depth and listing.folders)
            if len(paths["files"]) + len(paths["folders"]) > limit:
                complete = False
                break
        return FolderScan(complete=complete, **{kind: tuple(sorted(of_kind)) for kind, of_kind in paths.items()})

    def _walk(self, folder: str, depth: int) -> Iterator[tuple[str, FolderListing, int]]:
        try:
            pending = [(".", self._real_path(folder), 0)]
        except (UnreadableFile, ValueError):
            return
        while pending:
            inner, real, level = pending.pop()
            listing = self._list_real_folder(join_path(folder, inner), real)
            yield inner, listing, level
            if level < depth:
                prefix = "" if inner == "." else f"{inner}/"
                pending += [(prefix + name, f"{real}/{name}", level + 1) for name in reversed(listing.folders)]

    def _real_path(self, path: str) -> str:
        if leaves_root(path):
            raise UnreadableFile("lies outside the repository")
        plain = self._path_without_links(path)
        if plain is not None:
            return plain
        real = os.path.realpath(os.path.join(self._real_root, path))  # noqa: PTH118 - str is faster, and this is called often
        if real != self._real_root and not real.startswith(self._real_root.rstrip("/") + "/"):
            raise UnreadableFile("lies outside the repository")
        return real

    def _path_without_links(self, path: str) -> str | None:
        """Return the real path if nothing below the root is a link; this is most often so, and quickly found."""
        real = self._real_root.rstrip("/")
        for part in path.split("/"):
            if part == ".." or "\0" in part:
                return None
            if part not in ("", "."):
                real = f"{real}/{part}"
                if os.path.islink(real):  # noqa: PTH114 - see above
                    return None
        return real or "/"


def _type_of(entry: os.DirEntry[str]) -> int:
    """Return the type of an entry as in its mode, where everything special counts as a pipe."""
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else stat.S_IFIFO


def _is_utf8_name(name: str) -> bool:
    """Return whether a name is valid UTF-8. Other names cannot be shown in a report, and no tool needs them."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def matching_folders(tree: Tree, folder: str, pattern: str, limit: int) -> list[str]:
    """Return the folders that match a pattern such as ``packages/*``, at most ``limit`` of a step with wildcards.

    A ``**`` matches a single level.
    """
    matching = [folder]
    for step in pattern.split("/"):
        if step in ("", "."):
            continue
        if any(character in step for character in "*?["):
            matching = [
                join_path(path, name)
                for path in matching
                for name in tree.list_folder(path).folders
                if fnmatchcase(name, step)
            ][:limit]
        else:
            matching = [
                target
                for path in matching
                if is_inside_root(target := join_path(path, step)) and tree.is_folder(target)
            ]
    return matching
