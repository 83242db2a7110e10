"""The git checkout around a folder: commit, branch, and whether its files differ from the commit."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pytest_py312.core import process
from pytest_py312.core.directories import checkout_root
from pytest_py312.core.model.report import Checkout
from pytest_py312.core.process import CommandResult

GIT_TIMEOUT = 120.0
"""Seconds until git is given up."""
MAX_OUTPUT = 256 * 1024**2
"""Bytes of what git prints, such as a list of changed files."""
_BRANCH_VARIABLES = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "CHANGE_BRANCH", "BRANCH_NAME",
                     "BUILD_SOURCEBRANCHNAME")  # fmt: skip
"""Where CI systems say the branch, since they check out a commit without one."""
_LOCATION = re.compile(r"(?:[\w.+-]+://[^/]*/|[^/:]+:)(?P<name>.+)")
"""An address with a host, or the short form of ssh. What follows is the name of the repository."""
_INPUTS = ("--", ".", ":(exclude,glob)**/*.md")
"""The files that a run may depend on."""


def run_git(folder: Path, *arguments: str) -> CommandResult:
    """Run git in ``folder``. A program that the checkout's settings name is not started."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    argv = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "safe.directory=*", "-C", str(folder)]
    return process.run(
        [*argv, *arguments], env={**variables, "LC_ALL": "C"}, time_limit=GIT_TIMEOUT, tail_limit=MAX_OUTPUT
    )


def is_checkout(folder: Path) -> bool:
    """Return whether ``folder`` is in a git checkout."""
    return (checkout_root(folder.resolve()) / ".git").exists()


def read_checkout(folder: Path, environ: Mapping[str, str]) -> Checkout:
    """Return what is checked out in ``folder``. Outside of a checkout only the name of the folder is known.

    Only files under version control count as modified, without Markdown: reports and other outputs, such as a roadmap
    that is kept in the repository, are no input of a run.
    """
    top = checkout_root(folder.resolve())
    if not is_checkout(folder):
        return Checkout(repository=folder.resolve().name)
    remote = run_git(folder, "config", "--get", "remote.origin.url").stdout.strip()
    repository = repository_name(remote) or top.name
    head = run_git(folder, "rev-parse", "--verify", "HEAD")
    if not head.ok:
        return Checkout(repository=repository)
    branch = run_git(folder, "symbolic-ref", "--short", "--quiet", "HEAD")
    status = run_git(folder, "status", "--porcelain", "--untracked-files=no", *_INPUTS)
    by_variable = next((environ[name] for name in _BRANCH_VARIABLES if environ.get(name)), "")
    return Checkout(
        repository=repository,
        commit=head.stdout.strip(),
        branch=branch.stdout.strip() if branch.ok else by_variable,
        modified=bool(status.stdout.strip()) or not status.ok,
    )


def repository_name(address: str) -> str:
    """Return the name in the address of a repository, such as ``owner/name``, without host and credentials."""
    remote = _LOCATION.fullmatch(address)
    path = remote["name"] if remote else address.rstrip("/").rpartition("/")[2]
    return path.strip("/").removesuffix(".git")


def has_same_files(folder: Path, commit: str) -> bool:
    """Return whether the files under version control are those of ``commit``, Markdown apart.

    They are not if git does not know the commit.
    """
    return run_git(folder, "diff", "--quiet", "--end-of-options", commit, *_INPUTS).ok
