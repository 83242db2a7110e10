"""Python versions in metadata, pins and tool settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.reader import METADATA_NAMES, read_metadata
from pytest_py312.repository.formats.version_ranges import oldest_included

PLANNED = [Interpreter(3, minor) for minor in (12, 9, 11, 10)]


def short(declarations: tuple[Declaration, ...]) -> list[tuple[str, str, int | None, str | None]]:
    return [
        (one.kind, one.text, one.location.line, str(one.interpreter) if one.interpreter else None)
        for one in declarations
    ]


@pytest.mark.parametrize(
    ("specifier", "lowest"),
    [
        (">=3.5", "3.9"),
        (">=3.9,<3.11", "3.9"),
        (">=3.9.2", "3.9"),
        (">3.9", "3.9"),
        (">=3.10", "3.10"),
        ("~=3.10", "3.10"),
        ("~=3.10.2", "3.10"),
        ("^3.10", "3.10"),
        ("~3.11", "3.11"),
        ("==3.12.*", "3.12"),
        ("!=3.9.*,>=3.9", "3.10"),
        ("<3.0 || >=3.12", "3.12"),
        ("", "3.9"),
        ("*", "3.9"),
    ],
)
def test_the_lowest_minor_is_a_version_not_a_text(specifier: str, lowest: str) -> None:
    """3.9 comes before 3.10, which comes before 3.12; PEP 440 and Poetry's constraints both count."""
    assert str(oldest_included(specifier, PLANNED)) == lowest


@pytest.mark.parametrize("specifier", [">=3.13", "<3.9", "nonsense", ">=3.9,<3.9"])
def test_a_range_without_a_planned_minor_has_none(specifier: str) -> None:
    """Neither has an unreadable one."""
    assert oldest_included(specifier, PLANNED) is None


PYPROJECT = """\
[project]
requires-python = ">=3.9,<3.11"
classifiers = [
  "Programming Language :: Python :: 3",
  "Programming Language :: Python :: 3.10",
]
[tool.mypy]
python_version = "3.9"
[tool.black]
target-version = ['py39', 'py310']
[tool.ruff]
target-version = "py312"
"""


def test_a_pyproject_has_several_declarations() -> None:
    """The range, the classifiers and each tool, with lines."""
    assert short(read_metadata(PYPROJECT, "svc/pyproject.toml").declarations) == [
        ("metadata", ">=3.9,<3.11", 2, None),
        ("metadata", "Programming Language :: Python :: 3.10", 5, "3.10"),
        ("tool", "3.9", 8, "3.9"),
        ("tool", "py39", 10, "3.9"),
        ("tool", "py310", 10, "3.10"),
        ("tool", "py312", 12, "3.12"),
    ]


def test_poetrys_python_is_a_range_too() -> None:
    """In Poetry's syntax."""
    text = '[tool.poetry.dependencies]\npython = "~3.10"\n'
    assert short(read_metadata(text, "pyproject.toml").requires_python) == [("metadata", "~3.10", 2, "3.10")]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (".python-version", "3.10.4\n3.12\n", ("pin", "3.10.4", 1, "3.10")),
        (".python-version", "# ours\n3.9\n", ("pin", "3.9", 2, "3.9")),
        ("runtime.txt", "python-3.9.18\n", ("pin", "python-3.9.18", 1, "3.9")),
        (".tool-versions", "nodejs 20\npython 3.12.1 3.9\n", ("pin", "python 3.12.1 3.9", 2, "3.12")),
        ("Pipfile", '[requires]\npython_version = "3.10"\n', ("pin", "3.10", 2, "3.10")),
        ("mypy.ini", "[mypy]\npython_version = 3.10\n", ("tool", "3.10", 2, "3.10")),
        ("ruff.toml", 'target-version = "py39"\n', ("tool", "py39", 1, "3.9")),
        ("setup.cfg", "[options]\npython_requires = >=3.9\n", ("metadata", ">=3.9", 2, None)),
        ("setup.py", "from setuptools import setup\nsetup(python_requires='>=3.9')\n", ("metadata", ">=3.9", 2, None)),
    ],
)
def test_each_file_is_read_by_its_name(name: str, text: str, expected: tuple[str, str, int, str | None]) -> None:
    """One declaration each, with kind, text, line and minor version."""
    assert short(read_metadata(text, f"svc/{name}").declarations) == [expected]


def test_an_envlist_names_pythons_in_braces_too() -> None:
    """``py3{9,10}``, ``py{39,312}``, ``py3.12``; ``lint`` and ``pypy3`` name none."""
    text = "[tox]\nenvlist =\n    py3{9,10},lint\n    pypy3{8,9}\n    {a,b}-{py39,py312}\n    py{310,311}-x\n"
    assert [(line, version) for _, _, line, version in short(read_metadata(text, "tox.ini").tools)] == [
        (3, "3.9"),
        (3, "3.10"),
        (5, "3.9"),
        (5, "3.12"),
        (6, "3.10"),
        (6, "3.11"),
    ]


def test_a_file_with_another_name_declares_nothing() -> None:
    """Only the name selects the reader."""
    assert read_metadata("python-3.9", "notes.txt").declarations == ()


@given(st.sampled_from(METADATA_NAMES), st.text())
def test_no_text_crashes_a_reader(name: str, text: str) -> None:
    """Every declaration is within the file."""
    assert all(one.location.path == name for one in read_metadata(text, name).declarations)


@given(st.text(), st.sampled_from([">=3", "<", "~=", "^", ",", "||", "3.9", ".*"]))
def test_no_range_crashes(text: str, mark: str) -> None:
    """It has a lowest minor version among the given ones, or none."""
    assert oldest_included(text + mark + text, PLANNED) in (None, *PLANNED)
