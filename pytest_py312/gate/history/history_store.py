"""Keep what each run has shown, much longer than its report: a few bytes for each service.

It is stored in ``.py312/history.sqlite`` beside the plan. It is a record for people, and nothing depends on it: what
cannot be written is lost.
"""

import json
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from pytest_py312.core.database import Database, Execute
from pytest_py312.core.errors import StateError
from pytest_py312.core.model.readiness import PastRun, RunRecord
from pytest_py312.core.model.report import Report
from pytest_py312.core.serialization import decode, encode
from pytest_py312.gate.history.documents import DocumentFault
from pytest_py312.gate.history.records import record_of
from pytest_py312.gate.history.run_history import history_table
from pytest_py312.gate.history.stored_runs import RunStore, StoredRun
from pytest_py312.gate.reports.json_report import to_document

FILE_NAME = "history.sqlite"
SCHEMA = "CREATE TABLE IF NOT EXISTS past_runs (id TEXT PRIMARY KEY, ended TEXT NOT NULL, document TEXT NOT NULL);"
VERSION = 1
MAX_RUNS = 2000
"""Runs that are kept; older ones are deleted."""
MAX_BYTES = 512 * 1024**2


def past_run_of(record: RunRecord) -> PastRun:
    """Return what is kept of a run."""
    stages = {service.stage for service in record.services}
    return PastRun(
        origin=record.origin,
        ended_at=record.ended_at,
        target=record.target,
        exit_status=record.exit_status,
        complete=record.complete,
        commit=record.checkout.commit,
        branch=record.checkout.branch,
        modified=record.checkout.modified,
        stages=tuple(sorted(stages)),
        all_stages=stages >= set(record.stages),
        verdicts=tuple((service.name, service.verdict) for service in record.services),
    )


def record_of_report(report: Report, run_id: str) -> RunRecord:
    """Return the record of a run whose report is at hand.

    :raises DocumentFault: the report contradicts itself.
    """
    return record_of(to_document(report), run_id)


def _past_run(report: Report, run_id: str, exit_status: int) -> PastRun:
    return replace(past_run_of(record_of_report(report, run_id)), exit_status=exit_status)


class HistoryStore:
    """The kept runs of a repository. It is opened for each operation, and safe for several runs at once."""

    def __init__(self, folder: Path) -> None:
        """
        :param folder: the state folder beside the plan.
        """
        self._folder = folder

    def add(self, run_id: str, report: Report, exit_status: int) -> None:
        """Keep a run that has ended.

        :param exit_status: that of the process.
        """
        if report.shard is not None:  # of a part nothing is kept: its counts would be those of a smaller fleet
            return
        with suppress(StateError, DocumentFault), closing(self._open()) as database:
            past = _past_run(report, run_id, exit_status)
            values = (run_id, past.ended_at, json.dumps(encode(past)))

            def transaction(execute: Execute) -> None:
                execute("INSERT OR REPLACE INTO past_runs VALUES (?, ?, ?)", values)
                execute(
                    "DELETE FROM past_runs WHERE id NOT IN "
                    "(SELECT id FROM past_runs ORDER BY ended DESC, rowid DESC LIMIT ?)",
                    (MAX_RUNS,),
                )

            database.transact(transaction, urgent=False)

    def runs(self) -> list[PastRun]:
        """Return all runs, the oldest first; also those that are stored with their report, or ended without one.

        :raises StateError: a file cannot be used.
        """
        kept = {past.origin: past for past in self._kept()}
        store = RunStore(self._folder)
        for run in store.runs():
            if run.id not in kept:
                kept[run.id] = _stored_run(store, run)
        return sorted(kept.values(), key=lambda past: past.ended_at)

    def table(self, report: Report, run_id: str) -> tuple[tuple[str, ...], ...]:
        """Return the table of the runs up to that of ``report``; empty if the files cannot be used."""
        try:
            past = _past_run(report, run_id, report.exit_status)
            earlier = [run for run in self.runs() if run.origin != run_id and run.ended_at <= past.ended_at]
        except (StateError, DocumentFault):
            return ()
        return history_table([*earlier, past])

    def _kept(self) -> list[PastRun]:
        if not (self._folder / FILE_NAME).is_file():
            return []
        with closing(self._open()) as database:
            rows = database.read(lambda execute: execute("SELECT document FROM past_runs ORDER BY ended, rowid", ()))
        kept = []
        for (document,) in rows:
            with suppress(ValueError, TypeError, RecursionError):  # a damaged row is lost, and no other
                kept.append(decode(PastRun, json.loads(document)))
        return kept

    def _open(self) -> Database:
        return Database(self._folder / FILE_NAME, schema=SCHEMA, version=VERSION, max_bytes=MAX_BYTES, is_cache=True)


def _stored_run(store: RunStore, run: StoredRun) -> PastRun:
    """Return a run of which only the report is stored, or not even that."""
    if run.exit_status is not None:
        with suppress(StateError, DocumentFault):
            return _past_run(store.report(run), run.id, run.exit_status)
    return PastRun(origin=run.id, ended_at=run.began, exit_status=run.exit_status)
