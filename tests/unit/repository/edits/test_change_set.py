"""Many edits of many files: planned together, each refused or made, and shown as a diff."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.edits.change_set import (
    FileChange,
    RequirementComment,
    SpecifierEdit,
    plan_changes,
    stale_locks,
    unified_diff,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "requirements.txt").write_bytes(b"numpy==1.24.3  # keep\r\nflask==2\r\naioredis==2.0.1")
    (tmp_path / "pyproject.toml").write_bytes(b'[project]\ndependencies = ["numpy<2"]\n')
    return tmp_path


def numpy(
    path: str = "a/requirements.txt", *, old: str = "==1.24.3", new: str = "==1.26.0", line: int = 1
) -> SpecifierEdit:
    return SpecifierEdit(path=path, line=line, name="numpy", old=old, new=new)


def test_edits_of_one_file_are_made_together(root: Path) -> None:
    """Files are named once, sorted, with the bytes that they hold now; nothing is written."""
    flask = SpecifierEdit(path="a/requirements.txt", line=2, name="Flask", old="==2", new="==3")
    note = RequirementComment(path="a/requirements.txt", line=3, comment="no wheel for 3.12")
    plan = plan_changes(root, [numpy("pyproject.toml", line=2, old="<2", new="<3"), note, flask, numpy(), numpy()])
    assert plan.refusals == ()
    assert [change.path for change in plan.changes] == ["a/requirements.txt", "pyproject.toml"]
    assert plan.changes[0].after == (
        b"numpy==1.26.0  # keep\r\nflask==3\r\naioredis==2.0.1  # py312: no wheel for 3.12"
    )
    assert plan.changes[1].after == b'[project]\ndependencies = ["numpy<3"]\n'
    assert all((root / change.path).read_bytes() == change.before for change in plan.changes)


def test_a_refused_edit_does_not_hide_the_others(root: Path) -> None:
    """It is named with its place and reason."""
    wrong = SpecifierEdit(path="a/requirements.txt", line=2, name="flask", old="==1", new="==3")
    plan = plan_changes(root, [wrong, numpy()])
    assert [str(refusal) for refusal in plan.refusals] == [
        'a/requirements.txt:2: flask has the specifier "==2", not "==1".'
    ]
    assert b"numpy==1.26.0" in plan.changes[0].after
    assert b"flask==2" in plan.changes[0].after


def test_edits_that_were_made_already_change_nothing(root: Path) -> None:
    """Twice is once."""
    assert plan_changes(root, [numpy(old="==1.0", new="==1.24.3")]).changes == ()


def test_two_edits_of_one_requirement_are_both_refused(root: Path) -> None:
    """A file that services share has to suit all of them."""
    plan = plan_changes(root, [numpy(), numpy(new="==2.0")])
    assert plan.changes == ()
    assert {refusal.reason for refusal in plan.refusals} == {
        "numpy would become ==1.26.0 and ==2.0, and only one of them can be written."
    }


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../outside.txt", "leads out of the repository"),
        ("/etc/hostname", "leads out of the repository"),
        ("a//requirements.txt", "leads out of the repository"),
        ("a\0b", "leads out of the repository"),
        ("missing.txt", "does not exist"),
        ("a", "not a regular file"),
        ("link.txt", "is a link"),
        ("linked/requirements.txt", "behind a link"),
        ("uv.lock", "then run: uv lock"),
        ("poetry.lock", "then run: poetry lock"),
        ("pylock.dev.toml", "then run: uv export"),
        ("setup.py", "no literal requirement of numpy"),
        ("big.txt", "larger than"),
        ("odd.txt", "byte order mark"),
    ],
)
def test_files_that_must_not_be_edited_are_refused(root: Path, path: str, reason: str) -> None:
    """Links, what lies outside, lock files, and what we have no editor for."""
    (root / "link.txt").symlink_to(root / "a" / "requirements.txt")
    (root / "linked").symlink_to(root / "a")
    for name in ("uv.lock", "poetry.lock", "pylock.dev.toml", "setup.py"):
        (root / name).write_text("numpy==1.24.3\n")
    (root / "big.txt").write_bytes(b"\n" * (2 * 1024**2 + 1))
    (root / "odd.txt").write_bytes(b"\xef\xbb\xbfnumpy==1.24.3 # \xff\n")
    plan = plan_changes(root, [numpy(path)])
    assert plan.changes == ()
    assert [reason in refusal.reason for refusal in plan.refusals] == [True]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_the_encoding_stays(root: Path, encoding: str) -> None:
    """With its byte order mark where there is one."""
    data = "numpy==1.24.3  # größer\n".encode(encoding)
    (root / "r.txt").write_bytes(data)
    (change,) = plan_changes(root, [numpy("r.txt")]).changes
    assert change.after.decode(encoding) == "numpy==1.26.0  # größer\n"
    assert change.after[:2] == data[:2]


def test_a_comment_that_the_encoding_cannot_hold_is_refused_alone(root: Path) -> None:
    """The other edits of the file are made."""
    (root / "r.txt").write_bytes("numpy==1.24.3  # größer\n".encode("latin-1"))
    plan = plan_changes(root, [numpy("r.txt"), RequirementComment(path="r.txt", line=1, comment="無")])
    assert [change.after for change in plan.changes] == ["numpy==1.26.0  # größer\n".encode("latin-1")]
    assert "encoding" in plan.refusals[0].reason


def test_locks_that_the_changes_leave_behind_are_named_with_their_command(root: Path) -> None:
    """Beside the file, or above it for a workspace; a requirements file has none."""
    for name in ("uv.lock", "a/poetry.lock", "a/Pipfile.lock"):
        (root / name).touch()

    def stale(path: str) -> tuple[tuple[str, str], ...]:
        return stale_locks(root, [FileChange(path=path, before=b"", after=b"x")])

    assert stale("a/pyproject.toml") == (("a/poetry.lock", "poetry lock"), ("uv.lock", "uv lock"))
    assert stale("pyproject.toml") == (("uv.lock", "uv lock"),)
    assert stale("a/Pipfile") == (("a/Pipfile.lock", "pipenv lock"),)
    assert stale("a/requirements.txt") == ()


@pytest.mark.parametrize(
    ("before", "after", "is_stale"),
    [
        ('[project]\nrequires-python = "<3.12"\n', '[project]\nrequires-python = "<3.13"\n', True),
        ('[tool.poetry.dependencies]\npython = "^3.9"\n', '[tool.poetry.dependencies]\npython = "^3.12"\n', True),
        ('[dependency-groups]\na = ["x"]\n', '[dependency-groups]\na = ["y"]\n', True),
        ('[project]\nclassifiers = ["a"]\n', '[project]\nclassifiers = ["b"]\n', False),
        ('[tool.black]\ntarget-version = ["py39"]\n', '[tool.black]\ntarget-version = ["py312"]\n', False),
    ],
)
def test_a_lock_knows_only_of_a_part_of_the_project(before: str, after: str, is_stale: bool, root: Path) -> None:
    (root / "uv.lock").touch()
    change = FileChange(path="pyproject.toml", before=before.encode(), after=after.encode())
    assert bool(stale_locks(root, [change])) is is_stale


def test_a_diff_is_unified_and_says_where_a_final_newline_is_missing() -> None:
    """Line ends are those of the file, and paths start with a/ and b/."""
    change = FileChange(path="a/r.txt", before=b"x\r\nnumpy==1", after=b"x\r\nnumpy==2")
    assert unified_diff([change]) == (
        "--- a/a/r.txt\n+++ b/a/r.txt\n@@ -1,2 +1,2 @@\n x\r\n-numpy==1\n\\ No newline at end of file\n"
        "+numpy==2\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize(
    ("path", "header"),
    [("a b.txt", "--- a/a b.txt\t\n"), ('a"b\n+x', '--- "a/a\\"b\\012+x"\n'), ("ä.txt", "--- a/ä.txt\n")],
)
def test_a_path_cannot_forge_a_line_of_the_diff(path: str, header: str) -> None:
    """It is quoted as git does it."""
    assert unified_diff([FileChange(path=path, before=b"1\n", after=b"2\n")]).startswith(header)


@given(st.binary(), st.binary())
def test_every_diff_shows_all_of_both_sides(before: bytes, after: bytes) -> None:
    """Whatever the bytes: the changed lines are there, and nothing raises."""
    shown = unified_diff([FileChange(path="r.txt", before=before, after=after)])
    assert bool(shown) == (before != after) or before[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert shown == "" or shown.endswith("\n")
