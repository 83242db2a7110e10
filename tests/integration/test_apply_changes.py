"""Applying changes to real files and git checkouts: what is written, what is refused, and what is left after faults."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.repository.edits.apply import WriteRefused, apply_changes, has_uncommitted_changes
from pytest_py312.repository.edits.change_set import ChangeSet, FileChange, SpecifierEdit, plan_changes, unified_diff

NAMES = ("a.txt", "b.txt", "services/c d.txt")
OLD, NEW = b"numpy==1.24.3  # keep\r\nflask==2", b"numpy==1.26.0  # keep\r\nflask==2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "services").mkdir()
    for name in NAMES:
        (tmp_path / name).write_bytes(OLD)
    return tmp_path


@pytest.fixture
def checkout(root: Path) -> Path:
    git(root, "init", "-q")
    commit_all(root)
    return root


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments],
        input=stdin,
        check=True,
        capture_output=True,
        env=variables,
    ).stdout


def commit_all(root: Path) -> None:
    git(root, "add", ".")
    git(root, "commit", "-qm", "x")


def planned(root: Path) -> ChangeSet:
    return plan_changes(
        root, [SpecifierEdit(path=name, line=1, name="numpy", old="==1.24.3", new="==1.26.0") for name in NAMES]
    )


def contents(root: Path) -> list[bytes]:
    return [(root / name).read_bytes() for name in NAMES]


def all_files(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".git" not in path.parts
    )


def apply_all(root: Path, changes: tuple[FileChange, ...], *, allow_dirty: bool = False) -> None:
    apply_changes(root, changes, allow_dirty=allow_dirty)


def test_a_clean_checkout_is_written_and_git_sees_the_same_diff(checkout: Path) -> None:
    """Mode and owner stay, no other file is left, and a second run has nothing to do."""
    (checkout / "a.txt").chmod(0o751)
    commit_all(checkout)
    changes = planned(checkout).changes
    apply_all(checkout, changes)
    assert contents(checkout) == [NEW] * 3
    assert stat.S_IMODE((checkout / "a.txt").stat().st_mode) == 0o751
    assert all_files(checkout) == sorted(NAMES)
    assert git(checkout, "diff", "--numstat").split(b"\n")[0] == b"1\t1\ta.txt"
    assert planned(checkout).changes == ()


def test_git_applies_the_diff(checkout: Path) -> None:
    """With the same result as writing: line ends, a space in a path, no final newline."""
    shown = unified_diff(planned(checkout).changes)
    git(checkout, "apply", "--whitespace=nowarn", stdin=shown.encode())
    assert contents(checkout) == [NEW] * 3


@pytest.mark.parametrize("state", ["changed", "staged", "untracked"])
def test_a_file_with_uncommitted_changes_is_refused_unless_allowed(checkout: Path, state: str) -> None:
    """And then no file is written at all."""
    dirty = checkout / "services" / "c d.txt"
    if state == "untracked":
        git(checkout, "rm", "-q", "--cached", "services/c d.txt")
        git(checkout, "commit", "-qm", "x")
    else:
        dirty.write_bytes(OLD + b"\nmore")
    if state == "staged":
        git(checkout, "add", ".")
    changes = planned(checkout).changes
    with pytest.raises(WriteRefused, match=r"services/c d\.txt.*--py312-allow-dirty"):
        apply_all(checkout, changes)
    assert contents(checkout)[:2] == [OLD, OLD]
    apply_all(checkout, changes, allow_dirty=True)
    assert dirty.read_bytes().startswith(b"numpy==1.26.0")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_of_a_file_stays(root: Path) -> None:
    """Even if root runs the gate."""
    os.chown(root / "a.txt", 12345, 54321)
    apply_all(root, planned(root).changes)
    state = (root / "a.txt").stat()
    assert (state.st_uid, state.st_gid) == (12345, 54321)
    assert contents(root) == [NEW] * 3


def test_files_outside_a_checkout_are_written(root: Path) -> None:
    """There are no uncommitted changes to lose."""
    apply_all(root, planned(root).changes)
    assert contents(root) == [NEW] * 3


def test_a_damaged_checkout_is_refused(checkout: Path) -> None:
    """It might hide uncommitted changes."""
    (checkout / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(WriteRefused, match=r"a\.txt: git cannot say"):
        apply_all(checkout, planned(checkout).changes)
    assert contents(checkout) == [OLD] * 3


def test_variables_and_settings_of_git_are_ignored(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another index (as in a hook), a file name that is a pattern, and a file system monitor in the settings."""
    marker = tmp_path / "watched"
    git(checkout, "config", "core.fsmonitor", f"touch {marker}")
    git(checkout, "config", "status.showUntrackedFiles", "no")
    (checkout / "[a].txt").write_bytes(OLD)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert not has_uncommitted_changes(checkout, "a.txt")
    assert has_uncommitted_changes(checkout, "[a].txt")
    assert not marker.exists()


