"""Reading and replacing files of the repository: no link is followed, and no file is ever half-written.

A file is replaced by a complete new one (written beside it, flushed to the disk, renamed). Several are written all or
none: when one of them cannot be, those before it are put back.
"""

import json
import os
import re
import secrets
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PART = re.compile(r"\.py312-[0-9a-f]{16}\.part")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(Exception):
    """A file that is not read or not written. ``str()`` is a sentence that names no path."""


class NotWritten(Exception):
    """Files that could not be written, and what became of the others. ``str()`` is the complete message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replacement:
    """``path`` (relative to the root, POSIX) holds ``before`` and is to hold ``after``."""

    path: str
    before: bytes
    after: bytes


def read_regular(root: Path, path: str, limit: int) -> bytes:
    """The bytes of the file ``path`` beneath ``root``.

    :raises Refused: it is missing, a link or behind one, no regular file, larger than ``limit`` or forbidden.
    """
    try:
        with _folder(root, path) as (folder, name):
            return _read(folder, name, limit, f"The file is larger than {limit // 1024} KiB.")[0]
    except (OSError, ValueError) as error:
        raise Refused(_reason(error)) from None


def replace_all(root: Path, replacements: Sequence[Replacement]) -> None:
    """Write all ``replacements``, or none. Mode and owner of the files stay.

    :raises NotWritten: one of them holds something else by now, or cannot be written.
    """
    parts: list[tuple[Replacement, str]] = []
    begun: list[Replacement] = []
    current = ""
    try:
        _sweep(root, replacements)
        for replacement in replacements:
            current = replacement.path
            parts.append((replacement, _prepared(root, replacement.path, replacement.before, replacement.after)))
        for replacement, part in parts:
            current = replacement.path
            begun.append(replacement)  # first: a signal may come between the two
            _put_in_place(root, replacement.path, part)
    except BaseException as error:
        for replacement, part in parts:
            _discard(root, replacement.path, part)
        lost = [replacement.path for replacement in reversed(begun) if not _put_back(root, replacement)]
        if not isinstance(error, OSError | ValueError | Refused):
            raise
        rest = f"These files could not be put back and hold the new text: {', '.join(lost)}." if lost else ""
        raise NotWritten(f"{current}: {_reason(error)} {rest or 'All files are as they were.'}") from None


def create(root: Path, path: str, content: bytes) -> None:
    """Write a file that is not there yet, and appears complete.

    :raises NotWritten: there is one, or it cannot be written.
    """
    try:
        with _folder(root, path) as (folder, name):
            part = _new_part(folder, content, None)
            try:
                if name in os.listdir(folder):  # noqa: PTH208 - of a descriptor
                    raise Refused("The file exists.")
                os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(part, dir_fd=folder)
                raise
            os.fsync(folder)
    except (OSError, ValueError, Refused) as error:
        raise NotWritten(f"{path}: {_reason(error)}") from None


def _sweep(root: Path, replacements: Sequence[Replacement]) -> None:
    """Remove what a killed run has left. One that is still at work finds its file gone, and puts back what it wrote."""
    for path in {replacement.path.rpartition("/")[0]: replacement.path for replacement in replacements}.values():
        with suppress(OSError, ValueError, Refused), _folder(root, path) as (folder, _):
            for name in filter(_PART.fullmatch, os.listdir(folder)):  # noqa: PTH208 - of a descriptor
                os.unlink(name, dir_fd=folder)


def _prepared(root: Path, path: str, before: bytes, after: bytes) -> str:
    """A complete new file beside ``path``, and its name."""
    with _folder(root, path) as (folder, name):
        present, state = _read(folder, name, len(before), "The file was changed meanwhile.")
        if present != before:
            raise Refused("The file was changed meanwhile.")
        if not os.access(name, os.W_OK, dir_fd=folder):
            raise Refused("The file is write-protected.")
        return _new_part(folder, after, state)


def _new_part(folder: int, content: bytes, state: os.stat_result | None) -> str:
    """A complete file with ``content`` in ``folder``, with the mode and owner of ``state``, and its name."""
    part = f".py312-{secrets.token_hex(8)}.part"
    handle = os.open(part, _CREATE, 0o600 if state else 0o666, dir_fd=folder)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - it is a descriptor, not a path
            file.write(content)
            file.flush()
            made = os.fstat(handle)
            if state and (made.st_uid, made.st_gid) != (state.st_uid, state.st_gid):
                os.fchown(handle, state.st_uid, state.st_gid)
            if state:
                os.fchmod(handle, stat.S_IMODE(state.st_mode))
            os.fsync(handle)
    except BaseException:
        os.unlink(part, dir_fd=folder)
        raise
    return part


def _put_in_place(root: Path, path: str, part: str) -> None:
    with _folder(root, path) as (folder, name):
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def _discard(root: Path, path: str, part: str) -> None:
    with suppress(OSError, Refused), _folder(root, path) as (folder, _):
        os.unlink(part, dir_fd=folder)


def _put_back(root: Path, replacement: Replacement) -> bool:
    """Whether the file holds what it held before."""
    limit = max(len(replacement.before), len(replacement.after))
    try:
        if read_regular(root, replacement.path, limit) == replacement.before:
            return True
        part = _prepared(root, replacement.path, replacement.after, replacement.before)
        try:
            _put_in_place(root, replacement.path, part)
        finally:
            _discard(root, replacement.path, part)
    except (OSError, ValueError, Refused):
        return False
    return True


@contextmanager
def _folder(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that holds ``path``, reached without following a link beneath ``root``."""
    *folders, name = path.split("/")
    if "\0" in path or any(step in ("", ".", "..") for step in (*folders, name)):
        raise Refused("The path leads out of the repository.")
    here = os.open(root, _FOLDER)
    try:
        for step in folders:
            if stat.S_ISLNK(os.stat(step, dir_fd=here, follow_symlinks=False).st_mode):
                raise Refused("The file lies behind a link.")
            inner = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        yield here, name
    finally:
        os.close(here)


def _read(folder: int, name: str, limit: int, when_larger: str) -> tuple[bytes, os.stat_result]:
    """The content and the state of a regular file."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        raise Refused("The file is a link.")
    if not stat.S_ISREG(mode):  # asked before it is opened: to open a device or a pipe may do something
        raise Refused("It is not a regular file.")
    handle = os.open(name, _READ, dir_fd=folder)
    with open(handle, "rb") as file:  # noqa: PTH123 - it is a descriptor, not a path
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise Refused("It is not a regular file.")
        if state.st_size > limit:
            raise Refused(when_larger)
        return file.read(limit), state


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "The file does not exist."
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}."
    return str(error)


def write_whole(path: Path, data: object) -> None:
    """Write a cache file so that a reader sees the whole of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    part.write_text(json.dumps(data), encoding="utf-8")
    part.replace(path)
