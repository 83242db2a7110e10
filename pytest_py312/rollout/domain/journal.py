"""The journal: intents, events and samples of all runs, from which any process can continue a run.

It is stored in ``.py312/rollout.sqlite`` beside the plan, apart from the state file: that one may be deleted, the
journal must not. An intent is written before its act starts, an event after it has ended; replaying the events gives
the run. Only the owner of a run may write to it. Ownership is checked on each write, so a process that was wrongly
taken for dead can do no harm.

Space is reserved for intents, events and changes of ownership, so that a rollback can be recorded on a full disk.
Samples, notes and the start of a run or of its monitoring never use it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.database import MIN_FREE_BYTES, Database, DiskFull, Execute
from pytest_py312.core.errors import RolloutRefused, StateError
from pytest_py312.core.process_identity import this_process
from pytest_py312.core.serialization import encode
from pytest_py312.rollout.domain import journal_documents as documents
from pytest_py312.rollout.domain.events import DrillFinished, Event, stored_name
from pytest_py312.rollout.domain.measurements import Sample, Timestamp
from pytest_py312.rollout.domain.model import Intent, StageRun
from pytest_py312.rollout.domain.run_history import JournalEntry, find_restored_run, select_current_run
from pytest_py312.rollout.domain.state_machine import IllegalEvent, advance

JOURNAL_FILE = "rollout.sqlite"
SCHEMA_VERSION = 1
MAX_BYTES = 2 * 1024**3
SCHEMA = """
CREATE TABLE identity (name TEXT NOT NULL);
INSERT INTO identity VALUES (lower(hex(randomblob(16))));
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, environment TEXT NOT NULL, stage INTEGER NOT NULL,
  begun TEXT NOT NULL, owner TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX runs_of_stages ON runs (environment, stage, id);
