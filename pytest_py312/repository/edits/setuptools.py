"""Edits of requirements that stand in the tables of a file with a reader of its own: setup.cfg and setup.py.

The format says where requirements may stand; each edit is proved by reading the new text, in which nothing but one
specifier may differ.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.text_edits import EditRefused, spliced
from pytest_py312.repository.edits.specifiers import requirement_splices, same_specifier, specifier_set
from pytest_py312.repository.formats.requirements_file import DependencyTable, Entry

Reader = Callable[[str, str], tuple[DependencyTable, ...]]
Span = tuple[int, int]


def with_specifier(
    text: str, reader: Reader, spans: Iterable[Span], *, line: int, name: str, specifier: str, old: str | None
) -> str:
    """``text`` with ``specifier`` for the requirement ``name`` that ``reader`` finds on ``line`` (from 1).

    :param spans: where in ``text`` that requirement may stand, and nothing else with it.
    :param old: the specifier that must be there now; ``None``: any. It tells two of one name on one line apart.
    :raises EditRefused: there is no such requirement, more than one, or it cannot be edited by itself.
    """
    wanted = specifier_set(specifier)
    before = reader(text, "")
    there = [entry for entry in _entries(before) if entry.line == line and entry.name == canonicalize_name(name)]
    if not there:
        raise EditRefused(f"Line {line} is no requirement of {name} that stands there literally.")
    chosen = [entry for entry in there if old is None or same_specifier(entry.specifier, SpecifierSet(old))]
    if not chosen and any(same_specifier(entry.specifier, wanted) for entry in there):
        return text
    if len({entry.specifier for entry in chosen}) > 1:
        raise EditRefused(f"Line {line} holds {len(chosen)} requirements of {name}; make the change by hand.")
    if chosen and same_specifier(chosen[0].specifier, wanted):
        return text
    found = {edited for span in spans if (edited := _edited(text, span, name, specifier, old)) is not None}
    proved = [
        edited for edited in sorted(found) if edited != text and _differs_by_one(before, reader(edited, ""), wanted)
    ]
    if len(proved) == 1:
        return proved[0]
    if not chosen:
        raise EditRefused(f'{name} has the specifier "{there[0].specifier}", not "{old}".')
    raise EditRefused(f"The specifier of {name} cannot be told from what is around it; make the change by hand.")


def _edited(text: str, span: Span, name: str, specifier: str, old: str | None) -> str | None:
    piece = text[slice(*span)]
    try:
        splices = requirement_splices(piece, name=name, specifier=specifier, old=old)
    except EditRefused:
        return None
    return text[: span[0]] + spliced(piece, splices) + text[span[1] :]


def _entries(tables: Iterable[DependencyTable]) -> list[Entry]:
    return [entry for table in tables for entry in table.requirements.entries]


def _differs_by_one(
    before: tuple[DependencyTable, ...], after: tuple[DependencyTable, ...], wanted: SpecifierSet
) -> bool:
    """Whether both say the same, apart from the specifier of one entry, which is ``wanted`` now."""
    old, new = _entries(before), _entries(after)
    if len(old) != len(new) or _without_entries(before) != _without_entries(after):
        return False
    changed = [pair for pair in zip(old, new, strict=True) if _said(pair[0]) != _said(pair[1])]
    return len(changed) == 1 and _kept(changed[0][0]) == _kept(changed[0][1]) and same_specifier(
        changed[0][1].specifier, wanted
    )  # fmt: skip


def _without_entries(tables: Iterable[DependencyTable]) -> list[DependencyTable]:
    return [replace(table, requirements=replace(table.requirements, entries=())) for table in tables]


def _said(entry: Entry) -> Entry:
    return replace(entry, raw="", text="")


def _kept(entry: Entry) -> Entry:
    return replace(entry, raw="", text="", specifier="")
