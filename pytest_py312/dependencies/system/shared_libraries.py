"""Which shared libraries of the system a compiled module is linked with, by its dynamic section. Pure."""

import re
import struct
from collections.abc import Iterator

_MAGIC = b"\x7fELF\x02\x01"
"""Of an ELF file for 64 bits, the least significant byte first: x86-64, and aarch64."""
_LOADED, _DYNAMIC = 1, 2
"""Types of segments (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html)."""
_END, _NEEDED, _STRINGS = 0, 1, 5
"""Tags of the dynamic section."""
_MAX_ENTRIES, _MAX_NAME = 10_000, 255
_EVERYWHERE = re.compile(
    r"(?:lib(?:c|m|mvec|dl|rt|pthread|util|resolv|anl|gcc_s|stdc\+\+|python\d[\w.]*|z|bz2|lzma|ffi|ssl|crypto|sqlite3|expat"
    r"|uuid|readline|ncursesw?|tinfow?)|ld-linux-[\w-]+)\.so"
)
"""Those of the C library, of compilers, and those that modules of Python's own library are linked with."""


def linked_libraries(content: bytes) -> tuple[str, ...]:
    """Return the libraries that a module needs and that not every system with Python has: ``("libpq.so.5",)``.

    What it opens by itself, and goes without if that fails, is not among them.
    """
    try:
        names = set(_needed(content)) if content.startswith(_MAGIC) else set()
    except (struct.error, OverflowError):  # it ends too early, or its offsets are nonsense
        return ()
    return tuple(sorted(name for name in names if name and not _EVERYWHERE.match(name)))


def _needed(content: bytes) -> Iterator[str]:
    (start,), (size, count) = struct.unpack_from("<Q", content, 32), struct.unpack_from("<HH", content, 54)
    headers = [struct.unpack_from("<IIQQQQ", content, start + index * size) for index in range(count)]
    places = (offset for kind, _, offset, *_ in headers if kind == _DYNAMIC)
    entries = list(_entries(content, next(places, len(content))))
    addresses = dict(entries)
    tables = (
        addresses[_STRINGS] - loaded_at + offset
        for kind, _, offset, loaded_at, _, length in headers
        if kind == _LOADED and _STRINGS in addresses and loaded_at <= addresses[_STRINGS] < loaded_at + length
    )
    table = next(tables, None)
    for tag, value in entries:
        if tag == _NEEDED and table is not None:
            name = table + value
            yield content[name : name + _MAX_NAME].partition(b"\0")[0].decode("ascii", "replace")


def _entries(content: bytes, offset: int) -> Iterator[tuple[int, int]]:
    whole = content[offset : offset + 16 * _MAX_ENTRIES]
    for tag, value in struct.iter_unpack("<qQ", whole[: len(whole) // 16 * 16]):
        if tag == _END:
            return
        yield tag, value
