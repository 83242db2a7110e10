"""Which files may hold syntax that Python 3.8 does not know: only these does the baseline's compiler have to read.

Nothing here says that there *is* new syntax; but where nothing is found, there is none.
"""

import re

_BEFORE = 80
"""Bytes looked at in front of ``[*`` for what it follows."""

_PATTERNS = (
    (
        b"\n",
        re.compile(
            rb"\n[ \t]*(?:match\b(?:[ \t]*[(\[{]|[^\n]*:)|type[ \t]+\w[^\n]*=|with[ \t]*\(|async[ \t]+(?:with[ \t]*\("
            rb"|def[ \t]+\w+[ \t]*\[)|def[ \t]+\w+[ \t]*\[|class[ \t]+\w+[ \t]*\[|except[ \t]*\*)"
        ),
    ),
    (b"*", re.compile(rb"\*[ \t]*\w+[ \t]*:[ \t]*\*")),
    (b":=", re.compile(rb"[\[{,]\s*\w+[ \t]*:=")),
    (b"async", re.compile(rb"async[ \t]+for\b")),
    (b"{", re.compile(rb"[fF][rR]?(?:\"\"\"|'''|\"[^\"\n]*\{[^}\n]*[\"\\#\n]|'[^'\n]*\{[^}\n]*['\\#\n])")),
)
"""What each needs, and what it looks like behind the end of a line. Several patterns, each of which begins with few
characters, are searched much faster than one; and those that lack what they need are not searched at all."""

_STARRED = re.compile(rb"\[\s*\*")
_OPENS_DISPLAY = re.compile(
    rb"(?:[=(,\[{:+*%|&^<>-]|(?<=[^\w.])(?:return|in|yield|and|or|not|else|if|await|is|assert|for|from|while|lambda))"
    rb"\s*\Z"
)
"""What stands before ``[*items]``, a list as it always was. In ``table[*items]`` it stands behind a value."""


def may_be_new(content: bytes) -> bool:
    """Whether a file may hold syntax newer than 3.8."""
    text = b"\n" + content
    if any(needed in text and pattern.search(text) for needed, pattern in _PATTERNS):
        return True
    return any(_may_be_index(text, match.start()) for match in _STARRED.finditer(text))


def _may_be_index(text: bytes, place: int) -> bool:
    before = text[max(0, place - _BEFORE) : place]
    return b"#" in before or not _OPENS_DISPLAY.search(before)
