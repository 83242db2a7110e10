"""The plan says how a service is installed."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

FILES = {
    "svc/Dockerfile": "FROM python:3.11\nCOPY a.txt .\nRUN pip install -r a.txt\n",
    "svc/a.txt": "six\n",
    "svc/requirements.txt": "idna\n",
    "shared/b.txt": "attrs\n",
    "svc/tests/test_app.py": "def test_app(): pass\n",
}


def service(root: Path, settings: str, defaults: str = "") -> Service:
    service_tree(root, {**FILES, "py312.toml": f'{defaults}[service."svc"]\n{settings}\n'})
    (found,) = discover(load_plan(root / "py312.toml", today=date(2026, 1, 1))).services
    return found


def test_the_commands_replace_what_is_found(tmp_path: Path) -> None:
    planned = service(
        tmp_path,
        'install = [["pip", "install", "--no-deps", "-r", "requirements.txt"], ["cd", "../shared"],\n'
        '  ["pip", "install", "-r", "b.txt", "--target", "/deps"]]\n'
        'test-install = [["pip", "install", "pytest"]]',
    )
    assert [(source.path, source.settings.no_deps) for source in planned.requirements] == [
        ("svc/requirements.txt", True),
        ("shared/b.txt", False),
    ]
    assert [str(source) for source in planned.test_requirements] == ["py312.toml:4 (pytest)"]
    assert str(planned.runs_without_pth) == "py312.toml:3"


def test_a_service_overrides_the_other_key_of_the_defaults(tmp_path: Path) -> None:
    defaults = '[defaults]\nrequirements = ["a.txt"]\n'
    planned = service(tmp_path, 'install = [["pip", "install", "-r", "requirements.txt"]]', defaults)
    assert [source.path for source in planned.requirements] == ["svc/requirements.txt"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('install = [["pip", "install", "-r", "c.txt"]]', '"c.txt" is not in the repository'),
        ('install = [["pip", "install", "-r", "../../c.txt"]]', '"../../c.txt" is not in the repository'),
        ('install = [["npm", "install"]]', '"npm install" is no known command'),
        ("install = []", "is an empty list"),
        ('install = ["pip install a"]', "expected a list"),
        ('install = [["pip", "install", "a"]]\nrequirements = ["a.txt"]', "leave one of the two"),
        ('instal = [["pip", "install", "a"]]', 'perhaps you meant "install"'),
        ('test_install = [["pip", "install", "a"]]', 'perhaps you meant "test-install"'),
    ],
)
def test_mistakes_are_named(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        service(tmp_path, settings)
    assert message in str(caught.value)
    assert "py312.toml:" in str(caught.value)
