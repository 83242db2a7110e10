"""From workflows, tox and nox to what the tests of a service are run with."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep
from pytest_py312.repository.recipes.suites.job_recipes import read_workflow_recipe
from pytest_py312.repository.recipes.suites.runner_recipes import read_runner_recipe
from pytest_py312.repository.recipes.suites.script_recipes import read_makefile_recipe, read_script_recipe
from pytest_py312.repository.recipes.suites.workflow_jobs import read_circleci_jobs
from pytest_py312.repository.tree import Tree

FILES = {
    "services/a/pyproject.toml": "[project]\nname = 'a'\n",
    "services/a/dev.txt": "",
    "services/b/dev.txt": "",
}


def write(root: Path, files: Mapping[str, str]) -> Tree:
    for name, text in {**FILES, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Tree(root)


def shown(recipe: InstallRecipe | None) -> list[tuple[str, str]]:
    """The places of the steps, and what they install."""
    assert recipe is not None
    return [(str(step.location), contents(step)) for step in recipe.steps]


def contents(step: InstallStep) -> str:
    projects = [f"{project.path}{list(project.extras) or ''}" for project in step.projects]
    project = [f"{step.tool} {step.project}"] if step.project else []
    return " ".join((*step.files, *step.arguments, *projects, *project, *step.extras, *step.groups))


LINT = "  lint:\n    steps:\n      - run: pip install ruff\n      - run: ruff check services/a\n"
JOB = """\
on: push
jobs:
{lint}  tests:
    strategy:
      matrix:
        service: [a, b]
    defaults:
      run:
        working-directory: services/${{{{ matrix.service }}}}
    steps:
      - uses: actions/checkout@v4
      - run: |
          pip install -U pip
          pip install -r dev.txt
      - name: tests
        run: {tests}
"""


@pytest.mark.parametrize("service", ["a", "b"])
def test_the_job_of_a_matrix_that_tests_the_service(tmp_path: Path, service: str) -> None:
    """A job that only checks its style is none."""
    tree = write(tmp_path, {".github/workflows/ci.yml": JOB.format(lint=LINT, tests="python -m pytest")})
    recipe = read_workflow_recipe(tree, f"services/{service}", service)
    assert shown(recipe) == [(".github/workflows/ci.yml:18", f"services/{service}/dev.txt")]


def test_the_workflow_of_the_tests_is_read_before_others(tmp_path: Path) -> None:
    """One that measures coverage or builds the documentation may run the tests with other things."""
    job = "jobs:\n  a:\n    steps:\n      - run: pip install {}\n      - run: pytest services/a\n"
    names = ("coverage", "main", "tests", "x-docs")
    files = {f".github/workflows/{name}.yml": job.format(name) for name in names}
    for best in ("tests", "main"):
        recipe = read_workflow_recipe(write(tmp_path, files), "services/a", "a")
        assert shown(recipe) == [(f".github/workflows/{best}.yml:4", best)]
        (tmp_path / f".github/workflows/{best}.yml").unlink()
        del files[f".github/workflows/{best}.yml"]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("cd services/a && poetry install --all-extras && poetry run pytest", "poetry services/a"),
        ("cd services/a; uv sync --group ci; uv run pytest tests", "uv services/a ci"),
        ("uv run --directory services/a --group ci pytest services/a/tests", "uv services/a ci"),
        ("pip install -e './services/a[test]'; pytest services/a/tests", "services/a['test']"),
        ("make -C services/a test", "services/a/dev.txt"),
        ("pip install -r services/a/dev.txt; coverage run -m pytest services/a", "services/a/dev.txt"),
    ],
)
def test_ways_to_run_the_tests(tmp_path: Path, run: str, expected: str) -> None:
    workflow = f"jobs:\n  t:\n    steps:\n      - run: {run}\n"
    makefile = "test: deps\n\tpytest\ndeps:\n\tpip install -r dev.txt\n"
    tree = write(tmp_path, {".github/workflows/ci.yml": workflow, "services/a/Makefile": makefile})
    recipe = read_workflow_recipe(tree, "services/a", "a")
    assert [content for _, content in shown(recipe)][:1] == [expected]
    assert read_workflow_recipe(tree, "services/b", "b") is None


TOX = """\
[tox]
envlist = lint, py{310,311}-{unit,all}
[base]
deps =
    pytest
[testenv]
deps =
    {[base]deps}
    unit: -r{toxinidir}/dev.txt
    !unit: other >= 1 ; python_version > "3"
    -cconstraints.txt
extras = test
commands = pytest {posargs:tests}
[testenv:lint]
skip_install = true
deps = ruff
commands = ruff check
"""


def test_the_environment_of_tox_that_runs_tests(tmp_path: Path) -> None:
    """With its factors, substitutions and the project itself."""
    tree = write(tmp_path, {"services/a/tox.ini": TOX, "services/a/constraints.txt": ""})
    recipe = read_runner_recipe(tree, "services/a")
    assert shown(recipe) == [
        ("services/a/tox.ini:7", "services/a/dev.txt pytest"),
        ("services/a/tox.ini:12", "services/a['test']"),
    ]
    assert recipe is not None
    assert recipe.steps[0].constraints == ("services/a/constraints.txt",)


def test_a_job_that_runs_an_environment_of_tox(tmp_path: Path) -> None:
    workflow = "jobs:\n  t:\n    steps:\n      - run: pip install tox\n      - run: tox -e py311-all\n"
    text = workflow + "        working-directory: services/a\n"
    tree = write(
        tmp_path, {".github/workflows/ci.yml": text, "services/a/tox.ini": TOX.replace("    -cc", "    # -cc")}
    )
    assert shown(read_workflow_recipe(tree, "services/a", "a"))[0] == (
        "services/a/tox.ini:7", 'pytest other >= 1 ; python_version > "3"',
    )  # fmt: skip


def test_an_environment_that_only_its_factor_names(tmp_path: Path) -> None:
    """The list has one that starts a container, in which `tox -e py311` runs."""
    text = (
        "[tox]\nenvlist = docker\n[testenv:docker]\nskip_install = true\ncommands = docker run x py311\n"
        "[testenv]\nskip_install = true\ndeps =\n    py311: -r dev.txt\ncommands = {posargs:py.test {toxinidir}}\n"
    )
    tree = write(tmp_path, {"services/a/tox.ini": text})
    assert shown(read_runner_recipe(tree, "services/a")) == [("services/a/tox.ini:8", "services/a/dev.txt")]


TOX_TOML = """\
[tool.tox]
env_list = ["lint", "3.11"]
[tool.tox.env_run_base]
deps = ["pytest>=8", "-r dev.txt"]
extras = ["test"]
commands = [["pytest", "tests"]]
[tool.tox.env.lint]
skip_install = true
deps = []
commands = [["ruff", "check"]]
"""


def test_the_configuration_of_tox_in_toml(tmp_path: Path) -> None:
    tree = write(tmp_path, {"services/a/pyproject.toml": TOX_TOML})
    recipe = read_runner_recipe(tree, "services/a")
    assert [content for _, content in shown(recipe)] == ["services/a/dev.txt pytest>=8", "services/a['test']"]


NOX = """\
import nox
DEPS = ["pytest", "pytest-cov"]

