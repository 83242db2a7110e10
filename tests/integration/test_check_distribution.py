"""The example of a check that is a distribution of its own: installed, found by its entry point, and run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.support.fakes import service_tree

EXAMPLE = Path(__file__).parents[2] / "examples/health-check"
WAIVER = """
[[waiver]]
service = "billing"
code = "HLT001"
reason = "has no container of its own"
owner = "payments team"
until = 2099-01-31
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the distribution alone, as in another environment."""
    folder = tmp_path_factory.mktemp("packages")
    argv = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(EXAMPLE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def run(root: Path, packages: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "--py312", "-m", "py312_health", "--py312-runner=local", "-v", "-p"]
    return subprocess.run(
        [*argv, "no:cacheprovider"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.network
def test_an_installed_check_judges_each_service(tmp_path: Path, packages: Path) -> None:
    """It passes, fails with the place of its finding, is skipped, and a waiver accepts its code."""
    root = service_tree(
        tmp_path,
        {
            "py312.toml": 'interpreters = ["3.11", "3.12"]\n' + WAIVER,
            "orders/Dockerfile": "FROM python:3.11-slim\nHEALTHCHECK CMD true\n",
            "orders/requirements.txt": "\n",
            "users/Dockerfile": "FROM python:3.11 AS build\nFROM python:3.11-slim\n",
            "users/requirements.txt": "\n",
            "billing/Dockerfile": "FROM python:3.11-slim\n",
            "billing/requirements.txt": "\n",
            "worker/requirements.txt": "\n",
        },
    )
    done = run(root, packages)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    for line in (
        "orders::health PASSED",
        "users::health FAILED",
        "billing::health PASSED",
        "worker::health SKIPPED",
        "HLT001 the image of users declares no health check",
        "users/Dockerfile:2",
        "→ add a HEALTHCHECK instruction",
    ):
        assert line in done.stdout
