"""The folder that an image is built from, copied aside: what .dockerignore leaves of it, with what was moved in it."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_py312.repository.services.images import ImageJob

SIZE_LIMIT = 4 * 1024**3
"""Bytes of all files together."""
NEVER = frozenset({".py312"})
"""Folders of our own: they are in no checkout that somebody would build from."""
_IGNORE_LIMIT = 1024**2


class NoContext(Exception):
    """The folder cannot be built from. ``str()`` is a sentence without its end."""


def staged(job: ImageJob, folder: Path) -> Path:
    """Copy the context of ``job`` to ``folder``, which is made. Links are copied as links, and none is followed.

    The Dockerfile is at the same place in it, whatever .dockerignore says.

    :raises NoContext: it lies outside of the root or is too large.
    :raises OSError: a file cannot be read or written.
    """
    root = job.root.resolve()
    context = (root / job.image.context).resolve()
    if not context.is_relative_to(root) or not context.is_dir():
        raise NoContext(f"{job.image.context} is no folder of the repository")
    folder.mkdir()
    size = 0
    for name in _wanted(context):
        source, target = context / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            target.mkdir(exist_ok=True)
        elif source.is_symlink() or source.is_file():
            size += source.lstat().st_size
            if size > SIZE_LIMIT:
                raise NoContext(f"{job.image.context} is larger than {SIZE_LIMIT // 1024**3} GiB; see .dockerignore")
            shutil.copy2(source, target, follow_symlinks=False)
    for path, content in _overlay(job, root, context):
        _replace(folder / path, content)
    return folder


def dockerfile_in(job: ImageJob, folder: Path) -> str:
    """The Dockerfile in the copy at ``folder``, relative to it; put there where it lies outside of the context."""
    root = job.root.resolve()
    path, context = (root / job.image.dockerfile).resolve(), (root / job.image.context).resolve()
    if path.is_relative_to(context):
        name = path.relative_to(context).as_posix()
    else:
        name = ".py312.Dockerfile"
    if not (folder / name).is_file():
        content = job.changed.get(job.image.dockerfile)
        _replace(folder / name, path.read_bytes() if content is None else content)
    return name


def _wanted(context: Path) -> Iterable[str]:
    """Paths below the context that are sent to the engine, folders among them."""
    from docker.utils import exclude_paths

    ignore = context / ".dockerignore"
    patterns: list[str] = []
    if ignore.is_file() and not ignore.is_symlink() and ignore.stat().st_size <= _IGNORE_LIMIT:
        lines = ignore.read_text("utf-8", "replace").splitlines()
        patterns = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    found = exclude_paths(str(context), [*patterns, *(f"**/{name}" for name in NEVER)])
    return sorted(str(name) for name in found)


def _overlay(job: ImageJob, root: Path, context: Path) -> Iterator[tuple[Path, bytes]]:
    for path, content in job.changed.items():
        file = root / path
        if file.is_relative_to(context):
            yield file.relative_to(context), content


def _replace(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_symlink() or file.exists():
        os.unlink(file)  # noqa: PTH108 - a link is replaced, not what it leads to
    file.write_bytes(content)
