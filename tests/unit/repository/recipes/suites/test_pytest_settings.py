"""What the files of a folder set for pytest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.recipes.suites.pytest_settings import INI_FILES, read_pytest_settings


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("pytest.ini", "[pytest]\nfilterwarnings =\n    # strict\n    error\n    ignore::UserWarning\n", 4),
        ("pytest.ini", "[pytest]\nfilterwarnings = error::DeprecationWarning\n", 2),
        ("setup.cfg", "[tool:pytest]\nfilterwarnings =\n    ignore:an error:UserWarning\n", None),
        ("setup.cfg", "[tool:pytest]\nfilterwarnings =\n    ignore:connection, error in x\n", None),
        ("pyproject.toml", '[tool.other]\nfilterwarnings = ["error"]\n[tool.pytest.ini_options]\nx = 1\n', None),
        ("tox.ini", "[pytest]\nfilterwarnings =\n    default\n[other]\nname = error\n", None),
        ("pyproject.toml", '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n', 2),
        ("pyproject.toml", '[tool.pytest.ini_options]\nfilterwarnings = [\n  "ignore::X",\n  "error:a",\n]\n', 4),
        ("pyproject.toml", '[tool.pytest.ini_options]\nfilterwarnings = ["default"]\naddopts = "error"\n', None),
    ],
)
def test_the_line_that_makes_warnings_errors(name: str, text: str, line: int | None) -> None:
    assert read_pytest_settings({name: text}).strict_line == line


@given(name=st.sampled_from(INI_FILES), text=st.text(alphabet="[pytest]\nfilterwarnings=error:\"',# ", max_size=80))
def test_no_text_makes_it_raise(name: str, text: str) -> None:
    assert read_pytest_settings({name: text}).source in ("", name)
