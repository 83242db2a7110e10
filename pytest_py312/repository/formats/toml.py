"""Parse TOML with the positions of its keys and values.

``tomllib`` returns values without positions, and no maintained TOML library provides line numbers. The scanner adds
them to a document that ``tomllib`` has already accepted, so it only follows the structure. Wrong positions are worse
than none: unless the keys it finds equal those of ``tomllib``, there are no positions at all.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

KeyPath = tuple[str | int, ...]
"""Names of tables and keys, and indexes (from 0) into arrays: ``("stage", 0, "services", 2)``."""

_DEEPEST_KEY = 32
_DEEPLY_DOTTED_KEY = re.compile(
    r"""(?<![\w-])(?:(?:[A-Za-z0-9_-]++|"(?:\\.|[^"\\\n])*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII
)
"""``tomllib`` takes quadratic time for such a key, and nobody writes one."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d\d:[^\s,\]}#]+)?")
"""A number, a boolean or a date; its only space separates date and time."""


class DeepKey(ValueError):
    """A dotted key has more than 64 parts; ``line`` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"a dotted key has more than 64 parts (at line {line}, column 1)")
        self.line = line


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML in linear time.

    :raises ValueError: it is not TOML, or :class:`DeepKey`.
    :raises RecursionError: it is nested too deep.
    """
    if deep_key := _DEEPLY_DOTTED_KEY.search(text):
        raise DeepKey(text.count("\n", 0, deep_key.start()) + 1)
    return tomllib.loads(text)


def key_lines(text: str, document: Mapping[str, object]) -> Mapping[KeyPath, int]:
    """Return the line, counted from 1, on which each key, table and array element begins.

    ``document`` is the result of ``tomllib`` for ``text``. Empty if the scanner finds other keys.
    """
    scanner = _agreeing_scanner(text, document)
    return scanner.lines if scanner else {}


def string_spans(text: str, document: Mapping[str, object]) -> Mapping[KeyPath, tuple[int, int]]:
    """Return the span in characters of each string value, including its quotation marks.

    Empty if the scanner finds other keys than ``document`` has, as in :func:`key_lines`.
    """
    scanner = _agreeing_scanner(text, document)
    return scanner.strings if scanner else {}


def value_spans(text: str, document: Mapping[str, object]) -> Mapping[KeyPath, tuple[int, int]]:
    """Return the spans of :func:`string_spans`, and those of numbers, booleans and dates."""
    scanner = _agreeing_scanner(text, document)
    return {**scanner.strings, **scanner.scalars} if scanner else {}


def _agreeing_scanner(text: str, document: Mapping[str, object]) -> "_Scanner | None":
    """Return a scanner that has read ``text``; ``None`` if it finds other keys than ``document`` has."""
    try:
        scanner = _Scanner(text)
        scanner.scan()
        return scanner if scanner.lines.keys() == set(_key_paths(document, ())) else None
    except (_UnexpectedSyntax, RecursionError):
        return None


def _key_paths(value: object, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        members: list[tuple[str | int, object]] = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    else:
        return
    for step, member in members:
        yield (*path, step)
        yield from _key_paths(member, (*path, step))


class _UnexpectedSyntax(Exception):
    """The scanner does not understand the text."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._line_breaks = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[KeyPath, int] = {}
        self.strings: dict[KeyPath, tuple[int, int]] = {}
        self.scalars: dict[KeyPath, tuple[int, int]] = {}
        self._array_lengths: dict[KeyPath, int] = {}
        """Number of tables of each array of tables so far."""

    def scan(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            line = self._line()
            if self._accept("[["):
                table = self._header(line, closing="]]")
            elif self._accept("["):
                table = self._header(line, closing="]")
            else:
                self._key_value_pair(table)

    def _header(self, line: int, *, closing: str) -> KeyPath:
        *parents, last = self._key()
        self._expect(closing)
        path: KeyPath = ()
        for part in parents:
            path = self._latest_table((*path, part))
            self.lines.setdefault(path, line)
        path = (*path, last)
        if closing == "]":
            self.lines[path] = line
            return path
        self.lines.setdefault(path, line)
        index = self._array_lengths.get(path, 0)
        self._array_lengths[path] = index + 1
        self.lines[(*path, index)] = line
        return (*path, index)

    def _latest_table(self, path: KeyPath) -> KeyPath:
        """Return ``path``, or the latest table of the array of tables at ``path``."""
        length = self._array_lengths.get(path)
        return (*path, length - 1) if length else path

    def _key_value_pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._value(path)

    def _key(self) -> list[str]:
        parts = [self._key_part()]
        while self._accept("."):
            parts.append(self._key_part())
            if len(parts) > _DEEPEST_KEY:
                raise _UnexpectedSyntax
        return parts

    def _key_part(self) -> str:
        self._skip(_SPACE)
        if self._text[self._offset : self._offset + 1] in ('"', "'"):
            quoted = self._consume(_STRING)
            try:
                name = tomllib.loads(f"key = {quoted}")["key"]
            except tomllib.TOMLDecodeError:
                raise _UnexpectedSyntax from None
            part = str(name)
        else:
            part = self._consume(_BARE_KEY)
        self._skip(_SPACE)
        return part

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._accept("["):
            self._array(path)
        elif self._accept("{"):
            self._inline_table(path)
        elif self._text[self._offset : self._offset + 1] in ('"', "'"):
            start = self._offset
            self._consume(_STRING)
            self.strings[path] = (start, self._offset)
        else:
            start = self._offset
            self._consume(_SCALAR)
            self.scalars[path] = (start, self._offset)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._skip_blank() and not self._accept("]"):
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._skip_blank()
            self._accept(",")

    def _inline_table(self, path: KeyPath) -> None:
        while self._skip_blank() and not self._accept("}"):
            self._key_value_pair(path)
            self._skip_blank()
            self._accept(",")

    def _line(self) -> int:
        return bisect_left(self._line_breaks, self._offset) + 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._offset)
        if match:
            self._offset = match.end()

    def _skip_blank(self) -> bool:
        """Skip blanks and comments; return false at the end of the document."""
        self._skip(_BLANK)
        return self._offset < len(self._text)

    def _accept(self, token: str) -> bool:
        is_next = self._text.startswith(token, self._offset)
        if is_next:
            self._offset += len(token)
        return is_next

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise _UnexpectedSyntax

    def _consume(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._offset)
        if not match or match.end() == self._offset:
            raise _UnexpectedSyntax
        self._offset = match.end()
        return match[0]


