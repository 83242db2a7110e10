"""The state file: stored outcomes and durations, and every way in which it can be unusable."""

import errno
import multiprocessing
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_py312.core import clock, database
from pytest_py312.core.database import RELEASE_BYTES, RESERVE_BYTES, Database, DiskFull, DiskReserve
from pytest_py312.core.errors import StateError
from pytest_py312.gate.run.state import (
    COMPARISON_RETENTION_SECONDS,
    MAX_COMPARISON_RUNS,
    OUTCOME_RETENTION_SECONDS,
    VERSION,
    StateFile,
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    opened = StateFile(tmp_path / ".py312")
    yield opened
    opened.close()


def execute(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / ".py312" / "state.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_outcomes_and_durations_are_stored(state: StateFile) -> None:
    state.store_outcome("key", {"a": [1, None]})
    state.store_duration("suite user-service-py3.12", 2.5)

    assert state.outcome("key") == {"a": [1, None]}
    assert state.durations("suite ") == {"user-service-py3.12": 2.5}
    assert state.outcome("other") is None
    assert state.durations("other") == {}


def test_durations_of_one_kind(state: StateFile, tmp_path: Path) -> None:
    for name, seconds in (("item a", 1.5), ("item b_", 2.0), ("suite a", 3.0), ("item%", 4.0)):
        state.store_duration(name, seconds)
    assert state.durations("item ") == {"a": 1.5, "b_": 2.0}
    execute(tmp_path, "UPDATE durations SET seconds = 'soon' WHERE name = 'item a'")
    assert state.durations("item ") == {"b_": 2.0}


def test_the_next_run_finds_them(tmp_path: Path) -> None:
    for word in ("first", "second"):
        opened = StateFile(tmp_path)
        assert opened.outcome("key") == (None if word == "first" else "first")
        opened.store_outcome("key", word)
        opened.close()


def test_its_folder_is_ignored_by_git(state: StateFile, tmp_path: Path) -> None:
    assert (tmp_path / ".py312" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_outcomes_expire_after_sixty_days_without_use(state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    state.store_outcome("used", 1)
    state.store_outcome("unused", 2)
    then = clock.timestamp() + OUTCOME_RETENTION_SECONDS + 1
    monkeypatch.setattr(clock, "timestamp", lambda: then)

    state.touch(["used", "never there"])

    assert (state.outcome("used"), state.outcome("unused")) == (1, None)


def test_a_foreign_file_is_reported_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"this was never a database, by any means\n" * 200)

    with pytest.raises(StateError, match=r"state\.sqlite: the state file cannot be used: .*Remove it") as caught:
        StateFile(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_state_file_of_another_version_is_not_changed(state: StateFile, tmp_path: Path) -> None:
    state.close()
    execute(tmp_path, f"PRAGMA user_version={VERSION + 1}")

    with pytest.raises(StateError, match=rf"written by another version of this tool \(schema {VERSION + 1}; this"):
        StateFile(tmp_path / ".py312")


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(StateError, match="cannot be used"):
        StateFile(tmp_path / "file" / ".py312")


def test_a_read_only_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since root can write anywhere."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(StateError, match=r"Permission denied.*make its folder writable"):
        StateFile(tmp_path / ".py312")


@pytest.mark.parametrize("document", ["{", "", "[" * 100_000])
def test_a_damaged_document_is_ignored(state: StateFile, tmp_path: Path, document: str) -> None:
    state.store_outcome("key", 1)
    execute(tmp_path, f"UPDATE outcomes SET document = '{document}'")

    assert state.outcome("key") is None


def test_a_damaged_duration_is_ignored(state: StateFile, tmp_path: Path) -> None:
    state.store_duration("a", 1.0)
    execute(tmp_path, "UPDATE durations SET seconds = 'soon'")

    assert state.durations("a") == {}


def test_missing_tables_are_an_empty_cache(state: StateFile, tmp_path: Path) -> None:
    execute(tmp_path, "DROP TABLE outcomes")
    execute(tmp_path, "DROP TABLE durations")

    state.store_outcome("key", 1)
    state.touch(["key"])
    assert state.outcome("key") is None
    assert state.durations("a") == {}


def test_measurements_of_a_benchmark_are_in_the_order_of_their_runs(state: StateFile) -> None:
    state.store_comparisons({"a": 2, "b": 20}, "2025-03-02T12:00:00Z")
    state.store_comparisons({"a": 1}, "2025-03-01T12:00:00Z")

    assert (state.comparisons("a"), state.comparisons("b"), state.comparisons("c")) == ([1, 2], [20], [])


def test_measurements_are_limited_in_number_and_age(state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MAX_COMPARISON_RUNS + 2):
        state.store_comparisons({"a": number, "old": number}, f"2025-03-01T12:00:{number:02}Z")
    assert state.comparisons("a") == list(range(2, MAX_COMPARISON_RUNS + 2))
    then = clock.timestamp() + COMPARISON_RETENTION_SECONDS + 1
    monkeypatch.setattr(clock, "timestamp", lambda: then)

    state.store_comparisons({"a": "new"}, "2026-06-01T12:00:00Z")

    assert (state.comparisons("a"), state.comparisons("old")) == (["new"], [])


def test_damaged_measurements_are_ignored(state: StateFile, tmp_path: Path) -> None:
    state.store_comparisons({"a": 1}, "2025-03-01T12:00:00Z")
    execute(tmp_path, "INSERT INTO speeds VALUES ('a', '2025-03-02', '{', 1.0)")
    assert state.comparisons("a") == [1]

    execute(tmp_path, "DROP TABLE speeds")

    state.store_comparisons({"a": 1}, "2025-03-01T12:00:00Z")
    assert state.comparisons("a") == []


def test_threads_may_share_it(state: StateFile) -> None:
    def work(number: int) -> object:
        state.store_outcome(f"key{number % 3}", number)
        state.touch([f"key{number % 3}"])
        return state.outcome(f"key{number % 3}")

    with ThreadPoolExecutor(8) as pool:
        assert all(isinstance(answer, int) for answer in pool.map(work, range(60)))


def _open_and_keep(folder: Path, number: int) -> None:
    opened = StateFile(folder)
    for at in range(20):
        opened.store_outcome(f"{number}-{at}", at)
    opened.close()


def test_processes_may_create_and_fill_it_at_the_same_time(tmp_path: Path) -> None:
    """Including the first creation of the file."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(_open_and_keep, [(tmp_path / ".py312", number) for number in range(4)])

    opened = StateFile(tmp_path / ".py312")
    stored = [opened.outcome(f"{number}-{at}") for number in range(4) for at in range(20)]
    opened.close()
    assert stored == list(range(20)) * 4


# ---- space that is reserved for urgent writes


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Database]:
    opened = Database(
        tmp_path / "records.sqlite", schema="CREATE TABLE numbers (number, text);", version=1, max_bytes=2**20
    )
    yield opened
    opened.close()


def numbers(records: Database) -> list[int]:
    return [row[0] for row in records.read(lambda execute: execute("SELECT number FROM numbers ORDER BY 1", ()))]


def insert(execute: database.Execute, number: int, text: str = "") -> None:
    execute("INSERT INTO numbers VALUES (?, ?)", (number, text))


@pytest.fixture
def reserve(records: Database, tmp_path: Path) -> DiskReserve:
    return DiskReserve(tmp_path / "records.reserve")


def test_an_urgent_write_gets_the_reserve_in_small_steps(
    records: Database, reserve: DiskReserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As much as it needs; the rest is still reserved, whatever else writes to the disk."""
    monkeypatch.setattr(database, "free_space", lambda folder: 0)
    needed = RESERVE_BYTES - 3 * RELEASE_BYTES

    def write(execute: database.Execute) -> None:
        insert(execute, 1)
        if reserve.size > needed:
            raise DiskFull("no space")

    assert reserve.size == RESERVE_BYTES
    records.transact(write)
    assert (numbers(records), reserve.size) == ([1], needed)


def test_an_urgent_write_succeeds_where_the_free_space_is_unknown(
    records: Database, reserve: DiskReserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on disk then, so an error after it would end a rollback that can go on."""
    reserve.release()

    def fail(folder: Path) -> int:
        raise OSError(errno.ESTALE, "stale file handle")

    monkeypatch.setattr(database, "free_space", fail)
    records.transact(lambda execute: insert(execute, 1))
    assert numbers(records) == [1]


def test_other_writes_are_refused_until_the_reserve_is_complete_again(
    records: Database, reserve: DiskReserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while there is some space: it was reserved for what is urgent."""
    reserve.release()
    monkeypatch.setattr(database, "free_space", lambda folder: RELEASE_BYTES - 1)
    with pytest.raises(DiskFull, match="the disk is full: 16 KiB are free beside 1008 KiB that are reserved"):
        records.transact(lambda execute: insert(execute, 1), urgent=False)
    records.transact(lambda execute: insert(execute, 2))
    assert (numbers(records), reserve.size) == ([2], RESERVE_BYTES - RELEASE_BYTES)

    monkeypatch.setattr(database, "free_space", lambda folder: 2**30)
    assert records.space_problem == ""
    records.transact(lambda execute: insert(execute, 3), urgent=False)
    assert (numbers(records), reserve.size) == ([2, 3], RESERVE_BYTES)


def test_when_the_reserve_is_used_up_the_write_fails_and_changes_nothing(
    records: Database, reserve: DiskReserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "free_space", lambda folder: 0)

    def write(execute: database.Execute) -> None:
        insert(execute, 1)
        raise DiskFull("no space")

    with pytest.raises(DiskFull, match="no space"):
        records.transact(write)
    assert (numbers(records), reserve.size) == ([], 0)


def test_a_file_of_maximum_size_still_takes_urgent_writes(records: Database, reserve: DiskReserve) -> None:
    """Samples fill it, and a rollback is recorded, without the reserve of the disk."""
    with pytest.raises(DiskFull):
        records.transact(lambda execute: insert(execute, 1, "x" * 2**20), urgent=False)
    records.transact(lambda execute: insert(execute, 2, "x" * (2**20 - 2**16)), urgent=False)
    records.transact(lambda execute: insert(execute, 3, "x" * 2**17))
    with pytest.raises(DiskFull):
        records.transact(lambda execute: insert(execute, 4, "x" * 2**17), urgent=False)
    assert (numbers(records), reserve.size) == ([2, 3], RESERVE_BYTES)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_reserve_that_cannot_be_completed_refuses_other_writes(
    records: Database, reserve: DiskReserve, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """A quota does not show in the free space of the disk."""
    reserve.release()

    def refuse(*_: object) -> int:
        raise OSError(error, "no space")

    with monkeypatch.context() as patched:
        patched.setattr("os.pwrite", refuse)
        with pytest.raises(DiskFull):
            records.transact(lambda execute: insert(execute, 1), urgent=False)
    records.transact(lambda execute: insert(execute, 2), urgent=False)
    assert numbers(records) == [2]


def test_the_reserve_is_no_link_to_another_file(tmp_path: Path) -> None:
    """A repository may contain one."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "linked").symlink_to(tmp_path / "precious")
    linked = DiskReserve(tmp_path / "linked")
    assert (linked.refill(), linked.release()) == (True, False)
    assert (tmp_path / "precious").read_text() == "precious"
