"""Reading the repository safely: only regular files of limited size inside the root."""

import os
from pathlib import Path

import pytest

from pytest_py312.repository.tree import Tree, UnreadableFile, decode_text, leaves_root
from pytest_py312.repository.unchanging_tree import UnchangingTree


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
    """Neither by a path with .. nor by a link."""
    (root / "linked").symlink_to(root.parent / "secret.txt")
    (root / "linked-folder").symlink_to(root.parent)
    with pytest.raises(UnreadableFile, match="lies outside the repository"):
        Tree(root).read(path)
    assert not Tree(root).is_file(path)


def test_a_link_within_the_root_is_read(root: Path) -> None:
    """The file is in the repository, under two names."""
    (root / "again.txt").symlink_to(root / "a" / "file.txt")
    assert Tree(root).read("again.txt") == "text\n"
    assert Tree(root).list_folder(".").files == ("again.txt",)
    assert Tree(root).list_folder(".").linked_files == ("again.txt",)
    assert Tree(root).resolve_links("again.txt") == "a/file.txt"


def test_a_link_out_of_the_repository_is_reported(root: Path) -> None:
    (root / "a" / "nothing.py").symlink_to("missing.py")
    (root / "a" / "outside.py").symlink_to(root.parent / "secret.txt")
    (root / "a" / "folder").symlink_to(root / "a")

    scan = Tree(root).scan_folder(".", depth=5)

    assert scan.broken_links == ("a/nothing.py", "a/outside.py")
    assert scan.files == ("a/file.txt",)
    with pytest.raises(UnreadableFile, match="outside the repository"):
        Tree(root).resolve_links("a/outside.py")


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
def test_a_special_file_is_refused(root: Path, make: object, reason: str) -> None:
    """A named pipe does not block the reader."""
    assert callable(make)
    make(root / "x")
    with pytest.raises(UnreadableFile, match=reason):
        Tree(root).read("x", limit=1024)


def test_folders_without_source_are_not_listed(root: Path) -> None:
    """Environments by their content, caches by their names, linked folders because they are elsewhere."""
    for name in (".git", "node_modules", "__pycache__", ".py312", "my-environment", "src"):
        (root / name).mkdir()
    (root / "my-environment" / "pyvenv.cfg").touch()
    (root / "my-environment" / "requirements.txt").touch()
    (root / "loop").symlink_to(root)
    assert Tree(root).list_folder(".").folders == ("a", "my-environment", "src")
    assert Tree(root).list_folder("my-environment").files == ()
    assert Tree(root).scan_folder(".", depth=5).files == ("a/file.txt",)


def test_a_scan_reports_that_a_limit_was_reached(root: Path) -> None:
    """Of depth and of count."""
    (root / "a" / "b" / "c").mkdir(parents=True)
    (root / "a" / "b" / "c" / "deep.txt").touch()
    tree = Tree(root)
    assert tree.scan_folder(".", depth=3).complete
    assert "a/b/c/deep.txt" in tree.scan_folder(".", depth=3).files
    assert not tree.scan_folder(".", depth=2).complete
    assert not tree.scan_folder(".", depth=3, limit=2).complete


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
    """By its byte order mark, as UTF-8, or as Latin-1, which never fails."""
    assert decode_text(data) == text


@pytest.mark.parametrize(
    ("path", "out"), [("a/b", False), ("a/../b", False), ("..", True), ("a/../../b", True), ("/a", True)]
)
def test_leaves_root(path: str, out: bool) -> None:
    assert leaves_root(path) is out


@pytest.mark.parametrize(
    "path", [".", "a", "./a//file.txt", "a/../a/file.txt", "missing/x", "linked/file.txt", "deep/to-a/file.txt"]
)
def test_a_path_without_links_is_the_real_one(tmp_path: Path, path: str) -> None:
    """The quick way gives what the slow one does."""
    (tmp_path / "a").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / "a" / "file.txt").write_text("text")
    (tmp_path / "linked").symlink_to("a")
    (tmp_path / "deep" / "to-a").symlink_to(tmp_path / "a")
    tree = Tree(tmp_path)

    assert tree._real_path(path) == os.path.realpath(tmp_path / path)


@pytest.fixture
def linked_root(root: Path) -> Path:
    """A repository with links of all kinds."""
    (root / "a" / "b").mkdir()
    (root / "a" / "b" / "inner.txt").write_text("inner")
    (root / "to-file").symlink_to(root / "a" / "file.txt")
    (root / "to-folder").symlink_to("a")
    (root / "a" / "out").symlink_to(root.parent)
    (root / "a" / "broken").symlink_to("nothing")
    (root / "a" / "around").symlink_to("..")
    return root


PATHS = [
    ".", "a", "a/", "./a/b", "a//b", "a/file.txt", "a/file.txt/x", "a/b/inner.txt", "a/../a/b", "a/b/..", "to-file",
    "to-folder", "to-folder/b", "to-folder/b/inner.txt", "a/out", "a/out/secret.txt", "a/broken", "a/around/a/b",
    "missing", "missing/x", "..", "../secret.txt", "/", "", "a/\0", "a/\0/b",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_an_unchanging_tree_says_the_same(linked_root: Path, path: str) -> None:
    """Also the second time."""
    tree, unchanging = Tree(linked_root), UnchangingTree(linked_root)
    for _ in range(2):
        for ask in ("is_file", "is_folder", "list_folder", "read_or_none"):
            assert getattr(unchanging, ask)(path) == getattr(tree, ask)(path), ask
        assert unchanging.scan_folder(path, depth=3) == tree.scan_folder(path, depth=3)


def test_an_unchanging_tree_lists_a_folder_once(linked_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []
    scan = os.scandir

    def note(path: str) -> object:
        listed.append(path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", note)
    tree = UnchangingTree(linked_root)

    for _ in range(3):
        tree.list_folder("a/b")
        tree.scan_folder(".", depth=4)

    assert sorted(listed) == [str(linked_root), str(linked_root / "a"), str(linked_root / "a" / "b")]


@pytest.mark.parametrize(("length", "reads"), [(10, 1), (100_000, 3)])
def test_an_unchanging_tree_keeps_short_texts(
    root: Path, monkeypatch: pytest.MonkeyPatch, length: int, reads: int
) -> None:
    (root / "text").write_text("x" * length)
    opened = []
    start = os.open

    def note(path: str, flags: int) -> int:
        opened.append(path)
        return start(path, flags)

    monkeypatch.setattr(os, "open", note)
    tree = UnchangingTree(root)

    assert {tree.read("text") for _ in range(3)} == {"x" * length}
    assert len(opened) == reads
    with pytest.raises(UnreadableFile, match="is larger than"):
        tree.read("text", limit=1)
