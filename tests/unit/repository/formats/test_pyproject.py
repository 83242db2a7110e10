"""Dependencies of a pyproject.toml and of a Pipfile, table by table."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from pytest_py312.repository.formats.pyproject import (
    packaged_paths_outside,
    read_pipfile_dependencies,
    read_pyproject_dependencies,
)
from pytest_py312.repository.formats.requirements_file import RequirementsText
from pytest_py312.repository.formats.version_ranges import Untranslatable, python_marker, to_specifier


def tables(text: str) -> dict[str, RequirementsText]:
    return {table.table: table.requirements for table in read_pyproject_dependencies(text, "pyproject.toml")}


PROJECT = """\
[project]
name = "x"
dependencies = [
  "fastapi>=0.100",  # web
  "not a requirement",
]

[project.optional-dependencies]
test = ["pytest<8.5"]

[dependency-groups]
dev = [{ include-group = "Test_ing" }, "ruff"]
test-ing = ["pytest", "coverage[toml]"]
"""


def test_project_tables_are_read_with_lines() -> None:
    """[project] dependencies, optional ones and dependency groups."""
    dependency_tables = tables(PROJECT)
    assert [(entry.name, entry.line) for entry in dependency_tables["project.dependencies"].entries] == [("fastapi", 4)]
    assert [problem.line for problem in dependency_tables["project.dependencies"].problems] == [5]
    assert [entry.text for entry in dependency_tables["project.optional-dependencies.test"].entries] == ["pytest<8.5"]


def test_a_group_contains_the_groups_that_it_includes() -> None:
    """Names of groups are compared in normalised form."""
    assert [entry.name for entry in tables(PROJECT)["dependency-groups.dev"].entries] == ["pytest", "coverage", "ruff"]


def test_groups_that_include_each_other_are_a_problem() -> None:
    """Reported once, without an endless loop."""
    dependency_tables = tables('[dependency-groups]\na = [{include-group = "b"}]\nb = [{include-group = "a"}]\n')
    assert "includes itself" in dependency_tables["dependency-groups.a"].problems[0].message


def test_paths_of_pdm_and_hatch_are_relative_to_the_project() -> None:
    """``${PROJECT_ROOT}`` and ``{root:uri}`` are its folder."""
    (main, group, development) = tables(
        """
[project]
dependencies = ["core[flask] @ file:///${PROJECT_ROOT}/../core", "flags @ {root:parent:uri}/flags", "attrs"]
[dependency-groups]
lint = ["rules @ file:///${PROJECT_ROOT}/rules", "flags @ {root:parent:parent:uri}/flags"]
[tool.pdm.dev-dependencies]
test = ["-e core[flask] @ file:///${PROJECT_ROOT}/../core", "-e file:///${PROJECT_ROOT}/../core#egg=core"]
"""
    ).values()

    assert [(local.path, local.extras) for local in main.local_paths] == [("../core", ("flask",)), ("../flags", ())]
    assert [local.path for local in group.local_paths] == ["rules", "../../flags"]
    assert [entry.name for entry in main.entries] == ["attrs"]
    assert [(local.path, local.extras) for local in development.local_paths] == [
        ("../core", ("flask",)),
        ("../core", ()),
    ]


def test_groups_of_pdm_and_environments_of_hatch() -> None:
    """An environment without its own dependencies has those of the default one; a detached one has none."""
    dependency_tables = tables(
        """
