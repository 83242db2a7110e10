"""Where functions and classes stand in a source, by the layout of its lines: cheaper than to parse all of it.

Runs inside the interpreter that is asked, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADER = re.compile(r"(async\s+def|def|class)\s+(\w+)")
STATEMENT = re.compile(r"@|[A-Za-z_][\w.]*(?:\s*=|\()|(?:async def|class|def|del|for|from|if|import|with)\s|try:|\Z")
"""What statements at the margin most often begin with."""
MARGIN = re.compile(r"\n[^\s#)]")
LEAD = re.compile(r"\n([ \t]+)(?=[^\s#)])")
"""The first line inside of a class, and what it is indented by."""
CLASS = re.compile(r"class[ \t]+(\w+)")
AS_TARGET = re.compile(r"\b(?![ \t]*[(.\[])")
SET_ANY = ("__dict__", "setattr", "vars")
"""Words without which no method sets attributes of names that are not written in it."""


def lines_with(mark: bytes, text: bytes) -> Iterator[int]:
    """The numbers, from 0, of the lines in which ``mark`` stands."""
    line = before = 0
    place = text.find(mark)
    while place >= 0:
        line += text.count(b"\n", before, place)
        yield line
        before, place = place, text.find(mark, place + 1)


def class_headers(text: str) -> dict[str, list[int]]:
    """Where in a text what looks like a class begins, by its name; -1 for one that is indented."""
    found: dict[str, list[int]] = {}
    for match in CLASS.finditer(text):
        lead = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if not lead.strip(" \t"):
            found.setdefault(match[1], []).append(-1 if lead else match.start())
    return found


def class_body(text: str, start: int) -> str | None:
    """What follows the first line of the class that begins at ``start``, at the margin; ``None`` where the layout
    does not tell how much it is: a text or a bracket of the class may go on at the margin.
    """
    first = text.find("\n", start)
    end = MARGIN.search(text, first) if first >= 0 else None
    if end is not None and not STATEMENT.match(text, end.end() - 1):
        return None
    body = "" if first < 0 else text[first : end.start()] if end is not None else text[first:]
    return None if (body.count('"""') % 2 or body.count("'''") % 2) else body


def methods_that_set(body: str, name: str) -> list[str] | None:
    """The methods in the body of a class that may set an attribute of a name; ``None`` where something outside of
    methods may.
    """
    hits = [*_set_at(body, name), *(place for word in SET_ANY for place in _places(body, word))]
    lead = LEAD.search(body) if hits else None
    if lead is None:
        return None if hits else []
    parts = list(re.finditer(rf"\n{lead[1]}(?=[^\s#)])(?P<method>(?:async[ \t]+)?def\b)?", body))
    starts = [part.start() for part in parts]
    found: dict[int, None] = dict.fromkeys(bisect_right(starts, hit) - 1 for hit in hits)
    if any(place < 0 or not parts[place]["method"] for place in found):
        return None
    return [body[starts[place] + 1 : [*starts, len(body)][place + 1]] for place in found]


def _set_at(body: str, name: str) -> Iterator[int]:
    """Where ``.name``, or ``name`` at the beginning of a line, stands and nothing is called or read of it."""
    for place in _places(body, name):
        lead = body[body.rfind("\n", 0, place) + 1 : place]
        if (lead[-1:] == "." or not lead.strip(" \t")) and AS_TARGET.match(body, place + len(name)):
            yield place


def _places(text: str, word: str) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + 1)


def function_around(lines: Sequence[str], number: int) -> tuple[int, str] | None:
    """The first line (from 0, decorators included) of the function or method that line ``number`` is in, and what
    stands before its name in a qualified name (``TestCase.``). ``None`` where the layout does not tell.
    """
    indent = indent_of(lines[number])
    chain: list[tuple[int, str, str]] = []
    for place in range(number - 1, -1, -1):
        if not indent:
            break
        line = lines[place].lstrip()
        if line and len(lines[place]) - len(line) < indent and line[0] != "#":
            indent = len(lines[place]) - len(line)
            header = HEADER.match(line)
            if header:
                chain.insert(0, (place, header.group(1), header.group(2)))
    classes: list[str] = []
    for place, kind, name in chain:
        if kind == "class":
            classes.append(f"{name}.")
            continue
        first = place
        indent = indent_of(lines[place])
        while first and lines[first - 1].lstrip().startswith("@") and indent_of(lines[first - 1]) == indent:
            first -= 1
        above = lines[first - 1].rstrip() if first else ""
        return None if above.endswith(")") else (first, "".join(classes))  # perhaps a decorator of several lines
    return None


def end_of_block(lines: Sequence[str], first: int) -> int:
    """The line, from 0, behind a function or class that begins, with its decorators, on line ``first``."""
    indent = indent_of(lines[first])
    last = next(place for place in range(first, len(lines)) if HEADER.match(lines[place].lstrip())) + 1
    while last < len(lines):
        line = lines[last].lstrip()
        if line and len(lines[last]) - len(line) <= indent and line[0] not in "#)":
            break
        last += 1
    return last


def block(lines: Sequence[str], first: int) -> ast.Module | None:
    """A function or class parsed by itself, below a line of its own; ``None`` where that fails."""
    return parsed("\n".join(lines[first : end_of_block(lines, first)]))


def parsed(text: str) -> ast.Module | None:
    """A function or class parsed by itself, below a line of its own; ``None`` where that fails."""
    try:
        return ast.parse(f"if 1:\n{text}" if text[:1].isspace() else f"\n{text}")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())
