"""Write planned changes into the repository, unless git reports that uncommitted work would be lost."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.errors import Py312Error
from pytest_py312.core.files import FileReplacement, WriteFailed, replace_files
from pytest_py312.repository.edits.change_set import FileChange

GIT_TIMEOUT = 60.0
"""Seconds until ``git status`` of one file is given up."""


class WriteRefused(Py312Error):
    """Nothing was written; the message says why and what to do."""


def apply_changes(
    root: Path, changes: Sequence[FileChange], *, allow_dirty: bool, is_dirty: Callable[[str], bool] | None = None
) -> None:
    """Write all ``changes``, or none. Each file is replaced atomically and keeps its mode and owner.

    :param allow_dirty: also write files with uncommitted changes.
    :param is_dirty: whether the file at a path has uncommitted changes; by default git is asked.
    :raises WriteRefused: a file has uncommitted changes, changed since the changes were planned, is a link, lies
        outside the root, or cannot be written. All files are then as before, or the message names those that are not.
    """
    if not allow_dirty:
        has_changes = is_dirty or (lambda path: has_uncommitted_changes(root, path))
        dirty = [change.path for change in changes if has_changes(change.path)]
        if dirty:
            raise WriteRefused(
                f"Nothing was written, as these files have uncommitted changes: {', '.join(dirty)}. "
                "Commit them first, or give --py312-allow-dirty."
            )
    try:
        replace_files(
            root, [FileReplacement(path=change.path, before=change.before, after=change.after) for change in changes]
        )
    except WriteFailed as error:
        raise WriteRefused(str(error)) from None


def is_in_checkout(folder: Path) -> bool:
    """Return whether git manages the folder, whose path has no links."""
    return any(os.path.lexists(parent / ".git") for parent in (folder, *folder.parents))


def has_uncommitted_changes(root: Path, path: str) -> bool:
    """Return whether overwriting the file would lose changes, or an untracked file. False outside of a git checkout.

    :raises WriteRefused: it is a checkout, and git fails.
    """
    file = root / path
    folder = Path(os.path.realpath(file.parent))
    if not is_in_checkout(folder):
        return False
    # the checkout's settings may name a program that watches files, which must not be started
    argv = ["git", "--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-C", str(folder)]
    argv += ["status", "--porcelain", "--untracked-files=all", "--", file.name]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    result = process.run(argv, env={**variables, "LC_ALL": "C"}, time_limit=GIT_TIMEOUT)
    if not result.ok:
        message = next(iter(result.stderr.strip().splitlines()), result.exit_reason.value)
        raise WriteRefused(
            f"{path}: git cannot say whether it has uncommitted changes ({message}). Fix that, or give "
            "--py312-allow-dirty."
        )
    return bool(result.stdout.strip())
