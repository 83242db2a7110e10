"""Map text back to its positions in a file.

:class:`TrackedText` is text whose characters keep their offsets, even after variables are substituted.
:class:`SourcePositions` maps nodes of a Python syntax tree to character offsets. Comments and the syntax
of templates are blanked in place.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_LENGTH = 4_000
"""Characters of one value after substituting all variables."""

_VARIABLE = re.compile(
    r"\\\$|\$\{(?P<braced>[A-Za-z_]\w*)(?:(?P<operator>:?[-+])(?P<word>[^{}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class TrackedText:
    """Text with the offset of each character in its file: ``offsets[i]`` belongs to ``text[i]``."""

    text: str
    offsets: Sequence[int]

    @classmethod
    def from_span(cls, text: str, start: int, end: int) -> "TrackedText":
        """Return the characters from ``start`` up to and excluding ``end``."""
        return cls(text[start:end], range(start, end))

    def section(self, start: int, end: int) -> "TrackedText":
        return TrackedText(self.text[start:end], self.offsets[start:end])

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the span in the file, if the characters are adjacent there."""
        offsets = self.offsets[start:end]
        if not offsets or any(offsets[index] + 1 != offsets[index + 1] for index in range(len(offsets) - 1)):
            return None
        return offsets[0], offsets[-1] + 1


def expand_variables(
    value: TrackedText, values: Mapping[str, TrackedText], missing: list[str] | None = None
) -> TrackedText:
    """Substitute ``$X``, ``${X}``, ``${X:-y}`` and ``${X:+y}`` in ``value``.

    A name without a value is replaced by nothing and added to ``missing``.
    """
    parts: list[TrackedText] = []
    position = length = 0
    for match in _VARIABLE.finditer(value.text):
        parts.append(value.section(position, match.start()))
        position = match.end()
        parts.append(_variable_value(value, match, values, missing))
        length += len(parts[-1].text) + len(parts[-2].text)
        if length > MAX_LENGTH:
            break
    parts.append(value.section(position, len(value.text)))
    text = "".join(part.text for part in parts)[:MAX_LENGTH]
    offsets = [offset for part in parts for offset in part.offsets][:MAX_LENGTH]
    return TrackedText(text, offsets)


def _variable_value(
    value: TrackedText, match: re.Match[str], values: Mapping[str, TrackedText], missing: list[str] | None
) -> TrackedText:
    name = match["braced"] or match["bare"]
    if name is None:
        return value.section(match.end() - 1, match.end())
    variable = values.get(name)
    operator = match["operator"] or ""
    is_set = bool(variable and variable.text) if operator.startswith(":") else variable is not None
    operand = value.section(*match.span("word")) if match["word"] is not None else TrackedText("", ())
    if operator.endswith("+"):
        return operand if is_set else TrackedText("", ())
    if is_set and variable is not None:
        return variable
    if operator.endswith("-"):
        return expand_variables(operand, values)
    if variable is None and missing is not None:
        missing.append(name)
    return variable or TrackedText("", ())


class SourcePositions:
    """Mapping of nodes of a syntax tree, whose columns count bytes, to character offsets in the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._mark_length = 1 if text.startswith("\ufeff") else 0
        plain = text.removeprefix("\ufeff")
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", plain))]
        self._without_mark = plain

    def span_of(self, node: ast.expr) -> tuple[int, int]:
        start = self._offset(node.lineno, node.col_offset)
        return start, max(start, self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0))

    def _offset(self, line: int, column: int) -> int:
        start = self._starts[min(line, len(self._starts)) - 1]
        piece = self._without_mark[start : start + column]
        if not piece.isascii():
            piece = piece.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore")
        return start + len(piece) + self._mark_length

    def string_content(self, node: ast.expr) -> tuple[tuple[int, int], bool]:
        """Return the span of a string within its quotation marks, and whether these characters equal its value."""
        start, end = self.span_of(node)
        raw = self._text[start:end]
        match = re.match(r"[rRuU]{0,1}(\"\"\"|'''|\"|')", raw)
        if not match or not isinstance(node, ast.Constant):
            return (start, end), False
        span = (start + match.end(), max(start + match.end(), end - len(match[1])))
        return span, self._text[span[0] : span[1]] == node.value


_QUOTED = r"""(?<![\w)\]])(?:"(?:\\.|[^"\\\r\n]){0,300}"|'[^'\r\n]{0,300}')"""
_HASH_COMMENT = re.compile(rf"(?P<quoted>{_QUOTED})|(?:(?<=[ \t])|^)#[^\r\n]*", re.MULTILINE | re.ASCII)
_HASH_LINE = re.compile(r"^[ \t]*#[^\r\n]*", re.MULTILINE)
_SLASH_COMMENT = re.compile(
    rf"(?P<quoted>{_QUOTED})|(?:(?<=[\s,;{{}}\[\]()])|^)(?://[^\r\n]*|/\*.*?\*/)", re.MULTILINE | re.DOTALL | re.ASCII
)


# no syntax of Jinja contains its own beginning: so a text of beginnings alone is read once
_JINJA = re.compile(
    r"\{%(?:(?!\{%).){0,2000}?%\}|\{#(?:(?!\{#).){0,2000}?#\}|(?P<value>\{\{(?:(?!\{\{).){0,2000}?\}\})", re.DOTALL
)
_JINJA_ENDING = re.compile(r"\.(?:j2|jinja2?)$", re.IGNORECASE)


def without_jinja_ending(name: str) -> str:
    """Return the name of the file that Jinja makes from one with this name; other names stay."""
    return _JINJA_ENDING.sub("", name)


def blank_jinja(text: str) -> str:
    """Replace the statements and comments of Jinja by blanks, and its values by words of the same length.

    What conditions exclude stays beside what they include.
    """
    return _JINJA.sub(lambda match: "x" * len(match[0]) if match["value"] else blanked(match), text)


def blank_hash_comments(text: str, *, whole_lines_only: bool = False) -> str:
    """Replace ``# ...`` by blanks: at the start of a line, or after a blank outside of quotation marks.

    YAML, ini files and the scripts within them write comments like this. ``whole_lines_only``: only lines that are a
    comment as a whole, as in a Dockerfile.
    """
    return (_HASH_LINE if whole_lines_only else _HASH_COMMENT).sub(blanked, text)


def blank_slash_comments(text: str) -> str:
    """Replace ``// ...`` and ``/* ... */`` outside of quotation marks by blanks."""
    return _SLASH_COMMENT.sub(blanked, text)


def blanked(match: re.Match[str]) -> str:
    """Return blanks in place of a match, with its line ends; a group ``quoted`` stays as it is."""
    if match.groupdict().get("quoted"):
        return match[0]
    return re.sub(r"[^\r\n]", " ", match[0])
