"""Apply waivers to findings. Pure.

A waived finding is reported and does not block. A waiver that is not needed on the target any more is an error, so that
the list of waivers never outlives the problems.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_py312.core.errors import did_you_mean
from pytest_py312.core.model.findings import Finding, Outcome, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.plan import Waiver
from pytest_py312.core.service_patterns import matches, matches_test
from pytest_py312.gate.checks.dependencies import PREVENT_INSTALLATION

_FAIL_IF_PREEXISTING = PREVENT_INSTALLATION | {"PY701"}
"""Codes that fail a check also if they are pre-existing: what cannot be installed or built proves nothing."""


def waivers_for(waivers: Iterable[Waiver], service: Service) -> tuple[Waiver, ...]:
    """Return the waivers for ``service``."""
    return tuple(waiver for waiver in waivers if matches(waiver.service, service.name, service.path))


def apply_waivers(outcome: Outcome, waivers: Sequence[Waiver], codes: Sequence[str], *, is_target: bool) -> Outcome:
    """Apply ``waivers`` to the findings of ``outcome``, and evaluate it again.

    :param waivers: the waivers of the service.
    :param codes: the codes of the check, which decide whether a waiver concerns it.
    :param is_target: report unused waivers; on an earlier interpreter the problem may not exist yet.
    """
    findings: list[Finding] = []
    used_waivers: set[Waiver] = set()
    if "PY401" not in codes:
        waivers = [waiver for waiver in waivers if not waiver.test]  # names in findings of other checks are not tests
    for finding in outcome.findings:
        findings += _apply_to_finding(finding, waivers, used_waivers)
    if is_target and outcome.status in (Status.PASSED, Status.FAILED):
        findings += [
            _unused_waiver_finding(waiver, _similar_test(waiver, findings))
            for waiver in waivers
            if waiver not in used_waivers and (waiver.code or "PY401") in codes  # one of a test is for the suite
        ]
    return reevaluate(outcome, findings)


def reevaluate(outcome: Outcome, findings: Sequence[Finding]) -> Outcome:
    """Replace the findings of ``outcome``, and evaluate it again.

    An errored outcome stays errored. One that failed and could not check everything is errored once its findings are
    accepted: that it does not fail for them proves nothing.
    """
    if tuple(findings) == outcome.findings:
        return outcome
    if outcome.status is Status.ERRORED:
        return replace(outcome, findings=tuple(findings))
    reevaluated = Outcome.from_findings(
        service=outcome.service, interpreter=outcome.interpreter, check=outcome.check, findings=findings
    )
    still_fails = any(finding.code in _FAIL_IF_PREEXISTING and not finding.waived for finding in findings)
    if outcome.status is Status.FAILED and reevaluated.status is Status.PASSED and still_fails:
        # it failed for a pre-existing problem: a set that cannot be installed, an image that cannot be built
        reevaluated = replace(reevaluated, status=Status.FAILED, reason=outcome.reason)
    if outcome.status is reevaluated.status is Status.PASSED:
        reevaluated = replace(reevaluated, reason=outcome.reason)
    reevaluated = reevaluated.with_unchecked(outcome.unchecked)
    return replace(reevaluated, seconds=outcome.seconds, cached=outcome.cached, nodeid=outcome.nodeid)


def _apply_to_finding(finding: Finding, waivers: Sequence[Waiver], used_waivers: set[Waiver]) -> list[Finding]:
    """Return the finding, waived; or two findings if only some of its tests are waived."""
    for waiver in waivers:
        if waiver.code == finding.code:
            used_waivers.add(waiver)
            return [replace(finding, waived=True)]
    waived_names = []
    for name in finding.names:
        matching_waivers = [waiver for waiver in waivers if waiver.test and matches_test(waiver.test, name)]
        used_waivers.update(matching_waivers)
        if matching_waivers:
            waived_names.append(name)
    if not waived_names:
        return [finding]
    remaining_names = tuple(name for name in finding.names if name not in waived_names)
    waived = replace(finding, waived=True, names=tuple(waived_names))
    return [waived, replace(finding, names=remaining_names)] if remaining_names else [waived]


def _similar_test(waiver: Waiver, findings: Iterable[Finding]) -> str:
    """Return the end of a sentence with a failing test whose name the waiver may mean; empty if there is none."""
    failing = [name for finding in findings if not finding.waived for name in finding.names]
    return did_you_mean(waiver.test, failing) if waiver.test else ""


def _unused_waiver_finding(waiver: Waiver, similar: str) -> Finding:
    waived_item = waiver.code or waiver.test
    reason = f"matches no test that fails{similar}" if similar else "is not needed any more"
    return Finding(
        code="PY901",
        message=f"the waiver of {waived_item} for {waiver.service} ({waiver.owner}) {reason}",
        remedy="correct it, or remove it from the plan" if similar else "remove it from the plan",
        location=waiver.location,
        names=(waived_item,),
    )
