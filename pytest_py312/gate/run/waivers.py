"""Waivers laid over findings. Pure.

A waived finding is shown and does not block. A waiver that nothing on the target needs any more fails, so that the
list of accepted trouble can only be as long as the trouble.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Outcome, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.plan import Waiver
from pytest_py312.core.service_patterns import matches, matches_test
from pytest_py312.gate.checks.dependencies import BLOCK_EVERYWHERE


def waivers_of(waivers: Iterable[Waiver], cell: Cell) -> tuple[Waiver, ...]:
    """Those that speak of the cell's service."""
    service = cell.service
    return tuple(waiver for waiver in waivers if matches(waiver.service, service.name, service.path))


def apply_waivers(outcome: Outcome, waivers: Sequence[Waiver], codes: Sequence[str], *, is_target: bool) -> Outcome:
    """``outcome`` with its findings waived, and judged again.

    ``waivers`` are the service's; ``codes`` are those of the check, which tell whose business a waiver is. Only on the
    target is an idle waiver a finding: on an interpreter before it the trouble may not have begun.
    """
    findings: list[Finding] = []
    used: set[Waiver] = set()
    if "PY401" not in codes:
        waivers = [waiver for waiver in waivers if not waiver.test]  # elsewhere the names of findings are no tests
    for finding in outcome.findings:
        findings += _waived(finding, waivers, used)
    if is_target and outcome.status in (Status.PASSED, Status.FAILED):
        findings += [_idle(waiver) for waiver in waivers if waiver not in used and _concerns(waiver, codes)]
    return judged_again(outcome, findings)


def judged_again(outcome: Outcome, findings: Sequence[Finding]) -> Outcome:
    """``outcome`` with ``findings`` for its own, which were accepted in part; what could not be checked stays so."""
    if tuple(findings) == outcome.findings:
        return outcome
    if outcome.status is Status.ERRORED:
        return replace(outcome, findings=tuple(findings))
    judged = Outcome.judged(
        service=outcome.service, interpreter=outcome.interpreter, check=outcome.check, findings=findings
    )
    stuck = any(found.code in BLOCK_EVERYWHERE and not found.waived for found in findings)
    if outcome.status is Status.FAILED and judged.status is Status.PASSED and stuck:
        # failed for what is as bad on the baseline (a set that cannot be installed at all)
        judged = replace(judged, status=Status.FAILED, reason=outcome.reason)
    return replace(judged, seconds=outcome.seconds, cached=outcome.cached, nodeid=outcome.nodeid)


def _waived(finding: Finding, waivers: Sequence[Waiver], used: set[Waiver]) -> list[Finding]:
    """The finding, waived; or in two where only some of its tests are."""
    for waiver in waivers:
        if waiver.code == finding.code:
            used.add(waiver)
            return [replace(finding, waived=True)]
    accepted = []
    for name in finding.names:
        fitting = [waiver for waiver in waivers if waiver.test and matches_test(waiver.test, name)]
        used.update(fitting)
        if fitting:
            accepted.append(name)
    if not accepted:
        return [finding]
    rest = tuple(name for name in finding.names if name not in accepted)
    waived = replace(finding, waived=True, names=tuple(accepted))
    return [waived, replace(finding, names=rest)] if rest else [waived]


def _concerns(waiver: Waiver, codes: Sequence[str]) -> bool:
    return waiver.code in codes if waiver.code else "PY401" in codes


def _idle(waiver: Waiver) -> Finding:
    what = waiver.code or waiver.test
    return Finding(
        code="PY901",
        message=f"the waiver of {what} for {waiver.service} ({waiver.owner}) is not needed any more",
        remedy="remove it from the plan",
        location=waiver.location,
        names=(what,),
    )
