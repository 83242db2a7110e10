"""What is known of parts of sets: which requirements clash by themselves, and what others were resolved to.

Sets of a fleet have much in common, a set has more in common with itself before it was edited, and what clashes on one
interpreter mostly does on the next. Answers hold on the build, and with the options, with which they were given
(*scope*), for as long as a lock does. Across scopes they are a suspicion and no more.
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
from pytest_py312.core.files import write_whole
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.serialization import decode, encode
from pytest_py312.dependencies.resolution.known_solutions import Shown, Solution
from pytest_py312.dependencies.resolution.lock import Keyed, Wanted

MOST_FILES = 200
"""Of one scope in the cache; of more, those that were written last are read and the others removed."""

Clash = tuple[frozenset[str], Finding]
"""Lines that cannot be had together, and the refusal of just those."""


class Scope:
    """What is known in one scope. Safe for threads."""

    def __init__(self, *, folder: Path, name: str, seconds: float | None) -> None:
        """``seconds`` for which an answer holds; ``None`` for ever."""
        self._folder = folder
        self._name = name
        self._seconds = seconds
        self._guard = threading.Lock()
        self._shown = Shown()
        self._clashes: dict[frozenset[str], Finding] = {}
        self._built: set[str] = set()
        self._new_clashes: list[Clash] = []
        self._new_solutions: list[Solution] = []
        self._read()

    def clashes(self, lines: Iterable[str]) -> list[Clash]:
        """Those that are known to clash by themselves and are all among ``lines``."""
        among = frozenset(lines)
        with self._guard:
            return [(clash, finding) for clash, finding in self._clashes.items() if clash <= among]

    def resolves(self, lines: Iterable[str]) -> bool:
        """Whether what is known shows that ``lines`` resolve; that it does not show it proves nothing."""
        with self._guard:
            return self._shown.resolves(lines)

    def add_clash(self, lines: Iterable[str], finding: Finding) -> None:
        clash = (frozenset(lines), replace(finding, location=None))
        with self._guard:
            if clash[0] not in self._clashes:
                self._clashes[clash[0]] = clash[1]
                self._new_clashes.append(clash)

    def add_solution(self, solution: Solution) -> None:
        with self._guard:
            self._shown.add(solution)
            self._new_solutions.append(solution)

    def add_built(self, names: Iterable[str]) -> None:
        """``names`` of projects that had to be built from source, as what a set takes of them has no wheel."""
        with self._guard:
            self._built.update(names)

    def built(self) -> list[str]:
        """Projects that some set had to build in this run; another set may take a version that has a wheel."""
        with self._guard:
            return sorted(self._built)

    def keep(self) -> None:
        """Write down for later runs what was learnt since."""
        with self._guard:
            clashes, self._new_clashes = self._new_clashes, []
            solutions, self._new_solutions = self._new_solutions, []
        if not clashes and not solutions:
            return
        data = {
            "created": clock.timestamp(),
            "clashes": [[sorted(lines), encode(finding)] for lines, finding in clashes],
            "solutions": [
                [sorted(one.lines), dict(one.versions), {name: sorted(of_it) for name, of_it in one.needs.items()}]
                for one in solutions
            ],
        }
        with suppress(OSError):  # only a cache: a full disk shows itself where it matters
            write_whole(self._folder / f"{self._name}.{uuid.uuid4().hex[:12]}.json", data)

    def _read(self) -> None:
        try:
            dated = sorted((file.stat().st_mtime, file) for file in self._folder.glob(f"{self._name}.*.json"))
        except OSError:
            return
        for at, (_, file) in enumerate(reversed(dated)):
            with suppress(OSError):
                if at >= MOST_FILES or not self._take(file.read_text(encoding="utf-8")):
                    file.unlink()

    def _take(self, text: str) -> bool:
        """Whether ``text``, of the cache, still holds: then it is known."""
        try:
            data = json.loads(text)
            age = clock.timestamp() - float(data["created"])
            if self._seconds is not None and not 0 <= age < self._seconds:
                return False
            clashes = [(_lines(lines), decode(Finding, finding)) for lines, finding in data["clashes"]]
            solutions = [_solution(*row) for row in data["solutions"]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        self._clashes.update(clashes)
        for solution in solutions:
            self._shown.add(solution)
        return True


def _lines(found: Iterable[Any]) -> frozenset[str]:
    return frozenset(str(line) for line in found)


def _solution(lines: list[str], versions: dict[str, str], needs: dict[str, list[str]]) -> Solution:
    """:raises ValueError: it is none, as something is needed that is not there."""
    if not {name for of_it in (needs, *needs.values()) for name in of_it} <= versions.keys():
        raise ValueError("something is needed that is not there")
    return Solution(
        lines=_lines(lines),
        versions={str(name): str(version) for name, version in versions.items()},
        needs={name: _lines(of_it) for name, of_it in needs.items()},
    )


class Parts:
    """All scopes that were asked about. Safe for threads; other processes' answers are read when a scope begins."""

    def __init__(self, *, cache: Path, keyed: Keyed, lock_hours: float) -> None:
        self._folder = cache / "parts"
        self._keyed = keyed
        self._seconds = lock_hours * 3600.0
        self._scopes: dict[str, Scope] = {}
        self._families: dict[object, list[Scope]] = {}
        self._guard = threading.Lock()

    def of(self, wanted: Wanted, build: InterpreterBuild) -> Scope:
        """What is known of sets with the options of ``wanted``."""
        name = self._keyed.key(replace(wanted, lines=(), direct=()), build)
        with self._guard:
            if name not in self._scopes:
                seconds = None if wanted.exclude_newer else self._seconds
                self._scopes[name] = Scope(folder=self._folder, name=name, seconds=seconds)
                self._families.setdefault(_family(wanted), []).append(self._scopes[name])
            return self._scopes[name]

    def suspected(self, wanted: Wanted, build: InterpreterBuild) -> list[frozenset[str]]:
        """Lines among those of ``wanted`` that clash on another build, and of which nothing is known on this one."""
        own = self.of(wanted, build)
        lines = frozenset(wanted.lines)
        with self._guard:
            others = [scope for scope in self._families[_family(wanted)] if scope is not own]
        found = {clash for scope in others for clash, _ in scope.clashes(lines)}
        return sorted((clash for clash in found if not own.clashes(clash) and not own.resolves(clash)), key=sorted)


def _family(wanted: Wanted) -> object:
    """What scopes have in common that differ by the build alone."""
    return (wanted.options, tuple(sorted(wanted.constraints)), wanted.exclude_newer, wanted.hashes)
