"""Which small changes of its requirements would free a blocked set, found by trying them.

Candidates come from the index's pages (version_candidates.py), smallest change first. Whether a change mends the set is
for others to try (dependencies/installation/repair.py): it has to resolve, install and import. What no change mends is
left out of the set, so that it does not keep the rest from being mended.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.dependencies.resolution.uv_messages import CANNOT_BE_BUILT
from pytest_py312.repository.services.requirement_set import LocatedEntry

MOST_ATTEMPTS = 60
"""How many combinations are tried for one set, and again each time when something more is left out of it."""
FIRST_STEPS = 3
"""How many candidates of each requirement of a clash are tried before all of any one are."""
MOST_INSTALLATIONS = 4
"""How many of them are installed and imported, where they resolve."""
MOST_LEFT_OUT = 4
"""How many times more of a set is left out, because no change mends it."""

MENDABLE = frozenset(("PY101", "PY102", "PY103", "PY104", "PY105"))
"""Codes of what another version may mend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A changed set: other specifiers for some requirements; ``without`` are projects that are left out of it."""

    specifiers: Mapping[LocatedEntry, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()


class Trying(Protocol):
    """Whoever tries changes out."""

    def candidates(self, item: LocatedEntry) -> Sequence[str]:
        """Specifiers for a requirement, the smallest change first."""
        ...

    def resolve(self, change: Change) -> Sequence[str] | None:
        """``None`` where the set resolves with ``change``, else the projects that are to blame."""
        ...

    def no_way_back(self) -> bool:
        """Let go of the baseline: whether it has refused what the target takes, and now has no say any more."""
        ...

    def install(self, change: Change) -> Collection[str]:
        """The projects that keep the set, which resolves with ``change``, from being installed and imported."""
        ...


@dataclass(kw_only=True)
class Culprit:
    """A requirement that may be changed, and how far down its candidates the search is."""

    entry: LocatedEntry
    specifiers: Sequence[str]
    position: int = -1
    blocks_alone: bool = False
    clashes: int = 0
    """In how many clashes it has a part: one that undoes several is the smaller change."""

    @property
    def can_move(self) -> bool:
        return self.position + 1 < len(self.specifiers)


def find_repair(findings: Iterable[Finding], entries: Sequence[LocatedEntry], trying: Trying) -> Change | None:
    """The change with which the set, or what can be mended of it, works; ``None`` where none was found.

    Something that is left out is never left out silently: the change says so.
    """
    blocking = [found for found in findings if found.severity is Severity.ERROR and not _is_harmless(found)]
    mendable = [found for found in blocking if found.code in MENDABLE]
    if not mendable or any(found.code == "PY114" for found in blocking):
        return None  # with hashes, a set is made anew by the tool that made it
    alone = {name for found in mendable if found.code != "PY101" for name in found.names}
    unbuilt = {name for found in findings if _cannot_be_built_here(found) for name in found.names}
    blamed = alone | unbuilt | {name for found in mendable for name in found.names}
    culprits = [
        Culprit(
            entry=item,
            specifiers=specifiers,
            blocks_alone=item.name in alone | unbuilt,
            clashes=sum(item.name in found.names for found in mendable),
        )
        for item in entries
        if item.name in blamed and (specifiers := trying.candidates(item))
    ]
    without = frozenset(alone - {culprit.entry.name for culprit in culprits})
    search = Search(culprits, entries, trying)
    for _ in range(MOST_LEFT_OUT):
        found = search.run(without)
        if found is None and trying.no_way_back():
            search = Search(culprits, entries, trying)
            found = search.run(without)
        if found is not None:
            return found if found.specifiers else None
        if not search.stuck:
            return None
        without |= search.stuck
    return None


def _cannot_be_built_here(finding: Finding) -> bool:
    """A source of which nobody can tell here whether it builds: where a version has a wheel, that one can be proven."""
    return finding.code == "PY112" and CANNOT_BE_BUILT in finding.message


def _is_harmless(finding: Finding) -> bool:
    """What the baseline does not import either keeps nobody from moving."""
    return finding.waived or (finding.code == "PY105" and finding.preexisting)


class Search:
    """Looks for the first combination of candidates with which a set works.

    What blocks by itself takes its first candidate in any case. Of those that clash, one is changed, then two together;
    where that is not enough, clash after clash is undone by the first candidate of one requirement with which it is
    gone, or by moving whichever was moved least. What is to blame and was no culprit before becomes one when the
    culprits cannot move: so few requirements change, and those by little.
    """

    def __init__(self, culprits: Sequence[Culprit], entries: Sequence[LocatedEntry], trying: Trying) -> None:
        self._known = list(culprits)
        self._entries = entries
        self._trying = trying
        self._answers: dict[object, Collection[str] | None] = {}
        self._attempts = 0
        self._installations = 0
        self.stuck: frozenset[str] = frozenset()
        """The projects that were to blame last, where no change of them helps."""

    def run(self, without: frozenset[str]) -> Change | None:
        """The change, or ``None`` where there is none within the limits, and then see :attr:`stuck`."""
        self.stuck = frozenset()
        self._attempts = 0
        culprits = [culprit for culprit in self._known if culprit.entry.name not in without]
        for culprit in culprits:
            culprit.position = 0 if culprit.blocks_alone else -1
        start = _change(culprits, without)
        blamed = self._refused(start)
        if blamed is None:
            return start
        clashing = [culprit for culprit in culprits if not culprit.blocks_alone]
        for few in (*combinations(clashing, 1), *combinations(clashing, 2)):
            first = {culprit.entry: culprit.specifiers[0] for culprit in few}
            tried = Change(specifiers={**start.specifiers, **first}, without=without)
            helps = any(culprit.entry.name in blamed for culprit in few)
            if helps and self._attempts < MOST_ATTEMPTS // 2 and self._refused(tried) is None:
                return tried
        return self._moved(culprits, without)

    def _moved(self, culprits: list[Culprit], without: frozenset[str]) -> Change | None:
        blamed: Collection[str] | None = ()
        while self._attempts < MOST_ATTEMPTS:
            tried = _change(culprits, without)
            blamed = self._refused(tried)
            if blamed is None:
                return tried
            movable = [culprit for culprit in culprits if culprit.entry.name in blamed and culprit.can_move]
            if not movable:
                movable = self._widened(culprits, blamed)
            if not movable:
                break
            movable.sort(key=lambda culprit: -culprit.clashes)
            steps = (FIRST_STEPS, MOST_ATTEMPTS)
            if not any(self._undone(culprit, culprits, without, most) for most in steps for culprit in movable):
                min(movable, key=lambda culprit: (culprit.position, culprit.blocks_alone)).position += 1
        alone = {culprit.entry.name for culprit in culprits if culprit.blocks_alone}
        # what blocks by itself has to move: what holds it back is left out before it is
        self.stuck = (frozenset(blamed or ()) - alone or frozenset(blamed or ())) - without
        return None

    def _undone(self, culprit: Culprit, culprits: Sequence[Culprit], without: frozenset[str], most: int) -> bool:
        """Move ``culprit`` to its first candidate with which others are to blame, or nobody; else leave it."""
        start = culprit.position
        while culprit.can_move and culprit.position < start + most and self._attempts < MOST_ATTEMPTS:
            culprit.position += 1
            now = self._refused(_change(culprits, without))
            if now is None or culprit.entry.name not in now:
                return True
        culprit.position = start
        return False

    def _widened(self, culprits: list[Culprit], blamed: Collection[str]) -> list[Culprit]:
        """Requirements that clash with what the culprits have become, as culprits; those begin anew."""
        known = {culprit.entry for culprit in culprits}
        more = [
            Culprit(entry=item, specifiers=specifiers)
            for item in self._entries
            if item.name in blamed and item not in known and (specifiers := self._trying.candidates(item))
        ]
        if more:
            for culprit in culprits:
                if culprit.entry.name in blamed:
                    culprit.position = 0 if culprit.blocks_alone else -1
            culprits += more
        return more

    def _refused(self, change: Change) -> Collection[str] | None:
        key = (*change.specifiers.items(), change.without)
        if key not in self._answers:
            self._attempts += 1
            self._answers[key] = self._asked(change)
        return self._answers[key]

    def _asked(self, change: Change) -> Collection[str] | None:
        blamed = self._trying.resolve(change)
        if blamed is not None or self._installations >= MOST_INSTALLATIONS or not change.specifiers:
            return blamed
        self._installations += 1
        failing = set(self._trying.install(change)) & {item.name for item in change.specifiers}
        return failing or None  # what fails beside the changes is told, and is no reason against them


def _change(culprits: Sequence[Culprit], without: frozenset[str]) -> Change:
    moved = {culprit.entry: culprit.specifiers[culprit.position] for culprit in culprits if culprit.position >= 0}
    return Change(specifiers=moved, without=without)
