"""The gate run again after requirements or source were changed, in a process of its own: it has to agree with them.

The same command line in the same folder. A variable tells the second run that it is one, so it changes nothing itself
and there is no third.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312.core import process
from pytest_py312.core.model.findings import SourceChange, SpecifierChange
from pytest_py312.core.process import Ended

VARIABLE = "PY312_AGAIN"
"""Set in the environment of a second run."""

TIME_LIMIT = 24 * 3600.0
"""Seconds; the limits of cells and commands end it long before."""
SHOWN = 256 * 1024
"""Bytes of its output that are shown: the end of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondRun:
    """How the second run ended. ``exit_code`` is ``None`` where it did not come to one, and ``output`` says why.

    ``disagrees`` are findings that still blame what was changed, one a line.
    """

    exit_code: int | None
    output: str
    disagrees: tuple[str, ...] = ()


def is_second() -> bool:
    """Whether this process is one."""
    return bool(os.environ.get(VARIABLE))


Changes = Iterable[SpecifierChange | SourceChange]


def run_again(arguments: Sequence[str], folder: Path, changes: Changes) -> SecondRun:
    """Run pytest with ``arguments`` in ``folder``, and compare what it finds with ``changes``."""
    with tempfile.TemporaryDirectory(prefix="py312-again-") as place:
        report = Path(place) / "report.json"
        done = process.run(
            [sys.executable, "-m", "pytest", *arguments, f"--py312-report={report}"],
            cwd=folder,
            env={**os.environ, VARIABLE: "1"},
            time_limit=TIME_LIMIT,
            tail=SHOWN,
            merge=True,
        )
        document = _read(report)
    output = done.stdout or done.stderr
    if done.ended is not Ended.EXITED or done.exit_code is None:
        return SecondRun(exit_code=None, output=f"{output}\nit was ended: {done.ended.value}")
    if document is None:
        return SecondRun(exit_code=done.exit_code or None, output=output)
    return SecondRun(exit_code=done.exit_code, output=output, disagrees=disagreements(document, changes))


def _read(report: Path) -> Mapping[str, Any] | None:
    try:
        document = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def disagreements(document: Mapping[str, Any], changes: Changes) -> tuple[str, ...]:
    """The findings of a run's JSON ``document`` that blame what was changed: requirements on the target, or source."""
    changed = list(changes)
    requirements = {(change.path, change.name) for change in changed if isinstance(change, SpecifierChange)}
    source = {(change.path, change.old) for change in changed if isinstance(change, SourceChange)}
    found = (
        finding
        for outcome in document["outcomes"]
        for finding in outcome["findings"]
        if not finding["waived"]
        and (
            (outcome["check"] == "source" and _is_of_source(finding, source))
            or (
                (outcome["check"], outcome["interpreter"]) == ("dependencies", document["target"])
                and finding["severity"] == "error"
                and any((finding["path"], name) in requirements for name in finding["names"])
            )
        )
    )
    return tuple(dict.fromkeys(f"{finding['path']}:{finding['line']}: {finding['message']}" for finding in found))


def _is_of_source(finding: Mapping[str, Any], changed: Set[tuple[str, str]]) -> bool:
    """Whether it is a finding that had such a change: only these have some of their own."""
    return any((change["path"], change["old"]) in changed for change in finding["changes"])
