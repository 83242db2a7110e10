"""Add items to lists and remove them, in the list's own layout."""

import re
from collections.abc import Iterable

from pytest_py312.core.text_edits import EditRefused, TextEdit
from pytest_py312.repository.declarations.declaration import ListItem

_ITEM_PREFIX = re.compile(r"[ \t]*(?:-[ \t]+)?")
_COMMA = re.compile(r"\s*,")
_LINE_BREAK = re.compile(r"[\r\n]")
_NEAR = 200
"""Characters beside an item in which its separator is looked for."""
_ITEM_SUFFIX = re.compile(r"[ \t]*(?P<comma>,?)[ \t]*(?:#[^\r\n]*)?")


def insertion_edits(text: str, item: ListItem, member: str) -> tuple[TextEdit, ...]:
    """Return the edits that insert ``member`` after ``item``.

    :raises EditRefused: the layout is ambiguous.
    """
    end = _end(text, item)
    line_start, line_end = _line_start(text, item.start), _line_end(text, end)
    prefix, suffix = text[line_start : item.start], text[end:line_end]
    newline = _newline(text, line_end)
    if item.on_own_lines:
        if not _ITEM_PREFIX.fullmatch(prefix):
            raise EditRefused("The layout of this list is ambiguous; add the line manually.")
        return (TextEdit(start=line_end, end=line_end, text=newline + prefix + member),)
    suffix_match = _ITEM_SUFFIX.fullmatch(suffix)
    if not prefix.strip() and suffix_match and line_start > 0:
        if suffix_match["comma"]:
            return (TextEdit(start=line_end, end=line_end, text=f"{newline}{prefix}{member},"),)
        line = TextEdit(start=line_end, end=line_end, text=newline + prefix + member)
        return (TextEdit(start=end, end=end, text=","), line) if line_end > end else (
            TextEdit(start=end, end=end, text=f",{newline}{prefix}{member}"),
        )  # fmt: skip
    return (TextEdit(start=end, end=end, text=_separator(text, item, end) + member),)


def removal_edits(text: str, items: Iterable[ListItem]) -> tuple[TextEdit, ...]:
    """Return the edits that remove ``items`` from their list, in which others remain."""
    ordered = sorted(items, key=lambda item: item.start)
    removes_last = bool(ordered) and _COMMA.match(text, _end(text, ordered[-1])) is None
    spans = [_removal_span(text, item, backwards=removes_last) for item in ordered]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(TextEdit(start=start, end=end, text="") for start, end in merged)


def _removal_span(text: str, item: ListItem, *, backwards: bool) -> tuple[int, int]:
    end = _end(text, item)
    line_start, line_end = _line_start(text, item.start), _line_end(text, end)
    prefix, suffix = text[line_start : item.start], text[end:line_end]
    fills_line = (
        _ITEM_PREFIX.fullmatch(prefix)
        if item.on_own_lines
        else not prefix.strip() and _ITEM_SUFFIX.fullmatch(suffix) and line_start > 0
    )
    if fills_line:
        newline = re.match(r"\r\n|\r|\n", text[line_end : line_end + 2])
        if newline:
            return line_start, line_end + newline.end()
        return line_start - len(_newline(text, line_start)) if line_start else 0, line_end
    following_comma = re.match(r"[ \t]*,[ \t]*", text[end : end + _NEAR])
    preceding_comma = re.search(r"[ \t]*,\s*\Z", text[max(0, item.start - 200) : item.start])
    if preceding_comma and (backwards or not following_comma):
        return item.start - len(preceding_comma[0]), end
    if not following_comma:
        following_comma = re.match(r"[ \t]+(?=[\w{])", text[end : end + _NEAR])  # items separated by blanks only
    return item.start, end + (following_comma.end() if following_comma else 0)


def _separator(text: str, item: ListItem, end: int) -> str:
    preceding_comma = re.search(r",[ \t]*\Z", text[max(0, item.start - 200) : item.start])
    following_comma = re.match(r"[ \t]*(,[ \t]*)(?=[^\s\]})])", text[end : end + 200])
    if preceding_comma:
        return preceding_comma[0]
    if following_comma:
        return following_comma[1]
    blank_separated = re.search(r"[\w}][ \t]+\Z", text[max(0, item.start - 200) : item.start])
    if blank_separated or re.match(r"[ \t]+[\w{]", text[end : end + 200]):
        return " "
    return "," if text[item.start - 1 : item.start] == "{" else ", "


def _end(text: str, item: ListItem) -> int:
    """Return the end of the item without the white space at the end of a YAML block."""
    return item.start + len(text[item.start : item.end].rstrip())


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


def _line_end(text: str, position: int) -> int:
    match = _LINE_BREAK.search(text, position)
    return match.start() if match else len(text)


def _newline(text: str, position: int) -> str:
    """Return the end of the line at ``position``, or of the line before."""
    current = re.match(r"\r\n|\r|\n", text[position : position + 2])
    if current:
        return current[0]
    start = _line_start(text, position)
    if not start:
        return "\n"
    return "\r\n" if text[start - 2 : start] == "\r\n" else text[start - 1]
