"""Journals that version 0.1.0 has written, before event classes were renamed, are read as they are.

``tests/data/journals`` has one dump of a journal for each kind of course, and what 0.1.0 itself read from it.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.serialization import encode
from pytest_py312.rollout.domain.events import EVENT_TYPES, stored_name
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, SCHEMA_VERSION, Journal
from pytest_py312.rollout.domain.model import Intent

DATA = Path(__file__).parents[3] / "data" / "journals"
NEWER_FIELDS: dict[str, object] = {"address": None, "acceptance": [], "acceptance_results": []}
"""Fields of a run that 0.1.0 did not have, with their defaults."""
NEWER_EVENTS = {"AcceptanceTested"}
NAMES = sorted(path.stem for path in DATA.glob("*.sql"))


def restore(name: str, folder: Path) -> tuple[Journal, dict[str, Any]]:
    """Open the journal of a dump, and return what 0.1.0 read from it."""
    connection = sqlite3.connect(folder / JOURNAL_FILE)
    connection.executescript((DATA / f"{name}.sql").read_text(encoding="utf-8"))
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.commit()
    connection.close()
    return Journal(folder), json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_their_history_are_the_same(tmp_path: Path, name: str) -> None:
    journal, expected = restore(name, tmp_path)
    assert journal.find_damage() == []
    assert {run: encode(journal.load_run(run)) for run in journal.run_names()} == {
        run: document | NEWER_FIELDS for run, document in expected["runs"].items()
    }
    for run, entries in expected["history"].items():
        assert [
            [entry.at, entry.content if isinstance(entry.content, str) else stored_name(type(entry.content))]
            for entry in journal.history(run)
        ] == entries
        samples = {service: len(journal.samples(run, service)) for service in expected["samples"][run]}
        assert samples == expected["samples"][run]
    journal.close()


def test_the_dumps_have_every_kind_of_event() -> None:
    stored = {kind for name in NAMES for _, kind in _history(name)}
    assert {*EVENT_TYPES, stored_name(Intent)} - NEWER_EVENTS <= stored


def _history(name: str) -> list[tuple[str, str]]:
    expected = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    return [(at, kind) for entries in expected["history"].values() for at, kind in entries]
