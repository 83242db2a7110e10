"""Every file that says a service's Python: those in its folder, and those around it that name it.

Files are read by name, within limits, and never outside of the root. What lies in a service's folder is read when the
service is asked about and not kept; what lies outside of all services is read once for the fleet.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_py312.core.model.fleet import Declaration, Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.declarations.declaration import Place, declarations_of
from pytest_py312.repository.declarations.reader import may_say_versions, read_places
from pytest_py312.repository.services.file_ownership import (
    NOT_ITS_OWN,
    OF_TESTS,
    OUTSIDE_LIMIT,
    Named,
    Names,
    index_of,
    may_speak_of_many,
    named_in,
    outside_files,
)
from pytest_py312.repository.services.service_files import SCAN_DEPTH
from pytest_py312.repository.tree import Tree, Unreadable, folders_beneath, join

FILE_LIMIT = 1_000
"""Files of one service that are read."""

_SHOWN = 5
"""Files that one sentence names."""
_ROUNDS = 5
"""How far work is followed that a workflow hands to another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The places of one service; ``unread`` are files that could not be read, with the end of a sentence why."""

    places: tuple[Place, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outside:
    """A file outside of all services: its places, and the services that its parts name."""

    path: str
    places: tuple[Place, ...]
    named: Named
    handed: Names
    """Services whose work other files hand to this one."""
    rest: Names = frozenset()
    """The service at the root, where there is one beside others: what names none is for it."""

    def owners(self, place: Place) -> Names:
        """The services that the place is for; none: no service is named, so it is for the fleet as a whole."""
        return self.named.at(place.start) | self.handed or self.rest


class VersionSurvey:
    """Reads the places of services. Safe for several threads."""

    def __init__(self, root: Path, services: Iterable[Service], *, exclude: Sequence[str] = ()) -> None:
        """``services`` are all of the fleet; ``exclude`` are the plan's patterns of folders that are nobody's."""
        self._tree = Tree(root)
        self._services = {service.path: service for service in services}
        self._everyone = frozenset(service.name for service in self._services.values())
        self._inner = folders_beneath(self._services)
        outermost = self._services.get(".") if len(self._services) > 1 else None
        self._root = frozenset((outermost.name,)) if outermost else frozenset()
        self._index = index_of(self._services.values())
        self._exclude = tuple(exclude)
        self._lock = threading.Lock()
        self._known_outside: tuple[Outside, ...] | None = None
        self._known_around: Mapping[str, Sequence[Place]] | None = None

    def read(self, service: Service) -> Reading:
        """All places that say the Python of ``service``."""
        places: list[Place] = []
        unread: list[tuple[str, str]] = []
        for path in self.own_files(service):
            try:
                places += read_places(self._tree.read(path), path)
            except Unreadable as reason:
                if _is_telling(path):
                    unread.append((path, str(reason)))
        return Reading(places=(*places, *self._around().get(service.name, ())), unread=tuple(unread))

    def own_files(self, service: Service) -> tuple[str, ...]:
        """The files in its folder of a kind that says Python versions, without those of services beneath it."""
        inner = tuple(f"{path}/" for path in self._inner.get(service.path, ()))
        scan = self._tree.scan(service.path, depth=SCAN_DEPTH)
        linked = frozenset(scan.linked)
        found = []
        for name in scan.files:
            path = join(service.path, name)
            if not may_say_versions(path) or _is_material(name) or path.startswith(inner):
                continue
            if service.name in self._root and may_speak_of_many(path):
                continue
            if name not in linked or not self._leads_inside(path, service.path):
                found.append(path)
        return tuple(found[:FILE_LIMIT])

    def _leads_inside(self, path: str, folder: str) -> bool:
        """Whether a link leads to another file of the same folder, which is read as itself."""
        return (self._tree.root / path).resolve().is_relative_to((self._tree.root / folder).resolve())

    def outside(self) -> tuple[Outside, ...]:
        """The files outside of all services that say a Python version."""
        with self._lock:
            if self._known_outside is None:
                self._known_outside = self._read_outside()
            return self._known_outside

    def _around(self) -> Mapping[str, Sequence[Place]]:
        """Service to the places outside of all services that are for it."""
        files = self.outside()
        with self._lock:
            if self._known_around is None:
                around: dict[str, list[Place]] = {}
                for file in files:
                    for place in file.places:
                        for name in self._everyone if len(self._everyone) == 1 else file.owners(place):
                            around.setdefault(name, []).append(place)
                self._known_around = around
            return self._known_around

    def movable(self, file: Outside, names: Names) -> Callable[[str, Sequence[Place]], Sequence[Place]]:
        """Tells of a text of ``file``, as it is or moved in part, which places move when the services ``names`` do."""

        def chosen(text: str, places: Sequence[Place]) -> Sequence[Place]:
            named = named_in(text, file.path, self._index)
            rest = file.rest or self._everyone
            return [place for place in places if (named.at(place.start) | file.handed or rest) <= names]

        return chosen

    # ---- outside of all services

    def _read_outside(self) -> tuple[Outside, ...]:
        read: dict[str, tuple[tuple[Place, ...], Named]] = {}
        uses: list[tuple[str, Named]] = []
        for number, path in enumerate(outside_files(self._tree, self._services, self._exclude)):
            text = self._tree.text(path) if number < OUTSIDE_LIMIT else None
            places = read_places(text, path) if text else ()
            if text and (places or "uses:" in text or "local:" in text):
                named = named_in(text, path, self._index)
                uses.append((path, named))
                if places:
                    read[path] = places, named
        handed = _handed(uses)
        return tuple(
            Outside(path=path, places=places, named=named, handed=handed.get(path, frozenset()), rest=self._root)
            for path, (places, named) in sorted(read.items())
        )


def with_all_declarations(fleet: Fleet, plan: Plan, whole: Fleet) -> Fleet:
    """``fleet``, a part of the ``whole`` one, with all that its services' files and those around them declare."""
    survey = VersionSurvey(plan.root, whole.services, exclude=plan.exclude)
    return replace(
        fleet,
        services=tuple(
            replace(service, declarations=tuple(sorted(declarations_of(survey.read(service).places), key=_by_place)))
            for service in fleet.services
        ),
        assumptions=(*fleet.assumptions, *_for_all(survey, whole)),
    )