@nox.session
def lint(session):
    session.install("ruff")
    session.run("ruff", "check")

@nox.session(python=["3.11"], name="unit")
def unit_tests(session: nox.Session) -> None:
    session.install("-r", "dev.txt", *DEPS)
    session.install(".[test]")
    session.run("pytest", *session.posargs)
"""


def test_the_session_of_nox_that_runs_tests(tmp_path: Path) -> None:
    tree = write(tmp_path, {"services/a/noxfile.py": NOX})
    assert shown(read_runner_recipe(tree, "services/a")) == [
        ("services/a/noxfile.py:11", "services/a/dev.txt pytest pytest-cov"),
        ("services/a/noxfile.py:12", "services/a['test']"),
    ]


def test_nox_poetry_installs_what_the_lock_says(tmp_path: Path) -> None:
    """In its versions; what else the session names is installed beside it."""
    text = NOX.replace("import nox\n", "import nox_poetry\n", 1).replace("@nox.session", "@nox_poetry.session")
    project = '[tool.poetry]\nname = "a"\n'
    tree = write(tmp_path, {"services/a/noxfile.py": text, "services/a/pyproject.toml": project})
    recipe = read_runner_recipe(tree, "services/a")
    assert recipe is not None
    assert {(step.tool, step.project) for step in recipe.steps} == {("poetry", "services/a"), ("pip", None)}
    assert [step.extras for step in recipe.steps if step.tool == "poetry"] == [(), ("test",)]


@pytest.mark.parametrize(
    ("head", "decorator", "call", "tool", "extras"),
    [
        ("from nox_poetry import session", "session", 'session.install(".[db,x]")', "poetry", ("db", "x")),
        ("import nox_poetry", "nox_poetry.session", 'session.poetry.installroot(extras=["db"])', "poetry", ("db",)),
        ("import nox, nox_poetry", "nox.session", 'session.install("pytest", "six", ".")', "pip", ()),
        ('"""from nox_poetry import session"""\nfrom nox import session', "session", 'session.install("a")', "pip", ()),
    ],
)
def test_only_sessions_of_nox_poetry_install_its_lock(
    tmp_path: Path, head: str, decorator: str, call: str, tool: str, extras: tuple[str, ...]
) -> None:
    text = f"{head}\n\n@{decorator}\ndef tests(session):\n    {call}\n    session.run('pytest')\n"
    project = '[tool.poetry]\nname = "a"\n'
    tree = write(tmp_path, {"services/a/noxfile.py": text, "services/a/pyproject.toml": project})
    recipe = read_runner_recipe(tree, "services/a")
    assert recipe is not None
    assert [step.tool for step in recipe.steps] == [tool]
    assert (recipe.steps[0].extras if tool == "poetry" else ()) == extras


NOX_IN_FOLDERS = """\
import os
import nox

FOLDERS = sorted(find_folders("."))

def _tests(session, place):
    session.chdir(place)
    if os.path.exists("requirements.txt"):
        session.install("-r", "requirements.txt")
    session.run("pytest", *session.posargs)

@nox.session(python=["3.10"])
@nox.parametrize("folder", FOLDERS)
def py(session, folder):
    session.install("-r", "test.txt")
    _tests(session, folder)
"""


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        ("sorted(find_folders('.'))", ["test.txt", "services/a/requirements.txt"]),
        ("['services/b', 'services/a']", ["test.txt", "services/a/requirements.txt"]),
        ("['services/b', 'services/c']", None),
    ],
)
@pytest.mark.parametrize("has_requirements", [True, False])
def test_a_session_of_nox_in_the_folder_of_each_service(
    tmp_path: Path, folders: str, expected: list[str] | None, has_requirements: bool
) -> None:
    """What code computes may be the folder of the service; a function that gets the session is followed."""
    files = {
        "noxfile.py": NOX_IN_FOLDERS.replace('sorted(find_folders("."))', folders),
        ".github/workflows/test.yml": "jobs:\n  test:\n    steps:\n      - run: python3 -m nox\n",
        "test.txt": "",
        **({"services/a/requirements.txt": ""} if has_requirements else {}),
    }
    recipe = read_workflow_recipe(write(tmp_path, files), "services/a", "a")
    if expected is None:
        assert recipe is None
    else:
        assert [content for _, content in shown(recipe)] == (expected if has_requirements else expected[:1])


def test_what_a_function_of_a_noxfile_gets_is_known_word_by_word(tmp_path: Path) -> None:
    """A list is not, and a parameter that is no folder is none."""
    noxfile = (
        "import nox\n\ndef put(session, *, packages, extra='x'):\n    session.install(packages)\n\n"
        "@nox.session\n@nox.parametrize('package_version', versions())\ndef tests(session, package_version):\n"
        "    put(session, packages='attrs')\n    put(session, packages=['six', 'click'])\n"
        "    session.install(package_version)\n    session.run('pytest')\n"
    )
    recipe = read_runner_recipe(write(tmp_path, {"services/a/noxfile.py": noxfile}), "services/a")
    assert recipe is not None
    assert [step.arguments for step in recipe.steps if step.arguments] == [("attrs",)]


def test_a_noxfile_may_call_itself_as_often_as_it_likes(tmp_path: Path) -> None:
    calls = "    again(session, 'x')\n" * 100
    noxfile = f"import nox\n\ndef again(session, word):\n{calls}\n@nox.session\ndef tests(session):\n{calls}"
    noxfile += f"    x{'.b()' * 200}\n    session.run('pytest')\n"
    recipe = read_runner_recipe(write(tmp_path, {"services/a/noxfile.py": noxfile}), "services/a")
    assert recipe is not None


def test_without_any_of_them_there_is_no_recipe(tmp_path: Path) -> None:
    tree = write(tmp_path, {})
    assert read_workflow_recipe(tree, "services/a", "a") is None
    assert read_runner_recipe(tree, "services/a") is None


TEXTS = st.lists(
    st.sampled_from(
        [
            "[tox]", "envlist = py{3,", "[testenv]", "deps =", "  {[testenv]deps}", "  -r", "  a: b", "  !: x",
            "commands = tox -e py", "  nox", "  {toxinidir}/x.sh", "  pytest", "jobs:", "  t:", "    steps:",
            "      - run: tox", "    strategy: {matrix: {x: [1, {y: 2}]}}", "      - run: |", "          nox -s a",
            "import nox", "@nox.session", "def a(s):", "  s.install(*s)", "  s.run('tox')", "  a(s)", "  a(1, s, s)",
            "@nox.parametrize('dir', X)", "  if os.path.exists('x'): s.chdir(dir)", "  s.run('nox', 'pytest')",
            "[tool.tox]", "env_list = 1", "[tool.tox.env.a]", "deps = 1", 'commands = [["tox"]]', 'extras = ["x"]',
        ]
    ),
    max_size=12,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    (root / ".github/workflows").mkdir(parents=True)
    return root


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(["tox.ini", "noxfile.py", "pyproject.toml", ".github/workflows/a.yml"]))
def test_no_text_raises(folder: Path, lines: list[str], name: str) -> None:
    (folder / name).write_text("\n".join(lines))
    read_workflow_recipe(Tree(folder), ".", "x")
    read_runner_recipe(Tree(folder), ".")


SCRIPT = """\
#!/bin/bash
set -e
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

