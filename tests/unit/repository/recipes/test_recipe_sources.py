"""From the steps of a recipe to files, tables and arguments with requirements."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallRecipe, InstallStep, LocalProject
from pytest_py312.repository.formats.conda import conda_packages, read_conda_dependencies
from pytest_py312.repository.recipes.recipe_sources import sources_of_recipe
from pytest_py312.repository.services.requirements.sources import TABLE_READERS
from pytest_py312.repository.tree import Tree

POETRY = """\
[tool.poetry]
name = "x"
[tool.poetry.dependencies]
a = "*"
extra = { version = "*", optional = true }
[tool.poetry.extras]
agent = ["extra"]
[tool.poetry.group.integration]
optional = true
[tool.poetry.group.integration.dependencies]
i = "*"
[tool.poetry.group.docs.dependencies]
d = "*"
[tool.poetry.dev-dependencies]
t = "*"
"""
PROJECT = """\
[project]
name = "x"
dependencies = ["a"]
[project.optional-dependencies]
server = ["s"]
[dependency-groups]
dev = ["d"]
Test_Tools = ["t"]
"""
PIPFILE = '[packages]\na = "*"\n[dev-packages]\nt = "*"\n'


def sources(root: Path, step: InstallStep, name: str = "pyproject.toml", text: str = PROJECT) -> list[str]:
    (root / "svc").mkdir(exist_ok=True)
    (root / "svc" / name).write_text(text)
    recipe = InstallRecipe(source="svc/Dockerfile", steps=(step,))
    found = sources_of_recipe(Tree(root), recipe, TABLE_READERS, "svc")
    return [str(source).removeprefix(f"svc/{name} ").strip("[]") for source in found]


def step(tool: str = "pip", **values: object) -> InstallStep:
    return InstallStep(tool=tool, location=Location(path="svc/Dockerfile", line=3), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "tables"),
    [
        ({}, ["dependencies", "group.docs.dependencies", "dev-dependencies"]),
        ({"default_groups": False}, ["dependencies"]),
        ({"only": ("main",)}, ["dependencies"]),
        ({"only": ("docs",)}, ["group.docs.dependencies"]),
        ({"without": ("dev", "docs"), "groups": ("integration",), "extras": ("agent",)},
         ["dependencies", "group.integration.dependencies", "extras.agent"]),
        ({"all_extras": True, "all_groups": True},
         ["dependencies", "dev-dependencies", "group.integration.dependencies", "group.docs.dependencies",
          "extras.agent"]),
    ],
)  # fmt: skip
def test_what_poetry_installs(tmp_path: Path, values: dict[str, object], tables: list[str]) -> None:
    found = sources(tmp_path, step("poetry", project="svc", **values), text=POETRY)
    assert sorted(found) == sorted(f"tool.poetry.{table}" for table in tables)


@pytest.mark.parametrize(
    ("tool", "values", "tables"),
    [
        ("uv", {}, ["project.dependencies", "dependency-groups.dev"]),
        ("uv", {"default_groups": False, "extras": ("server",)},
         ["project.dependencies", "project.optional-dependencies.server"]),
        ("uv", {"only": ("test-tools",)}, ["dependency-groups.Test_Tools"]),
        ("pdm", {"default_groups": False, "groups": ("server",)},
         ["project.dependencies", "project.optional-dependencies.server"]),
        ("pdm", {}, ["project.dependencies", "dependency-groups.dev", "dependency-groups.Test_Tools"]),
        ("hatch", {"groups": ("default",)}, ["project.dependencies"]),
        ("uv pip", {"files": ("svc/pyproject.toml",)}, ["project.dependencies"]),
        ("uv pip", {"files": ("svc/pyproject.toml",), "all_extras": True},
         ["project.dependencies", "project.optional-dependencies.server"]),
    ],
)  # fmt: skip
def test_what_other_tools_install(tmp_path: Path, tool: str, values: dict[str, object], tables: list[str]) -> None:
    project = {} if "files" in values else {"project": "svc"}
    assert sorted(sources(tmp_path, step(tool, **project, **values))) == sorted(tables)


def test_what_pipenv_installs(tmp_path: Path) -> None:
    found = sources(tmp_path, step("pipenv", project="svc", groups=("dev-packages",)), "Pipfile", PIPFILE)
    assert found == ["packages", "dev-packages"]
    assert sources(tmp_path, step("pipenv", project="svc", default_groups=False), "Pipfile", PIPFILE) == ["packages"]


def test_a_project_by_its_path_has_its_extras(tmp_path: Path) -> None:
    """`--no-deps` installs none of its requirements."""
    project = LocalProject(path="svc", extras=("server",))
    assert sources(tmp_path, step(projects=(project,))) == [
        "project.dependencies", "project.optional-dependencies.server",
    ]  # fmt: skip
    assert sources(tmp_path, step(projects=(project,), flags=("--no-deps",))) == []


def test_another_project_of_the_repository_is_a_requirement_by_its_path(tmp_path: Path) -> None:
    """It is built and installed itself, with what it requires."""
    library = LocalProject(path="lib/common", extras=("x", "y"), editable=True)
    assert sources(tmp_path, step(projects=(library,))) == ["svc/Dockerfile:3 (./lib/common[x,y])"]


def test_files_constraints_and_arguments(tmp_path: Path) -> None:
    found = sources(tmp_path, step(files=("svc/r/a.txt",), constraints=("c.txt",), arguments=("gunicorn==20", "b")))
    assert found == ["c.txt", "svc/r/a.txt", "svc/Dockerfile:3 (gunicorn==20 b)"]


CONDA = """\
name: x
dependencies:
  - python=3.11
  - pip:
      - flask==2.0  # why
      - -r more.txt
      - -e ./lib
"""


def test_the_pip_section_of_a_conda_environment() -> None:
    (table,) = read_conda_dependencies(CONDA, "environment.yml")
    assert [(entry.text, entry.line) for entry in table.requirements.entries] == [("flask==2.0", 5)]
    assert [(include.path, include.line) for include in table.requirements.includes] == [("more.txt", 6)]
    assert [(local.path, local.line) for local in table.requirements.local_paths] == [("./lib", 7)]


def test_what_conda_itself_installs() -> None:
    """Without the interpreter, programs and libraries of C, which no code imports."""
    others = "".join(f"  - {name}\n" for name in ("pip", "gcc=9", "_libgcc_mutex=0.1", "libpq", "ld_impl_linux-64=2"))
    text = CONDA.replace("  - pip:", f'  - "numpy=1.20"\n  - conda-forge::gdal>=3\n{others}  - pip:')
    assert conda_packages(text) == (("numpy=1.20", 4), ("conda-forge::gdal>=3", 5))
    assert conda_packages("dependencies: [") == ()


@given(st.text(alphabet=st.sampled_from("dependencies:pip \n-[]{}&*'\"#="), max_size=60))
def test_no_conda_environment_raises(text: str) -> None:
    assert len(read_conda_dependencies(text, "environment.yml")) == 1
    conda_packages(text)
