"""Clones of the corpus: check them, copy them, and run the gate on the copies."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_py312.core.process import CommandResult, ExitReason, run
from pytest_py312.core.text import pluralize, shorten
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
_WALL_TIME_AGAIN = re.compile(r"^wall time again: (?P<s>[0-9.]+) s$", re.MULTILINE)
_TIMES = re.compile(r"(?:real|user|sys)\s+[0-9]+m|wall time", re.ASCII)


class CloneError(Exception):
    """A clone that cannot be used; ``str()`` says which command to type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusOptions:
    """What both commands of the corpus are asked for.

    ``repositories`` is the folder of the clones; ``results`` where reports and output are kept; ``kept`` that of an
    earlier run, whose results are taken without a run. ``with_plan``: the gate gets the plan of the manifest.
    ``twice``: the gate runs again where nothing has changed, for its time. ``pytest_options`` are handed to the gate.
    """

    repositories: Path | None
    manifests: Path
    only: str
    python: str
    results: Path | None
    kept: Path | None
    time_limit: float
    with_plan: bool = False
    twice: bool = False
    pytest_options: tuple[str, ...] = ()

    def clone_of(self, manifest: Manifest) -> Path:
        """Return the clone of a repository, which is at the commit of the manifest and unchanged.

        :raises CloneError: there is none.
        """
        if self.repositories is None:
            raise CloneError("where are the clones? Name their folder by --repositories")
        clone = self.repositories / manifest.name
        check_clone(clone, manifest)
        return clone


@dataclass(frozen=True, kw_only=True, slots=True)
class GateRun:
    """A finished run of the gate: output and JSON report. ``problem`` says why it has no whole report, or is
    empty."""

    output: str
    report: str
    seconds: float | None
    problem: str = ""
    seconds_again: float | None = None
    """Of a second run, where nothing had changed."""


def gate_run(manifest: Manifest, options: CorpusOptions) -> GateRun:
    """Run the gate on a copy of one clone, or take the result that is kept.

    :raises CloneError: the clone cannot be used, or no result is kept.
    """
    if options.kept is not None:
        return _kept_run(options.kept, manifest.name)
    clone = options.clone_of(manifest)
    with (
        TemporaryDirectory(prefix="corpus-report-") as folder,
        copy_of(clone, manifest, with_plan=options.with_plan) as copy,
    ):
        finished = run_gate(copy, Path(folder).resolve() / "report.json", options)
        if options.twice:
            again = run_gate(copy, Path(folder).resolve() / "again.json", options).seconds
            output = f"{finished.output}wall time again: {again:.1f} s\n"
            finished = replace(finished, output=output, seconds_again=again)
    if options.results is not None:
        _keep(options.results, manifest.name, finished)
    return finished


