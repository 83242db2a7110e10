"""pytest-py312: a pytest gate for moving a repository of Python services to a new Python.

The names below are the public ones, for checks of your own (``docs/reference/plugin-api.md``). Nothing is imported
before one of them is used: this file is read on every pytest run of every project that has the plugin installed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, Status
    from pytest_py312.core.model.fleet import Cell, Fleet, Service
    from pytest_py312.core.model.plan import Plan
    from pytest_py312.core.model.report import Report
    from pytest_py312.gate.checks.check import Check, CheckResult, Facts

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
    "Service",
    "Severity",
    "Status",
    "__version__",
]

_MODULES = {
    "core.model.findings": ("Finding", "Interpreter", "Location", "Outcome", "Severity", "Status"),
    "core.model.fleet": ("Cell", "Fleet", "Service"),
    "core.model.plan": ("Plan",),
    "core.model.report": ("Report",),
    "gate.checks.check": ("Check", "CheckResult", "Facts"),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
