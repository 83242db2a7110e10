"""pytest-py312: a pytest gate for moving a repository of Python services to a new Python.

The names below are the public ones, for checks of your own (``docs/reference/plugin-api.md``). Nothing is imported
before one of them is used: this file is read on every pytest run of every project that has the plugin installed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, Status
    from pytest_py312.core.model.fleet import Cell, Fleet, RequirementSource, Service
    from pytest_py312.core.model.plan import Plan, ServiceSettings, Suite, SuiteKind
    from pytest_py312.core.model.report import Report, ReportSection
    from pytest_py312.dependencies.resolution.resolvers import Resolver
    from pytest_py312.gate.checks.check import Check, CheckResult, Facts
    from pytest_py312.rollout.targets.target import Target
    from pytest_py312.runners.runner import Runner

__version__ = "0.1.0"
__all__ = [
    "Cell",
    "Check",
    "CheckResult",
    "Facts",
    "Finding",
    "Fleet",
    "Interpreter",
    "Location",
    "Outcome",
    "Plan",
    "Report",
    "ReportSection",
    "RequirementSource",
    "Resolver",
    "Runner",
    "Service",
    "ServiceSettings",
    "Severity",
    "Status",
    "Suite",
    "SuiteKind",
    "Target",
    "__version__",
]

_MODULES = {
    "core.model.findings": ("Finding", "Interpreter", "Location", "Outcome", "Severity", "Status"),
    "core.model.fleet": ("Cell", "Fleet", "RequirementSource", "Service"),
    "core.model.plan": ("Plan", "ServiceSettings", "Suite", "SuiteKind"),
    "core.model.report": ("Report", "ReportSection"),
    "dependencies.resolution.resolvers": ("Resolver",),
    "gate.checks.check": ("Check", "CheckResult", "Facts"),
    "rollout.targets.target": ("Target",),
    "runners.runner": ("Runner",),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
