"""What is remembered of interpreters: never half a file, never without end, never somebody else's."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.oracle.probe_protocol import answer_from, complaint_from, signature_from
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Complaint
from pytest_py312.core import json_cache
from pytest_py312.core.json_cache import Memory

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["present", "reason", "warning", "defined", "members", "signature", "positional", "keywords", "deprecated"]
)


def test_what_is_kept_is_there_for_the_next(tmp_path: Path) -> None:
    Memory(tmp_path / "folder" / "file.json").keep({"a": [1]})

    assert Memory(tmp_path / "folder" / "file.json").get("a") == [1]
    assert Memory(tmp_path / "folder" / "file.json").get("b") is None


def test_runs_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file.json"

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: Memory(file).keep({str(number): number}), range(24)))
    assert [Memory(file).get(str(number)) for number in range(24)] == list(range(24))
    assert [path.suffix for path in tmp_path.iterdir() if path != file] == [".lock"]


def test_it_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for the longest ago goes first."""
    monkeypatch.setattr(json_cache, "MOST", 3)
    file = tmp_path / "file.json"
    Memory(file).keep({"a": 1, "b": 2, "c": 3})
    Memory(file).keep({"d": 4}, used=["a", "d"])

    assert list(json.loads(file.read_text())) == ["c", "a", "d"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_torn_or_foreign_file_holds_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(content)

    assert Memory(file).get("a") is None
    Memory(file).keep({"a": 1})
    assert Memory(file).get("a") == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Memory(tmp_path / "file.json").keep({"a": 1})
    monkeypatch.setattr(json_cache, "LARGEST", 3)

    assert Memory(tmp_path / "file.json").get("a") is None


def test_a_folder_that_cannot_be_written_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    kept = Memory(tmp_path / "file" / "inside.json")
    kept.keep({"a": 1})

    assert kept.get("a") == 1


def test_an_answer_is_read_whole() -> None:
    signature = {"positional": ["a"], "keywords": ["a", "b"], "any_keyword": True, "deprecated": [["b", "gone soon"]]}
    answer = answer_from(
        {"present": True, "members": ["x"], "is_class": True, "signature": signature, "defined": "m.C"}
    )

    assert answer == Answer(
        present=True, members=("x",), is_class=True, signature=signature_from(signature), defined="m.C"
    )
    assert answer.signature is not None
    assert dict(answer.signature.deprecated) == {"b": "gone soon"}


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        {"present": "yes"},
        {"present": 2},
        {"present": True, "members": "abc"},
        {"present": True, "reason": 1},
    ],
)
def test_what_is_no_answer_is_none(data: object) -> None:
    assert answer_from(data) is None


def test_a_complaint_needs_a_place() -> None:
    assert complaint_from([True, "SyntaxError", "bad", 3, 1]) == Complaint(
        error=True, category="SyntaxError", message="bad", line=3, column=1
    )
    for data in ([True, "SyntaxError", "bad", 0, None], [True, "SyntaxError", "bad", True, None], [1, "", "", 1, None]):
        assert complaint_from(data) is None


@given(JSON, st.dictionaries(FIELDS, JSON))
def test_no_document_crashes_a_reader(data: object, answer: dict[str, object]) -> None:
    for found in (data, answer):
        assert isinstance(answer_from(found), Answer | None)
        assert signature_from(found) is None or isinstance(found, dict)
        assert isinstance(complaint_from(found), Complaint | None)
