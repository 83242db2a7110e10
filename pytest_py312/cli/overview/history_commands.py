"""``py312 diff`` and ``py312 history``: what has changed between two runs, and the counts of all of them."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_py312.cli.common import (
    chosen_format,
    existing_path,
    log,
    output_width,
    print_lines,
    uses_unicode,
    write_file,
    write_result,
)
from pytest_py312.core.directories import STATE_FOLDER
from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.readiness import PastRun, RunRecord
from pytest_py312.core.serialization import format_json
from pytest_py312.core.text import TerminalFormat, pluralize
from pytest_py312.gate.history import run_history
from pytest_py312.gate.history.difference_formats import format_html, format_markdown, format_text
from pytest_py312.gate.history.difference_view import DifferenceView, view_of
from pytest_py312.gate.history.differences import compare_runs
from pytest_py312.gate.history.documents import DocumentFault, NoReport, PartOfRun
from pytest_py312.gate.history.history_store import FILE_NAME as HISTORY_FILE
from pytest_py312.gate.history.history_store import HistoryStore, past_run_of
from pytest_py312.gate.history.records import read_record
from pytest_py312.gate.history.stored_runs import FILE_NAME as RUNS_FILE

PIPE_WIDTH = 100
"""Columns of what is not printed to a terminal."""
_STATE_FILES = (HISTORY_FILE, RUNS_FILE, "state.sqlite")
_MAX_DOCUMENTS = 5000
_DIFF_ENDINGS = {"text": (".txt",), "md": (".md",), "html": (".html", ".htm")}
_HISTORY_ENDINGS = {"text": (".txt",), "md": (".md",), "json": (".json",)}


# ---- diff


def diff(options: argparse.Namespace) -> int:
    """Show what has changed from one report to another; return 1 if something is worse."""
    chosen = chosen_format(options.format, options.output, _DIFF_ENDINGS)
    old, new = read_records([options.old, options.new])
    difference = compare_runs(old, new)
    view = view_of(difference)
    if options.output:
        write_file(Path(options.output), _difference_text(view, chosen, options))
    elif chosen == "text":
        print_lines(format_text(view, _page(options, output_width(PIPE_WIDTH))))
    else:
        write_result(_difference_text(view, chosen, options))
    return 1 if difference.worse else 0


def _difference_text(view: DifferenceView, chosen: str, options: argparse.Namespace) -> str:
    if chosen == "text":
        return "".join(f"{line.text}\n" for line in format_text(view, _page(options, PIPE_WIDTH)))
    return format_html(view) if chosen == "html" else format_markdown(view)


def _page(options: argparse.Namespace, width: int) -> TerminalFormat:
    return TerminalFormat(width=width, unicode=uses_unicode(), verbosity=int(options.verbose))


def read_records(files: Sequence[str]) -> list[RunRecord]:
    """Read all reports.

    :raises OptionError: some cannot be read; each is named.
    """
    records, faults = [], []
    for file in files:
        try:
            records.append(read_record(Path(file)))
        except DocumentFault as fault:
            faults.append(f"{file} {fault}")
    if faults:
        raise OptionError("\n".join(faults))
    return records


# ---- history


def history(options: argparse.Namespace) -> int:
    """Show the counts of runs over time; return 1 if a report in the folder cannot be read."""
    chosen = chosen_format(options.format, options.output, _HISTORY_ENDINGS)
    runs, faults = _past_runs(options.path)
    rows = run_history.history_rows(runs)
    formats: dict[str, Callable[[Sequence[run_history.HistoryRow]], str]] = {
        "text": run_history.format_text,
        "md": run_history.format_markdown,
        "json": lambda rows: format_json(run_history.to_document(rows)),
    }
    text = formats[chosen](rows)
    if options.output:
        write_file(Path(options.output), text)
    else:
        write_result(text)
    for fault in faults:
        log(f"py312: {fault}")
    return 1 if faults else 0


def _past_runs(text: str) -> tuple[list[PastRun], list[str]]:
    """Return the runs of a state folder, or of a folder with reports, and what is wrong with some of these.

    The nearest state folder above counts if the given folder has no report.
    """
    path = existing_path(text)
    own, above = _own_state_folder(path), _state_folder_above(path)
    if own is not None:
        return _stored_runs(own), []
    if path.is_file():
        return [past_run_of(record) for record in read_records([text])], []
    if text == "." and above is not None:
        return _stored_runs(above), []
    runs, faults, others = _runs_of_reports(path)
    if runs or faults:
        return runs, faults
    if above is not None:
        return _stored_runs(above), []
    raise OptionError(
        f"{path} has no report of a whole run among {pluralize(others, 'JSON file')}: "
        "--py312-report=FILE.json writes one"
    )


def _stored_runs(state: Path) -> list[PastRun]:
    runs = HistoryStore(state).runs()
    if not runs:
        raise OptionError(f"no run is stored in {state}: `pytest --py312` stores each run")
    return runs


def _own_state_folder(path: Path) -> Path | None:
    """Return the state folder that ``path`` is, is a file of, or has."""
    if path.is_file():
        return path.parent if path.name in _STATE_FILES else None
    if any((path / name).is_file() for name in _STATE_FILES):
        return path
    return path / STATE_FOLDER if (path / STATE_FOLDER).is_dir() else None


def _state_folder_above(path: Path) -> Path | None:
    above = (folder / STATE_FOLDER for folder in path.resolve().parents)
    return next((folder for folder in above if folder.is_dir()), None)


def _runs_of_reports(folder: Path) -> tuple[list[PastRun], list[str], int]:
    """Return the runs of the reports in a folder, the faults of damaged ones, and the number of other JSON files."""
    files = sorted(folder.rglob("*.json"))
    if len(files) > _MAX_DOCUMENTS:
        raise OptionError(f"{folder} has {len(files)} JSON files, more than {_MAX_DOCUMENTS}: choose a smaller folder")
    runs: dict[PastRun, PastRun] = {}
    faults, others = [], 0
    for file in files:
        try:
            past = past_run_of(read_record(file))
        except (NoReport, PartOfRun):
            others += 1
        except DocumentFault as fault:
            faults.append(f"{file} {fault}")
        else:
            runs.setdefault(past.without_origin, past)
    return list(runs.values()), faults, others
