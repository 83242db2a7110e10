"""Find everything that prevents a requirement set from being installed, not only the resolver's first error.

Requirements that cannot be installed by themselves are found from the index's pages (compatibility.py), all at once.
They are removed from the set, and the conflicts of the remaining ones are found with the resolver (conflict_search.py).
"""

import re
from collections.abc import Sequence

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import (
    Installability,
    ReleaseCheck,
    TargetEnvironment,
    check_release,
    marker_applies,
    parse_requirement,
    target_environment,
)
from pytest_py312.dependencies.diagnosis.conflict_search import (
    ConflictSearch,
    RequirementLine,
    requirement_lines,
    without_projects,
)
from pytest_py312.dependencies.diagnosis.package_index import PackageIndex
from pytest_py312.dependencies.resolution.failure_cache import with_locations
from pytest_py312.dependencies.resolution.lock import ResolutionRequest
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver

_UNBUILT_SOURCE = re.compile(r"(\S+)==(\S+) has no wheel for [^;]*; whether its source builds was not tried")


def find_all_conflicts(
    request: ResolutionRequest,
    build: InterpreterBuild,
    resolver: UvResolver,
    index: PackageIndex,
    *,
    first_refusal: Finding | None = None,
    single_flight: SingleFlight | None = None,
) -> list[Finding]:
    """Return everything that blocks ``request``, which is unresolvable (because of ``first_refusal``, if known).

    ``single_flight`` shares the resolver's answers with other sets of the same run.

    Errors are what blocks. Warnings are side observations (``PY112``) and what could not be determined
    (:data:`UNDETERMINED_CODE`). Without an error, nothing that blocks was found. Never raises for failures of the index
    or the resolver.
    """
    target = _target_environment(request, build)
    requested = [item for item in requirement_lines(request) if _is_applicable(item, target)]
    pages = index.pages(item.name for item in requested if _is_indexed(item))
    checks = [(item, check_release(pages[item.name], item.text, target)) for item in requested if _is_indexed(item)]
    standalone_findings = [
        _standalone_finding(item, check, build) for item, check in checks if check.installability.blocks
    ]
    source_only = [check for _, check in checks if check.installability is Installability.SOURCE_ONLY]
    forbidden = [check for check in source_only if request.formats.is_wheel_only(check.name)]
    standalone_findings += [_forbidden_source_finding(check, build) for check in forbidden]
    source_only = [check for check in source_only if check not in forbidden]

    blocked_projects = {check.name for _, check in checks if check.installability.blocks}
    blocked_projects |= {check.name for check in forbidden}
    search = _conflict_search(request, build, resolver, single_flight or SingleFlight(None), requested, source_only)
    search.run(without_projects(request, blocked_projects), None if blocked_projects else first_refusal)
    search.split_pairs()
    search.scope.save()
    # a member of a conflict may fail to build as well: resolving the conflict would not be enough then
    explained = {
        name
        for finding in (*standalone_findings, *search.findings)
        if finding.code != "PY101"
        for name in finding.names
    }
    notes = [_unbuilt_source_note(check, build) for check in source_only if check.name not in explained]
    notes += [_yanked_note(check) for _, check in checks if check.installability is Installability.YANKED]
    return list(with_locations(list(dict.fromkeys([*standalone_findings, *search.findings, *notes])), request))


def excluded_requirements(request: ResolutionRequest, build: InterpreterBuild, index: PackageIndex) -> list[Finding]:
    """Return the requirements that pip refuses by their Requires-Python; uv ignores its upper bound.

    Never raises for failures of the index.
    """
    target = _target_environment(request, build)
    requested = [item for item in requirement_lines(request) if _is_applicable(item, target) and _is_indexed(item)]
    pages = index.pages(item.name for item in requested)
    checks = [(item, check_release(pages[item.name], item.text, target)) for item in requested]
    findings = [
        _standalone_finding(item, check, build)
        for item, check in checks
        if check.installability is Installability.EXCLUDED
    ]
    return list(with_locations(findings, request))


def is_known_unsatisfiable(request: ResolutionRequest, build: InterpreterBuild, index: PackageIndex) -> bool:
    """Return whether index pages that this run has fetched already prove that ``request`` is unresolvable.

    Exclusion by Requires-Python alone does not count: resolvers handle it differently.
    """
    target = _target_environment(request, build)
    unavailable = (Installability.NO_PROJECT, Installability.NO_VERSION, Installability.NO_FILE)
    return any(
        check_release(page, item.text, target).installability in unavailable
        for item in requirement_lines(request)
        if _is_indexed(item) and (page := index.page_if_fetched(item.name))
    )


