"""The one way to the files of the repository: nothing outside it, nothing endless, nothing but regular files."""

import os
from pathlib import Path

import pytest

from pytest_py312.repository.tree import Tree, Unreadable, decode, escapes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a secret beside it."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "repository" / "a").mkdir(parents=True)
    (tmp_path / "repository" / "a" / "file.txt").write_text("text\n")
    return tmp_path / "repository"


@pytest.mark.parametrize(
    "path", ["../secret.txt", "a/../../secret.txt", "/etc/passwd", "linked", "linked-folder/secret.txt"]
)
def test_nothing_outside_the_root_is_read(root: Path, path: str) -> None:
    """Neither by a path that climbs nor by a link."""
    (root / "linked").symlink_to(root.parent / "secret.txt")
    (root / "linked-folder").symlink_to(root.parent)
    with pytest.raises(Unreadable, match="lies outside the repository"):
        Tree(root).read(path)
    assert not Tree(root).is_file(path)


def test_a_link_within_the_root_is_read(root: Path) -> None:
    """It lies in the repository, under two names."""
    (root / "again.txt").symlink_to(root / "a" / "file.txt")
    assert Tree(root).read("again.txt") == "text\n"
    assert Tree(root).listing(".").files == ("again.txt",)
    assert Tree(root).listing(".").linked == ("again.txt",)
    assert Tree(root).resolved("again.txt") == "a/file.txt"


def test_a_link_that_leads_to_no_file_of_the_repository_is_told(root: Path) -> None:
    (root / "a" / "nothing.py").symlink_to("missing.py")
    (root / "a" / "outside.py").symlink_to(root.parent / "secret.txt")
    (root / "a" / "folder").symlink_to(root / "a")

    scan = Tree(root).scan(".", depth=5)

    assert scan.astray == ("a/nothing.py", "a/outside.py")
    assert scan.files == ("a/file.txt",)
    with pytest.raises(Unreadable, match="outside the repository"):
        Tree(root).resolved("a/outside.py")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: os.mkfifo(path), "is not a regular file"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.symlink_to(path), "cannot be read|does not exist"),
        (lambda path: path.write_bytes(b"x" * 2000), "is larger than 1 KiB"),
    ],
    ids=["missing", "pipe", "folder", "link to itself", "large"],
)
def test_what_is_no_usual_file_is_refused(root: Path, make: object, reason: str) -> None:
    """A named pipe does not hang the reader."""
    assert callable(make)
    make(root / "x")
    with pytest.raises(Unreadable, match=reason):
        Tree(root).read("x", limit=1024)


def test_folders_without_source_are_not_listed(root: Path) -> None:
    """Environments by what they contain, caches by their names, linked folders because they lie elsewhere."""
    for name in (".git", "node_modules", "__pycache__", ".py312", "my-environment", "src"):
        (root / name).mkdir()
    (root / "my-environment" / "pyvenv.cfg").touch()
    (root / "my-environment" / "requirements.txt").touch()
    (root / "loop").symlink_to(root)
    assert Tree(root).listing(".").folders == ("a", "my-environment", "src")
    assert Tree(root).listing("my-environment").files == ()
    assert Tree(root).scan(".", depth=5).files == ("a/file.txt",)


def test_a_scan_says_when_a_limit_ended_it(root: Path) -> None:
    """By depth and by count."""
    (root / "a" / "b" / "c").mkdir(parents=True)
    (root / "a" / "b" / "c" / "deep.txt").touch()
    tree = Tree(root)
    assert tree.scan(".", depth=3).complete
    assert "a/b/c/deep.txt" in tree.scan(".", depth=3).files
    assert not tree.scan(".", depth=2).complete
    assert not tree.scan(".", depth=3, limit=2).complete


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("# Käse".encode(), "# Käse"),
        (b"\xef\xbb\xbfnumpy", "numpy"),
        ("numpy".encode("utf-16"), "numpy"),
        (b"# K\xe4se", "# Käse"),
    ],
)
def test_text_is_decoded_as_editors_do(data: bytes, text: str) -> None:
    """By its mark, as UTF-8, or else as Latin-1, which never fails."""
    assert decode(data) == text


@pytest.mark.parametrize(
    ("path", "out"), [("a/b", False), ("a/../b", False), ("..", True), ("a/../../b", True), ("/a", True)]
)
def test_escapes(path: str, out: bool) -> None:
    """Whether a path climbs out of the root."""
    assert escapes(path) is out
