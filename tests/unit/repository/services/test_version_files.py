"""Files outside of all services that may say a version: which they are, and what changes their digest."""

from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.declarations.reader import can_declare_versions
from pytest_py312.repository.services.file_ownership import shared_files, shared_files_digest
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

FILES = {
    ".github/workflows/ci.yml": "python-version: '3.9'\n",
    "README.md": "3.10\n",
    "deploy/Dockerfile.base": "FROM python:3.12-slim\n",
    "services/a/Dockerfile": "FROM python:3.9-slim\n",
    "services/a/tests/fixtures/tox.ini": "",
    "vendor/tool/setup.py": "",
    "old/pyproject.toml": "",
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(service_tree(tmp_path, FILES))


def fleet(*paths: str) -> list[Service]:
    return [service(path.rpartition("/")[2], path=path) for path in paths]


def found(tree: Tree, *paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    return sorted(shared_files(tree, {one.path: one for one in fleet(*paths)}, exclude))


def test_services_and_what_is_nobodys_are_left_out(tree: Tree) -> None:
    assert found(tree, "services/a", exclude=("old",)) == [".github/workflows/ci.yml", "deploy/Dockerfile.base"]


def test_where_the_root_is_the_only_service_nothing_is_outside(tree: Tree) -> None:
    assert found(tree, ".") == []


def test_where_the_root_is_one_of_several_what_may_speak_of_the_others_is_asked(tree: Tree) -> None:
    """A job of the workflow may be for one of them; the Dockerfile is the root's own."""
    assert found(tree, ".", "services/a") == [".github/workflows/ci.yml"]


@pytest.mark.parametrize(
    ("path", "text", "same"),
    [
        (".github/workflows/ci.yml", "python-version: '3.10'\n", False),
        ("deploy/new.yaml", "image: python:3.12\n", False),
        ("README.md", "3.12\n", True),
        ("services/a/Dockerfile", "FROM python:3.12-slim\n", True),
    ],
)
def test_the_digest_is_of_these_files(tree: Tree, path: str, text: str, same: bool) -> None:
    before = shared_files_digest(tree, fleet("services/a"), ())
    service_tree(tree.root, {path: text})

    assert (shared_files_digest(Tree(tree.root), fleet("services/a"), ()) == before) is same


def test_the_digest_is_of_the_services_too(tree: Tree) -> None:
    """A workflow may speak of one that is new."""
    assert shared_files_digest(tree, fleet("services/a"), ()) != shared_files_digest(
        tree, fleet("services/a", "services/b"), ()
    )


@pytest.mark.parametrize(
    "path",
    [
        "pyproject.toml", "setup.cfg", "tox.ini", "mypy.ini", ".mypy.ini", "setup.py", "ruff.toml", ".ruff.toml",
        "Pipfile", ".python-version", "runtime.txt", ".tool-versions", ".pylintrc", ".coveragerc", "mise.toml",
        "noxfile.py", ".manylinux-install.sh", "Dockerfile", "api.Dockerfile", "Containerfile", "Jenkinsfile",
        "Jenkinsfile.deploy", "compose.yaml", ".devcontainer/devcontainer.json", "Procfile", "main.py",
    ],
)  # fmt: skip
def test_a_file_may_declare_a_version_by_its_name(path: str) -> None:
    assert can_declare_versions(f"a/{path}")


@pytest.mark.parametrize("path", ["README.md", "Dockerfile.md", "package.json", "test_main.py", "tests/main.py"])
def test_other_files_declare_none(path: str) -> None:
    assert not can_declare_versions(f"a/{path}")