run_tests() {
  pip install -r requirements-test.txt
  python -m pytest --junitxml "$reports/$1.xml"
}

all_services() {
  cd $here/../services
  for folder in */ ; do
    cd "$folder"
    run_tests $(basename $folder)
    cd ..
  done
}

clean() { rm -rf "$here"; cd /nowhere; }
reports=$PWD/reports
pip install -r $here/../requirements.txt
all_services
"""


@pytest.mark.parametrize("name", ["deployment/run-unit-tests.sh", "scripts/test.sh", "tests.sh"])
def test_a_script_that_tests_each_service_in_its_folder(tmp_path: Path, name: str) -> None:
    """What it installs for another service, in the folder of that, is not this one's."""
    files = {name: SCRIPT.replace("/..", "") if "/" not in name else SCRIPT, "requirements.txt": ""}
    tree = write(tmp_path, {**files, "services/a/requirements-test.txt": "", "services/b/requirements-test.txt": ""})

    recipe = read_script_recipe(tree, "services/a")

    assert shown(recipe) == [
        (f"{name}:21", "requirements.txt"), (f"{name}:6", "services/a/requirements-test.txt"),
    ]  # fmt: skip
    assert recipe is not None
    assert (recipe.source, recipe.limits) == (name, ())


TOX_JOB = """\
on: push
jobs:
  tests:
    steps:
      - run: pip install -U tox setuptools six
      - run: tox -e lint && tox -e py
        working-directory: services/a
      - run: tox
        working-directory: services/b
"""


@pytest.mark.parametrize(
    ("settings", "installed"),
    [
        ("", ["services/a/dev.txt", "six"]),
        ("sitepackages = true\n", ["setuptools six", "ruff", "six", "services/a/dev.txt"]),
    ],
)
def test_tox_has_environments_of_its_own(tmp_path: Path, settings: str, installed: list[str]) -> None:
    """What the job installs beside it is not there, nor what tox installs for another project."""
    tox = f"[testenv]\nskip_install = true\n{settings}deps = -rdev.txt\n"
    tox += "commands_pre = pip install six\ncommands = pytest\n"
    tox += "[testenv:lint]\ndeps = ruff\ncommands = ruff check\n"
    files = {".github/workflows/t.yml": TOX_JOB, "services/a/tox.ini": tox, "services/b/tox.ini": tox}

    recipe = read_workflow_recipe(write(tmp_path, files), "services/a", "a")

    assert [content for _, content in shown(recipe)] == installed
    assert recipe is not None
    assert "run: pip install -U tox" in TOX_JOB.splitlines()[recipe.line - 1]


FUNCTIONS = {
    "called": "install() {\n  pip install -r dev.txt\n}\ninstall\n",
    "sourced": ". ./lib.sh\ninstall_file dev.txt\n",
    "arguments": 'install() {\n  pip install -r "$1"\n}\ninstall dev.txt\n',
    "calls itself": "f() {\n  f\n  pip install -r dev.txt\n}\nf\n",
    "wraps a command": 'pip() {\n  command pip "$@" --no-cache-dir\n}\npip install -r dev.txt\n',
    "defined twice": "if $x; then\ni() {\n  pip install -r dev.txt\n}\nelse\ni() {\n  pip install six\n}\nfi\ni\n",
    "subshell": "t() { (cd ../b && make); }\nt\npip install -r dev.txt\n",
    "shifted": 'p() {\n  local n=$1; shift\n  MSG=$n\n  pip install "$@"\n}\np "a pip b" -r dev.txt "six>=1"\n',
    "braces": "mkdir {a,b}\npip install -r dev.txt\n",
    "returns": 'n() {\n[ "$1" = dev ] && return 0\nreturn 1\n}\nn dev && pip install -r dev.txt\n',
    "may return": "n() {\nif grep a b; then\nreturn 0\nfi\nreturn 1\n}\nn && pip install -r dev.txt\n",
    "runs its arguments": 'e() {\n  pip install -r dev.txt\n  "$@"\n}\ne pip install six\n',
    "may shift": 'i() {\n case $1 in\n -q) shift;;\n esac\n pip install "$@"\n}\ni six idna\n',
    "joined": 'r() {\n  bash -c "$*"\n}\nr pip install six\n',
    "local": "f() {\n  local R=$1\n}\nR=dev.txt\nf x\npip install -r $R\n",
    "called by nothing": "unused() {\n  pip install -r dev.txt; cd /x\n}\n",
}


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("called", ["test.sh:2 dev.txt"]),
        ("sourced", ["lib.sh:2 dev.txt"]),
        ("arguments", ["test.sh:2 dev.txt"]),
        ("calls itself", ["test.sh:3 dev.txt"]),
        ("wraps a command", ["test.sh:2 dev.txt"]),
        ("defined twice", ["test.sh:3 dev.txt", "test.sh:7 six"]),
        ("subshell", ["test.sh:3 dev.txt"]),
        ("shifted", ["test.sh:4 dev.txt six>=1"]),
        ("braces", ["test.sh:2 dev.txt"]),
        ("returns", ["test.sh:5 dev.txt"]),
        ("may return", ["test.sh:7 dev.txt"]),
        ("runs its arguments", ["test.sh:2 dev.txt", "test.sh:5 six"]),
        ("may shift", ["test.sh:5 six idna"]),
        ("joined", ["test.sh:2 six"]),
        ("local", ["test.sh:6 dev.txt"]),
        ("called by nothing", ["test.sh:2 dev.txt"]),
    ],
)
def test_functions_of_a_script(tmp_path: Path, name: str, installed: list[str]) -> None:
    tree = write(
        tmp_path,
        {
            "services/a/test.sh": f"{FUNCTIONS[name]}pytest\n",
            "services/a/lib.sh": "install_file() {\n  pip install -r $1\n}\n",
        },
    )
    steps = shown(read_script_recipe(tree, "services/a"))

    assert [f"{place} {content}".replace("services/a/", "") for place, content in steps] == installed


