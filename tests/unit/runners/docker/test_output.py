"""Readers of what a cell wrote: untrusted code may have put anything there."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.docker.output import Tail, in_bytes
from pytest_py312.runners.probe_records import read_bounded, read_records

MIB = 1024**2


def test_records_are_read_in_order(tmp_path: Path) -> None:
    """Objects count, all other lines are dropped."""
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"a": 1}\n\n[1]\nnot json\n\xff\n{"event": "end"}\n{"half')
    assert read_records(path) == ({"a": 1}, {"event": "end"})


def test_too_long_records_lose_their_end(tmp_path: Path) -> None:
    """And with it the record that says they are complete."""
    path = tmp_path / "records.jsonl"
    path.write_text('{"a": 1}\n' * 10 + '{"event": "end"}\n')
    assert read_records(path, limit=30) == ({"a": 1},) * 3


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """Not a link, not a pipe (and nobody waits for its other end), not a folder, not what is missing."""
    (tmp_path / "target").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder", "missing"):
        assert read_bounded(tmp_path / name, 10) is None
    assert read_bounded(tmp_path / "target", 1) == b"{"


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever they are, records come out as objects."""
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(content)
    assert all(isinstance(record, dict) for record in read_records(path))


@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_a_tail_is_the_end_of_what_came(parts: list[bytes], limit: int) -> None:
    """Exactly the last bytes, however they were cut into parts."""
    tail = Tail(limit)
    for part in parts:
        tail.add(part)
    assert tail.text() == b"".join(parts)[-limit:].decode("utf-8", "replace")


def test_a_flood_on_one_stream_leaves_the_other_its_last_words() -> None:
    """Each of two lanes keeps its half, in the order of arrival."""
    tail = Tail(8, lanes=2)
    tail.add(b"out")
    for _ in range(100):
        tail.add(b"eeee", lane=1)
    assert tail.text() == "outeeee"


def test_sizes_are_said_in_words() -> None:
    """As in a plan."""
    assert [in_bytes(size) for size in (100, 2048, 256 * MIB, 3 * 512 * MIB)] == [
        "100 bytes",
        "2 KiB",
        "256 MiB",
        "1.5 GiB",
    ]
