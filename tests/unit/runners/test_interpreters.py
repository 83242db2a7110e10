"""Finding interpreters, and identifying their builds."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core import process
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.runners.interpreters import FingerprintCache, build_from_fingerprint, candidate_paths, find_local
from pytest_py312.runners.runner import CellUnavailable
from tests.support.fakes import command_run_of

NEW = Interpreter(3, 12)


def fingerprint(**changes: Any) -> dict[str, Any]:
    return {
        "implementation": "cpython",
        "version": "3.12.1",
        "executable": "/opt/bin/python3.12",
        "config_args": "",
        "gil": True,
        "seed": [],
        **changes,
    }


# ---- builds


def test_a_fingerprint_becomes_a_build() -> None:
    build = build_from_fingerprint(NEW, fingerprint(seed=["setuptools==65.5.0"]), origin="pyenv")

    assert (build.interpreter, build.version, build.executable) == (NEW, "3.12.1", "/opt/bin/python3.12")
    assert (build.origin, build.preinstalled) == ("pyenv", ("setuptools==65.5.0",))


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ("", "plain"),
        ("'--enable-optimizations'", "pgo"),
        ("'--with-lto'", "lto"),
        ("'--enable-shared' '--enable-optimizations' '--with-lto=full'", "pgo+lto"),
    ],
)
def test_builds_that_differ_in_speed_have_different_flags(arguments: str, flags: str) -> None:
    assert build_from_fingerprint(NEW, fingerprint(config_args=arguments), origin="x").flags == flags


def test_every_difference_of_a_build_changes_its_digest() -> None:
    data = fingerprint()
    variants = [data, fingerprint(version="3.12.2"), fingerprint(config_args="x"), fingerprint(compiler="clang")]

    digests = [build_from_fingerprint(NEW, variant, origin="x").digest for variant in variants]
    digests.append(build_from_fingerprint(NEW, data, origin="x", salt="image").digest)

    assert len(set(digests)) == 5
    assert build_from_fingerprint(NEW, dict(reversed(data.items())), origin="y").digest == digests[0]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (fingerprint(version="3.11.9"), "cpython 3.11.9, not CPython 3.12"),
        (fingerprint(version="3.1.2"), "cpython 3.1.2, not CPython 3.12"),
        (fingerprint(implementation="pypy"), "pypy 3.12.1"),
        (fingerprint(gil=False), "free-threaded"),
        ({}, "not CPython 3.12"),
    ],
)
def test_another_interpreter_is_rejected(data: Mapping[str, Any], word: str) -> None:
    with pytest.raises(CellUnavailable, match=word):
        build_from_fingerprint(NEW, data, origin="x")


# ---- search paths


def search(tmp_path: Path, interpreter: str, **environ: str) -> list[tuple[str, str]]:
    environ = {"PYENV_ROOT": str(tmp_path / "pyenv"), "XDG_DATA_HOME": str(tmp_path / "data"), "PATH": "", **environ}
    candidates = candidate_paths(Interpreter.parse(interpreter), environ, "uv")
    return [(str(path), origin) for path, origin in candidates]


def test_the_newest_patch_release_of_pyenv_comes_first_without_special_builds(tmp_path: Path) -> None:
    for name in ("3.9.2", "3.9.18", "3.10.1", "3.9.3t", "3.9-dev"):
        (tmp_path / "pyenv" / "versions" / name).mkdir(parents=True)
    (tmp_path / "pyenv" / "versions" / "3.9.99").symlink_to("3.10.1")

    versions = [Path(path).parts[-3] for path, origin in search(tmp_path, "3.9") if origin == "pyenv"]

    assert versions == ["3.9.18", "3.9.2"]


def test_a_configured_program_comes_first(tmp_path: Path) -> None:
    (tmp_path / "pyenv" / "versions" / "3.12.1").mkdir(parents=True)

    candidates = search(tmp_path, "3.12", PY312_PYTHON_3_12="/mine/python")

    assert candidates[0] == ("/mine/python", "PY312_PYTHON_3_12")


def test_the_path_is_searched_without_shims(tmp_path: Path) -> None:
    candidates = search(tmp_path, "3.10", PATH=os.pathsep.join(("/a/bin", "/home/x/.pyenv/shims", "", "/b/bin")))

    assert [path for path, origin in candidates if origin == "PATH"] == ["/a/bin/python3.10", "/b/bin/python3.10"]


# ---- results


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only Pythons are those that a test puts on its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith("PY312_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(folder))
    return folder


ABSENT = Interpreter(3, 98)


def find(tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch, started: list[str] | None = None) -> Any:
    def run(argv: list[str], **_: object) -> object:
        if started is not None:
            started.append(argv[0])
        return command_run_of(output, "odd words")

    monkeypatch.setattr(process, "run", run)
    return find_local(ABSENT, uv="uv", fetch=False, cache=FingerprintCache(tmp_path / "cache"))


def program(folder: Path) -> Path:
    path = folder / f"python{ABSENT}"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_is_identified_once_and_cached(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, started = program(machine), list[str]()
    output = json.dumps(fingerprint(version="3.98.0", executable=str(path)))

    builds = [find(tmp_path, output, monkeypatch, started) for _ in range(2)]

    assert builds[0] == builds[1]
    assert builds[0].origin == f"PATH ({path})"
    assert started == [str(path)]
    path.write_text("#!/bin/sh\n# another one\n")
    find(tmp_path, output, monkeypatch, started)
    assert len(started) == 2


def test_the_error_for_a_missing_interpreter_explains_how_to_get_it(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CellUnavailable) as caught:
        find(tmp_path, "", monkeypatch)

    for word in ("no Python 3.98 was found", "uv python install 3.98", "PY312_PYTHON_3_98", "fetch-interpreters"):
        assert word in str(caught.value)


@pytest.mark.parametrize("output", ["", "Python 3.98", "3", "[]", '"x"', "null", '{"version": "3.98.0"}'])
def test_a_program_that_is_not_python_is_reported(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    program(machine)

    with pytest.raises(CellUnavailable, match="does not start as a Python"):
        find(tmp_path, output, monkeypatch)


def test_an_unusable_configured_program_is_an_error(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Using another build than the configured one would be a surprise."""
    path = program(machine)
    monkeypatch.setenv("PY312_PYTHON_3_98", str(tmp_path / "no" / "python"))

    with pytest.raises(CellUnavailable, match="PY312_PYTHON_3_98"):
        find(tmp_path, json.dumps(fingerprint(version="3.98.0", executable=str(path))), monkeypatch)


@given(st.dictionaries(st.text(max_size=9), st.none() | st.text(max_size=9) | st.integers() | st.lists(st.integers())))
def test_no_fingerprint_crashes_the_parser(data: dict[str, Any]) -> None:
    complete = {**data, **fingerprint()}

    assert build_from_fingerprint(NEW, complete, origin="x").interpreter == NEW


@pytest.mark.parametrize("name", ["version", "implementation"])
def test_an_incomplete_fingerprint_is_rejected(name: str) -> None:
    with pytest.raises(CellUnavailable, match="x holds"):
        build_from_fingerprint(NEW, fingerprint(**{name: None}), origin="x")


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}"])
def test_a_damaged_cache_entry_is_ignored(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    path, started = program(machine), list[str]()
    output = json.dumps(fingerprint(version="3.98.0", executable=str(path)))
    first = find(tmp_path, output, monkeypatch, started)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(damage)

    assert find(tmp_path, output, monkeypatch, started) == first
    assert len(started) == 2