def has_known_conflict(
    request: ResolutionRequest,
    build: InterpreterBuild,
    resolver: UvResolver,
    index: PackageIndex,
    *,
    single_flight: SingleFlight | None = None,
) -> bool:
    """Return whether a known conflict makes ``request`` unresolvable.

    Conflicts known for another interpreter are confirmed for this one, which is cheaper than resolving the whole set.
    """
    if resolver.conflict_cache.scope_for(request, build).conflicts_among(request.lines):
        return True
    suspected = frozenset().union(*resolver.conflict_cache.suspected_conflicts(request, build))
    if not suspected:
        return False
    target = _target_environment(request, build)
    requested = [item for item in requirement_lines(request) if item.line in suspected]
    pages = index.pages(item.name for item in requested if _is_indexed(item))
    checks = [check_release(pages[item.name], item.text, target) for item in requested if _is_indexed(item)]
    source_only = [check for check in checks if check.installability is Installability.SOURCE_ONLY]
    search = _conflict_search(request, build, resolver, single_flight or SingleFlight(None), requested, source_only)
    return any(search.confirm_conflict(lines, request) for lines in search.suspected_conflicts(request))


def _conflict_search(
    request: ResolutionRequest,
    build: InterpreterBuild,
    resolver: UvResolver,
    single_flight: SingleFlight,
    requested: Sequence[RequirementLine],
    sources: Sequence[ReleaseCheck],
) -> ConflictSearch:
    return ConflictSearch(
        build=build,
        resolver=resolver,
        single_flight=single_flight,
        requested=requested,
        sources=tuple(sorted({check.name for check in sources})),
        scope=resolver.conflict_cache.scope_for(request, build),
    )


def _target_environment(request: ResolutionRequest, build: InterpreterBuild) -> TargetEnvironment:
    return target_environment(
        build, exclude_newer=request.exclude_newer, prereleases=any(line == "--pre" for line in request.options)
    )


def _is_applicable(item: RequirementLine, target: TargetEnvironment) -> bool:
    requirement = parse_requirement(item.text)
    return requirement is not None and marker_applies(requirement, target)


def _is_indexed(item: RequirementLine) -> bool:
    return " @ " not in item.text and "://" not in item.text


def _standalone_finding(item: RequirementLine, check: ReleaseCheck, build: InterpreterBuild) -> Finding:
    """Return the finding about a requirement that cannot be installed by itself."""
    name, interpreter = check.name, build.interpreter
    release = f"{name}=={check.version}"
    upgrade = (
        f"{name}=={check.next_with_wheel} is the first after it that installs on {interpreter} from a wheel"
        if check.next_with_wheel
        else ""
    )
    if check.installability is Installability.NO_PROJECT:
        code, message = "PY102", f"{name} is not on the index"
        remedy = "correct the name, or point the resolver at the index that has it"
    elif check.installability is Installability.NO_VERSION:
        code, message = "PY102", f"no version of {name} fits {item.text}: {check.reason}"
        remedy = f"require a version of {name} that exists"
    elif check.installability is Installability.EXCLUDED:
        code = "PY103"
        message = f"{release} says Requires-Python {check.reason}: pip refuses it on {build.version}"
        remedy = upgrade or f"no version of {name} allows {interpreter}: replace it"
    else:
        code, detail = "PY104", f"; {check.reason}" if check.reason else ""
        message = f"{release}: no wheel for {interpreter}, and no source that could be built{detail}"
        remedy = upgrade or f"no later version of {name} has a wheel for {interpreter}: replace it"
    return Finding(code=code, message=message, remedy=remedy, names=(name,))


def _forbidden_source_finding(check: ReleaseCheck, build: InterpreterBuild) -> Finding:
    return Finding(
        code="PY104",
        message=f"{check.name}=={check.version} has no wheel for {build.interpreter}, and it is installed with "
        "--only-binary, which excludes its source",
        remedy=_upgrade(check) or f"allow its source, or replace {check.name}",
        names=(check.name,),
    )


def _upgrade(check: ReleaseCheck) -> str:
    """Return the next version with a wheel as a remedy; empty if there is none."""
    return f"{check.name}=={check.next_with_wheel} is the first after it with a wheel" if check.next_with_wheel else ""


def unbuilt_source(finding: Finding) -> tuple[str, str] | None:
    """Return name and version of the source whose build was not tried, according to a finding."""
    match = _UNBUILT_SOURCE.match(finding.message) if finding.code == "PY112" else None
    return (match[1], match[2]) if match else None


def _unbuilt_source_note(check: ReleaseCheck, build: InterpreterBuild) -> Finding:
    detail = f" ({check.reason})" if check.reason else ""
    return Finding(
        code="PY112",
        message=f"{check.name}=={check.version} has no wheel for {build.interpreter}{detail}; whether its source "
        "builds was not tried, as the set is blocked by something else",
        remedy=_upgrade(check) or "fix what blocks the set; its source is then built as well",
        severity=Severity.WARNING,
        names=(check.name,),
    )


def _yanked_note(check: ReleaseCheck) -> Finding:
    return Finding(
        code="PY112",
        message=f"{check.name}=={check.version} was yanked; it installs only because it is pinned",
        severity=Severity.WARNING,
        names=(check.name,),
    )
