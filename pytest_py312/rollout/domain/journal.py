"""What was intended, what came of it and what was measured, written down so that any process can go on from it.

``.py312/rollout.sqlite`` beside the plan, apart from the state file: that one may be thrown away, this one not. An
intent stands in it before its act is begun and an event after it has ended; a run is what its events make of it. Only
the process that holds a run may write to it, which each write looks up anew: one that was taken for dead and is not
does no harm any more.

The measurements of a sample as the journal keeps them: as little text as will do, as there are a million of them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.core import clock
from pytest_py312.core.database import SMALLEST_ROOM, Database, Execute
from pytest_py312.core.errors import RolloutRefused, StateError
from pytest_py312.core.serialization import decode, encode
from pytest_py312.rollout.domain import events
from pytest_py312.rollout.domain.events import Event
from pytest_py312.rollout.domain.model import Intent, Measurement, Moment, Result, Sample, StageRun
from pytest_py312.rollout.domain.run_history import below_of, newest_of
from pytest_py312.rollout.domain.state_machine import IllegalEvent, advance

FILE = "rollout.sqlite"
VERSION = 1
MOST_BYTES = 2 * 1024**3
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
INTENT = "intent"
NOTE = "note"
LEFT = "left by "
"""Begins the owner of a run that nobody holds; who did so last follows."""
_EVENTS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in vars(events).values()
    if isinstance(kind, type) and kind.__module__ == events.__name__
}
_T = TypeVar("_T")


class LostRun(RolloutRefused):
    """Another process holds the run by now. Whoever gets this touches nothing any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of a run's history. ``what`` is an event, an intent, or the text of a note."""

    at: str
    what: Event | Intent | str


