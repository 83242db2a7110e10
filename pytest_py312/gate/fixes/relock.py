"""Lock files made anew by the tools that write them: which are stale, by which command, and how it ended."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.process import Ended
from pytest_py312.dependencies.resolution.lockfile_pins import LOCKED, STALE
from pytest_py312.repository.edits.apply import has_uncommitted_changes
from pytest_py312.repository.edits.change_set import REGENERATED_BY, FileChange, stale_locks
from pytest_py312.repository.services.compiled_requirements import Compiled, with_upgrades

TIME_LIMIT = 1800.0
"""Seconds that one command may take."""

_NEWER: Mapping[str, tuple[tuple[str, ...], str]] = {
    "uv.lock": (("uv", "lock"), "--upgrade-package"),
    "poetry.lock": (("poetry", "update", "--lock"), ""),
    "pdm.lock": (("pdm", "update", "--no-sync"), ""),
    "Pipfile.lock": (("pipenv", "upgrade"), ""),
}
"""Lock file -> the command that takes other versions of some projects, and the option before each of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Relock:
    """``argv``, run in ``folder``, makes ``path`` anew; both are relative to the root.

    ``trouble``: it cannot be run by this tool, and this is why.
    """

    path: str
    folder: str
    argv: tuple[str, ...]
    trouble: str = ""

    def __str__(self) -> str:
        words = " ".join(self.argv)
        return f"{self.path} is out of date: run `{words}` in {'the root' if self.folder == '.' else self.folder}"


def relocks(
    root: Path,
    changes: Iterable[FileChange],
    findings: Iterable[Finding],
    compiled: Mapping[Compiled, Sequence[str]],
) -> tuple[Relock, ...]:
    """All that is stale: what ``changes`` leave behind, what ``findings`` say of lock files, and compiled files."""
    found: dict[str, Relock] = {}
    for path, words in stale_locks(root, changes):
        found[path] = Relock(path=path, folder=_folder(path), argv=tuple(words.split()))
    newer: dict[str, dict[str, None]] = {}
    for finding in findings:
        path = finding.location.path if finding.location else ""
        if finding.code in (LOCKED, STALE) and _name(path) in _NEWER:
            names = finding.names if finding.code == LOCKED else ()
            newer.setdefault(path, {}).update(dict.fromkeys(names))
    for path, upgrades in newer.items():
        argv, option = _NEWER[_name(path)] if upgrades else (tuple(REGENERATED_BY[_name(path)].split()), "")
        more = [word for name in upgrades for word in (option, name) if word]
        found[path] = Relock(path=path, folder=_folder(path), argv=(*argv, *more))
    for made, wishes in compiled.items():
        argv = with_upgrades(made, wishes)
        found[made.path] = Relock(path=made.path, folder=made.folder, argv=argv, trouble=made.trouble)
    return tuple(found[path] for path in sorted(found))


def relock(root: Path, job: Relock, *, allow_dirty: bool) -> str:
    """Run one of them. Empty where it ended well, else why the lock file was not made anew, in words.

    :raises WriteRefused: git cannot say whether the file has uncommitted changes.
    """
    if job.trouble:
        return job.trouble
    program = _program(job.argv[0])
    if program is None:
        return f"there is no {job.argv[0]} on the path"
    if not allow_dirty and has_uncommitted_changes(root, job.path):
        return "it has uncommitted changes: commit them first, or give --py312-allow-dirty"
    variables = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = process.run(
        [program, *job.argv[1:]], cwd=root / job.folder, env={**variables, "NO_COLOR": "1"}, time_limit=TIME_LIMIT
    )
    if done.ok:
        return ""
    if done.ended is not Ended.EXITED:
        return f"it was ended: {done.ended.value}"
    said = [line.strip() for line in re.split(r"[\r\n]+", done.stderr or done.stdout) if line.strip()]
    return f"exit code {done.exit_code}: {said[-1][:300] if said else 'it gave no reason'}"


def _program(name: str) -> str | None:
    found = shutil.which(name)
    if found is None and name == "uv":
        from uv import find_uv_bin

        return find_uv_bin()
    return found


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."