MAX_LENGTH = 1_000_000


@lru_cache(maxsize=4)
def read_toml(text: str) -> "TomlText":
    """Parse ``text``. Cached, because several readers parse the same text in succession."""
    return TomlText(text)


class TomlText:
    """A parsed TOML text, for reading only. If it is invalid, ``parse_error`` is set and ``data`` is empty."""

    def __init__(self, text: str) -> None:
        self.data: dict[str, Any] = {}
        self.parse_error = ""
        self.parse_error_line: int | None = None
        self._original = text
        self._text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        if len(text) > MAX_LENGTH:
            self.parse_error = f"it is longer than {MAX_LENGTH} characters"
            return
        try:
            self.data = parse_toml(self._text)
        except (ValueError, RecursionError, OverflowError) as error:
            self.parse_error = str(error)[:200] or type(error).__name__
            at_line = re.search(r"at line (\d+)", self.parse_error)
            self.parse_error_line = int(at_line[1]) if at_line else None

    @cached_property
    def _key_lines(self) -> Mapping[KeyPath, int]:
        return key_lines(self._text, self.data)

    @cached_property
    def _spans(self) -> Mapping[KeyPath, tuple[int, int]]:
        # replacing the byte order mark by a space keeps all positions
        text = " " + self._original[1:] if self._original.startswith("\ufeff") else self._original
        return value_spans(text, self.data)

    def span(self, *keys: str | int) -> tuple[int, int] | None:
        """Return the span of the value at ``keys`` including its quotation marks, if it is known."""
        return self._spans.get(keys)

    def table(self, *keys: str) -> Mapping[str, Any]:
        """Return the table at ``keys``; empty if there is none."""
        value = self.value(*keys)
        return value if isinstance(value, dict) else {}

    def value(self, *keys: str) -> Any:
        """Return the value at ``keys``, or ``None``."""
        node: Any = self.data
        for key in keys:
            if not isinstance(node, dict):
                return None
            node = node.get(key)
        return node

    def line(self, *keys: str | int) -> int:
        """Return the line (from 1) of ``keys`` or of its nearest known parent; 1 if none is known."""
        for depth in range(len(keys), 0, -1):
            if keys[:depth] in self._key_lines:
                return self._key_lines[keys[:depth]]
        return 1


def strings_in(value: Any) -> tuple[str, ...]:
    """Return the strings of a list, or a single string."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