def check_clone(folder: Path, manifest: Manifest) -> None:
    """Check that a clone is at the commit of its manifest, and unchanged; files may be missing.

    :raises CloneError: it is not.
    """
    if not (folder / ".git").exists():
        raise CloneError(f"there is no clone: git clone {manifest.url} {folder} && {_checkout(folder, manifest)}")
    head = git(folder, "rev-parse", "HEAD").strip()
    if head != manifest.commit:
        raise CloneError(f"the clone is at {head[:8]} and not at {manifest.commit[:8]}: {_checkout(folder, manifest)}")
    changes = git(folder, "status", "--porcelain").splitlines()
    if any(not line.startswith(" D ") for line in changes):
        raise CloneError(f"the clone has changes: git -C {folder} stash --include-untracked")
    if changes:  # a mirror may leave out large files
        print(f"{manifest.label}: without {pluralize(len(changes), 'file')} ({changes[0][3:]}, ...)", file=sys.stderr)


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
def copy_of(clone: Path, manifest: Manifest, *, with_plan: bool = False) -> Iterator[Path]:
    """Make a copy of the clone's tree for one run; it shares the objects of the clone.

    :raises CloneError: git refuses.
    """
    with TemporaryDirectory(prefix="corpus-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder).resolve() / manifest.name.partition("+")[2]
        git(clone, "clone", "--quiet", "--shared", "--no-checkout", str(clone.resolve()), str(copy))
        git(copy, "update-ref", "--no-deref", "HEAD", manifest.commit)
        git(copy, "read-tree", manifest.commit)
        _copy_files(clone, copy, manifest.folders)
        git(copy, "add", "--update")  # what is not copied is no part of the tree
        target = "" if str(manifest.target) == DEFAULT_TARGET else f'target = "{manifest.target}"\n'
        plan = f"{target}{manifest.plan if with_plan else ''}"
        if plan:
            (copy / "py312.toml").write_text(plan, encoding="utf-8")
        yield copy


def _copy_files(clone: Path, copy: Path, folders: Sequence[str]) -> None:
    """Copy the files of a tree, links as links; with ``folders`` only these and the files of the root."""
    for path in clone.iterdir():
        if path.is_symlink() or not path.is_dir():
            shutil.copy2(path, copy / path.name, follow_symlinks=False)
        elif path.name != ".git" and not folders:
            shutil.copytree(path, copy / path.name, symlinks=True)
    for folder in folders:
        shutil.copytree(clone / folder, copy / folder, symlinks=True, dirs_exist_ok=True)


def run_gate(copy: Path, report: Path, options: CorpusOptions) -> GateRun:
    """Run the gate on a copy as its user would, on this machine."""
    # -P: as with the program pytest, no module of the copy can hide a library
    command = (options.python, "-P", "-m", "pytest", "--py312", "--py312-runner=local", f"--py312-report={report}")
    result = run(
        (*command, *options.pytest_options),
        cwd=copy,
        time_limit=options.time_limit,
        grace_period=GRACE_PERIOD,
        tail_limit=OUTPUT_LIMIT,
        merge_stderr=True,
    )
    return GateRun(
        output=f"{result.stdout.rstrip()}\nwall time: {result.seconds:.1f} s\n",
        report=report.read_text(encoding="utf-8") if report.exists() else "",
        seconds=result.seconds,
        problem=_problem(result, options.time_limit, has_report=report.exists()),
    )


def _problem(result: CommandResult, time_limit: float, *, has_report: bool) -> str:
    if result.exit_reason is ExitReason.TIMED_OUT:
        return f"the run was ended after {time_limit:.0f} s"
    if result.exit_reason is not ExitReason.EXITED:
        return f"the run was not finished: {result.exit_reason.value} {result.stderr.strip()}".strip()
    return "" if has_report else f"no report was written: {_error_line(result.stdout)}"


def _error_line(output: str) -> str:
    """Return the line of an output that says what went wrong: the first error, or else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip("= \t") and not _TIMES.match(line)]
    errors = [
        line for line in lines if re.search(r"\berror: |^(?:ERROR|INTERNALERROR>?|[A-Za-z]+Error):? (?!usage)", line)
    ]
    return shorten((errors or lines[-1:] or ["it printed nothing"])[0], 200)


def _kept_run(folder: Path, name: str) -> GateRun:
    path, report = folder / f"{name}.txt", folder / f"{name}.json"
    if not (path.exists() or report.exists()):
        raise CloneError(f"{folder} has neither {report.name} nor {path.name}")
    output = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return GateRun(
        output=output,
        report=report.read_text(encoding="utf-8") if report.exists() else "",
        seconds=wall_time(output),
        seconds_again=float(match["s"]) if (match := _WALL_TIME_AGAIN.search(output)) else None,
        problem="" if report.exists() else f"no report was written: {_error_line(output)}",
    )


def _keep(folder: Path, name: str, finished: GateRun) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(finished.output, encoding="utf-8", errors="replace")
    report = folder / f"{name}.json"
    report.unlink(missing_ok=True)
    if finished.report:
        report.write_text(finished.report, encoding="utf-8")


def wall_time(output: str) -> float | None:
    """Return the seconds that a kept output says it took."""
    for pattern, has_minutes in _WALL_TIME:
        if match := pattern.search(output):
            return float(match["s"]) + (60 * int(match["m"]) if has_minutes else 0)
    return None
