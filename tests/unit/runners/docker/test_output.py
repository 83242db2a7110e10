"""Records and output of a cell, which untrusted code may have filled with anything."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.docker.output import OutputTail
from pytest_py312.runners.probe_records import read_bounded, read_records

MIB = 1024**2


def test_records_are_read_in_order(tmp_path: Path) -> None:
    """Objects count, all other lines are dropped."""
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"a": 1}\n\n[1]\nnot json\n\xff\n{"event": "end"}\n{"half')
    assert read_records(path) == ({"a": 1}, {"event": "end"})


def test_records_over_the_limit_lose_their_end(tmp_path: Path) -> None:
    """The final record is missing then, so they count as incomplete."""
    path = tmp_path / "records.jsonl"
    path.write_text('{"a": 1}\n' * 10 + '{"event": "end"}\n')
    assert read_records(path, limit=30) == ({"a": 1},) * 3


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """Links, pipes (without waiting for a writer), folders and missing files are not read."""
    (tmp_path / "target").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder", "missing"):
        assert read_bounded(tmp_path / name, 10) is None
    assert read_bounded(tmp_path / "target", 1) == b"{"


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """All records are objects, whatever the bytes."""
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(content)
    assert all(isinstance(record, dict) for record in read_records(path))


@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_a_tail_is_the_end_of_the_output(parts: list[bytes], limit: int) -> None:
    """It has exactly the last bytes, however they were split into chunks."""
    tail = OutputTail(limit)
    for part in parts:
        tail.add(part)
    assert tail.text() == b"".join(parts)[-limit:].decode("utf-8", "replace")


def test_a_flood_on_one_stream_does_not_displace_the_other() -> None:
    """Each of two lanes has half of the limit, in the order of arrival."""
    tail = OutputTail(8, lanes=2)
    tail.add(b"out")
    for _ in range(100):
        tail.add(b"eeee", lane=1)
    assert tail.text() == "outeeee"
