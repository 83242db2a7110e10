"""Change the specifier or the comment of a requirement in setup.cfg or setup.py. No code is executed.

The format's editor determines where a requirement may be. Each edit is verified by reading the new text: only one
specifier may differ.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.text_edits import EditRefused, annotate_line, apply_edits
from pytest_py312.repository.edits.specifiers import parse_specifier, requirement_edits, same_specifier
from pytest_py312.repository.formats.requirements_file import DependencyTable, RequirementEntry
from pytest_py312.repository.formats.setuptools import (
    parse_module,
    read_setup_cfg_dependencies,
    read_setup_py,
    read_setup_py_dependencies,
)
from pytest_py312.repository.formats.text_positions import SourcePositions

TableReader = Callable[[str, str], tuple[DependencyTable, ...]]
Span = tuple[int, int]

_KEY = re.compile(r"[^\s=:#;\[][^=:]*?[ \t]*[=:]")
_COMMENT = re.compile(r"(?:^|\s)#.*", re.DOTALL)
_PIECE = re.compile(r"[^;]+")


class SetupCfgEditor:
    """The editor of a setup.cfg."""

    def set_specifier(self, text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
        """Return ``text`` with ``specifier`` for the requirement ``name`` on ``line`` (from 1).

        :param old: the specifier that has to be there now, in any equal spelling; ``None``: any.
        :raises EditRefused: there is no such requirement, or it cannot be edited on its own.
        """
        return _with_specifier(
            text,
            read_setup_cfg_dependencies,
            _requirement_spans(text, line),
            line=line,
            name=name,
            specifier=specifier,
            old=old,
        )

    def annotate(self, text: str, *, line: int, comment: str) -> str:
        """Refuse: older versions of setuptools read the comment as a part of the requirement.

        :raises EditRefused: always.
        """
        raise EditRefused("In setup.cfg a comment would be read as a part of the requirement.")


class SetupPyEditor:
    """The editor of a setup.py."""

    def set_specifier(self, text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
        """Return ``text`` with ``specifier`` for the requirement ``name`` in a string on ``line`` (from 1).

        :param old: the specifier that has to be there now, in any equal spelling; ``None``: any.
        :raises EditRefused: there is no such requirement, it is computed, or it cannot be edited on its own.
        """
        spans = [span for number, span in _requirement_strings(text) if number == line]
        return _with_specifier(
            text, read_setup_py_dependencies, spans, line=line, name=name, specifier=specifier, old=old
        )

    def annotate(self, text: str, *, line: int, comment: str) -> str:
        """Return ``text`` with ``# py312: comment`` at the end of ``line``, which has a requirement.

        :raises EditRefused: there is none, or a comment would change what the file means.
        """
        module = parse_module(text)
        spans = [span for number, span in _requirement_strings(text) if number == line]
        if module is None or not spans:
            raise EditRefused(f"Line {line} holds no requirement that can be annotated.")
        end = min((position for mark in "\r\n" if (position := text.find(mark, spans[-1][1])) >= 0), default=len(text))
        start = spans[-1][1]
        edited = text[:start] + annotate_line(text[start:end], comment) + text[end:]
        reparsed = parse_module(edited)
        if reparsed is None or ast.dump(reparsed) != ast.dump(module):
            raise EditRefused("A comment there would change what the file means.")
        return edited


def _requirement_spans(text: str, line: int) -> Iterator[Span]:
    """Yield the line's value, and its pieces between semicolons, which separate requirements and markers."""
    body = text.removeprefix("\ufeff")
    lines = body.splitlines(keepends=True)
    if not 0 < line <= len(lines):
        return
    start = len(text) - len(body) + sum(map(len, lines[: line - 1]))
    key = _KEY.match(lines[line - 1])
    first = key.end() if key and not lines[line - 1][:1].isspace() else 0
    value = _COMMENT.sub("", lines[line - 1][first:]).rstrip()
    yield start + first, start + first + len(value)
    for piece in _PIECE.finditer(value):
        yield start + first + piece.start(), start + first + piece.end()


