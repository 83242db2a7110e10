"""Finding and identifying the interpreters of this machine."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.store.stored_distribution import COMPILE_SCRIPT
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


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.11", "3.12"])
def test_no_compiled_file_is_left_that_was_cut_off(interpreter: str, tmp_path: Path) -> None:
    """A limit of the size of files stands for a full disk: both cut off what is written."""
    build = find(interpreter, tmp_path / "cache")
    library = tmp_path / "library"
    library.mkdir()
    (library / "small.py").write_text("A = 1\n")
    (library / "large.py").write_text("".join(f"def f{number}(): return {number}\n" for number in range(200)))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    command = [build.executable, "-c", COMPILE_SCRIPT, str(library), "64", ""]
    subprocess.run(command, check=True, preexec_fn=limit)

    compiled = {file.name.partition(".")[0] for file in (library / "__pycache__").glob("*.pyc")}
    assert compiled == {"small"}
