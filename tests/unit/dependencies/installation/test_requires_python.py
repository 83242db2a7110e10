"""What does not allow the interpreter it was resolved on, and what pip would look for instead."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.dependencies.installation.distribution_store import Entry
from pytest_py312.dependencies.installation.requests import older, shut_out
from pytest_py312.dependencies.resolution.lock import Lock, Pin
from tests.support.fakes import build_of


@pytest.mark.parametrize(
    ("allowed", "out"), [("", False), (">=3.8", False), (">=2.7,<3.5", True), ("!=3.12.*", True), ("what?", False)]
)
def test_a_distribution_may_shut_an_interpreter_out(allowed: str, out: bool) -> None:
    entry = Entry(name="typing", version="3.10.0.0", folder=Path("typing"), requires_python=allowed)
    assert shut_out([entry], build_of("3.12")) == ([entry] if out else [])


def test_an_older_version_is_looked_for_with_the_same_tools() -> None:
    """And with the setuptools that is there from the start, where that was taken."""
    versions = {"pytest": "7.0", "typing": "3.10.0.0", "setuptools": "58.1.0"}
    lock = Lock(pins=tuple(Pin(name=name, version=at, line=f"{name}=={at}") for name, at in versions.items()))
    refused = Entry(name="typing", version="3.10.0.0", folder=Path("typing"))
    build = replace(build_of("3.9"), seed=("setuptools==58.1.0",))
    assert older(lock, [refused], build) == ("pytest==7.0", "setuptools==58.1.0", "typing<3.10.0.0")
