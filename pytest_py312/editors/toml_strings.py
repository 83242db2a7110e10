"""One string of a TOML document: what it says, and where each of its characters stands in the document."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_py312.editors.base import EditRefused, Splice

_UNIT = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[^uU])|[^\\]", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class TomlString:
    """``text`` is what the string says; ``places[i]`` where (start, end) its character ``i`` stands.

    ``opening`` is where the first character would stand in an empty string.
    """

    text: str
    places: Sequence[tuple[int, int]]
    opening: int

    def in_document(self, splice: Splice) -> Splice:
        """A splice of :attr:`text` as one of the document."""
        if splice.start == splice.end:
            place = self.places[splice.start - 1][1] if splice.start else self.opening
            return Splice(start=place, end=place, text=splice.text)
        return Splice(start=self.places[splice.start][0], end=self.places[splice.end - 1][1], text=splice.text)


def toml_string(document: str, span: tuple[int, int]) -> TomlString:
    """The string literal at ``span`` of ``document``.

    :raises EditRefused: it runs over several lines in a way that leaves open where its characters stand.
    """
    start, end = span
    raw = document[start:end]
    mark = next(mark for mark in ('"""', "'''", '"', "'") if raw.startswith(mark))
    text = str(tomllib.loads(f"key = {raw}")["key"])
    start, end = start + len(mark), end - len(mark)
    if len(mark) == 3:
        start += 2 if document.startswith("\r\n", start) else 1 if document.startswith("\n", start) else 0
    if "'" in mark:
        places = [(place, place + 1) for place in range(start, end)]
    else:
        places = [match.span() for match in _UNIT.finditer(document, start, end)]
    if len(places) != len(text):
        raise EditRefused("The requirement is written over several lines of one string; edit it by hand.")
    return TomlString(text=text, places=places, opening=start)
