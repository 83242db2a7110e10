"""Hooks with which other plugins and a repository's ``conftest.py`` can extend the gate."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_py312.core.model.fleet import Fleet
    from pytest_py312.core.model.plan import Plan
    from pytest_py312.core.model.report import Report
    from pytest_py312.gate.checks.check import Check


@pytest.hookspec
def pytest_py312_checks(config: pytest.Config) -> "Sequence[Check]":  # type: ignore[empty-body]  # a specification
    """Return additional checks (:class:`~pytest_py312.gate.checks.check.Check`), run after the built-in ones."""


@pytest.hookspec
def pytest_py312_fleet(config: pytest.Config, plan: "Plan", fleet: "Fleet") -> None:
    """Called when the services are known, before any is selected."""


@pytest.hookspec
def pytest_py312_report(config: pytest.Config, report: "Report") -> None:
    """Called with the report of the run, after the last item, before the summary is shown."""
