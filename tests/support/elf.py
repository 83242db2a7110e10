"""Compiled modules, as far as a dynamic linker reads them."""

import struct
from collections.abc import Iterable


def compiled_module(needed: Iterable[str] = (), *, texts: Iterable[str] = ()) -> bytes:
    """Return a module that is linked with ``needed``, and has ``texts`` among its data."""
    offsets, strings = [], b"\0"
    for name in needed:
        offsets.append(len(strings))
        strings += name.encode() + b"\0"
    loaded_at, table = 0x1000, 64 + 2 * 56
    entries = [*((1, offset) for offset in offsets), (5, loaded_at + table), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in entries)
    data = b"".join(b"\0" + text.encode() + b"\0" for text in texts)
    size = table + len(strings)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    segments = struct.pack("<IIQQQQQQ", 1, 4, 0, loaded_at, loaded_at, size, size, 0x1000)
    segments += struct.pack("<IIQQQQQQ", 2, 4, size, loaded_at + size, loaded_at + size, len(dynamic), len(dynamic), 8)
    return header + segments + strings + dynamic + data
