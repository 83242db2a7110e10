"""Blank the comments of a text, or the syntax of a template: every other character keeps its position. Never raises."""

import re

_QUOTED = r"""(?<![\w)\]])(?:"(?:\\.|[^"\\\r\n]){0,1000}"|'[^'\r\n]{0,1000}')"""
_HASH_COMMENT = re.compile(rf"(?P<quoted>{_QUOTED})|(?:(?<=[ \t])|^)#[^\r\n]*", re.MULTILINE | re.ASCII)
_HASH_LINE = re.compile(r"^[ \t]*#[^\r\n]*", re.MULTILINE)
_SLASH_COMMENT = re.compile(
    rf"(?P<quoted>{_QUOTED})|(?:(?<=[\s,;{{}}\[\]()])|^)(?://[^\r\n]*|/\*.*?\*/)", re.MULTILINE | re.DOTALL | re.ASCII
)

_JINJA = re.compile(r"\{%.{0,2000}?%\}|\{#.{0,2000}?#\}|(?P<value>\{\{.{0,2000}?\}\})", re.DOTALL)
_JINJA_ENDING = re.compile(r"\.(?:j2|jinja2?)$", re.IGNORECASE)


def without_jinja_ending(name: str) -> str:
    """Return the name of the file that Jinja makes from one with this name; other names stay."""
    return _JINJA_ENDING.sub("", name)


def blank_jinja(text: str) -> str:
    """Replace the statements and comments of Jinja by blanks, and its values by words of the same length.

    What conditions exclude stays beside what they include.
    """
    return _JINJA.sub(lambda match: "x" * len(match[0]) if match["value"] else _blank(match), text)


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
