"""PY12x: what the service's code imports and nothing of the service requires. Pure.

What is installed for the suite's tools alone: that it runs on the target, the suite proves by running. Pure.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_py312.analysis.libraries.import_graph import Installed, Root, prefixes
from pytest_py312.analysis.libraries.setuptools_state import WITH_SETUPTOOLS
from pytest_py312.analysis.libraries.summary import How
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.installation.distribution_store import Entry
from pytest_py312.dependencies.installation.requests import TOOLS
from pytest_py312.dependencies.resolution.lock import NAME
from pytest_py312.repository.services.requirement_set import asked_by

GENERATED = ("_pb2", "_pb2_grpc")
"""Ends of names of modules that are made when the service is built."""
MOST_PLACES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What a service requires. Names are normalised.

    ``run_time`` are projects that its run-time files name, with what their extras bring; ``anywhere`` are those that
    any of its requirement files names. ``brought_by`` maps what is installed to the projects that require it, and
    ``with_run_time`` is all of it that the run-time requirements bring, themselves included.
    """

    run_time: frozenset[str]
    anywhere: frozenset[str]
    brought_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    with_run_time: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnImports:
    """The run-time imports of a service from outside. ``used`` are files that are surely run, or imported."""

    roots: tuple[Root, ...]
    used: frozenset[str]


def declared(
    run_time: Mapping[str, Collection[str]], anywhere: Collection[str], entries: Iterable[Entry], here: Interpreter
) -> Declared:
    """What a service requires, by its files (project to extras) and by what is installed for it on ``here``."""
    installed = {entry.name: entry for entry in entries}
    brought_by: dict[str, list[str]] = {}
    asked: dict[str, tuple[str, ...]] = {}
    for name, entry in installed.items():
        asked[name] = tuple(_requires(entry, run_time.get(name, ()), here))
        for other in asked[name]:
            brought_by.setdefault(other, []).append(name)
    by_extras = {
        other
        for name, extras in run_time.items()
        if extras and name in installed
        for other in set(asked[name]) - set(_requires(installed[name], (), here))
    }
    direct = frozenset(run_time) | by_extras
    return Declared(
        run_time=direct,
        anywhere=frozenset(anywhere) | direct,
        brought_by={name: tuple(sorted(by)) for name, by in brought_by.items()},
        with_run_time=frozenset(closure(direct, asked)),
    )


def _requires(entry: Entry, extras: Collection[str], here: Interpreter) -> Iterator[str]:
    for line in entry.requires:
        wanted = asked_by(line, entry.name, extras, here)
        found = re.match(NAME, wanted)
        if found and _applies(wanted, here):
            yield canonicalize_name(found[1])


def _applies(line: str, here: Interpreter) -> bool:
    try:
        marker = Requirement(line).marker
        variables = {"python_version": str(here), "python_full_version": f"{here}.0", "extra": ""}
        return marker is None or marker.evaluate(variables)
    except (InvalidRequirement, ValueError):
        return False


def needs_findings(
    own: OwnImports, required: Declared, installed: Installed, target: Interpreter, was_there: Mapping[str, bool]
) -> list[Finding]:
    """The findings, sorted. ``was_there`` says of each of :func:`missing_names` whether the baseline has it."""
    missing: dict[str, list[Root]] = {}
    by_chance: dict[str, list[Root]] = {}
    for root in own.roots:
        top = root.target.partition(".")[0]
        if top.endswith(GENERATED) or root.target.endswith(GENERATED) or top in WITH_SETUPTOOLS:
            continue  # whether setuptools is there is a question of its own
        owners = {library.name for library in installed.owners(root.target)}
        if not owners:
            missing.setdefault(_missing_name(root.target, installed), []).append(root)
        elif owners.isdisjoint(required.anywhere):
            by_chance.setdefault(min(owners), []).append(root)
    found = [_missing(name, roots, own, target, was_there) for name, roots in sorted(missing.items())]
    found += [_by_chance(owner, roots, required) for owner, roots in sorted(by_chance.items())]
    return [one for one in found if one is not None]


def missing_names(own: OwnImports, installed: Installed) -> frozenset[str]:
    """The modules that the service imports and that its environment has not."""
    targets = {root.target for root in own.roots if not installed.owners(root.target)}
    return frozenset(_missing_name(target, installed) for target in targets)


def _missing_name(target: str, installed: Installed) -> str:
    """The module that is missing: of a namespace package, the part in it."""
    return next((name for name in prefixes(target) if not installed.has(name)), target)


def _missing(
    name: str, roots: list[Root], own: OwnImports, target: Interpreter, was_there: Mapping[str, bool]
) -> Finding | None:
    sure = [root for root in roots if root.how == How.AT_IMPORT]
    if not sure:
        return None  # what is imported in a function or under a condition may be an option that nobody takes
    in_use = [root for root in sure if root.path in own.used]
    first = (in_use or sure)[0]
    known_before = was_there.get(name, False)
    return Finding(
        code="PY120",
        message=f"{name} is imported, and nothing that is installed on {target} has it"
        + (": on the baseline another project brings it" if known_before else ""),
        remedy="require the project that has it",
        severity=Severity.ERROR if in_use else Severity.WARNING,
        location=Location(path=first.path, line=first.line),
        names=(name,),
        preexisting=not known_before,
        detail=_places(sure),
    )


def _by_chance(owner: str, roots: list[Root], required: Declared) -> Finding:
    first = roots[0]
    top = first.target.partition(".")[0]
    by = [name for name in required.brought_by.get(owner, ()) if name in required.with_run_time]
    if by:
        reason = f"comes in only because {' and '.join(by[:3])} require{'s' if len(by) == 1 else ''} it"
    else:
        reason = "is there only because of what the tests require"
    return Finding(
        code="PY121",
        message=f"{top} is imported, and nothing requires {owner}: it {reason}",
        remedy=f"require {owner}",
        severity=Severity.WARNING,
        location=Location(path=first.path, line=first.line),
        names=(owner,),
        detail=_places(roots),
    )


def _places(roots: list[Root]) -> str:
    places = list(dict.fromkeys(f"{root.path}:{root.line}" for root in roots))
    more = [f"and {len(places) - MOST_PLACES} more places"] if len(places) > MOST_PLACES else []
    return "\n".join([*places[:MOST_PLACES], *more]) if len(places) > 1 else ""


def only_for_tools(entries: Iterable[Entry], required: Collection[str]) -> frozenset[str]:
    """The names of ``entries`` that pytest and its kin bring, and nothing else that is ``required``.

    Whether a requirement applies is not asked: rather too much counts as required by others.
    """
    asked = {entry.name: {found for line in entry.requires if (found := _name(line))} for entry in entries}
    others = {name: names for name, names in asked.items() if name not in TOOLS}  # a plugin requires its tool
    return frozenset(closure(TOOLS, asked) - closure(required, others))


def closure(start: Iterable[str], asked: Mapping[str, Collection[str]]) -> set[str]:
    """``start`` and all that it asks for, and so on, as far as they are among ``asked`` (project to projects)."""
    found: set[str] = set()
    pending = list(start)
    while pending:
        name = pending.pop()
        if name in asked and name not in found:
            found.add(name)
            pending += asked[name]
    return found


def _name(line: str) -> str:
    found = re.match(NAME, line)
    return canonicalize_name(found[1]) if found else ""
