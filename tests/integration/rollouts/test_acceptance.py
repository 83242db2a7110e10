"""The acceptance tests of a stage on a real engine: without a new failure, with one, and with one from before."""

import json
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from tests.integration.rollouts.docker_environments import DockerEnvironment, start_environment
from tests.support.fakes import service_tree

pytestmark = pytest.mark.docker

PLAN = """
target = "3.12"

[deploy]
image = "py312-rollout-test:{{version}}-good"
drain = "2s"

[soak]
interval = "2s"
duration = "4s"
initial-delay = 0

[[stage]]
number = 1
services = ["auth"]
critical = true

[[stage.acceptance]]
name = "e2e"
pytest = "tests/e2e"
timeout = "2m"
environment = {{ SERVICE = "{container}", FORBIDDEN = "{forbidden}" }}

[service.auth]
deploy = {{ container = "{container}", port = 8000, health = "/health", version = "/version" }}
"""
SUITE = """
import json
import os
import urllib.request

import docker


def answer():
    client = docker.from_env()
    networks = client.containers.get(os.environ["SERVICE"]).attrs["NetworkSettings"]["Networks"]
    client.close()
    address = next(iter(networks.values()))["IPAddress"]
    with urllib.request.urlopen(f"http://{address}:8000/version", timeout=10) as response:
        return json.load(response)


def test_greeting():
    assert answer()["greeting"] == "from auth"


def test_python():
    assert not answer()["python"].startswith(os.environ["FORBIDDEN"])


def test_that_fails_before_as_well():
    assert answer()["python"] == "2.7"
"""
TESTS = "tests.e2e.test_shop::"


class Operator:
    """Types commands in a repository with one stage."""

    def __init__(self, folder: Path, environment: DockerEnvironment, *, forbidden: str) -> None:
        plan = PLAN.format(container=f"{environment.name}-auth", forbidden=forbidden)
        files = {"services/auth/requirements.txt": "", "tests/e2e/test_shop.py": SUITE, "py312.toml": plan}
        self._root = service_tree(folder, files)
        self._environment = environment

    def type(self, *words: str, code: int = 0) -> None:
        assert main([*words, str(self._root), "--env", self._environment.name]) == code


def test_a_failure_from_before_is_shown_and_the_stage_is_accepted(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with start_environment(tmp_path / "journal", images, "auth") as environment:
        operator = Operator(tmp_path / "repository", environment, forbidden="3.8")
        operator.type("deploy", "--stage", "1")
        operator.type("watch", "--stage", "1")
        capsys.readouterr()
        operator.type("status", "--json")
        (run,) = json.loads(capsys.readouterr().out)["runs"]
        assert environment.serving()["auth"][1] == "3.12"
    assert run["state"] == "accepted", run
    assert [(result["phase"], result["result"], result["passed"]) for result in run["acceptance"]] == [
        ("before the deployment", "failed", 2),
        ("after the deployment", "successful", 2),
        ("at the end of the soak", "successful", 2),
    ]
    assert [result["known_failing"] for result in run["acceptance"]] == [[f"{TESTS}test_that_fails_before_as_well"]] * 3


def test_a_new_failure_rolls_the_stage_back(
    tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with start_environment(tmp_path / "journal", images, "auth") as environment:
        operator = Operator(tmp_path / "repository", environment, forbidden="3.12")
        operator.type("deploy", "--stage", "1", code=1)
        reason = f"stage 1: acceptance e2e after the deployment: newly failing: {TESTS}test_python"
        assert capsys.readouterr().out == f"stage 1 is rolled back: {reason}\n"
        assert environment.serving() == environment.all_old()
        operator.type("status")
        assert f"{environment.name} is not locked" in capsys.readouterr().out
