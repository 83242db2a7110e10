"""Environment variables that compose files and templates of ``.env`` files declare for a service."""

from pathlib import Path

import pytest
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


def test_a_template_of_a_variant_counts_after_that_of_all(tmp_path: Path) -> None:
    files = {"api/.env.docker-example": "HOST=db\nPORT=1\n", "api/.env.example": "PORT=2\n", "api/.env.docker": "A=1\n"}
    declared = read_declared_variables(Tree(service_tree(tmp_path, files)), "api").others
    assert dict(declared) == {"HOST": "db", "PORT": "2"}


@pytest.mark.parametrize(
    ("files", "region"),
    [
        ({"api/requirements.txt": "boto3\n"}, "us-east-1"),
        ({"api/requirements-test.txt": "moto\n"}, "us-east-1"),
        ({"api/requirements.txt": "boto3\n", "api/.env.example": "AWS_DEFAULT_REGION=eu-west-2\n"}, "eu-west-2"),
        ({"api/requirements.txt": "six\n"}, None),
    ],
)
def test_a_suite_that_uses_aws_has_a_region(tmp_path: Path, files: dict[str, str], region: str | None) -> None:
    """Its SDK makes no client without one, and nothing but the machine of CI or production may say it."""
    fleet = discover(Plan(root=service_tree(tmp_path, {**SERVICE, **files})))
    (service,) = fleet.services
    assert dict(environment_of_tests(service)).get("AWS_DEFAULT_REGION") == region
    assert any("gives its tests a region" in sentence for sentence in fleet.assumptions) is (region is not None)


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
