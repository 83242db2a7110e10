"""Requirements of a platform mended by the gate, and proved by uv alone: nothing of ours resolves or installs there."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from pytest_py312.core.model.findings import Interpreter
from tests.integration.local_runners import local_runner

Line = tuple[str, int]
"""A path relative to the root, and a line of it (from 1)."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a report says of one service on the target.

    ``changes`` are its remedies: the line, and its specifier before and after. ``left_out`` are the projects that block
    and that no change mends, ``unreadable`` the lines that pip refuses.
    """

    service: str
    path: str
    changes: Mapping[Line, tuple[str, str]]
    left_out: frozenset[str]
    unreadable: frozenset[Line]


def gate(root: Path, cache: Path, report: Path, *options: str) -> int:
    """``pytest --py312`` on the target alone, asking about requirements; the exit status."""
    fixed = ["--py312", "-m", "py312_dependencies", "--py312-runner=local", "--py312-python=3.12", "-q"]
    fixed += ["-p", "no:cacheprovider", f"--py312-cache-dir={cache}", f"--py312-report={report}"]
    command = [sys.executable, "-m", "pytest", *fixed, *options]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    assert report.exists(), done.stdout + done.stderr
    return done.returncode


def commit_all(root: Path) -> None:
    """Make ``root`` a repository with everything in it committed."""
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "as it was"]):
        _git(root, *words)


def changed_lines(root: Path) -> dict[Line, tuple[str, str]]:
    """Every line that differs from what is committed, before and after. No line may be more or less than there was."""
    found: dict[Line, tuple[str, str]] = {}
    for path in _git(root, "diff", "--name-only").splitlines():
        before, after = _git(root, "show", f"HEAD:{path}"), (root / path).read_bytes().decode()
        pairs = enumerate(zip(before.split("\n"), after.split("\n"), strict=True), start=1)
        found |= {(path, number): pair for number, pair in pairs if pair[0] != pair[1]}
    return found


def _git(root: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.autocrlf=false"]
    return subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True).stdout.decode()


def told(report: Path, target: str = "3.12") -> list[Told]:
    """What a report says of each service."""
    document = json.loads(report.read_text(encoding="utf-8"))
    paths = {service["name"]: service["path"] for service in document["services"]}
    rows = [row for row in document["outcomes"] if row["check"] == "dependencies" and row["interpreter"] == target]
    return [_told(row, paths[row["service"]]) for row in rows]


def _told(row: Mapping[str, Any], path: str) -> Told:
    blocking = [found for found in row["findings"] if found["severity"] == "error" and found["code"] != "PY105"]
    changes = {
        (change["path"], change["line"]): (change["old"], change["new"])
        for found in row["findings"]  # a source that cannot be built here is a warning, and keeps the set from proof
        for change in found["changes"]
    }
    moved = {change["name"] for found in blocking for change in found["changes"]}
    stuck = [found for found in blocking if not found["changes"] and not moved & set(found["names"])]
    unreadable = {(found["path"], found["line"]) for found in stuck if found["code"] == "PY107"}
    left_out = {name for found in stuck if found["code"] != "PY107" for name in found["names"]}
    return Told(
        service=row["service"],
        path=path,
        changes=changes,
        left_out=frozenset(left_out),
        unreadable=frozenset(unreadable),
    )


def proved_by_uv(root: Path, told: Told, work: Path, target: str = "3.12") -> str:
    """Empty where the service's set installs on the target with uv by hand; else the end of what uv said.

    The set is that of the files as they are now, without the lines of what is said to be beyond mending.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    files = sorted((root / told.path).glob("requirements*.txt"))
    for file in files:
        path = file.relative_to(root).as_posix()
        lines = enumerate(file.read_text(encoding="utf-8").split("\n"), start=1)
        kept = [line for number, line in lines if not _is_left_out(line, told, (path, number))]
        (work / file.name).write_text("\n".join(kept), encoding="utf-8")
    venv = work / "venv"
    for command in (
        ["venv", "-q", "-p", _program(target, work), str(venv)],
        ["pip", "install", "-q", "-p", str(venv), *(word for file in files for word in ("-r", str(work / file.name)))],
    ):
        done = subprocess.run([find_uv_bin(), *command], check=False, capture_output=True, text=True)
        if done.returncode:
            return f"uv {command[0]} {command[1]}: {done.stderr.strip()[-2000:]}"
    shutil.rmtree(venv)
    return ""


def _program(target: str, work: Path) -> str:
    """Where an interpreter is that the gate would take: uv does not look everywhere."""
    runner = local_runner(work)
    try:
        return runner.find(Interpreter.parse(target)).executable
    finally:
        runner.close()


def _is_left_out(line: str, told: Told, place: Line) -> bool:
    name = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line, re.ASCII)
    return place in told.unreadable or (name is not None and canonicalize_name(name[1]) in told.left_out)
