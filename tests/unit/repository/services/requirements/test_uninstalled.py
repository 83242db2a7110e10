"""Which requirements something installs where the service or its tests run: files, extras and groups."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.requirements.uninstalled import optional_requirements, table_that_provides
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

DOCKERFILE = "FROM python:3.11\nCOPY . .\nRUN pip install -r requirements/base.txt\nCMD python app.py\n"
TOX = "[tox]\nenvlist = py311\n[testenv]\ndeps = -r requirements/test.in\ncommands = pytest\n"


def uninstalled(tmp_path: Path, files: dict[str, str], name: str = "svc") -> dict[str, bool]:
    common = {f"{name}/Dockerfile": DOCKERFILE, f"{name}/tox.ini": TOX, f"{name}/app.py": "",
              f"{name}/requirements/base.txt": "six\n", f"{name}/requirements/test.in": "pytest\n"}  # fmt: skip
    root = service_tree(tmp_path, {**common, **files})
    (service,) = (each for each in discover(Plan(root=root)).services if each.path == name)
    prefix = f"{name}/requirements/"
    return {source.path.removeprefix(prefix): source.uninstalled for source in service.additional_requirements}


def test_the_compiled_file_of_an_input_that_tox_installs_is_installed_by_nothing(tmp_path: Path) -> None:
    files = {"svc/requirements/test.txt": "pytest==8.0.0\n"}
    assert uninstalled(tmp_path, files) == {"test.txt": True}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("svc/Dockerfile.worker", "FROM python:3.11\nCOPY requirements/extra.txt /r.txt\nRUN pip install -r /r.txt\n"),
        ("svc/Dockerfile.worker", "FROM python:3.11\nCOPY . .\nRUN pip install -r requirements/${KIND}.txt\n"),
        ("svc/docker.d/init.sh", "pip install --no-deps -r /app/svc/requirements/extra.txt\n"),
        ("svc/docker.d/init.sh", 'for file in requirements/*.txt; do pip install -r "$file"; done\n'),
        ("svc/Makefile", "deploy:\n\tpip-sync requirements/extra.txt\n"),
        (".github/workflows/deploy.yml", "jobs: {a: {steps: [{run: pip install -r svc/requirements/extra.txt}]}}\n"),
        ("deploy/install.sh", "cd svc && pip install -r svc/requirements/extra.txt\n"),
    ],
)
def test_a_file_that_a_command_installs_counts(tmp_path: Path, path: str, text: str) -> None:
    files = {"svc/requirements/extra.txt": "six\n", path: text}
    assert uninstalled(tmp_path, files) == {"extra.txt": False}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("svc/pin.sh", "# pip install -r requirements/extra.txt\npip-compile -o requirements/extra.txt\n"),
        ("other/tox.ini", "[testenv]\ndeps = -r requirements/extra.txt\n"),
    ],
)
def test_a_comment_another_service_or_a_compiler_installs_nothing(tmp_path: Path, path: str, text: str) -> None:
    files = {"svc/requirements/extra.txt": "six\n", path: text}
    assert uninstalled(tmp_path, files) == {"extra.txt": True}


def test_the_requirements_of_the_documentation_are_installed_by_nothing_that_counts(tmp_path: Path) -> None:
    """Also where it is not known what installs the tests, and where tox has an environment for them."""
    files = {
        "svc/requirements/docs.txt": "sphinx\n",
        "svc/requirements/gpu.txt": "six\n",
        "svc/tox.ini": "[tox]\nenvlist = docs\n[testenv:docs]\ndeps = -r requirements/docs.txt\ncommands = make html\n",
    }
    found = uninstalled(tmp_path, files)
    assert (found["docs.txt"], found["gpu.txt"]) == (True, False)


def test_an_image_may_install_the_requirements_of_the_documentation(tmp_path: Path) -> None:
    files = {
        "svc/requirements/docs.txt": "sphinx\n",
        "svc/docs.Dockerfile": "FROM python:3.11\nCOPY . .\nRUN pip install -r requirements/docs.txt\n",
    }
    assert uninstalled(tmp_path, files) == {"docs.txt": False}


def test_what_developers_install_by_make_counts_only_in_ci(tmp_path: Path) -> None:
    files = {"svc/requirements/dev.txt": "six\n", "svc/Makefile": "dev:\n\tpip install -r requirements/dev.txt\n"}
    assert uninstalled(tmp_path, files) == {"dev.txt": True}
    ci = {".github/workflows/a.yml": "jobs: {a: {steps: [{run: pip install -r svc/requirements/dev.txt}]}}\n"}
    assert uninstalled(tmp_path / "ci", {**files, **ci}) == {"dev.txt": False}


PYPROJECT = """
[project]
name = "svc"
dependencies = ["flask"]

[project.optional-dependencies]
agent = ["Agent_SDK>=1", "flask"]
test = ["pytest"]

[dependency-groups]
docs = ["sphinx"]
"""
PATH = "services/user-service/pyproject.toml"
OWN = service(
    requirements=(RequirementSource(path=PATH, table="project.dependencies"),),
    test_requirements=(RequirementSource(path=PATH, table="project.optional-dependencies.test"),),
)


def test_extras_and_groups_that_are_not_installed(tmp_path: Path) -> None:
    tree = Tree(service_tree(tmp_path, {PATH: PYPROJECT}))

    assert optional_requirements(tree, OWN) == {
        "agent-sdk": "pyproject.toml [project.optional-dependencies.agent]",
        "sphinx": "pyproject.toml [dependency-groups.docs]",
    }


def test_a_service_without_metadata_has_none(tmp_path: Path) -> None:
    assert optional_requirements(Tree(service_tree(tmp_path, {"services/user-service/a.py": ""})), OWN) == {}


@pytest.mark.parametrize(
    ("module", "table"),
    [("agent_sdk", "t"), ("agent_sdk.core", "t"), ("jose", "j"), ("mysql", "m"), ("agent", ""), ("", "")],
)
def test_the_table_is_found_by_the_name_of_the_module(module: str, table: str) -> None:
    assert table_that_provides(module, {"agent-sdk": "t", "python-jose": "j", "pymysql": "m"}) == table


@given(text=st.text(), module=st.text())
def test_any_text_is_read(tmp_path_factory: pytest.TempPathFactory, text: str, module: str) -> None:
    root = tmp_path_factory.mktemp("root")
    folder = root / "services/user-service"
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile"):
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))

    table_that_provides(module, optional_requirements(Tree(root), OWN))
