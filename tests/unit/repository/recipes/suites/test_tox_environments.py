"""Which environments of tox are followed first, and which section each of them has."""

from pathlib import Path

import pytest

from pytest_py312.repository.formats.setuptools import read_ini
from pytest_py312.repository.recipes.suites.job_recipes import read_workflow_recipe
from pytest_py312.repository.recipes.suites.runner_recipes import read_outer_tox_recipe, read_runner_recipe
from pytest_py312.repository.recipes.suites.tox_environments import ToxConfiguration, read_tox_configuration
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service_tree


def configuration(text: str) -> ToxConfiguration:
    return ToxConfiguration(path="tox.ini", folder=".", ini=read_ini(text), base="tox")


@pytest.mark.parametrize(
    ("envlist", "expected"),
    [
        ("py39, py310", ["py39", "py310"]),
        ("py{39,310}-x", ["py39-x", "py310-x"]),
        ("py3{9,10}", ["py39", "py310"]),
        ("{py39,pypy3}-lib{5,6}", ["py39-lib6", "py39-lib5", "pypy3-lib6", "pypy3-lib5"]),
        ("py39-django{32,42}", ["py39-django42", "py39-django32"]),
        ("py39-{old,new}", ["py39-new", "py39-old"]),
        ("py39-{latest,lowest}", ["py39-latest", "py39-lowest"]),
        ("py39-django{32,42,main}", ["py39-django42", "py39-django32", "py39-djangomain"]),
        ("py{[common]pythons}-test-{lin,mac}", ["py39-test-lin", "py39-test-mac", "py310-test-lin", "py310-test-mac"]),
        ("a, py{[nothing]here}", ["a", "py"]),
    ],
)
def test_the_newest_version_of_a_library_comes_first(envlist: str, expected: list[str]) -> None:
    """After it what is called old or unstable. Pythons and different names stay in their order."""
    assert configuration(f"[common]\npythons = {{39,310}}\n[tox]\nenvlist = {envlist}\n").environments == (*expected,)


@pytest.mark.parametrize(
    ("name", "text", "is_configured"),
    [
        ("tox.ini", "[testenv]\ncommands = pytest\n", True),
        ("tox.ini", "[tox]\n", True),
        ("tox.ini", "[flake8]\nmax-line-length = 100\n", False),
        ("setup.cfg", "[testenv]\ncommands = pytest\n", False),
        ("setup.cfg", "[tox:tox]\n[testenv]\n", True),
    ],
)
def test_files_that_configure_tox(tmp_path: Path, name: str, text: str, is_configured: bool) -> None:
    (tmp_path / name).write_text(text)
    assert (read_tox_configuration(Tree(tmp_path), ".") is not None) is is_configured


@pytest.mark.parametrize(
    ("header", "name", "found"),
    [
        ("testenv:py39", "py39", True),
        ("testenv:py{39,310}-test-{lin,mac}", "py310-test-mac", True),
        ("testenv:py{39,310}, lint", "lint", True),
        ("testenv:{py39,py310}", "py311", False),
        ("testenv:py{[common]pythons}", "py310", True),
        ("other:py{39,310}", "py39", False),
    ],
)
def test_the_name_of_a_section_may_be_generative(header: str, name: str, found: bool) -> None:
    """It has one alternative for each of its environments."""
    text = f"[common]\npythons = {{39,310}}\n[tox]\n[{header}]\ndeps = a\n"
    assert configuration(text).section_of(name) == (header if found else "")


def test_references_that_refer_to_themselves_end() -> None:
    """After some rounds; the text stays short."""
    text = "[a]\nb = {[a]b}{[a]b}{[a]b}{[a]b}{[a]b}{[a]b}{[a]b}{[a]b}{[a]b}{[a]b}{[a]b}\n[tox]\nenvlist = {[a]b}\n"
    assert len(configuration(text).environments) <= 100


@pytest.mark.parametrize(
    ("command", "constraints", "options", "program"),
    [
        ("pip install -c{toxinidir}/upper.txt {opts} {packages}", ("upper.txt",), (), ""),
        (
            "python -I -m pip install -c{env:UPPER:https://x/upper} -i https://i/ {opts} {packages}",
            (),
            (("--index-url", "https://i/"), ("--constraint", "https://x/upper")),
            "",
        ),
        ("/usr/bin/env LANG=C pip install -c upper.txt {opts} {packages}", ("upper.txt",), (), ""),
        ("{envdir}/bin/myinstall {opts} {packages}", (), (), "{envdir}/bin/myinstall"),
        ("python -I {toxinidir}/tools/install.py {opts} {packages}", (), (), "python -I tools/install.py"),
    ],
)
def test_the_command_with_which_tox_installs(
    tmp_path: Path, command: str, constraints: tuple[str, ...], options: tuple[tuple[str, str], ...], program: str
) -> None:
    """What a program of the repository does is not known."""
    text = f"[testenv]\ninstall_command = {command}\nskip_install = true\ndeps = six\ncommands = pytest\n"
    tree = Tree(service_tree(tmp_path, {"tox.ini": text, "upper.txt": "", "tools/install.py": ""}))

    recipe = read_runner_recipe(tree, ".")

    assert recipe is not None
    (step,) = recipe.steps
    assert (step.constraints, step.indexes, step.unknown_program) == (constraints, options, program)


