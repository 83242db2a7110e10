"""The recipe of a function whose archive a job of a workflow makes."""

from pathlib import Path

import pytest

from pytest_py312.repository.recipes.packaging_jobs import read_packaging_recipe
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


def test_what_a_job_packs_beside_the_code_is_installed(tmp_path: Path) -> None:
    files = {
        ".github/workflows/build.yml": WORKFLOW,
        "functions/auth/requirements.txt": "",
        "functions/other/requirements.txt": "",
    }
    tree = Tree(service_tree(tmp_path, files))

    recipe = read_packaging_recipe(tree, "functions/auth", "auth")

    assert recipe is not None
    (step,) = recipe.steps
    assert (step.files, step.arguments, step.target) == (("functions/auth/requirements.txt",), (), "/var/task")
    assert step.flags == ("--only-binary :all:",)
    assert str(step.location) == ".github/workflows/build.yml:12"
    assert read_packaging_recipe(tree, "functions/other", "other") is None


@pytest.mark.parametrize("command", ["pip install -r requirements.txt", "npm install -t ."])
def test_without_a_folder_there_is_no_archive(tmp_path: Path, command: str) -> None:
    text = f"jobs:\n  a:\n    steps:\n      - run: cd functions/auth; {command}\n"
    files = {".github/workflows/build.yml": text, "functions/auth/requirements.txt": ""}

    assert read_packaging_recipe(Tree(service_tree(tmp_path, files)), "functions/auth", "auth") is None