CREATE TABLE entries (
  run INTEGER NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE samples (
  run INTEGER NOT NULL, service INTEGER NOT NULL, slot INTEGER NOT NULL,
  wall REAL NOT NULL, boottime REAL NOT NULL, boot TEXT NOT NULL, document TEXT NOT NULL,
  PRIMARY KEY (run, service, slot)
) WITHOUT ROWID;
"""
RELEASED_PREFIX = "left by "
"""Prefix of the owner of a run that was released; the last owner follows."""


class LostOwnership(RolloutRefused):
    """Another process owns the run now. This process must not change anything any more."""


def current_timestamp() -> Timestamp:
    """Return the time of a sample that is taken now."""
    return Timestamp(wall=clock.timestamp(), boottime=clock.boottime(), boot=this_process().boot_id)


class Journal:
    """An open journal. All methods raise :class:`~pytest_py312.core.errors.StateError` if it cannot be used.

    ``owner`` is any text that identifies a process; see :meth:`acquire`.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / JOURNAL_FILE, schema=SCHEMA, version=SCHEMA_VERSION, max_bytes=MAX_BYTES)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @property
    def space_problem(self) -> str:
        """Why no samples can be stored now, because the disk is full; empty if they can."""
        problem = self._database.space_problem
        return f"{problem}; samples cannot be stored, a rollback can be recorded. Free some space" if problem else ""

    def require_space(self) -> None:
        """Refuse to monitor on a full disk.

        :raises DiskFull: no sample can be stored.
        """
        if self.space_problem:
            raise DiskFull(f"nothing can be monitored: {self.space_problem}")

    @property
    def identity(self) -> str:
        """Identity of this journal. It stays the same when the folder is moved."""
        return str(self._database.read(lambda execute: execute("SELECT name FROM identity", ()))[0][0])

    # ---- runs

    def begin(self, run: StageRun, *, owner: str, retain: int = 5) -> None:
        """Record a new run, and keep only the samples of the stage's newest ``retain`` runs, this one included.

        :raises RolloutRefused: there is not enough free space to record a rollout to its end.
        """
        if self._database.free_bytes < MIN_FREE_BYTES:
            raise RolloutRefused(
                f"only {self._database.free_bytes // 1024**2} MiB are free where the journal is stored; a rollout "
                f"needs at least {MIN_FREE_BYTES // 1024**2} MiB"
            )
        values = (run.run, run.environment, run.stage, clock.now_text(), owner, documents.to_json(encode(run)))

        def work(execute: Execute) -> None:
            execute(
                "INSERT INTO runs (run, environment, stage, begun, owner, document) VALUES (?, ?, ?, ?, ?, ?)", values
            )
            execute(
                "DELETE FROM samples WHERE run IN (SELECT id FROM runs WHERE environment = ? AND stage = ?) "
                "AND run NOT IN (SELECT id FROM runs WHERE environment = ? AND stage = ? ORDER BY id DESC LIMIT ?)",
                (run.environment, run.stage, run.environment, run.stage, max(1, retain)),
            )

        self._database.transact(work, urgent=False)

    def acquire(self, run: str, *, owner: str, urgent: bool = True) -> StageRun:
        """Become the owner of a run: the previous owner can no longer write to it.

        :param urgent: whether to use the reserved space on a full disk: to roll back, not to monitor.
        :raises DiskFull: there is no space.
        """

        def work(execute: Execute) -> StageRun:
            run_id, document = self._look_up(execute, run)
            execute("UPDATE runs SET owner = ? WHERE id = ?", (owner, run_id))
            return self._rebuild(execute, run_id, document)

        return self._database.transact(work, urgent=urgent)

    def release(self, run: str, *, owner: str) -> None:
        """Give up a run, so that any other process may acquire it.

        :raises LostOwnership: another process owns the run.
        """

        def work(execute: Execute) -> None:
            run_id, _ = self._require_owner(execute, run, owner)
            execute("UPDATE runs SET owner = ? WHERE id = ?", (f"{RELEASED_PREFIX}{owner}", run_id))

        self._database.transact(work)

    def owner(self, run: str) -> str:
        """Return the owner of a run, after :data:`RELEASED_PREFIX` if it was released; empty if there is no run."""
        rows = self._database.read(lambda execute: execute("SELECT owner FROM runs WHERE run = ?", (run,)))
        return str(rows[0][0]) if rows else ""

    def load_run(self, run: str) -> StageRun:
        """Return a run in its current state.

        :raises StateError: also if there is no such run.
        """
        return self._database.read(lambda execute: self._rebuild(execute, *self._look_up(execute, run)))

    def current_runs(self, environment: str | None = None) -> list[StageRun]:
        """Return the current run of each stage, in all environments or in one, ordered by environment and stage.

        See :func:`.run_history.select_current_run`.
        """

        def work(execute: Execute) -> list[StageRun]:
            rows = execute(
                "SELECT environment, stage, id, document FROM runs WHERE ? IS NULL OR environment = ? "
                "ORDER BY environment, stage, id DESC",
                (environment, environment),
            )
            return [
                select_current_run(self._rebuild(execute, run_id, document) for _, _, run_id, document in stage_rows)
                for _, stage_rows in groupby(rows, key=lambda row: (row[0], row[1]))
            ]

        return self._database.read(work)

    def current_run(self, environment: str, stage: int) -> StageRun | None:
        """Return the current run of a stage; ``None``: it was never deployed there."""
        return next((run for run in self.current_runs(environment) if run.stage == stage), None)

    def restored_run(self, run: StageRun) -> StageRun | None:
        """Return the run of the same stage that serves again since ``run`` was rolled back.

        See :func:`.run_history.find_restored_run`.
        """
        earlier_names = takewhile(lambda name: name != run.run, self.run_names(run.environment, run.stage))
        return find_restored_run(run, map(self.load_run, reversed([*earlier_names])))

    def has_run(self, run: str) -> bool:
        """Return whether the journal has a run of that name."""
        return bool(self._database.read(lambda execute: execute("SELECT 1 FROM runs WHERE run = ?", (run,))))

    def find_damage(self) -> list[str]:
        """Return what is wrong with the file or its contents; empty if everything can be read."""
        problems = self._database.integrity_errors()
        for name in self.run_names() if not problems else ():
            try:
                self.load_run(name)
                self.history(name)
            except StateError as error:
                problems.append(str(error))
        return problems

    def run_names(self, environment: str | None = None, stage: int | None = None) -> list[str]:
        """Return the names of the runs of an environment and a stage (or of any), oldest first."""
        if stage is not None and abs(stage) >= 2**63:
            return []  # out of range for SQLite
        rows = self._database.read(
            lambda execute: execute(
                "SELECT run FROM runs WHERE (? IS NULL OR environment = ?) AND (? IS NULL OR stage = ?) ORDER BY id",
                (environment, environment, stage, stage),
            )
        )
        return [str(row[0]) for row in rows]

    def finished_drills(self) -> list[StageRun]:
        """Return all drills that have ended, oldest first."""

        def work(execute: Execute) -> list[StageRun]:
            rows = execute(
                "SELECT id, document FROM runs WHERE id IN (SELECT run FROM entries WHERE kind = ?) ORDER BY id",
                (stored_name(DrillFinished),),
            )
            return [self._rebuild(execute, run_id, document) for run_id, document in rows]

        return self._database.read(work)

    def begun_and_initial_run(self, run: str) -> tuple[str, StageRun]:
        """Return when a run began (RFC 3339, UTC), and the run as it was then."""
        begun, document = self._database.read(lambda execute: self._look_up(execute, run, "begun, document"))
        return str(begun), documents.decode_document(StageRun, document)

    # ---- events

    def record_intent(self, run: str, intent: Intent, *, owner: str) -> None:
        """Record what is about to be done. It may start once this has returned.

        :raises LostOwnership: another process owns the run.
        """

        def work(execute: Execute) -> None:
            run_id, _ = self._require_owner(execute, run, owner)
            _append(execute, run_id, documents.INTENT_KIND, documents.to_json(encode(intent)))

        self._database.transact(work)

    def record(self, run: str, event: Event, *, owner: str) -> StageRun:
        """Record what has happened, and return the run after it.

        :raises LostOwnership: another process owns the run.
        :raises IllegalEvent: see :func:`.state_machine.advance`; nothing is written.
        :raises RolloutRefused: a person requested something that is not possible now; nothing is written.
        """
        text = documents.to_json(encode(event))

        def work(execute: Execute) -> StageRun:
            run_id, document = self._require_owner(execute, run, owner)
            updated = advance(self._rebuild(execute, run_id, document), event)
            _append(execute, run_id, stored_name(type(event)), text)
            return updated

        return self._database.transact(work)

    def add_note(self, run: str, text: str, *, urgent: bool = False) -> None:
        """Add a note for readers of the history: a takeover, an interruption, a clock that jumped.

        On a full disk it is dropped, unless it is ``urgent`` because a decision depends on it.
        """

        def work(execute: Execute) -> None:
            run_id, _ = self._look_up(execute, run)
            _append(execute, run_id, documents.NOTE_KIND, documents.to_json(text[:2000]))

        with suppress(DiskFull):
            self._database.transact(work, urgent=urgent)

    def history(self, run: str) -> list[JournalEntry]:
        """Return everything that was recorded about a run except samples, in order."""
        rows = self._database.read(
            lambda execute: execute(
                "SELECT at, kind, entries.document FROM entries JOIN runs ON runs.id = entries.run WHERE runs.run = ? "
                "ORDER BY number",
                (run,),
            )
        )
        return [JournalEntry(at=str(at), content=documents.decode_entry(kind, document)) for at, kind, document in rows]

    def open_intent(self, run: str) -> Intent | None:
        """Return the act that was started and whose end is unknown."""
        records = [entry.content for entry in self.history(run) if not isinstance(entry.content, str)]
        last = records[-1] if records else None
        return last if isinstance(last, Intent) else None

    # ---- samples

    def add_samples(self, run: str, samples: Iterable[Sample], *, owner: str) -> int:
        """Store samples and return how many of them were new. A slot that has a sample keeps it.

        :raises LostOwnership: another process owns the run.
        :raises DiskFull: there is no space left; the samples do not count then.
        """
        rows = [(sample, documents.encode_measurements(sample.measurements)) for sample in samples]

        def work(execute: Execute) -> int:
            run_id, document = self._require_owner(execute, run, owner)
            services = documents.service_names(document)
            return sum(
                len(
                    execute(
                        "INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING slot",
                        (run_id, services.index(sample.service), sample.slot, *astuple(sample.at), text),
                    )
                )
                for sample, text in rows
            )

        return self._database.transact(work, urgent=False)

    def samples(self, run: str, service: str, *, first_slot: int = 1) -> list[Sample]:
        """Return the samples of a service from ``first_slot`` on, by slot."""

        def work(execute: Execute) -> list[Sample]:
            run_id, document = self._look_up(execute, run)
            rows = execute(
                "SELECT slot, wall, boottime, boot, document FROM samples WHERE run = ? AND service = ? AND slot >= ? "
                "ORDER BY slot",
                (run_id, documents.service_number(document, service), first_slot),
            )
            return [
                Sample(
                    service=service,
                    slot=slot,
                    at=Timestamp(wall=wall, boottime=boottime, boot=boot),
                    measurements=documents.decode_measurements(text),
                )
                for slot, wall, boottime, boot, text in rows
            ]

        return self._database.read(work)

    def newest_samples(self, run: str) -> dict[str, tuple[int, Timestamp]]:
        """Return slot and time of the newest sample of each service and, under the key ``""``, slot 0, the start of the
        schedule.
        """

        def work(execute: Execute) -> dict[str, tuple[int, Timestamp]]:
            run_id, document = self._look_up(execute, run)
            names = documents.service_names(document)
            newest = {}
            for index, name in [*enumerate(names), (0, "")]:
                rows = execute(
                    "SELECT slot, wall, boottime, boot FROM samples WHERE run = ? AND service = ? AND slot >= ? "
                    "AND slot <= ? ORDER BY slot DESC LIMIT 1",
                    (run_id, index, *((1, 2**62) if name else (0, 0))),
                )
                for slot, wall, boottime, boot in rows:
                    newest[name] = (int(slot), Timestamp(wall=wall, boottime=boottime, boot=boot))
            return newest

        return self._database.read(work)

    # ---- within a transaction

    def _look_up(self, execute: Execute, run: str, columns: str = "id, document") -> tuple[Any, ...]:
        rows = execute(f"SELECT {columns} FROM runs WHERE run = ?", (run,))
        if not rows:
            raise StateError(f"the journal has no run {run}")
        return tuple(rows[0])

    def _require_owner(self, execute: Execute, run: str, owner: str) -> tuple[int, str]:
        run_id, document, current_owner = self._look_up(execute, run, "id, document, owner")
        if current_owner != owner:
            raise LostOwnership(f"run {run} is now owned by another process; this one stops")
        return run_id, document

    def _rebuild(self, execute: Execute, run_id: int, document: str) -> StageRun:
        run = documents.decode_document(StageRun, document)
        rows = execute(
            "SELECT kind, document FROM entries WHERE run = ? AND kind NOT IN (?, ?) ORDER BY number",
            (run_id, documents.INTENT_KIND, documents.NOTE_KIND),
        )
        try:
            for kind, text in rows:
                run = advance(run, documents.decode_entry(kind, text))  # type: ignore[arg-type]  # the query excludes intents and notes
        except (IllegalEvent, RolloutRefused) as error:
            raise StateError(f"the journal is damaged: {error}, in the history of run {run.run}") from error
        return run


def _append(execute: Execute, run_id: int, kind: str, text: str) -> None:
    execute(
        "INSERT INTO entries SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM entries WHERE run = ?",
        (run_id, clock.now_text(), kind, text, run_id),
    )
