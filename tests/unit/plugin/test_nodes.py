"""Where an item's failure is shown."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_py312.core.model.findings import Finding, Location, Outcome
from pytest_py312.plugin.nodes import CheckItem, finding_location

OWN_LOCATION = ("services/a/pyproject.toml", 0, "a-py3.12 suite")


def item(rootpath: str) -> CheckItem:
    """An item of the fleet in ``/repository/platform``, in a run with this root directory."""
    node: Any = SimpleNamespace(
        location=OWN_LOCATION,
        config=SimpleNamespace(rootpath=Path(rootpath)),
        fleet_root=lambda: Path("/repository/platform"),
    )
    return cast(CheckItem, node)


def outcome(*locations: Location | None) -> Outcome:
    findings = [Finding(code="PY401", message="fails", location=location) for location in locations]
    return Outcome.from_findings(service="a", interpreter=None, check="suite", findings=findings)


@pytest.mark.parametrize(
    ("rootpath", "path"),
    [("/repository/platform", "services/a/a.py"), ("/repository", "platform/services/a/a.py")],
)
def test_a_failure_is_shown_at_its_first_blocking_finding(rootpath: str, path: str) -> None:
    judged = outcome(None, Location(path="services/a/a.py", line=7), Location(path="services/a/b.py", line=9))

    assert finding_location(item(rootpath), judged) == (path, 6, "a-py3.12 suite")


def test_a_finding_outside_of_the_root_directory_is_shown_at_the_item() -> None:
    """Not at the item's path with the line of another file."""
    judged = outcome(Location(path="services/a/a.py", line=7))

    assert finding_location(item("/repository/platform/services/b"), judged) == OWN_LOCATION


def test_a_failure_without_a_location_is_shown_at_the_item() -> None:
    assert finding_location(item("/repository"), outcome(None)) == OWN_LOCATION
