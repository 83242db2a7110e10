"""Comments become blanks; everything else stays where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.text_positions import blank_hash_comments, blank_slash_comments

anything = st.text(alphabet=st.sampled_from("#/*\"'\\ \n\r\tab:"), max_size=60)


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        ("# all\na: 1\n", "     \na: 1\n"),
        ("a: 1 # why\r\nb: 2", "a: 1      \r\nb: 2"),
        ("a: 'x # y' # z", "a: 'x # y'    "),
        ('a: "x \\" # y" # z', 'a: "x \\" # y"    '),
        ("a: don't # y", "a: don't    "),
        ("a: http://x/#y", "a: http://x/#y"),
        ("run: |\n  # a\n  b # c\n", "run: |\n     \n  b    \n"),
    ],
)
def test_hash_comments(text: str, blanked: str) -> None:
    """Outside of quotation marks, at the start of a line or after a blank."""
    assert blank_hash_comments(text) == blanked


def test_only_whole_lines_of_a_dockerfile() -> None:
    """What follows an instruction is a part of it."""
    assert blank_hash_comments("  # a\nRUN x # y\n", whole_lines_only=True) == "     \nRUN x # y\n"


@pytest.mark.parametrize(
    ("text", "blanked"),
    [
        ("// a\nb", "    \nb"),
        ("a /* b\nc */ d", "a     \n     d"),
        ('"http://x" // y', '"http://x"     '),
        ("url: http://x", "url: http://x"),
    ],
)
def test_slash_comments(text: str, blanked: str) -> None:
    """Of Jenkinsfiles, and of the JSON of development containers."""
    assert blank_slash_comments(text) == blanked


@given(anything)
def test_positions_stay(text: str) -> None:
    """Whatever the text, only characters become blanks."""
    for blanked in (
        blank_hash_comments(text),
        blank_hash_comments(text, whole_lines_only=True),
        blank_slash_comments(text),
    ):
        assert len(blanked) == len(text)
        assert all(new in (old, " ") for old, new in zip(text, blanked, strict=True))
