"""The commit and the branch of a git checkout."""

from pathlib import Path

import pytest

from pytest_py312.core.model.report import Checkout
from pytest_py312.repository.checkout import has_same_files, read_checkout, repository_name, run_git


def commit_in(folder: Path) -> str:
    folder.mkdir()
    (folder / "app.py").write_text("one\n")
    run_git(folder, "init", "-q", "-b", "python-3.12")
    run_git(folder, "add", ".")
    run_git(folder, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "one")
    return run_git(folder, "rev-parse", "HEAD").stdout.strip()


def test_the_commit_and_the_branch_are_read(tmp_path: Path) -> None:
    commit = commit_in(tmp_path / "fleet")
    assert read_checkout(tmp_path / "fleet", {}) == Checkout(repository="fleet", commit=commit, branch="python-3.12")


def test_changed_files_count_and_reports_beside_them_do_not(tmp_path: Path) -> None:
    commit_in(tmp_path / "fleet")
    (tmp_path / "fleet" / "report.json").write_text("{}")
    assert not read_checkout(tmp_path / "fleet", {}).modified
    (tmp_path / "fleet" / "app.py").write_text("two\n")
    assert read_checkout(tmp_path / "fleet", {}).modified


def test_a_ci_job_without_a_branch_says_it_in_a_variable(tmp_path: Path) -> None:
    commit_in(tmp_path / "fleet")
    run_git(tmp_path / "fleet", "checkout", "-q", "--detach")
    assert read_checkout(tmp_path / "fleet", {"GITHUB_REF_NAME": "python-3.12"}).branch == "python-3.12"
    assert read_checkout(tmp_path / "fleet", {}).branch == ""


def test_a_folder_without_git_and_one_without_a_commit_have_none(tmp_path: Path) -> None:
    assert read_checkout(tmp_path, {}) == Checkout(repository=tmp_path.name)
    run_git(tmp_path, "init", "-q")
    assert read_checkout(tmp_path, {}) == Checkout(repository=tmp_path.name)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("git@github.com:suoke/platform.git", "suoke/platform"),
        ("https://user:secret@gitlab.example.org/a/b/c.git", "a/b/c"),
        ("ssh://git@example.org:2222/suoke/platform", "suoke/platform"),
        ("/srv/git/platform.git", "platform"),
        ("../platform", "platform"),
        ("", ""),
    ],
)
def test_the_name_of_a_repository_is_read_from_its_address(address: str, name: str) -> None:
    assert repository_name(address) == name


def test_a_commit_has_the_same_files_if_only_markdown_differs(tmp_path: Path) -> None:
    """A roadmap that is kept in the repository does not make a proof out of date."""
    root = tmp_path / "fleet"
    commit = commit_in(root)
    (root / "ROADMAP.md").write_text("one\n")
    run_git(root, "add", ".")
    run_git(root, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "two")
    (root / "ROADMAP.md").write_text("two\n")
    assert has_same_files(root, commit)
    assert not read_checkout(root, {}).modified
    (root / "app.py").write_text("two\n")
    assert not has_same_files(root, commit)
    assert not has_same_files(root, "0" * 40)
