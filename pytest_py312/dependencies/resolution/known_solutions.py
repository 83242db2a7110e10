"""Whether a set of requirements resolves, told by what other sets were resolved to. Pure.

A solution shows which versions a line takes, what each version needs, and which versions satisfy that. Where versions
can be chosen from several solutions so that each line and each need is satisfied as some solution shows, they are a
solution of the set: it resolves, and no resolver has to be asked. That none can be chosen proves nothing.

A version of a project counts only where a set with the very same lines about that project took it: a line may allow
what is not taken otherwise, such as a pre-release or a version that was yanked.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from packaging.utils import canonicalize_name

from pytest_py312.dependencies.resolution.lock import NAME

MOST_STEPS = 1000
"""Choices tried for one set. Nearly always the first one of each project will do."""

_PIN = re.compile(rf"{NAME}==([^\s;]+)(?: ;.*| \\)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """What the set of ``lines`` was resolved to: ``versions`` by project, and what each of them ``needs``."""

    lines: frozenset[str]
    versions: Mapping[str, str]
    needs: Mapping[str, frozenset[str]]


def solution_of(lines: Iterable[str], text: str) -> Solution | None:
    """Read what ``uv pip compile`` printed for ``lines``, with its annotations (``# via``) on lines of their own.

    ``None`` where it is not all of names with versions, as with requirements by URL, or says of one of them not why it
    is there: then it shows nothing. Names are normalised there already.
    """
    versions: dict[str, str] = {}
    needs: dict[str, set[str]] = {}
    reasons: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        words = line.strip()
        if line.startswith(" "):
            reason = words.removeprefix("#").strip().removeprefix("via").strip()
            if words.startswith("#") and name and reason:
                reasons[name].append(reason)
            continue
        pin = _PIN.fullmatch(words)
        if pin is None:
            if words and not words.startswith(("#", "-")):
                return None
            continue
        name = pin[1]
        versions[name] = pin[2]
        reasons[name] = []
    if not all(reasons.values()):
        return None
    for name, of_it in reasons.items():
        for parent in of_it:
            if not parent.startswith("-"):  # of the requirements themselves
                needs.setdefault(parent, set()).add(name)
    if not needs.keys() <= versions.keys():
        return None
    return Solution(
        lines=frozenset(lines), versions=versions, needs={name: frozenset(of_it) for name, of_it in needs.items()}
    )


class Shown:
    """What the solutions that were added show. Not safe for threads."""

    def __init__(self) -> None:
        self._taken: dict[tuple[str, frozenset[str]], set[str]] = {}
        self._absent: set[tuple[str, frozenset[str]]] = set()
        self._needs: dict[tuple[str, str], set[str]] = {}
        self._fits: dict[tuple[str, str, str], set[str]] = {}

    def add(self, solution: Solution) -> None:
        about = _by_project(solution.lines)
        versions = solution.versions
        self._absent.update((name, lines) for name, lines in about.items() if name not in versions)
        for name, version in versions.items():
            self._taken.setdefault((name, about.get(name, frozenset())), set()).add(version)
            needs = solution.needs.get(name, frozenset())
            self._needs.setdefault((name, version), set()).update(needs)
            for needed in needs:
                self._fits.setdefault((name, version, needed), set()).add(versions[needed])

    def resolves(self, lines: Iterable[str]) -> bool:
        """Whether a set of ``lines`` is shown to resolve."""
        about = _by_project(lines)
        # lines whose markers do not hold need nothing
        first = {name: self._may_be(name, about) for name in about if (name, about[name]) not in self._absent}
        # the last one first: what was chosen so far, and what is needed beside it with the versions that would do
        pending: list[tuple[dict[str, str], dict[str, set[str]]]] = [({}, first)]
        for _ in range(MOST_STEPS):
            if not pending:
                return False
            chosen, needed = pending.pop()
            if not needed:
                return True
            name = min(needed, key=lambda name: (len(needed[name]), name))
            for version in sorted(needed[name]):
                after = self._after(name, version, chosen, needed, about)
                if after is not None:
                    pending.append(({**chosen, name: version}, after))
        return False

    def _may_be(self, name: str, about: Mapping[str, frozenset[str]]) -> set[str]:
        return self._taken.get((name, about.get(name, frozenset())), set())

    def _after(
        self,
        name: str,
        version: str,
        chosen: Mapping[str, str],
        needed: Mapping[str, set[str]],
        about: Mapping[str, frozenset[str]],
    ) -> dict[str, set[str]] | None:
        """What is needed once ``version`` was chosen for ``name``; ``None`` where that does not fit."""
        after = {other: versions for other, versions in needed.items() if other != name}
        for other in self._needs[name, version]:
            fits = self._fits[name, version, other]
            if other == name:
                continue
            if other in chosen:
                if chosen[other] not in fits:
                    return None
                continue
            versions = after[other] if other in after else self._may_be(other, about)
            after[other] = versions & fits
            if not after[other]:
                return None
        return after


def _by_project(lines: Iterable[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in lines:
        found.setdefault(project_of(line), set()).add(line)
    return {name: frozenset(of_it) for name, of_it in found.items()}


@lru_cache(maxsize=16384)
def project_of(line: str) -> str:
    """The normalised name of the project that a requirement is about; the line itself where it names none."""
    match = re.match(NAME, line)
    return canonicalize_name(match[0]) if match else line


def names_in(lines: Collection[str]) -> frozenset[str]:
    """The projects that ``lines`` are about."""
    return frozenset(project_of(line) for line in lines)
