"""The checks, in the order in which they are asked: a class in this folder and a row here make a new one."""

from pytest_py312.gate.checks.check import Check
from pytest_py312.gate.checks.dependencies import Dependencies
from pytest_py312.gate.checks.static_analysis import Libraries, Source
from pytest_py312.gate.checks.suite import SuiteCheck
from pytest_py312.gate.checks.versions import Versions

CHECKS: tuple[Check, ...] = (Source(), Versions(), Dependencies(), Libraries(), SuiteCheck())
