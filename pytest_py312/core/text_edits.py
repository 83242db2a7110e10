"""Edits of text that all editors share: replacing spans, and annotating a line with a comment."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

COMMENT_LENGTH = 200
"""Characters of an annotation; the rest is cut off."""

_ANNOTATION = re.compile(r"(?:^|(?<=\s))#[ \t]*py312:.*\Z", re.DOTALL)


class EditRefused(Exception):
    """An edit that is not made; the text stays unchanged. ``str()`` is the reason, in one or two sentences."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextEdit:
    """Replace the characters from ``start`` up to and excluding ``end`` by ``text``."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """Apply ``edits`` to ``text``. They must not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def annotate_line(line: str, comment: str) -> str:
    """Append the comment ``# py312: ...`` to a line (without its line end), replacing an earlier one."""
    annotation = f"# py312: {_single_line_comment(comment)}"
    previous = _ANNOTATION.search(line)
    if previous:
        return line[: previous.start()] + annotation
    separator = "" if not line or line[-1] in " \t" else "  "
    return line + separator + annotation


def _single_line_comment(comment: str) -> str:
    words = "".join(character if character.isprintable() else " " for character in comment).split()
    # a trailing backslash would continue the comment on the next line
    short = " ".join(words)[:COMMENT_LENGTH].rstrip("\\ ")
    if not short:
        raise EditRefused("The comment is empty.")
    return short
