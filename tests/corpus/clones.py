"""Clones of the corpus: check them, copy them, and run the gate on the copies."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_py312.core.process import CommandResult, ExitReason, run
from tests.corpus.manifest import Manifest

DEFAULT_TARGET = "3.12"
"""The target of a run without a plan."""
GIT_TIME_LIMIT = 300.0
GRACE_PERIOD = 60.0
"""Seconds that the gate gets after its time limit to write what is known by then."""
OUTPUT_LIMIT = 64 * 1024 * 1024

_WALL_TIME = (
    (re.compile(r"^wall time: (?P<s>[0-9.]+) s$", re.MULTILINE), False),
    (re.compile(r"^real\s+(?P<m>[0-9]+)m(?P<s>[0-9.]+)s", re.MULTILINE), True),
    (re.compile(r"\bin (?P<s>[0-9]+\.[0-9]+)s\b(?![\s\S]*\bin [0-9]+\.[0-9]+s\b)"), False),
)
"""Where kept output says how long the run took: our own line, that of a shell's ``time``, the last line of pytest."""


class CloneError(Exception):
    """A clone that cannot be used; ``str()`` says which command to type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRun:
    """A finished run of the gate. ``problem`` says why it has no whole report; empty if it has one."""

    output: str
    seconds: float | None
    problem: str = ""


def check_clone(folder: Path, manifest: Manifest) -> None:
    """Check that a clone is at the commit of its manifest, and unchanged.

    :raises CloneError: it is not.
    """
    if not (folder / ".git").exists():
        raise CloneError(f"there is no clone: git clone {manifest.url} {folder} && {_checkout(folder, manifest)}")
    head = git(folder, "rev-parse", "HEAD").strip()
    if head != manifest.commit:
        raise CloneError(f"the clone is at {head[:8]} and not at {manifest.commit[:8]}: {_checkout(folder, manifest)}")
    if git(folder, "status", "--porcelain").strip():
        raise CloneError(f"the clone has changes: git -C {folder} stash --include-untracked")


def _checkout(folder: Path, manifest: Manifest) -> str:
    return f"git -C {folder} checkout {manifest.commit}"


def git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command.

    :raises CloneError: it failed.
    """
    result = run(
        ["git", "-C", str(folder), *arguments], time_limit=GIT_TIME_LIMIT, tail_limit=OUTPUT_LIMIT, env=_git_variables()
    )
    if not result.ok:
        problem = result.stderr.strip() or result.exit_reason.value
        raise CloneError(f"git {' '.join(arguments)} failed in {folder}: {problem.splitlines()[-1]}")
    return result.stdout


def _git_variables() -> dict[str, str]:
    """Return an environment in which neither settings of the user nor prompts change what git prints."""
    return {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


@contextmanager
def copy_of(clone: Path, manifest: Manifest) -> Iterator[Path]:
    """Make a copy of the clone's tree for one run; it shares the objects of the clone.

    :raises CloneError: git refuses.
    """
    with TemporaryDirectory(prefix="corpus-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder).resolve() / manifest.name.partition("+")[2]
        git(clone, "clone", "--quiet", "--shared", "--no-checkout", str(clone.resolve()), str(copy))
        git(copy, "checkout", "--quiet", "--detach", manifest.commit)
        if str(manifest.target) != DEFAULT_TARGET:
            (copy / "py312.toml").write_text(f'target = "{manifest.target}"\n', encoding="utf-8")
        yield copy


def run_gate(copy: Path, report: Path, *, python: str, time_limit: float, options: Sequence[str] = ()) -> GateRun:
    """Run the gate on a copy as its user would: without a plan, on this machine."""
    report.unlink(missing_ok=True)
    # -P: as with the program pytest, no module of the copy can hide a library
    command = (python, "-P", "-m", "pytest", "--py312", "--py312-runner=local", f"--py312-report={report}", *options)
    result = run(
        command,
        cwd=copy,
        time_limit=time_limit,
        grace_period=GRACE_PERIOD,
        tail_limit=OUTPUT_LIMIT,
        merge_stderr=True,
    )
    output = f"{result.stdout.rstrip()}\nwall time: {result.seconds:.1f} s\n"
    return GateRun(output=output, seconds=result.seconds, problem=_problem(result, report, time_limit))


def _problem(result: CommandResult, report: Path, time_limit: float) -> str:
    if result.exit_reason is ExitReason.TIMED_OUT:
        return f"the run was ended after {time_limit:.0f} s"
    if result.exit_reason is not ExitReason.EXITED:
        return f"the run was not finished: {result.exit_reason.value} {result.stderr.strip()}".strip()
    if not report.exists():
        last_line = next((line.strip() for line in reversed(result.stdout.splitlines()) if line.strip("= ")), "")
        return f"no report was written (exit code {result.exit_code}): {last_line}"
    return ""


def kept_run(folder: Path, name: str) -> GateRun:
    """Return a run whose report and output are kept as ``NAME.json`` and ``NAME.txt``."""
    path = folder / f"{name}.txt"
    output = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    problem = "" if (folder / f"{name}.json").exists() else f"{folder} has no {name}.json"
    return GateRun(output=output, seconds=wall_time(output), problem=problem)


def wall_time(output: str) -> float | None:
    """Return the seconds that a kept output says it took."""
    for pattern, has_minutes in _WALL_TIME:
        if match := pattern.search(output):
            return float(match["s"]) + (60 * int(match["m"]) if has_minutes else 0)
    return None


def keep(folder: Path, name: str, report: Path, output: str) -> None:
    """Keep the report and the output of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(output, encoding="utf-8", errors="replace")
    (folder / f"{name}.json").unlink(missing_ok=True)
    if report.exists():
        shutil.copyfile(report, folder / f"{name}.json")
