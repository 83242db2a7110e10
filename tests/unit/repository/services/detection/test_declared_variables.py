"""Environment variables that compose files and templates of ``.env`` files declare for a service."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.formats.compose import read_env_file
from pytest_py312.repository.services.detection.declared_variables import read_declared_variables
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.tree import Tree
from pytest_py312.runners.suite_job import environment_of_tests
from tests.support.fakes import service_tree

SERVICE = {"api/Dockerfile": "FROM python:3.11\nCOPY . .\n", "api/app.py": "", "api/tests/test_app.py": ""}
TESTS = """
services:
  unit:
    build: {context: ., dockerfile: Dockerfile}
    command: pytest tests
    env_file: [.ci/test.env]
    environment:
      QUEUE: "memory://"
      HOME: /root
      TOKEN: ${TOKEN}
      LEVEL: ${LEVEL:-debug}
      EMPTY: ${EMPTY:-}
  web:
    build: .
    command: uvicorn app:app
    environment: [QUEUE=amqp://queue, SECRET=from-web]
  other:
    build: ../other
    command: pytest
    environment: {QUEUE: other}
"""


def test_the_container_that_runs_the_tests_says_their_variables(tmp_path: Path) -> None:
    """Paths start in the folder above (``--project-directory .``). What is not literal is left out."""
    files = {"api/.ci/docker-compose.yml": TESTS, "api/.ci/test.env": "DSN=sqlite://\nQUEUE=file\n"}
    fleet = discover(Plan(root=service_tree(tmp_path, {**SERVICE, **files})))
    assert environment_of_tests(fleet["api"]) == (("DSN", "sqlite://"), ("LEVEL", "debug"), ("QUEUE", "memory://"))
    assert "api is tested with the variables of api/.ci/docker-compose.yml: DSN, LEVEL, QUEUE." in fleet.assumptions


def test_other_containers_and_templates_declare_what_a_program_may_lack(tmp_path: Path) -> None:
    """A compose file counts before a template."""
    compose = "services:\n  web:\n    build: ./api\n    environment: {SECRET: from-web}\n"
    files = {"docker-compose.yml": compose, "api/.env.example": "SECRET=x\nREGION=eu\n"}
    variables = read_declared_variables(Tree(service_tree(tmp_path, {**SERVICE, **files})), "api")
    assert variables.of_tests == ()
    assert dict(variables.others) == {"SECRET": "from-web", "REGION": "eu"}


def test_what_is_built_elsewhere_declares_nothing(tmp_path: Path) -> None:
    compose = "services:\n  a:\n    build: ./other\n    command: pytest\n    environment: {A: b}\n  c: {image: redis}\n"
    tree = Tree(service_tree(tmp_path, {**SERVICE, "docker-compose.yml": compose, "other/Dockerfile": "FROM python"}))
    assert read_declared_variables(tree, "api").of_tests == ()
    assert read_declared_variables(tree, "api").others == ()


def test_lines_of_an_env_file() -> None:
    text = "A=1\nexport B = two words \nC='it # is'\nD=\"x y\" # why\nE=a#b # c\n# F=1\nG=\n1H=2\n"
    assert read_env_file(text) == {"A": "1", "B": "two words", "C": "it # is", "D": "x y", "E": "a#b"}


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(name and "\n" not in value for name, value in read_env_file(text).items())
