"""What follows from the distributions that were installed: who requires one, and which exclude their interpreter.

uv ignores the upper bound of Requires-Python, where pip continues with an older version.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import python_satisfies
from pytest_py312.dependencies.resolution.lock import PROJECT_NAME, DependencyLock, preinstalled
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

    Where several do, those count first that keep newer versions away (``tornado<6``): the others would take these, also
    a requirement of the project itself that takes any version.
    """
    requiring, limiting = _requirers(distributions)
    deciding = [item for item in entries if item.name != project or item.entry.specifier or item.entry.url]
    limited = _nearest(project, deciding if project in limiting else entries, {**requiring, **limiting})
    return limited or _nearest(project, entries, requiring)


def limiting_requirements(
    project: str, entries: Sequence[LocatedEntry], distributions: Sequence[StoredDistribution]
) -> list[LocatedEntry]:
    """Return the requirements, each with a version, that bring in what keeps newer versions of ``project`` away."""
    requiring, limiting = _requirers(distributions)
    deciding = [item for item in entries if item.entry.specifier or item.entry.url]
    found = (_nearest(name, deciding, requiring) for name in sorted(limiting.get(project, ())))
    return list(dict.fromkeys(item for item in found if item is not None))


def _requirers(distributions: Sequence[StoredDistribution]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Return the distributions that require each project, and those of them that keep newer versions of it away.

    What a distribution requires for an extra is left out; it is not known which extras were chosen. Other environment
    markers are ignored, as only what is installed counts.
    """
    requiring: dict[str, set[str]] = {}
    limiting: dict[str, set[str]] = {}
    for distribution in distributions:
        for line in distribution.requires:
            specifier, _, marker = line.partition(";")
            if (match := re.match(PROJECT_NAME, line)) and "extra" not in marker:
                name = canonicalize_name(match[0])
                requiring.setdefault(name, set()).add(distribution.name)
                if "@" not in specifier and _LIMIT.search(specifier):
                    limiting.setdefault(name, set()).add(distribution.name)
    return requiring, limiting


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
