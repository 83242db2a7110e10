"""The counts of runs over time, for a terminal, as Markdown, as JSON, and as rows of a page. Pure.

A run of one stage says nothing about the others. What has changed is therefore compared with the last verdict on the
same service, whichever run it is from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.core.model.readiness import PastRun, ServiceVerdict
from pytest_py312.core.text import display_width, escape_markdown, escape_terminal, list_names, markdown_table, pad
from pytest_py312.gate.history.difference_view import COUNT_TITLES, count_verdicts, describe_commit, short_time

TITLES = ("Ended", "Commit", "Target", "Services", *COUNT_TITLES, "Exit", "Since the run before")
NO_REPORT = "no report: it was ended before, or is still running"
NO_VERDICTS = "one part of a divided run, or stored by another version"
_NAMES = 3
MAX_ROWS_IN_REPORT = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryRow:
    """One run as it is shown. ``counts`` are in the order of :data:`COUNT_TITLES`; empty if nothing is known."""

    run: PastRun
    counts: tuple[int, ...]
    change: str
    """What has changed since the last verdicts on the same services, or why nothing is known."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts in the order of :data:`TITLES`."""
        run = self.run
        exit_status = "" if run.exit_status is None else str(run.exit_status)
        numbers = [str(count) for count in self.counts] or [""] * len(COUNT_TITLES)
        commit = describe_commit(run.commit, run.branch, modified=run.modified)
        return short_time(run.ended_at), commit, run.target, _scope(run), *numbers, exit_status, self.change


def history_rows(runs: Iterable[PastRun]) -> list[HistoryRow]:
    """Return a row for each run, the oldest first."""
    rows: list[HistoryRow] = []
    last_verdicts: dict[tuple[str, str], ServiceVerdict] = {}
    for run in sorted(runs, key=lambda past: past.ended_at):
        if not run.verdicts:
            change = NO_REPORT if run.exit_status is None else NO_VERDICTS
            rows.append(HistoryRow(run=run, counts=(), change=change))
            continue
        current = {(run.target, name): verdict for name, verdict in run.verdicts}
        rows.append(HistoryRow(run=run, counts=count_verdicts(run), change=_describe_change(last_verdicts, current)))
        last_verdicts |= current
    return rows


def history_table(runs: Iterable[PastRun]) -> tuple[tuple[str, ...], ...]:
    """Return the titles and the rows of the newest runs, for a report."""
    return (TITLES, *(row.cells for row in history_rows(runs)[-MAX_ROWS_IN_REPORT:]))


def _describe_change(
    earlier: Mapping[tuple[str, str], ServiceVerdict], now: Mapping[tuple[str, str], ServiceVerdict]
) -> str:
    compared = [key for key in now if key in earlier]
    if not compared:
        return "the first run of these services"
    changed = [key for key in compared if earlier[key] is not now[key]]
    parts = []
    for verdict in ServiceVerdict:
        names = [name for target, name in changed if now[target, name] is verdict]
        if names:
            parts.append(f"{verdict.value} now: {list_names(names, _NAMES)}")
    return "; ".join(parts) or "no change"


def _scope(run: PastRun) -> str:
    """Return the number of services, and of which stages they are unless of all."""
    if not run.verdicts:
        return ""
    stages = "" if run.all_stages else f" (stage{'s' if len(run.stages) > 1 else ''} {', '.join(map(str, run.stages))})"
    return f"{len(run.verdicts)}{stages}{'' if run.complete else ', not complete'}"


# ---- formats


def format_text(rows: Sequence[HistoryRow]) -> str:
    """Return a table for a terminal, the newest run last."""
    table = [tuple(title.lower() for title in TITLES), *([escape_terminal(cell) for cell in row.cells] for row in rows)]
    widths = [max(map(display_width, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(pad(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in table]
    return "\n".join(lines) + "\n"


def format_markdown(rows: Sequence[HistoryRow]) -> str:
    """Return a Markdown table, the newest run first: a reader of a page begins at its top."""
    titles = [title[:1].upper() + title[1:] for title in TITLES]
    cells = [[escape_markdown(escape_terminal(cell)) for cell in row.cells] for row in reversed(rows)]
    return "\n".join(markdown_table(titles, cells)) + "\n"


def to_document(rows: Sequence[HistoryRow]) -> dict[str, Any]:
    """Return a JSON document, the oldest run first."""
    return {"schema": 1, "kind": "history of runs", "runs": [_run_document(row) for row in rows]}


def _run_document(row: HistoryRow) -> dict[str, Any]:
    run = row.run
    ready, blocked, unchecked = row.counts or (None, None, None)
    return {
        "run": run.origin,
        "ended": run.ended_at,
        "target": run.target,
        "commit": run.commit,
        "branch": run.branch,
        "modified": run.modified,
        "stages": list(run.stages),
        "all_stages": run.all_stages,
        "complete": run.complete,
        "exit_status": run.exit_status,
        "ready": ready,
        "blocked": blocked,
        "not_checked": unchecked,
        "services": {name: verdict.value for name, verdict in run.verdicts},
    }
