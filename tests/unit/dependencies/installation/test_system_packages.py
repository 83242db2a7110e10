"""What a service's Dockerfiles install with the system's package manager."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Declaration
from pytest_py312.dependencies.installation.system_packages import installation_hint, system_packages
from pytest_py312.dependencies.resolution.build_tools import MissingTool
from pytest_py312.repository.formats.dockerfile import read_dockerfile
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

DOCKERFILE = """\
FROM python:3.11-slim
ENV X=1
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
    gcc libpq-dev=15.* \\
    # for the images
    libcairo2-dev && rm -rf /var/lib/apt/lists/*
RUN pip install apt-thing; echo done
RUN apk add --no-cache --virtual .build g++>9
"""


def test_packages_are_read_with_the_line_of_their_instruction() -> None:
    groups = list(system_packages(read_dockerfile(DOCKERFILE, "Dockerfile")))

    assert [(group.names, group.location.line) for group in groups] == [
        (("gcc", "libpq-dev", "libcairo2-dev"), 3),
        (("g++",), 9),
    ]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("pg_config", "; services/user-service/Dockerfile:3 installs libpq-dev, which has it"),
        ("rustc", "; cargo has it, which services/user-service/Dockerfile does not install"),
        ("git2", "; libgit2-dev has it, which services/user-service/Dockerfile does not install"),
        ("ninja", "; ninja-build (Alpine: samurai) has it, which services/user-service/Dockerfile does not install"),
        ("unknown", ""),
    ],
)
def test_the_hint_names_the_services_own_dockerfile(tmp_path: Path, interpreter: str, key: str, hint: str) -> None:
    path = "services/user-service/Dockerfile"
    image = Declaration(kind="image", text=f"python:{interpreter}-slim", location=Location(path=path, line=1))
    tree = Tree(service_tree(tmp_path, {path: DOCKERFILE}))

    missing = MissingTool(name=key, key=key, message="")

    assert installation_hint(missing, service(declarations=(image, image)), tree) == hint


def test_an_image_of_alpine_has_packages_of_alpine(tmp_path: Path) -> None:
    path = "services/user-service/Dockerfile"
    image = Declaration(kind="image", text="python:3.9-alpine", location=Location(path=path, line=1))
    tree = Tree(service_tree(tmp_path, {path: "FROM python:3.9-alpine\nRUN apk add git\n"}))

    hint = installation_hint(MissingTool(name="ninja", key="ninja", message=""), service(declarations=(image,)), tree)

    assert hint == "; samurai has it, which services/user-service/Dockerfile does not install"


@given(st.text())
def test_no_command_breaks_it(command: str) -> None:
    for group in system_packages(read_dockerfile(f"FROM x\nRUN apt-get install {command}\n", "Dockerfile")):
        assert group.names
