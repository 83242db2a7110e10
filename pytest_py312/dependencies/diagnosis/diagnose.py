"""All that keeps a set of requirements from being installed, in one run: not what a resolver stumbles over first.

What is wrong with a requirement by itself comes from the index (compatibility.py), for all of them at once. Those are
taken out, and the conflicts of the rest are found with the resolver (conflict_search.py).
"""

import re
from collections.abc import Sequence

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import (
    Standing,
    Target,
    Verdict,
    is_wanted,
    parsed,
    screen,
    target_of,
)
from pytest_py312.dependencies.diagnosis.conflict_search import UNTOLD as UNTOLD
from pytest_py312.dependencies.diagnosis.conflict_search import Peel, Requested, requested_in, without
from pytest_py312.dependencies.diagnosis.package_index import Index
from pytest_py312.dependencies.resolution.failure_cache import placed
from pytest_py312.dependencies.resolution.lock import Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver

_UNTRIED = re.compile(r"(\S+)==(\S+) has no wheel for [^;]*; whether its source builds was not tried")


def all_blockers(
    wanted: Wanted,
    build: InterpreterBuild,
    resolver: Resolver,
    index: Index,
    *,
    first: Finding | None = None,
    once: Once | None = None,
) -> list[Finding]:
    """Everything that blocks ``wanted``, which the resolver has refused (with ``first``, where that is known).

    ``once`` keeps what the resolver was asked about, for other sets of the same run.

    Errors are what blocks; warnings say what was noticed beside it (``PY112``) and what could not be told
    (:data:`UNTOLD`). Without an error nothing was found that blocks. Never raises for what index or resolver do.
    """
    target = _target(wanted, build)
    requested = [item for item in requested_in(wanted) if _applies(item, target)]
    pages = index.pages(item.name for item in requested if _is_indexed(item))
    verdicts = [(item, screen(pages[item.name], item.text, target)) for item in requested if _is_indexed(item)]
    alone = [_single(item, verdict, build) for item, verdict in verdicts if verdict.standing.blocks]
    sources = [verdict for _, verdict in verdicts if verdict.standing is Standing.SOURCE_ONLY]

    blocking = {verdict.name for _, verdict in verdicts if verdict.standing.blocks}
    peel = _peel(wanted, build, resolver, once or Once(None), requested, sources)
    peel.run(without(wanted, blocking), None if blocking else first)
    peel.part()
    peel.scope.keep()
    # a member of a clash may fail to build as well: undoing the clash would then be half of the work
    judged = {name for found in (*alone, *peel.found) if found.code != "PY101" for name in found.names}
    notes = [_not_tried(verdict, build) for verdict in sources if verdict.name not in judged]
    notes += [_about_yanked(verdict) for _, verdict in verdicts if verdict.standing is Standing.YANKED]
    return list(placed(list(dict.fromkeys([*alone, *peel.found, *notes])), wanted))


def is_foreseen(wanted: Wanted, build: InterpreterBuild, index: Index) -> bool:
    """Whether the pages that this run has seen already say that no resolver can find ``wanted``. Asks nobody.

    What only Requires-Python excludes is not foreseen: that is left to the resolver, as resolvers differ on it.
    """
    target = _target(wanted, build)
    none = (Standing.NO_PROJECT, Standing.NO_VERSION, Standing.NO_FILE)
    return any(
        screen(page, item.text, target).standing in none
        for item in requested_in(wanted)
        if _is_indexed(item) and (page := index.seen(item.name))
    )


