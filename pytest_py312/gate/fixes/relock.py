"""Regenerate stale lock files with the tools that write them."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_py312.core import process
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.process import ExitReason
from pytest_py312.core.text import shorten
from pytest_py312.dependencies.resolution.lockfile_pins import LOCKED_VERSION_CODE, STALE_LOCK_CODE
from pytest_py312.repository.edits.apply import has_uncommitted_changes
from pytest_py312.repository.edits.change_set import PANTS_LOCK_COMMAND, FileChange, stale_locks
from pytest_py312.repository.formats.lockfiles import lock_format
from pytest_py312.repository.services.requirements.compiled_files import (
    UV_COMPILE,
    CompiledRequirements,
    recompile_command,
    without_output,
)

TIME_LIMIT = 1800.0
"""Time limit of one command, in seconds."""
COMPILE_LIMIT = 120.0
"""Time limit of a command that only shows whether a file would change, in seconds."""


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
        folder = "." if words == PANTS_LOCK_COMMAND else _folder(path)
        updates[path] = LockUpdate(path=path, folder=folder, argv=tuple(words.split()))
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


def is_same_for(root: Path, compiled: CompiledRequirements, target: Interpreter) -> bool:
    """Return whether uv compiles the same file for ``target``; ``False`` if the command is not one of uv.

    The output of uv does not say for which Python it is. It is compiled into a copy; a failure changes nothing.
    """
    program = _find_program("uv") if compiled.argv[:3] == UV_COMPILE else None
    if program is None:
        return False
    with TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / "requirements.txt"
        shutil.copy2(root / compiled.path, copy)
        argv = (*without_output(compiled.argv[1:]), "--quiet", f"--python-version={target}", f"--output-file={copy}")
        before = _pinned_lines(copy)
        process.run([program, *argv], cwd=root / compiled.folder, time_limit=COMPILE_LIMIT)
        return _pinned_lines(copy) == before


def _pinned_lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if not line.lstrip().startswith("#")]


def _find_program(name: str) -> str | None:
    program_path = shutil.which(name)
    if program_path is None and name == "uv":
        from uv import find_uv_bin

        return find_uv_bin()
    return program_path


def _folder(path: str) -> str:
    return path.rpartition("/")[0] or "."
