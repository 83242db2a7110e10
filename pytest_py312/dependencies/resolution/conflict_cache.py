"""Cache of the conflicts and solutions of requirement subsets.

The sets of a fleet share most of their requirements, an edited set shares even more with its former self, and what
conflicts on one interpreter mostly conflicts on the next. So conflicts and solutions of subsets are stored and reused.
They are valid only for the interpreter build and the options with which they were found (their *scope*), for as long
as a lock is. In another scope a conflict is only a suspicion that has to be confirmed.
"""

import json
import threading
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.resolution.known_solutions import KnownSolutions, Solution
from pytest_py312.dependencies.resolution.lock import CacheKeyProvider, ResolutionRequest

MAX_FILES = 200
"""Files of one scope in the cache. If there are more, the latest are read and the others removed."""

RequirementConflict = tuple[frozenset[str], Finding]
"""Requirement lines that do not resolve together, and the finding that says why."""


class ConflictScope:
    """The conflicts and solutions of one scope. Safe for threads."""

    def __init__(self, *, folder: Path, name: str, seconds: float | None) -> None:
        """Load the stored files. ``seconds`` is how long they are valid; ``None``: forever."""
        self._folder = folder
        self._name = name
        self._seconds = seconds
        self._guard = threading.Lock()
        self._solutions = KnownSolutions()
        self._conflicts: dict[frozenset[str], Finding] = {}
        self._built_projects: set[str] = set()
        self._new_conflicts: list[RequirementConflict] = []
        self._new_solutions: list[Solution] = []
        self._load_files()

    def conflicts_among(self, lines: Iterable[str]) -> list[RequirementConflict]:
        """Return the stored conflicts that consist of ``lines`` only."""
        requested = frozenset(lines)
        with self._guard:
            return [(conflict, finding) for conflict, finding in self._conflicts.items() if conflict <= requested]

    def can_satisfy(self, lines: Iterable[str]) -> bool:
        """Return whether stored solutions prove that ``lines`` resolve. ``False`` proves nothing."""
        with self._guard:
            return self._solutions.can_satisfy(lines)

    def add_conflict(self, lines: Iterable[str], finding: Finding) -> None:
        conflict = (frozenset(lines), replace(finding, location=None))
        with self._guard:
            if conflict[0] not in self._conflicts:
                self._conflicts[conflict[0]] = conflict[1]
                self._new_conflicts.append(conflict)

    def add_solution(self, solution: Solution) -> None:
        with self._guard:
            self._solutions.add(solution)
            self._new_solutions.append(solution)

    def add_built_from_source(self, names: Iterable[str]) -> None:
        """Remember projects that a set had to build from source, as the selected version has no wheel."""
        with self._guard:
            self._built_projects.update(names)

    def built_from_source(self) -> list[str]:
        """Return the projects that some set of this run had to build; another set may select one with a wheel."""
        with self._guard:
            return sorted(self._built_projects)

    def save(self) -> None:
        """Write new conflicts and solutions to the cache, for later runs."""
        with self._guard:
            conflicts, self._new_conflicts = self._new_conflicts, []
            solutions, self._new_solutions = self._new_solutions, []
        if not conflicts and not solutions:
            return
        data = {
            "created": clock.timestamp(),
            "conflicts": [[sorted(lines), encode(finding)] for lines, finding in conflicts],
            "solutions": [
                [
                    sorted(solution.lines),
                    dict(solution.versions),
                    {name: sorted(requirers) for name, requirers in solution.needs.items()},
                ]
                for solution in solutions
            ],
        }
        with suppress(OSError):  # only a cache: a full disk is reported where it matters
            write_json_atomically(self._folder / f"{self._name}.{uuid.uuid4().hex[:12]}.json", data)

    def _load_files(self) -> None:
        try:
            dated = sorted((file.stat().st_mtime, file) for file in self._folder.glob(f"{self._name}.*.json"))
        except OSError:
            return
        for position, (_, file) in enumerate(reversed(dated)):
            with suppress(OSError):
                if position >= MAX_FILES or not self._load(file.read_text(encoding="utf-8")):
                    file.unlink()

    def _load(self, text: str) -> bool:
        """Add the content of a cache file, and return whether it is still valid."""
        try:
            data = json.loads(text)
            age = clock.timestamp() - float(data["created"])
            if self._seconds is not None and not 0 <= age < self._seconds:
                return False
            conflicts = [(_line_set(lines), decode(Finding, finding)) for lines, finding in data["conflicts"]]
            solutions = [_parse_solution(*row) for row in data["solutions"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        self._conflicts.update(conflicts)
        for solution in solutions:
            self._solutions.add(solution)
        return True


def _line_set(lines: Iterable[Any]) -> frozenset[str]:
    return frozenset(str(line) for line in lines)


def _parse_solution(lines: list[str], versions: dict[str, str], needs: dict[str, list[str]]) -> Solution:
    """:raises ValueError: a project is needed that the solution does not have."""
    if not {name for of_it in (needs, *needs.values()) for name in of_it} <= versions.keys():
        raise ValueError("a needed project is missing in the solution")
    return Solution(
        lines=_line_set(lines),
        versions={str(name): str(version) for name, version in versions.items()},
        needs={name: _line_set(of_it) for name, of_it in needs.items()},
    )


class ConflictCache:
    """All scopes used so far. Safe for threads; results of other processes are read when a scope is first used."""

    def __init__(self, *, cache: Path, key_provider: CacheKeyProvider, lock_hours: float) -> None:
        self._folder = cache / "parts"
        self._key_provider = key_provider
        self._seconds = lock_hours * 3600.0
        self._scopes: dict[str, ConflictScope] = {}
        self._scopes_by_request: dict[object, list[ConflictScope]] = {}
        self._guard = threading.Lock()

    def scope_for(self, request: ResolutionRequest, build: InterpreterBuild) -> ConflictScope:
        """Return the scope of sets with the options of ``request``, on ``build``."""
        name = self._key_provider.cache_key(replace(request, lines=(), direct=(), locked=(), others=()), build)
        with self._guard:
            if name not in self._scopes:
                seconds = None if request.exclude_newer else self._seconds
                self._scopes[name] = ConflictScope(folder=self._folder, name=name, seconds=seconds)
                self._scopes_by_request.setdefault(_build_independent_key(request), []).append(self._scopes[name])
            return self._scopes[name]

    def suspected_conflicts(self, request: ResolutionRequest, build: InterpreterBuild) -> list[frozenset[str]]:
        """Return conflicts within ``request`` that are known for other builds only, and open for this one."""
        own_scope = self.scope_for(request, build)
        lines = frozenset(request.lines)
        with self._guard:
            other_scopes = [
                scope
                for scope in self._scopes_by_request.get(_build_independent_key(request), ())
                if scope is not own_scope
            ]
        conflicts = {conflict for scope in other_scopes for conflict, _ in scope.conflicts_among(lines)}
        return sorted(
            (
                conflict
                for conflict in conflicts
                if not own_scope.conflicts_among(conflict) and not own_scope.can_satisfy(conflict)
            ),
            key=sorted,
        )


def _build_independent_key(request: ResolutionRequest) -> object:
    """Return what two scopes have in common if they differ only by the build."""
    constraints = tuple(sorted(request.constraints))
    same = replace(request, lines=(), direct=(), locked=(), others=(), position=0, installed=())
    return replace(same, constraints=constraints)
