"""Compare the places that the gate changes with those that the maintainers changed. Pure functions.

The two start from different trees where the maintainers' commit is not the first after the manifest's, so a place is
found by the path and the line's text before the change, or after it; its number is only for people.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from packaging.utils import canonicalize_name

from tests.corpus.manifest import ExcusedPlace, Manifest, TrueVerdict
from tests.corpus.places import ChangedPlace, PlaceKind, is_lock
from tests.corpus.rating import is_below, project_name


class Agreement(Enum):
    """Who changes a place."""

    SAME = "both, same result"
    OTHER = "both, other result"
    ONLY_THEY = "only they"
    OUT_OF_REACH = "out of reach"
    """Only they, and the manifest says why no tool can know it."""
    NOT_NEEDED = "only they, not needed"
    """A requirement that they raise and that is no culprit of a service whose culprits are known."""
    ONLY_WE = "only we"
    RIGHT = "only we, rightly"
    """Only we, and the manifest says why that is right."""


BOTH = frozenset((Agreement.SAME, Agreement.OTHER))


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedPlace:
    """A place, and who changes it. ``reason`` is that of the manifest."""

    agreement: Agreement
    theirs: ChangedPlace | None = None
    ours: ChangedPlace | None = None
    reason: str = ""

    @property
    def kind(self) -> PlaceKind:
        place = self.theirs or self.ours
        assert place is not None
        return place.kind

    def __str__(self) -> str:
        place = self.theirs or self.ours
        assert place is not None
        lines = [f"{self.agreement.value}: {place.position} ({place.kind.value})"]
        lines += [f"    - {line}" for line in place.old.splitlines()[:6]]
        lines += [f"    + {line}" for line in place.new.splitlines()[:6]]
        if self.agreement is Agreement.OTHER and self.ours is not None:
            lines += [f"    ours: {line}" for line in self.ours.new.splitlines()[:6] or ["(removed)"]]
        return "\n".join((*lines, f"    {self.reason}") if self.reason else lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedRepository:
    """All places of a repository.

    ``notes`` are the gate's own remarks about what it did not change. ``not_ready`` is the number of services that it
    reports as not ready: it does not change the versions that they declare.
    """

    manifest: Manifest
    places: tuple[ComparedPlace, ...]
    notes: tuple[str, ...] = ()
    not_ready: int = 0

    def count(self, *agreements: Agreement, kind: PlaceKind | None = None) -> int:
        return sum(place.agreement in agreements and kind in (None, place.kind) for place in self.places)


def joined(commits: Iterable[Sequence[ChangedPlace]]) -> tuple[ChangedPlace, ...]:
    """Return the places of several commits, oldest first, as of one.

    What was changed twice is one place: it was changed further, or undone and made again (or picked to another branch).
    """
    places: list[ChangedPlace] = []
    for commit in commits:
        earlier_places = list(places)
        for place in commit:
            earlier = next((earlier for earlier in earlier_places if _continues(earlier, place)), None)
            if earlier is not None:
                places[places.index(earlier)] = replace(earlier, new=place.new, new_line=place.new_line)
                earlier_places.remove(earlier)
            elif not any(_is_repeated(other, place) for other in earlier_places):
                places.append(place)
    return tuple(place for place in places if place.kind is PlaceKind.LOCK or _text(place.old) != _text(place.new))


def _is_repeated(earlier: ChangedPlace, later: ChangedPlace) -> bool:
    return earlier.path == later.path and (_text(earlier.old), _text(earlier.new)) == (
        _text(later.old),
        _text(later.new),
    )


def _continues(earlier: ChangedPlace, later: ChangedPlace) -> bool:
    if earlier.path != later.path:
        return False
    if later.kind is PlaceKind.LOCK:
        return earlier.kind is PlaceKind.LOCK
    return bool(later.old.strip()) and _text(earlier.new) == _text(later.old)


def compare(
    manifest: Manifest, theirs: Sequence[ChangedPlace], ours: Sequence[ChangedPlace], notes: Sequence[str] = ()
) -> ComparedRepository:
    """Compare place by place."""
    related = [place for place in theirs if _excuse(manifest.unrelated, place) is None]
    # a block of source of theirs may be several of ours
    others = [place for place in theirs if place not in related or place.kind is PlaceKind.SOURCE]
    pairs = list(_pairs(related, ours))
    places = [
        ComparedPlace(agreement=_agreement_of(place, partner), theirs=place, ours=partner) for place, partner in pairs
    ]
    matched_theirs, matched_ours = {id(place) for place, _ in pairs}, {id(partner) for _, partner in pairs}
    places += [_only_they(manifest, place) for place in related if id(place) not in matched_theirs]
    for place in ours:
        # what the manifest calls unrelated is no fault of ours if we change it as well
        if id(place) not in matched_ours and not any(
            _have_same_key(place, other, key) for other in others for key in _KEYS[:2]
        ):
            reason = _excuse(manifest.right, place)
            agreement = Agreement.ONLY_WE if reason is None else Agreement.RIGHT
            places.append(ComparedPlace(agreement=agreement, ours=place, reason=reason or ""))
    places.sort(key=_order)
    return ComparedRepository(manifest=manifest, places=tuple(places), notes=tuple(notes))


def _order(place: ComparedPlace) -> tuple[int, str, int]:
    side = place.theirs or place.ours
    assert side is not None
    return list(Agreement).index(place.agreement), side.path, side.old_line or side.new_line or 0


def _excuse(excused: Iterable[ExcusedPlace], place: ChangedPlace) -> str | None:
    return next((item.reason for item in excused if item.place.covers(place.path, *place.lines)), None)


def _pairs(theirs: Sequence[ChangedPlace], ours: Sequence[ChangedPlace]) -> Iterator[tuple[ChangedPlace, ChangedPlace]]:
    """Yield which places are the same. A line is paired once; a block of source may be several blocks of the other."""
    free_theirs, free_ours = list(theirs), list(ours)
    for key in _KEYS:
        for place in list(free_theirs):
            candidates = ours if place.kind is PlaceKind.SOURCE else free_ours
            partner = next((other for other in candidates if _have_same_key(place, other, key)), None)
            if partner is not None:
                free_theirs.remove(place)
                if partner in free_ours:
                    free_ours.remove(partner)
                yield place, partner


def _agreement_of(theirs: ChangedPlace, ours: ChangedPlace) -> Agreement:
    same = _text(theirs.new) == _text(ours.new) and bool(theirs.old) is bool(ours.old)
    return Agreement.SAME if same else Agreement.OTHER


def _only_they(manifest: Manifest, place: ChangedPlace) -> ComparedPlace:
    reason = _excuse(manifest.out_of_reach, place)
    if reason is not None:
        return ComparedPlace(agreement=Agreement.OUT_OF_REACH, theirs=place, reason=reason)
    agreement = Agreement.ONLY_THEY if is_needed(manifest, place) else Agreement.NOT_NEEDED
    return ComparedPlace(agreement=agreement, theirs=place)


def is_needed(manifest: Manifest, place: ChangedPlace) -> bool:
    """Return whether a place had to change for the Python.

    Of a service whose verdict was found by hand all culprits are known: what its maintainers raised beside them, in an
    update of everything, is not needed. Nor are its compiled requirement files, unless it has culprits; other lock
    files know the range of Pythons that the project declares, which changes.
    """
    if place.kind not in (PlaceKind.REQUIREMENT, PlaceKind.LOCK) or is_lock(place.path):
        return True
    owners = [
        service
        for service in manifest.services
        if service.verdict in (TrueVerdict.READY, TrueVerdict.BROKEN) and is_below(place.path, service.path)
    ]
    culprits = [culprit for service in manifest.services for culprit in service.culprits]
    if place.kind is PlaceKind.LOCK:
        return not owners or any(service.culprits for service in owners)
    return not owners or bool(_project(place) & {project_name(culprit.name) for culprit in culprits})


PlaceKey = Callable[[ChangedPlace], frozenset[Hashable]]


def _have_same_key(place: ChangedPlace, other: ChangedPlace, key: PlaceKey) -> bool:
    if place.path != other.path or (place.kind is PlaceKind.LOCK) != (other.kind is PlaceKind.LOCK):
        return False
    return place.kind is PlaceKind.LOCK or bool(key(place) & key(other))


def _old_lines(place: ChangedPlace) -> frozenset[Hashable]:
    return frozenset(line.strip() for line in place.old.splitlines() if line.strip())


def _new_lines(place: ChangedPlace) -> frozenset[Hashable]:
    return frozenset(line.strip() for line in place.new.splitlines() if line.strip())


def _masked_lines(place: ChangedPlace) -> frozenset[Hashable]:
    """Return the lines without their versions: a tree that is some commits older has others."""
    if place.kind is PlaceKind.SOURCE:
        return frozenset()
    return frozenset(re.sub(r"\d+(?:\.\d+)*", "#", str(line)) for line in _old_lines(place))


def _added_items(place: ChangedPlace) -> frozenset[Hashable]:
    """Return the new lines without their versions: one side replaces an item of a list, the other adds one."""
    if place.kind is PlaceKind.SOURCE:
        return frozenset()
    return frozenset(re.sub(r"\d+(?:\.\d+)*", "#", str(line)) for line in _new_lines(place))


def _project(place: ChangedPlace) -> frozenset[Hashable]:
    """Return the project of a requirement."""
    if place.kind is not PlaceKind.REQUIREMENT:
        return frozenset()
    match = re.match(r"""[\s"'-]*(?P<name>[A-Za-z0-9][\w.-]*)""", place.old or place.new)
    return frozenset((canonicalize_name(match["name"]),)) if match else frozenset()


_KEYS: Sequence[PlaceKey] = (_old_lines, _new_lines, _masked_lines, _added_items, _project)
"""By what two changes are the same place, best first."""


def _text(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
