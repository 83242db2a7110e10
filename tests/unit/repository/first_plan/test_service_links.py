"""Which service needs which one is read from folders, compose files and addresses."""

from pathlib import Path

import pytest

from pytest_py312.repository.first_plan.service_links import find_links
from pytest_py312.repository.formats.compose import URL_HOST
from pytest_py312.repository.plan.loader import default_plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.unchanging_tree import UnchangingTree
from tests.support.fakes import service_tree


def links_of(root: Path, files: dict[str, str]) -> dict[tuple[str, str], str]:
    services = {f"services/{name}/requirements.txt": "" for name in ("auth", "gateway", "user")}
    plan = default_plan(service_tree(root, services | files))
    links = find_links(UnchangingTree(plan.root), discover(plan).services)
    return {(link.service, link.needed): link.evidence for link in links}


def test_nothing_is_needed_where_no_file_says_it(tmp_path: Path) -> None:
    assert links_of(tmp_path, {}) == {}


def test_a_compose_file_says_what_is_started_first(tmp_path: Path) -> None:
    compose = """
services:
  front:
    build: {context: services/gateway}
    depends_on: {auth: {condition: service_healthy}}
    links: ["people:users"]
  auth: {image: registry/auth}
  people:
    build: services/user
    depends_on: [cache]
  cache: {image: redis}
"""
    assert links_of(tmp_path, {"compose.yml": compose}) == {
        ("gateway", "auth"): "compose.yml:5 (depends_on)",
        ("gateway", "user"): "compose.yml:6 (links)",
    }


@pytest.mark.parametrize(
    "environment",
    [
        "{AUTH_URL: http://auth:8000/verify}",
        "['AUTH_URL=http://auth:8000']",
        "{AUTH: 'auth:8000'}",
        "{AUTH_HOST: auth}",
    ],
)
def test_a_compose_file_hands_over_an_address(tmp_path: Path, environment: str) -> None:
    compose = f"services:\n  gateway:\n    environment: {environment}\n  auth: {{build: services/auth}}\n"

    assert set(links_of(tmp_path, {"compose.yml": compose})) == {("gateway", "auth")}


@pytest.mark.parametrize("compose", ["services: [", "services: [a]", "services: {gateway: , auth: }", "- a"])
def test_a_compose_file_that_says_nothing(tmp_path: Path, compose: str) -> None:
    assert links_of(tmp_path, {"compose.yml": compose}) == {}


def test_a_variable_that_is_no_address_is_no_need(tmp_path: Path) -> None:
    compose = "services:\n  gateway:\n    environment: {POSTGRES_DB: user}\n  user: {build: services/user}\n"

    assert links_of(tmp_path, {"compose.yml": compose}) == {}


def test_an_address_in_the_code_names_the_host(tmp_path: Path) -> None:
    files = {
        "services/gateway/settings.py": "URL = 'http://auth.default.svc.cluster.local/verify'\n",
        "services/gateway/config/.env": "USERS=\nUSERS=grpc://user:9000\n",
        "services/user/tests/test_calls.py": "URL = 'http://gateway/'\n",
        "services/user/settings.py": "DATABASE = 'postgres://auth:secret@database/auth'\n",
    }
    assert links_of(tmp_path, files) == {
        ("gateway", "auth"): "services/gateway/settings.py:1",
        ("gateway", "user"): "services/gateway/config/.env:2",
    }


def test_a_package_that_is_imported_from_another_service(tmp_path: Path) -> None:
    files = {
        "pytest.ini": "[pytest]\npythonpath = services\n",
        "services/auth/__init__.py": "",
        "services/gateway/app.py": "from auth import login\n",
        "services/gateway/tests/test_app.py": "def test_app(): pass\n",
    }
    assert links_of(tmp_path, files) == {("gateway", "auth"): "it uses services/auth"}


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("http://auth", ["auth"]),
        ("http://auth:80/a http://user/", ["auth", "user"]),
        ("http://auth:pw@host/", []),
        ("http://auth@host/", []),
        ("http://{host}/", []),
    ],
)
def test_the_host_of_an_address(text: str, hosts: list[str]) -> None:
    assert [match["host"] for match in URL_HOST.finditer(text)] == hosts
