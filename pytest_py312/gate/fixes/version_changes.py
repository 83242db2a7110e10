"""The moves of a fleet's services to the target, planned as bytes before and after. Reads, and changes nothing.

All places of a service change or none does. A place that several services share moves when all of them do, and one that
is for the fleet as a whole when every service moves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_py312.core.files import Refused, read_regular
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.declarations.declaration import Meaning
from pytest_py312.repository.declarations.reader import read_places
from pytest_py312.repository.edits.change_set import FileChange, decoded
from pytest_py312.repository.edits.declarations import Aim, Choice, Moved, move
from pytest_py312.repository.services.version_survey import Outside, VersionSurvey
from pytest_py312.repository.tree import FILE_LIMIT


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A service that stays as it is, or (``service`` empty) a place that several share; ``reason`` is a sentence."""

    service: str
    reason: str

    def __str__(self) -> str:
        return f"{self.service}: {self.reason}" if self.service else self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class MovePlan:
    """``changes`` are sorted by path; ``moved`` names the services whose places change, ``kept`` what does not.

    ``advice`` are sentences for after the move.
    """

    changes: tuple[FileChange, ...] = ()
    moved: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    advice: tuple[str, ...] = ()


def plan_moves(
    survey: VersionSurvey, root: Path, aims: Mapping[str, Aim], services: Iterable[Service],
    *, written: Iterable[FileChange] = (),
) -> MovePlan:  # fmt: skip
    """Move the ``services``, each to its aim in ``aims`` (by name); ``written`` are changes that are made before."""
    planner = _Planner(survey, root, aims, {change.path: change.after for change in written})
    for service in services:
        planner.take(service)
    planner.take_outside()
    return planner.plan()


@dataclass
class _Planner:
    survey: VersionSurvey
    root: Path
    aims: Mapping[str, Aim]
    written: Mapping[str, bytes]
    own: dict[str, dict[str, FileChange]] = field(default_factory=dict)
    """Service to its own files that change."""
    outside: dict[str, FileChange] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)

    def take(self, service: Service) -> None:
        """Move what lies in the service's folder."""
        aim = self.aims[service.name]
        changes: dict[str, FileChange] = {}
        for path in self.survey.own_files(service):
            found, reason = self._moved(path, aim)
            if reason:
                self.kept[service.name] = reason
                return
            if found is not None:
                changes[path] = found
        self.own[service.name] = changes

    def take_outside(self) -> None:
        """Move what lies around the services that move. Where that is refused, those it is for stay as they are."""
        while True:
            before = len(self.own)
            self.outside, self.shared = {}, []
            for file in self.survey.outside():
                self._outside(file)
            if len(self.own) == before:
                return

    def _outside(self, file: Outside) -> None:
        moving = frozenset(self.own)
        chosen = self.survey.movable(file, moving)
        aim = self._common_aim(file, moving)
        if aim is None:
            return
        found, reason = self._moved(file.path, aim, chosen)
        if reason:
            for name in {name for place in file.places for name in file.owners(place)} & moving:
                self.kept[name] = reason
                del self.own[name]
        elif found is not None:
            self.outside[file.path] = found
        self._tell_waiting(file, moving, aim)

    def _common_aim(self, file: Outside, moving: frozenset[str]) -> Aim | None:
        """That of the service which comes from the oldest Python, among those the file is for or all."""
        names = {name for place in file.places for name in file.owners(place)} or moving
        aims = [self.aims[name] for name in names & moving]
        return min(aims, key=lambda aim: aim.baseline) if aims else None

    def _tell_waiting(self, file: Outside, moving: frozenset[str], aim: Aim) -> None:
        """Places that are for a service that moves, and wait for others that do not."""
        for place in file.places:
            waits = file.owners(place) - moving
            behind = place.meaning is Meaning.EXACT and place.version is not None and place.version < aim.target
            if waits and waits != file.owners(place) and behind:
                others = sorted(waits)
                more = f" and {len(others) - 3} more" if len(others) > 3 else ""
                self.shared.append(
                    f"{place.location} is shared with {', '.join(others[:3])}{more}, and moves when all of them do."
                )

    def _moved(self, path: str, aim: Aim, chosen: Choice | None = None) -> tuple[FileChange | None, str]:
        """The file with its places moved, or why it is not; neither where nothing in it is to move."""
        try:
            before = read_regular(self.root, path, FILE_LIMIT)
        except Refused as reason:
            return None, "" if path.endswith((".yml", ".yaml")) else f"{path}: {reason}"
        start = self.written.get(path, before)
        try:
            text, encode = decoded(start)
            places = read_places(text, path)
            if not places:
                return None, ""
            found = move(text, places, aim, chosen) if chosen else move(text, places, aim)
            if found.refused:
                return None, _why(found)
            after = encode(found.text)
        except EditRefused as error:
            return None, f"{path}: {error}"
        return None if after == start else FileChange(path=path, before=before, after=after), ""

    def plan(self) -> MovePlan:
        changes = {**self.outside}
        for own in self.own.values():
            changes.update(own)
        moved = [name for name, own in self.own.items() if own or self._is_outside(name)]
        kept = [Kept(service=name, reason=reason) for name, reason in self.kept.items()]
        return MovePlan(
            changes=tuple(change for _, change in sorted(changes.items())),
            moved=tuple(moved),
            kept=(*kept, *(Kept(service="", reason=reason) for reason in dict.fromkeys(self.shared))),
        )

    def _is_outside(self, name: str) -> bool:
        files = (file for file in self.survey.outside() if file.path in self.outside)
        return any(name in file.owners(place) for file in files for place in file.places)


def _why(found: Moved) -> str:
    first = found.refused[0]
    more = f" ({len(found.refused) - 1} more in this file.)" if len(found.refused) > 1 else ""
    return f"{first}{more}"
