"""For which Pythons a requirements file was made, by the names of the file and its folders."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.requirements.named_pythons import is_made_for, named_pythons
from pytest_py312.repository.services.requirements.sources import additional_services, installed_sets
from tests.support.fakes import service_tree

DOCKERFILE = "FROM python:3.9\nCOPY . .\nRUN pip install -r requirements.txt\nCMD python app.py\n"


@pytest.mark.parametrize(
    ("path", "pythons"),
    [
        ("requirements-py39.txt", "3.9"),
        ("requirements-py310.txt", "3.10"),
        ("requirements-py312.txt", "3.12"),
        ("requirements_py3.9.txt", "3.9"),
        ("requirements-python-3.10.txt", "3.10"),
        ("requirements-cp312.txt", "3.12"),
        ("requirements-3.10.txt", "3.10"),
        ("requirements/3.12/base.txt", "3.12"),
        ("requirements/py39/py39.txt", "3.9"),
        ("py39-py310-requirements.txt", "3.9 3.10"),
        ("requirements-py27.txt", "2.7"),
        ("requirements/python2/requirements.txt", "2.7"),
    ],
)
def test_a_python_is_named(path: str, pythons: str) -> None:
    assert " ".join(map(str, sorted(named_pythons(path)))) == pythons


@pytest.mark.parametrize(
    "path",
    [
        "requirements.txt", "requirements-39.txt", "requirements/python3/requirements.txt", "requirements-py3.txt",
        "requirements-django-3.2.txt", "requirements-airflow-1.3.10.txt", "requirements-numpy310.txt",
        "requirements-py39-plus.txt", "requirements-py39+.txt", "requirements-min-py3.10.txt", "requirements-v3.9.txt",
        "requirements-py3.9.18.txt",
    ],
)  # fmt: skip
def test_a_file_may_be_for_any_python(path: str) -> None:
    """Two digits and versions of something else are no Pythons, and a range ends at none."""
    assert named_pythons(path) == frozenset()
    assert is_made_for(path, Interpreter(3, 12))


@given(st.text(alphabet="py3.92-_/+0t", max_size=20))
def test_a_file_is_made_for_each_python_of_its_name(path: str) -> None:
    named = named_pythons(path)
    assert all(is_made_for(path, python) for python in named)
    assert is_made_for(path, Interpreter(3, 99)) is (not named or Interpreter(3, 99) in named)


def test_a_file_for_another_python_is_no_set_of_a_cell(tmp_path: Path) -> None:
    """The image installs another file, and none of those that stand beside it is for each Python."""
    root = service_tree(
        tmp_path,
        {
            "py39-app/Dockerfile": DOCKERFILE,
            "py39-app/requirements.txt": "six\n",
            "py39-app/requirements-py39.txt": "numpy==1.19.5\n",
            "py39-app/requirements-py312.txt": "numpy==1.26.4\n",
            "py39-app/requirements-more.txt": "numpy\n",
            "py39-app/app.py": "import six\n",
        },
    )
    fleet = discover(Plan(root=root))
    (service,) = fleet.services
    names = {
        on: [
            each.requirements[0].path.partition("/")[2] for each in additional_services(service, Interpreter.parse(on))
        ]
        for on in ("3.9", "3.10", "3.12")
    }
    assert names == {
        "3.9": ["requirements-more.txt", "requirements-py39.txt"],
        "3.10": ["requirements-more.txt"],
        "3.12": ["requirements-more.txt", "requirements-py312.txt"],
    }
    assert len(installed_sets(service)) == 4  # on any of them
    assert len(installed_sets(service, Interpreter(3, 10))) == 2
    assert any("requirements-py39.txt on 3.9" in assumption for assumption in fleet.assumptions)
