"""A check that a repository adds to the gate, in a separate pytest process."""

import subprocess
from pathlib import Path

import pytest

from tests.support.child_pytest import PYTEST
from tests.support.fakes import service_tree

CONFTEST = """
class Licence:
    name, codes = "licence", ("OWN1",)

def pytest_py312_checks(config):
    return [Licence()]
"""


def test_the_marker_of_an_added_check_is_registered(tmp_path: Path) -> None:
    """Also with ``--strict-markers``, and although its author does not register it."""
    root = service_tree(
        tmp_path,
        {
            "conftest.py": CONFTEST,
            "py312.toml": 'interpreters = ["3.9", "3.10", "3.12"]\n',
            "user/Dockerfile": "FROM python:3.9-slim\n",
            "user/requirements.txt": "\n",
            "user/tests/test_user.py": "def test_user(): pass\n",
        },
    )
    options = ["--py312", "--collect-only", "-q", "--strict-markers", "-m", "py312_licence"]

    done = subprocess.run([*PYTEST, *options], cwd=root, capture_output=True, text=True, check=False)

    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    for interpreter in ("3.9", "3.10", "3.12"):
        assert f"user::py{interpreter}::licence" in done.stdout
