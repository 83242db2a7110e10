"""The specifier within one requirement: where its characters are, and the fewest that have to change. Pure text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.text_edits import EditRefused, Splice

_HEAD = re.compile(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[^\]]*\])?", re.ASCII)
_PARENTHESES = re.compile(r"\s*\((?P<inner>[^()]*)\)\s*")
_CLAUSE = re.compile(r"\s*(?P<operator>===|==|~=|!=|<=|>=|<|>)\s*(?P<version>[^\s,<>=!~;()]+)\s*(?:,|\Z)")
_HARMLESS = re.compile(r"[A-Za-z0-9.*+!_<>=~,\s-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """``>=1.2`` and where it stands: the operator's and the version's (start, end)."""

    operator: str
    version: str
    operator_at: tuple[int, int]
    version_at: tuple[int, int]


def specifier_set(text: str) -> SpecifierSet:
    """``text`` as a set.

    :raises EditRefused: it is none, it is empty, or it holds characters that no version needs.
    """
    try:
        found = SpecifierSet(text)
    except (ValueError, RecursionError):
        raise EditRefused(f'"{text[:80]}" is no version specifier.') from None
    if not text.strip() or not _HARMLESS.fullmatch(text):
        raise EditRefused(f'"{text[:80]}" is no version specifier that can be written.')
    return found


def same_specifier(text: str, found: SpecifierSet) -> bool:
    """Whether ``text``, a specifier or empty, says the same as ``found``."""
    try:
        return SpecifierSet(text) == found
    except ValueError:
        return False


def clauses_of(text: str, offset: int = 0) -> tuple[Clause, ...] | None:
    """The clauses of a specifier in their order, or ``None`` for what is no list of clauses."""
    found: list[Clause] = []
    position = 0
    while position < len(text) and text[position:].strip():
        match = _CLAUSE.match(text, position)
        if not match:
            return None
        starts = [(match.start(part) + offset, match.end(part) + offset) for part in ("operator", "version")]
        found.append(
            Clause(operator=match["operator"], version=match["version"], operator_at=starts[0], version_at=starts[1])
        )
        position = match.end()
    return tuple(found)


def clause_splices(old: Sequence[Clause], new: Sequence[Clause]) -> tuple[Splice, ...]:
    """What turns ``old`` (at least one) into ``new``. Clauses that stay are not touched, nor are spaces and commas."""
    if len(old) != len(new):
        text = ",".join(clause.operator + clause.version for clause in new)
        return (Splice(start=old[0].operator_at[0], end=old[-1].version_at[1], text=text),)
    splices: list[Splice] = []
    for before, after in _pairs(old, new):
        for was, becomes, (start, end) in (
            (before.operator, after.operator, before.operator_at),
            (before.version, after.version, before.version_at),
        ):
            if was != becomes:
                splices.append(Splice(start=start, end=end, text=becomes))
    return tuple(splices)


def _pairs(old: Sequence[Clause], new: Sequence[Clause]) -> list[tuple[Clause, Clause]]:
    """Each old clause with the new one that takes its place: the same one, else one of its operator, else any."""
    pairs: list[tuple[Clause, Clause]] = []
    left, coming = list(old), list(new)
    for alike in (
        lambda a, b: (a.operator, a.version) == (b.operator, b.version),
        lambda a, b: a.operator == b.operator,
        lambda a, b: True,
    ):
        for before in tuple(left):
            after = next((clause for clause in coming if alike(before, clause)), None)
            if after is not None:
                pairs.append((before, after))
                left.remove(before)
                coming.remove(after)
    return pairs


def requirement_splices(text: str, *, name: str, specifier: str, old: str | None) -> tuple[Splice, ...]:
    """What gives the requirement ``text`` (PEP 508) the ``specifier``; nothing where it says the same already.

    :param old: the specifier that must be there now; ``None``: any.
    :raises EditRefused: it is no requirement of ``name``, is required by URL, or has another specifier than ``old``.
    """
    wanted = specifier_set(specifier)
    try:
        parsed = Requirement(text)
    except (ValueError, RecursionError):
        raise EditRefused(f'"{text.strip()[:80]}" is not a requirement that can be read.') from None
    head = _HEAD.match(text)
    if canonicalize_name(parsed.name) != canonicalize_name(name) or not head:
        raise EditRefused(f'"{text.strip()[:80]}" is no requirement of {name}.')
    if parsed.url:
        raise EditRefused(f"{name} is required by its address, so it has no specifier.")
    if parsed.specifier == wanted:
        return ()
    if old is not None and not same_specifier(old, parsed.specifier):
        raise EditRefused(f'{name} has the specifier "{parsed.specifier}", not "{old}".')
    return _splices_of(text, head.end(), parsed.specifier, specifier)


def _splices_of(text: str, start: int, present: SpecifierSet, specifier: str) -> tuple[Splice, ...]:
    rest = text[start:].partition(";")[0]
    inside = _PARENTHESES.fullmatch(rest)
    if inside:
        start, rest = start + inside.start("inner"), inside["inner"]
    clauses, new = clauses_of(rest, start), clauses_of(specifier)
    if clauses is None or not new or not same_specifier(rest.strip().rstrip(","), present):
        raise EditRefused(f'The specifier of "{text.strip()[:80]}" cannot be told from what is around it.')
    if not clauses:
        return (Splice(start=start, end=start, text=",".join(c.operator + c.version for c in new)),)
    return clause_splices(clauses, new)