@pytest.mark.parametrize(
    ("command", "constraints", "program"),
    [
        (
            '["python", "-m", "pip", "install", "-c", "{tox_root}/upper.txt", "{opts}", "{packages}"]',
            ("upper.txt",),
            "",
        ),
        ('["python", "{tox_root}/tools/install.py", "{packages}"]', (), "python tools/install.py"),
    ],
)
def test_the_command_with_which_tox_installs_in_toml(
    tmp_path: Path, command: str, constraints: tuple[str, ...], program: str
) -> None:
    text = (
        f'[env_run_base]\ninstall_command = {command}\nskip_install = true\ndeps = ["six"]\ncommands = [["pytest"]]\n'
    )
    tree = Tree(service_tree(tmp_path, {"tox.toml": text, "upper.txt": "", "tools/install.py": ""}))

    recipe = read_runner_recipe(tree, ".")

    assert recipe is not None
    assert [(step.constraints, step.unknown_program) for step in recipe.steps] == [(constraints, program)]


def test_tox_at_the_root_says_what_the_tests_of_its_projects_are_run_with(tmp_path: Path) -> None:
    text = "[tox]\nskipsdist = true\n[testenv]\ndeps =\n  -e ./a[test]\n  -e ./b\ncommands = pytest a b\n"
    project = "[project]\nname = 'x'\n"
    files = {"tox.ini": text, "a/pyproject.toml": project, "b/pyproject.toml": project, "c/pyproject.toml": project}
    tree = Tree(service_tree(tmp_path, files))

    recipe = read_outer_tox_recipe(tree, "a")

    assert recipe is not None
    assert [[project.path for project in step.projects] for step in recipe.steps] == [["a", "b"]]
    assert read_outer_tox_recipe(tree, "c") is None
    assert read_outer_tox_recipe(tree, ".") is None


TOX_OF_A_JOB = """\
[tox]
skipsdist = true
[testenv]
deps = -r requirements/{env:TOX_ENV_NAME}.txt
commands =
    lint: ruff check
    unit: coverage run -m pytest {posargs:tests/unit/}
    functional: pytest {posargs:tests/functional/}
"""


@pytest.mark.parametrize(
    ("environments", "installed", "further"),
    [
        ("lint,unit,functional", ["unit", "functional"], ["tests/functional"]),
        ("unit", ["unit"], []),
    ],
)
def test_a_job_tests_with_all_environments_that_run_tests(
    tmp_path: Path, environments: str, installed: list[str], further: list[str]
) -> None:
    """What the others install is for something else."""
    files = {
        "tox.ini": TOX_OF_A_JOB,
        ".github/workflows/ci.yml": f"jobs: {{t: {{steps: [{{run: 'tox -e {environments}'}}]}}}}\n",
        **{f"requirements/{name}.txt": "" for name in ("lint", "unit", "functional")},
        **{f"tests/{name}/test_a.py": "" for name in ("unit", "functional")},
    }
    recipe = read_workflow_recipe(Tree(service_tree(tmp_path, files)), ".", "a")
    assert recipe is not None
    assert [step.files for step in recipe.steps] == [(f"requirements/{name}.txt",) for name in installed]
    assert list(recipe.further_paths) == further
    assert recipe.deselected_tests == ()


def test_of_environments_with_the_same_tests_the_newest_usual_one_counts(tmp_path: Path) -> None:
    text = (
        "[tox]\nskipsdist = true\n[testenv]\ndeps =\n    py39: a<2\n    py311: a>=2\n    oldest: a==1\n"
        "    docs: sphinx\n    behave: behave\ncommands =\n    !docs-!behave: pytest tests\n    docs: sphinx-build\n"
        "    behave: behave features\n"
    )
    job = "jobs: {t: {steps: [{run: 'tox -e py39,oldest,py311,docs,behave'}]}}\n"
    files = {"tox.ini": text, ".github/workflows/ci.yml": job, "tests/test_a.py": ""}
    recipe = read_workflow_recipe(Tree(service_tree(tmp_path, files)), ".", "a")
    assert recipe is not None
    assert [step.arguments for step in recipe.steps] == [("a>=2",), ("behave",)]
