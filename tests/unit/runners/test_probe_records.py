"""Files exchanged between a runner and the probe: a cell's files are read defensively."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners import probe_records
from pytest_py312.runners.probe_records import RecordCounter, is_complete, read_records, write_request


def test_a_request_is_one_json_document(tmp_path: Path) -> None:
    path = write_request(tmp_path, {"kind": "imports", "modules": ["ü", "\ud800"]})

    assert json.loads(path.read_text(encoding="utf-8")) == {"kind": "imports", "modules": ["ü", "\ud800"]}


def test_records_are_read_in_order_and_lines_without_an_object_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"event": "a"}\nnonsense\n[1]\n3\nnull\n\n\xff\xfe\n{"event": "b"}\n{"event": "torn')

    assert [record["event"] for record in read_records(path)] == ["a", "b"]


def test_a_missing_file_has_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none") == ()


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    """A cell may create a link to a file of the host, or a pipe without a writer."""
    (tmp_path / "secret").write_text('{"event": "stolen"}\n')
    (tmp_path / "link").symlink_to("secret")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    assert [read_records(tmp_path / name) for name in ("link", "folder", "pipe")] == [(), (), ()]


def test_records_beyond_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_records, "MAX_RECORDS_SIZE", 40)
    path = tmp_path / "records.jsonl"
    path.write_text('{"event": "a"}\n' * 3 + '{"event": "end"}\n')

    records = read_records(path)

    assert [record["event"] for record in records] == ["a", "a"]
    assert not is_complete(records)


def test_too_deeply_nested_lines_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("[" * 200_000 + '\n{"event": "end"}\n')

    assert [record["event"] for record in read_records(path)] == ["end"]


@pytest.mark.parametrize(
    ("events", "expected"), [([], False), (["end"], True), (["a", "end"], True), (["end", "a"], False)]
)
def test_records_are_complete_only_with_a_final_end_record(events: list[str], expected: bool) -> None:
    assert is_complete(tuple({"event": event} for event in events)) is expected


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)

    assert all(isinstance(record, dict) for record in read_records(path))


def test_tests_are_counted_while_they_are_recorded(tmp_path: Path) -> None:
    """A line that is not complete counts when it is."""
    path = tmp_path / "records.jsonl"
    counter = RecordCounter(path)
    assert counter.count() == (0, 0)
    path.write_text('{"python": "3.12", "event": "start"}\n{"count": 3, "event": "collected"}\n{"id": "a", "event": ')
    assert counter.count() == (0, 3)
    with path.open("a") as file:
        file.write('"test"}\n{"id": "b", "event": "running"}\n{"id": "b", "event": "test"}\n')
    assert counter.count() == (2, 3)
    assert counter.count() == (2, 3)


@pytest.mark.parametrize(
    "line", ['{"count": "many", "event": "collected"}', '{"count": -1, "event": "collected"}', 'x"event": "collected"}']
)
def test_a_count_that_a_suite_has_written_is_no_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f"{line}\n")
    assert RecordCounter(path).count() == (0, 0)


def test_what_is_no_regular_file_is_not_counted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    folder = os.open(tmp_path, os.O_RDONLY)
    counts = RecordCounter("pipe", folder=folder).count()
    os.close(folder)
    assert counts == (0, 0)
