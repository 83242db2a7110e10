"""A place that says a Python version: which characters, what they mean, and whether they may be written anew.

Readers make places, the checks judge them and the editors write into them; a place itself does nothing.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Declaration

PLACE_LIMIT = 2_000
"""Places that are kept of one file: more were not written by a person."""


class Meaning(Enum):
    """What a place does with the version that it says."""

    EXACT = "exact"
    """This one is used: an image, a pin, the version that a workflow sets up."""
    MEMBER = "member"
    """One of several that are used side by side: a matrix, an envlist, classifiers."""
    FLOOR = "floor"
    """The oldest that the code must suit: what a linter or a type checker takes for granted."""
    RANGE = "range"
    """All that lie in a range: ``requires-python``."""
    PATH = "path"
    """A path or a command that exists beside one version only: ``/usr/local/lib/python3.10/site-packages``."""
    LABEL = "label"
    """Words for people: the name of a step."""
    FLOATING = "floating"
    """A Python, and which one is settled elsewhere: ``python:3``, ``3.x``, an image of conda's."""
    APART = "apart"
    """A version that does not tell what the service runs on: PyPy, a combination that is left out of a matrix."""
    UNKNOWN = "unknown"
    """Only a run could tell; :attr:`Place.unclear` says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """The member of a list that a place stands in: its characters, and which list.

    ``lines``: each member fills lines of its own, after the same beginning. Otherwise commas part them.
    ``whole``: the member says more than a version, such as a combination of a matrix.
    """

    group: str
    start: int
    end: int
    lines: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a file says a Python version.

    ``kind`` is that of a Declaration (``image``, ``workflow``, ``metadata``, ``tool``, ``pin``); ``text`` what stands
    there in its own words; ``subject`` what it is about (``stage builder``, ``requires-python``). ``start`` and
    ``end`` count characters of the text: they hold the version and nothing else (of a range, all of it).
    ``line``, ``column`` and ``end_column`` count from 1, and the last is that after the version.
    """

    kind: str
    path: str
    line: int
    column: int
    end_column: int
    start: int
    end: int
    text: str
    meaning: Meaning
    subject: str = ""
    version: Interpreter | None = None
    written: str = ""
    """The characters from ``start`` to ``end``."""
    quoted: bool = True
    """False for a plain YAML or TOML scalar, which may be taken for a number."""
    misread: str = ""
    """What is read there instead of what is meant: an unquoted ``3.10`` is the number ``3.1``."""
    images: tuple[str, ...] = ()
    """The images whose tags say the version, with all variables put in."""
    serves: tuple[int, ...] = ()
    """The lines of the instructions whose image the place settles."""
    bound_line: int | None = None
    """The line of the instruction whose image the place has to agree with."""
    item: Item | None = None
    keeps_patch: bool = False
    """Whether a patch release has to be named here (asdf, a tarball)."""
    fixed: str = ""
    """Why it cannot be written anew, as a sentence; empty where it can."""
    unclear: str = ""
    """Why nothing can be told, as a sentence; for meaning UNKNOWN."""
    declared: bool = True
    """Whether it is one of the service's declarations, from which its baseline is taken."""

    @property
    def editable(self) -> bool:
        return not self.fixed and self.meaning not in (Meaning.APART, Meaning.FLOATING, Meaning.UNKNOWN)

    @property
    def location(self) -> Location:
        return Location(path=self.path, line=self.line, column=self.column)

    @property
    def declaration(self) -> Declaration:
        return Declaration(
            kind=self.kind,
            text=self.text,
            location=Location(path=self.path, line=self.line),
            interpreter=None if self.misread else self.version,
        )


class Positions:
    """From a count of characters to line and column. ``\\n``, ``\\r\\n`` and ``\\r`` end lines."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def start_of(self, line: int) -> int:
        """Where ``line`` begins, or the last one."""
        return self._starts[min(max(line, 1), len(self._starts)) - 1]


class Scribe:
    """Collects the places of one text: the first word on each character counts."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self._positions = Positions(text)
        self._found: dict[int, Place] = {}

    def line(self, offset: int) -> int:
        return self._positions.at(offset)[0]

    def note(self, kind: str, meaning: Meaning, start: int, end: int, **more: Any) -> None:
        """A place from ``start`` to ``end``. ``text`` is what stands there unless said otherwise."""
        if start in self._found or len(self._found) >= PLACE_LIMIT:
            return
        line, column = self._positions.at(start)
        written = self.text[start:end]
        more.setdefault("text", written)
        self._found[start] = Place(
            kind=kind,
            path=self.path,
            line=line,
            column=column,
            end_column=column + end - start,
            start=start,
            end=end,
            meaning=meaning,
            written=written,
            **more,
        )

    def unreadable(self, kind: str, reason: str, line: int | None = None) -> None:
        """The whole file cannot be read: nothing is known, and that must not pass for nothing said."""
        start = self._positions.start_of(line or 1)
        unclear = f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
        self.note(kind, Meaning.UNKNOWN, start, start, subject="the file", unclear=unclear, declared=False)

    def has(self, start: int) -> bool:
        return start in self._found

    def also_in(self, start: int, image: str, line: int | None = None) -> None:
        """The place at ``start`` is in the tag of ``image`` too, which the instruction on ``line`` names."""
        place = self._found.get(start)
        if place is None or not image:
            return
        images = tuple(dict.fromkeys((*place.images, image)))
        serves = place.serves if line is None else tuple(dict.fromkeys((*place.serves, line)))
        if (images, serves) != (place.images, place.serves):
            self._found[start] = replace(place, images=images, serves=serves)

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(self._found[start] for start in sorted(self._found))


def version_of(text: str) -> Interpreter | None:
    """The one minor that ``text`` names (``3.10``, ``3.10.13``, ``py310``, ``3.13-dev``), if it does."""
    try:
        return Interpreter.parse(re.sub(r"-dev$|(?<=\d)[abrc]+\d+$|\.[x*]$", "", text.strip()))
    except ValueError:
        return None


def declarations_of(places: Iterable[Place]) -> tuple[Declaration, ...]:
    """What the places declare."""
    return tuple(place.declaration for place in places if place.declared)
