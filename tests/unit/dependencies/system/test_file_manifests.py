"""Digests of the files in a folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_py312.dependencies.system.file_manifests import content_digest_of, state_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "module.py").write_text("ANSWER = 42\n")
    (tmp_path / "a" / "link").symlink_to("deep")
    (tmp_path / "entry.json").write_text("{}")
    return tmp_path


def digests(folder: Path) -> tuple[str, str]:
    return state_digest(folder, ignored="entry.json"), content_digest_of(folder, ignored="entry.json")


def replaced(folder: Path) -> None:
    """Another file of the same size and time at the same path."""
    path = folder / "a/deep/module.py"
    status = path.stat()
    other = folder / "other.py"
    other.write_text("ANSWER = 43\n")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a/deep/module.py").write_text("ANSWER = 43\n"),
        lambda folder: (folder / "a/deep/module.py").unlink(),
        lambda folder: (folder / "a/new.py").touch(),
        lambda folder: (folder / "a/deep/module.py").rename(folder / "a/module.py"),
        lambda folder: [(folder / "a/link").unlink(), (folder / "a/link").symlink_to("/")],
        replaced,
    ],
    ids=["written", "removed", "added", "moved", "link", "replaced"],
)
def test_every_change_changes_both(folder: Path, change: Callable[[Path], object]) -> None:
    state, content = digests(folder)
    change(folder)
    new_state, new_content = digests(folder)
    assert (new_state == state, new_content == content) == (False, False)


def test_what_is_written_beside_the_files_does_not_count(folder: Path) -> None:
    """Nor do further names of a file, which environments have."""
    first = digests(folder)
    (folder / "entry.json").write_text('{"changed": 1}')
    os.link(folder / "a/deep/module.py", folder.parent / f"{folder.name}-link")
    assert digests(folder) == first


def test_the_content_does_not_depend_on_times(folder: Path) -> None:
    state, content = digests(folder)
    os.utime(folder / "a/deep/module.py", (1, 1))
    assert digests(folder)[0] != state
    assert digests(folder)[1] == content
