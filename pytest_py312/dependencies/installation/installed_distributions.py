"""What follows from the distributions that were installed: who requires one, and which exclude their interpreter.

uv ignores the upper bound of Requires-Python, where pip continues with an older version.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from packaging.requirements import Requirement

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import python_satisfies
from pytest_py312.dependencies.proofs.hash_checking import applies_on
from pytest_py312.dependencies.resolution.lock import DependencyLock, preinstalled, project_of
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry

PINNED_TOOLS = frozenset(("pytest", "pluggy", "iniconfig", "hypothesis", "coverage"))
"""Test tools that have the version of the baseline on every interpreter, as do all plugins of pytest."""
_LIMIT = re.compile(r"<|[=~]=")
MAX_OLDER_ATTEMPTS = 5
"""Number of times that an older version is tried, as pip would."""


def requirement_of(
    project: str, entries: Sequence[LocatedEntry], distributions: Sequence[StoredDistribution]
) -> LocatedEntry | None:
    """Return the requirement of ``project``, or the first one by which ``distributions`` bring it in.

    Where several do, those count first that keep newer versions away (``tornado<6``): the others would take these.
    """
    requiring: dict[str, set[str]] = {}
    limiting: dict[str, set[str]] = {}
    for requirer, line, _marker in _required_lines(distributions):
        name = project_of(line)
        requiring.setdefault(name, set()).add(requirer)
        if "@" not in line and _LIMIT.search(line):
            limiting.setdefault(name, set()).add(requirer)
    return _nearest(project, entries, {**requiring, **limiting}) or _nearest(project, entries, requiring)


def excluding_requirements(
    project: str,
    version: str,
    entries: Sequence[LocatedEntry],
    distributions: Sequence[StoredDistribution],
    build: InterpreterBuild,
) -> list[LocatedEntry]:
    """Return the requirements with a version of their own that bring in what excludes ``version`` of ``project``."""
    requiring: dict[str, set[str]] = {}
    excluding: set[str] = set()
    for requirer, line, marker in _required_lines(distributions):
        requiring.setdefault(project_of(line), set()).add(requirer)
        if project_of(line) == project and applies_on(marker, build) and not _allows(line, version):
            excluding.add(requirer)
    deciding = [item for item in entries if item.entry.specifier or item.entry.url]
    found = (_nearest(name, deciding, requiring) for name in sorted(excluding))
    return list(dict.fromkeys(item for item in found if item is not None))


def _required_lines(distributions: Iterable[StoredDistribution]) -> Iterator[tuple[str, str, str]]:
    """Yield what distributions require: name of the distribution, requirement, and marker.

    What one requires for an extra is left out; it is not known which extras were chosen.
    """
    for distribution in distributions:
        for line in distribution.requires:
            requirement, _, marker = line.partition(";")
            if project_of(requirement) and "extra" not in marker:
                yield distribution.name, requirement.strip(), marker.strip()


def _allows(line: str, version: str) -> bool:
    try:
        return Requirement(line).specifier.contains(version, prereleases=True)
    except ValueError:  # also an address, whose version is not known
        return True


def _nearest(
    project: str, entries: Sequence[LocatedEntry], requiring: Mapping[str, Collection[str]]
) -> LocatedEntry | None:
    level, seen = {project}, {project}
    while level:
        required = [item for item in entries if item.name in level]
        if required:
            return max(required, key=lambda item: item.decisiveness)
        level = {name for known in level for name in requiring.get(known, ())} - seen
        seen |= level
    return None


def with_requirement(
    finding: Finding, entries: Sequence[LocatedEntry], distributions: Sequence[StoredDistribution]
) -> Finding:
    """Return a finding about one project with the place of its requirement, or of that which brings it in, by name."""
    requirement = requirement_of(finding.names[0], entries, distributions)
    if requirement is None:
        return finding
    reason = "" if requirement.name == finding.names[0] else f" ({requirement.name} requires it)"
    return replace(finding, message=f"{finding.message}{reason}", location=requirement.location)


def tool_constraints(lock: DependencyLock) -> tuple[str, ...]:
    """Return the test tools of the baseline as constraints, so that both sides use the same versions."""
    return tuple(
        f"{pin.name}=={pin.version}"
        for pin in lock.pins
        if pin.version and not pin.from_source and (pin.name in PINNED_TOOLS or pin.name.startswith("pytest-"))
    )


def excluded_by_requires_python(
    distributions: Iterable[StoredDistribution], build: InterpreterBuild
) -> list[StoredDistribution]:
    """Return those of ``distributions`` whose Requires-Python excludes ``build``."""
    return [
        distribution
        for distribution in distributions
        if not python_satisfies(distribution.requires_python, build.version)
    ]


def older_than(
    lock: DependencyLock, excluded: Iterable[StoredDistribution], build: InterpreterBuild
) -> tuple[str, ...]:
    """Return constraints that keep the tools of ``lock`` and require older versions of ``excluded``."""
    preinstalled_lines = [seed.line for seed in preinstalled(build) if lock.versions.get(seed.name) == seed.version]
    return (
        *tool_constraints(lock),
        *preinstalled_lines,
        *(f"{distribution.name}<{distribution.version}" for distribution in excluded),
    )


def entries_of_production(cell: Cell, entries: Sequence[LocatedEntry]) -> list[LocatedEntry]:
    """Return the requirements without those of files that only tests use."""
    of_tests = {source.path for source in cell.service.test_requirements}
    of_tests -= {source.path for source in cell.service.requirements}
    return [entry for entry in entries if entry.location.path not in of_tests]
