"""``py312 report``: write a report of an earlier run in any format, without running anything."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from pytest_py312.cli.common import existing_path, require_choice, write_file
from pytest_py312.core.directories import STATE_FOLDER, path_in_checkout
from pytest_py312.core.errors import OptionError
from pytest_py312.core.text import escape_terminal
from pytest_py312.gate.history.history_store import HistoryStore
from pytest_py312.gate.history.stored_runs import FILE_NAME, RunStore, StoredRun
from pytest_py312.gate.reports import FORMAT_OF_ENDING, FORMATS, format_of_file, render
from pytest_py312.gate.reports.run_verdict import summarize


def report(options: argparse.Namespace) -> int:
    """Write the report, and return the exit status of its run; 0 for a list of runs."""
    root = _root_of_runs(options)
    store = RunStore(root / STATE_FOLDER)
    if options.list:
        for run in store.runs():
            sys.stdout.write(f"{_describe(run)}\n")
        return 0
    report_format = _format(options)
    run = store.find(options.run)
    stored = store.report(run)
    if report_format == "html" and not stored.history:
        stored = replace(stored, history=HistoryStore(root / STATE_FOLDER).table(stored, run.id))
    content = render(stored, report_format, prefix=path_in_checkout(root))
    if options.output:
        write_file(Path(options.output), content)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    verdict = summarize(stored)
    if not verdict.complete:
        sys.stderr.write(f"py312: run {run.id} is not complete: {escape_terminal(verdict.sentence)}\n")
    return int(stored.exit_status if run.exit_status is None else run.exit_status)


def _root_of_runs(options: argparse.Namespace) -> Path:
    """Return the folder of the plan, or the nearest one around the path that has stored runs: no plan is read."""
    if options.plan is not None:
        return Path(options.plan).resolve().parent
    start = existing_path(options.path).resolve()
    for folder in (start, *start.parents):
        if (folder / STATE_FOLDER / FILE_NAME).is_file():
            return folder
        if (folder / ".git").exists():
            break
    return start


def _format(options: argparse.Namespace) -> str:
    if options.format:
        return require_choice("--format", options.format, FORMATS)
    by_ending = format_of_file(Path(options.output).name) if options.output else "md"
    if not by_ending:
        raise OptionError(
            f"--output {options.output}: give --format, or one of these endings: {', '.join(FORMAT_OF_ENDING)}"
        )
    return by_ending


def _describe(run: StoredRun) -> str:
    if run.exit_status is None:
        end = "no report: it is still running, or was killed before its end"
    else:
        end = f"exit {run.exit_status}  {escape_terminal(run.summary)}"
    return f"{escape_terminal(run.id)}  {escape_terminal(run.began)}  {end}"
