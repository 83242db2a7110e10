"""What of the repository lies beside the copy in which a project is built."""

from pathlib import Path

import pytest

from pytest_py312.dependencies.requests.source_folders import SourceFolders
from pytest_py312.runners.git_version import GitVersion
from tests.support.fakes import service_tree

SETUP = "here = Path(__file__).parent\nreadme = (here.parent / 'README.md').read_text()\n"


def test_what_its_setup_py_reads_around_it(tmp_path: Path) -> None:
    """A change of it is one of the project."""
    root = service_tree(tmp_path / "root", {"lib/setup.py": SETUP, "README.md": "one", "other.md": ""})
    folders = SourceFolders(root=root, cache=tmp_path / "cache")
    assert folders.outer_paths("lib") == ("README.md",)
    copied, key = folders.source_copy("lib")
    assert copied.name == "lib"

    (root / "README.md").write_text("two", encoding="utf-8")
    assert SourceFolders(root=root, cache=tmp_path / "cache").source_copy("lib")[1] != key


def test_a_project_elsewhere_has_a_copy_of_its_own(tmp_path: Path) -> None:
    """The copy has the folder's path, so that what lies beside it is found."""
    files = {"a/setup.py": SETUP, "b/setup.py": SETUP, "README.md": ""}
    folders = SourceFolders(root=service_tree(tmp_path / "root", files), cache=tmp_path / "cache")
    assert folders.source_copy("a")[1] != folders.source_copy("b")[1]


def test_what_is_not_there_or_leaves_the_repository_is_not_copied(tmp_path: Path) -> None:
    root = service_tree(tmp_path / "root", {"lib/setup.py": SETUP, "a/setup.py": "open('../../secret.txt')\n"})
    (tmp_path / "secret.txt").write_text("", encoding="utf-8")
    folders = SourceFolders(root=root, cache=tmp_path / "cache")
    assert (folders.outer_paths("lib"), folders.outer_paths("a")) == ((), ())


@pytest.mark.parametrize(
    ("settings", "asks_git", "in_place"),
    [
        ('[tool.setuptools_scm]\nroot = ".."\n', True, True),
        ('[tool.setuptools_scm]\nroot = ".."\n', False, False),
        ("[tool.setuptools_scm]\n", True, False),
    ],
)
def test_a_project_whose_git_is_above_it_keeps_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, asks_git: bool, in_place: bool
) -> None:
    """setuptools-scm packs the files that git tracks: a repository in the copy of the project alone has none above."""
    service_tree(tmp_path / "repository", {"svc/pyproject.toml": settings})
    folders = SourceFolders(root=tmp_path / "repository", cache=tmp_path / "cache")
    version = GitVersion(tag="1.0", commits=0, commit="0123abcd") if asks_git else None
    monkeypatch.setattr(folders, "git_version", lambda _: version)

    copy, _ = folders.source_copy("svc")

    assert folders.keeps_place("svc") is in_place
    assert (copy.name == "svc") is in_place
