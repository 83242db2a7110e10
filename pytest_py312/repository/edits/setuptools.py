"""Change the specifier of a requirement in setup.cfg or setup.py.

The format's editor determines where a requirement may be. Each edit is verified by reading the new text: only one
specifier may differ.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.text_edits import EditRefused, apply_edits
from pytest_py312.repository.edits.specifiers import parse_specifier, requirement_edits, same_specifier
from pytest_py312.repository.formats.requirements_file import DependencyTable, RequirementEntry

TableReader = Callable[[str, str], tuple[DependencyTable, ...]]
Span = tuple[int, int]


def with_specifier(
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
