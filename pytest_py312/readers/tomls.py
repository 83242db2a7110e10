"""A TOML text parsed with limits, with the lines of its keys."""

import re
import tomllib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

from pytest_py312.readers.toml_lines import KeyPath, key_lines, value_spans

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