class Journal:
    """An open journal. All methods raise :class:`~pytest_py312.core.errors.StateError` when it cannot be used.

    ``owner`` is any text that tells one process from all others; see :meth:`take`.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / FILE, schema=SCHEMA, version=VERSION, most_bytes=MOST_BYTES)

    def close(self) -> None:
        self._database.close()

    @property
    def identity(self) -> str:
        """Tells this journal from all others, wherever its folder is moved."""
        return str(self._database.read(lambda execute: execute("SELECT name FROM identity", ()))[0][0])

    # ---- runs

    def begin(self, run: StageRun, *, owner: str, keep: int = 5) -> None:
        """Write a new run down; the samples of old ones are forgotten, but for the newest ``keep`` of each stage.

        :raises RolloutRefused: there is too little room to write a rollout down to its end.
        """
        if self._database.room < SMALLEST_ROOM:
            raise RolloutRefused(
                f"there are only {self._database.room // 1024**2} MiB left where the journal lies; a rollout is not "
                f"begun with less than {SMALLEST_ROOM // 1024**2} MiB"
            )
        values = (run.run, run.environment, run.stage, clock.now_text(), owner, _text(encode(run)))

        def work(execute: Execute) -> None:
            execute(
                "INSERT INTO runs (run, environment, stage, begun, owner, document) VALUES (?, ?, ?, ?, ?, ?)", values
            )
            execute(
                "DELETE FROM samples WHERE run IN (SELECT id FROM runs WHERE environment = ?1 AND stage = ?2) "
                "AND run NOT IN (SELECT id FROM runs WHERE environment = ?1 AND stage = ?2 ORDER BY id DESC LIMIT ?3)",
                (run.environment, run.stage, max(1, keep)),
            )

        self._database.transact(work)

    def take(self, run: str, *, owner: str) -> StageRun:
        """Hold a run from now on: whoever held it before can write to it no more."""

        def work(execute: Execute) -> StageRun:
            number, document = self._known(execute, run)
            execute("UPDATE runs SET owner = ? WHERE id = ?", (owner, number))
            return self._made(execute, number, document)

        return self._database.transact(work)

    def leave(self, run: str, *, owner: str) -> None:
        """Hold a run no longer, and say so: another process may take it, wherever it runs.

        :raises LostRun: another process holds the run.
        """

        def work(execute: Execute) -> None:
            number, _ = self._held(execute, run, owner)
            execute("UPDATE runs SET owner = ? WHERE id = ?", (f"{LEFT}{owner}", number))

        self._database.transact(work)

    def owner(self, run: str) -> str:
        """Who holds a run, with :data:`LEFT` before it who was the last to do so; empty where there is none."""
        rows = self._database.read(lambda execute: execute("SELECT owner FROM runs WHERE run = ?", (run,)))
        return str(rows[0][0]) if rows else ""

    def run(self, run: str) -> StageRun:
        """A run as far as it has come.

        :raises StateError: also when there is none of that name.
        """
        return self._database.read(lambda execute: self._made(execute, *self._known(execute, run)))

    def newest(self, environment: str | None = None) -> list[StageRun]:
        """How each stage stands in each environment, or in one: its newest run, see :func:`.run_history.newest_of`; by
        environment, then by stage."""

        def work(execute: Execute) -> list[StageRun]:
            rows = execute(
                "SELECT environment, stage, id, document FROM runs WHERE ?1 IS NULL OR environment = ?1 "
                "ORDER BY environment, stage, id DESC",
                (environment,),
            )
            found = []
            for _, of_stage in groupby(rows, key=lambda row: (row[0], row[1])):
                found.append(newest_of(self._made(execute, number, document) for _, _, number, document in of_stage))
            return found

        return self._database.read(work)

    def below(self, run: StageRun) -> StageRun | None:
        """The run of the same stage that serves again since ``run`` was brought back, see
        :func:`.run_history.below_of`.
        """
        earlier = takewhile(lambda name: name != run.run, self.names(run.environment, run.stage))
        return below_of(run, map(self.run, reversed([*earlier])))

    def knows(self, run: str) -> bool:
        return bool(self._database.read(lambda execute: execute("SELECT 1 FROM runs WHERE run = ?", (run,))))

    def damage(self) -> list[str]:
        """What is wrong with the file, or with what stands in it; nothing where all of it can be read."""
        found = self._database.damage()
        for name in self.names() if not found else ():
            try:
                self.run(name)
                self.history(name)
            except StateError as error:
                found.append(str(error))
        return found

    def names(self, environment: str | None = None, stage: int | None = None) -> list[str]:
        """All runs of an environment and a stage (or of any), the oldest first."""
        if stage is not None and abs(stage) >= 2**63:
            return []  # more than SQLite can be asked for
        rows = self._database.read(
            lambda execute: execute(
                "SELECT run FROM runs WHERE (?1 IS NULL OR environment = ?1) AND (?2 IS NULL OR stage = ?2) "
                "ORDER BY id",
                (environment, stage),
            )
        )
        return [str(row[0]) for row in rows]

    def drills(self) -> list[StageRun]:
        """All runs that were drills and came to an end, the oldest first."""

        def work(execute: Execute) -> list[StageRun]:
            found = execute(
                "SELECT id, document FROM runs WHERE id IN (SELECT run FROM entries WHERE kind = ?) ORDER BY id",
                (events.Drilled.__name__,),
            )
            return [self._made(execute, number, document) for number, document in found]

        return self._database.read(work)

    def begun(self, run: str) -> tuple[str, StageRun]:
        """When a run was begun (RFC 3339, UTC), and the run as it was then."""
        rows = self._database.read(lambda execute: execute("SELECT begun, document FROM runs WHERE run = ?", (run,)))
        if not rows:
            raise StateError(f"the journal knows no run {run}")
        return str(rows[0][0]), _decoded(StageRun, rows[0][1])

    # ---- what happens to them

    def intend(self, run: str, intent: Intent, *, owner: str) -> None:
        """Write down what is about to be done. It may be begun once this has returned.

        :raises LostRun: another process holds the run.
        """

        def work(execute: Execute) -> None:
            number, _ = self._held(execute, run, owner)
            _append(execute, number, INTENT, _text(encode(intent)))

        self._database.transact(work)

    def record(self, run: str, event: Event, *, owner: str) -> StageRun:
        """Write down what has happened, and say what becomes of the run by it.

        :raises LostRun: another process holds the run.
        :raises IllegalEvent: as :func:`.state_machine.advance`; nothing is written.
        :raises RolloutRefused: as there.
        """
        text = _text(encode(event))

        def work(execute: Execute) -> StageRun:
            number, document = self._held(execute, run, owner)
            after = advance(self._made(execute, number, document), event)
            _append(execute, number, type(event).__name__, text)
            return after

        return self._database.transact(work)

    def note(self, run: str, text: str) -> None:
        """Write down something for whoever reads the history: a takeover, an interruption, a clock that jumped."""

        def work(execute: Execute) -> None:
            number, _ = self._known(execute, run)
            _append(execute, number, NOTE, _text(text[:2000]))

        self._database.transact(work)

    def history(self, run: str) -> list[Entry]:
        """All that was written down about a run, in turn; samples apart."""
        rows = self._database.read(
            lambda execute: execute(
                "SELECT at, kind, entries.document FROM entries JOIN runs ON runs.id = entries.run WHERE runs.run = ? "
                "ORDER BY number",
                (run,),
            )
        )
        return [Entry(at=str(at), what=_entry(kind, document)) for at, kind, document in rows]

    def open_intent(self, run: str) -> Intent | None:
        """The act that was begun and of whose end nothing is known."""
        written = [entry.what for entry in self.history(run) if not isinstance(entry.what, str)]
        last = written[-1] if written else None
        return last if isinstance(last, Intent) else None

    # ---- samples

    def keep_samples(self, run: str, samples: Iterable[Sample], *, owner: str) -> int:
        """Keep samples and say how many of them were new: a slot that has one keeps it.

        :raises LostRun: another process holds the run.
        :raises DiskFull: there is no room. They then do not count.
        """
        rows = [(sample, text_of(sample.measurements)) for sample in samples]

        def work(execute: Execute) -> int:
            number, document = self._held(execute, run, owner)
            services = _services(document)
            return sum(
                len(
                    execute(
                        "INSERT OR IGNORE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING slot",
                        (number, services.index(sample.service), sample.slot, *_clocks(sample.at), text),
                    )
                )
                for sample, text in rows
            )

        return self._database.transact(work, urgent=False)

    def samples(self, run: str, service: str, *, first_slot: int = 1) -> list[Sample]:
        """The samples of a service from ``first_slot`` on, by slot."""
        return self._database.read(lambda execute: self._samples(execute, run, service, first_slot))

    def newest_samples(self, run: str) -> dict[str, tuple[int, Moment]]:
        """Service -> slot and moment of its newest sample, and of the one that began the schedule under ``""``."""

        def work(execute: Execute) -> dict[str, tuple[int, Moment]]:
            number, document = self._known(execute, run)
            names = _services(document)
            found = {}
            for index, name in [*enumerate(names), (0, "")]:
                rows = execute(
                    "SELECT slot, wall, boottime, boot FROM samples WHERE run = ? AND service = ? AND slot >= ? "
                    "AND slot <= ? ORDER BY slot DESC LIMIT 1",
                    (number, index, *((1, 2**62) if name else (0, 0))),
                )
                for slot, wall, boottime, boot in rows:
                    found[name] = (int(slot), Moment(wall=wall, boottime=boottime, boot=boot))
            return found

        return self._database.read(work)

    def _samples(self, execute: Execute, run: str, service: str, first_slot: int) -> list[Sample]:
        number, document = self._known(execute, run)
        rows = execute(
            "SELECT slot, wall, boottime, boot, document FROM samples WHERE run = ? AND service = ? AND slot >= ? "
            "ORDER BY slot",
            (number, _services(document).index(service), first_slot),
        )
        return [
            Sample(
                service=service,
                slot=slot,
                at=Moment(wall=wall, boottime=boottime, boot=boot),
                measurements=measurements_in(text),
            )
            for slot, wall, boottime, boot, text in rows
        ]

    # ---- within a transaction

    def _known(self, execute: Execute, run: str) -> tuple[int, str]:
        rows = execute("SELECT id, document FROM runs WHERE run = ?", (run,))
        if not rows:
            raise StateError(f"the journal knows no run {run}")
        return rows[0][0], rows[0][1]

    def _held(self, execute: Execute, run: str, owner: str) -> tuple[int, str]:
        number, document = self._known(execute, run)
        found = execute("SELECT owner FROM runs WHERE id = ?", (number,))[0][0]
        if found != owner:
            raise LostRun(f"another process has taken run {run} over; this one touches nothing any more")
        return number, document

    def _made(self, execute: Execute, number: int, document: str) -> StageRun:
        run = _decoded(StageRun, document)
        rows = execute(
            "SELECT kind, document FROM entries WHERE run = ? AND kind NOT IN (?, ?) ORDER BY number",
            (number, INTENT, NOTE),
        )
        try:
            for kind, text in rows:
                run = advance(run, _entry(kind, text))  # type: ignore[arg-type]  # neither intents nor notes among them
        except (IllegalEvent, RolloutRefused) as error:
            raise StateError(f"the journal is damaged: {error}, in the history of run {run.run}") from error
        return run


def _append(execute: Execute, number: int, kind: str, text: str) -> None:
    execute(
        "INSERT INTO entries SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4 FROM entries WHERE run = ?1",
        (number, clock.now_text(), kind, text),
    )


def _text(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


def _decoded(kind: type[_T], text: str) -> _T:
    try:
        return decode(kind, json.loads(text))
    except (ValueError, RecursionError) as error:
        raise StateError(f"the journal is damaged: a {kind.__name__} in it cannot be read ({error})") from error


def _entry(kind: str, text: str) -> Event | Intent | str:
    if kind == NOTE:
        return str(json.loads(text))
    known: type[Any] | None = Intent if kind == INTENT else _EVENTS.get(kind)
    if known is None:
        raise StateError(
            f"the journal has an entry of the unknown kind {kind!r}: a newer version of this tool has written it, and "
            "is to be used for it; or it is damaged"
        )
    return _decoded(known, text)  # type: ignore[no-any-return]  # of the kind that was asked for


def _services(document: str) -> list[str]:
    return [str(one["spec"]["service"]) for one in json.loads(document)["deployments"]]


def _clocks(at: Moment) -> tuple[float, float, str]:
    return at.wall, at.boottime, at.boot


_LETTERS = {Result.SUCCESSFUL: "s", Result.FAILED: "f", Result.INCONCLUSIVE: "i", Result.ERROR: "e"}
_RESULTS = {letter: result for result, letter in _LETTERS.items()}
MOST_DETAIL = 300
"""Characters of what is kept as evidence."""


def text_of(measurements: Sequence[Measurement]) -> str:
    """One line of JSON."""
    rows = [
        [one.metric, _LETTERS[one.result], one.value, *([one.detail[:MOST_DETAIL]] if one.detail else [])]
        for one in measurements
    ]
    return json.dumps(rows, separators=(",", ":"))


def measurements_in(text: str) -> tuple[Measurement, ...]:
    """What :func:`text_of` was given."""
    return tuple(
        Measurement(metric=metric, result=_RESULTS[letter], value=value, detail=detail[0] if detail else "")
        for metric, letter, value, *detail in json.loads(text)
    )
