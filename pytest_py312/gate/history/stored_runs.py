"""Store the reports of runs beside the plan, so that they can be written again in any format without a run.

A run is noted when it begins: one that was killed before it had a report is listed as what it is, and never mistaken
for the one before it.
"""

import json
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_py312.core.database import Database, Execute
from pytest_py312.core.errors import OptionError, StateError, did_you_mean
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.report import Report
from pytest_py312.core.serialization import decode, encode

FILE_NAME = "runs.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  id TEXT PRIMARY KEY, began TEXT NOT NULL, exit_status INTEGER, summary TEXT NOT NULL, document BLOB
);
"""
VERSION = 1
MAX_RUNS = 20
"""Runs that are kept; older ones are deleted."""
SIZE_LIMIT = 512 * 1024 * 1024
"""Maximum size of a report in bytes, unpacked."""
MAX_BYTES = 1024**3
_COLUMNS = "id, began, exit_status, summary"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRun:
    """A run of which there is a record: its id, when it began (RFC 3339, UTC), and how it ended.

    ``exit_status`` is ``None`` if it has not ended, or was killed before it had a report.
    """

    id: str
    began: str
    exit_status: int | None
    summary: str


class RunStore:
    """The stored runs of a repository. It is opened for each operation, and safe for several runs at once."""

    def __init__(self, folder: Path) -> None:
        """
        :param folder: the state folder beside the plan.
        """
        self._file = folder / FILE_NAME

    # -- writing: a run must not fail because it cannot be stored

    def begin(self, run_id: str, began: str) -> None:
        """Note that a run has begun, and delete the oldest ones."""

        def transaction(execute: Execute) -> None:
            execute("INSERT OR REPLACE INTO runs VALUES (?, ?, NULL, '', NULL)", (run_id, began))
            execute(
                "DELETE FROM runs WHERE id NOT IN (SELECT id FROM runs ORDER BY began DESC, rowid DESC LIMIT ?)",
                (MAX_RUNS,),
            )

        self._write(transaction)

    def complete(self, run_id: str, report: Report, summary: str, exit_status: int) -> None:
        """Store the report of a run that has begun, with its verdict in one sentence.

        :param exit_status: that of the process. It is another one than the report's if something failed after it, such
            as the writing of a file.
        """
        values = (exit_status, summary, pack_report(report), run_id)
        self._write(
            lambda execute: execute("UPDATE runs SET exit_status = ?, summary = ?, document = ? WHERE id = ?", values)
        )

    def _write(self, transaction: Callable[[Execute], object]) -> None:
        with suppress(StateError), closing(self._open()) as database:
            database.transact(transaction, urgent=False)

    def _open(self) -> Database:
        return Database(self._file, schema=SCHEMA, version=VERSION, max_bytes=MAX_BYTES, is_cache=True)

    # -- reading

    def runs(self) -> tuple[StoredRun, ...]:
        """Return all runs, the newest first.

        :raises StateError: the file cannot be used.
        """
        if not self._file.is_file():
            return ()
        rows = self._rows(f"SELECT {_COLUMNS} FROM runs ORDER BY began DESC, rowid DESC")
        return tuple(
            StoredRun(id=str(run_id), began=str(began), exit_status=status, summary=str(summary))
            for run_id, began, status, summary in rows
        )

    def find(self, name: str = "") -> StoredRun:
        """Return the run whose id is ``name`` or begins with it; the newest if it is empty.

        :raises OptionError: there is none, or several.
        """
        runs = self.runs()
        if not runs:
            raise OptionError(f"no run is stored in {self._file}: `pytest --py312` stores each run")
        matching = [run for run in runs if run.id == name] or [run for run in runs if run.id.startswith(name)]
        if not matching or (name and len(matching) > 1):
            problem = "several runs begin so" if matching else "there is no such run"
            suggestion = "" if matching else did_you_mean(name, [run.id for run in runs])
            raise OptionError(f"--from {name}: {problem}{suggestion}; `py312 report --list` shows them")
        return matching[0]

    def report(self, run: StoredRun) -> Report:
        """Return the report of a run.

        :raises StateError: it has none, or another version of this tool has stored it.
        """
        rows = self._rows("SELECT document FROM runs WHERE id = ?", run.id)
        if not rows or rows[0][0] is None:
            raise StateError(
                f"run {run.id} has no report: it is still running, or was killed before its end; "
                "--from names another one, `py312 report --list` shows them"
            )
        try:
            return unpack_report(rows[0][0])
        except (ValueError, KeyError, TypeError, zlib.error, RecursionError) as error:
            raise StateError(
                f"run {run.id} cannot be read ({str(error)[:80]}): probably another version of pytest-py312 stored it"
            ) from None

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(self._open()) as database:
            return database.read(lambda execute: execute(statement, values))


def pack_report(report: Report) -> bytes:
    """Return a report as compressed JSON. A cell is stored as the name of its service and its interpreter."""
    cells = [[cell.service.name, encode(cell.interpreter)] for cell in report.cells]
    document = {"report": encode(replace(report, cells=())), "cells": cells}
    return zlib.compress(json.dumps(document).encode("ascii"), 1)


def unpack_report(content: bytes) -> Report:
    """Return the report that :func:`pack_report` was given.

    :raises ValueError, KeyError, TypeError, zlib.error, RecursionError: the content is something else.
    """
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(content, SIZE_LIMIT)
    if unpacker.unconsumed_tail:
        raise ValueError("it is too large")
    document = json.loads(text)
    report = decode(Report, document["report"])
    services = {service.name: service for service in report.services}
    cells = tuple(
        Cell(service=services[name], interpreter=decode(Interpreter, interpreter))
        for name, interpreter in document["cells"]
    )
    return replace(report, cells=cells)
