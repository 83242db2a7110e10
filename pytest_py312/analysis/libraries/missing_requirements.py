"""Findings PY12x: modules that a service imports without requiring the project that provides them.

This module also determines which distributions are installed for test tools alone. They are not analyzed, because
running the suite shows whether they work on the target.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, ImportRoot
from pytest_py312.analysis.libraries.summaries.module_files import prefixes
from pytest_py312.analysis.libraries.summaries.summary import SETUPTOOLS_DEPENDENT_MODULES, Likelihood
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.installation.installed_distributions import PINNED_TOOLS
from pytest_py312.dependencies.resolution.lock import project_of
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.requirements.requirement_set import requirement_with_extras, with_nested_extras

GENERATED_SUFFIXES = ("_pb2", "_pb2_grpc")
"""Name suffixes of modules that are generated when the service is built."""
MAX_PLACES = 8
_EXTRA = re.compile(r"\bextra\s*==\s*[\"']([\w.-]{1,100})")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredRequirements:
    """What a service requires, by normalised project name.

    ``run_time`` are the projects in its run-time requirement files and those of the requested extras; ``mentioned`` are
    the projects in any of its requirement files. ``required_by`` maps installed projects to those that require them.
    ``run_time_closure`` are the run-time requirements with all of their dependencies.
    """

    run_time: frozenset[str]
    mentioned: frozenset[str]
    required_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    run_time_closure: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnImports:
    """The run-time imports of third-party modules. ``used_files`` are files that are run or imported."""

    roots: tuple[ImportRoot, ...]
    used_files: frozenset[str]


def declared_requirements(
    run_time: Mapping[str, Collection[str]],
    mentioned: Collection[str],
    entries: Iterable[StoredDistribution],
    interpreter: Interpreter,
    installed_alone: Collection[str] = (),
) -> DeclaredRequirements:
    """Return what a service requires, from its files (project to extras) and the installed metadata.

    :param installed_alone: projects that bring nothing of what they require: ``--no-deps``.
    """
    installed = {entry.name: entry for entry in entries}
    required_by: dict[str, list[str]] = {}
    requirements_of: dict[str, tuple[str, ...]] = {}
    for name, entry in installed.items():
        requirements_of[name] = tuple(_required_projects(entry, run_time.get(name, ()), interpreter))
        for required_name in requirements_of[name]:
            required_by.setdefault(required_name, []).append(name)
    by_extras = {
        required_name
        for name, extras in run_time.items()
        if extras and name in installed
        for required_name in set(requirements_of[name]) - set(_required_projects(installed[name], (), interpreter))
    }
    direct = frozenset(run_time) | by_extras
    return DeclaredRequirements(
        run_time=direct,
        mentioned=frozenset(mentioned) | direct,
        required_by={name: tuple(sorted(requirers)) for name, requirers in required_by.items()},
        run_time_closure=frozenset(
            closure(direct, {**requirements_of, **dict.fromkeys(installed.keys() & set(installed_alone), ())})
        ),
    )


def _required_projects(entry: StoredDistribution, extras: Collection[str], interpreter: Interpreter) -> Iterator[str]:
    asked = with_nested_extras(entry.requires, entry.name, extras)
    for line in entry.requires:
        requirement = requirement_with_extras(line, entry.name, asked, interpreter)
        name = project_of(requirement)
        if name and _applies(requirement, interpreter):
            yield name


def _applies(line: str, interpreter: Interpreter) -> bool:
    try:
        marker = Requirement(line).marker
        variables = {"python_version": str(interpreter), "python_full_version": f"{interpreter}.0", "extra": ""}
        return marker is None or marker.evaluate(variables)
    except (InvalidRequirement, ValueError):
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class ExcludedRequirement:
    """A requirement that a marker keeps away from the target: who requires it (a place in a file, or a project)."""

    name: str
    marker: str
    origin: str
    is_own: bool

    @property
    def reason(self) -> str:
        return f"{self.origin} requires {self.name} only where {self.marker}"

    @property
    def remedy(self) -> str:
        return f"remove that marker of {self.name}" if self.is_own else f"require {self.name}"


def excluded_requirements(
    own_lines: Iterable[tuple[str, str]],
    entries: Iterable[StoredDistribution],
    *,
    baseline: Interpreter,
    target: Interpreter,
) -> Mapping[str, ExcludedRequirement]:
    """Return the requirements that apply on the baseline and not on the target, by normalised project name.

    :param own_lines: places and requirements of the service's files; they count before those of ``entries``.
    :param entries: what is installed on the baseline.
    """
    lines = [(origin, line, True) for origin, line in own_lines]
    lines += [(entry.name, line, False) for entry in entries for line in entry.requires]
    excluded: dict[str, ExcludedRequirement] = {}
    required: set[str] = set()
    for origin, line, is_own in lines:
        name = project_of(line)
        if not name or (is_own and name in required):
            continue
        if _applies(line, target):
            if is_own:
                required.add(name)
                excluded.pop(name, None)
        elif _applies(line, baseline):
            marker = line.partition(";")[2].strip()
            excluded.setdefault(name, ExcludedRequirement(name=name, marker=marker, origin=origin, is_own=is_own))
    return excluded


def requirement_findings(
    own: OwnImports,
    required: DeclaredRequirements,
    installed: EnvironmentModules,
    target: Interpreter,
    on_baseline: Mapping[str, bool],
    excluded: Mapping[str, ExcludedRequirement] | None = None,
) -> list[Finding]:
    """Return the findings, sorted.

    :param on_baseline: whether the baseline has each of the :func:`missing_modules`.
    :param excluded: the requirement that would provide a missing module, if a marker keeps it away.
    """
    missing: dict[str, list[ImportRoot]] = {}
    transitive: dict[str, list[ImportRoot]] = {}
    for root in own.roots:
        top = root.target.partition(".")[0]
        if (
            top.endswith(GENERATED_SUFFIXES)
            or root.target.endswith(GENERATED_SUFFIXES)
            or top in SETUPTOOLS_DEPENDENT_MODULES
        ):
            continue  # missing setuptools is reported as PY209 or PY243
        owners = {library.name for library in installed.owners(root.target)}
        if not installed.provides(root.target):
            missing.setdefault(_missing_module(root.target, installed), []).append(root)
        elif owners and owners.isdisjoint(required.mentioned):
            transitive.setdefault(min(owners), []).append(root)
    findings = [
        _missing_finding(name, roots, own, target, on_baseline, (excluded or {}).get(name))
        for name, roots in sorted(missing.items())
    ]
    findings += [_transitive_finding(owner, roots, required) for owner, roots in sorted(transitive.items())]
    return [finding for finding in findings if finding is not None]


def missing_modules(own: OwnImports, installed: EnvironmentModules) -> frozenset[str]:
    """Return the modules that the service imports and its environment lacks."""
    targets = {root.target for root in own.roots if not installed.provides(root.target)}
    return frozenset(_missing_module(target, installed) for target in targets)


def _missing_module(target: str, installed: EnvironmentModules) -> str:
    """Return the name of the missing module. For a namespace package this is the part inside of it."""
    return next((name for name in prefixes(target) if not installed.has(name)), target)


def _missing_finding(
    name: str, roots: list[ImportRoot], own: OwnImports, target: Interpreter, on_baseline: Mapping[str, bool],
    excluded: ExcludedRequirement | None,
) -> Finding | None:  # fmt: skip
    certain = [root for root in roots if root.likelihood == Likelihood.AT_IMPORT]
    if not certain:
        return None  # imports in a function or under a condition may be for an optional feature
    in_use = [root for root in certain if root.path in own.used_files]
    first = (in_use or certain)[0]
    works_on_baseline = on_baseline.get(name, False)
    reason = ": on the baseline another project provides it" if works_on_baseline else ""
    if excluded:
        reason = f": {excluded.reason}"
    return Finding(
        code="PY120",
        message=f"{name} is imported, but nothing installed on {target} provides it" + reason,
        remedy=excluded.remedy if excluded else "require the project that provides it",
        severity=Severity.ERROR if in_use else Severity.WARNING,
        location=Location(path=first.path, line=first.line),
        names=(name,),
        preexisting=not works_on_baseline,
        detail=_describe_places(certain),
    )


def _transitive_finding(owner: str, roots: list[ImportRoot], required: DeclaredRequirements) -> Finding:
    first = roots[0]
    top = first.target.partition(".")[0]
    requirers = [name for name in required.required_by.get(owner, ()) if name in required.run_time_closure]
    if requirers:
        reason = (
            f"is installed only because {' and '.join(requirers[:3])} require{'s' if len(requirers) == 1 else ''} it"
        )
    else:
        reason = "is installed only because of test requirements"
    return Finding(
        code="PY121",
        message=f"{top} is imported, but nothing requires {owner}: it {reason}",
        remedy=f"require {owner}",
        severity=Severity.WARNING,
        location=Location(path=first.path, line=first.line),
        names=(owner,),
        detail=_describe_places(roots),
    )


def _describe_places(roots: list[ImportRoot]) -> str:
    places = list(dict.fromkeys(f"{root.path}:{root.line}" for root in roots))
    more = [f"and {len(places) - MAX_PLACES} more places"] if len(places) > MAX_PLACES else []
    return "\n".join([*places[:MAX_PLACES], *more]) if len(places) > 1 else ""


def tool_only_distributions(entries: Iterable[StoredDistribution], required: Collection[str]) -> frozenset[str]:
    """Return the names of ``entries`` that only pytest and other test tools require.

    Environment markers are ignored, so that in doubt a distribution counts as required by others.
    """
    requirements_of = _requirements_of(entries)
    requirements_without_tools = {
        name: names for name, names in requirements_of.items() if name not in PINNED_TOOLS
    }  # a plugin requires its tool
    return frozenset(closure(PINNED_TOOLS, requirements_of) - closure(required, requirements_without_tools))


def unrequired_distributions(
    entries: Iterable[StoredDistribution], required: Mapping[str, Collection[str] | None]
) -> frozenset[str]:
    """Return the names of ``entries`` that ``required`` (project to extras) does not require, also through others.

    Markers are ignored but for extras, so that in doubt a distribution counts as required.

    :param required: ``None`` in place of extras: any of them may be asked for.
    """
    lines_of = {entry.name: entry.requires for entry in entries}
    reached: dict[str, set[str]] = {}
    pending = list(required.items())
    while pending:
        name, asked = pending.pop()
        lines = lines_of.get(name)
        if lines is None:
            continue
        extras = (
            {extra for line in lines for extra in _extras_in(line)}
            if asked is None
            else {*with_nested_extras(lines, name, asked)}
        )
        if name in reached and extras <= reached[name]:
            continue
        reached.setdefault(name, set()).update(extras)
        normalised = {canonicalize_name(extra) for extra in extras}
        for line in lines:
            of_extras = _extras_in(line)
            if not of_extras or of_extras & normalised:
                pending.append((project_of(line), asked_extras(line)))
    return frozenset(lines_of) - reached.keys()


def _extras_in(line: str) -> set[str]:
    """Return the extras with which a requirement applies; empty if it does without."""
    return {canonicalize_name(extra) for extra in _EXTRA.findall(line.partition(";")[2])}


def asked_extras(line: str) -> frozenset[str]:
    """Return the extras that a requirement names."""
    try:
        return frozenset(Requirement(line).extras if "[" in line else ())
    except InvalidRequirement:
        return frozenset()


def _requirements_of(entries: Iterable[StoredDistribution]) -> dict[str, set[str]]:
    return {entry.name: {project for line in entry.requires if (project := project_of(line))} for entry in entries}


def closure(start: Iterable[str], requirements_of: Mapping[str, Collection[str]]) -> set[str]:
    """Return ``start`` and everything it requires, as far as it is in ``requirements_of`` (project to projects)."""
    reached: set[str] = set()
    pending = list(start)
    while pending:
        name = pending.pop()
        if name in requirements_of and name not in reached:
            reached.add(name)
            pending += requirements_of[name]
    return reached