@pytest.mark.parametrize("start", ["", 'cd "$(dirname "$0")/.."\n'])
def test_a_script_in_a_folder_of_the_service(tmp_path: Path, start: str) -> None:
    """It is started in the folder that has the files which it names."""
    text = f"{start}pip install -r dev.txt\npytest\n"
    recipe = read_script_recipe(write(tmp_path, {"services/a/bin/run_tests.sh": text}), "services/a")

    assert [content for _, content in shown(recipe)] == ["services/a/dev.txt"]


def test_functions_that_are_nested_too_deeply_are_reported(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(25)]
    bodies = [f"{name}() {{\n  {inner}\n}}\n" for name, inner in zip(names, [*names[1:], "pip install x"], strict=True)]
    tree = write(tmp_path, {"test.sh": "".join(bodies) + "pip install -r services/a/dev.txt\nf0\npytest services/a\n"})

    recipe = read_script_recipe(tree, "services/a")

    assert recipe is not None
    assert any("nested too deeply" in limit for limit in recipe.limits)


def test_a_script_that_runs_no_tests_is_no_recipe(tmp_path: Path) -> None:
    tree = write(tmp_path, {"test.sh": "pip install -r services/a/dev.txt\ncurl localhost\n"})

    assert read_script_recipe(tree, "services/a") is None


def test_of_several_pythons_in_tox_the_newest_has_the_requirements(tmp_path: Path) -> None:
    """The first one that the text mentions, in a command of another environment, was taken."""
    tox = (
        "[tox]\nenvlist = docker\n[testenv:docker]\ncommands = docker run x py38\n"
        "[testenv]\ndeps =\n    py311: -r dev.txt\n    py38: -r dev38.txt\ncommands = pytest tests\n"
    )
    tree = write(tmp_path, {"services/a/tox.ini": tox, "services/a/dev38.txt": ""})
    assert shown(read_runner_recipe(tree, "services/a"))[0][1] == "services/a/dev.txt"


MAKEFILE = """\
T := tests
POETRY := poetry --directory $(T)
lint:
\t$(POETRY) install --only dev
integration-test:
\t$(POETRY) install --without dev --no-root
\t$(POETRY) run pytest $(T)/integration/test_all.py
"""
CIRCLE = """\
commands:
  install:
    steps:
      - run: pip install poetry
jobs:
  lint:
    steps: [checkout, {run: make lint}]
  test:
    environment: {A: 1}
    steps:
      - checkout
      - install
      - run:
          name: tests
          command: make integration-test
"""


def test_what_the_tests_are_run_with_in_circleci(tmp_path: Path) -> None:
    """By a target of a Makefile, with the groups of Poetry that it installs."""
    project = "[tool.poetry]\nname = 'a'\n[tool.poetry.group.integration.dependencies]\nrequests = '*'\n"
    tree = write(tmp_path, {"Makefile": MAKEFILE, ".circleci/config.yml": CIRCLE, "tests/pyproject.toml": project})
    for recipe in (read_workflow_recipe(tree, "tests", "tests"), read_makefile_recipe(tree, "tests")):
        assert shown(recipe) == [("Makefile:6", "poetry tests")]
        assert recipe is not None
        assert recipe.steps[0].without == ("dev",)
    assert read_makefile_recipe(tree, "services/a") is None


@given(st.text(alphabet="abc:-[]{}<>&*# \n", max_size=80))
def test_no_configuration_of_circleci_makes_the_reader_fail(text: str) -> None:
    read_circleci_jobs(f"jobs:\n  a:\n    steps:\n      - {text}")


def variables_of(recipe: InstallRecipe | None) -> dict[str, str]:
    assert recipe is not None
    return dict(recipe.environment)


def test_variables_of_a_job(tmp_path: Path) -> None:
    """Those of workflow, job, step and command reach the tests; those of other steps, of tools and secrets do not."""
    workflow = """\
env: {A_URL: "redis://fake", CI: "1", TOKEN: "${{ secrets.TOKEN }}", PIP_INDEX_URL: x}
jobs:
  tests:
    env: {MODE: testing}
    steps:
      - run: pip install -r services/a/dev.txt
        env: {OTHER: "1"}
      - run: |
          export LEVEL=3
          unexported=4
          DEBUG=yes PYTHONPATH=$PWD/services/a/src pytest services/a
        env: {PORT: "80"}
"""
    tree = write(tmp_path, {".github/workflows/t.yml": workflow})
    expected = {"A_URL": "redis://fake", "MODE": "testing", "LEVEL": "3", "DEBUG": "yes", "PORT": "80"}
    assert variables_of(read_workflow_recipe(tree, "services/a", "a")) == {**expected, "PYTHONPATH": "src"}


@pytest.mark.parametrize("folder", ["$(CURDIR)", "$(shell pwd)", "$(PWD)"])
def test_a_makefile_exports_variables_to_the_tests(tmp_path: Path, folder: str) -> None:
    makefile = f"""
NAME = not exported
export PYTHONPATH := {folder}/src
test: export MODE = testing
test: install
\tpytest
install:
\tpip install -r dev.txt
"""
    tree = write(tmp_path, {"services/a/Makefile": makefile, "services/a/src/app.py": ""})
    assert variables_of(read_makefile_recipe(tree, "services/a")) == {"MODE": "testing", "PYTHONPATH": "src"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("export MODE ?= local", "ci"),
        ("export MODE = local", "local"),
        ('export MODE = ["a", "b"]', '["a", "b"]'),
        ("export MODE = $(shell date)", "ci"),
        ("export MODE = $(UNKNOWN)", "ci"),
    ],
)
def test_a_makefile_does_not_override_what_ci_sets_by_a_default(tmp_path: Path, line: str, value: str) -> None:
    """Nor by a value that only its machine knows."""
    workflow = (
        "jobs:\n  test:\n    steps:\n      - run: pip install six\n      - run: make test\n"
        "        working-directory: services/a\n        env: {MODE: ci}\n"
    )
    makefile = f"{line}\ntest:\n\tpytest\n"
    tree = write(tmp_path, {".github/workflows/t.yml": workflow, "services/a/Makefile": makefile})
    assert variables_of(read_workflow_recipe(tree, "services/a", "a")) == {"MODE": value}


