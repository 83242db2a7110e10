"""Prove that a requirement set resolves from the solutions of other sets, without running a resolver. Pure.

A solution shows which version satisfies a line, what each version needs, and which versions satisfy those needs. If
versions can be combined from several solutions so that each line and each need is satisfied as in some solution, the
combination is a solution of the set. If there is no such combination, nothing is proven.

A version counts only for sets with exactly the same lines about its project: a line may allow what is not selected
otherwise, such as a pre-release or a yanked version.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pytest_py312.dependencies.resolution.lock import PROJECT_NAME, project_of

MAX_STEPS = 1000
"""Combinations tried for one set. Nearly always the first version of each project works."""

_PIN = re.compile(rf"{PROJECT_NAME}==([^\s;]+)(?: ;.*| \\)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """The resolution of a set of ``lines``: ``versions`` by project, and the projects that each of them ``needs``."""

    lines: frozenset[str]
    versions: Mapping[str, str]
    needs: Mapping[str, frozenset[str]]


def parse_solution(lines: Iterable[str], output: str) -> Solution | None:
    """Parse the output of ``uv pip compile`` for ``lines``, with its annotations (``# via``) on lines of their own.

    Return ``None`` if an entry has no version, as with requirements by URL, or no annotation: it proves nothing then.
    uv's output has normalised names.
    """
    versions: dict[str, str] = {}
    needs: dict[str, set[str]] = {}
    reasons: dict[str, list[str]] = {}
    name = ""
    for line in output.splitlines():
        content = line.strip()
        if line.startswith(" "):
            reason = content.removeprefix("#").strip().removeprefix("via").strip()
            if content.startswith("#") and name and reason:
                reasons[name].append(reason)
            continue
        pin = _PIN.fullmatch(content)
        if pin is None:
            if content and not content.startswith(("#", "-")):
                return None
            continue
        name = pin[1]
        versions[name] = pin[2]
        reasons[name] = []
    if not all(reasons.values()):
        return None
    for name, parents in reasons.items():
        for parent in parents:
            if not parent.startswith("-"):  # "-r file": required directly
                needs.setdefault(parent, set()).add(name)
    if not needs.keys() <= versions.keys():
        return None
    return Solution(
        lines=frozenset(lines), versions=versions, needs={name: frozenset(parents) for name, parents in needs.items()}
    )


class KnownSolutions:
    """What a collection of solutions proves. Not safe for threads."""

    def __init__(self) -> None:
        self._versions_taken: dict[tuple[str, frozenset[str]], set[str]] = {}
        self._absent: set[tuple[str, frozenset[str]]] = set()
        self._needs: dict[tuple[str, str], set[str]] = {}
        self._satisfying_versions: dict[tuple[str, str, str], set[str]] = {}

    def add(self, solution: Solution) -> None:
        lines_by_project = _group_by_project(solution.lines)
        versions = solution.versions
        self._absent.update((name, lines) for name, lines in lines_by_project.items() if name not in versions)
        for name, version in versions.items():
            self._versions_taken.setdefault((name, lines_by_project.get(name, frozenset())), set()).add(version)
            needs = solution.needs.get(name, frozenset())
            self._needs.setdefault((name, version), set()).update(needs)
            for needed in needs:
                self._satisfying_versions.setdefault((name, version, needed), set()).add(versions[needed])

    def can_satisfy(self, lines: Iterable[str]) -> bool:
        """Return whether the solutions prove that a set of ``lines`` resolves."""
        lines_by_project = _group_by_project(lines)
        # lines whose markers do not apply need nothing
        initially_needed = {
            name: self._possible_versions(name, lines_by_project)
            for name in lines_by_project
            if (name, lines_by_project[name]) not in self._absent
        }
        # depth first: the versions chosen so far, and the possible versions of what is still needed
        pending: list[tuple[dict[str, str], dict[str, set[str]]]] = [({}, initially_needed)]
        for _ in range(MAX_STEPS):
            if not pending:
                return False
            chosen, needed = pending.pop()
            if not needed:
                return True
            name = min(needed, key=lambda name: (len(needed[name]), name))
            for version in sorted(needed[name]):
                still_needed = self._needed_after_choosing(name, version, chosen, needed, lines_by_project)
                if still_needed is not None:
                    pending.append(({**chosen, name: version}, still_needed))
        return False

    def _possible_versions(self, name: str, lines_by_project: Mapping[str, frozenset[str]]) -> set[str]:
        return self._versions_taken.get((name, lines_by_project.get(name, frozenset())), set())

    def _needed_after_choosing(
        self,
        name: str,
        version: str,
        chosen: Mapping[str, str],
        needed: Mapping[str, set[str]],
        lines_by_project: Mapping[str, frozenset[str]],
    ) -> dict[str, set[str]] | None:
        """Return what is needed after choosing ``version`` for ``name``; ``None`` if it contradicts a choice."""
        still_needed = {project: versions for project, versions in needed.items() if project != name}
        for project in self._needs[name, version]:
            satisfying = self._satisfying_versions[name, version, project]
            if project == name:
                continue
            if project in chosen:
                if chosen[project] not in satisfying:
                    return None
                continue
            versions = (
                still_needed[project] if project in still_needed else self._possible_versions(project, lines_by_project)
            )
            still_needed[project] = versions & satisfying
            if not still_needed[project]:
                return None
        return still_needed


def _group_by_project(lines: Iterable[str]) -> dict[str, frozenset[str]]:
    grouped: dict[str, set[str]] = {}
    for line in lines:
        grouped.setdefault(project_name(line), set()).add(line)
    return {name: frozenset(project_lines) for name, project_lines in grouped.items()}


@lru_cache(maxsize=16384)
def project_name(line: str) -> str:
    """Return the normalised project name of a requirement; the line itself if it names none."""
    return project_of(line) or line


def projects_in(lines: Collection[str]) -> frozenset[str]:
    """Return the projects that ``lines`` are about."""
    return frozenset(project_name(line) for line in lines)
