"""Escapes that mean nothing (``"\\d"``), which compilers warn of: written so that the string is the same without them.

A string becomes a raw one where that changes nothing of it, else the backslashes of such escapes are doubled.
"""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator

from pytest_py312.core.text_edits import EditRefused, Splice, spliced
from pytest_py312.repository.edits.python.syntax import PythonText

_LITERAL = re.compile(r"""([A-Za-z]*)('''|\"""|'|")""")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANINGFUL = frozenset("\r\n\\'\"abfnrtvx01234567")
_OF_TEXT = frozenset("NuU")


class Escapes:
    """The strings of one file that hold such escapes, by the lines they are on.

    :raises EditRefused: the text cannot be cut into tokens.
    """

    def __init__(self, source: PythonText) -> None:
        self._source = source
        self._by_line: dict[int, list[tuple[int, int]]] = {}
        for start, end, first, last in literals(source):
            if _meaningless(source.text[start:end]):
                for line in range(first, last + 1):
                    self._by_line.setdefault(line, []).append((start, end))

    def mended(self, line: int) -> list[Splice]:
        """The changes of all such strings on ``line``.

        :raises EditRefused: there is none, or one cannot be written otherwise.
        """
        found = self._by_line.get(line)
        if not found:
            raise EditRefused("No string here has an escape that means nothing.")
        return [splice for start, end in found for splice in _of_literal(self._source.text[start:end], start)]


def literals(source: PythonText) -> Iterator[tuple[int, int, int, int]]:
    """Start, end (offsets), first and last line of each string; one with code inside is one string.

    :raises EditRefused: the text cannot be cut into tokens.
    """
    depth = 0
    start = (0, 0)
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.normal).readline):
            kind = tokenize.tok_name[token.type]
            if kind.endswith("STRING_START"):
                start = start if depth else token.start
                depth += 1
            depth -= kind.endswith("STRING_END")
            if not depth and kind.endswith(("STRING_END", "STRING")):
                begin = token.start if kind == "STRING" else start
                places = source.offset_of_token(begin), source.offset_of_token(token.end)
                yield *places, begin[0], token.end[0]
    except (tokenize.TokenError, SyntaxError, IndexError) as error:
        raise EditRefused(f"The file cannot be cut into tokens: {error}") from None


def _meaningless(literal: str) -> list[int]:
    """Offsets of the backslashes of such escapes."""
    head = _LITERAL.match(literal)
    if head is None or "r" in head[1].lower():
        return []
    known = _MEANINGFUL if "b" in head[1].lower() else _MEANINGFUL | _OF_TEXT
    return [match.start() for match in _ESCAPE.finditer(literal, head.end()) if match[1] not in known]


def _of_literal(literal: str, start: int) -> list[Splice]:
    head = _LITERAL.match(literal)
    raw = [Splice(start=0, end=0, text="r")]
    doubled = [Splice(start=place, end=place, text="\\") for place in _meaningless(literal)]
    # there is no raw form of u"": it stays as it is, and its backslashes are doubled
    ways = (raw, doubled) if head is not None and "u" not in head[1].lower() else (doubled,)
    for way in ways:
        if _is_same(literal, spliced(literal, way)):
            return [Splice(start=start + one.start, end=start + one.end, text=one.text) for one in way]
    raise EditRefused("The string would not be the same.")


def _is_same(before: str, after: str) -> bool:
    """Whether both mean the same, and no such escape is left in the second."""
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            new = ast.dump(ast.parse(f"({after})"))
            left = any("invalid escape" in str(one.message) for one in seen)
            return ast.dump(ast.parse(f"({before})")) == new and not left
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
