"""What a folder of the repository holds, in one digest: the same content, the same digest."""

import hashlib
import os
import shutil
from pathlib import Path

from pytest_py312.probe import NOT_COPIED


def tree_digest(folder: Path, *, within: Path | None = None) -> str:
    """A digest over the relative path, the executable bit and the content of every file that a cell gets to see.

    Symlinks count by where they point, and those that stay ``within`` a folder also by what is there. A folder that
    does not exist has a digest of its own. A file in its place (a wheel that is required by path) counts by its name
    and content.
    """
    ground = f"{os.path.realpath(within)}{os.sep}" if within else None
    digest = hashlib.blake2b(digest_size=20)
    if folder.is_file():
        digest.update(os.fsencode(folder.name) + b"\0" + _content(str(folder)))
    if not folder.is_dir():
        return digest.hexdigest()
    pending = [(str(folder), "")]
    while pending:
        start, inside = pending.pop()
        with os.scandir(start) as items:
            entries = sorted(items, key=lambda item: item.name)
        if any(entry.name == "pyvenv.cfg" for entry in entries) and inside:
            continue
        for entry in entries:
            name = f"{inside}/{entry.name}"
            if entry.name in NOT_COPIED:
                continue
            if entry.is_symlink():
                content = os.fsencode(os.readlink(entry.path)) + _linked(entry.path, ground)  # noqa: PTH115 - scandir gives strings
            elif entry.is_dir():
                pending.append((entry.path, name))
                continue
            elif entry.is_file():
                content = _content(entry.path)
            else:
                continue
            digest.update(os.fsencode(name) + b"\0" + _kind(entry) + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()


def _linked(link: str, ground: str | None) -> bytes:
    real = os.path.realpath(link) if ground else ""
    lies_there = ground is not None and real.startswith(ground)
    if lies_there and Path(real).is_dir() and not link.startswith(f"{real}{os.sep}"):
        return b"\0" + tree_digest(Path(real)).encode()
    return b"\0" + _content(real) if lies_there and Path(real).is_file() else b""


def _content(path: str) -> bytes:
    """What is in a file; one that cannot be read, or is gone by now, is told when a cell misses it."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        return f"unreadable: {error.errno}".encode()


def _kind(entry: "os.DirEntry[str]") -> bytes:
    if entry.is_symlink():
        return b"link"
    try:
        return b"x" if entry.stat(follow_symlinks=False).st_mode & 0o100 else b"-"
    except OSError:
        return b"?"


def copy_tree(source: Path, target: Path) -> None:
    """Copy what :func:`tree_digest` counts; symlinks stay symlinks."""
    if source.is_file():
        shutil.copyfile(source, target)
        return

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name in NOT_COPIED or (Path(folder) / name / "pyvenv.cfg").exists()]

    shutil.copytree(source, target, symlinks=True, ignore=left_out)


def code_digest() -> str:
    """A digest of this package's own code: what another version of it has judged, it judges anew."""
    digest = hashlib.blake2b(digest_size=20)
    for folder, folders, files in os.walk(Path(__file__).parent):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                digest.update(Path(folder, name).read_bytes())
    return digest.hexdigest()
