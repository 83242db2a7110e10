"""What all editors share: how an edit is refused, and how pieces of a text are replaced."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

COMMENT_LENGTH = 200
"""Characters of an annotation; the rest is cut."""

_ANNOTATION = re.compile(r"(?:^|(?<=\s))#[ \t]*py312:.*\Z", re.DOTALL)


class EditRefused(Exception):
    """The edit is not made, and the text stays as it is. ``str()`` is one sentence or two that say why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Splice:
    """``text`` takes the place of the characters from ``start`` to before ``end``."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """``text`` with all ``splices`` made, which do not overlap."""
    for splice in sorted(splices, key=lambda splice: splice.start, reverse=True):
        text = text[: splice.start] + splice.text + text[splice.end :]
    return text


def annotated(line: str, comment: str) -> str:
    """One physical line (without its end) with the comment ``# py312: ...``, an older one of that kind replaced."""
    note = f"# py312: {_one_line(comment)}"
    older = _ANNOTATION.search(line)
    if older:
        return line[: older.start()] + note
    gap = "" if not line or line[-1] in " \t" else "  "
    return line + gap + note


def _one_line(comment: str) -> str:
    words = "".join(character if character.isprintable() else " " for character in comment).split()
    # a backslash at the end of a line would join the next one to the comment
    short = " ".join(words)[:COMMENT_LENGTH].rstrip("\\ ")
    if not short:
        raise EditRefused("The comment is empty.")
    return short
