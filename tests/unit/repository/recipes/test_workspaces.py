"""The member of a uv workspace that ``--package`` names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.recipes.commands.install_steps import workspace_member
from pytest_py312.repository.recipes.dockerfile_recipe import read_dockerfile_recipe
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service_tree

ROOT = '[project]\nname = "root"\nversion = "1"\n[tool.uv.workspace]\nmembers = ["backend", "packages/*", "../out"]\n'


def project(name: str) -> str:
    return f'[project]\nname = "{name}"\nversion = "1"\ndependencies = ["six"]\n'


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    files = {
        "pyproject.toml": ROOT,
        "backend/pyproject.toml": project("App"),
        "packages/one/pyproject.toml": project("one_lib"),
        "other/pyproject.toml": project("other"),
    }
    return Tree(service_tree(tmp_path, files))


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        (".", "app", "backend"),
        (".", "one-lib", "packages/one"),
        ("backend", "one-lib", "packages/one"),
        (".", "root", "."),
        (".", "other", None),
        (".", "", None),
        ("other", "other", "other"),
    ],
)
def test_a_member_is_found_by_its_name(tree: Tree, folder: str, name: str, expected: str | None) -> None:
    assert workspace_member(tree, folder, name) == expected


def test_a_step_installs_the_member(tree: Tree) -> None:
    text = "FROM python:3.11\nWORKDIR /app\nCOPY . .\nRUN uv sync --frozen --package app\n"
    service_tree(tree.root, {"backend/Dockerfile": text.replace("app\n", "app\n", 1)})

    recipe = read_dockerfile_recipe(tree, "backend/Dockerfile", "backend")

    assert recipe is not None
    assert [(step.project, step.unresolved) for step in recipe.steps] == [("backend", ())]


@given(pattern=st.text(max_size=20), name=st.text(max_size=5))
def test_no_pattern_raises_or_leaves_the_root(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, name: str
) -> None:
    folder = tmp_path_factory.mktemp("workspace")
    text = f"[tool.uv.workspace]\nmembers = [{str(pattern)!r}]\n"
    (folder / "pyproject.toml").write_text(text, encoding="utf-8", errors="replace")

    assert workspace_member(Tree(folder), ".", name or "x") is None
