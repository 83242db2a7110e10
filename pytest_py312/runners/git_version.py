"""Give the copy of a source tree the version that its build reads from git.

Builds run in copies without the user's ``.git``. Where one asks git for its version, the copy gets a repository of its
own, in which ``git describe`` answers as in the checkout (but for the hash), and the known build tools get the version
by the variables that they read. The user's repository is only read.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from pytest_py312.core.process import run

GIT_TIME_LIMIT = 60.0
MAX_COMMITS = 10_000
"""Commits after the tag that the repository of a copy gets."""
MAX_FILE_SIZE = 256 * 1024

_READS_GIT = re.compile(
    r"\bgit\b(?!hub)|scm\b|\bvcs\b|\bpbr\b|versioneer|versioningit|dunamai|-versioning\b|git-versioning", re.IGNORECASE
)
_DESCRIBED = re.compile(r"(?:(?P<tag>.+)-(?P<commits>[0-9]+)-g)?(?P<commit>[0-9a-f]{4,64})", re.ASCII)
_STAGE = "".join(
    rf"(?:[-_.]?(?:{names})[-_.]?[0-9]*(?![A-Za-z0-9]))?" for names in ("a|b|c|rc|alpha|beta|pre|preview", "post")
)
_DOTTED = re.compile(rf"[0-9]+(?:\.[0-9]+)+{_STAGE}", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(rf"[0-9]+{_STAGE}", re.ASCII | re.IGNORECASE)
_AUTHOR = "gate <gate@localhost> 1000000000 +0000"
_COPIED_REPOSITORY = {
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}
"""Has git read a repository that belongs to another user, as that of a copy in a container does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GitVersion:
    """What ``git describe --tags --long --always`` answers; ``tag`` is empty where no tag is reachable."""

    tag: str
    commits: int
    commit: str
    annotated: bool = False

    @property
    def text(self) -> str:
        """The answer as one line."""
        return f"{self.tag}-{self.commits}-g{self.commit}" if self.tag else self.commit

    @property
    def version(self) -> str:
        """A version of PEP 440: that of the tag, or a later one where commits follow it."""
        release = _DOTTED.search(self.tag) or _NUMBER.search(self.tag)  # py3-shop-1.2
        if release is None:
            return f"0.0.0+g{self.commit}"
        version = Version(release[0])
        pre = "".join(map(str, version.pre or ()))
        post = (version.post or 0) + self.commits
        return f"{version.base_version}{pre}" + (f".post{post}" if post or version.is_postrelease else "")

    def build_variables(self) -> Mapping[str, str]:
        """Return the variables by which build tools take a version instead of asking git, and those for git."""
        names = (
            "SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION", "PDM_BUILD_SCM_VERSION",
            "POETRY_DYNAMIC_VERSIONING_BYPASS", "UV_DYNAMIC_VERSIONING_BYPASS",
        )  # fmt: skip
        return dict.fromkeys(names, self.version) | _COPIED_REPOSITORY


def reads_git(folder: Path) -> bool:
    """Return whether the build of a source tree may ask git for its version: a file of its build names git."""
    files = (
        path for path in folder.glob("*.*") if path.suffix == ".py" or path.name in ("pyproject.toml", "setup.cfg")
    )
    return any(_READS_GIT.search(_beginning(path)) for path in files)


def _beginning(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(MAX_FILE_SIZE)
    except OSError:
        return ""


def describe(folder: Path) -> GitVersion | None:
    """Return the version of the checkout that ``folder`` is part of; ``None`` if git cannot say."""
    answer = _DESCRIBED.fullmatch(_git(folder, "describe", "--tags", "--long", "--always"))
    if answer is None:
        return None
    tag = answer["tag"] or ""
    return GitVersion(
        tag=tag,
        commits=int(answer["commits"] or 0),
        commit=answer["commit"],
        annotated=bool(tag) and _git(folder, "cat-file", "-t", f"refs/tags/{tag}") == "tag",
    )


def write_repository(folder: Path, version: GitVersion) -> bool:
    """Make ``folder`` a repository whose ``git describe`` answers as ``version``; return whether that worked.

    It has all files that are not ignored.
    """
    # git never looks for a repository above the folder
    repository = (f"--git-dir={folder / '.git'}", f"--work-tree={folder}")
    _git(folder, *repository, "init", "--quiet", "--template=")
    _git(folder, *repository, "add", "--all")
    tree = _git(folder, *repository, "write-tree")
    if not re.fullmatch("[0-9a-f]{40,64}", tree):
        return False
    commit = f"commit refs/heads/main\ncommitter {_AUTHOR}\ndata 0\n"
    stream = [commit, f'M 040000 {tree} ""\n']
    if version.tag and version.annotated:
        stream.append(f"tag {version.tag}\nfrom refs/heads/main\ntagger {_AUTHOR}\ndata 0\n")
    elif version.tag:
        stream.append(f"reset refs/tags/{version.tag}\nfrom refs/heads/main\n\n")
    stream += [commit] * min(version.commits, MAX_COMMITS)
    _git(folder, *repository, "fast-import", "--quiet", stdin="".join(stream))
    _git(folder, *repository, "symbolic-ref", "HEAD", "refs/heads/main")
    return describe(folder) is not None


def _git(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Return what git prints, without settings of the user and without a program that a checkout's settings name."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables |= {"LC_ALL": "C", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_NO_LAZY_FETCH": "1"}
    argv = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "safe.directory=*", "-C", str(folder)]
    result = run([*argv, *arguments], env=variables, stdin=stdin, time_limit=GIT_TIME_LIMIT)
    return result.stdout.strip() if result.ok else ""
