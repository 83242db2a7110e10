"""Which commit is checked out, and how the files differ from it: equal on two machines if they check the same."""

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core.errors import StateError
from pytest_py312.repository.checkout import is_checkout, run_git
from pytest_py312.runners.fingerprints import tree_digest

_CHUNK = 1024 * 1024
_REPORT_HEAD = 1024
_REPORT_BEGIN = re.compile(
    rb'\{\s*"schema": \d+,\s*"target": "[^"]*",\s*"generated": "[^"]*",\s*"tool": \{\s*"name": "pytest-py312"'
)
"""The beginning of a JSON report of this tool."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeState:
    """The commit, and each file that differs from it with the digest of its content (empty: it was deleted).

    Outside of a git checkout there is no commit, and one entry for the whole folder.
    """

    commit: str
    changes: tuple[tuple[str, str], ...]


def read_tree_state(root: Path, outputs: Collection[Path]) -> TreeState:
    """Return the state of the files below ``root``, without reports of this tool that are not in git.

    :param outputs: files that the run writes, which are no input of it.
    :raises StateError: it is a git checkout, and git does not answer.
    """
    written = {path.resolve() for path in outputs}

    def is_output(file: Path) -> bool:
        return file.resolve() in written or _is_report(file)

    if not is_checkout(root):
        return TreeState(commit="", changes=((".", tree_digest(root, leave_out=is_output)),))
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
    listed = _git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    prefix = _git(root, "rev-parse", "--show-prefix").strip("\n")
    changes = []
    for entry in listed.split("\0"):
        file = root / entry[3:].removeprefix(prefix)
        is_untracked = entry.startswith("??")
        if entry and file.resolve() not in written and not (is_untracked and _is_report(file)):
            changes.append((entry[3:].removeprefix(prefix), _content_digest(file)))
    return TreeState(commit=commit, changes=tuple(sorted(changes)))


def _is_report(file: Path) -> bool:
    """Return whether a file is a JSON report, such as the document of another part that was checked here before."""
    if file.suffix != ".json" or not file.is_file():
        return False
    try:
        with file.open("rb") as stream:
            return _REPORT_BEGIN.match(stream.read(_REPORT_HEAD)) is not None
    except OSError:
        return False


def _content_digest(file: Path) -> str:
    if file.is_symlink():
        return f"link {os.readlink(file)}"  # noqa: PTH115 - the text of the link
    if file.is_dir():  # a checkout inside of this one
        return tree_digest(file)
    digest = hashlib.blake2b(digest_size=20)
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"unreadable: {error.errno}"
    return digest.hexdigest()


def _git(root: Path, *arguments: str) -> str:
    result = run_git(root, *arguments)
    if not result.ok:
        message = next(iter(result.stderr.strip().splitlines()), result.exit_reason.value)
        raise StateError(
            f"{root}: git cannot say which commit the parts of the run are about ({message}). All parts of a run "
            "need git and its checkout"
        )
    return result.stdout
