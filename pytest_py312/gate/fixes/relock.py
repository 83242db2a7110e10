"""Regenerate stale lock files with the tools that write them."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.process import ExitReason
from pytest_py312.core.text import shorten
from pytest_py312.dependencies.resolution.lockfile_pins import LOCKED_VERSION_CODE, STALE_LOCK_CODE
from pytest_py312.repository.edits.apply import has_uncommitted_changes
from pytest_py312.repository.edits.change_set import FileChange, stale_locks
from pytest_py312.repository.formats.lockfiles import lock_format
from pytest_py312.repository.services.compiled_requirements import CompiledRequirements, recompile_command

TIME_LIMIT = 1800.0
"""Time limit of one command, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockUpdate:
    """A stale lock file and the command that regenerates it.

    ``argv`` is run in ``folder``; ``path`` and ``folder`` are relative to the root. ``unavailable_reason`` is not empty
    if this tool cannot run the command.
    """

    path: str
    folder: str
    argv: tuple[str, ...]
    unavailable_reason: str = ""

    def __str__(self) -> str:
        words = " ".join(self.argv)
        return f"{self.path} is out of date: run `{words}` in {'the root' if self.folder == '.' else self.folder}"


def plan_lock_updates(
    root: Path,
    changes: Iterable[FileChange],
    findings: Iterable[Finding],
    compiled: Mapping[CompiledRequirements, Sequence[str]],
) -> tuple[LockUpdate, ...]:
    """Return the updates of all stale files: of ``changes``, of ``findings`` on lock files, and compiled files."""
    updates: dict[str, LockUpdate] = {}
    for path, words in stale_locks(root, changes):
        updates[path] = LockUpdate(path=path, folder=_folder(path), argv=tuple(words.split()))
    upgrades_by_lock: dict[str, dict[str, None]] = {}
    for finding in findings:
        path = finding.location.path if finding.location else ""
        if finding.code in (LOCKED_VERSION_CODE, STALE_LOCK_CODE):
            names = finding.names if finding.code == LOCKED_VERSION_CODE else ()
            upgrades_by_lock.setdefault(path, {}).update(dict.fromkeys(names))
    for path, upgrades in upgrades_by_lock.items():
        lock = lock_format(path.rpartition("/")[2])
        argv = lock.upgrade_words(upgrades) if lock else ()
        if argv:
            updates[path] = LockUpdate(path=path, folder=_folder(path), argv=argv)
    for compiled_file, wanted_upgrades in compiled.items():
        argv = recompile_command(compiled_file, wanted_upgrades)
        updates[compiled_file.path] = LockUpdate(
            path=compiled_file.path, folder=compiled_file.folder, argv=argv, unavailable_reason=compiled_file.problem
        )
    return tuple(updates[path] for path in sorted(updates))


def update_lock(root: Path, update: LockUpdate, *, allow_dirty: bool) -> str:
    """Run an update. Return an empty string, or the reason why the lock file was not regenerated.

    :raises WriteRefused: git cannot determine whether the file has uncommitted changes.
    """
    if update.unavailable_reason:
        return update.unavailable_reason
    program = _find_program(update.argv[0])
    if program is None:
        return f"{update.argv[0]} is not on the PATH"
    if not allow_dirty and has_uncommitted_changes(root, update.path):
        return "it has uncommitted changes: commit them first, or use --py312-allow-dirty"
    variables = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    result = process.run(
        [program, *update.argv[1:]], cwd=root / update.folder, env={**variables, "NO_COLOR": "1"}, time_limit=TIME_LIMIT
    )
    if result.ok:
        return ""
    if result.exit_reason is not ExitReason.EXITED:
        return f"it was ended: {result.exit_reason.value}"
    output_lines = [line.strip() for line in re.split(r"[\r\n]+", result.stderr or result.stdout) if line.strip()]
    return f"exit code {result.exit_code}: {shorten(output_lines[-1], 300) if output_lines else 'it gave no reason'}"


def _find_program(name: str) -> str | None:
    program_path = shutil.which(name)
    if program_path is None and name == "uv":
        from uv import find_uv_bin

        return find_uv_bin()
    return program_path


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."
