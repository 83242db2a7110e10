r"""Rewrite invalid escapes in strings (``"\\d"``), of which compilers warn, without changing the string's value.

The string becomes a raw one if that keeps its value; otherwise the backslashes of invalid escapes are doubled.
"""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator

from pytest_py312.core.text_edits import EditRefused, TextEdit, apply_edits
from pytest_py312.repository.edits.python.syntax import PythonSource

_LITERAL = re.compile(r"""([A-Za-z]*)('''|\"""|'|")""")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_VALID_ESCAPES = frozenset("\r\n\\'\"abfnrtvx01234567")
_TEXT_ESCAPES = frozenset("NuU")


class InvalidEscapes:
    """The strings of one file with invalid escapes, by line.

    :raises EditRefused: the text cannot be tokenized.
    """

    def __init__(self, source: PythonSource) -> None:
        self._source = source
        self._spans_by_line: dict[int, list[tuple[int, int]]] = {}
        for start, end, first, last in string_literals(source):
            if _invalid_escapes(source.text[start:end]):
                for line in range(first, last + 1):
                    self._spans_by_line.setdefault(line, []).append((start, end))

    def edits_on(self, line: int) -> list[TextEdit]:
        """Return the edits of all such strings on ``line``.

        :raises EditRefused: there is none, or one cannot be rewritten.
        """
        spans = self._spans_by_line.get(line)
        if not spans:
            raise EditRefused("No string on this line has an invalid escape.")
        return [text_edit for start, end in spans for text_edit in _literal_edits(self._source.text[start:end], start)]


def string_literals(source: PythonSource) -> Iterator[tuple[int, int, int, int]]:
    """Yield start, end (offsets), first and last line of each string; an f-string with code in it is one string.

    :raises EditRefused: the text cannot be tokenized.
    """
    depth = 0
    start = (0, 0)
    for token in _tokens(source):
        kind = tokenize.tok_name[token.type]
        if kind.endswith("STRING_START"):
            start = start if depth else token.start
            depth += 1
        depth -= kind.endswith("STRING_END")
        if not depth and kind.endswith(("STRING_END", "STRING")):
            begin = token.start if kind == "STRING" else start
            span = source.offset_of_token(begin), source.offset_of_token(token.end)
            yield *span, begin[0], token.end[0]


def _tokens(source: PythonSource) -> list[tokenize.TokenInfo]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's file: since 3.12, of escapes in f-strings
            return list(tokenize.generate_tokens(io.StringIO(source.normalized).readline))
    except (tokenize.TokenError, SyntaxError, IndexError) as error:
        raise EditRefused(f"The file cannot be tokenized: {error}") from None


def _invalid_escapes(literal: str) -> list[int]:
    """Return the offsets of the backslashes of invalid escapes."""
    head = _LITERAL.match(literal)
    if head is None or "r" in head[1].lower():
        return []
    valid = _VALID_ESCAPES if "b" in head[1].lower() else _VALID_ESCAPES | _TEXT_ESCAPES
    return [match.start() for match in _ESCAPE.finditer(literal, head.end()) if match[1] not in valid]


def _literal_edits(literal: str, start: int) -> list[TextEdit]:
    head = _LITERAL.match(literal)
    raw = [TextEdit(start=0, end=0, text="r")]
    doubled = [TextEdit(start=offset, end=offset, text="\\") for offset in _invalid_escapes(literal)]
    # u"" has no raw form, so its backslashes are doubled
    alternatives = (raw, doubled) if head is not None and "u" not in head[1].lower() else (doubled,)
    for alternative in alternatives:
        if _is_same_value(literal, apply_edits(literal, alternative)):
            return [
                TextEdit(start=start + text_edit.start, end=start + text_edit.end, text=text_edit.text)
                for text_edit in alternative
            ]
    raise EditRefused("The string would change its value.")


def _is_same_value(original: str, edited: str) -> bool:
    """Return whether both literals have the same value, and the second has no invalid escape."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            edited_dump = ast.dump(ast.parse(f"({edited})"))
            has_invalid = any("invalid escape" in str(warning.message) for warning in caught)
            return ast.dump(ast.parse(f"({original})")) == edited_dump and not has_invalid
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
