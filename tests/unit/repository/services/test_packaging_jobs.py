"""The recipe of a function whose archive a job of a workflow makes."""

from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import InstallRecipe
from pytest_py312.repository.services.detection.service_files import read_service_files
from pytest_py312.repository.services.install_recipes import find_production_recipe
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service_tree

WORKFLOW = """
on: workflow_call
jobs:
  package:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pip install awscli pytest
      - run: |
          cd functions/auth
          mkdir packaging && cd packaging
          pip install -t . -r ../requirements.txt --platform manylinux2014_x86_64 --only-binary=:all:
          zip -r9 ../../auth.zip .
"""


def recipe_of(tree: Tree, path: str, inner: tuple[str, ...] = ()) -> InstallRecipe | None:
    return find_production_recipe(tree, read_service_files(tree, path, inner))


def test_what_a_job_packs_beside_the_code_is_installed(tmp_path: Path) -> None:
    files = {
        ".github/workflows/build.yml": WORKFLOW,
        "functions/auth/requirements.txt": "",
        "functions/other/requirements.txt": "",
    }
    tree = Tree(service_tree(tmp_path, files))

    recipe = recipe_of(tree, "functions/auth")

    assert recipe is not None
    (step,) = recipe.steps
    assert (step.files, step.arguments, step.target) == (("functions/auth/requirements.txt",), (), "/var/task")
    assert step.flags == ("--only-binary :all:",)
    assert str(step.location) == ".github/workflows/build.yml:12"
    assert recipe_of(tree, "functions/other") is None


@pytest.mark.parametrize("command", ["pip install -r requirements.txt", "npm install -t ."])
def test_without_a_folder_there_is_no_archive(tmp_path: Path, command: str) -> None:
    text = f"jobs:\n  a:\n    steps:\n      - run: cd functions/auth; {command}\n"
    files = {".github/workflows/build.yml": text, "functions/auth/requirements.txt": ""}

    assert recipe_of(Tree(service_tree(tmp_path, files)), "functions/auth") is None


@pytest.mark.parametrize(
    ("command", "files", "arguments"),
    [
        ("pip install -t out -r fn/requirements.txt", ["fn/requirements.txt"], []),
        ("pip install \\\n           -r fn/requirements.txt \\\n           --target out", ["fn/requirements.txt"], []),
        ("pip install -t out six==1.16\n          cd fn\n          pip install -t ../out -r requirements.txt",
         ["fn/requirements.txt"], ["six==1.16"]),
        ("pip install -t lint -r fn/requirements-dev.txt\n          pip install -t out -r fn/requirements.txt",
         ["fn/requirements.txt"], []),
        ("pip install -t lint -r fn/requirements-dev.txt", [], []),
        ("pip install -t licences -r fn/requirements-gpu.txt", [], []),
        ("pip install -t out -r fn/requirements-gpu.txt -r fn/requirements.txt",
         ["fn/requirements-gpu.txt", "fn/requirements.txt"], []),
        ("pip install -t out -r fn/inner/requirements.txt", [], []),
    ],
)  # fmt: skip
def test_an_archive_has_all_that_is_installed_into_its_folder(
    tmp_path: Path, command: str, files: list[str], arguments: list[str]
) -> None:
    """Of the service, for production."""
    names = ("fn/requirements.txt", "fn/requirements-dev.txt", "fn/requirements-gpu.txt",
             "fn/inner/requirements.txt")  # fmt: skip
    text = f"jobs:\n  a:\n    steps:\n      - run: |\n          {command}\n"
    tree = Tree(service_tree(tmp_path, {".github/workflows/build.yml": text, **dict.fromkeys(names, "")}))

    recipe = recipe_of(tree, "fn", ("fn/inner",))

    steps = recipe.steps if recipe is not None else ()
    assert [name for step in steps for name in step.files] == files
    assert [argument for step in steps for argument in step.arguments] == arguments
