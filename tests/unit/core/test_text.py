"""Text for a terminal: escaped, measured in columns, shortened and wrapped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.text import (
    LINE_LIMIT,
    MESSAGE_LIMIT,
    display_width,
    escape_control,
    escape_terminal,
    format_duration,
    format_size,
    join_names,
    last_lines,
    pad,
    parse_size,
    shorten,
    shorten_middle,
    split_words,
    truncate,
    wrap_words,
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
def test_control_sequences_are_removed_or_escaped(text: str, shown: str) -> None:
    assert escape_control(text) == shown


@given(ANY_TEXT)
def test_no_control_sequence_remains(text: str) -> None:
    left = "".join([escape_control(text), escape_terminal(text), *last_lines(text, 5), join_names([text, text], 1)])
    assert left.replace("\u200c", "").replace("\u200d", "").isprintable()


@pytest.mark.parametrize("opener", ["\x1b]", "\x9d", "\x1b[", "\x9b", "\x1b", "\x90"])
def test_many_unfinished_sequences_are_processed_quickly(opener: str) -> None:
    assert escape_control(opener * 20_000 + "\nend").endswith("end")


def test_a_sentence_is_one_line_of_limited_length() -> None:
    assert escape_terminal("because a\n  needs   b\n") == "because a needs b"
    assert len(escape_terminal("x" * 1_000_000)) == MESSAGE_LIMIT + len(" ...")


def test_the_last_lines_of_evidence_keep_their_indentation() -> None:
    assert last_lines("one\n\n  two\r\n\tthree\n\n", 2) == ["  two", "    three"]
    assert last_lines("y" * 10_000, 1) == ["y" * LINE_LIMIT + " ..."]
    assert last_lines("one", 0) == []


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    assert [display_width(text) for text in ("abc", "用户", "e\u0301")] == [3, 4, 1]
    assert pad("用户", 6) == "用户  "


@pytest.mark.parametrize(
    ("width", "shown"), [(20, "knowledge-service"), (11, "know...vice"), (4, "k..."), (3, "..."), (1, "."), (0, "")]
)
def test_a_name_is_shortened_in_its_middle(width: int, shown: str) -> None:
    assert shorten_middle("knowledge-service", width) == shown


@given(ANY_TEXT, st.integers(0, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert display_width(shorten_middle(text, width)) <= width
    assert display_width(truncate(text, width)) <= width


@given(st.text("ab 用"), st.integers(1, 20))
def test_wrapping_loses_no_word_and_breaks_none(text: str, width: int) -> None:
    lines = wrap_words(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(display_width(line.strip()) <= width or " " not in line.strip() for line in lines)


def test_a_list_of_names_counts_the_omitted_ones() -> None:
    assert join_names(["a", "b"]) == "a, b"
    assert join_names(["a", "b", "c"], 2) == "a, b, and 1 more"


@pytest.mark.parametrize(
    ("text", "limit", "shortened"),
    [
        ("short", 5, "short"),
        ("we can conclude that", 13, "we can ..."),
        ("we can conclude that", 19, "we can conclude ..."),
        ("we can, conclude that", 12, "we can ..."),
        ("unbreakable", 8, "unbr ..."),
    ],
)
def test_a_text_is_cut_between_words(text: str, limit: int, shortened: str) -> None:
    """And it shows that something is missing."""
    assert shorten(text, limit) == shortened


@given(st.text(alphabet="ab ,\n", max_size=40), st.integers(0, 40))
def test_a_cut_text_keeps_to_its_limit(text: str, limit: int) -> None:
    """Whatever is in it."""
    assert len(shorten(text, limit)) <= max(limit, 0) or shorten(text, limit) == text


def test_sizes_have_units() -> None:
    """Those that are written can be read again."""
    assert [format_size(size) for size in (100, 2048, 256 * 1024**2, 3 * 512 * 1024**2)] == [
        "100 bytes",
        "2 KiB",
        "256 MiB",
        "1.5 GiB",
    ]
    assert [parse_size(text) for text in ("2 KiB", "256MiB", "1.5GiB", "1.5 gb", "2", "much")] == [
        2048, 256 * 1024**2, 3 * 512 * 1024**2, 1.5e9, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 m"), (270, "4 m 30 s"), (3600, "1 h"), (43500, "12 h 05 m"), (172800, "48 h")],
)
def test_durations_have_the_units_of_a_plan(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-e 'a b' c", ["-e", "a b", "c"]),
        ("it's one", ["it's", "one"]),
        ("a \\", ["a", "\\"]),
        ("", []),
    ],
)
def test_words_are_split_as_a_shell_does_and_at_blanks_where_a_quotation_is_open(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_a_comment_is_left_out_of_the_words_when_asked() -> None:
    assert split_words("apt-get install git # for pip", comments=True) == ["apt-get", "install", "git"]
