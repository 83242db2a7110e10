"""Hooks with which other plugins and a repository's ``conftest.py`` can extend the gate."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pytest_py312.core.model.findings import Finding
    from pytest_py312.core.model.fleet import Fleet, Service
    from pytest_py312.core.model.plan import Plan
    from pytest_py312.core.model.report import Report, ReportSection
    from pytest_py312.dependencies.resolution.resolvers import Resolver
    from pytest_py312.gate.checks.check import Check
    from pytest_py312.repository.plan.rollout_settings import RolloutSettings
    from pytest_py312.rollout.targets.target import Target
    from pytest_py312.runners.runner import Runner


@pytest.hookspec
def pytest_py312_services(config: pytest.Config, plan: "Plan", services: "list[Service]") -> None:
    """Add, replace or remove services, in place, before any is selected. Each change is reported as an assumption."""


@pytest.hookspec
def pytest_py312_checks(config: pytest.Config) -> "Sequence[Check]":  # type: ignore[empty-body]  # a specification
    """Return additional checks (:class:`~pytest_py312.gate.checks.check.Check`), run after the built-in ones."""


@pytest.hookspec
def pytest_py312_fleet(config: pytest.Config, plan: "Plan", fleet: "Fleet") -> None:
    """Called when the services are known, before any is selected."""


@pytest.hookspec(firstresult=True)
def pytest_py312_finding(config: pytest.Config, service: "Service", finding: "Finding") -> "Finding | None":
    """Return a finding with another severity, remedy or owner; ``None`` to leave it to others.

    A severity that is lowered is shown as such in the reports. Nothing else of a finding can be changed.
    """


@pytest.hookspec(firstresult=True)
def pytest_py312_runner(config: pytest.Config, plan: "Plan", runner: "Runner") -> "Runner | None":
    """Return what runs the cells in place of ``runner``, which it may use; ``None`` for that."""


@pytest.hookspec(firstresult=True)
def pytest_py312_resolver(
    config: pytest.Config, plan: "Plan", resolver: "Resolver", runner: "Runner"
) -> "Resolver | None":
    """Return what resolves requirements in place of ``resolver``, which it may use; ``None`` for that."""


@pytest.hookspec
def pytest_py312_verdict(config: pytest.Config, report: "Report") -> "Sequence[str]":  # type: ignore[empty-body]
    """Return reasons why the run must not be green, as clauses. A run that is not proven stays so."""


@pytest.hookspec(firstresult=True)
def pytest_py312_target(
    config: pytest.Config, settings: "RolloutSettings", environment: str
) -> "AbstractContextManager[Target] | None":
    """Return what connects the target of an environment; ``None`` for that of the plan. For rollouts by pytest."""


@pytest.hookspec
def pytest_py312_report_sections(  # type: ignore[empty-body]  # a specification
    config: pytest.Config, report: "Report"
) -> "Sequence[ReportSection]":
    """Return sections for the terminal, Markdown and JSON: a title and text."""


@pytest.hookspec
def pytest_py312_report(config: pytest.Config, report: "Report") -> None:
    """Called with the report of the run, after the last item, before the summary is shown."""
