"""Read and replace files of the repository without following links and without leaving half-written files.

A file is replaced by a complete new one (written beside it, flushed to disk, renamed). Several files are replaced all
or none: if one of them cannot be written, those before it are restored.
"""

import errno
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PART_NAME = re.compile(r"\.py312-[0-9a-f]{16}\.part")
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafeFile(Exception):
    """A file that must not be read or written. ``str()`` is a sentence without the path."""


class WriteFailed(Exception):
    """Files that could not be written, and the state of the others. ``str()`` is the complete message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileReplacement:
    """Replace the content ``before`` of ``path`` (relative to the root, POSIX) by ``after``."""

    path: str
    before: bytes
    after: bytes


def read_regular_file(root: Path, path: str, limit: int) -> bytes:
    """Return the bytes of the file ``path`` below ``root``.

    :raises UnsafeFile: it is missing, a link or behind one, not a regular file, larger than ``limit`` or not readable.
    """
    try:
        with _open_parent_folder(root, path) as (folder, name):
            return _read_descriptor(folder, name, limit, f"The file is larger than {limit // 1024} KiB.")[0]
    except (OSError, ValueError) as error:
        raise UnsafeFile(_describe_error(error)) from None


def replace_files(root: Path, replacements: Sequence[FileReplacement]) -> None:
    """Write all ``replacements``, or none. Mode and owner of the files are kept.

    :raises WriteFailed: one of them has changed meanwhile or cannot be written.
    """
    parts: list[tuple[FileReplacement, str]] = []
    started: list[FileReplacement] = []
    current_path = ""
    try:
        _remove_stale_parts(root, replacements)
        for replacement in replacements:
            current_path = replacement.path
            parts.append((replacement, _write_part_file(root, replacement.path, replacement.before, replacement.after)))
        for replacement, part in parts:
            current_path = replacement.path
            started.append(replacement)  # recorded first: a signal may arrive before the next line
            _move_into_place(root, replacement.path, part)
    except BaseException as error:
        for replacement, part in parts:
            _discard_part(root, replacement.path, part)
        not_restored = [replacement.path for replacement in reversed(started) if not _restore(root, replacement)]
        if not isinstance(error, OSError | ValueError | UnsafeFile):
            raise
        consequence = (
            f"These files could not be restored and contain the new text: {', '.join(not_restored)}."
            if not_restored
            else ""
        )
        raise WriteFailed(
            f"{current_path}: {_describe_error(error)} {consequence or 'All files are unchanged.'}"
        ) from None


def create_file(root: Path, path: str, content: bytes) -> None:
    """Create a file atomically.

    :raises WriteFailed: it exists already, or cannot be written.
    """
    try:
        with _open_parent_folder(root, path) as (folder, name):
            part_name = _create_part_file(folder, content, None)
            try:
                if name in os.listdir(folder):  # noqa: PTH208 - of a descriptor
                    raise UnsafeFile("The file exists.")
                os.rename(part_name, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(part_name, dir_fd=folder)
                raise
            os.fsync(folder)
    except (OSError, ValueError, UnsafeFile) as error:
        raise WriteFailed(f"{path}: {_describe_error(error)}") from None


def _remove_stale_parts(root: Path, replacements: Sequence[FileReplacement]) -> None:
    """Remove the part files of killed runs.

    A run that is still active then fails to rename its part file, and restores what it has replaced.
    """
    for path in {replacement.path.rpartition("/")[0]: replacement.path for replacement in replacements}.values():
        with suppress(OSError, ValueError, UnsafeFile), _open_parent_folder(root, path) as (folder, _):
            for name in filter(_PART_NAME.fullmatch, os.listdir(folder)):  # noqa: PTH208 - of a descriptor
                os.unlink(name, dir_fd=folder)


def _write_part_file(root: Path, path: str, expected: bytes, content: bytes) -> str:
    """Write a complete new file beside ``path`` and return its name."""
    with _open_parent_folder(root, path) as (folder, name):
        current, state = _read_descriptor(folder, name, len(expected), "The file was changed meanwhile.")
        if current != expected:
            raise UnsafeFile("The file was changed meanwhile.")
        if not os.access(name, os.W_OK, dir_fd=folder):
            raise UnsafeFile("The file is write-protected.")
        return _create_part_file(folder, content, state)


def _create_part_file(folder: int, content: bytes, state: os.stat_result | None) -> str:
    """Create a complete file in ``folder`` with the mode and owner of ``state``, and return its name."""
    part_name = f".py312-{secrets.token_hex(8)}.part"
    handle = os.open(part_name, _CREATE_FLAGS, 0o600 if state else 0o666, dir_fd=folder)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - it is a descriptor, not a path
            file.write(content)
            file.flush()
            created = os.fstat(handle)
            if state and (created.st_uid, created.st_gid) != (state.st_uid, state.st_gid):
                os.fchown(handle, state.st_uid, state.st_gid)
            if state:
                os.fchmod(handle, stat.S_IMODE(state.st_mode))
            os.fsync(handle)
    except BaseException:
        os.unlink(part_name, dir_fd=folder)
        raise
    return part_name


def _move_into_place(root: Path, path: str, part_name: str) -> None:
    with _open_parent_folder(root, path) as (folder, name):
        os.replace(part_name, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def _discard_part(root: Path, path: str, part_name: str) -> None:
    with suppress(OSError, UnsafeFile), _open_parent_folder(root, path) as (folder, _):
        os.unlink(part_name, dir_fd=folder)


def _restore(root: Path, replacement: FileReplacement) -> bool:
    """Restore the previous content of a file, and return whether that succeeded."""
    limit = max(len(replacement.before), len(replacement.after))
    try:
        if read_regular_file(root, replacement.path, limit) == replacement.before:
            return True
        part_name = _write_part_file(root, replacement.path, replacement.after, replacement.before)
        try:
            _move_into_place(root, replacement.path, part_name)
        finally:
            _discard_part(root, replacement.path, part_name)
    except (OSError, ValueError, UnsafeFile):
        return False
    return True


@contextmanager
def _open_parent_folder(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """Open the folder of ``path`` without following links below ``root``; yield its descriptor and the file name."""
    *folders, name = path.split("/")
    if "\0" in path or any(step in ("", ".", "..") for step in (*folders, name)):
        raise UnsafeFile("The path leads out of the repository.")
    descriptor = os.open(root, _FOLDER_FLAGS)
    try:
        for step in folders:
            if stat.S_ISLNK(os.stat(step, dir_fd=descriptor, follow_symlinks=False).st_mode):
                raise UnsafeFile("The file is behind a link.")
            inner = os.open(step, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, name
    finally:
        os.close(descriptor)


def _read_descriptor(folder: int, name: str, limit: int, too_large_message: str) -> tuple[bytes, os.stat_result]:
    """Return the content and the status of a regular file."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        raise UnsafeFile("The file is a link.")
    if not stat.S_ISREG(mode):  # checked before opening: opening a device or a pipe can have side effects
        raise UnsafeFile("It is not a regular file.")
    handle = os.open(name, _READ_FLAGS, dir_fd=folder)
    with open(handle, "rb") as file:  # noqa: PTH123 - it is a descriptor, not a path
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise UnsafeFile("It is not a regular file.")
        if state.st_size > limit:
            raise UnsafeFile(too_large_message)
        return file.read(limit), state


