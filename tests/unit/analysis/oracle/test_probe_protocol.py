"""Parsing of answers, and the JSON cache: no partial files, limited size, damaged files are ignored."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.oracle.probe_protocol import parse_answer, parse_compiler_message, parse_signature
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, StdlibAnswer
from pytest_py312.core import json_cache
from pytest_py312.core.json_cache import JsonCache

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["present", "reason", "warning", "members", "signature", "positional", "keywords", "deprecated"]
)


def test_a_stored_value_is_found_by_the_next_cache(tmp_path: Path) -> None:
    JsonCache(tmp_path / "folder" / "file.json").put({"a": [1]})

    assert JsonCache(tmp_path / "folder" / "file.json").get("a") == [1]
    assert JsonCache(tmp_path / "folder" / "file.json").get("b") is None


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file.json"

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: JsonCache(file).put({str(number): number}), range(24)))
    assert [JsonCache(file).get(str(number)) for number in range(24)] == list(range(24))
    assert [path.suffix for path in tmp_path.iterdir() if path != file] == [".lock"]


def test_the_cache_does_not_grow_without_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least recently used entry is dropped first."""
    monkeypatch.setattr(json_cache, "MAX_ENTRIES", 3)
    file = tmp_path / "file.json"
    JsonCache(file).put({"a": 1, "b": 2, "c": 3})
    JsonCache(file).put({"d": 4}, used_keys=["a", "d"])

    assert list(json.loads(file.read_text())) == ["c", "a", "d"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_damaged_cache_file_is_treated_as_empty(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(content)

    assert JsonCache(file).get("a") is None
    JsonCache(file).put({"a": 1})
    assert JsonCache(file).get("a") == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    JsonCache(tmp_path / "file.json").put({"a": 1})
    monkeypatch.setattr(json_cache, "MAX_FILE_BYTES", 3)

    assert JsonCache(tmp_path / "file.json").get("a") is None


def test_a_folder_that_cannot_be_written_is_tolerated(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = JsonCache(tmp_path / "file" / "inside.json")
    cache.put({"a": 1})

    assert cache.get("a") == 1


def test_an_answer_is_parsed_completely() -> None:
    signature = {"positional": ["a"], "keywords": ["a", "b"], "any_keyword": True, "deprecated": [["b", "gone soon"]]}
    answer = parse_answer({"present": True, "members": ["x"], "is_class": True, "signature": signature})

    assert answer == StdlibAnswer(present=True, members=("x",), is_class=True, signature=parse_signature(signature))
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
def test_malformed_answers_are_rejected(data: object) -> None:
    assert parse_answer(data) is None


def test_a_compiler_message_needs_a_position() -> None:
    assert parse_compiler_message([True, "SyntaxError", "bad", 3, 1]) == CompilerMessage(
        is_error=True, category="SyntaxError", message="bad", line=3, column=1
    )
    for data in ([True, "SyntaxError", "bad", 0, None], [True, "SyntaxError", "bad", True, None], [1, "", "", 1, None]):
        assert parse_compiler_message(data) is None


@given(JSON, st.dictionaries(FIELDS, JSON))
def test_no_document_crashes_a_reader(data: object, answer: dict[str, object]) -> None:
    for document in (data, answer):
        assert isinstance(parse_answer(document), StdlibAnswer | None)
        assert parse_signature(document) is None or isinstance(document, dict)
        assert isinstance(parse_compiler_message(document), CompilerMessage | None)
