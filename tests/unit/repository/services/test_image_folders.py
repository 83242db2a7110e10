"""Requirements by a path of the image: where the Dockerfile copies folders of the repository."""

from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.loader import default_plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from tests.support.fakes import service_tree

COMPILED = """\
attrs==23.1.0
    # via server
server @ file:///opt/{path}
    # via -r Dockerfile.requirements.in
"""


def server_with(root: Path, *, copied: str, path: str) -> Service:
    """Make a service whose image installs itself, and a library, by their paths in the image."""
    dockerfile = f"FROM python:3.11-slim\n{copied}\nRUN pip install -r /opt/server/requirements.txt\n"
    service_tree(
        root,
        {
            "server/Dockerfile": dockerfile,
            "server/requirements.txt": COMPILED.format(path=path),
            "server/pyproject.toml": '[project]\nname = "server"\nversion = "1"\n',
            "server/libs/shop/pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n',
        },
    )
    return next(service for service in discover(default_plan(root)).services if service.path == "server")


@pytest.mark.parametrize(("path", "folder"), [("server", "server"), ("server/libs/shop", "server/libs/shop")])
def test_a_path_of_the_image_is_the_folder_that_is_copied_there(tmp_path: Path, path: str, folder: str) -> None:
    service = server_with(tmp_path, copied="COPY . /opt/server", path=path)
    requirements = read_requirement_set(tmp_path, service.requirements)
    assert [local.path for local in requirements.locals] == [folder]
    assert requirements.problems == ()


def test_a_path_of_the_image_with_nothing_of_the_repository_is_a_problem(tmp_path: Path) -> None:
    service = server_with(tmp_path, copied="COPY . /opt/server", path="other")
    (problem,) = read_requirement_set(tmp_path, service.requirements).problems
    assert problem.message == "/opt/other lies outside the repository."


def test_a_path_that_leaves_a_folder_of_the_image_is_not_beside_it_in_the_repository(tmp_path: Path) -> None:
    """The image has nothing at /opt/shop; the repository has another project there."""
    service_tree(tmp_path, {"shop/pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n', "shop/app.py": ""})
    service = server_with(tmp_path, copied="COPY . /opt/server", path="server/../shop")
    requirements = read_requirement_set(tmp_path, service.requirements)
    assert requirements.locals == ()
    assert [problem.message for problem in requirements.problems] == [
        "/opt/server/../shop lies outside the repository."
    ]


def test_a_folder_copied_over_another_one_leaves_what_only_that_has(tmp_path: Path) -> None:
    copied = "COPY libs /opt/server/libs\nCOPY requirements.txt src /opt/server/"
    service_tree(tmp_path, {"server/src/app.py": ""})
    service = server_with(tmp_path, copied=copied, path="server/libs/shop")
    requirements = read_requirement_set(tmp_path, service.requirements)
    assert [local.path for local in requirements.locals] == ["server/libs/shop"]
    assert requirements.problems == ()
