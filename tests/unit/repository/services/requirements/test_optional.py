"""Requirements that only an extra or a group has."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.repository.services.requirements.optional import optional_requirements, table_that_provides
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

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
