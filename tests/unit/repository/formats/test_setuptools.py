"""setup.cfg and setup.py, read without running them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.setuptools import (
    files_read_outside,
    read_ini,
    read_setup_cfg_dependencies,
    read_setup_py,
    read_setup_py_dependencies,
)

SETUP_PY = """\
import os
from setuptools import setup, find_packages
NAME = "x"
EXTRAS = {"test": ["pytest"]}
VERSION = os.environ["VERSION"]
setup(
    name=NAME,
    version=VERSION,
    packages=find_packages("src"),
    install_requires=[
        "requests>=2",
    ],
    extras_require=EXTRAS,
)
"""


def test_literal_and_computed_arguments_are_distinguished() -> None:
    """A name that is assigned once to a literal counts as literal, and so does a search for packages."""
    setup = read_setup_py(SETUP_PY)
    assert setup.is_packaging
    assert setup.literal_arguments["name"] == "x"
    assert setup.literal_arguments["packages"] == "find:src"
    assert setup.computed_arguments == {"version"}


def test_literal_requirements_of_a_setup_py_are_read() -> None:
    """Without running it."""
    tables = {table.table: table.requirements for table in read_setup_py_dependencies(SETUP_PY, "setup.py")}
    assert [entry.text for entry in tables["install_requires"].entries] == ["requests>=2"]
    assert [entry.text for entry in tables["extras_require.test"].entries] == ["pytest"]


@pytest.mark.parametrize(
    "change", ["R = []\nR.append('x')\n", "R = []\nR = ['x']\n", "R = []\nR += ['x']\n", "R = open('r').readlines()\n"]
)
def test_computed_requirements_are_a_problem(change: str) -> None:
    """They must not be mistaken for no requirements."""
    text = f"from setuptools import setup\n{change}setup(name='x', install_requires=R)\n"
    (table,) = read_setup_py_dependencies(text, "setup.py")
    assert "computed" in table.requirements.problems[0].message


def test_keywords_from_a_literal_mapping_count() -> None:
    """``setup(**args)``."""
    found = read_setup_py("args = {'name': 'x'}\nif __name__ == '__main__':\n    setup(**args)\n")
    assert found.literal_arguments == {"name": "x"}
    assert found.computed_arguments == frozenset()


def test_a_script_named_setup_py_is_no_packaging() -> None:
    """A script that sets something up."""
    assert not read_setup_py("def main():\n    print('creating the database')\nmain()\n").is_packaging


def test_nothing_of_a_setup_py_is_run() -> None:
    """Not even a call in an argument."""
    found = read_setup_py("from setuptools import setup\nsetup(name=exec('raise SystemExit(3)'))\n")
    assert found.computed_arguments == {"name"}


def test_requirements_of_a_setup_cfg_have_lines() -> None:
    """One a line, or separated by semicolons, or in files."""
    text = (
        "[options]\ninstall_requires =\n    a>=1\n    b; python_version<'3.12'\n[options.extras_require]\ntest = x;y\n"
    )
    tables = {table.table: table.requirements for table in read_setup_cfg_dependencies(text, "setup.cfg")}
    assert [(entry.name, entry.line) for entry in tables["options.install_requires"].entries] == [("a", 3), ("b", 4)]
    assert [entry.name for entry in tables["options.extras_require.test"].entries] == ["x", "y"]
    (table,) = read_setup_cfg_dependencies("[options]\ninstall_requires = file: requirements.txt\n", "setup.cfg")
    assert [include.path for include in table.requirements.includes] == ["requirements.txt"]


def test_each_requirement_has_its_own_line() -> None:
    """With comments in between, two on one line, and the lines of one string."""
    cfg = "[options]\ninstall_requires = a\n    # a comment\n    b>=1  # why\n\n    b>=1\n"
    (table,) = read_setup_cfg_dependencies(cfg, "setup.cfg")
    assert [(entry.text, entry.line) for entry in table.requirements.entries] == [("a", 2), ("b>=1", 4), ("b>=1", 6)]

    py = 'R = ["a", "b",\n  # c\n  "c"]\n'
    py += 'setup(install_requires=R, extras_require={"t": """\nd\n\ne""", "u": "f\\ng"})\n'
    tables = read_setup_py_dependencies(py, "setup.py")
    assert [[(entry.name, entry.line) for entry in table.requirements.entries] for table in tables] == [
        [("a", 1), ("b", 1), ("c", 3)],
        [("d", 5), ("e", 7)],
        [("f", 7), ("g", 7)],
    ]


def test_a_duplicate_extra_loses_nothing() -> None:
    """The last one applies, as in any mapping, with its own lines; so do those after it."""
    text = 'setup(extras_require={\n"a": ["x"],\n"a": ["y",\n"z"],\n"b": ["p"]})\n'
    tables = read_setup_py_dependencies(text, "setup.py")
    assert [[(entry.name, entry.line) for entry in table.requirements.entries] for table in tables] == [
        [("y", 3), ("z", 4)],
        [("p", 5)],
    ]


@given(st.text())
def test_no_text_crashes_the_readers(text: str) -> None:
    """Each reader returns a result for any text."""
    assert isinstance(read_setup_py(text).is_packaging, bool)
    assert isinstance(read_ini(text).parse_error, str)
    assert all(table.requirements.path == "p" for table in read_setup_cfg_dependencies(text, "p"))


values = st.sampled_from(
    [
        "1",
        "'x'",
        "['a', 1]",
        "{'t': ['p']}",
        "{1: 2}",
        "X",
        "f()",
        "[*X]",
        "None",
        "b'x'",
        "{'a': 'b'}",
        "-'x'",
        "{[]: 1}",
    ]
)


@given(st.dictionaries(st.sampled_from(["name", "install_requires", "extras_require", "packages"]), values), values)
def test_no_argument_of_setup_crashes_the_reader(arguments: dict[str, str], constant: str) -> None:
    """Each argument is literal or computed, and a requirement is read or a problem."""
    text = f"X = {constant}\nsetup({', '.join(f'{key}={value}' for key, value in arguments.items())})\n"
    found = read_setup_py(text)
    assert set(found.literal_arguments) | found.computed_arguments == set(arguments)
    tables = read_setup_py_dependencies(text, "setup.py")
    assert all(problem.message for table in tables for problem in table.requirements.problems)


@given(
    st.lists(st.sampled_from(["[options]", "[", "]", "\n", " ", "=", "install_requires", "a", ":", ";", "#", "%(x)s"]))
)
def test_no_arrangement_of_an_ini_crashes_the_reader(pieces: list[str]) -> None:
    """It has sections or a parse error."""
    found = read_ini("".join(pieces))
    assert found.parse_error or all(isinstance(values, dict) for values in found.sections.values())


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("long_description = open('../README.md').read()\n", ["../README.md"]),
        ("here = Path(__file__)\nopen(here.parent.parent / 'README.md')\n", ["../README.md"]),
        ("top = os.path.dirname(os.path.dirname(__file__))\nopen(os.path.join(top, 'VERSION'))\n", ["../VERSION"]),
        ("open(os.path.join(here, '..', 'common', 'base.txt'))\n", ["../base.txt", "../common/base.txt"]),
        ("open(os.path.join('..', '..', 'docs', 'a.md'))\n", ["../a.md", "../../docs/a.md"]),
        ("open(os.path.join('..', name))\n", []),
        ("open('README.md')\n", []),
        ("open(Path(__file__).parent / 'README.md')\n", []),
        ("open('../../etc/passwd')\n", []),
        ("open('../README.md'\n", []),
    ],
)
def test_files_around_its_folder_that_a_setup_py_may_read(text: str, files: list[str]) -> None:
    """As pip builds it in its place, it can."""
    assert list(files_read_outside(text)) == files


@given(st.text())
def test_any_setup_py_is_searched_for_them(text: str) -> None:
    assert all(path.startswith("../") for path in files_read_outside(text))
