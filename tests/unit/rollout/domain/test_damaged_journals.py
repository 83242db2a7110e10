"""A journal with damaged documents is a state error with a sentence, never a traceback."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pytest_py312.core.errors import StateError
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal
from tests.unit.rollout.domain.test_stored_journals import restore


@pytest.mark.parametrize("document", ["", "[1]", '{"deployments": [1]}', "[[1]]", "[" * 5000, '[["a", "?", 1]]'])
@pytest.mark.parametrize("table", ["runs", "samples", "entries"])
def test_a_damaged_document_is_a_state_error(tmp_path: Path, table: str, document: str) -> None:
    journal, _ = restore("drifted-and-decided", tmp_path)
    (run,) = journal.run_names()
    journal.close()
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as connection:
        connection.execute(f"UPDATE {table} SET document = ?", (document,))
        connection.commit()
    with closing(Journal(tmp_path)) as damaged:
        read = {"runs": damaged.load_run, "entries": damaged.history}.get(table)
        with pytest.raises(StateError, match="the journal is damaged"):
            read(run) if read else damaged.samples(run, "auth")


def test_a_service_of_another_stage_is_named(tmp_path: Path) -> None:
    journal, _ = restore("drifted-and-decided", tmp_path)
    with closing(journal), pytest.raises(StateError, match="has no service nobody"):
        journal.samples(journal.run_names()[0], "nobody")
