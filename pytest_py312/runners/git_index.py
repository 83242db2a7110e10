"""Read which files git tracks from the text of its index, without git. Never raises for a damaged index.

https://git-scm.com/docs/index-format
"""

import struct
from collections.abc import Iterator

MAX_ENTRIES = 500_000
"""Entries that are read."""
_HEADER = struct.Struct(">4sLL")
_FIXED = 62
"""Bytes of an entry in front of its name (or of the flags of version 3)."""
_EXTENDED, _NAME_LENGTH, _REGULAR = 0x4000, 0x0FFF, 0o100000


def tracked_files(index: bytes) -> tuple[str, ...] | None:
    """Return the paths of the regular files in an index, sorted as there; ``None`` if it cannot be read.

    Links, submodules and names that are no UTF-8 are left out.
    """
    try:
        signature, version, count = _HEADER.unpack_from(index)
        if signature != b"DIRC" or version not in (2, 3, 4) or count > MAX_ENTRIES:
            return None
        return tuple(_names(index, version, count))
    except (struct.error, IndexError, ValueError):
        return None


def _names(index: bytes, version: int, count: int) -> Iterator[str]:
    position, previous = _HEADER.size, b""
    for _ in range(count):
        (mode,) = struct.unpack_from(">L", index, position + 24)
        (flags,) = struct.unpack_from(">H", index, position + 60)
        start = position + _FIXED + (2 if version >= 3 and flags & _EXTENDED else 0)
        if version == 4:
            removed, start = _offset(index, start)
            end = index.index(b"\0", start)
            name = previous[: len(previous) - removed] + index[start:end]
            position = end + 1
        else:
            length = flags & _NAME_LENGTH
            end = index.index(b"\0", start + (length if length < _NAME_LENGTH else 0))
            name = index[start:end]
            position += (end - position + 8) // 8 * 8  # one to eight zero bytes follow the name
        previous = name
        if mode & 0o170000 == _REGULAR:
            try:
                yield name.decode()
            except UnicodeDecodeError:
                continue


def _offset(index: bytes, position: int) -> tuple[int, int]:
    """Read a variable width number; return it with the position behind it."""
    byte = index[position]
    value = byte & 0x7F
    while byte & 0x80:
        position += 1
        byte = index[position]
        value = ((value + 1) << 7) | (byte & 0x7F)
        if value > len(index):
            raise ValueError("a length is greater than the file")
    return value, position + 1
