"""Where the strings of a Python file stand in its text. No code is executed."""

import ast
import re


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
