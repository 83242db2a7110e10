"""A text whose characters remember where they stand in the file that they come from.

Where the strings of a Python file stand in its text. No code is executed.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LENGTH_LIMIT = 4_000
"""Characters of one value with all variables put in."""

_VARIABLE = re.compile(
    r"\\\$|\$\{(?P<braced>[A-Za-z_]\w*)(?:(?P<operator>:?[-+])(?P<word>[^{}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Traced:
    """``offsets[i]`` is where character ``i`` of ``text`` stands."""

    text: str
    offsets: Sequence[int]

    @classmethod
    def of(cls, text: str, start: int, end: int) -> "Traced":
        """The characters from ``start`` to before ``end``."""
        return cls(text[start:end], range(start, end))

    def part(self, start: int, end: int) -> "Traced":
        return Traced(self.text[start:end], self.offsets[start:end])

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the characters stand in the file, if they stand there side by side."""
        found = self.offsets[start:end]
        if not found or any(found[index] + 1 != found[index + 1] for index in range(len(found) - 1)):
            return None
        return found[0], found[-1] + 1


def expanded(value: Traced, values: Mapping[str, Traced], missing: list[str] | None = None) -> Traced:
    """``value`` with ``$X``, ``${X}``, ``${X:-y}`` and ``${X:+y}`` put in.

    A name without a value is nothing, and is added to ``missing``.
    """
    parts: list[Traced] = []
    position = 0
    for match in _VARIABLE.finditer(value.text):
        parts.append(value.part(position, match.start()))
        position = match.end()
        parts.append(_value_of(value, match, values, missing))
    parts.append(value.part(position, len(value.text)))
    text = "".join(part.text for part in parts)[:LENGTH_LIMIT]
    offsets = [offset for part in parts for offset in part.offsets][:LENGTH_LIMIT]
    return Traced(text, offsets)


def _value_of(value: Traced, match: re.Match[str], values: Mapping[str, Traced], missing: list[str] | None) -> Traced:
    name = match["braced"] or match["bare"]
    if name is None:
        return value.part(match.end() - 1, match.end())
    found = values.get(name)
    operator = match["operator"] or ""
    given = bool(found and found.text) if operator.startswith(":") else found is not None
    word = value.part(*match.span("word")) if match["word"] is not None else Traced("", ())
    if operator.endswith("+"):
        return word if given else Traced("", ())
    if given and found is not None:
        return found
    if operator.endswith("-"):
        return expanded(word, values)
    if found is None and missing is not None:
        missing.append(name)
    return found or Traced("", ())


class SourceText:
    """Where the nodes of a syntax tree stand: it counts bytes of lines, we count characters."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._shift = 1 if text.startswith("\ufeff") else 0
        plain = text.removeprefix("\ufeff")
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", plain))]
        self._plain = plain

    def at(self, node: ast.expr) -> tuple[int, int]:
        start = self._offset(node.lineno, node.col_offset)
        return start, max(start, self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0))

    def _offset(self, line: int, column: int) -> int:
        start = self._starts[min(line, len(self._starts)) - 1]
        piece = self._plain[start : start + column]
        if not piece.isascii():
            piece = piece.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore")
        return start + len(piece) + self._shift

    def content(self, node: ast.expr) -> tuple[tuple[int, int], bool]:
        """Where a string stands within its quotation marks, and whether those characters are what it says."""
        start, end = self.at(node)
        raw = self._text[start:end]
        match = re.match(r"[rRuU]{0,1}(\"\"\"|'''|\"|')", raw)
        if not match or not isinstance(node, ast.Constant):
            return (start, end), False
        span = (start + match.end(), max(start + match.end(), end - len(match[1])))
        return span, self._text[span[0] : span[1]] == node.value
