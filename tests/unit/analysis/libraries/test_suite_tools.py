"""What is installed for the suite's tools alone."""

import pytest

from pytest_py312.analysis.libraries.missing_requirements import only_for_tools
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
def test_what_anything_else_needs_is_not_for_tools_alone(required: tuple[str, ...], tools: set[str]) -> None:
    """Also where it needs it under a condition: rather too much is looked into."""
    assert only_for_tools(ENTRIES, required) == tools
