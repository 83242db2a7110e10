"""Blank the comments of a text: every other character keeps its position. Never raises."""

import re

_QUOTED = r"""(?<![\w)\]])(?:"(?:\\.|[^"\\\r\n]){0,300}"|'[^'\r\n]{0,300}')"""
_HASH_COMMENT = re.compile(rf"(?P<quoted>{_QUOTED})|(?:(?<=[ \t])|^)#[^\r\n]*", re.MULTILINE | re.ASCII)
_HASH_LINE = re.compile(r"^[ \t]*#[^\r\n]*", re.MULTILINE)
_SLASH_COMMENT = re.compile(
    rf"(?P<quoted>{_QUOTED})|(?:(?<=[\s,;{{}}\[\]()])|^)(?://[^\r\n]*|/\*.*?\*/)", re.MULTILINE | re.DOTALL | re.ASCII
)


def blank_hash_comments(text: str, *, whole_lines_only: bool = False) -> str:
    """Replace ``# ...`` by blanks: at the start of a line, or after a blank outside of quotation marks.

    YAML, ini files and the scripts within them write comments like this. ``whole_lines_only``: only lines that are a
    comment as a whole, as in a Dockerfile.
    """
    return (_HASH_LINE if whole_lines_only else _HASH_COMMENT).sub(_blank, text)


def blank_slash_comments(text: str) -> str:
    """Replace ``// ...`` and ``/* ... */`` outside of quotation marks by blanks."""
    return _SLASH_COMMENT.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    if match.groupdict().get("quoted"):
        return match[0]
    return re.sub(r"[^\r\n]", " ", match[0])
