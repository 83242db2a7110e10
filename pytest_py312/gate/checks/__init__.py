"""The checks of every run; the session adds optional ones. To add one, write a class here and add it to ``CHECKS``."""

from pytest_py312.gate.checks.check import Check
from pytest_py312.gate.checks.dependencies import DependencyCheck
from pytest_py312.gate.checks.static_analysis import LibraryCheck, SourceCheck, VersionCheck
from pytest_py312.gate.checks.suite import SuiteCheck

CHECKS: tuple[Check, ...] = (SourceCheck(), VersionCheck(), DependencyCheck(), LibraryCheck(), SuiteCheck())
