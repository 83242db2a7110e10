"""Distributions that exclude the interpreter they were resolved on, and the older versions that pip would try."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.dependencies.installation.installed_distributions import excluded_by_requires_python, older_than
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from tests.support.fakes import build_of


@pytest.mark.parametrize(
    ("allowed", "out"), [("", False), (">=3.8", False), (">=2.7,<3.5", True), ("!=3.12.*", True), ("what?", False)]
)
def test_a_distribution_may_exclude_an_interpreter(allowed: str, out: bool) -> None:
    entry = StoredDistribution(name="typing", version="3.10.0.0", folder=Path("typing"), requires_python=allowed)
    assert excluded_by_requires_python([entry], build_of("3.12")) == ([entry] if out else [])


def test_an_older_version_is_requested_with_the_same_tools() -> None:
    """Also with the preinstalled setuptools, if the lock has it."""
    versions = {"pytest": "7.0", "typing": "3.10.0.0", "setuptools": "58.1.0"}
    lock = DependencyLock(pins=tuple(Pin(name=name, version=at, line=f"{name}=={at}") for name, at in versions.items()))
    refused = StoredDistribution(name="typing", version="3.10.0.0", folder=Path("typing"))
    build = replace(build_of("3.9"), preinstalled=("setuptools==58.1.0",))
    assert older_than(lock, [refused], build) == ("pytest==7.0", "setuptools==58.1.0", "typing<3.10.0.0")
