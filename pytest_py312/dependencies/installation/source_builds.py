"""Build sources that were not tried because something else blocks their set.

Each source is built on its own, so that all blocking projects are reported at once. The time is limited: a source that
takes longer remains "not tried", and its finding says so.
"""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.diagnose import unbuilt_source
from pytest_py312.dependencies.diagnosis.locker import Locker
from pytest_py312.dependencies.resolution.failure_cache import sorted_by_location, with_locations
from pytest_py312.dependencies.resolution.install_sequence import parts_of
from pytest_py312.dependencies.resolution.lock import (
    Pin,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    is_exact,
    project_of,
)
from pytest_py312.dependencies.store.distribution_store import DistributionStore

SOURCE_TIME_LIMIT = 90.0
"""Time limit of the build of one source, in seconds."""
MAX_LEFT_OUT = 8
"""Number of times that a set is tried without what cannot be had."""
SET_TIME_LIMIT = 240.0
"""Time after which no further source of a set is built, in seconds."""


def build_untried_sources(
    findings: Sequence[Finding], request: ResolutionRequest, build: InterpreterBuild, store: DistributionStore
) -> tuple[Finding, ...]:
    """Replace the findings on untried sources by the results of building them.

    Other findings keep their locations: some are in a lock file and not at the requirement.
    """
    started = clock.stopwatch()
    updated_findings: list[Finding] = []
    for finding in findings:
        source = unbuilt_source(finding)
        if source is None or clock.stopwatch() - started > SET_TIME_LIMIT:
            updated_findings.append(finding)
            continue
        pin = Pin(
            name=source[0],
            version=source[1],
            line="==".join(source),
            from_source=True,
            index="\n".join(request.options),
        )
        updated_findings += with_locations(_try_build(finding, pin, request, build, store), request)
    return sorted_by_location(updated_findings)


def _try_build(
    finding: Finding, pin: Pin, request: ResolutionRequest, build: InterpreterBuild, store: DistributionStore
) -> Sequence[Finding]:
    try:
        store.fill([pin], build, request, SOURCE_TIME_LIMIT)
    except Unresolvable as blocked:
        return [replace(build_finding, remedy=_remedy(finding, build_finding)) for build_finding in blocked.findings]
    except Undetermined as reason:
        return [replace(finding, message=f"{reason}; the set is blocked by something else")]
    return [
        Finding(
            code="PY110",
            message=f"{pin.line} has no wheel for this interpreter; it was built from source",
            severity=Severity.NOTE,
            names=finding.names,
        )
    ]


def _remedy(finding: Finding, failed: Finding) -> str:
    return finding.remedy if "is the first after it" in finding.remedy else failed.remedy


def findings_on_pins_alone(
    request: ResolutionRequest, build: InterpreterBuild, locker: Locker, store: DistributionStore
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Return what blocks the exact versions that ``request`` names, each on its own, and the projects left out.

    For a set that cannot be had as a whole: a pin without a wheel whose source does not build blocks it in any case.
    Nothing is known of what is not pinned, as another version may be chosen.
    """
    started = clock.stopwatch()
    findings: list[Finding] = []
    left_out: dict[str, None] = {}
    for part in parts_of(request):
        lines = [line for line in part.lines if is_exact(line) and " @ " not in line]
        alone = replace(part, lines=tuple(lines), no_deps=True, others=())
        for _ in range(MAX_LEFT_OUT):
            try:
                lock = locker.lock(alone, build) if alone.lines else None
            except Unresolvable as blocked:
                findings += blocked.findings
                names = {name for finding in blocked.findings for name in finding.names}
            except Undetermined as reason:
                names = set(reason.names)
                left_out.update(dict.fromkeys(sorted(names)))
            else:
                break
            kept = tuple(line for line in alone.lines if project_of(line) not in names)
            if kept == alone.lines:
                return tuple(findings), tuple(left_out)
            alone = replace(alone, lines=kept)
        else:
            continue
        for pin in (pin for pin in (lock.pins if lock else ()) if pin.from_source):
            if clock.stopwatch() - started > SET_TIME_LIMIT:
                break
            try:
                store.fill([pin], build, alone, SOURCE_TIME_LIMIT)
            except Unresolvable as blocked:
                findings += with_locations(blocked.findings, request)
            except Undetermined:
                left_out[pin.name] = None
    return tuple(sorted_by_location(list(dict.fromkeys(findings)))), tuple(left_out)
