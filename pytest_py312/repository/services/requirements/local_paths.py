"""Find the projects of the repository that requirements name by their paths."""

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

from pytest_py312.repository.tree import Tree, join_path, leaves_root, with_outer_folders


def find_local_project(tree: Tree, path: str, file: str, folder: str | None) -> str:
    """Return what a path in a requirements file stands for, relative to the root; it need not exist.

    pip resolves such a path in its working directory, ``folder``. Where that is not known, it is the folder of the
    file, or the nearest one above in which there is such a project.
    """
    own = posixpath.dirname(file) or "."
    folders = (*([folder] if folder is not None else []), *with_outer_folders(own))
    targets = (join_path(each, path) for each in folders)
    return next((target for target in targets if _is_project(tree, target)), join_path(own, path))


def local_path_problem(tree: Tree, path: str, target: str) -> str:
    """Return why the ``target`` that a path stands for is not read, as a sentence; empty if it is."""
    if path.startswith(("/", "~")) or leaves_root(target):
        return f"{path} lies outside the repository."
    return "" if tree.exists(target) else f"{target} does not exist."


def path_from_file(tree: Tree, path: str, file: str, image_folders: Sequence[tuple[str, str]]) -> str:
    """Return an absolute path relative to the folder of the file that has it, if it is inside of the root or, in an
    image, in a folder that is copied from the repository; others unchanged.

    :param image_folders: absolute paths of the image, and the folders of the repository that lie there.
    """
    for root in dict.fromkeys((str(tree.root), os.path.realpath(tree.root))):
        if root != "/" and (path == root or path.startswith(f"{root}/")):
            return os.path.relpath(path, Path(root, file).parent)
    target = _path_in_repository(tree, path, image_folders) if path.startswith("/") else None
    return posixpath.relpath(target, posixpath.dirname(file) or ".") if target is not None else path


def _path_in_repository(tree: Tree, path: str, image_folders: Sequence[tuple[str, str]]) -> str | None:
    """Return what of the repository lies at a path of the image; of what is nowhere, where it would be."""
    normal = posixpath.normpath(path)  # /app/../lib is not in /app
    targets = [
        join_path(folder, posixpath.relpath(normal, place))
        for place, folder in image_folders
        if normal == place or normal.startswith(f"{place.rstrip('/')}/")
    ]
    # a folder that is copied over another one leaves what only the other one has
    existing = (target for target in targets if tree.exists(target))
    return next(existing, targets[0] if targets else None)


def _is_project(tree: Tree, path: str) -> bool:
    """Return whether the path can be installed: a wheel or an archive, or a folder with metadata."""
    if path.startswith(("/", "~")) or leaves_root(path):
        return False
    return tree.is_file(path) or any(
        tree.is_file(join_path(path, name)) for name in ("pyproject.toml", "setup.py", "setup.cfg")
    )
