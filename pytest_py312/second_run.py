"""The gate run again after requirements were changed, as a process of its own: it has to agree with the changes.

The same command line in the same folder. A variable tells the second run that it is one, so it changes nothing itself
and there is no third.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312 import command
from pytest_py312.model import SpecifierChange
from pytest_py312.runners.base import Ended

VARIABLE = "PY312_AGAIN"
"""Set in the environment of a second run."""

TIME_LIMIT = 24 * 3600.0
"""Seconds; the limits of cells and commands end it long before."""
SHOWN = 256 * 1024
"""Bytes of its output that are shown: the end of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondRun:
    """How the second run ended. ``exit_code`` is ``None`` where it did not come to one, and ``output`` says why.

    ``disagrees`` are findings that still blame a requirement that was changed, one a line.
    """

    exit_code: int | None
    output: str
    disagrees: tuple[str, ...] = ()


def is_second() -> bool:
    """Whether this process is one."""
    return bool(os.environ.get(VARIABLE))


def run_again(arguments: Sequence[str], folder: Path, changes: Iterable[SpecifierChange]) -> SecondRun:
    """Run pytest with ``arguments`` in ``folder``, and compare what it finds with ``changes``."""
    with tempfile.TemporaryDirectory(prefix="py312-again-") as place:
        report = Path(place) / "report.json"
        done = command.run(
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


def disagreements(document: Mapping[str, Any], changes: Iterable[SpecifierChange]) -> tuple[str, ...]:
    """The findings of a run's JSON ``document`` on the target that blame what was changed."""
    changed = {(change.path, change.name) for change in changes}
    found = (
        finding
        for outcome in document["outcomes"]
        if outcome["check"] == "dependencies" and outcome["interpreter"] == document["target"]
        for finding in outcome["findings"]
        if finding["severity"] == "error" and not finding["waived"]
    )
    return tuple(
        dict.fromkeys(
            f"{finding['path']}:{finding['line']}: {finding['message']}"
            for finding in found
            if any((finding["path"], name) in changed for name in finding["names"])
        )
    )
