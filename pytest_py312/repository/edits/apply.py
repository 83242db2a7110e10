"""Writing planned changes into the repository, with git's word that nothing uncommitted is lost."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.errors import Py312Error
from pytest_py312.core.files import NotWritten, Replacement, replace_all
from pytest_py312.repository.edits.change_set import FileChange

GIT_LIMIT = 60.0
"""Seconds that git may take to say whether a file has changes."""


class WriteRefused(Py312Error):
    """Nothing was written, and the message says why and what to do."""


def write(
    root: Path, changes: Sequence[FileChange], *, allow_dirty: bool, is_dirty: Callable[[str], bool] | None = None
) -> None:
    """Write all ``changes``, or none: each file by a complete new one in its place, with its mode and owner.

    :param allow_dirty: also write files with uncommitted changes.
    :param is_dirty: whether the file at a path has such; git is asked when none is given.
    :raises WriteRefused: a file has uncommitted changes, was changed since the plan was made, is a link, lies outside
        the root, or cannot be written. All files are then as they were, or the message names those that are not.
    """
    if not allow_dirty:
        ask = is_dirty or (lambda path: has_uncommitted_changes(root, path))
        dirty = [change.path for change in changes if ask(change.path)]
        if dirty:
            raise WriteRefused(
                f"Nothing was written, as these files have uncommitted changes: {', '.join(dirty)}. "
                "Commit them first, or give --py312-allow-dirty."
            )
    try:
        replace_all(
            root, [Replacement(path=change.path, before=change.before, after=change.after) for change in changes]
        )
    except NotWritten as error:
        raise WriteRefused(str(error)) from None


def has_uncommitted_changes(root: Path, path: str) -> bool:
    """Whether git would lose something if the file were overwritten: changes, or a file that it does not know.

    False outside of a git checkout.

    :raises WriteRefused: it is a checkout, and git cannot say.
    """
    file = root / path
    folder = Path(os.path.realpath(file.parent))
    if not any(os.path.lexists(above / ".git") for above in (folder, *folder.parents)):
        return False
    # the checkout's own settings may name a program that watches files: a question must not start it
    argv = ["git", "--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-C", str(folder)]
    argv += ["status", "--porcelain", "--untracked-files=all", "--", file.name]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    answer = process.run(argv, env={**variables, "LC_ALL": "C"}, time_limit=GIT_LIMIT)
    if not answer.ok:
        said = next(iter(answer.stderr.strip().splitlines()), answer.ended.value)
        raise WriteRefused(
            f"{path}: git cannot say whether it has uncommitted changes ({said}). Mend that, or give "
            "--py312-allow-dirty."
        )
    return bool(answer.stdout.strip())
