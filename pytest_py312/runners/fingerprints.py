"""What a folder of the repository holds, in one digest: the same content, the same digest."""

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path

from pytest_py312.runners.agent.probe import NOT_COPIED


def tree_digest(folder: Path, *, within: Path | None = None) -> str:
    """A digest over the relative path, the executable bit and the content of every file that a cell gets to see.

    Symlinks count by where they point, and those that stay ``within`` a folder also by what is there. A folder that
    does not exist has a digest of its own. A file in its place (a wheel that is required by path) counts by its name
    and content.
    """
    return _digest(folder, f"{os.path.realpath(within)}{os.sep}" if within else "", frozenset())


def _digest(folder: Path, ground: str, entered: frozenset[str]) -> str:
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
                content = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - scandir gives strings
                content += _linked(Path(entry.path), ground, entered)
            elif entry.is_dir():
                pending.append((entry.path, name))
                continue
            elif entry.is_file():
                content = _content(entry.path)
            else:
                continue
            digest.update(os.fsencode(name) + b"\0" + _kind(entry) + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()


def _linked(link: Path, ground: str, entered: frozenset[str]) -> bytes:
    """What a link that stays on the ``ground`` leads to. Folders around it, or ``entered`` before, are left out."""
    real = os.path.realpath(link)
    if not ground or not real.startswith(ground):
        return b""
    if Path(real).is_file():
        return b"\0" + _content(real)
    if real in entered or f"{os.path.realpath(link.parent)}{os.sep}".startswith(f"{real}{os.sep}"):
        return b""
    return b"\0" + _digest(Path(real), ground, entered | {real}).encode()


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


@cache
def code_digest() -> str:
    """A digest of this package's own code, as this process runs it: what another version has judged is judged anew."""
    digest = hashlib.blake2b(digest_size=20)
    for folder, folders, files in os.walk(Path(__file__).parents[1]):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                digest.update(Path(folder, name).read_bytes())
    return digest.hexdigest()
