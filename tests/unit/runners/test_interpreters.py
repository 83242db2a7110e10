"""Where interpreters are looked for, and what tells one build from another."""

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
from pytest_py312.runners.interpreters import Remembered, build_from_fingerprint, candidates, find_local
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
    assert (build.origin, build.seed) == ("pyenv", ("setuptools==65.5.0",))


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ("", "plain"),
        ("'--enable-optimizations'", "pgo"),
        ("'--with-lto'", "lto"),
        ("'--enable-shared' '--enable-optimizations' '--with-lto=full'", "pgo+lto"),
    ],
)
def test_builds_that_differ_in_speed_are_told_apart(arguments: str, flags: str) -> None:
    assert build_from_fingerprint(NEW, fingerprint(config_args=arguments), origin="x").flags == flags


def test_whatever_differs_in_a_build_changes_its_digest() -> None:
    data = fingerprint()
    variants = [data, fingerprint(version="3.12.2"), fingerprint(config_args="x"), fingerprint(compiler="clang")]

    digests = [build_from_fingerprint(NEW, one, origin="x").digest for one in variants]
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
def test_what_is_not_that_interpreter_is_refused(data: Mapping[str, Any], word: str) -> None:
    with pytest.raises(CellUnavailable, match=word):
        build_from_fingerprint(NEW, data, origin="there")


# ---- places


def places(tmp_path: Path, interpreter: str, **environ: str) -> list[tuple[str, str]]:
    environ = {"PYENV_ROOT": str(tmp_path / "pyenv"), "XDG_DATA_HOME": str(tmp_path / "data"), "PATH": "", **environ}
    found = candidates(Interpreter.parse(interpreter), environ, "uv")
    return [(str(path), origin) for path, origin in found]


def test_the_newest_patch_of_pyenv_comes_first_and_odd_builds_never(tmp_path: Path) -> None:
    for name in ("3.9.2", "3.9.18", "3.10.1", "3.9.3t", "3.9-dev"):
        (tmp_path / "pyenv" / "versions" / name).mkdir(parents=True)
    (tmp_path / "pyenv" / "versions" / "3.9.99").symlink_to("3.10.1")

    found = [Path(path).parts[-3] for path, origin in places(tmp_path, "3.9") if origin == "pyenv"]

    assert found == ["3.9.18", "3.9.2"]


def test_the_one_that_is_named_comes_before_all_others(tmp_path: Path) -> None:
    (tmp_path / "pyenv" / "versions" / "3.12.1").mkdir(parents=True)

    found = places(tmp_path, "3.12", PY312_PYTHON_3_12="/mine/python")

    assert found[0] == ("/mine/python", "PY312_PYTHON_3_12")


def test_the_path_is_searched_without_shims(tmp_path: Path) -> None:
    found = places(tmp_path, "3.10", PATH=os.pathsep.join(("/a/bin", "/home/x/.pyenv/shims", "", "/b/bin")))

    assert [path for path, origin in found if origin == "PATH"] == ["/a/bin/python3.10", "/b/bin/python3.10"]


# ---- what is found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python but those that a test puts on its PATH."""
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


def found(tmp_path: Path, says: str, monkeypatch: pytest.MonkeyPatch, asked: list[str] | None = None) -> Any:
    def run(argv: list[str], **_: object) -> object:
        if asked is not None:
            asked.append(argv[0])
        return command_run_of(says, "odd words")

    monkeypatch.setattr(process, "run", run)
    return find_local(ABSENT, uv="uv", fetch=False, remembered=Remembered(tmp_path / "cache"))


def program(folder: Path) -> Path:
    path = folder / f"python{ABSENT}"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_is_asked_once_and_remembered(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = program(machine), list[str]()
    says = json.dumps(fingerprint(version="3.98.0", executable=str(path)))

    builds = [found(tmp_path, says, monkeypatch, asked) for _ in range(2)]

    assert builds[0] == builds[1]
    assert builds[0].origin == f"PATH ({path})"
    assert asked == [str(path)]
    path.write_text("#!/bin/sh\n# another one\n")
    found(tmp_path, says, monkeypatch, asked)
    assert len(asked) == 2


def test_without_one_it_says_how_to_get_one(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CellUnavailable) as caught:
        found(tmp_path, "", monkeypatch)

    for word in ("no Python 3.98 was found", "uv python install 3.98", "PY312_PYTHON_3_98", "fetch-interpreters"):
        assert word in str(caught.value)


@pytest.mark.parametrize("says", ["", "Python 3.98", "3", "[]", '"x"', "null", '{"version": "3.98.0"}'])
def test_a_program_that_is_no_python_is_told(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    program(machine)

    with pytest.raises(CellUnavailable, match="does not start as a Python"):
        found(tmp_path, says, monkeypatch)


def test_a_named_program_that_will_not_do_is_not_passed_over(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another build than the one that was named would be a surprise."""
    path = program(machine)
    monkeypatch.setenv("PY312_PYTHON_3_98", str(tmp_path / "no" / "python"))

    with pytest.raises(CellUnavailable, match="PY312_PYTHON_3_98"):
        found(tmp_path, json.dumps(fingerprint(version="3.98.0", executable=str(path))), monkeypatch)


@given(st.dictionaries(st.text(max_size=9), st.none() | st.text(max_size=9) | st.integers() | st.lists(st.integers())))
def test_no_fingerprint_crashes_the_reader(data: dict[str, Any]) -> None:
    whole = {**data, **fingerprint()}

    assert build_from_fingerprint(NEW, whole, origin="x").interpreter == NEW


@pytest.mark.parametrize("name", ["version", "implementation"])
def test_a_fingerprint_that_does_not_say_what_it_is_is_refused(name: str) -> None:
    with pytest.raises(CellUnavailable, match="x holds"):
        build_from_fingerprint(NEW, fingerprint(**{name: None}), origin="x")


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}"])
def test_what_is_remembered_may_be_damaged(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    path, asked = program(machine), list[str]()
    says = json.dumps(fingerprint(version="3.98.0", executable=str(path)))
    first = found(tmp_path, says, monkeypatch, asked)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(damage)

    assert found(tmp_path, says, monkeypatch, asked) == first
    assert len(asked) == 2
