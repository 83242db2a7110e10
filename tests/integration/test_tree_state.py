"""Which commit is checked out, and what differs from it."""

import subprocess
from pathlib import Path

import pytest

from pytest_py312.core.errors import StateError
from pytest_py312.gate.sharding.tree_state import read_tree_state
from tests.support.fakes import service_tree
from tests.support.shard_samples import part_of

FILES = {
    "platform/py312.toml": "",
    "platform/services/a/app.py": "A = 1\n",
    "platform/services/a/old.py": "",
    "docs/page.md": "",
    ".gitignore": "*.log\n",
}


def git(root: Path, *arguments: str) -> str:
    fixed = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-C", str(root)]
    return subprocess.run([*fixed, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = service_tree(tmp_path / "checkout", FILES)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def test_two_clean_checkouts_of_a_commit_are_equal(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(checkout), str(tmp_path / "clone"))

    state = read_tree_state(checkout / "platform", ())

    assert (state.commit, state.changes) == (git(checkout, "rev-parse", "HEAD"), ())
    assert read_tree_state(tmp_path / "clone" / "platform", ()) == state


def test_each_difference_is_listed_with_its_content(checkout: Path) -> None:
    """Below the plan's folder, but for ignored files and those that the run writes."""
    root = checkout / "platform"
    (root / "services/a/app.py").write_text("A = 2\n")
    (root / "services/a/old.py").unlink()
    (root / "services/a/new file.py").write_text("")
    (root / "services/a/link.py").symlink_to("app.py")
    (root / "services/a/run.log").write_text("")
    (root / "shard.json").write_text("")
    (checkout / "docs/page.md").write_text("changed")

    changes = dict(read_tree_state(root, (root / "shard.json",)).changes)

    assert set(changes) == {f"services/a/{name}" for name in ("app.py", "old.py", "new file.py", "link.py")}
    assert changes["services/a/old.py"] == ""
    assert changes["services/a/link.py"] == "link app.py"
    assert changes["services/a/app.py"] != changes["services/a/new file.py"]


def test_a_staged_file_counts_with_the_content_on_disk(checkout: Path) -> None:
    root = checkout / "platform"
    (root / "services/a/app.py").write_text("A = 2\n")
    unstaged = read_tree_state(root, ())
    git(checkout, "add", "-A")

    assert read_tree_state(root, ()) == unstaged


def test_a_folder_without_git_is_compared_as_a_whole(tmp_path: Path) -> None:
    first, second = (service_tree(tmp_path / name, FILES) for name in ("first", "second"))
    state = read_tree_state(first, ())

    assert (state.commit, [path for path, _ in state.changes]) == ("", ["."])
    assert read_tree_state(second, ()) == state
    (second / "docs/page.md").write_text("changed")
    assert read_tree_state(second, ()) != state


@pytest.mark.parametrize("is_checkout", [True, False])
def test_the_documents_of_other_parts_are_no_input(tmp_path: Path, is_checkout: bool) -> None:
    """All parts can be checked one after another in one folder."""
    root = service_tree(tmp_path / "root", FILES | {"kept.json": '{"schema": 1}'})
    if is_checkout:
        git(root, "init", "-q")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "first")
    state = read_tree_state(root, (root / "own.json",))
    (root / "own.json").write_text("{}")
    (root / "shard-1.json").write_bytes(part_of(1))

    assert read_tree_state(root, (root / "own.json",)) == state
    (root / "other.json").write_text('{"schema": 1}')
    assert read_tree_state(root, (root / "own.json",)) != state


def test_a_report_in_git_is_an_input(checkout: Path) -> None:
    """A suite may read it."""
    (checkout / "report.json").write_bytes(part_of(1))
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "second")
    (checkout / "report.json").write_bytes(part_of(2))

    assert [path for path, _ in read_tree_state(checkout, ()).changes] == ["report.json"]


def test_a_checkout_that_git_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    with pytest.raises(StateError, match="git cannot say which commit"):
        read_tree_state(tmp_path, ())
