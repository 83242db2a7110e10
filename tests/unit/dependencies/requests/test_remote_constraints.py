"""Constraints files at an address: what is asked for, and what is kept."""

import json
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.dependencies.requests import remote_constraints
from pytest_py312.dependencies.requests.remote_constraints import ConstraintsFetcher, RemoteConstraints, address_for

URL = "https://files.invalid/constraints-3.9.txt"


@pytest.mark.parametrize(
    ("url", "on", "expected"),
    [
        (URL, "3.12", "https://files.invalid/constraints-3.12.txt"),
        (URL, "3.10", "https://files.invalid/constraints-3.10.txt"),
        ("https://files.invalid/constraints-2.3.9/constraints-3.9.txt", "3.12",
         "https://files.invalid/constraints-2.3.9/constraints-3.12.txt"),
        ("https://files.invalid/foo-3.9/c.txt", "3.12", "https://files.invalid/foo-3.9/c.txt"),
        ("https://files.invalid/3.9.1/c.txt", "3.12", "https://files.invalid/3.9.1/c.txt"),
        ("https://files.invalid/13.9/3.90/c.txt", "3.12", "https://files.invalid/13.9/3.90/c.txt"),
    ],
)  # fmt: skip
def test_the_version_in_an_address_is_that_of_the_interpreter(url: str, on: str, expected: str) -> None:
    assert address_for(url, Interpreter(3, 9), Interpreter.parse(on)) == expected


def fetcher(root: Path, *, offline: bool = False) -> ConstraintsFetcher:
    return ConstraintsFetcher(cache=root, lock_hours=1.0, offline=offline)


def test_a_file_is_fetched_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its constraints count."""
    texts = ["a==1 # why\nB>=2; python_version < '3.10'\nc @ https://x/c.whl\n"]
    monkeypatch.setattr(remote_constraints, "_download", lambda _: (texts.pop(), ""))

    first = fetcher(tmp_path).fetch(URL)

    assert first.lines == ("a==1", "B>=2; python_version < '3.10'")
    assert fetcher(tmp_path).fetch(URL) == fetcher(tmp_path, offline=True).fetch(URL) == first


def test_what_is_kept_is_used_for_as_long_as_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a==2\n", "a==1\n"]
    monkeypatch.setattr(remote_constraints, "_download", lambda _: (texts.pop(), ""))
    fetcher(tmp_path).fetch(URL)
    (kept,) = (tmp_path / "constraints").iterdir()
    kept.write_text(json.dumps({"fetched": 0, "lines": ["a==1"]}))

    assert fetcher(tmp_path, offline=True).fetch(URL).lines == ("a==1",)
    assert fetcher(tmp_path).fetch(URL).lines == ("a==2",)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"fetched": "x", "lines": 1}'])
def test_a_damaged_file_of_the_cache_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(remote_constraints, "_download", lambda _: ("a==1\n", ""))
    fetcher(tmp_path).fetch(URL)
    (kept,) = (tmp_path / "constraints").iterdir()
    kept.write_text(damage)

    assert fetcher(tmp_path).fetch(URL).lines == ("a==1",)


def test_why_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_constraints, "_download", lambda _: ("", "the answer has status 404"))

    problems = [fetcher(tmp_path, offline=offline).fetch(URL) for offline in (False, True)]

    assert problems == [
        RemoteConstraints(problem=f"the constraints at {URL} could not be fetched: the answer has status 404"),
        RemoteConstraints(problem=f"the constraints at {URL} are not in the cache, and it is offline"),
    ]


@pytest.mark.parametrize("text", ["<html><body>Sign in</body></html>", "a==1\n-r more.txt\n", "a==1\n-c more.txt\n"])
def test_an_answer_that_cannot_be_read_is_no_file_without_constraints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(remote_constraints, "_download", lambda _: (text, ""))

    answer = fetcher(tmp_path).fetch("https://user:secret@files.invalid/c.txt")

    place = "the constraints at https://files.invalid/c.txt"
    assert answer.problem == f"{place} are not a file of constraints that can be read"
    assert not (tmp_path / "constraints").exists()
