"""Members of a list: how one is added after another, and how one is taken away, in the list's own layout. Pure."""

import re
from collections.abc import Iterable

from pytest_py312.core.text_edits import EditRefused, Splice
from pytest_py312.repository.declarations.declaration import Item

_PREFIX = re.compile(r"[ \t]*(?:-[ \t]+)?")
_REST = re.compile(r"[ \t]*(?P<comma>,?)[ \t]*(?:#[^\r\n]*)?")


def added(text: str, item: Item, member: str) -> tuple[Splice, ...]:
    """What puts ``member`` after ``item``.

    :raises EditRefused: the layout leaves open how.
    """
    end = _end(text, item)
    first, last = _line_start(text, item.start), _line_end(text, end)
    before, after = text[first : item.start], text[end:last]
    newline = _newline(text, last)
    if item.lines:
        if not _PREFIX.fullmatch(before):
            raise EditRefused("Nothing tells how another line of this list would look; add it by hand.")
        return (Splice(start=last, end=last, text=newline + before + member),)
    rest = _REST.fullmatch(after)
    if not before.strip() and rest and first > 0:
        if rest["comma"]:
            return (Splice(start=last, end=last, text=f"{newline}{before}{member},"),)
        line = Splice(start=last, end=last, text=newline + before + member)
        return (Splice(start=end, end=end, text=","), line) if last > end else (
            Splice(start=end, end=end, text=f",{newline}{before}{member}"),
        )  # fmt: skip
    return (Splice(start=end, end=end, text=_separator(text, item, end) + member),)


def removed(text: str, items: Iterable[Item]) -> tuple[Splice, ...]:
    """What takes ``items`` out of their list, of which others stay."""
    listed = sorted(items, key=lambda item: item.start)
    ends_with_one = bool(listed) and re.match(r"\s*,", text[_end(text, listed[-1]) :]) is None
    spans = [_removal(text, item, backwards=ends_with_one) for item in listed]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(Splice(start=start, end=end, text="") for start, end in merged)


def _removal(text: str, item: Item, *, backwards: bool) -> tuple[int, int]:
    end = _end(text, item)
    first, last = _line_start(text, item.start), _line_end(text, end)
    before, after = text[first : item.start], text[end:last]
    whole = _PREFIX.fullmatch(before) if item.lines else not before.strip() and _REST.fullmatch(after) and first > 0
    if whole:
        past = re.match(r"\r\n|\r|\n", text[last : last + 2])
        if past:
            return first, last + past.end()
        return first - len(_newline(text, first)) if first else 0, last
    ahead = re.match(r"[ \t]*,[ \t]*", text[end:])
    behind = re.search(r"[ \t]*,\s*\Z", text[max(0, item.start - 200) : item.start])
    if behind and (backwards or not ahead):
        return item.start - len(behind[0]), end
    if not ahead:
        ahead = re.match(r"[ \t]+(?=[\w{])", text[end:])  # members that only blanks part
    return item.start, end + (ahead.end() if ahead else 0)


def _separator(text: str, item: Item, end: int) -> str:
    behind = re.search(r",[ \t]*\Z", text[max(0, item.start - 200) : item.start])
    ahead = re.match(r"[ \t]*(,[ \t]*)(?=[^\s\]})])", text[end : end + 200])
    if behind:
        return behind[0]
    if ahead:
        return ahead[1]
    words = re.search(r"[\w}][ \t]+\Z", text[max(0, item.start - 200) : item.start])
    if words or re.match(r"[ \t]+[\w{]", text[end : end + 200]):
        return " "
    return "," if text[item.start - 1 : item.start] == "{" else ", "


def _end(text: str, item: Item) -> int:
    """Without the blanks that a block of YAML ends with."""
    return item.start + len(text[item.start : item.end].rstrip())


def _line_start(text: str, position: int) -> int:
    return max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1


def _line_end(text: str, position: int) -> int:
    found = re.search(r"[\r\n]", text[position:])
    return position + found.start() if found else len(text)


def _newline(text: str, position: int) -> str:
    """The end of the line at ``position``, or that of the line before."""
    here = re.match(r"\r\n|\r|\n", text[position : position + 2])
    if here:
        return here[0]
    before = re.search(r"(\r\n|\r|\n)[^\r\n]*\Z", text[:position])
    return before[1] if before else "\n"