def _for_all(survey: VersionSurvey, whole: Fleet) -> Iterator[str]:
    """A sentence about the files that say a Python and name no service, where there is more than one service."""
    found = [file.path for file in survey.outside() if any(not file.owners(place) for place in file.places)]
    if found and len(whole.services) > 1:
        shown = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
        verb = "says a Python and names" if len(found) == 1 else "say a Python and name"
        yield f"{shown} {verb} no service: that is for the fleet as a whole, and moves when all services do."


def _by_place(found: Declaration) -> tuple[str, int, str, str]:
    return found.location.path, found.location.line or 0, found.kind, found.text


def _handed(files: Sequence[tuple[str, Named]]) -> Mapping[str, Names]:
    """File to the services whose work other files hand to it: reusable workflows and composite actions."""
    handed: dict[str, Names] = {}
    for _ in range(_ROUNDS):
        before = dict(handed)
        for path, named in files:
            for part in (*named.parts, named.around):
                names = (part.names or named.around.names) | before.get(path, frozenset())
                for used in part.uses if names else ():
                    for file in (used, f"{used}/action.yml", f"{used}/action.yaml"):
                        handed[file] = handed.get(file, frozenset()) | names
        if handed == before:
            break
    return handed


def _is_material(name: str) -> bool:
    """Whether a file belongs to others, or is what tests read."""
    folders = name.split("/")[:-1]
    if NOT_ITS_OWN.intersection(folders):
        return True
    tests = next((number for number, folder in enumerate(folders) if folder in ("test", "tests")), None)
    return tests is not None and bool(OF_TESTS.intersection(folders[tests:]))


def _is_telling(path: str) -> bool:
    """Whether a file that cannot be read is missed: most YAML says no Python at all."""
    return not path.endswith((".yml", ".yaml")) or re.search(r"(?:^|/)\.(?:github|gitlab|circleci)", path) is not None
