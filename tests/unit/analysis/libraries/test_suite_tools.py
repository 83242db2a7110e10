"""Distributions that are installed for test tools only."""

import pytest

from pytest_py312.analysis.libraries.missing_requirements import tool_only_distributions
from tests.unit.analysis.libraries.samples import entries

ENTRIES = entries(
    {
        "pytest": ("iniconfig>=1", "packaging>=20", "pygments>=2.7.2", "attrs>=19.2 ; extra == 'dev'"),
        "iniconfig": (),
        "packaging": (),
        "pygments": ("colorama>=0.4.6 ; extra == 'windows-terminal'",),
        "pytest-asyncio": ("pytest<9",),
        "attrs": (),
        "rich": ("Pygments",),
        "colorama": (),
    }
)


@pytest.mark.parametrize(
    ("required", "tools"),
    [
        ((), {"pytest", "iniconfig", "packaging", "pygments", "attrs", "colorama"}),
        (("pytest", "attrs"), {"pytest", "iniconfig", "packaging", "pygments", "colorama"}),
        (("rich",), {"pytest", "iniconfig", "packaging", "attrs"}),
        (("pytest-asyncio", "attrs"), {"pytest", "iniconfig", "packaging", "pygments", "colorama"}),
    ],
)
def test_requirements_of_other_projects_are_not_for_tools_only(required: tuple[str, ...], tools: set[str]) -> None:
    """Also with an environment marker: in doubt a distribution is analyzed."""
    assert tool_only_distributions(ENTRIES, required) == tools
