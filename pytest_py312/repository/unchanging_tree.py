"""The repository under test while nothing changes it: what is known of a path once is known to all who ask."""

import os
import stat
from pathlib import Path
from typing import Any

from pytest_py312.repository.tree import FILE_LIMIT, FolderListing, Tree, UnreadableFile

_LONG_TEXT = 64 * 1024
_MAX_TEXTS = 200
_MAX_KNOWN = 200_000
"""Paths of which an :class:`UnchangingTree` keeps what it knows."""


class UnchangingTree(Tree):
    """The files below ``root`` while nothing changes them: each folder is listed once, and each path looked at once.

    For a single pass over the repository, in which thousands of services ask for the folders that they share.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._listings: dict[str, FolderListing] = {}
        self._modes: dict[str, int | None] = {}
        self._plain_folders: dict[str, str | None] = {}
        self._real_paths: dict[str, str] = {}
        self._entries: dict[str, dict[str, int] | None] = {}
        self._texts: dict[tuple[str, int], str] = {}
        """Short files that were read last: several steps read those of a service, one after another."""

    def read(self, path: str, *, limit: int = FILE_LIMIT) -> str:
        if (path, limit) not in self._texts:
            if self._mode(path) == 0:
                raise UnreadableFile("does not exist")
            text = super().read(path, limit=limit)
            if len(text) > _LONG_TEXT:
                return text
            if len(self._texts) >= _MAX_TEXTS:
                self._texts.clear()
            self._texts[path, limit] = text
        return self._texts[path, limit]

    def is_file(self, path: str) -> bool:
        mode = self._mode(path)
        return mode is not None and stat.S_ISREG(mode)

    def is_folder(self, path: str) -> bool:
        mode = self._mode(path)
        return mode is not None and stat.S_ISDIR(mode)

    def _mode(self, path: str) -> int | None:
        """Return the type of what is at ``path``, links followed; ``None`` if it is nothing, or outside the root."""
        if path not in self._modes:
            _make_room(self._modes)
            try:
                real = self._real_path(path)
                entry = self._entry(real)
                self._modes[path] = os.stat(real).st_mode if entry is None else entry  # noqa: PTH116 - a str that realpath gave
            except (UnreadableFile, OSError, ValueError):
                self._modes[path] = None
        return self._modes[path]

    def _entry(self, real_path: str) -> int | None:
        """Return the type of what its folder has at a path, 0 for nothing; ``None`` if that has to be looked up."""
        if real_path == self._real_root:
            return None
        folder, _, name = real_path.rpartition("/")
        entries = self._entries_of(folder or "/")
        return None if entries is None or name in ("", ".", "..") else entries.get(name, 0)

    def _entries_of(self, real_path: str) -> dict[str, int] | None:
        if real_path not in self._entries:
            _make_room(self._entries)
            self._entries[real_path] = super()._entries_of(real_path)
        return self._entries[real_path]

    def _list_real_folder(self, folder: str, real_path: str) -> FolderListing:
        if real_path not in self._listings:
            _make_room(self._listings)
            self._listings[real_path] = super()._list_real_folder(folder, real_path)
        return self._listings[real_path]

    def _real_path(self, path: str) -> str:
        if path not in self._real_paths:
            _make_room(self._real_paths)
            self._real_paths[path] = super()._real_path(path)
        return self._real_paths[path]

    def _path_without_links(self, path: str) -> str | None:
        folder, separator, name = path.rpartition("/")
        if not separator or name in ("", ".", "..") or "\0" in name:
            return super()._path_without_links(path)
        if folder not in self._plain_folders:
            _make_room(self._plain_folders)
            self._plain_folders[folder] = self._path_without_links(folder)
        plain = self._plain_folders[folder]
        if plain is None:
            return None
        real = f"{plain.rstrip('/')}/{name}"
        entry = self._entry(real)
        is_link = os.path.islink(real) if entry is None else stat.S_ISLNK(entry)  # noqa: PTH114 - str is faster
        return None if is_link else real


def _make_room(known: dict[str, Any]) -> None:
    if len(known) >= _MAX_KNOWN:
        known.clear()
