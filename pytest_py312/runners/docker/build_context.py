"""Copy the build context of an image to another folder, without ignored files and with changed files replaced."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_py312.repository.services.images import ImageJob

SIZE_LIMIT = 4 * 1024**3
"""Bytes of all files of a context together."""
EXCLUDED_FOLDERS = frozenset({".py312"})
"""Folders of this tool, which a clean checkout does not have."""
_IGNORE_LIMIT = 1024**2


class ContextUnavailable(Exception):
    """The build context cannot be used. ``str()`` is a clause that says why."""


def copy_context(job: ImageJob, folder: Path) -> Path:
    """Copy the context of ``job`` to the new ``folder``. Links are copied as links and not followed.

    :raises ContextUnavailable: the context is outside of the root, or too large.
    :raises OSError: a file cannot be read or written.
    """
    root = job.root.resolve()
    context = (root / job.image.context).resolve()
    if not context.is_relative_to(root) or not context.is_dir():
        raise ContextUnavailable(f"{job.image.context} is not a folder of the repository")
    folder.mkdir()
    size = 0
    for name in _included_paths(context):
        source, target = context / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir() and not source.is_symlink():
            target.mkdir(exist_ok=True)
        elif source.is_symlink() or source.is_file():
            size += source.lstat().st_size
            if size > SIZE_LIMIT:
                raise ContextUnavailable(
                    f"{job.image.context} is larger than {SIZE_LIMIT // 1024**3} GiB; see .dockerignore"
                )
            shutil.copy2(source, target, follow_symlinks=False)
    for path, content in _changed_files(job, root, context):
        _write_file(folder / path, content)
    return folder


def ensure_dockerfile(job: ImageJob, folder: Path) -> str:
    """Return the Dockerfile's path in the copied context; add it if it is ignored or outside of the context."""
    root = job.root.resolve()
    path, context = (root / job.image.dockerfile).resolve(), (root / job.image.context).resolve()
    if path.is_relative_to(context):
        name = path.relative_to(context).as_posix()
    else:
        name = ".py312.Dockerfile"
    if not (folder / name).is_file():
        content = job.changed.get(job.image.dockerfile)
        _write_file(folder / name, path.read_bytes() if content is None else content)
    return name


def _included_paths(context: Path) -> Iterable[str]:
    """Return the files and folders of the context that .dockerignore does not exclude."""
    from docker.utils import exclude_paths

    ignore = context / ".dockerignore"
    patterns: list[str] = []
    if ignore.is_file() and not ignore.is_symlink() and ignore.stat().st_size <= _IGNORE_LIMIT:
        lines = ignore.read_text("utf-8", "replace").splitlines()
        patterns = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    names = exclude_paths(str(context), [*patterns, *(f"**/{name}" for name in EXCLUDED_FOLDERS)])
    return sorted(str(name) for name in names)


def _changed_files(job: ImageJob, root: Path, context: Path) -> Iterator[tuple[Path, bytes]]:
    for path, content in job.changed.items():
        file = root / path
        if file.is_relative_to(context):
            yield file.relative_to(context), content


def _write_file(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_symlink() or file.exists():
        os.unlink(file)  # noqa: PTH108 - replace a link itself, not its target
    file.write_bytes(content)
