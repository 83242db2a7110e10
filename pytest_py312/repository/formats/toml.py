"""Where the keys of a TOML document stand.

``tomllib`` gives values without positions, and no maintained TOML library gives line numbers. This scanner adds them
to a document that ``tomllib`` has accepted already, so it follows the structure and judges nothing. A wrong line is
worse than none: what it found must agree with what ``tomllib`` found, key by key, or it gives no lines at all.

A TOML text parsed with limits, with the lines of its keys.
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
"""A number, a truth value or a date; the one space is that between a date and its time."""


def key_lines(text: str, document: Mapping[str, object]) -> Mapping[KeyPath, int]:
    """The line, counted from 1, on which each key, table and array element begins.

    ``document`` is what ``tomllib`` made of ``text``. Empty when the two do not agree.
    """
    try:
        found = _Scanner(text).scan()
        return found if found.keys() == set(_paths(document, ())) else {}
    except (_Lost, RecursionError):
        return {}


def string_spans(text: str, document: Mapping[str, object]) -> Mapping[KeyPath, tuple[int, int]]:
    """From where to where (counted in characters) each string value stands, quotation marks included.

    Empty when what is found does not agree with ``document``, as in :func:`key_lines`.
    """
    try:
        scanner = _Scanner(text)
        return scanner.strings if scanner.scan().keys() == set(_paths(document, ())) else {}
    except (_Lost, RecursionError):
        return {}


def value_spans(text: str, document: Mapping[str, object]) -> Mapping[KeyPath, tuple[int, int]]:
    """The same as :func:`string_spans`, of numbers, truth values and dates as well."""
    try:
        scanner = _Scanner(text)
        agrees = scanner.scan().keys() == set(_paths(document, ()))
        return {**scanner.strings, **scanner.scalars} if agrees else {}
    except (_Lost, RecursionError):
        return {}


def _paths(value: object, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, dict):
        members: list[tuple[str | int, object]] = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    else:
        return
    for step, member in members:
        yield (*path, step)
        yield from _paths(member, (*path, step))


class _Lost(Exception):
    """The scanner does not understand the text."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self.strings: dict[KeyPath, tuple[int, int]] = {}
        self.scalars: dict[KeyPath, tuple[int, int]] = {}
        self._lengths: dict[KeyPath, int] = {}
        """How many tables each array of tables has so far."""

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_blank():
            line = self._line()
            if self._accept("[["):
                table = self._header(line, closing="]]")
            elif self._accept("["):
                table = self._header(line, closing="]")
            else:
                self._pair(table)
        return self._lines

    def _header(self, line: int, *, closing: str) -> KeyPath:
        *parents, last = self._key()
        self._expect(closing)
        path: KeyPath = ()
        for part in parents:
            path = self._inside((*path, part))
            self._lines.setdefault(path, line)
        path = (*path, last)
        if closing == "]":
            self._lines[path] = line
            return path
        self._lines.setdefault(path, line)
        index = self._lengths.get(path, 0)
        self._lengths[path] = index + 1
        self._lines[(*path, index)] = line
        return (*path, index)

    def _inside(self, path: KeyPath) -> KeyPath:
        """``path``, or the latest table of the array of tables that it names."""
        length = self._lengths.get(path)
        return (*path, length - 1) if length else path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._expect("=")
        self._value(path)

    def _key(self) -> list[str]:
        parts = [self._key_part()]
        while self._accept("."):
            parts.append(self._key_part())
            if len(parts) > _DEEPEST_KEY:
                raise _Lost
        return parts

    def _key_part(self) -> str:
        self._skip(_SPACE)
        if self._text[self._at : self._at + 1] in ('"', "'"):
            quoted = self._take(_STRING)
            try:
                name = tomllib.loads(f"key = {quoted}")["key"]
            except tomllib.TOMLDecodeError:
                raise _Lost from None
            part = str(name)
        else:
            part = self._take(_BARE_KEY)
        self._skip(_SPACE)
        return part

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._accept("["):
            self._array(path)
        elif self._accept("{"):
            self._inline_table(path)
        elif self._text[self._at : self._at + 1] in ('"', "'"):
            start = self._at
            self._take(_STRING)
            self.strings[path] = (start, self._at)
        else:
            start = self._at
            self._take(_SCALAR)
            self.scalars[path] = (start, self._at)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._skip_blank() and not self._accept("]"):
            self._lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._skip_blank()
            self._accept(",")

    def _inline_table(self, path: KeyPath) -> None:
        while self._skip_blank() and not self._accept("}"):
            self._pair(path)
            self._skip_blank()
            self._accept(",")

    def _line(self) -> int:
        return bisect_left(self._breaks, self._at) + 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _skip_blank(self) -> bool:
        """Go on to the next thing that counts; false at the end of the document."""
        self._skip(_BLANK)
        return self._at < len(self._text)

    def _accept(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        if found:
            self._at += len(token)
        return found

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise _Lost

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if not match or match.end() == self._at:
            raise _Lost
        self._at = match.end()
        return match[0]


LENGTH_LIMIT = 1_000_000


@lru_cache(maxsize=4)
def read_toml(text: str) -> "TomlText":
    """``text`` parsed; several readers ask for the same text one after the other."""
    return TomlText(text)


class TomlText:
    """A parsed TOML text, for reading only. ``trouble`` is not empty where it is none; ``data`` is then empty."""

    def __init__(self, text: str) -> None:
        self.data: dict[str, Any] = {}
        self.trouble = ""
        self.trouble_line: int | None = None
        self._original = text
        self._text = text.removeprefix("\ufeff").replace("\r\n", "\n")
        if len(text) > LENGTH_LIMIT:
            self.trouble = f"it is longer than {LENGTH_LIMIT} characters"
            return
        try:
            self.data = tomllib.loads(self._text)
        except (ValueError, RecursionError, OverflowError) as error:
            self.trouble = str(error)[:200] or type(error).__name__
            at_line = re.search(r"at line (\d+)", self.trouble)
            self.trouble_line = int(at_line[1]) if at_line else None

    @cached_property
    def _places(self) -> Mapping[KeyPath, int]:
        return key_lines(self._text, self.data)

    @cached_property
    def _spans(self) -> Mapping[KeyPath, tuple[int, int]]:
        # a space in the place of a byte order mark keeps all positions
        text = " " + self._original[1:] if self._original.startswith("\ufeff") else self._original
        return value_spans(text, self.data)

    def span(self, *keys: str | int) -> tuple[int, int] | None:
        """Where the value at ``keys`` stands in the text (quotation marks included), if that is known."""
        return self._spans.get(keys)

    def table(self, *keys: str) -> Mapping[str, Any]:
        """The table at ``keys``; empty when there is none."""
        value = self.value(*keys)
        return value if isinstance(value, dict) else {}

    def value(self, *keys: str) -> Any:
        """What stands at ``keys``, or ``None``."""
        found: Any = self.data
        for key in keys:
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found

    def line(self, *keys: str | int) -> int:
        """The line (from 1) of what stands at ``keys``, or of the nearest thing above it; 1 when that is unknown."""
        for depth in range(len(keys), 0, -1):
            if keys[:depth] in self._places:
                return self._places[keys[:depth]]
        return 1


def texts(value: Any) -> tuple[str, ...]:
    """The strings of a list, or a single string."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