def test_paths_in_the_checkout_are_those_of_the_repository(tmp_path: Path) -> None:
    """An expression in the variables and the folder of a step: only GitHub knows where the checkout is."""
    workflow = """\
jobs:
  tests:
    steps:
      - run: pip install -r dev.txt && python -m unittest
        working-directory: ${{ github.workspace }}/services/a
        env: {PYTHONPATH: "${{ github.workspace }}/services/a/src:${{github.workspace}}/services/a/tests"}
"""
    tree = write(tmp_path, {".github/workflows/t.yml": workflow, "services/a/dev.txt": "attrs\n"})
    assert variables_of(read_workflow_recipe(tree, "services/a", "a")) == {"PYTHONPATH": "src:tests"}


TOX_VARIABLES = """\
[tox]
envlist = py310, py312
[testenv]
deps = -r dev.txt
passenv = MODE_*
setenv =
    A_URL = redis://fake
    DATA = {toxinidir}/tests/data
    OLD = {env:OLD:none}
    PYTHONWARNINGS = error
    HOME = {envtmpdir}
    TEMPORARY = {envtmpdir}/x
commands = pytest tests
"""


def test_variables_of_tox(tmp_path: Path) -> None:
    """Of a job that starts it the tests get what tox passes on."""
    tree = write(tmp_path, {"services/a/tox.ini": TOX_VARIABLES})
    own = {"A_URL": "redis://fake", "DATA": "tests/data", "OLD": "none", "PYTHONWARNINGS": "error"}
    assert variables_of(read_runner_recipe(tree, "services/a")) == own
    workflow = "env: {MODE_A: x, OTHER: x}\njobs: {t: {steps: [{run: tox, working-directory: services/a}]}}\n"
    tree = write(tmp_path, {".github/workflows/t.yml": workflow})
    assert variables_of(read_workflow_recipe(tree, "services/a", "a")) == {**own, "MODE_A": "x"}


@pytest.mark.parametrize(
    ("command", "of_python", "of_pytest"),
    [
        ("pytest services/a", (), ()),
        ("python -W error -m pytest -q services/a", ("error",), ()),
        ("python3 -X dev -Werror -W 'ignore:old api' -m pytest services/a", ("error", "ignore:old api"), ()),
        ("pytest -W error::DeprecationWarning services/a", (), ("error::DeprecationWarning",)),
        ("poetry run pytest services/a -Werror --pythonwarnings=default", (), ("error", "default")),
        ("python -W error -m coverage run -m pytest services/a -W default", ("error",), ("default",)),
        ("python -W error services/a/run_tests.py -W x", ("error",), ()),
        ("python -W $FILTER -m pytest services/a -W '$(cat x)'", (), ()),
    ],
)
def test_the_options_for_warnings_of_a_run_of_tests(
    tmp_path: Path, command: str, of_python: tuple[str, ...], of_pytest: tuple[str, ...]
) -> None:
    workflow = f'jobs: {{t: {{steps: [{{run: pip install -r services/a/dev.txt}}, {{run: "{command}"}}]}}}}\n'
    tree = write(tmp_path, {".github/workflows/t.yml": workflow})
    recipe = read_workflow_recipe(tree, "services/a", "a")
    assert recipe is not None
    assert (recipe.warning_options, recipe.pytest_warnings) == (of_python, of_pytest)


UNITTEST = "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\n"
CONTRACT = "python -m unittest discover -t . -s tests/contract"


@pytest.mark.parametrize(
    ("commands", "files", "further"),
    [
        (["pytest"], {}, []),
        (["pytest tests", "behave"], {}, ["behave"]),
        (["pytest tests", "python -m doctest app/paths.py"], {}, ["python -m doctest app/paths.py"]),
        (["pytest tests", "coverage run -m behave features"], {}, ["coverage run -m behave features"]),
        (["pytest tests", "python scripts/smoke.py"], {"scripts/smoke.py": ""}, ["python scripts/smoke.py"]),
        (["pytest tests", "python scripts/smoke.py"], {}, []),
        (["python -m unittest", CONTRACT], {"tests/contract/test_a.py": ""}, [CONTRACT]),
        (["python -m unittest", CONTRACT], {"tests/contract/test_a.py": UNITTEST}, []),
        (["pytest tests/unit", "pytest tests/contract", "ruff check", "python latest.py"], {"latest.py": ""}, []),
        (["pytest tests", "docker run a behave", "cd ../b && behave"], {}, []),
        (["pytest tests", "python tests/test_a.py"], {"tests/test_a.py": ""}, []),
    ],
)
def test_commands_that_test_the_service_as_well(
    tmp_path: Path, commands: list[str], files: dict[str, str], further: list[str]
) -> None:
    makefile = "".join(["test:\n", "\tpip install -r dev.txt\n", *(f"\t{command}\n" for command in commands)])
    written = {f"services/a/{name}": text for name, text in files.items()}
    recipe = read_makefile_recipe(write(tmp_path, {"services/a/Makefile": makefile, **written}), "services/a")
    assert recipe is not None
    assert [command.text for command in recipe.further_tests] == further


@pytest.mark.parametrize(
    ("command", "words", "folder"),
    [
        ("behave", ["behave"], "services/a"),
        ("poetry run behave features", ["behave", "features"], "services/a"),
        ("python3.9 -m doctest app/paths.py", ["python", "-m", "doctest", "app/paths.py"], "services/a"),
        ("cd scripts && python smoke.py", ["python", "smoke.py"], "services/a/scripts"),
        ("cd ../.. && python services/a/scripts/smoke.py", ["python", "scripts/smoke.py"], "services/a"),
        ("coverage run -m behave features", [], "."),
        ("behave || true", [], "."),
        ("python scripts/smoke.py https://example.com", [], "."),
        ("behave $(FEATURES)", [], "."),
        ("behave features/e2e", [], "."),
    ],
)
def test_the_commands_that_a_cell_repeats(tmp_path: Path, command: str, words: list[str], folder: str) -> None:
    makefile = f"test:\n\tpip install -r dev.txt\n\tpytest tests\n\t{command}\n"
    files = {"services/a/Makefile": makefile, "services/a/scripts/smoke.py": "", "services/a/app/paths.py": ""}
    recipe = read_makefile_recipe(write(tmp_path, files), "services/a")
    assert recipe is not None
    (further,) = recipe.further_tests
    assert (list(further.words), further.folder) == (words, folder)
    assert (further.source, further.line) == ("services/a/Makefile", 4)


