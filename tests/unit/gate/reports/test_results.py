"""Source lines with a caret that is always below the right column."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location
from pytest_py312.core.text import TerminalFormat, display_width
from pytest_py312.gate.reports.results import source_excerpt
from pytest_py312.gate.reports.terminal_findings import failure_text
from tests.support.report_samples import finding, judged


def shown(line: str, column: int | None, *, width: int = 80, unicode: bool = True, indent: int = 0) -> list[str]:
    found = finding(location=Location(path="a.py", line=7, column=column), source_line=line)
    return [
        one.text for one in source_excerpt(found, TerminalFormat(width=width, unicode=unicode, verbosity=0), indent)
    ]


def pointed_at(lines: list[str]) -> str:
    """Return the text above the caret."""
    above, below = lines
    place = display_width(below) - 1
    assert below.endswith("^")
    starts = [index for index in range(len(above)) if display_width(above[:index]) == place]
    return above[starts[0] :]


def test_the_caret_is_below_the_column() -> None:
    assert shown("loop = asyncio.async(x)", 8) == ["7 | loop = asyncio.async(x)", "  |        ^"]


def test_indentation_is_left_out() -> None:
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
def test_tabs_and_wide_combining_and_control_characters_do_not_move_the_caret(
    line: str, column: int, unicode: bool
) -> None:
    assert line[column - 1 :] == "here"
    lines = shown(line, column, unicode=unicode)

    assert pointed_at(lines) == "here"
    assert all(char.isprintable() or char == "\u0301" for text in lines for char in text)
    assert unicode or all(text.isascii() for text in lines)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("padding", [0, 10, 45, 60, 500])
def test_a_long_line_is_shortened_around_the_caret(padding: int, unicode: bool) -> None:
    lines = shown("x" * padding + "HERE" + "y" * 500, padding + 1, width=60, unicode=unicode)

    assert pointed_at(lines).startswith("HERE")
    assert all(display_width(text) <= 60 for text in lines)
    dots = "…" if unicode else "..."
    assert lines[0].endswith(dots)
    assert lines[0].removeprefix("7 | ").startswith(dots) is (padding > 50)


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
    """Except with ``-q``."""
    outcome = judged(finding(source_line="    @asyncio.coroutine", line=12))

    assert "      12 | @asyncio.coroutine\n         | ^" in failure_text(outcome, verbosity=0)
    assert "12 |" not in failure_text(outcome, verbosity=-1)


@example("0" * 20, 21, 1, False)
@given(st.text(st.characters(), max_size=200), st.integers(-1, 220), st.integers(1, 90), st.booleans())
def test_any_line_fits_and_is_escaped(line: str, column: int, width: int, unicode: bool) -> None:
    lines = shown(line, column, width=width, unicode=unicode)

    for text in lines:
        assert display_width(text) <= max(width, 24)
        assert all(char.isprintable() or char in "\u200c\u200d" for char in text)