[tool.pdm.dev-dependencies]
test = ["pytest", "-e file:///${PROJECT_ROOT}/./libs/shop#egg=shop"]
[tool.hatch.envs.default]
dependencies = ["mypy"]
[tool.hatch.envs.test]
extra-dependencies = ["pytest-cov", "shop @ {root:uri}/libs/shop"]
[tool.hatch.envs.lint]
detached = true
"""
    )
    assert {name: [entry.name for entry in table.entries] for name, table in dependency_tables.items()} == {
        "tool.pdm.dev-dependencies.test": ["pytest"],
        "tool.hatch.envs.default": ["mypy"],
        "tool.hatch.envs.test": ["mypy", "pytest-cov"],
    }
    assert [[local.path for local in table.local_paths] for table in dependency_tables.values()] == [
        ["./libs/shop"],
        [],
        ["libs/shop"],
    ]
    assert [entry.line for entry in dependency_tables["tool.hatch.envs.test"].entries] == [5, 7]


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^1.2", ">=1.2,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1.2", ">=1.2,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("*", ""),
        ("1.2.*", "==1.2.*"),
        (">=5.3.*", ">=5.3"),
        (">=1.2.*,<2.*", ">=1.2,<2"),
        (">=1.2.x", ">=1.2"),
        ("<2.x", "<2"),
        ("1.2.3", "==1.2.3"),
        (">=1.0, <2.0", ">=1.0,<2.0"),
        (">=1.0 <2.0", ">=1.0,<2.0"),
        ("!=1.5", "!=1.5"),
        ("^2.0.0 || ^3.0.0", ">=2.0.0,<4"),
        ("^0.9.1 || ^0.10.0", ">=0.9.1,<0.11"),
        ("^3.0 | ^1.0", ">=1.0,<4,!=2.*"),
        ("^1.0 || ^5.0", ">=1.0,<6,!=2.*,!=3.*,!=4.*"),
        ("1.* || >=2", ">=1"),
        ("^0.18.3 || ^0.21.0 || ^0.23.0", ">=0.18.3,<0.24,!=0.19.*,!=0.20.*,!=0.22.*"),
        ("^0.0.254 || ^0.0.256 || ^0.1.0", ">=0.0.254,<0.2,!=0.0.255.*"),
        ("^1.0 || ^1.5", ">=1.0,<2"),
    ],
)
def test_poetry_constraints_become_pep_440(constraint: str, specifier: str) -> None:
    """The table of Poetry's own documentation."""
    assert to_specifier(constraint) == specifier


@pytest.mark.parametrize(
    "constraint", ["^1.0 || ^5.1", "1.2.3 || ^2", "^1 || !=3", "^abc", "latest", "^", "^1" + 60 * " || ^2"]
)
def test_what_pep_440_cannot_express_is_not_guessed(constraint: str) -> None:
    """Alternatives, and text that is not a version."""
    with pytest.raises(Untranslatable):
        to_specifier(constraint)


def test_a_python_constraint_becomes_a_marker() -> None:
    """True on 3.9 and 3.10, false on 3.12."""
    requirement = Requirement(f"x; {python_marker('>=3.9,<3.11')}")
    assert requirement.marker is not None
    answers = [requirement.marker.evaluate({"python_version": version}) for version in ("3.9", "3.10", "3.12")]
    assert answers == [True, True, False]


POETRY = """\
[tool.poetry.dependencies]
python = "^3.10"
fastapi = "^0.100"
uvicorn = {extras = ["standard"], version = "~0.23", markers = "sys_platform != 'win32'"}
old = {version = "1.*", python = "<3.11"}
common = {path = "../common", develop = true}
fork = {git = "https://code.invalid/x.git", branch = "main"}
numpy = [{version = "<2", python = "<3.12"}, {version = ">=2", python = ">=3.12"}]
redis = {version = "*", optional = true}

[tool.poetry.extras]
cache = ["redis"]

[tool.poetry.group.dev.dependencies]
pytest = "*"
"""


def test_poetry_tables_become_pep_508() -> None:
    """Plain, table and list forms; python itself is not a dependency, an optional one belongs to its extra."""
    dependency_tables = tables(POETRY)
    main = dependency_tables["tool.poetry.dependencies"]
    assert [(entry.text, entry.line) for entry in main.entries] == [
        ("fastapi>=0.100,<0.101", 3),
        ("uvicorn[standard]>=0.23,<0.24; (sys_platform != 'win32')", 4),
        ('old==1.*; python_version < "3.11"', 5),
        ("fork @ git+https://code.invalid/x.git@main", 7),
        ('numpy<2; python_version < "3.12"', 8),
        ('numpy>=2; python_version >= "3.12"', 8),
    ]
    assert [(local.path, local.editable) for local in main.local_paths] == [("../common", True)]
    assert main.problems == ()
    assert [entry.text for entry in dependency_tables["tool.poetry.extras.cache"].entries] == ["redis"]
    assert [entry.name for entry in dependency_tables["tool.poetry.group.dev.dependencies"].entries] == ["pytest"]


