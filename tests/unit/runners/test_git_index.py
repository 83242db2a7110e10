"""Tracked files from an index of git, in all of its versions."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.git_index import tracked_files

REGULAR, PROGRAM, LINK, MODULE = 0o100644, 0o100755, 0o120000, 0o160000
NAMES = st.lists(st.from_regex(r"[a-z/.]{1,30}", fullmatch=True), unique=True, max_size=20).map(sorted)


def written(names: list[str], version: int = 2, mode: int = REGULAR) -> bytes:
    """Write an index as the documentation of its format describes it."""
    data = struct.pack(">4sLL", b"DIRC", version, len(names))
    previous = b""
    for name in map(str.encode, names):
        extended = 0x4000 if version >= 3 else 0
        fixed = bytes(24) + struct.pack(">L", mode) + bytes(32) + struct.pack(">H", min(len(name), 0xFFF) | extended)
        fixed += bytes(2) if extended else b""
        if version == 4:
            common = next((n for n, (a, b) in enumerate(zip(previous, name, strict=False)) if a != b), 0)
            data += fixed + bytes([len(previous) - common]) + name[common:] + b"\0"
        else:
            entry = fixed + name
            data += entry + bytes(8 - len(entry) % 8)
        previous = name
    return data + bytes(20)


@given(names=NAMES, version=st.sampled_from([2, 3, 4]))
def test_all_names_are_read(names: list[str], version: int) -> None:
    assert tracked_files(written(names, version)) == tuple(names)


@pytest.mark.parametrize(("mode", "expected"), [(REGULAR, ("a",)), (PROGRAM, ("a",)), (LINK, ()), (MODULE, ())])
def test_links_and_submodules_are_no_files(mode: int, expected: tuple[str, ...]) -> None:
    assert tracked_files(written(["a"], mode=mode)) == expected


@given(data=st.binary(max_size=200), cut=st.integers(0, 120), version=st.sampled_from([2, 3, 4, 5]))
def test_a_damaged_index_is_none_or_a_part(data: bytes, cut: int, version: int) -> None:
    tracked_files(data)
    tracked_files(written(["a/b", "a/c"], version)[:cut] + data)
    assert tracked_files(b"DIRC" + data[:4]) is None
