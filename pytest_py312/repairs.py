"""Which small changes of its requirements would let a blocked set resolve, found by trying them.

Candidates come from the index's pages (candidates.py), smallest change first. Whether a change mends the set is asked
of the resolver, for the whole set, on the target and then on the baseline: a change that works on one only is said to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from pytest_py312.candidates import candidates
from pytest_py312.index import Index
from pytest_py312.model import Finding, InterpreterBuild, Severity, SpecifierChange
from pytest_py312.requirements import LocatedEntry
from pytest_py312.screen import target_of

MOST_ATTEMPTS = 40
"""How many combinations are tried for one set."""

MENDABLE = frozenset(("PY101", "PY102", "PY103", "PY104"))
"""Codes of what another version may mend."""

Blame = Callable[[Mapping[LocatedEntry, str]], tuple[str, ...] | None]
"""(requirement -> new specifier) -> ``None`` when the set resolves so, else the names that are to blame."""


@dataclass(kw_only=True)
class Culprit:
    """A requirement that may be changed, and how far down its candidates the search is."""

    entry: LocatedEntry
    specifiers: Sequence[str]
    position: int = -1
    blocks_alone: bool = False

    @property
    def can_move(self) -> bool:
        return self.position + 1 < len(self.specifiers)


def find_repair(
    findings: Sequence[Finding],
    entries: Sequence[LocatedEntry],
    *,
    index: Index,
    target: InterpreterBuild,
    baseline: InterpreterBuild,
    exclude_newer: str,
    blame: Blame,
) -> tuple[SpecifierChange, ...]:
    """Changes with which the set resolves on the target, or none where no combination of candidates does."""
    blocking = [found for found in findings if found.severity is Severity.ERROR]
    if not blocking or any(found.code not in MENDABLE for found in blocking):
        return ()
    names = {name for found in blocking for name in found.names}
    alone = {name for found in blocking if found.code != "PY101" for name in found.names}
    culprits = [
        Culprit(entry=item, specifiers=specifiers, blocks_alone=item.name in alone)
        for item in entries
        if item.name in names
        if (specifiers := _specifiers(item, index, target, baseline, exclude_newer))
    ]
    if alone - {culprit.entry.name for culprit in culprits}:
        return ()  # for one of them no version will do
    chosen = search(culprits, blame)
    return tuple(
        SpecifierChange(
            path=item.location.path, line=item.location.line or 0, name=item.name, old=item.entry.specifier, new=new
        )
        for item, new in chosen.items()
    )


def _specifiers(
    item: LocatedEntry, index: Index, target: InterpreterBuild, baseline: InterpreterBuild, exclude_newer: str
) -> list[str]:
    if item.entry.url or item.entry.hashes or not item.location.line:
        return []
    page = index.page(item.name)
    found = candidates(
        page,
        item.entry.specifier,
        target=target_of(target, exclude_newer=exclude_newer),
        baseline=target_of(baseline, exclude_newer=exclude_newer),
    )
    return [candidate.specifier for candidate in found if not candidate.beyond_upper_bound]


def search(culprits: Sequence[Culprit], blame: Blame) -> dict[LocatedEntry, str]:
    """The first combination of candidates with which the set resolves; empty when there is none within the limit.

    What blocks by itself takes its first candidate in any case. Of those that clash, one is changed, then two together;
    where that is not enough, whichever is to blame and was moved least is moved one further. So few requirements
    change, and those by little.
    """
    attempts = 0

    def refused(changes: Mapping[LocatedEntry, str]) -> tuple[str, ...] | None:
        nonlocal attempts
        attempts += 1
        return blame(changes)

    for culprit in culprits:
        culprit.position = 0 if culprit.blocks_alone else -1
    fixed = _changes(culprits)
    if fixed and refused(fixed) is None:
        return fixed
    clashing = [culprit for culprit in culprits if not culprit.blocks_alone]
    for few in (*combinations(clashing, 1), *combinations(clashing, 2)):
        tried = {**fixed, **{culprit.entry: culprit.specifiers[0] for culprit in few}}
        if attempts < MOST_ATTEMPTS and refused(tried) is None:
            return tried
    while attempts < MOST_ATTEMPTS:
        blamed = refused(_changes(culprits))
        if blamed is None:
            return _changes(culprits)
        movable = [culprit for culprit in culprits if culprit.entry.name in blamed and culprit.can_move]
        if not movable:
            break
        min(movable, key=lambda culprit: culprit.position).position += 1
    return {}


def _changes(culprits: Sequence[Culprit]) -> dict[LocatedEntry, str]:
    return {culprit.entry: culprit.specifiers[culprit.position] for culprit in culprits if culprit.position >= 0}


def with_changes(
    findings: Sequence[Finding], changes: Sequence[SpecifierChange], *, also: bool, baseline: str, target: str
) -> list[Finding]:
    """``findings``, those that the changes mend with the change as their remedy.

    ``also``: the set so changed resolves on the baseline too.
    """
    mended = []
    for found in findings:
        own = tuple(change for change in changes if change.name in found.names)
        if not own or found.code not in MENDABLE:
            mended.append(found)
            continue
        words = ", ".join(f"{change.name}{change.old} -> {change.new}" for change in own)
        where = f"on {target} and {baseline}" if also else f"on {target}, but not on {baseline}: there is no way back"
        mended.append(
            replace(found, remedy=f"change {words} (tried: the whole set then resolves {where})", changes=own)
        )
    return mended
