"""Hashes in a requirements file: only a file with a required hash is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.network

# iniconfig-2.0.0-py3-none-any.whl
RIGHT = "b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374"
WRONG = "0" * 63 + "7"


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
