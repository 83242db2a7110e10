"""Finding and identifying the interpreters of this machine."""

import os
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.interpreters import FingerprintCache, find_local
from pytest_py312.runners.runner import CellUnavailable


def find(interpreter: str, folder: Path) -> InterpreterBuild:
    wanted = Interpreter.parse(interpreter)
    try:
        return find_local(wanted, uv=find_uv_bin(), fetch=False, cache=FingerprintCache(folder))
    except CellUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("interpreter", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_the_requested_interpreter_is_found(interpreter: str, tmp_path: Path) -> None:
    build = find(interpreter, tmp_path)

    says = process.run([build.executable, "-I", "-c", "import platform; print(platform.python_version())"])
    assert says.stdout.strip() == build.version
    assert build.version.startswith(f"{interpreter}.")
    assert len(build.digest) == 16
    assert find(interpreter, tmp_path) == build


def test_setuptools_is_preinstalled_before_312_only(tmp_path: Path) -> None:
    seeds = {text: find(text, tmp_path).preinstalled for text in ("3.9", "3.10", "3.12")}

    assert [bool(seeds[text]) for text in seeds] == [True, True, False]
    assert seeds["3.9"][0].startswith("setuptools==")


def test_builds_have_different_digests(tmp_path: Path) -> None:
    assert len({find(text, tmp_path).digest for text in ("3.9", "3.10", "3.12")}) == 3


def test_a_pyenv_shim_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shim starts the version that the current folder selects, or exits with 127."""
    shims = tmp_path / "shims"
    shims.mkdir()
    shim = shims / "python3.9"
    shim.write_text("#!/bin/sh\necho not installed >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")

    assert "shims" not in find("3.9", tmp_path / "cache").origin


def test_a_configured_program_of_another_version_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PY312_PYTHON_3_98", sys.executable)

    with pytest.raises(CellUnavailable, match=r"PY312_PYTHON_3_98=.* cannot be used: .*not CPython 3\.98"):
        find_local(Interpreter(3, 98), uv="uv", fetch=False, cache=FingerprintCache(tmp_path))