def test_commands_of_one_text_are_kept_apart_and_those_beyond_the_limit_named(tmp_path: Path) -> None:
    """Their folders or variables differ, so each of them may fail."""
    lines = ["cd scripts && python smoke.py", "python smoke.py", *(f"behave {number}" for number in range(9))]
    makefile = "".join(["test:\n\tpip install -r dev.txt\n\tpytest tests\n", *(f"\t{line}\n" for line in lines)])
    names = ("Makefile", "scripts/smoke.py", "smoke.py")
    files = {f"services/a/{name}": makefile if name == "Makefile" else "" for name in names}
    recipe = read_makefile_recipe(write(tmp_path, files), "services/a")
    assert recipe is not None
    assert [(command.text, command.folder) for command in recipe.further_tests[:2]] == [
        ("python smoke.py", "services/a/scripts"),
        ("python smoke.py #2", "services/a"),
    ]
    assert [bool(command.words) for command in recipe.further_tests] == [True] * 10 + [False]


def test_the_path_for_imports_of_a_command_is_moved_with_its_folder(tmp_path: Path) -> None:
    workflow = (
        "jobs: {t: {steps: [{run: pip install -r services/a/dev.txt}, {run: pytest services/a}, "
        "{run: 'PYTHONPATH=services/a/lib:/opt python services/a/smoke.py'}]}}\n"
    )
    tree = write(tmp_path, {".github/workflows/t.yml": workflow, "services/a/smoke.py": "", "services/a/lib/x.py": ""})
    recipe = read_workflow_recipe(tree, "services/a", "a")
    assert recipe is not None
    (command,) = recipe.further_tests
    assert (command.words, command.folder) == (("python", "smoke.py"), "services/a")
    assert command.environment == (("PYTHONPATH", "lib:/opt"),)


@pytest.mark.parametrize("setting", ["if: matrix.os == 'x'", "continue-on-error: true"])
def test_a_step_that_may_be_skipped_or_fail_proves_nothing(tmp_path: Path, setting: str) -> None:
    workflow = (
        "jobs: {t: {steps: [{run: pip install -r services/a/dev.txt}, {run: pytest services/a}, "
        f"{{run: python smoke.py, working-directory: services/a, {setting}}}]}}}}\n"
    )
    tree = write(tmp_path, {".github/workflows/t.yml": workflow, "services/a/smoke.py": ""})
    recipe = read_workflow_recipe(tree, "services/a", "a")
    assert recipe is not None
    assert [(command.text, command.words) for command in recipe.further_tests] == [("python smoke.py", ())]


def test_variables_of_tox_toml(tmp_path: Path) -> None:
    text = """\
env_list = ["py312"]
[env_run_base]
deps = ["-r dev.txt"]
set_env = { A_URL = "redis://fake", FROM = { replace = "env", name = "X" } }
commands = [["pytest", "tests"]]
"""
    tree = write(tmp_path, {"services/a/tox.toml": text})
    assert variables_of(read_runner_recipe(tree, "services/a")) == {"A_URL": "redis://fake"}


def test_variables_of_a_makefile(tmp_path: Path) -> None:
    makefile = "tests:\n\tpip install -r dev.txt\n\tAPP_ENV=testing pytest tests\n"
    workflow = "jobs: {t: {steps: [{run: make tests, working-directory: services/a}]}}\n"
    tree = write(tmp_path, {"services/a/Makefile": makefile, ".github/workflows/t.yml": workflow})
    assert variables_of(read_workflow_recipe(tree, "services/a", "a")) == {"APP_ENV": "testing"}


@pytest.mark.parametrize(
    ("command", "is_run"),
    [
        ("python -m tests.unit", True),
        ("python3 -W error -m app.tests", True),
        ("python -m app.test_all -v", True),
        ("python setup.py test", True),
        ("python setup.py -q pytest --addopts x", True),
        ("python3 test_gui.py -v", True),
        ("python ci/run_tests.py", True),
        ("./runtests.py --parallel=4", True),
        ("python -m tests.fixtures.load", False),
        ("python -m app.contest", False),
        ("python setup.py sdist", False),
        ("python manage.py migrate", False),
        ("python -c 'import test'", False),
        ("python latest.py", False),
        ("python", False),
    ],
)
def test_scripts_and_modules_that_run_tests(tmp_path: Path, command: str, *, is_run: bool) -> None:
    """What the job installs is for them; a job that runs something else is none of tests."""
    workflow = f"jobs: {{t: {{steps: [{{run: pip install -r dev.txt}}, {{run: {command!r}}}]}}}}\n"
    workflow = workflow.replace("steps:", "defaults: {run: {working-directory: services/a}}, steps:")
    tree = write(tmp_path, {".github/workflows/t.yml": workflow})
    assert (read_workflow_recipe(tree, "services/a", "a") is not None) is is_run


def test_a_matrix_value_in_the_command_of_the_tests(tmp_path: Path) -> None:
    """``pytest -m ${{ matrix.kind }}`` is a run of tests, whether the value is known or not."""
    workflow = """\
jobs:
  t:
    strategy: {matrix: {include: [{kind: main}, {kind: auth}]}}
    steps:
      - run: |
          pip install -r services/a/dev.txt
          pip install -e services/a
      - run: pytest services/a -m "${{ matrix.kind }}" --cov=${{ steps.x.outputs.y }} --junitxml=out.xml
"""
    tree = write(tmp_path, {".github/workflows/t.yml": workflow})
    assert shown(read_workflow_recipe(tree, "services/a", "a")) == [
        (".github/workflows/t.yml:6", "services/a/dev.txt"),
        (".github/workflows/t.yml:7", "services/a"),
    ]


def test_a_combination_that_names_the_service_gives_all_its_values(tmp_path: Path) -> None:
    workflow = """\
jobs:
  t:
    strategy: {matrix: {include: [{app: a, file: dev.txt}, {app: b, file: test.txt}]}}
    steps:
      - {run: "pip install -r ${{ matrix.file }} && pytest", working-directory: "services/${{ matrix.app }}"}
"""
    files = {f"services/{path}": "six\n" for path in ("a/dev.txt", "b/dev.txt", "b/test.txt")}
    tree = write(tmp_path, {".github/workflows/t.yml": workflow, **files})
    assert shown(read_workflow_recipe(tree, "services/b", "b")) == [
        (".github/workflows/t.yml:5", "services/b/test.txt")
    ]


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        ("--ignore=services/a/tests/e2e/", ("tests/e2e",)),
        ("--ignore services/a/tests/integration -x", ("tests/integration",)),
        ("--ignore-glob='services/a/tests/e2e/*'", ("tests/e2e",)),
        ("--ignore=services/a/tests/integrations --ignore=services/a/livechat", ()),
        ("--ignore=services/a/tests/e2e && pytest services/a/tests/e2e", ()),
        ("--ignore=services/a/tests/slow --ignore=services/b/tests/e2e --ignore=/x/e2e --ignore=../e2e", ()),
    ],
)
def test_tests_that_need_a_running_system_are_left_out_as_in_the_workflow(
    tmp_path: Path, options: str, ignored: tuple[str, ...]
) -> None:
    """What is slow is left to another job, and is a proof all the same."""
    workflow = f"jobs:\n  t:\n    steps:\n      - run: pip install six\n      - run: pytest services/a {options}\n"
    tree = write(tmp_path, {".github/workflows/t.yml": workflow})
    recipe = read_workflow_recipe(tree, "services/a", "a")
    assert recipe is not None
    assert recipe.ignored_tests == ignored