def _requirement_strings(text: str) -> Iterator[tuple[int, Span]]:
    """Yield (line, span) of each line of each string with literal requirements."""
    nodes, source = read_setup_py(text).nodes, SourcePositions(text)
    for keyword in ("install_requires", "extras_require"):
        for node in ast.walk(nodes[keyword]) if keyword in nodes else ():
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            start, end = source.string_content(node)[0]
            raw = text[start:end]
            exact = raw.replace("\r\n", "\n") == node.value
            for offset, piece in enumerate(raw.split("\n") if exact else ()):
                yield node.lineno + offset, (start, start + len(piece.rstrip()))
                start += len(piece) + 1


def _with_specifier(
    text: str, reader: TableReader, spans: Iterable[Span], *, line: int, name: str, specifier: str, old: str | None
) -> str:
    """Return ``text`` with ``specifier`` for the requirement ``name`` that ``reader`` finds on ``line`` (from 1).

    :param spans: where in ``text`` that requirement, and only that, may be.
    :param old: the specifier that has to be there now; ``None``: any. It also distinguishes two requirements of one
        name on a line.
    :raises EditRefused: there is no such requirement, there are several, or it cannot be edited on its own.
    """
    requested = parse_specifier(specifier)
    tables = reader(text, "")
    candidates = [
        entry for entry in _entries_of(tables) if entry.line == line and entry.name == canonicalize_name(name)
    ]
    if not candidates:
        raise EditRefused(f"Line {line} has no literal requirement of {name}.")
    chosen = [entry for entry in candidates if old is None or same_specifier(entry.specifier, SpecifierSet(old))]
    if not chosen and any(same_specifier(entry.specifier, requested) for entry in candidates):
        return text
    if len({entry.specifier for entry in chosen}) > 1:
        raise EditRefused(f"Line {line} holds {len(chosen)} requirements of {name}; make the change manually.")
    if chosen and same_specifier(chosen[0].specifier, requested):
        return text
    edited_texts = {edited for span in spans if (edited := _edit_span(text, span, name, specifier, old)) is not None}
    verified = [
        edited
        for edited in sorted(edited_texts)
        if edited != text and _differs_in_one_specifier(tables, reader(edited, ""), requested)
    ]
    if len(verified) == 1:
        return verified[0]
    if not chosen:
        raise EditRefused(f'{name} has the specifier "{candidates[0].specifier}", not "{old}".')
    raise EditRefused(f"The specifier of {name} cannot be located exactly; make the change manually.")


def _edit_span(text: str, span: Span, name: str, specifier: str, old: str | None) -> str | None:
    piece = text[slice(*span)]
    try:
        text_edits = requirement_edits(piece, name=name, specifier=specifier, old=old)
    except EditRefused:
        return None
    return text[: span[0]] + apply_edits(piece, text_edits) + text[span[1] :]


def _entries_of(tables: Iterable[DependencyTable]) -> list[RequirementEntry]:
    return [entry for table in tables for entry in table.requirements.entries]


def _differs_in_one_specifier(
    old_tables: tuple[DependencyTable, ...], new_tables: tuple[DependencyTable, ...], requested: SpecifierSet
) -> bool:
    """Return whether both are the same but for the specifier of one entry, which is ``requested`` now."""
    old_entries, new_entries = _entries_of(old_tables), _entries_of(new_tables)
    if len(old_entries) != len(new_entries) or _without_entries(old_tables) != _without_entries(new_tables):
        return False
    changed = [
        pair
        for pair in zip(old_entries, new_entries, strict=True)
        if _without_spelling(pair[0]) != _without_spelling(pair[1])
    ]
    if len(changed) != 1:
        return False
    old, new = changed[0]
    return _without_specifier(old) == _without_specifier(new) and same_specifier(new.specifier, requested)


def _without_entries(tables: Iterable[DependencyTable]) -> list[DependencyTable]:
    return [replace(table, requirements=replace(table.requirements, entries=())) for table in tables]


def _without_spelling(entry: RequirementEntry) -> RequirementEntry:
    return replace(entry, raw="", text="")


def _without_specifier(entry: RequirementEntry) -> RequirementEntry:
    return replace(entry, raw="", text="", specifier="")