def test_a_pipfile_has_two_tables() -> None:
    """Its entries have the forms of Poetry."""
    text = '[packages]\nflask = ">=2"\nx = {version = "==1.0", extras = ["a"]}\ny = {path = "../y", editable = true}\n'
    text += '[dev-packages]\npytest = "*"\n'
    dependency_tables = {table.table: table.requirements for table in read_pipfile_dependencies(text, "Pipfile")}
    assert [entry.text for entry in dependency_tables["packages"].entries] == ["flask>=2", "x[a]==1.0"]
    assert [(local.path, local.editable) for local in dependency_tables["packages"].local_paths] == [("../y", True)]
    assert [entry.name for entry in dependency_tables["dev-packages"].entries] == ["pytest"]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ('{git = "https://code.invalid/x.git"}', "x @ git+https://code.invalid/x.git"),
        ('{git = "git+https://code.invalid/x", ref = "v1"}', "x @ git+https://code.invalid/x@v1"),
        ('{git = "git@code.invalid:a/x.git", tag = "1"}', "x @ git+ssh://git@code.invalid/a/x.git@1"),
        ('{git = "ssh://git@code.invalid/x", rev = "ab", subdirectory = "py", extras = ["db"]}',
         "x[db] @ git+ssh://git@code.invalid/x@ab#subdirectory=py"),
        ('{git = "https://code.invalid/x", branch = "b", markers = "sys_platform == \'linux\'"}',
         "x @ git+https://code.invalid/x@b ; (sys_platform == 'linux')"),
    ],
)  # fmt: skip
def test_git_repositories_are_written_as_for_pip(form: str, text: str) -> None:
    (table,) = read_pipfile_dependencies(f"[packages]\nx = {form}\n", "Pipfile")
    assert [entry.text for entry in table.requirements.entries] == [text]


def test_a_git_repository_without_a_url_is_a_problem() -> None:
    (table,) = read_pipfile_dependencies("[packages]\nx = {git = '../x'}\n", "Pipfile")
    assert ["unreadable URL" in problem.message for problem in table.requirements.problems] == [True]


def test_invalid_toml_is_a_problem_with_its_line() -> None:
    """In one table without a name."""
    (table,) = read_pyproject_dependencies("[project]\nname = = 1\n", "pyproject.toml")
    assert table.table == ""
    assert table.requirements.problems[0].line == 2


@given(st.text())
def test_no_text_crashes_the_readers(text: str) -> None:
    """Any text yields tables or a problem."""
    for found in (read_pyproject_dependencies(text, "p"), read_pipfile_dependencies(text, "p")):
        assert all(table.requirements.path == "p" for table in found)


def toml(value: object) -> str:
    """Format a value as TOML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


json_like = st.recursive(
    st.one_of(
        st.text(st.characters(max_codepoint=126), max_size=8),
        st.integers(),
        st.booleans(),
        st.sampled_from(["^1", "x>=1", "1.*"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["version", "path", "git", "extras", "python", "optional", "include-group", "a", "b"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)


@given(st.sampled_from(["project", "dependency-groups", "tool"]), json_like)
def test_no_shape_of_tables_crashes_the_reader(table: str, value: object) -> None:
    """Values of every type where another one is expected."""
    shapes = {
        "project": {"dependencies": value, "optional-dependencies": value, "dynamic": value},
        "dependency-groups": value,
        "tool": {"poetry": {"dependencies": value, "group": value, "extras": value}, "uv": {"dev-dependencies": value}},
    }
    text = f"{table} = {toml(shapes[table])}\n"
    for found in read_pyproject_dependencies(text, "p"):
        assert all(problem.message for problem in found.requirements.problems)


@given(st.text())
def test_no_constraint_crashes_the_translation(text: str) -> None:
    """It is translated to a valid specifier or rejected."""
    try:
        specifier = to_specifier(text)
    except Untranslatable:
        specifier = ""
    assert Requirement(f"x{specifier}").name == "x"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (
            '[tool.poetry]\npackages = [{include = "shop/log", from = "../../components"}, {include = "own"}]',
            ["../../components/shop/log"],
        ),
        ('[tool.poetry]\ninclude = ["../LICENSE", "data/*"]', ["../LICENSE"]),
        ('[tool.hatch.build.targets.wheel.force-include]\n"../shared/log" = "log"', ["../shared/log"]),
        ('[tool.polylith.bricks]\n"../../bases/shop/api" = "shop/api"', ["../../bases/shop/api"]),
        ('[tool.setuptools.packages.find]\nwhere = ["../src/"]', ["../src"]),
        ('[tool.poetry.dependencies]\nlog = {path = "../log", develop = true}', []),
        ('[tool.uv.sources]\nlog = {path = "../log"}', []),
        ('[project]\nreadme = "../README.md"', []),
        ("not toml", []),
    ],
)  # fmt: skip
def test_what_a_build_packs_from_outside_is_known(text: str, paths: list[str]) -> None:
    assert list(packaged_paths_outside(text)) == paths


@given(json_like)
def test_no_shape_of_a_build_crashes_the_reader(value: object) -> None:
    text = f"tool = {toml({'poetry': {'packages': value, 'include': value}, 'hatch': value})}\n"
    assert all(path.startswith("..") for path in packaged_paths_outside(text))
