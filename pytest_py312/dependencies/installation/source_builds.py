"""Sources without a wheel in a set that something else blocks: each is built by itself, so that the verdict is a true
one and all that blocks is told at once. Bounded: what takes longer stays "not tried", and says so."""

from collections.abc import Sequence
from dataclasses import replace

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.diagnose import untried
from pytest_py312.dependencies.installation.distribution_store import Store
from pytest_py312.dependencies.resolution.failure_cache import in_order, placed
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Unchecked, Wanted

SOURCE_LIMIT = 90.0
"""Seconds that the build of one source may take."""
SET_LIMIT = 240.0
"""Seconds after which no further source of a set is tried."""


def with_sources_tried(
    findings: Sequence[Finding], wanted: Wanted, build: InterpreterBuild, store: Store
) -> tuple[Finding, ...]:
    """``findings``, those about sources that were not tried replaced by what came of trying them.

    The others keep their places: some stand in a lock file, and not where they are required.
    """
    started = clock.stopwatch()
    found: list[Finding] = []
    for finding in findings:
        source = untried(finding)
        if source is None or clock.stopwatch() - started > SET_LIMIT:
            found.append(finding)
            continue
        pin = Pin(
            name=source[0],
            version=source[1],
            line="==".join(source),
            from_source=True,
            index="\n".join(wanted.options),
        )
        found += placed(_tried(finding, pin, wanted, build, store), wanted)
    return in_order(found)


def _tried(finding: Finding, pin: Pin, wanted: Wanted, build: InterpreterBuild, store: Store) -> Sequence[Finding]:
    try:
        store.fill([pin], build, wanted, SOURCE_LIMIT)
    except Blocked as blocked:
        return [replace(one, remedy=_remedy(finding, one)) for one in blocked.findings]
    except Unchecked as reason:
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
