"""A source line and its caret: the caret stands under the column, whatever is before it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location
from pytest_py312.core.text import Page, columns
from pytest_py312.gate.reports.results import excerpt
from pytest_py312.gate.reports.terminal_findings import failure_text
from tests.support.report_samples import finding, judged


def shown(line: str, column: int | None, *, width: int = 80, unicode: bool = True, indent: int = 0) -> list[str]:
    found = finding(location=Location(path="a.py", line=7, column=column), source_line=line)
    return [one.text for one in excerpt(found, Page(width=width, unicode=unicode, verbosity=0), indent)]


def pointed_at(lines: list[str]) -> str:
    """What stands above the caret."""
    above, below = lines
    place = columns(below) - 1
    assert below.endswith("^")
    starts = [index for index in range(len(above)) if columns(above[:index]) == place]
    return above[starts[0] :]


def test_the_caret_stands_under_the_column() -> None:
    assert shown("loop = asyncio.async(x)", 8) == ["7 | loop = asyncio.async(x)", "  |        ^"]


def test_what_the_line_begins_with_is_left_out_where_it_is_blank() -> None:
    assert shown("        return x", 16, indent=2) == ["  7 | return x", "    |        ^"]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("\tx\ty = here", 8),
        ("x = '用户'; here", 11),
        ("x = 'e\u0301'; here", 11),
        ("x = '\x1b[31m'; here", 14),
        ("x = '\u202e'; here", 10),
    ],
)
@pytest.mark.parametrize("unicode", [True, False])
def test_tabs_and_wide_combining_and_dangerous_characters_do_not_move_it(line: str, column: int, unicode: bool) -> None:
    assert line[column - 1 :] == "here"
    lines = shown(line, column, unicode=unicode)

    assert pointed_at(lines) == "here"
    assert all(char.isprintable() or char == "\u0301" for text in lines for char in text)
    assert unicode or all(text.isascii() for text in lines)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("before", [0, 10, 45, 60, 500])
def test_a_long_line_is_cut_around_the_caret(before: int, unicode: bool) -> None:
    lines = shown("x" * before + "HERE" + "y" * 500, before + 1, width=60, unicode=unicode)

    assert pointed_at(lines).startswith("HERE")
    assert all(columns(text) <= 60 for text in lines)
    dots = "…" if unicode else "..."
    assert lines[0].endswith(dots)
    assert lines[0].removeprefix("7 | ").startswith(dots) is (before > 50)


def test_the_end_of_a_long_line_is_shown() -> None:
    above, _ = shown("x" * 500 + "HERE", 501, width=60)

    assert above.endswith("xHERE")


@pytest.mark.parametrize("column", [None, 0, 99])
def test_without_a_column_of_the_line_there_is_no_caret(column: int | None) -> None:
    assert shown("import imp", column) == ["7 | import imp"]


def test_without_a_line_there_is_nothing() -> None:
    assert shown("", 1) == []
    assert shown("   ", 1) == []


def test_a_failing_item_shows_the_line() -> None:
    """But not with ``-q``."""
    outcome = judged(finding(source_line="    @asyncio.coroutine", line=12))

    assert "      12 | @asyncio.coroutine\n         | ^" in failure_text(outcome, verbosity=0)
    assert "12 |" not in failure_text(outcome, verbosity=-1)


@given(st.text(st.characters(), max_size=200), st.integers(-1, 220), st.integers(1, 90), st.booleans())
def test_whatever_the_line_it_fits_and_does_no_harm(line: str, column: int, width: int, unicode: bool) -> None:
    lines = shown(line, column, width=width, unicode=unicode)

    for text in lines:
        assert columns(text) <= max(width, 24)
        assert all(char.isprintable() or char in "\u200c\u200d" for char in text)
