"""The state file: kept outcomes and durations, and everything that may be wrong with it."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.errors import StateError
from pytest_py312.gate.run.state import KEPT_SECONDS, KEPT_SPEEDS, KEPT_SPEEDS_SECONDS, VERSION, State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / ".py312")
    yield opened
    opened.close()


def execute(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / ".py312" / "state.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_outcomes_and_durations_are_kept(state: State) -> None:
    state.keep_outcome("key", {"a": [1, None]})
    state.keep_duration("suite user-service-py3.12", 2.5)

    assert state.outcome("key") == {"a": [1, None]}
    assert state.duration("suite user-service-py3.12") == 2.5
    assert state.outcome("other") is None
    assert state.duration("other") is None


def test_they_are_there_in_the_next_run(tmp_path: Path) -> None:
    for word in ("first", "second"):
        opened = State(tmp_path)
        assert opened.outcome("key") == (None if word == "first" else "first")
        opened.keep_outcome("key", word)
        opened.close()


def test_its_folder_keeps_itself_out_of_git(state: State, tmp_path: Path) -> None:
    assert (tmp_path / ".py312" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_what_nobody_asked_for_in_sixty_days_is_forgotten(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    state.keep_outcome("used", 1)
    state.keep_outcome("unused", 2)
    then = clock.timestamp() + KEPT_SECONDS + 1
    monkeypatch.setattr(clock, "timestamp", lambda: then)

    state.touch(["used", "never there"])

    assert (state.outcome("used"), state.outcome("unused")) == (1, None)


def test_a_file_that_is_no_state_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"this was never a database, by any means\n" * 200)

    with pytest.raises(StateError, match=r"state\.sqlite: the state file cannot be used: .*Remove it") as caught:
        State(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_state_file_of_another_version_is_not_touched(state: State, tmp_path: Path) -> None:
    state.close()
    execute(tmp_path, f"PRAGMA user_version={VERSION + 1}")

    with pytest.raises(StateError, match=f"written by another version of this tool \\(form {VERSION + 1}, known"):
        State(tmp_path / ".py312")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(StateError, match="cannot be used"):
        State(tmp_path / "file" / ".py312")


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since the superuser may write anywhere."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(StateError, match=r"Permission denied.*make its folder writable"):
        State(tmp_path / ".py312")


@pytest.mark.parametrize("document", ["{", "", "[" * 100_000])
def test_a_damaged_document_is_none(state: State, tmp_path: Path, document: str) -> None:
    state.keep_outcome("key", 1)
    execute(tmp_path, f"UPDATE outcomes SET document = '{document}'")

    assert state.outcome("key") is None


def test_a_damaged_duration_is_none(state: State, tmp_path: Path) -> None:
    state.keep_duration("a", 1.0)
    execute(tmp_path, "UPDATE durations SET seconds = 'soon'")

    assert state.duration("a") is None


def test_tables_that_are_gone_are_an_empty_cache(state: State, tmp_path: Path) -> None:
    execute(tmp_path, "DROP TABLE outcomes")
    execute(tmp_path, "DROP TABLE durations")

    state.keep_outcome("key", 1)
    state.touch(["key"])
    assert state.outcome("key") is None
    assert state.duration("a") is None


def test_measurements_of_a_benchmark_are_kept_in_the_order_of_their_runs(state: State) -> None:
    state.keep_speeds({"a": 2, "b": 20}, "2025-03-02T12:00:00Z")
    state.keep_speeds({"a": 1}, "2025-03-01T12:00:00Z")

    assert (state.speeds("a"), state.speeds("b"), state.speeds("c")) == ([1, 2], [20], [])


def test_measurements_that_are_too_many_or_too_old_are_forgotten(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(KEPT_SPEEDS + 2):
        state.keep_speeds({"a": number, "old": number}, f"2025-03-01T12:00:{number:02}Z")
    assert state.speeds("a") == list(range(2, KEPT_SPEEDS + 2))
    then = clock.timestamp() + KEPT_SPEEDS_SECONDS + 1
    monkeypatch.setattr(clock, "timestamp", lambda: then)

    state.keep_speeds({"a": "new"}, "2026-06-01T12:00:00Z")

    assert (state.speeds("a"), state.speeds("old")) == (["new"], [])


def test_damaged_measurements_are_left_out(state: State, tmp_path: Path) -> None:
    state.keep_speeds({"a": 1}, "2025-03-01T12:00:00Z")
    execute(tmp_path, "INSERT INTO speeds VALUES ('a', '2025-03-02', '{', 1.0)")
    assert state.speeds("a") == [1]

    execute(tmp_path, "DROP TABLE speeds")

    state.keep_speeds({"a": 1}, "2025-03-01T12:00:00Z")
    assert state.speeds("a") == []


def test_threads_may_share_it(state: State) -> None:
    def work(number: int) -> object:
        state.keep_outcome(f"key{number % 3}", number)
        state.touch([f"key{number % 3}"])
        return state.outcome(f"key{number % 3}")

    with ThreadPoolExecutor(8) as pool:
        assert all(isinstance(answer, int) for answer in pool.map(work, range(60)))


def _open_and_keep(folder: Path, number: int) -> None:
    opened = State(folder)
    for at in range(20):
        opened.keep_outcome(f"{number}-{at}", at)
    opened.close()


def test_processes_may_open_and_fill_it_at_once(tmp_path: Path) -> None:
    """Also when none of them finds it there yet."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(_open_and_keep, [(tmp_path / ".py312", number) for number in range(4)])

    opened = State(tmp_path / ".py312")
    found = [opened.outcome(f"{number}-{at}") for number in range(4) for at in range(20)]
    opened.close()
    assert found == list(range(20)) * 4
