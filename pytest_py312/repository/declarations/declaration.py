"""Places in files that declare a Python version: their position, their role, and whether they can be edited.

Readers create declarations, checks judge them, and editors change them. A declaration itself has no behaviour.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.formats.image_reference import parse_python_image
from pytest_py312.repository.formats.version_ranges import is_readable_range, single_minor

DISTRIBUTION_FOLDERS = ("/usr/lib/", "/usr/lib64/", "/usr/bin/", "/usr/include/", "/usr/share/")
"""Where the Python of a Linux distribution is; that of an image of Python is in ``/usr/local``."""
DECLARATION_LIMIT = 2_000
"""Declarations that are kept per file; more of them are not hand-written."""
BUILD_VARIABLE = re.compile(r"(?:DEFAULT_|BASE_)?PY(?:THON)?_?VER(?:SION)?", re.IGNORECASE | re.ASCII)
"""The name of a variable of an image that is a version of Python."""


class DeclarationRole(Enum):
    """What a file uses a declared version for."""

    EXACT = "exact"
    """Exactly this version is used: an image, a pin, the version that a workflow sets up."""
    LIST_ITEM = "member"
    """One of several versions that are used side by side: a matrix, an envlist, classifiers."""
    MINIMUM = "floor"
    """The oldest version that the code must support, as a linter or a type checker assumes."""
    RANGE = "range"
    """All versions in a range: ``requires-python``."""
    PATH = "path"
    """A path or a command that exists for one version only: ``/usr/local/lib/python3.10/site-packages``."""
    LABEL = "label"
    """Text for people: the name of a step."""
    FLOATING = "floating"
    """A Python whose version is determined elsewhere: ``python:3``, ``3.x``, an image of conda."""
    IGNORED = "apart"
    """A version that is not one the service runs on: PyPy, a combination that a matrix excludes."""
    UNKNOWN = "unknown"
    """Only known at run time; :attr:`VersionDeclaration.unknown_reason` states why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListItem:
    """The list item that contains a declaration: its span, and the list that it belongs to (``group``).

    ``on_own_lines``: each item of the list fills lines of its own with the same prefix; otherwise commas separate the
    items. ``is_combination``: the item contains more than a version, such as a combination of a matrix.
    """

    group: str
    start: int
    end: int
    on_own_lines: bool = False
    is_combination: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionDeclaration:
    """A place where a file declares a Python version.

    ``kind`` is that of a Declaration (``image``, ``workflow``, ``metadata``, ``tool``, ``pin``); ``text`` is the
    declaration as written; ``subject`` is what it applies to (``stage builder``, ``requires-python``). ``start`` and
    ``end`` are character offsets of the version alone (of a range, of all of it). ``line``, ``column`` and
    ``end_column`` count from 1; ``end_column`` is the one after the version.
    """

    kind: str
    path: str
    line: int
    column: int
    end_column: int
    start: int
    end: int
    text: str
    role: DeclarationRole
    subject: str = ""
    version: Interpreter | None = None
    source_text: str = ""
    """The characters from ``start`` to ``end``."""
    quoted: bool = True
    """False for a plain YAML or TOML scalar, which may be parsed as a number."""
    misread_as: str = ""
    """The value that parsers see instead of the intended one: an unquoted ``3.10`` is the number ``3.1``."""
    images: tuple[str, ...] = ()
    """The images whose tags contain the version, with all variables substituted."""
    image_lines: tuple[int, ...] = ()
    """The lines of the instructions whose image this declaration determines."""
    bound_line: int | None = None
    """The line of the instruction whose image this declaration has to match; of a label, that of its version."""
    item: ListItem | None = None
    keeps_patch: bool = False
    """Whether a patch release must be given here (asdf, a source archive)."""
    not_editable_reason: str = ""
    """Why it cannot be edited, as a sentence; empty if it can."""
    unknown_reason: str = ""
    """Why the version is unknown, as a sentence; for the role UNKNOWN."""
    declared: bool = True
    """Whether it is one of the service's declarations, from which its baseline is derived."""
    starts_service: bool = False
    """Of a path or a command outside of Dockerfiles: whether production runs it, so that its image has to have it."""

    @property
    def editable(self) -> bool:
        return not self.not_editable_reason and self.role not in (
            DeclarationRole.IGNORED,
            DeclarationRole.FLOATING,
            DeclarationRole.UNKNOWN,
        )

    @property
    def location(self) -> Location:
        return Location(path=self.path, line=self.line, column=self.column)

    @property
    def as_service_declaration(self) -> Declaration:
        return Declaration(
            kind=self.kind,
            text=self.text,
            location=Location(path=self.path, line=self.line),
            interpreter=None if self.misread_as else self.version,
        )


