"""Verify applied fixes by running the gate a second time, in a separate process.

It has the same command line and working directory. An environment variable marks it as the second run, so it applies no
fixes and starts no further run.
"""

import json
import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312.core import process
from pytest_py312.core.model.findings import SourceChange, SpecifierChange
from pytest_py312.core.process import ExitReason

SECOND_RUN_VARIABLE = "PY312_AGAIN"
"""Environment variable that marks a second run."""

TIME_LIMIT = 24 * 3600.0
"""Time limit in seconds. The limits of cells and commands normally end the run long before."""
OUTPUT_LIMIT = 256 * 1024
"""Maximum size of the output that is kept, in bytes: its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondRun:
    """The result of the second run. ``exit_code`` is ``None`` if it did not exit; ``output`` then has the reason.

    ``disagreements`` are the findings on what was changed, one per line.
    """

    exit_code: int | None
    output: str
    disagreements: tuple[str, ...] = ()


def is_second_run() -> bool:
    """Return whether this process is a second run."""
    return bool(os.environ.get(SECOND_RUN_VARIABLE))


AppliedChanges = Iterable[SpecifierChange | SourceChange]


def run_second_time(
    arguments: Sequence[str], folder: Path, changes: AppliedChanges, moved: Collection[str] = ()
) -> SecondRun:
    """Run pytest with ``arguments`` in ``folder``; compare its findings with ``changes`` and the ``moved`` services."""
    with tempfile.TemporaryDirectory(prefix="py312-again-") as report_folder:
        report = Path(report_folder) / "report.json"
        result = process.run(
            [sys.executable, "-m", "pytest", *arguments, f"--py312-report={report}"],
            cwd=folder,
            env={**os.environ, SECOND_RUN_VARIABLE: "1"},
            time_limit=TIME_LIMIT,
            tail_limit=OUTPUT_LIMIT,
            merge_stderr=True,
        )
        document = _read_report(report)
    lines = (result.stdout or result.stderr).splitlines(keepends=True)
    output = "".join(line for line in lines if report_folder not in line)  # it is gone
    if result.exit_reason is not ExitReason.EXITED or result.exit_code is None:
        return SecondRun(exit_code=None, output=f"{output}\nit was ended: {result.exit_reason.value}")
    if document is None:
        return SecondRun(exit_code=result.exit_code or None, output=output)
    return SecondRun(
        exit_code=result.exit_code, output=output, disagreements=find_disagreements(document, changes, moved)
    )


def _read_report(report: Path) -> Mapping[str, Any] | None:
    try:
        document = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def find_disagreements(
    document: Mapping[str, Any], changes: AppliedChanges, moved: Collection[str] = ()
) -> tuple[str, ...]:
    """Return what a JSON report has against the changes, one line each.

    These are findings on changed requirements on the target, or on source, and checks of ``moved`` services, which were
    ready, that say otherwise now.
    """
    changed = list(changes)
    requirements = {(change.path, change.name) for change in changed if isinstance(change, SpecifierChange)}
    source = {(change.path, change.old) for change in changed if isinstance(change, SourceChange)}
    blaming_findings = (
        finding
        for outcome in document["outcomes"]
        for finding in outcome["findings"]
        if not finding["waived"]
        and (
            (
                outcome["check"] == "source"
                and any((change["path"], change["old"]) in source for change in finding["changes"])
            )
            or (
                (outcome["check"], outcome["interpreter"]) == ("dependencies", document["target"])
                and finding["severity"] == "error"
                and any((finding["path"], name) in requirements for name in finding["names"])
            )
        )
    )
    lines = (f"{finding['path']}:{finding['line']}: {finding['message']}" for finding in blaming_findings)
    return tuple(dict.fromkeys((*lines, *_unready_checks(document, moved))))


def _unready_checks(document: Mapping[str, Any], moved: Collection[str]) -> Iterator[str]:
    words = {"failed": "failed", "errored": "could not be checked"}
    for outcome in document["outcomes"] if moved else ():
        if outcome["service"] in moved and outcome["status"] in words:
            on = f" on {outcome['interpreter']}" if outcome["interpreter"] else ""
            word = words[outcome["status"]]
            yield f"{outcome['service']}: {outcome['check']}{on} {word} after its versions were changed"
