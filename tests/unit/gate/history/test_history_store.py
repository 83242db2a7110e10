"""What is kept of each run, beside the stored reports."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.errors import StateError
from pytest_py312.core.model.plan import Plan, Stage
from pytest_py312.core.model.report import Checkout
from pytest_py312.core.model.shards import ShardPart
from pytest_py312.gate.history import history_store
from pytest_py312.gate.history.history_store import FILE_NAME, HistoryStore
from pytest_py312.gate.history.run_history import TITLES
from pytest_py312.gate.history.stored_runs import RunStore
from tests.support.history_samples import BLOCKED
from tests.support.report_samples import finding, judged, report_of

REPORT = report_of(
    judged(finding()),
    checkout=Checkout(commit="0d1f", branch="main", modified=True),
    plan=Plan(root=Path("repository"), stages=(Stage(number=1), Stage(number=2))),
)


def test_a_run_is_kept_with_its_counts_and_its_commit(tmp_path: Path) -> None:
    HistoryStore(tmp_path).add("r1", REPORT, exit_status=3)
    (run,) = HistoryStore(tmp_path).runs()
    assert (run.origin, run.ended_at, run.exit_status) == ("r1", REPORT.generated, 3)
    assert (run.commit, run.branch, run.modified) == ("0d1f", "main", True)
    assert (run.stages, run.all_stages) == ((1,), False)
    assert run.verdicts == (("user-service", BLOCKED),)


def test_runs_are_kept_longer_than_their_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_store, "MAX_RUNS", 3)
    for hour in range(5):
        HistoryStore(tmp_path).add(f"r{hour}", replace(REPORT, generated=f"2025-03-01T1{hour}:00:00Z"), exit_status=1)
    assert [run.origin for run in HistoryStore(tmp_path).runs()] == ["r2", "r3", "r4"]


def test_runs_that_are_only_stored_with_their_report_or_without_one_are_shown(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for run_id in ("old", "killed"):
        store.begin(run_id, f"2025-02-0{1 if run_id == 'old' else 2}T12:00:00Z")
    store.complete("old", replace(REPORT, generated="2025-02-01T12:10:00Z"), "not proven", 1)
    HistoryStore(tmp_path).add("new", REPORT, exit_status=1)
    old, killed, new = HistoryStore(tmp_path).runs()
    assert (old.origin, old.verdicts, old.exit_status) == ("old", (("user-service", BLOCKED),), 1)
    assert (killed.origin, killed.verdicts, killed.exit_status) == ("killed", (), None)
    assert new.origin == "new"


def test_a_report_has_the_runs_up_to_its_own(tmp_path: Path) -> None:
    """Also if it is written again when there are later ones."""
    store = HistoryStore(tmp_path)
    for hour in (10, 12, 14):
        store.add(f"r{hour}", replace(REPORT, generated=f"2025-03-01T{hour}:00:00Z"), exit_status=1)
    titles, *rows = store.table(replace(REPORT, generated="2025-03-01T12:00:00Z", exit_status=1), "r12")
    assert titles == TITLES
    assert [row[0] for row in rows] == ["2025-03-01 10:00 UTC", "2025-03-01 12:00 UTC"]


def test_a_part_of_a_run_is_not_kept(tmp_path: Path) -> None:
    """Its counts would be those of a smaller fleet."""
    HistoryStore(tmp_path).add(
        "part",
        replace(REPORT, shard=ShardPart(part=1, parts=2, identity=None, units=(), prefix="", record="")),
        exit_status=1,
    )
    assert HistoryStore(tmp_path).runs() == []


def test_a_run_does_not_fail_because_it_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    HistoryStore(tmp_path).add("r1", REPORT, exit_status=1)
    (tmp_path / FILE_NAME).rmdir()
    assert HistoryStore(tmp_path).runs() == []


def test_a_damaged_row_hides_no_other(tmp_path: Path) -> None:
    for run_id in ("r1", "r2", "r3", "r4"):
        HistoryStore(tmp_path).add(run_id, REPORT, exit_status=1)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        for run_id, document in (("r1", "{"), ("r2", "7"), ("r3", b"\xff")):
            database.execute("UPDATE past_runs SET document = ? WHERE id = ?", (document, run_id))
        database.commit()
    assert [run.origin for run in HistoryStore(tmp_path).runs()] == ["r4"]


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 2000)
    with pytest.raises(StateError, match=FILE_NAME):
        HistoryStore(tmp_path).runs()
