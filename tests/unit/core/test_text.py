"""Text for a terminal: harmless, measured in columns, shortened and wrapped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.text import (
    LINE_LIMIT,
    PROSE_LIMIT,
    columns,
    cut,
    last_lines,
    listed,
    padded,
    prose,
    shortened,
    visible,
    wrapped,
)

ANY_TEXT = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x07", "link"),
        ("\x9b31mred", "red"),
        ("\x1b(Bletters", "letters"),
        ("\x1b]0;never ended", r"\x1b]0;never ended"),
        ("bell\x07", r"bell\x07"),
        ("first\nsecond", r"first\nsecond"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("half \udc80", r"half \udc80"),
        ("no\u00a0break", "no break"),
        ("用户 ünder", "用户 ünder"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out_or_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY_TEXT)
def test_nothing_a_terminal_would_obey_is_left(text: str) -> None:
    left = "".join([visible(text), prose(text), *last_lines(text, 5), listed([text, text], 1)])
    assert left.replace("\u200c", "").replace("\u200d", "").isprintable()


@pytest.mark.parametrize("opener", ["\x1b]", "\x9d", "\x1b[", "\x9b", "\x1b", "\x90"])
def test_a_long_run_of_unfinished_sequences_is_read_to_its_end(opener: str) -> None:
    assert visible(opener * 20_000 + "\nend").endswith("end")


def test_a_sentence_is_one_line_of_bounded_length() -> None:
    assert prose("because a\n  needs   b\n") == "because a needs b"
    assert len(prose("x" * 1_000_000)) == PROSE_LIMIT + len(" ...")


def test_of_the_evidence_the_last_lines_are_kept_with_their_indentation() -> None:
    assert last_lines("one\n\n  two\r\n\tthree\n\n", 2) == ["  two", "    three"]
    assert last_lines("y" * 10_000, 1) == ["y" * LINE_LIMIT + " ..."]
    assert last_lines("one", 0) == []


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    assert [columns(text) for text in ("abc", "用户", "e\u0301")] == [3, 4, 1]
    assert padded("用户", 6) == "用户  "


@pytest.mark.parametrize(
    ("width", "shown"), [(20, "knowledge-service"), (11, "know...vice"), (4, "k..."), (3, "..."), (1, "."), (0, "")]
)
def test_a_name_is_shortened_in_its_middle(width: int, shown: str) -> None:
    assert shortened("knowledge-service", width) == shown


@given(ANY_TEXT, st.integers(0, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert columns(shortened(text, width)) <= width
    assert columns(cut(text, width)) <= width


@given(st.text("ab 用"), st.integers(1, 20))
def test_wrapping_loses_no_word_and_breaks_none(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(columns(line.strip()) <= width or " " not in line.strip() for line in lines)


def test_a_list_of_names_says_how_many_are_left_out() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c"], 2) == "a, b, and 1 more"