def test_the_values_of_one_object_of_a_matrix_belong_together(tmp_path: Path) -> None:
    workflow = """\
jobs:
  t:
    strategy: {matrix: {svc: [{path: services/c, req: one.txt}, {path: services/a, req: two.txt}]}}
    steps:
      - run: pip install -r ${{ matrix.svc.req }}
      - run: pytest ${{ matrix.svc.path }}
"""
    tree = write(tmp_path, {".github/workflows/t.yml": workflow, "one.txt": "six\n", "two.txt": "six\n"})
    assert shown(read_workflow_recipe(tree, "services/a", "a")) == [(".github/workflows/t.yml:5", "two.txt")]


@pytest.mark.parametrize("service", ["a", "b"])
def test_an_object_of_a_matrix_that_names_several_services(tmp_path: Path, service: str) -> None:
    workflow = """\
jobs:
  t:
    strategy: {matrix: {module: [{test: services/c, id: 1}, {test: "services/a/tests services/b --ignore=x", id: 2}]}}
    steps:
      - run: pip install -r services/a/dev.txt
      - run: pytest --durations=0 ${{ matrix.module.test }} --cov | tee out.txt
"""
    tree = write(tmp_path, {".github/workflows/t.yml": workflow})
    recipe = read_workflow_recipe(tree, f"services/{service}", service)
    assert shown(recipe) == [(".github/workflows/t.yml:5", "services/a/dev.txt")]


def job(requirement: str, *, head: str = "", tail: str = "") -> str:
    return (
        f"jobs:\n  j:\n{head}    steps:\n      - run: pip install {requirement} -r services/a/dev.txt\n"
        f"      - run: pytest services/a\n{tail}"
    )


def test_of_several_jobs_the_one_of_each_change_counts(tmp_path: Path) -> None:
    """``coverage.yml`` and ``deploy.yml`` come before ``tests.yml`` by their names."""
    matrix = "    strategy: {matrix: {python-version: ['3.9', '3.11']}}\n"
    names = {"coverage.yml": job("coveralls"), "deploy.yml": job("awscli", head=matrix), "other.yml": job("black")}
    files = {f".github/workflows/{name}": text for name, text in names.items()}
    tree = write(tmp_path, files)
    assert shown(read_workflow_recipe(tree, "services/a", "a"))[0][1] == "services/a/dev.txt black"
    tree = write(tmp_path, {**files, ".github/workflows/tests.yml": job("six")})
    assert shown(read_workflow_recipe(tree, "services/a", "a"))[0][1] == "services/a/dev.txt six"
    tree = write(tmp_path, {**files, ".github/workflows/zz.yml": job("attrs", head=matrix)})
    assert shown(read_workflow_recipe(tree, "services/a", "a"))[0][1] == "services/a/dev.txt attrs"


def test_of_versions_in_a_matrix_the_newest_is_installed(tmp_path: Path) -> None:
    """An older alternative would be a requirement that nobody has."""
    head = "    strategy: {matrix: {celery: ['5.2', '5.10', '5.3'], kind: [slow, fast]}}\n"
    text = job("celery==${{ matrix.celery }} x-${{ matrix.kind }}", head=head)
    tree = write(tmp_path, {".github/workflows/t.yml": text})
    (step,) = shown(read_workflow_recipe(tree, "services/a", "a"))
    assert step[1] == "services/a/dev.txt celery==5.10 x-slow"


def test_what_a_job_installs_after_its_tests_is_not_for_them(tmp_path: Path) -> None:
    tail = "      - run: |\n          pip install coveralls\n          coveralls\n"
    tree = write(tmp_path, {".github/workflows/t.yml": job("six", tail=tail)})
    assert [text for _, text in shown(read_workflow_recipe(tree, "services/a", "a"))] == ["services/a/dev.txt six"]


def test_folders_that_a_job_makes(tmp_path: Path) -> None:
    """Git keeps no empty folders; paths out of the service are nothing of its tests."""
    made = "mkdir -p services/a/data services/a/x/y /tmp/z ../up services/a/../b $OTHER"
    text = job("six").replace("pytest services/a", f"{made} && mkdir services/b/c && pytest services/a")
    tree = write(tmp_path, {".github/workflows/t.yml": text})
    recipe = read_workflow_recipe(tree, "services/a", "a")
    assert recipe is not None
    assert recipe.prepare == (("mkdir", "-p", "data"), ("mkdir", "-p", "x/y"))


@pytest.mark.parametrize(
    ("commands", "made"),
    [
        ("cp -f services/a/.env.example services/a/.env", [("cp", ".env.example", ".env")]),
        ("make env", [("cp", ".env.example", ".env")]),
        ("cd services/a && [ -f .env ] || cp .env.example .env && cd ../..", [("cp", ".env.example", ".env")]),
        ("cp services/a/gone services/a/.env", []),
        ("cp services/a/.env.example /etc/env", []),
        ("cp services/b/dev.txt services/a/dev.txt", []),
    ],
)
def test_templates_that_a_job_copies(tmp_path: Path, commands: str, made: list[tuple[str, ...]]) -> None:
    """Settings for developers and tests are not tracked, but made from a file that is."""
    text = job("six").replace("pytest services/a", f"{commands} && pytest services/a")
    makefile = "env: services/a/.env\nservices/a/.env: services/a/.env.example\n\tcp $< $@\n"
    files = {".github/workflows/t.yml": text, "services/a/.env.example": "A=1\n", "Makefile": makefile}
    recipe = read_workflow_recipe(write(tmp_path, files), "services/a", "a")
    assert recipe is not None
    assert recipe.prepare == tuple(made)


TOX_OF_SEVERAL = """\
[tox]
envlist = py310,py312,lint,test
[testenv]
deps = -r dev.txt
[testenv:lint]
deps = ruff
commands = ruff check
[testenv:test]
deps =
    six
commands = pytest tests
"""