def test_a_file_that_was_changed_since_the_plan_is_refused(root: Path) -> None:
    """Its current content was not checked."""
    changes = planned(root).changes
    (root / "b.txt").write_bytes(b"flask==2\n")
    with pytest.raises(WriteRefused, match=r"b\.txt: The file was changed meanwhile\. All files are unchanged"):
        apply_all(root, changes)
    assert contents(root) == [OLD, b"flask==2\n", OLD]
    assert all_files(root) == sorted(NAMES)


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_in_place_of_a_file_is_refused(root: Path, tmp_path: Path, link: str) -> None:
    """Its target is not changed, inside or outside of the repository."""
    changes = planned(root).changes
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c d.txt").write_bytes(OLD)
    if link == "file":
        (root / "services" / "c d.txt").unlink()
        (root / "services" / "c d.txt").symlink_to(outside / "c d.txt")
    else:
        (root / "services").rename(root / "moved")
        (root / "services").symlink_to(outside)
    with pytest.raises(WriteRefused, match=r"services/c d\.txt: .* link"):
        apply_all(root, changes)
    assert (outside / "c d.txt").read_bytes() == OLD
    assert contents(root) == [OLD] * 3


@pytest.mark.parametrize("path", ["../x.txt", "/x.txt", "services/../../x.txt", "."])
def test_a_path_outside_the_root_is_refused(root: Path, path: str) -> None:
    """Whatever produced the change."""
    with pytest.raises(WriteRefused, match="out of the repository"):
        apply_all(root / "services", (FileChange(path=path, before=OLD, after=NEW),))


@pytest.fixture
def read_only(root: Path) -> Iterator[Path]:
    folder = root / "services"
    folder.chmod(0o555)
    yield root
    folder.chmod(0o755)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_leaves_all_files_as_they_were(read_only: Path) -> None:
    """Files that were written before it too."""
    with pytest.raises(WriteRefused, match=r"services/c d\.txt: Permission denied"):
        apply_all(read_only, planned(read_only).changes)
    assert contents(read_only) == [OLD] * 3
    assert all_files(read_only) == sorted(NAMES)


@pytest.mark.parametrize("function", ["open", "fsync", "fchmod", "replace"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_write_that_fails_leaves_all_files_as_they_were(
    root: Path, monkeypatch: pytest.MonkeyPatch, function: str, call: int
) -> None:
    """At each step and for each file: a full disk, a lost permission."""
    changes = planned(root).changes
    real, made = getattr(os, function), 0

    def failing(*arguments: object, **named: object) -> object:
        nonlocal made
        writes = function != "open" or ".part" in str(arguments[0])
        made += writes
        if writes and made == call:
            raise OSError(28, "No space left on device")
        return real(*arguments, **named)

    monkeypatch.setattr(os, function, failing)
    with pytest.raises(WriteRefused, match=r"No space left on device\. All files are unchanged"):
        apply_all(root, changes)
    monkeypatch.undo()
    assert made >= call
    assert contents(root) == [OLD] * 3
    assert all_files(root) == sorted(NAMES)


def test_an_interrupt_between_two_files_restores_the_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is raised again."""
    real, made = os.replace, 0

    def interrupted(*arguments: Any, **named: Any) -> None:
        nonlocal made
        made += 1
        if made == 2:
            raise KeyboardInterrupt
        real(*arguments, **named)

    changes = planned(root).changes
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apply_all(root, changes)
    assert contents(root) == [OLD] * 3
    assert all_files(root) == sorted(NAMES)


def test_a_file_that_cannot_be_restored_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the files with the new text."""
    real, made = os.replace, 0

    def failing(*arguments: Any, **named: Any) -> None:
        nonlocal made
        made += 1
        if made > 1:
            raise OSError(5, "Input/output error")
        real(*arguments, **named)

    changes = planned(root).changes
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(WriteRefused, match=r"b\.txt: Input/output error\. .*could not be restored.*: a\.txt\."):
        apply_all(root, changes)
    assert contents(root) == [NEW, OLD, OLD]


KILLED = """
import os, signal, sys
from pathlib import Path
from pytest_py312.repository.edits.change_set import SpecifierEdit, plan_changes
from pytest_py312.repository.edits.apply import apply_changes

real, made = os.replace, 0

def killed(*arguments, **named):
    global made
    made += 1
    if made == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **named)

os.replace = killed
root = Path(sys.argv[1])
edits = [SpecifierEdit(path=name, line=1, name="numpy", old="==1.24.3", new="==1.26.0") for name in sys.argv[2:]]
apply_changes(root, plan_changes(root, edits).changes, allow_dirty=True)
"""


def test_a_kill_between_two_files_leaves_each_of_them_whole(root: Path) -> None:
    """Old or new, never a part; the next run finishes the work and removes temporary files."""
    ended = subprocess.run([sys.executable, "-c", KILLED, str(root), *NAMES], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert contents(root) == [NEW, OLD, OLD]
    apply_all(root, planned(root).changes)
    assert contents(root) == [NEW] * 3
    assert all_files(root) == sorted(NAMES)
