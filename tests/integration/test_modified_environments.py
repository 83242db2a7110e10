"""A suite that modifies its environment: files are hard links, so it could affect all other cells."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.child_pytest import PYTEST

pytestmark = pytest.mark.network

PATCHES_A_LIBRARY = """
import pathlib

import iniconfig


def test_patches_a_library():
    with open(pathlib.Path(iniconfig.__file__), "a") as file:
        file.write("\\n# patched\\n")
"""


def gate(folder: Path, cache: Path) -> "subprocess.CompletedProcess[str]":
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    plan = f'target = "{version}"\ninterpreters = ["{version}"]\n'
    (folder / "py312.toml").write_text(plan)
    command = [*PYTEST, "--py312", "--py312-runner=local", f"--py312-cache-dir={cache}"]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def service(folder: Path, name: str, test: str) -> None:
    (folder / "services" / name / "tests").mkdir(parents=True)
    (folder / "services" / name / "requirements.txt").write_text("")
    (folder / "services" / name / "tests" / "test_it.py").write_text(test)


def test_a_suite_that_patches_a_library_is_errored_and_harmless(tmp_path: Path) -> None:
    """The environment and the library's store entry are re-created for the next run."""
    cache, first, second = tmp_path / "cache", tmp_path / "first", tmp_path / "second"
    service(first, "writer", PATCHES_A_LIBRARY)
    service(second, "reader", "def test_reads():\n    import iniconfig\n    assert iniconfig.IniConfig\n")

    written = gate(first, cache)
    read = gate(second, cache)

    assert written.returncode == 1, written.stdout
    assert "was written to while it ran" in " ".join(written.stdout.split())
    assert read.returncode == 0, read.stdout
    patched = [path for path in cache.rglob("iniconfig/__init__.py") if "# patched" in path.read_text()]
    assert patched == []
