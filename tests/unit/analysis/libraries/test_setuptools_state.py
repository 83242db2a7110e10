"""Whether an environment has setuptools and the modules that depend on it."""

from dataclasses import replace

import pytest

from pytest_py312.analysis.libraries.setuptools_state import SetuptoolsState, is_for_building
from pytest_py312.core.model.findings import Interpreter


def state_of(
    target_versions: dict[str, str], baseline_versions: dict[str, str], target: str = "3.12"
) -> SetuptoolsState:
    return SetuptoolsState(
        target=Interpreter.parse(target),
        baseline=Interpreter.parse("3.9"),
        target_versions=target_versions,
        baseline_versions=baseline_versions,
    )


SEEDED = {"setuptools": "58.1.0"}


@pytest.mark.parametrize(
    ("top", "target", "target_versions", "lacks"),
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
def test_setuptools_decides(top: str, target: str, target_versions: dict[str, str], lacks: bool) -> None:
    missing = state_of(target_versions, SEEDED, target).why_missing(top, "shop")
    assert (missing is not None) is lacks
    if missing is not None:
        assert missing.works_on_baseline


def test_what_the_baseline_lacks_as_well_is_preexisting() -> None:
    missing = state_of({}, {}).why_missing("pkg_resources", "shop")
    assert missing is not None
    assert not missing.works_on_baseline
    assert missing.remedy == "require setuptools<82"


def test_modules_for_building_are_distinguished_from_those_used_at_run_time() -> None:
    assert is_for_building("setuptools.command.build_py")
    assert is_for_building("distutils.core")
    assert not is_for_building("distutils.version")
    assert not is_for_building("pkg_resources")


def test_where_no_pth_file_runs_only_what_is_deployed_lacks_distutils() -> None:
    """Its tests run in an ordinary environment, where that of setuptools is put in place."""
    state = replace(state_of(SEEDED, SEEDED), target_versions={"setuptools": "75.0"}, without_pth=True)
    assert state.why_missing("distutils", "shop") is not None
    deployed = replace(state, run_time=frozenset({"shop"}))
    assert deployed.why_missing("distutils", "shop") is not None
    assert deployed.why_missing("distutils", "pytest-shop") is None
