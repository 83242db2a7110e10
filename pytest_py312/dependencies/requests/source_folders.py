"""The folders of the repository that are built and installed: their content, and what of the rest a build reads."""

import hashlib
import re
import threading
from pathlib import Path

from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.formats.pyproject import packaged_paths_outside
from pytest_py312.repository.formats.setuptools import files_read_outside
from pytest_py312.repository.tree import Tree, join_path, leaves_root
from pytest_py312.runners.agent.probe import NOT_COPIED
from pytest_py312.runners.fingerprints import tree_digest
from pytest_py312.runners.git_version import GitVersion, describe, reads_git

MAX_READ_OUTSIDE = 20
"""Maximum number of files outside of its folder that the build of a project may read."""
_ROOT_ABOVE = re.compile(
    r"(?<![\w-])(?:root[\"']?\s{0,9}[=:]\s{0,9}[\"']\.\.|search_parent_directories[\"']?\s{0,9}[=:]\s{0,9}[Tt]rue)"
)
"""A setting of setuptools-scm; https://setuptools-scm.readthedocs.io/en/latest/config/."""


class SourceFolders:
    """The folders below ``root`` that are built. Each is read once, so it stays the same within a run. Thread-safe."""

    def __init__(self, *, root: Path, cache: Path) -> None:
        self._root = root
        self._cache = cache
        self._digests: dict[str, str] = {}
        self._git_versions: dict[str, GitVersion | None] = {}
        self._outer_paths: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def digest(self, folder: str) -> str:
        """Return the digest of a folder of the repository, as computed first in this run."""
        with self._lock:
            if folder not in self._digests:
                self._digests[folder] = self._digest_now(folder)
            return self._digests[folder]

    def is_unchanged(self, folder: str) -> bool:
        """Return whether the content of a folder still matches :meth:`digest`."""
        return self._digest_now(folder) == self.digest(folder)

    def _digest_now(self, folder: str) -> str:
        return tree_digest(self._root / folder, within=self._root)

    def git_version(self, folder: str) -> GitVersion | None:
        """Return the version that the build of a source tree reads from git; ``None`` if it reads none."""
        with self._lock:
            if folder not in self._git_versions:
                path = self._root / folder
                self._git_versions[folder] = describe(path) if reads_git(path) else None
            return self._git_versions[folder]

    def outer_paths(self, folder: str) -> tuple[str, ...]:
        """Return the files and folders of the repository outside of a source tree that its build packs or reads."""
        with self._lock:
            if folder not in self._outer_paths:
                self._outer_paths[folder] = self._outer_paths_now(folder)
            return self._outer_paths[folder]

    def keeps_place(self, folder: str) -> bool:
        """Return whether the copy of a source tree lies in folders as in the repository.

        What it packs from outside lies beside it, or git is asked above it (``root = ".."`` of setuptools-scm).
        """
        if self.outer_paths(folder):
            return True
        if folder == "." or self.git_version(folder) is None:
            return False
        tree = Tree(self._root)
        text = "".join(tree.read_or_none(join_path(folder, name)) or "" for name in ("pyproject.toml", "setup.py"))
        return _ROOT_ABOVE.search(text) is not None

    def _outer_paths_now(self, folder: str) -> tuple[str, ...]:
        tree = Tree(self._root)
        text = tree.read_or_none(join_path(folder, "pyproject.toml")) or ""
        packaged = packaged_paths_outside(text) if "../" in text else ()
        setup = tree.read_or_none(join_path(folder, "setup.py")) or ""
        read = (join_path(folder, path) for path in files_read_outside(setup))
        files = [path for path in read if not leaves_root(path) and tree.is_file(path)][:MAX_READ_OUTSIDE]
        paths = [*(join_path(folder, path) for path in packaged), *files]
        inside = f"{folder}/"
        return tuple(
            path
            for path in dict.fromkeys(paths)
            if not leaves_root(path)
            and path != "."
            and not inside.startswith(f"{path}/")
            and tree.exists(path)
            and all(NOT_COPIED.isdisjoint(name.split("/")) for name in (path, tree.resolve_links(path)))
        )

    def is_built_from(self, folder: str, distribution: StoredDistribution) -> bool:
        """Return whether a distribution was built from a source tree, with its content of this run."""
        return self.source_copy(folder)[1] in distribution.folder.name

    def source_copy(self, folder: str) -> tuple[Path, str]:
        """Return the path of the copy of a source tree in the cache, and the key of its content.

        What it packs from outside lies beside it, at the same relative paths.
        """
        version, outer = self.git_version(folder), self.outer_paths(folder)
        versioned = f"{self.digest(folder)} {version.text if version else ''}"
        versioned += "".join(f" {path} {self.digest(path)}" for path in outer)
        is_in_place = self.keeps_place(folder)
        versioned += f" in {folder}" if is_in_place else ""  # where it lies among them
        key = hashlib.sha256(versioned.encode()).hexdigest()[:24]
        folder_path = self._cache / "sources" / key
        if is_in_place:
            return folder_path / folder, key
        is_file = (self._root / folder).is_file()  # a wheel must keep its file name
        return (folder_path / Path(folder).name if is_file else folder_path), key
