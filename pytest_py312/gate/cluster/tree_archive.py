"""Pack the files of a checkout that git tracks or would track, and unpack them where a worker checks them.

The archive is addressed by the SHA-256 of its content. It has no history: a repository is made of it in which
``git describe`` answers as in the checkout, with the same index, since some builds and suites ask for these.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.directories import checkout_root
from pytest_py312.core.errors import StateError
from pytest_py312.core.files import write_atomically
from pytest_py312.core.process_identity import ABANDONED_AFTER_SECONDS
from pytest_py312.core.serialization import decode, encode
from pytest_py312.core.text import format_size, list_names
from pytest_py312.repository.checkout import is_checkout, run_git
from pytest_py312.repository.tree import SKIPPED_FOLDERS
from pytest_py312.runners.git_version import GitVersion, describe, write_repository

SIZE_LIMIT = 512 * 1024**2
"""Bytes of all files together."""
_SHOWN_FILES = 3
_SHARED_PREFIX = "py312-tree-"
_MODIFIED = 1_577_836_800
"""Unix time of all files: not before 1980, which wheels cannot express."""
_TREE = "tree"
_VERSION = "version.json"
_INDEX = "index"


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeArchive:
    """A packed checkout: the bytes, their SHA-256, how many files it has, and the folder of the plan inside of it."""

    content: bytes
    digest: str
    files: int
    folder: str


def pack_tree(root: Path) -> TreeArchive:
    """Pack the checkout around ``root``, the folder of the plan; outside of a checkout, that folder.

    :raises StateError: it is too large, a file cannot be read, or git does not answer.
    """
    root = root.resolve()
    top = checkout_root(root)
    is_in_git = is_checkout(root)
    own_hooks = root / "conftest.py"  # loaded here, also if git ignores it
    listed = {own_hooks.relative_to(top).as_posix()} if own_hooks.is_file() else set()
    paths = sorted(listed.union(_listed(top) if is_in_git else _walked(top)))
    _refuse_large(top, paths)
    buffer = io.BytesIO()
    packed = gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w") as archive:
        if is_in_git:
            _add(archive, _VERSION, json.dumps(encode(describe(top))).encode("ascii"))
            index = _git(top, "rev-parse", "--git-path", "index").strip()
            if (top / index).is_file():
                _add(archive, _INDEX, (top / index).read_bytes())
        for path in paths:
            try:
                archive.add(top / path, f"{_TREE}/{path}", recursive=False, filter=_without_origin)
            except OSError as error:
                raise StateError(f"{path}: cannot be sent to the cluster: {error.strerror or error}") from None
    content = buffer.getvalue()
    return TreeArchive(
        content=content,
        digest=hashlib.sha256(content).hexdigest(),
        files=len(paths),
        folder=root.relative_to(top).as_posix(),
    )


def share_archive(archive: TreeArchive, folder: Path, run_id: str) -> Path:
    """Write an archive into a folder that the workers see as well, and return its path. The caller removes it.

    What runs that were killed have left there for a day is removed.

    :raises StateError: it cannot be written.
    """
    try:
        for path in folder.glob(f"{_SHARED_PREFIX}*"):
            with suppress(OSError):  # another user's, or removed by another run
                if clock.timestamp() - path.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                    path.unlink()
        path = folder / f"{_SHARED_PREFIX}{run_id}.tar.gz"
        write_atomically(path, archive.content)
    except OSError as error:
        raise StateError(f"{folder}: the tree cannot be written to this `shared-folder`: {error.strerror}") from None
    return path


def unpack_tree(content: bytes, digest: str, folder: Path) -> Path:
    """Unpack an archive in ``folder``, and return the root of the checkout there.

    :raises StateError: the content is not that of the digest.
    """
    if hashlib.sha256(content).hexdigest() != digest:
        raise StateError("the archive of the tree has changed on its way to the worker")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="tar")
    top = folder / _TREE
    top.mkdir(exist_ok=True)
    if (folder / _VERSION).exists():
        version: GitVersion | None = decode(GitVersion | None, json.loads((folder / _VERSION).read_bytes()))  # type: ignore[arg-type]  # a union is no class
        if version is None or not write_repository(top, version):
            (top / ".git").mkdir(exist_ok=True)
        if (folder / _INDEX).exists():
            (folder / _INDEX).replace(top / ".git" / "index")
    return top


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _without_origin(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = _MODIFIED
    return member


def _refuse_large(top: Path, paths: list[str]) -> None:
    sizes = {path: (top / path).lstat().st_size for path in paths}
    total = sum(sizes.values())
    if total > SIZE_LIMIT:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:_SHOWN_FILES]
        listed = ", ".join(f"{path} ({format_size(sizes[path])})" for path in largest)
        raise StateError(
            f"the tree has {format_size(total)} in files that git does not ignore, and at most "
            f"{format_size(SIZE_LIMIT)} are sent to a cluster; the largest are {listed}. Have git ignore what no "
            "check needs"
        )


def _listed(top: Path) -> Iterator[str]:
    """Yield the files that git tracks or does not ignore, also those of checkouts inside."""
    output = _git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for path in filter(None, output.split("\0")):
        file = top / path
        if file.is_dir() and not file.is_symlink():
            yield from (f"{path.rstrip('/')}/{inner}" for inner in _listed(file))
        elif file.is_symlink() or file.is_file():
            yield path


def _walked(top: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            file = Path(folder) / name
            if file.is_symlink() or file.is_file():
                yield file.relative_to(top).as_posix()


def _git(folder: Path, *arguments: str) -> str:
    result = run_git(folder, *arguments)
    if not result.ok:
        message = list_names(result.stderr.strip().splitlines()[:1]) or result.exit_reason.value
        raise StateError(f"{folder}: git cannot list the files to send to the cluster ({message})")
    return result.stdout
