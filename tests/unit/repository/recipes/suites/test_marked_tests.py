"""Which test files a run of pytest selects nothing of, by its markers and by theirs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location
from pytest_py312.repository.recipes.commands.command_walk import CommandRun
from pytest_py312.repository.recipes.suites.marked_tests import deselected_files, deselected_tests, marker_expression
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service_tree

OF_MODULE = "import pytest\npytestmark = pytest.mark.integration\n\ndef test_a():\n    pass\n"
OF_FUNCTIONS = "import pytest\n\n@pytest.mark.integration\ndef test_a():\n    pass\n"
OF_CLASS = "import pytest\n\n@pytest.mark.integration()\nclass TestA:\n    def test_a(self):\n        pass\n"
PARTLY = f"{OF_FUNCTIONS}\ndef test_b():\n    pass\n"
SLOW = OF_MODULE.replace("integration", "slow")


@pytest.mark.parametrize(
    ("expression", "text", "is_left_out"),
    [
        ("not integration", OF_MODULE, True),
        ("not integration", OF_FUNCTIONS, True),
        ("not integration", OF_CLASS, True),
        ("not (slow or integration)", OF_CLASS, True),
        ("unit", OF_MODULE, True),
        ("unit", OF_MODULE.replace("integration", "contract"), True),
        ("integration", OF_MODULE, False),
        ("not integration", PARTLY, False),
        ("not integration", f"{OF_FUNCTIONS}\nclass OrderCase(TestCase):\n    def test_b(self): pass\n", False),
        ("not integration", f"{OF_FUNCTIONS}\nclass TestAll(Shared): pass\n", False),
        ("not integration", f"{OF_FUNCTIONS}\nif NEW:\n    def test_b(): pass\n", False),
        ("not integration", f"{OF_FUNCTIONS}\nif TYPE_CHECKING:\n    import a\n\ndef make(): pass\n", True),
        ("not integration", OF_CLASS.replace("TestA:", "AnyCase(TestCase):"), True),
        ("not slow", SLOW, False),
        ("unit", SLOW, False),
        ("unit", "def test_a():\n    pass\n", False),
        ("not integration", "def test_a(:\n", False),
        ("x == 1", OF_MODULE, False),
        ("not", OF_MODULE, False),
    ],
)
def test_a_file_whose_tests_all_need_a_running_system(expression: str, text: str, is_left_out: bool) -> None:
    """By their markers; slow tests and those without a marker are run, whatever a job selects."""
    assert [*deselected_files(expression, {"a.py": text})] == ["a.py"] * is_left_out


@pytest.mark.parametrize(
    ("command", "expression"),
    [
        (("python", "-m", "pytest", "-m", "not integration"), "not integration"),
        (("pytest", "-m=unit", "tests"), "unit"),
        (("pytest", "-m unit", "-rA"), "unit"),
        (("python", "-m", "pytest"), ""),
        (("python", "-m", "coverage", "run", "-m", "pytest", "tests"), ""),
        (("python", "-m", "poetry", "run", "pytest", "-m", "unit"), "unit"),
    ],
)
def test_the_markers_of_a_command(command: tuple[str, ...], expression: str) -> None:
    assert marker_expression(command) == expression


def test_only_pytest_selects_by_markers(tmp_path: Path) -> None:
    tree = Tree(service_tree(tmp_path, {"a/tests/test_a.py": OF_MODULE, "a/tests/test_b.py": SLOW}))
    units = run_of("pytest", "-m", "not integration")
    assert deselected_tests(tree, [units, run_of("mypy", "a")], "a") == ("tests/test_a.py",)
    assert deselected_tests(tree, [run_of("pip", "install", "pytest"), units], "a") == ("tests/test_a.py",)
    assert deselected_tests(tree, [run_of("behave", "-m", "not integration")], "a") == ()
    assert deselected_tests(tree, [units, run_of("pytest", "-m", "integration")], "a") == ()
    assert deselected_tests(tree, [units, run_of("pytest")], "a") == ()


def run_of(*words: str) -> CommandRun:
    return CommandRun(words=words, folder="a", location=Location(path="Makefile"))


@given(expression=st.text("not ()unitadr_=1", max_size=30), text=st.text(max_size=200))
def test_no_text_makes_it_fail(expression: str, text: str) -> None:
    assert [*deselected_files(expression, {"a.py": text, "b.py": OF_MODULE})] in ([], ["b.py"])