class LinePositions:
    """Converter of character offsets to lines and columns. ``\\n``, ``\\r\\n`` and ``\\r`` end lines."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_start(self, line: int) -> int:
        """Return the offset of ``line``, or of the last line."""
        return self._starts[min(max(line, 1), len(self._starts)) - 1]


class DeclarationCollector:
    """Collector of the declarations of one text. Of several at the same offset the first one counts."""

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path
        self._positions = LinePositions(text)
        self._declarations: dict[int, VersionDeclaration] = {}

    def line_at(self, offset: int) -> int:
        return self._positions.line_and_column(offset)[0]

    def add(self, kind: str, role: DeclarationRole, start: int, end: int, **attributes: Any) -> None:
        """Add a declaration from ``start`` to ``end``. ``text`` defaults to these characters."""
        if start in self._declarations or self.is_full:
            return
        if len(self._declarations) == DECLARATION_LIMIT:  # it is not mistaken for a file without further versions
            role, end = DeclarationRole.UNKNOWN, start
            attributes = {
                "subject": "the file",
                "unknown_reason": f"It has more than {DECLARATION_LIMIT} versions; the rest is not checked.",
                "declared": False,
            }
        line, column = self._positions.line_and_column(start)
        source_text = self.text[start:end]
        attributes.setdefault("text", source_text)
        self._declarations[start] = VersionDeclaration(
            kind=kind,
            path=self.path,
            line=line,
            column=column,
            end_column=column + end - start,
            start=start,
            end=end,
            role=role,
            source_text=source_text,
            **attributes,
        )

    def add_range(
        self,
        start: int,
        end: int,
        value: str,
        subject: str,
        not_editable_reason: str = "",
        *,
        may_be_empty: bool = True,
    ) -> None:
        """Add the range of versions that a project declares for itself; ``value`` is what the file means by it."""
        is_readable = is_readable_range(value) and (may_be_empty or bool(value))
        self.add(
            "metadata", DeclarationRole.RANGE if is_readable else DeclarationRole.UNKNOWN, start, end, subject=subject,
            text=value, version=single_minor(value), not_editable_reason=not_editable_reason,
            unknown_reason="" if is_readable else "It is not a readable version range.",
        )  # fmt: skip

    def add_classifier(self, start: int, end: int, text: str, item: ListItem) -> None:
        """Add a classifier; the positions are those of its version."""
        version = version_of(self.text[start:end])
        self.add(
            "metadata", DeclarationRole.LIST_ITEM, start, end, subject="classifiers", text=text, version=version,
            item=item,
        )  # fmt: skip

    def add_image_reference(self, kind: str, start: int, reference: str, **attributes: Any) -> None:
        """Add the Python of the image that the text from ``start`` on names, if it has one."""
        image = parse_python_image(reference)
        if image is not None:
            first, end = image.span or (0, len(reference))
            self.add(
                kind, DeclarationRole.EXACT if image.version else DeclarationRole.FLOATING, start + first, start + end,
                text=reference, version=image.version, images=(reference,), not_editable_reason=image.reason,
                unknown_reason="" if image.version else image.reason, **{"subject": "an image", **attributes},
            )  # fmt: skip

    def add_unreadable_file(self, kind: str, reason: str, line: int | None = None) -> None:
        """Record that the whole file cannot be read, so that this is not mistaken for a file without versions."""
        start = self._positions.line_start(line or 1)
        unknown_reason = f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
        self.add(
            kind,
            DeclarationRole.UNKNOWN,
            start,
            start,
            subject="the file",
            unknown_reason=unknown_reason,
            declared=False,
        )

    @property
    def is_full(self) -> bool:
        """Whether no further declaration is kept, and one says so: reading on is useless."""
        return len(self._declarations) > DECLARATION_LIMIT

    def has_declaration_at(self, start: int) -> bool:
        return start in self._declarations

    def add_image(self, start: int, image: str, line: int | None = None) -> None:
        """Record that the declaration at ``start`` is also part of the tag of ``image``, named by the instruction on
        ``line``.
        """
        declaration = self._declarations.get(start)
        if declaration is None or not image:
            return
        images = tuple(dict.fromkeys((*declaration.images, image)))
        image_lines = (
            declaration.image_lines if line is None else tuple(dict.fromkeys((*declaration.image_lines, line)))
        )
        if (images, image_lines) != (declaration.images, declaration.image_lines):
            self._declarations[start] = replace(declaration, images=images, image_lines=image_lines)

    @property
    def declarations(self) -> tuple[VersionDeclaration, ...]:
        return tuple(self._declarations[start] for start in sorted(self._declarations))


def version_of(text: str) -> Interpreter | None:
    """Return the minor version that ``text`` names (``3.10``, ``3.10.13``, ``py310``, ``3.13-dev``), if it does."""
    try:
        return Interpreter.parse(re.sub(r"-dev$|(?<=\d)[abrc]+\d+$|\.[x*]$", "", text.strip()))
    except ValueError:
        return None


def service_declarations(declarations: Iterable[VersionDeclaration]) -> tuple[Declaration, ...]:
    """Return the declarations of the service among ``declarations``."""
    return tuple(declaration.as_service_declaration for declaration in declarations if declaration.declared)
