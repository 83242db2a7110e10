"""Requirements of a platform fixed by the gate, and verified by installing them with uv alone."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from pytest_py312.core.model.findings import Interpreter
from tests.integration.local_runners import local_runner
from tests.support.child_pytest import PYTEST

Line = tuple[str, int]
"""A path relative to the root, and a line of it (from 1)."""


@dataclass(frozen=True, kw_only=True)
class ServiceReport:
    """The result of one service on the target, read from a report.

    ``changes`` are its fixes: the line, and its specifier before and after. ``left_out`` are the projects that block
    and have no fix, ``unreadable`` the lines that pip refuses.
    """

    service: str
    path: str
    changes: Mapping[Line, tuple[str, str]]
    left_out: frozenset[str]
    unreadable: frozenset[Line]


def gate(root: Path, cache: Path, report: Path, *options: str) -> int:
    """Run ``pytest --py312`` on the target with the dependencies check only; return the exit status."""
    fixed = ["--py312", "-m", "py312_dependencies", "--py312-runner=local", "--py312-python=3.12", "-q"]
    fixed += ["-p", "no:cacheprovider", f"--py312-cache-dir={cache}", f"--py312-report={report}"]
    command = [*PYTEST, *fixed, *options]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    assert report.exists(), done.stdout + done.stderr
    return done.returncode


def commit_all(root: Path) -> None:
    """Make ``root`` a git repository with all files committed."""
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "as it was"]):
        _git(root, *words)


def changed_lines(root: Path) -> dict[Line, tuple[str, str]]:
    """Return every line that differs from the commit, before and after. No line may be added or removed."""
    changes: dict[Line, tuple[str, str]] = {}
    for path in _git(root, "diff", "--name-only").splitlines():
        committed, current = _git(root, "show", f"HEAD:{path}"), (root / path).read_bytes().decode()
        pairs = enumerate(zip(committed.split("\n"), current.split("\n"), strict=True), start=1)
        changes |= {(path, number): pair for number, pair in pairs if pair[0] != pair[1]}
    return changes


def _git(root: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.autocrlf=false"]
    return subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True).stdout.decode()


def read_report(report: Path, target: str = "3.12") -> list[ServiceReport]:
    """Return the results of all services of a report on the target."""
    document = json.loads(report.read_text(encoding="utf-8"))
    paths = {service["name"]: service["path"] for service in document["services"]}
    rows = [row for row in document["outcomes"] if row["check"] == "dependencies" and row["interpreter"] == target]
    return [_service_report(row, paths[row["service"]]) for row in rows]


def _service_report(row: Mapping[str, Any], path: str) -> ServiceReport:
    blocking = [finding for finding in row["findings"] if finding["severity"] == "error" and finding["code"] != "PY105"]
    changes = {
        (change["path"], change["line"]): (change["old"], change["new"])
        for finding in row["findings"]  # a source that cannot be built here is a warning, and keeps the set from proof
        for change in finding["changes"]
    }
    moved = {change["name"] for finding in blocking for change in finding["changes"]}
    stuck = [finding for finding in blocking if not finding["changes"] and not moved & set(finding["names"])]
    unreadable = {(finding["path"], finding["line"]) for finding in stuck if finding["code"] == "PY107"}
    left_out = {name for finding in stuck if finding["code"] != "PY107" for name in finding["names"]}
    return ServiceReport(
        service=row["service"],
        path=path,
        changes=changes,
        left_out=frozenset(left_out),
        unreadable=frozenset(unreadable),
    )


def install_with_uv(root: Path, service_report: ServiceReport, work: Path, target: str = "3.12") -> str:
    """Install a service's requirements on the target with uv; return the end of uv's error output, or an empty string.

    The requirements are those of the files as they are now, without the lines that have no fix.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    files = sorted((root / service_report.path).glob("requirements*.txt"))
    for file in files:
        path = file.relative_to(root).as_posix()
        lines = enumerate(file.read_text(encoding="utf-8").split("\n"), start=1)
        kept = [line for number, line in lines if not _is_left_out(line, service_report, (path, number))]
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
    """Return the interpreter that the gate would use; uv does not search everywhere."""
    runner = local_runner(work)
    try:
        return runner.find_interpreter(Interpreter.parse(target)).executable
    finally:
        runner.close()


def _is_left_out(line: str, service_report: ServiceReport, place: Line) -> bool:
    name = re.match(r"\s*([A-Za-z0-9][\w.-]*)", line, re.ASCII)
    return place in service_report.unreadable or (
        name is not None and canonicalize_name(name[1]) in service_report.left_out
    )
