"""Source lines of findings: counted as in Python, decoded correctly, and never from outside the root."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location, Severity
from pytest_py312.gate.run.finalization import MAX_LINE_LENGTH, SIZE_LIMIT, SourceLines
from tests.support.report_samples import finding, judged


def line(root: Path, content: bytes, number: int, name: str = "app.py") -> str:
    (root / name).write_bytes(content)
    return SourceLines(root).line_at(Location(path=name, line=number))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_are_counted_as_in_python(tmp_path: Path, end: bytes) -> None:
    """A form feed or a line separator does not end a line."""
    content = end.join([b"one", "a\x0cb\u2028c".encode(), b"  three"])

    assert [line(tmp_path, content, number) for number in (1, 2, 3)] == ["one", "a\x0cb\u2028c", "  three"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("x = 'ü'".encode(), "x = 'ü'"),
        (b"\xef\xbb\xbfx = '\xc3\xbc'", "x = 'ü'"),
        (b"x = '\xfc'  # -*- coding: latin-1 -*-", "x = 'ü'  # -*- coding: latin-1 -*-"),
        (b"x = '\xfc'", "x = 'ü'"),
        (b"x = 1  # coding: rot13", "x = 1  # coding: rot13"),
        (b"x = 1  # coding: nonsense", "x = 1  # coding: nonsense"),
    ],
)
def test_the_declared_encoding_is_used(tmp_path: Path, content: bytes, expected: str) -> None:
    assert line(tmp_path, content, 1) == expected


@pytest.mark.parametrize("number", [0, -1, 2, 10**9])
def test_a_missing_line_is_empty(tmp_path: Path, number: int) -> None:
    assert line(tmp_path, b"one", number) == ""


def test_large_files_and_lines_are_left_out(tmp_path: Path) -> None:
    assert line(tmp_path, b"x" * (MAX_LINE_LENGTH + 1), 1) == ""
    assert line(tmp_path, b"one\n" + b" " * SIZE_LIMIT, 1, "large.py") == ""


@pytest.mark.parametrize(
    "path", ["nowhere.py", "folder", "link.py", "inner/app.py", "../outside.py", "/etc/hostname", ""]
)
def test_only_files_below_the_root_are_read(tmp_path: Path, path: str) -> None:
    """Links are not followed, and paths cannot leave the root."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "outside.py").write_text("secret\n")
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "app.py").write_text("secret\n")
    (root / "inner").symlink_to(tmp_path / "elsewhere")

    assert SourceLines(root).line_at(Location(path=path, line=1)) == ""


def test_the_findings_of_an_outcome_get_their_lines(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import asyncio\n@asyncio.coroutine\n")
    whole_file = finding(location=Location(path="app.py"))
    outcome = judged(finding(path="app.py", line=2), whole_file, finding(location=None))

    annotated = SourceLines(tmp_path).annotate(outcome)

    assert [item.source_line for item in annotated.findings] == ["@asyncio.coroutine", "", ""]


@pytest.mark.parametrize("changes", [{"severity": Severity.WARNING}, {"waived": True}, {"known": True}])
def test_findings_that_do_not_block_get_no_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    """So that a thousand warnings need no reading of files."""
    (tmp_path / "app.py").write_text("import asyncio\n")
    outcome = judged(finding(path="app.py", line=1, **changes))

    assert SourceLines(tmp_path).annotate(outcome) is outcome


def test_an_outcome_without_lines_stays_the_same(tmp_path: Path) -> None:
    outcome = judged(finding(path="nowhere.py"))

    assert SourceLines(tmp_path).annotate(outcome) is outcome


def test_the_number_of_cached_files_is_limited(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.py").write_text(f"line of {number}\n")
    lines = SourceLines(tmp_path)

    for number in [*range(40), 0, 39]:
        assert lines.line_at(Location(path=f"{number}.py", line=1)) == f"line of {number}"


@given(st.binary(max_size=80), st.integers(1, 4))
def test_no_content_crashes_it(tmp_path_factory: pytest.TempPathFactory, content: bytes, number: int) -> None:
    assert "\n" not in line(tmp_path_factory.getbasetemp(), content, number)
