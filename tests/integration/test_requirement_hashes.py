"""Hashes in a requirements file: only a file with a required hash is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner

pytestmark = pytest.mark.network

# iniconfig-2.0.0-py3-none-any.whl
RIGHT = "b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374"
WRONG = "0" * 63 + "7"
# gunicorn-20.1.0-py3-none-any.whl
GUNICORN = "9dcc4547dbb1cb284accfb15ab5667a0e5d1881cc443e0677b4882a4067a807e"


@pytest.mark.parametrize(("digest", "returncode"), [(RIGHT, 0), (WRONG, 1)], ids=["right", "wrong"])
def test_only_a_file_with_a_required_hash_is_installed(tmp_path: Path, digest: str, returncode: int) -> None:
    """As with pip; the lock's own hashes, which match whatever the index has, are not used."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / "py312.toml").write_text(f'target = "{version}"\ninterpreters = ["{version}"]\n')
    service = tmp_path / "services" / "hashed"
    (service / "tests").mkdir(parents=True)
    (service / "requirements.txt").write_text(f"iniconfig==2.0.0 --hash=sha256:{digest}\n")
    (service / "requirements-dev.txt").write_text("pytest<8.5\n")
    (service / "tests" / "test_it.py").write_text("def test_it():\n    assert True\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--py312", "--py312-runner=local", f"--py312-cache-dir={tmp_path / 'cache'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == returncode, done.stdout
    assert ("PY114" in done.stdout) == bool(returncode)


def test_a_setuptools_without_a_hash_fails_where_no_environment_comes_with_it(tmp_path: Path) -> None:
    """gunicorn 20.1 requires setuptools, and pip wants a hash of everything that it downloads."""
    runner = local_runner(tmp_path / "unused")
    for interpreter in ("3.11", "3.12"):
        try:
            runner.find_interpreter(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))
    (tmp_path / "py312.toml").write_text('target = "3.12"\ninterpreters = ["3.11", "3.12"]\n')
    service = tmp_path / "services" / "hashed"
    service.mkdir(parents=True)
    (service / ".python-version").write_text("3.11\n")
    (service / "requirements.txt").write_text(f"gunicorn==20.1.0 --hash=sha256:{GUNICORN}\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--py312", "--py312-runner=local", f"--py312-cache-dir={tmp_path / 'cache'}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert "PY114 setuptools has no pinned version and no hash" in done.stdout
    assert "services/hashed::py3.12::dependencies" in done.stdout
    assert "services/hashed::py3.11::dependencies" not in done.stdout.partition("Blocking")[2]
