"""Check whether the programs of acceptance tests can be started: a stage without results would be held."""

import shutil
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.text import error_line
from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings, RolloutSettings
from pytest_py312.rollout.preflight.health_rows import HealthRow, HealthStatus

TIMEOUT = 60.0
"""Seconds for an import of pytest."""


def acceptance_rows(settings: RolloutSettings, root: Path, stage: int | None) -> list[HealthRow]:
    """Return a row for the acceptance tests of a stage, or of all stages.

    :param root: of the repository.
    """
    return [
        _acceptance_row(tests, _find_problem(tests, root))
        for number, tests in settings.acceptance
        if stage in (None, number)
    ]


def _acceptance_row(tests: AcceptanceSettings, problem: str) -> HealthRow:
    remedy = "install it, or correct `command`"
    if tests.pytest:
        remedy = "install pytest there, or name the interpreter of the tests as `python`"
    return HealthRow(
        area="acceptance",
        what=tests.name,
        health=HealthStatus.PROBLEM if problem else HealthStatus.OK,
        detail=problem or tests.description,
        remedy=remedy if problem else "",
    )


def _find_problem(tests: AcceptanceSettings, root: Path) -> str:
    """Return why the tests could not be started; empty if they could."""
    if tests.pytest:
        result = process.run((tests.interpreter(root), "-c", "import pytest"), time_limit=TIMEOUT)
        return "" if result.ok else error_line(result.stderr) or f"pytest: {result.exit_reason.value}"
    program = tests.command[0]
    place = str(root / tests.folder / program) if "/" in program else program
    return "" if shutil.which(place) else f"there is no program {program}"
