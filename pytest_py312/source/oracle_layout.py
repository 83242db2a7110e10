"""Where functions and classes stand in a source, by the layout of its lines: cheaper than to parse all of it.

Runs inside the interpreter that is asked, beside ``oracle_probe.py``: standard library only, for Python 3.8 and later.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADER = re.compile(r"(async\s+def|def|class)\s+(\w+)")
STATEMENT = re.compile(r"@|[A-Za-z_][\w.]*(?:\s*=|\()|(?:async def|class|def|del|for|from|if|import|with)\s|try:|\Z")
"""What statements at the margin most often begin with."""
CLASS = re.compile(rb"^([ \t]*)class[ \t]+(\w+)", re.MULTILINE)


def lines_with(mark: bytes, text: bytes) -> Iterator[int]:
    """The numbers, from 0, of the lines in which ``mark`` stands."""
    line = before = 0
    place = text.find(mark)
    while place >= 0:
        line += text.count(b"\n", before, place)
        yield line
        before, place = place, text.find(mark, place + 1)


def class_headers(text: bytes) -> dict[str, list[int]]:
    """The lines, from 0, on which what looks like a class begins, by its name; -1 for one that is indented."""
    found: dict[str, list[int]] = {}
    line = before = 0
    for match in CLASS.finditer(text):
        line += text.count(b"\n", before, match.start())
        before = match.start()
        found.setdefault(match[2].decode("ascii"), []).append(-1 if match[1] else line)
    return found


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


def methods_with(lines: Sequence[str], first: int, last: int, pattern: str) -> list[int] | None:
    """The first lines of the methods of a class, on the lines from ``first`` to ``last``, with a line that has
    ``pattern`` in it; ``None`` where one stands outside of methods, or where the layout does not tell.
    """
    has_it = re.compile(pattern).search
    found: list[int] = []
    end = 0
    for number in range(first + 1, last):
        if number >= end and has_it(lines[number]):
            header = HEADER.match(lines[number].lstrip())
            start = (number, "") if header and header[1] != "class" else function_around(lines, number)
            if start is None:
                return None
            found.append(start[0])
            end = end_of_block(lines, start[0])
    return found


def is_whole(lines: Sequence[str], first: int, last: int) -> bool:
    """Whether a block of :func:`end_of_block` is all of it, with no text or bracket that goes on at the margin."""
    if last < len(lines) and not STATEMENT.match(lines[last]):
        return False
    text = "\n".join(lines[first:last])
    return not text.count('"""') % 2 and not text.count("'''") % 2


def block(lines: Sequence[str], first: int) -> ast.Module | None:
    """A function or class parsed by itself, below a line of its own; ``None`` where that fails."""
    above = "if 1:\n" if indent_of(lines[first]) else "\n"
    try:
        return ast.parse(above + "\n".join(lines[first : end_of_block(lines, first)]))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())
