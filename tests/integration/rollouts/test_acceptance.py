"""The acceptance tests of a stage on a real engine: without a new failure, with one, and with one from before."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from tests.integration.rollouts.docker_environments import DockerEnvironment, eventually, start_environment
from tests.support.child_pytest import PYTEST
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
import time
import urllib.request
from pathlib import Path

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


def test_that_hangs_on_request():
    hangs_on = Path("hangs-on").read_text() if Path("hangs-on").exists() else "none"
    if answer()["python"].startswith(hangs_on):
        Path("pid.part").write_text(str(os.getpid()))
        os.replace("pid.part", "pid")
        time.sleep(600)
"""
TESTS = "tests.e2e.test_shop::"


class Operator:
    """Types commands in a repository with one stage."""

    def __init__(self, folder: Path, environment: DockerEnvironment, *, forbidden: str) -> None:
        plan = PLAN.format(container=f"{environment.name}-auth", forbidden=forbidden)
        files = {
            "services/auth/requirements.txt": "",
            "tests/e2e/test_shop.py": SUITE,
            "pytest.ini": f"[pytest]\naddopts = {' '.join(PYTEST[3:])}\n",
            "py312.toml": plan,
        }
        self.root = service_tree(folder, files)
        self._environment = environment

    def type(self, *words: str, code: int = 0) -> None:
        assert main([*words, str(self.root), "--env", self._environment.name]) == code

    def interrupt(self, *words: str) -> int:
        """Start a command, end it with SIGTERM when a test hangs, and return its exit code."""
        argv = [sys.executable, "-m", "pytest_py312", *words, str(self.root), "--env", self._environment.name]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
            eventually((self.root / "pid").exists, "no test was started")
            command.send_signal(signal.SIGTERM)
            exit_code = command.wait(timeout=60)
        pid = int((self.root / "pid").read_text())
        eventually(lambda: not Path(f"/proc/{pid}").exists(), "a process of the tests was left")
        return exit_code


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
        ("before the deployment", "failed", 3),
        ("after the deployment", "successful", 3),
        ("at the end of the soak", "successful", 3),
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


def test_a_signal_ends_the_tests(tmp_path: Path, images: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """After the deployment the stage is rolled back; at the end of its soak the next process repeats them."""
    with start_environment(tmp_path / "journal", images, "auth") as environment:
        operator = Operator(tmp_path / "repository", environment, forbidden="3.8")
        hangs_on = operator.root / "hangs-on"
        hangs_on.write_text("3.12")
        assert operator.interrupt("deploy", "--stage", "1") == 1
        assert environment.serving() == environment.all_old()

        hangs_on.unlink()
        operator.type("deploy", "--stage", "1")
        hangs_on.write_text("3.12")
        (operator.root / "pid").unlink()
        assert operator.interrupt("watch", "--stage", "1") == 2
        operator.type("status")
        assert "soaked" in capsys.readouterr().out
        hangs_on.unlink()
        operator.type("watch", "--stage", "1")
        assert "is accepted" in capsys.readouterr().out
