"""Requirements files beside libraries that nothing installs where the library is used."""

from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

LIBRARY = {
    "api/setup.py": "from setuptools import setup\nsetup(name='acme-api', install_requires=['six'])\n",
    "api/requirements.txt": "six==1.17.0\n",
    "api/tests/test_api.py": "",
    "api/api/__init__.py": "",
    "web/requirements.txt": "acme-api==1.0\n",
    ".github/workflows/test.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n"
    "      - run: pip install -e ./api\n      - run: pytest api\n",
}


@pytest.mark.parametrize(
    ("changes", "is_apart"),
    [
        ({}, True),
        ({"web/requirements.txt": "../api\n"}, True),
        ({"web/requirements.txt": "six\n"}, False),
        ({"api/Dockerfile": "FROM python:3.11\nRUN pip install -r requirements.txt\n"}, False),
        ({"api/Procfile": "web: python -m api\n"}, False),
        ({"api/zappa_settings.json": "{}"}, False),
        ({"deploy/install.sh": "pip install -r api/requirements.txt\n"}, False),
        ({".github/workflows/test.yml": ""}, False),
    ],
)
def test_a_file_beside_a_library_that_others_require(tmp_path: Path, changes: dict[str, str], is_apart: bool) -> None:
    """It is checked as a set of its own then, of which a finding is a warning; else it is part of what is deployed."""
    fleet = discover(Plan(root=service_tree(tmp_path, {**LIBRARY, **changes})))
    service = next(each for each in fleet.services if each.path == "api")
    assert ("api/requirements.txt" in {source.path for source in service.requirements}) is not is_apart
    assert [(source.path, source.uninstalled) for source in service.additional_requirements] == [
        ("api/requirements.txt", True)
    ] * is_apart
