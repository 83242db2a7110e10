"""What an environment has of setuptools and its kin."""

import pytest

from pytest_py312.analysis.libraries.setuptools_state import Packaging, is_for_building
from pytest_py312.core.model.findings import Interpreter


def packaging(here: dict[str, str], before: dict[str, str], target: str = "3.12") -> Packaging:
    return Packaging(target=Interpreter.parse(target), baseline=Interpreter.parse("3.9"), here=here, before=before)


SEEDED = {"setuptools": "58.1.0"}


@pytest.mark.parametrize(
    ("top", "target", "here", "lacks"),
    [
        ("distutils", "3.11", {}, False),
        ("distutils", "3.12", {}, True),
        ("distutils", "3.12", {"setuptools": "75.0"}, False),
        ("distutils", "3.12", {"setuptools": "59.8"}, True),
        ("setuptools", "3.12", {}, True),
        ("setuptools", "3.12", {"setuptools": "84.2.1"}, False),
        ("pkg_resources", "3.12", {"setuptools": "81.0.0"}, False),
        ("pkg_resources", "3.12", {"setuptools": "82.0.0"}, True),
        ("pkg_resources", "3.10", {"setuptools": "65.5.0"}, False),
    ],
)
def test_setuptools_decides(top: str, target: str, here: dict[str, str], lacks: bool) -> None:
    lacking = packaging(here, SEEDED, target).lacking(top)
    assert (lacking is not None) is lacks
    if lacking is not None:
        assert lacking.works_before


def test_what_the_baseline_lacks_as_well_is_no_news() -> None:
    lacking = packaging({}, {}).lacking("pkg_resources")
    assert lacking is not None
    assert not lacking.works_before
    assert lacking.remedy == "require setuptools<82"


def test_modules_with_which_projects_are_built_are_not_those_that_others_use() -> None:
    assert is_for_building("setuptools.command.build_py")
    assert is_for_building("distutils.core")
    assert not is_for_building("distutils.version")
    assert not is_for_building("pkg_resources")
