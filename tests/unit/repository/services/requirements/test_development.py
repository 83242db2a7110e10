"""Requirements of tests and development that nothing of a service names."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.repository.services.requirements.development import (
    is_for_development,
    is_run_by_script,
    names_in_source,
    unnamed_modules,
    unnamed_projects,
)
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

FOLDER = "services/user-service"


def unnamed(root: Path, files: Mapping[str, str], *projects: str, **modules: tuple[str, ...]) -> set[str]:
    of = service(nested_folders=(f"{FOLDER}/inner",))
    service_tree(root, {f"{of.path}/{name}": text for name, text in files.items()})
    return set(unnamed_projects(Tree(root), of, projects, modules))


@pytest.mark.parametrize(
    "source",
    [
        "import pyspark",
        "def job():\n    from pyspark.sql import Session\n",
        "import importlib\nimportlib.import_module('pyspark.sql')\n",
        "APPS = ['pyspark.apps:Configuration']\n",
        "import subprocess\nsubprocess.run(['pyspark', '--version'])\n",
        "import subprocess\nsubprocess.run('pyspark --version', shell=True)\n",
        "print 'of Python 2', pyspark\n",
    ],
)
def test_a_file_that_names_its_module_needs_a_project(tmp_path: Path, source: str) -> None:
    assert unnamed(tmp_path, {"tests/test_app.py": source}, "pyspark") == set()


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# import pyspark\n",
        '"""Runs without pyspark."""\n',
        "from . import pyspark\n",
        "from .pyspark import job\n",
    ],
)
def test_what_no_statement_names_is_not_needed(tmp_path: Path, source: str) -> None:
    assert unnamed(tmp_path, {"app/main.py": source}, "pyspark") == {"pyspark"}


def test_modules_of_a_project_count_as_its_names(tmp_path: Path) -> None:
    files = {"app.py": "import cv2\nimport yaml\n"}

    assert unnamed(tmp_path, files, "pyyaml", "opencv", opencv=("cv2",)) == set()


def test_what_takes_part_in_a_suite_without_an_import_is_needed(tmp_path: Path) -> None:
    files = {"pytest.ini": "[pytest]\naddopts =\n    -p magic.plugin\n    -q\n", "tox.ini": "[testenv]\ndeps = black\n"}

    assert unnamed(tmp_path, files, "pytest-cov", "magic", "black", "anyio") == {"black"}
    # a command of setup.py, and no plugin
    assert unnamed(tmp_path, files, "pytest-runner", "pytest-runner-extras") == {"pytest-runner"}


def test_files_of_services_inside_do_not_count(tmp_path: Path) -> None:
    assert unnamed(tmp_path, {"inner/app.py": "import pyspark\n", "app.py": ""}, "pyspark") == {"pyspark"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("services/tests/requirements.txt", False),
        ("services/tests/requirements-dev.txt", True),
        ("services/tests/docs/requirements.txt", True),
        ("services/tests/requirements/production.txt", False),
        ("services/tests/requirements/python3/requirements.txt", False),
        ("services/tests/requirements/latest.txt", False),
    ],
)
def test_the_name_of_a_file_tells_whether_it_is_for_development(path: str, expected: bool) -> None:
    assert is_for_development(path, "services/tests") is expected


@given(st.text())
def test_no_text_makes_the_reader_fail(text: str) -> None:
    assert all(names_in_source(text) | {"x"})


def test_modules_that_no_file_names(tmp_path: Path) -> None:
    of = service()
    service_tree(tmp_path, {f"{of.path}/app.py": "import black\nAPPS = ['google.cloud']\n"})
    assert unnamed_modules(Tree(tmp_path), of, ("black", "blackd", "google.api")) == {"blackd"}


def test_tests_of_other_services_in_a_shared_folder_do_not_count(tmp_path: Path) -> None:
    """Those that the suite names do, and what they share."""
    suite = Suite(kind=SuiteKind.PYTEST, arguments=("tests/test_orders.py",), folder="services")
    of = service(suite=suite)
    of = replace(of, settings=replace(of.settings, needs=("services/tests",)))
    files = {
        "services/tests/test_orders.py": "import moto\n",
        "services/tests/test_stock.py": "import spacy\n",
        "services/tests/conftest.py": "import pandas\n",
        f"{FOLDER}/test_inside.py": "import mock\n",
    }
    tree = Tree(service_tree(tmp_path, files))
    assert unnamed_projects(tree, of, ("moto", "spacy", "pandas", "mock"), {}) == {"spacy"}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("scan.sh", "bandit -r .\n", True), ("Dockerfile", 'CMD ["bandit", "-r"]\n', True),
        ("Procfile", "scan: bandit\n", True), ("bin/run", "exec bandit\n", True),
        ("compose.yml", "command: bandit x\n", True), ("requirements.txt", "bandit==1\n", False),
        ("scan.sh", "mybandit bandit-x\n", False), ("Makefile", "lint:\n\tbandit .\n", False),
        (".pre-commit-config.yaml", "id: bandit\n", False),
    ],
)  # fmt: skip
def test_a_tool_that_a_script_runs(tmp_path: Path, name: str, text: str, expected: bool) -> None:
    tree = Tree(service_tree(tmp_path, {f"{FOLDER}/{name}": text}))
    assert is_run_by_script(tree, service(), "bandit") is expected
