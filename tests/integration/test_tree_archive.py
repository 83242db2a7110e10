"""The tree that workers of a cluster get."""

import os
import subprocess
from pathlib import Path

import pytest

from pytest_py312.core.errors import StateError
from pytest_py312.gate.cluster import tree_archive
from pytest_py312.gate.cluster.tree_archive import pack_tree, share_archive, unpack_tree
from pytest_py312.runners.git_version import describe
from tests.integration.cloned_fleets import commit_fleet, git

FILES = {
    "platform/py312.toml": 'target = "3.12"\n',
    "platform/services/a/run.sh": "#!/bin/sh\n",
    "other/data.txt": "data\n",
    ".gitignore": "*.secret\nbuild/\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a tag, a script, links, and files that git does not know or ignores."""
    root = commit_fleet(tmp_path / "checkout", FILES)
    (root / "platform/services/a/run.sh").chmod(0o755)
    (root / "link.txt").symlink_to("other/data.txt")
    (root / "outside").symlink_to("/etc/hostname")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "second")
    git(root, "tag", "-a", "v1.4", "-m", "release")
    (root / "new.txt").write_text("new\n")
    (root / "platform/key.secret").write_text("secret\n")
    (root / "build").mkdir()
    (root / "build/result.bin").write_text("result\n")
    return root


def names(root: Path) -> set[str]:
    """Return the files of a tree, without the repository."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if ".git" not in path.relative_to(root).parts and (path.is_symlink() or path.is_file())
    }


def test_what_git_does_not_ignore_is_sent(checkout: Path, tmp_path: Path) -> None:
    archive = pack_tree(checkout / "platform")
    top = unpack_tree(archive.content, archive.digest, tmp_path / "worker")

    assert names(top) == {*FILES, "link.txt", "outside", "new.txt"}
    assert archive.files == len(FILES) + 3
    assert archive.folder == "platform"
    assert (top / "platform/services/a/run.sh").stat().st_mode & 0o111
    assert (top / "link.txt").readlink() == Path("other/data.txt")


def test_git_answers_as_in_the_checkout(checkout: Path, tmp_path: Path) -> None:
    """But for the hash: builds take their version from it."""
    archive = pack_tree(checkout)
    top = unpack_tree(archive.content, archive.digest, tmp_path / "worker")

    here, there = describe(checkout), describe(top)
    assert here is not None
    assert there is not None
    assert (there.tag, there.commits, there.annotated) == (here.tag, here.commits, here.annotated) == ("v1.4", 0, True)
    assert git(top, "ls-files") == git(checkout, "ls-files")


def test_equal_trees_have_one_digest(checkout: Path) -> None:
    first = pack_tree(checkout)
    (checkout / "build/result.bin").write_text("another result\n")
    assert pack_tree(checkout).digest == first.digest
    (checkout / "new.txt").write_text("newer\n")
    assert pack_tree(checkout).digest != first.digest


def test_a_changed_archive_is_refused(checkout: Path, tmp_path: Path) -> None:
    archive = pack_tree(checkout)
    with pytest.raises(StateError, match="has changed on its way"):
        unpack_tree(archive.content + b"x", archive.digest, tmp_path / "worker")


def test_a_tree_that_is_too_large_names_its_largest_files(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_archive, "SIZE_LIMIT", 1000)
    (checkout / "model.bin").write_bytes(b"x" * 2000)
    with pytest.raises(StateError, match=r"the largest are model\.bin \(2 KiB\)"):
        pack_tree(checkout)


def test_a_folder_that_is_no_checkout_is_sent_without_caches(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    (root / "service/__pycache__").mkdir(parents=True)
    (root / "service/a.py").write_text("")
    (root / "service/__pycache__/a.pyc").write_text("")
    archive = pack_tree(root)
    top = unpack_tree(archive.content, archive.digest, tmp_path / "worker")
    assert names(top) == {"service/a.py"}
    assert not (top / ".git").exists()


def test_a_checkout_inside_is_sent_too(checkout: Path, tmp_path: Path) -> None:
    """As a submodule is."""
    commit_fleet(checkout / "vendored", {"inner.txt": "inner\n"})
    archive = pack_tree(checkout)
    top = unpack_tree(archive.content, archive.digest, tmp_path / "worker")
    assert "vendored/inner.txt" in names(top)


def test_the_checkout_itself_is_not_changed(checkout: Path) -> None:
    status = subprocess.run(["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True)
    pack_tree(checkout)
    again = subprocess.run(["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True)
    assert again.stdout == status.stdout
    assert not os.path.lexists(checkout / "tree")


def test_the_conftest_beside_the_plan_is_sent_though_git_ignores_it(checkout: Path, tmp_path: Path) -> None:
    """Its hooks are loaded where the run was started, so they have to be loaded on the workers."""
    (checkout / ".gitignore").write_text("conftest.py\n")
    for folder in ("platform", "platform/services/a"):
        (checkout / folder / "conftest.py").write_text("")
    archive = pack_tree(checkout / "platform")
    top = unpack_tree(archive.content, archive.digest, tmp_path / "worker")
    assert {name for name in names(top) if name.endswith("conftest.py")} == {"platform/conftest.py"}


def test_an_archive_in_a_shared_folder_replaces_those_of_killed_runs(checkout: Path, tmp_path: Path) -> None:
    """Other files there, and archives of today, stay."""
    shared = tmp_path / "shared"
    shared.mkdir()
    for name in ("py312-tree-dead.tar.gz", "py312-tree-alive.tar.gz", "notes.txt"):
        (shared / name).touch()
    for name in ("py312-tree-dead.tar.gz", "notes.txt"):
        os.utime(shared / name, (1, 1))

    archive = pack_tree(checkout)
    path = share_archive(archive, shared, "run")

    assert path.read_bytes() == archive.content
    assert sorted(file.name for file in shared.iterdir()) == ["notes.txt", "py312-tree-alive.tar.gz", path.name]
    with pytest.raises(StateError, match=r"cannot be written to this `shared-folder`: No such file"):
        share_archive(archive, tmp_path / "nowhere", "run")
