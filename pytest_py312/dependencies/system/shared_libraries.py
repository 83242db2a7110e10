"""Which shared libraries of the system a compiled module is linked with, by the names in it. Pure."""

import re

_NAME = re.compile(rb"\x00(lib[\w+.-]{1,60}?\.so(?:\.\d+)*)(?=\x00)")
"""As the table of strings of an ELF file has them, each between two zeros (https://refspecs.linuxfoundation.org/elf)."""
_EVERYWHERE = re.compile(r"lib(?:c|m|dl|rt|pthread|util|gcc_s|stdc\+\+|z|python\d[\w.]*)\.so")


def linked_libraries(content: bytes) -> tuple[str, ...]:
    """Return the libraries that a module needs and that not every system with Python has: ``("libpq.so.5",)``."""
    names = {match[1].decode("ascii") for match in _NAME.finditer(content)}
    return tuple(sorted(name for name in names if not _EVERYWHERE.match(name)))
