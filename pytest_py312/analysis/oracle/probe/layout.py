"""Locate functions and classes in a source file by its indentation, which is cheaper than parsing the file.

Runs inside the queried interpreter, beside ``stdlib_probe.py``: standard library only, for Python 3.8 and later.
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
"""Common beginnings of statements that are not indented."""
MARGIN = re.compile(r"\n[^\s#)]")
INDENT = re.compile(r"\n([ \t]+)(?=[^\s#)])")
"""The indentation of the first line in the body of a class."""
CLASS_HEADER = re.compile(r"class[ \t]+(\w+)")
ASSIGNMENT_TARGET = re.compile(r"\b(?![ \t]*[(.\[])")
"""The end of a name that may be assigned: it is not followed by ``(``, ``.`` or ``[``."""
DYNAMIC_SETTERS = ("__dict__", "setattr", "vars")
"""Words that a method must contain to set attributes whose names are not written in it."""


def lines_containing(mark: bytes, text: bytes) -> Iterator[int]:
    """Yield the numbers, from 0, of the lines that contain ``mark``."""
    line = counted_to = 0
    position = text.find(mark)
    while position >= 0:
        line += text.count(b"\n", counted_to, position)
        yield line
        counted_to, position = position, text.find(mark, position + 1)


def class_headers(text: str) -> dict[str, list[int]]:
    """Return the positions of what looks like a class, by its name; -1 for one that is indented."""
    headers: dict[str, list[int]] = {}
    for match in CLASS_HEADER.finditer(text):
        indent = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        if not indent.strip(" \t"):
            headers.setdefault(match[1], []).append(-1 if indent else match.start())
    return headers


def class_body(text: str, start: int) -> str | None:
    """Return the body of the class that begins at ``start`` and is not indented.

    ``None`` if its end cannot be determined by layout, because a string or a bracket may continue without indentation.
    """
    first = text.find("\n", start)
    end = MARGIN.search(text, first) if first >= 0 else None
    if end is not None and not STATEMENT.match(text, end.end() - 1):
        return None
    body = "" if first < 0 else text[first : end.start()] if end is not None else text[first:]
    return None if (body.count('"""') % 2 or body.count("'''") % 2) else body


def setter_methods(body: str, name: str) -> list[str] | None:
    """Return the methods in a class body that may set an attribute ``name``.

    ``None`` if something outside of methods may set it.
    """
    positions = [
        *_assignment_positions(body, name),
        *(number for word in DYNAMIC_SETTERS for number in _positions(body, word)),
    ]
    indent = INDENT.search(body) if positions else None
    if indent is None:
        return None if positions else []
    statements = list(re.finditer(rf"\n{indent[1]}(?=[^\s#)])(?P<method>(?:async[ \t]+)?def\b)?", body))
    starts = [statement.start() for statement in statements]
    statement_numbers: dict[int, None] = dict.fromkeys(bisect_right(starts, position) - 1 for position in positions)
    if any(number < 0 or not statements[number]["method"] for number in statement_numbers):
        return None
    return [body[starts[number] + 1 : [*starts, len(body)][number + 1]] for number in statement_numbers]


def _assignment_positions(body: str, name: str) -> Iterator[int]:
    """Yield positions of ``.name``, or ``name`` at the start of a line, not followed by ``(``, ``.`` or ``[``."""
    for position in _positions(body, name):
        indent = body[body.rfind("\n", 0, position) + 1 : position]
        if (indent[-1:] == "." or not indent.strip(" \t")) and ASSIGNMENT_TARGET.match(body, position + len(name)):
            yield position


def _positions(text: str, word: str) -> Iterator[int]:
    position = text.find(word)
    while position >= 0:
        yield position
        position = text.find(word, position + 1)


def function_around(lines: Sequence[str], number: int) -> tuple[int, str] | None:
    """Return the first line number of the function around line ``number``, and the prefix of its qualified name.

    Line numbers are from 0, a decorator counts as the first line, and a prefix is such as ``TestCase.``.
    ``None`` if there is no function, or the layout is ambiguous.
    """
    indent = indent_of(lines[number])
    chain: list[tuple[int, str, str]] = []
    for line_number in range(number - 1, -1, -1):
        if not indent:
            break
        line = lines[line_number].lstrip()
        if line and len(lines[line_number]) - len(line) < indent and line[0] != "#":
            indent = len(lines[line_number]) - len(line)
            header = HEADER.match(line)
            if header:
                chain.insert(0, (line_number, header.group(1), header.group(2)))
    classes: list[str] = []
    for line_number, kind, name in chain:
        if kind == "class":
            classes.append(f"{name}.")
            continue
        first = line_number
        indent = indent_of(lines[line_number])
        while first and lines[first - 1].lstrip().startswith("@") and indent_of(lines[first - 1]) == indent:
            first -= 1
        above = lines[first - 1].rstrip() if first else ""
        return None if above.endswith(")") else (first, "".join(classes))  # may be a decorator of several lines
    return None


def end_of_block(lines: Sequence[str], first: int) -> int:
    """Return the line, from 0, after the function or class whose first line (with decorators) is ``first``."""
    indent = indent_of(lines[first])
    end = next(place for place in range(first, len(lines)) if HEADER.match(lines[place].lstrip())) + 1
    while end < len(lines):
        line = lines[end].lstrip()
        if line and len(lines[end]) - len(line) <= indent and line[0] not in "#)":
            break
        end += 1
    return end


def parse_block(lines: Sequence[str], first: int) -> ast.Module | None:
    """Parse the function or class at line ``first`` as :func:`parse_definition` does."""
    return parse_definition("\n".join(lines[first : end_of_block(lines, first)]))


def parse_definition(text: str) -> ast.Module | None:
    """Parse a function or class with a line prepended, so line numbers are 1 higher; ``None`` if that fails."""
    try:
        return ast.parse(f"if 1:\n{text}" if text[:1].isspace() else f"\n{text}")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())
