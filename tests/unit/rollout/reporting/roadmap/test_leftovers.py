"""Compatibility code that nothing needs on the target. Only what is certain is reported."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.tree import Tree
from pytest_py312.rollout.reporting.roadmap.leftovers import (
    find_leftovers,
    leftovers_in_requirements,
    leftovers_in_source,
)
from tests.support.fakes import service, service_tree

TARGET = Interpreter(3, 12)


def reasons(text: str) -> list[str]:
    return [leftover.reason for leftover in leftovers_in_source("app.py", text, TARGET)]


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        ("sys.version_info >= (3, 11)", "true"),
        ("sys.version_info >= (3, 12)", "true"),
        ("sys.version_info[:2] >= (3, 12)", "true"),
        ("sys.version_info < (3, 10)", "false"),
        ("sys.version_info[:2] <= (3, 11)", "false"),
        ("sys.version_info > (3, 11)", "true"),
    ],
)
def test_a_test_of_the_version_with_one_answer(condition: str, answer: str) -> None:
    assert reasons(f"import sys\nif {condition}:\n    pass\n") == [f"`{condition}` is always {answer} on 3.12"]


@pytest.mark.parametrize(
    "condition",
    [
        "sys.version_info >= (3, 13)",
        "sys.version_info < (3, 12, 4)",
        "sys.version_info[:2] > (3, 12)",
        "django.version_info >= (3, 2)",
        "sys.version_info == (3, 11)",
        "sys.version_info >= minimum",
        "sys.version_info[0] >= 3",
        "(3, 8) <= sys.version_info < (3, 13)",
    ],
)
def test_a_test_that_a_newer_python_answers_otherwise_stays(condition: str) -> None:
    assert reasons(f"if {condition}:\n    pass\n") == []


def test_a_fallback_for_a_module_that_the_target_has() -> None:
    fallback = "try:\n    import tomllib\nexcept ImportError:\n    import tomli as tomllib\n"
    assert reasons(fallback) == ["the fallback for `tomllib`, which 3.12 has"]
    assert reasons(fallback.replace("import tomllib", "from importlib import metadata", 1)) != []
    assert reasons(fallback.replace("tomllib\nexcept", "ujson\nexcept")) == []
    assert reasons(fallback.replace("    import tomli as tomllib", "    tomllib = None")) == []


def test_a_requirement_for_older_pythons_only() -> None:
    text = """\
tomli>=2 ; python_version < "3.11"  # for reading the configuration
attrs
importlib-metadata; python_full_version < "3.8"
pywin32; sys_platform == "win32" and python_version < "3.9"
typing-extensions; python_version < "3.13"
"""
    found = leftovers_in_requirements("requirements.txt", text, TARGET)
    assert [(one.location.line, one.reason) for one in found] == [
        (1, 'the requirement `tomli>=2 ; python_version < "3.11"` is never installed on 3.12'),
        (3, 'the requirement `importlib-metadata; python_full_version < "3.8"` is never installed on 3.12'),
    ]


def test_the_files_of_a_service_are_read_and_not_those_of_a_service_in_it(tmp_path: Path) -> None:
    old = "import sys\nOLD = sys.version_info < (3, 9)\n"
    root = service_tree(
        tmp_path,
        {
            "services/a/app.py": old,
            "services/a/broken.py": "import sys\nif sys.version_info < (3, 9)\n",
            "services/a/requirements/base.txt": 'tomli; python_version < "3.11"\n',
            "services/a/notes.txt": 'tomli; python_version < "3.11"\n',
            "services/a/inner/app.py": old,
        },
    )
    outer = service("a", path="services/a", nested_folders=("services/a/inner",))
    assert [str(one.location) for one in find_leftovers(outer, Tree(root), TARGET)] == [
        "services/a/app.py:2",
        "services/a/requirements/base.txt:1",
    ]


@given(st.text(max_size=80), st.sampled_from(["sys.version_info", "except ImportError", "x; python_version"]))
def test_no_text_makes_it_fail(text: str, hint: str) -> None:
    leftovers = [
        *leftovers_in_source("a.py", f"{hint} {text}", TARGET),
        *leftovers_in_requirements("requirements.txt", f"{hint} {text}", TARGET),
    ]
    assert all(leftover.reason for leftover in leftovers)
