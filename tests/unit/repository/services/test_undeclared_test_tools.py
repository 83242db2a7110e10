"""What tests use to test, and nothing requires, is installed for them."""

from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree


def tools(root: Path, test: str, requirements: str = "six\n", **more: str) -> list[str]:
    files = {"svc/requirements.txt": requirements, "svc/main.py": "", "svc/tests/test_main.py": test, **more}
    (service,) = discover(Plan(root=service_tree(root, files))).services
    return [text for source in service.test_requirements for text in source.arguments]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("import pyfakefs.fake_filesystem_unittest\n", ["pyfakefs"]),
        ("import os\nfrom factory import Factory\n", ["factory-boy"]),
        ("from moto import mock_aws\nimport responses\n", ["moto", "responses"]),
        ("def test_it(tmp_path, mocker):\n    pass\n", ["pytest-mock"]),
        ("import pytest\n@pytest.mark.asyncio\nasync def test_it(): pass\n", ["pytest-asyncio"]),
        ("from fastapi.testclient import TestClient\n", ["httpx"]),
        ("import pytest\nmoto = pytest.importorskip('moto')\nimport moto\n", []),
        ("def mocker():\n    pass\n\ndef test_it(mocker):\n    pass\n", []),
        ("try:\n    import moto\nexcept ImportError:\n    pass\n", []),
        ("import factories, response, motor\n", []),
        ("", []),
    ],
)
def test_uses_in_tests(tmp_path: Path, test: str, expected: list[str]) -> None:
    assert tools(tmp_path, test) == expected


def test_what_is_required_is_not_added(tmp_path: Path) -> None:
    assert tools(tmp_path, "import moto\n", "moto==4.2.0\n") == []
    assert tools(tmp_path, "from fastapi.testclient import TestClient\n", "fastapi[all]\n") == []
    assert tools(tmp_path, "import responses\n", **{"svc/responses.py": ""}) == []


def test_an_old_test_client_calls_what_httpx_has_lost(tmp_path: Path) -> None:
    client = "from fastapi.testclient import TestClient\n"
    for old in ("fastapi==0.95.2", "fastapi~=0.104.0", "fastapi==0.95.*", "starlette>=0.20,<0.30"):
        assert tools(tmp_path, client, f"{old}\n") == ["httpx<0.28"]
    for new in ("fastapi==0.115.0", "fastapi>=0.95", "fastapi"):
        assert tools(tmp_path, client, f"{new}\n") == ["httpx"]


def test_a_job_that_runs_the_tests_says_all_that_they_have(tmp_path: Path) -> None:
    job = "jobs: {t: {steps: [{run: pip install -r requirements.txt && pytest, working-directory: svc}]}}\n"
    assert tools(tmp_path, "import moto\n", **{".github/workflows/t.yml": job}) == []


def test_it_is_an_assumption(tmp_path: Path) -> None:
    tools(tmp_path, "import moto\nimport responses\n")
    assert (
        "svc has tests that use moto, responses, which nothing requires: installed for them."
        in discover(Plan(root=tmp_path)).assumptions
    )