def is_known_to_clash(
    wanted: Wanted, build: InterpreterBuild, resolver: Resolver, index: Index, *, once: Once | None = None
) -> bool:
    """Whether some of ``wanted`` cannot be had together, by what is known of parts of sets.

    What clashes on another interpreter is asked about on this one, which is less to ask than the whole set.
    """
    if resolver.parts.of(wanted, build).clashes(wanted.lines):
        return True
    suspected = frozenset().union(*resolver.parts.suspected(wanted, build))
    if not suspected:
        return False
    target = _target(wanted, build)
    requested = [item for item in requested_in(wanted) if item.line in suspected]
    pages = index.pages(item.name for item in requested if _is_indexed(item))
    verdicts = [screen(pages[item.name], item.text, target) for item in requested if _is_indexed(item)]
    sources = [verdict for verdict in verdicts if verdict.standing is Standing.SOURCE_ONLY]
    peel = _peel(wanted, build, resolver, once or Once(None), requested, sources)
    return any(peel.suspicion(lines, wanted) for lines in peel.suspected(wanted))


def _peel(
    wanted: Wanted,
    build: InterpreterBuild,
    resolver: Resolver,
    once: Once,
    requested: Sequence[Requested],
    sources: Sequence[Verdict],
) -> Peel:
    return Peel(
        build=build,
        resolver=resolver,
        once=once,
        requested=requested,
        sources=tuple(sorted({one.name for one in sources})),
        scope=resolver.parts.of(wanted, build),
    )


def _target(wanted: Wanted, build: InterpreterBuild) -> Target:
    return target_of(
        build, exclude_newer=wanted.exclude_newer, prereleases=any(line == "--pre" for line in wanted.options)
    )


def _applies(item: Requested, target: Target) -> bool:
    requirement = parsed(item.text)
    return requirement is not None and is_wanted(requirement, target)


def _is_indexed(item: Requested) -> bool:
    return " @ " not in item.text and "://" not in item.text


def _single(item: Requested, verdict: Verdict, build: InterpreterBuild) -> Finding:
    """What keeps a requirement from being installed, whatever it stands beside."""
    name, on = verdict.name, build.interpreter
    release = f"{name}=={verdict.version}"
    better = (
        f"{name}=={verdict.better} is the first after it that installs on {on} from a wheel" if verdict.better else ""
    )
    if verdict.standing is Standing.NO_PROJECT:
        code, message = "PY102", f"{name} is not on the index"
        remedy = "correct the name, or point the resolver at the index that has it"
    elif verdict.standing is Standing.NO_VERSION:
        code, message = "PY102", f"no version of {name} fits {item.text}: {verdict.reason}"
        remedy = f"require a version of {name} that exists"
    elif verdict.standing is Standing.EXCLUDED:
        code = "PY103"
        message = f"{release} says Requires-Python {verdict.reason}: pip refuses it on {build.version}"
        remedy = better or f"no version of {name} allows {on}: replace it"
    else:
        code, there = "PY104", f"; {verdict.reason}" if verdict.reason else ""
        message = f"{release}: no wheel for {on}, and no source that could be built{there}"
        remedy = better or f"no later version of {name} has a wheel for {on}: replace it"
    return Finding(code=code, message=message, remedy=remedy, names=(name,))


def untried(finding: Finding) -> tuple[str, str] | None:
    """The name and version of the source that a finding says was not tried."""
    match = _UNTRIED.match(finding.message) if finding.code == "PY112" else None
    return (match[1], match[2]) if match else None


def _not_tried(verdict: Verdict, build: InterpreterBuild) -> Finding:
    there = f" ({verdict.reason})" if verdict.reason else ""
    better = f"{verdict.name}=={verdict.better} is the first after it with a wheel" if verdict.better else ""
    return Finding(
        code="PY112",
        message=f"{verdict.name}=={verdict.version} has no wheel for {build.interpreter}{there}; whether its source "
        "builds was not tried, as the set is blocked by something else",
        remedy=better or "remove what blocks the set, and the source is tried",
        severity=Severity.WARNING,
        names=(verdict.name,),
    )


def _about_yanked(verdict: Verdict) -> Finding:
    return Finding(
        code="PY112",
        message=f"{verdict.name}=={verdict.version} was yanked; it installs only because it is pinned",
        severity=Severity.WARNING,
        names=(verdict.name,),
    )
