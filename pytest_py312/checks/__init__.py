"""The checks, in the order in which they are asked: a class in this folder and a row here make a new one."""

from pytest_py312.checks.base import Check
from pytest_py312.checks.dependencies import Dependencies
from pytest_py312.checks.libraries import Libraries
from pytest_py312.checks.source import Source
from pytest_py312.checks.suite import SuiteCheck
from pytest_py312.checks.versions import Versions

CHECKS: tuple[Check, ...] = (Source(), Versions(), Dependencies(), Libraries(), SuiteCheck())
