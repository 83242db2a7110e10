"""Locate the specifier in a requirement, and change as few of its characters as possible."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.text_edits import EditRefused, TextEdit

_HEAD = re.compile(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[^\]]*\])?", re.ASCII)
_PARENTHESES = re.compile(r"\s*\((?P<inner>[^()]*)\)\s*")
_CLAUSE = re.compile(r"\s*(?P<operator>===|==|~=|!=|<=|>=|<|>)\s*(?P<version>[^\s,<>=!~;()]+)\s*(?:,|\Z)")
_SAFE_SPECIFIER = re.compile(r"[A-Za-z0-9.*+!_<>=~,\s-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecifierClause:
    """A clause such as ``>=1.2``, with the (start, end) of its operator and of its version."""

    operator: str
    version: str
    operator_span: tuple[int, int]
    version_span: tuple[int, int]


def parse_specifier(text: str) -> SpecifierSet:
    """Parse a version specifier.

    :raises EditRefused: it is invalid, empty, or has characters that no version needs.
    """
    try:
        specifiers = SpecifierSet(text)
    except (ValueError, RecursionError):
        raise EditRefused(f'"{text[:80]}" is no version specifier.') from None
    if not text.strip() or not _SAFE_SPECIFIER.fullmatch(text):
        raise EditRefused(f'"{text[:80]}" is no version specifier that can be written.')
    return specifiers


def same_specifier(text: str, specifiers: SpecifierSet) -> bool:
    """Return whether ``text``, a specifier or empty, is equal to ``specifiers``."""
    try:
        return SpecifierSet(text) == specifiers
    except ValueError:
        return False


def parse_clauses(text: str, offset: int = 0) -> tuple[SpecifierClause, ...] | None:
    """Return the clauses of a specifier in order; ``None`` if it is no list of clauses."""
    clauses: list[SpecifierClause] = []
    position = 0
    while position < len(text) and text[position:].strip():
        match = _CLAUSE.match(text, position)
        if not match:
            return None
        spans = [(match.start(part) + offset, match.end(part) + offset) for part in ("operator", "version")]
        clauses.append(
            SpecifierClause(
                operator=match["operator"], version=match["version"], operator_span=spans[0], version_span=spans[1]
            )
        )
        position = match.end()
    return tuple(clauses)


def clause_edits(old: Sequence[SpecifierClause], new: Sequence[SpecifierClause]) -> tuple[TextEdit, ...]:
    """Return the edits that turn ``old`` (at least one clause) into ``new``; spaces and commas stay."""
    if len(old) != len(new):
        text = ",".join(clause.operator + clause.version for clause in new)
        return (TextEdit(start=old[0].operator_span[0], end=old[-1].version_span[1], text=text),)
    text_edits: list[TextEdit] = []
    for old_clause, new_clause in _pair_clauses(old, new):
        for old_text, new_text, (start, end) in (
            (old_clause.operator, new_clause.operator, old_clause.operator_span),
            (old_clause.version, new_clause.version, old_clause.version_span),
        ):
            if old_text != new_text:
                text_edits.append(TextEdit(start=start, end=end, text=new_text))
    return tuple(text_edits)


def _pair_clauses(
    old: Sequence[SpecifierClause], new: Sequence[SpecifierClause]
) -> list[tuple[SpecifierClause, SpecifierClause]]:
    """Pair each old clause with the new one that replaces it: an equal one, one with its operator, or any."""
    pairs: list[tuple[SpecifierClause, SpecifierClause]] = []
    unpaired_old, unpaired_new = list(old), list(new)
    for is_match in (
        lambda a, b: (a.operator, a.version) == (b.operator, b.version),
        lambda a, b: a.operator == b.operator,
        lambda a, b: True,
    ):
        for old_clause in tuple(unpaired_old):
            new_clause = next((clause for clause in unpaired_new if is_match(old_clause, clause)), None)
            if new_clause is not None:
                pairs.append((old_clause, new_clause))
                unpaired_old.remove(old_clause)
                unpaired_new.remove(new_clause)
    return pairs


def requirement_edits(text: str, *, name: str, specifier: str, old: str | None) -> tuple[TextEdit, ...]:
    """Return the edits that give the requirement ``text`` (PEP 508) the ``specifier``; none if it has it already.

    :param old: the specifier that has to be there now; ``None``: any.
    :raises EditRefused: it is no requirement of ``name``, is required by URL, or has another specifier than ``old``.
    """
    parse_specifier(specifier)
    try:
        parsed = Requirement(text)
    except (ValueError, RecursionError):
        raise EditRefused(f'"{text.strip()[:80]}" is not a requirement that can be read.') from None
    head = _HEAD.match(text)
    if canonicalize_name(parsed.name) != canonicalize_name(name) or not head:
        raise EditRefused(f'"{text.strip()[:80]}" is no requirement of {name}.')
    if parsed.url:
        raise EditRefused(f"{name} is required by its URL, so it has no specifier.")
    if same_specifier(specifier, parsed.specifier):
        return ()
    if old is not None and not same_specifier(old, parsed.specifier):
        raise EditRefused(f'{name} has the specifier "{parsed.specifier}", not "{old}".')
    return _specifier_edits(text, head.end(), parsed.specifier, specifier)


def _specifier_edits(text: str, start: int, current: SpecifierSet, specifier: str) -> tuple[TextEdit, ...]:
    specifier_text = text[start:].partition(";")[0]
    parenthesized = _PARENTHESES.fullmatch(specifier_text)
    if parenthesized:
        start, specifier_text = start + parenthesized.start("inner"), parenthesized["inner"]
    clauses, new = parse_clauses(specifier_text, start), parse_clauses(specifier)
    if clauses is None or not new or not same_specifier(specifier_text.strip().rstrip(","), current):
        raise EditRefused(f'The specifier of "{text.strip()[:80]}" cannot be located exactly.')
    if not clauses:
        return (TextEdit(start=start, end=start, text=",".join(c.operator + c.version for c in new)),)
    return clause_edits(clauses, new)
