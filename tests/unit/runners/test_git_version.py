"""The copy of a source tree has the version that git describes in the checkout."""

import os
import subprocess
from pathlib import Path

import pytest

from pytest_py312.runners.git_version import GitVersion, describe, reads_git, write_repository

VARIABLES = {
    "PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@localhost", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@localhost",
}  # fmt: skip


def git(folder: Path, *arguments: str) -> str:
    argv = ["git", "-C", str(folder), *arguments]
    return subprocess.run(argv, env=VARIABLES, check=True, capture_output=True, text=True).stdout.strip()


def checkout(folder: Path, *, commits: int = 0, tag: tuple[str, ...] = ()) -> Path:
    folder.mkdir()
    (folder / "setup.py").write_text("pass\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    if tag:
        git(folder, "tag", *tag)
    for number in range(commits):
        git(folder, "commit", "--quiet", "--allow-empty", f"--message={number}")
    return folder


def copy_with(tmp_path: Path, version: GitVersion) -> Path:
    copy = tmp_path / "copy"
    (copy / "package").mkdir(parents=True)
    (copy / "package" / "data.txt").write_text("data")
    (copy / "built.txt").write_text("ignored")
    (copy / ".gitignore").write_text("built.txt\n")
    assert write_repository(copy, version)
    return copy


@pytest.mark.parametrize("tag", [("1.4.0",), ("-a", "v1.4.0", "-m", "x")])
def test_the_copy_is_described_as_the_checkout(tmp_path: Path, tag: tuple[str, ...]) -> None:
    version = describe(checkout(tmp_path / "checkout", commits=3, tag=tag))
    assert version is not None
    copy = copy_with(tmp_path, version)

    described = git(copy, "describe", "--tags", "--long", "--dirty")

    assert described.rpartition("-g")[0] == version.text.rpartition("-g")[0]
    assert not described.endswith("dirty")
    assert version.annotated is (len(tag) > 1)
    assert git(copy, "ls-files").split() == [".gitignore", "package/data.txt"]


def test_a_checkout_without_tags_has_a_version_as_well(tmp_path: Path) -> None:
    version = describe(checkout(tmp_path / "checkout"))
    assert version is not None
    assert version.version == f"0.0.0+g{version.commit}"
    assert git(copy_with(tmp_path, version), "describe", "--always")


def test_the_repository_of_the_user_is_not_written(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout", tag=("1.0",))
    copy = folder / "cache" / "copy"
    copy.mkdir(parents=True)
    times = {path: path.stat().st_mtime_ns for path in (folder / ".git").rglob("*")}

    assert write_repository(copy, GitVersion(tag="1.0", commits=0, commit="abcdef1"))

    assert {path: path.stat().st_mtime_ns for path in (folder / ".git").rglob("*")} == times


def test_a_folder_outside_of_a_checkout_has_no_version(tmp_path: Path) -> None:
    assert describe(tmp_path) is None


@pytest.mark.parametrize(
    ("tag", "commits", "expected"),
    [
        ("v1.2.3", 0, "1.2.3"),
        ("svc/release-2.0", 5, "2.0.post5"),
        ("live", 1, "0.0.0+gabc1"),
        ("v1.2rc1", 0, "1.2rc1"),
        ("py3-shop-2.0.0-beta.2", 3, "2.0.0b2.post3"),
        ("1.0-alpine", 0, "1.0"),
        ("v1.2.post1", 2, "1.2.post3"),
        ("v7a1", 0, "7a1"),
        ("v1.0-rc1-beta2", 0, "1.0rc1"),
        ("2.0-beta-preview", 2, "2.0b0.post2"),
        ("1.0-post1-rc1", 0, "1.0.post1"),
    ],
)
def test_build_tools_get_a_version_of_the_tag(tag: str, commits: int, expected: str) -> None:
    version = GitVersion(tag=tag, commits=commits, commit="abc1")
    assert version.build_variables()["SETUPTOOLS_SCM_PRETEND_VERSION"] == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[build-system]\nrequires = ["hatchling", "hatch-vcs"]'),
        ("pyproject.toml", '[build-system]\nrequires = ["setuptools_scm[toml]>=6"]'),
        ("setup.py", 'setup(setup_requires=["pbr"], pbr=True)'),
        ("version.py", 'check_output(["git", "describe", "--tags"])'),
        ("pyproject.toml", "[tool.poetry-dynamic-versioning]\nenable = true"),
    ],
)
def test_builds_that_take_their_version_from_git(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert reads_git(tmp_path)


def test_a_build_with_a_version_of_its_own_asks_nothing(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text('setup(name="a", version="1.0", url="https://github.com/a/a")')
    (tmp_path / "README.rst").write_text("git clone this")
    assert not reads_git(tmp_path)


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v1.4.0", "1.4.0"),
        ("py3-shop-1.2", "1.2"),
        ("shop2/v0.10.1", "0.10.1"),
        ("release-7", "7"),
        ("x", "0.0.0+gabcd"),
    ],
)
def test_the_version_of_a_tag_is_its_dotted_number(tag: str, version: str) -> None:
    assert GitVersion(tag=tag, commits=0, commit="abcd").version == version