def _describe_error(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "The file does not exist."
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}."
    return str(error)


def write_document(path: Path, content: bytes) -> None:
    """Write a file of the user's, whole or not at all: after an error its previous content is there, or no file.

    A link is followed. What is no regular file (``/dev/stdout``, a pipe) is written as it is.

    :raises OSError: it cannot be written, for example because the disk is full.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            device.write(content)
        return
    path = path.resolve()
    state = path.stat() if path.exists() else None
    if state is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    try:
        _replace_whole(path, content, state)
    except OSError as error:
        # a file that is mounted into a container, or one in a folder that is write-protected, cannot be replaced
        if state is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV):
            raise
        _overwrite(path, content)


def _replace_whole(path: Path, content: bytes, state: os.stat_result | None) -> None:
    folder = os.open(path.parent, _FOLDER_FLAGS)
    try:
        part_name = _create_part_file(folder, content, state)
        try:
            os.replace(part_name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(part_name, dir_fd=folder)
            raise
    finally:
        os.close(folder)


def append_to_document(path: Path, content: bytes) -> None:
    """Append to a file, all of ``content`` or nothing of it.

    :raises OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, content)
        except BaseException:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _overwrite(path: Path, content: bytes) -> None:
    """Write into an existing file; restore its content if that fails."""
    previous = path.read_bytes()
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        try:
            os.ftruncate(descriptor, 0)
            _write_all(descriptor, content)
        except BaseException:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, previous, 0)
            raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)  # some file systems report a full disk only here


def write_json_atomically(path: Path, data: object) -> None:
    """Write a JSON cache file so that readers see either all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(data).encode("ascii"))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file of a cache, whole or not at all.

    :raises OSError: it cannot be written.
    """
    part_file = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        part_file.write_bytes(content)
        part_file.replace(path)
    except BaseException:
        part_file.unlink(missing_ok=True)  # on a full disk it would keep the last bytes
        raise


def discard_folder(folder: Path) -> None:
    """Remove a folder of the cache in one step, so that no other run sees a part of it. Never raises."""
    discarded = folder.with_name(f".gone-{secrets.token_hex(4)}")
    with suppress(OSError):
        folder.rename(discarded)
        shutil.rmtree(discarded, ignore_errors=True)