def test_tox_without_a_name_runs_all_of_its_environments(tmp_path: Path) -> None:
    """The tests may be in the last one; what the others install is not for them."""
    workflow = "jobs: {t: {steps: [{run: pip install tox}, {run: tox, working-directory: services/a}]}}\n"
    tree = write(tmp_path, {"services/a/tox.ini": TOX_OF_SEVERAL, ".github/workflows/t.yml": workflow})
    texts = [text for _, text in shown(read_workflow_recipe(tree, "services/a", "a"))]
    assert texts == ["six", "services/a"]


def test_what_an_old_python_needs_is_no_requirement(tmp_path: Path) -> None:
    """The environment of the newest Python counts, in whatever order they stand."""
    deps = "deps =\n    py312: -r dev.txt\n    py38: old\ncommands = pytest tests\n"
    for envlist in ("py38, py312", "py312, py38", "docker, py38, py312"):
        text = f"[tox]\nenvlist = {envlist}\n[testenv:docker]\ncommands = docker run x\n[testenv]\n{deps}"
        tree = write(tmp_path, {"services/a/tox.ini": text})
        assert next(text for _, text in shown(read_runner_recipe(tree, "services/a"))) == "services/a/dev.txt"


@pytest.mark.parametrize("service", ["a", "b"])
def test_a_matrix_that_another_job_computes_has_the_service_as_its_value(tmp_path: Path, service: str) -> None:
    """As a job for each service that a commit changes; variables with paths are those of the service's folder."""
    text = """\
jobs:
  tests:
    strategy:
      matrix:
        service: ${{ fromJson(needs.changes.outputs.services) }}
        version: ${{ fromJson(needs.changes.outputs.versions) }}
    env:
      CONFIG: ./services/a/dev.txt
      OTHER: not/there
    steps:
      - run: pip install "Django==${{ matrix.version }}" ${{ matrix.version }} || true
      - run: pip install -r ./services/${{ matrix.service }}/dev.txt
      - run: pytest ./services/${{matrix.service}}
"""
    tree = write(tmp_path, {".github/workflows/tests.yml": text})
    recipe = read_workflow_recipe(tree, f"services/{service}", service)
    assert shown(recipe)[1:] == [(".github/workflows/tests.yml:12", f"services/{service}/dev.txt")]
    assert recipe is not None
    assert recipe.steps[0].unresolved  # another key is no service
    config = "dev.txt" if service == "a" else "../a/dev.txt"
    assert variables_of(recipe) == {"CONFIG": config, "OTHER": "not/there"}


AROUND = """\
jobs:
  tests:
    steps:
    - run: |
        pip install -e services/a
        pip install -e services/b
        {run}
"""


@pytest.mark.parametrize(
    ("run", "settings_of_pytest", "expected"),
    [
        ("pytest -q", "", True),
        ("pytest services", "", True),
        ("pytest -q", "testpaths = services/a/tests services/b\n", True),
        ("pytest -q", "testpaths = services\n", True),
        ("pytest -q", "testpaths = services/*/tests\n", True),
        ("pytest -q", "testpaths = services/b\n", False),
        ("pytest services/b", "", False),
        ("pytest --ignore services/a", "", False),
        ("pytest --ignore=services/a", "", False),
        ("pytest -q", "addopts = --ignore=services/a\n", False),
        ("pytest --cov services services/b", "", False),
        ("python -m unittest services/b/discover", "", False),
        ("make lint", "", False),
    ],
)
def test_a_job_that_installs_several_projects_and_tests_all_of_them(
    tmp_path: Path, run: str, settings_of_pytest: str, expected: bool
) -> None:
    files = {"services/a/tests/test_a.py": "", "services/b/tests/test_b.py": "",
             "services/b/pyproject.toml": "[project]\nname = 'b'\n", "tests/test_all.py": "",
             "pytest.ini": f"[pytest]\n{settings_of_pytest}",
             ".github/workflows/ci.yml": AROUND.format(run=run)}  # fmt: skip
    tree = write(tmp_path, files)

    assert read_workflow_recipe(tree, "services/a", "a") is None
    recipe = read_workflow_recipe(tree, "services/a", "a", around=True)

    assert (recipe is not None) is expected
    if recipe is not None:
        assert shown(recipe)[0] == (".github/workflows/ci.yml:5", "services/a")


def test_a_job_that_does_not_install_the_service_says_nothing_of_it(tmp_path: Path) -> None:
    tree = write(
        tmp_path,
        {".github/workflows/ci.yml": "jobs:\n  t:\n    steps:\n    - run: pip install six\n    - run: pytest\n"},
    )
    assert read_workflow_recipe(tree, "services/a", "a", around=True) is None


@pytest.mark.parametrize(
    ("command", "loaded"),
    [
        ("python -m unittest tests/*_tests.py", ["tests/app_tests.py"]),
        ("python3 -m unittest tests.app_tests tests.test_app.Case.test_a", ["tests/app_tests.py", "tests/test_app.py"]),
        ("python -m unittest -k helper tests.app_tests.Case", ["tests/app_tests.py"]),
        ("python -m unittest discover -s tests -p '*_tests.py'", ["tests/app_tests.py", "tests/unit/more_tests.py"]),
        ("python -m unittest discover tests '*_tests.py'", ["tests/app_tests.py", "tests/unit/more_tests.py"]),
        ("python -m unittest discover tests", ["tests/test_app.py", "tests/unit/testmore.py"]),
        ("python -m unittest discover -p '*.py'", []),
        ("pytest tests", []),
    ],
)
def test_the_files_that_a_run_of_unittest_loads(tmp_path: Path, command: str, loaded: list[str]) -> None:
    """With tests in them, and in packages below the folder where it begins."""
    files = (
        "tests/app_tests.py", "tests/test_app.py", "tests/unit/more_tests.py", "tests/unit/testmore.py",
        "tests/data/other_tests.py",
    )  # fmt: skip
    job = f"jobs:\n  t:\n    steps:\n    - run: pip install -r dev.txt\n    - run: {command}\n"
    folder = "    defaults: {run: {working-directory: services/a}}\n    steps:\n"
    tests = {f"services/a/{name}": "class Case(unittest.TestCase): ...\n" for name in files}
    others = {f"services/a/{name}": "" for name in ("tests/helper_tests.py", "tests/unit/__init__.py", "helper.py")}
    workflow = {".github/workflows/ci.yml": job.replace("    steps:\n", folder)}

    recipe = read_workflow_recipe(write(tmp_path, {**workflow, **tests, **others}), "services/a", "a")

    assert recipe is not None
    assert sorted(recipe.further_paths) == loaded
