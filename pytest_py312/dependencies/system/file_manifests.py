"""Digests of the files in a folder: a fast one of what the file system says of them, and one of their content.

They find what was changed since by a write, a replacement or a disk, and not what somebody changed who can also change
the place where the digest is kept.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path


def state_digest(folder: Path, *, ignored: str = "") -> str:
    """Return a digest of the paths, sizes, times of change and inodes of all files but ``ignored`` (a path in it)."""
    digest = hashlib.sha256()
    for path, entry in _files(folder):
        if path != ignored:
            status = entry.stat(follow_symlinks=False)
            line = f"{path}\0{status.st_mode}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}\n"
            digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def content_digest_of(folder: Path, *, ignored: str = "") -> str:
    """Return a digest of the paths and the content of all files but ``ignored``; of a link, of where it points."""
    digest = hashlib.sha256()
    for path, entry in _files(folder):
        if path == ignored:
            continue
        if entry.is_symlink():
            content = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - of a DirEntry
        elif entry.is_file(follow_symlinks=False):
            with open(entry.path, "rb") as file:  # noqa: PTH123 - of a DirEntry
                content = hashlib.file_digest(file, "sha256").digest()
        else:
            content = b"neither a file nor a link"
        digest.update(path.encode("utf-8", "surrogatepass") + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what is in ``folder``, except for folders, with its path relative to it, in a fixed order."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(os.path.join(folder, prefix)) as items:  # noqa: PTH118 - this loop sees thousands of files
            entries = sorted(items, key=lambda item: item.name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", entry
