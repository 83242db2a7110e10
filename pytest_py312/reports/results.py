"""The findings of a run, each once: what several interpreters have in common is one result. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_py312.model import Finding, Interpreter, Location, Outcome, Report, Severity, Status

_UNPLACED = Location(path="")
_WORST_FIRST = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A finding of a service, the interpreters it was made on (none: about the service), and the check's name.

    Where the finding differs among them, it is the one that blocks, of several that of the newest interpreter.
    ``stops`` is whether a check has failed for it.
    """

    service: str
    check: str
    finding: Finding
    interpreters: tuple[Interpreter, ...]
    stops: bool

    @property
    def labels(self) -> str:
        """``py3.11, py3.12``; empty for a finding about the service as a whole."""
        return ", ".join(interpreter.label for interpreter in self.interpreters)

    @property
    def level(self) -> Severity:
        """How much it matters: an error that was as bad before, and that nothing has failed for, is a note."""
        return Severity.NOTE if self.finding.preexisting and not self.stops else self.finding.severity

    @property
    def accepted(self) -> bool:
        return self.finding.waived or self.finding.known


def results(report: Report) -> list[Result]:
    """All of them: the services in the report's order, then by place."""
    found: dict[tuple[object, ...], list[tuple[Outcome, Finding, bool]]] = {}
    for outcome in report.outcomes:
        stopping = {id(finding) for finding in telling(outcome)} if outcome.status is Status.FAILED else frozenset()
        for finding in outcome.findings:
            key = (outcome.service, outcome.check, finding.code, finding.fingerprint, finding.location)
            found.setdefault(key, []).append((outcome, finding, id(finding) in stopping))
    order = {service.name: index for index, service in enumerate(report.services)}
    return sorted(map(_one, found.values()), key=lambda one: (order.get(one.service, len(order)), *_place(one)))


def _one(group: list[tuple[Outcome, Finding, bool]]) -> Result:
    outcome, finding, _ = max(group, key=lambda one: (one[2], one[1].blocks, one[0].interpreter or Interpreter(0, 0)))
    return Result(
        service=outcome.service,
        check=outcome.check,
        finding=finding,
        interpreters=tuple(sorted({one.interpreter for one, *_ in group if one.interpreter})),
        stops=any(stops for *_, stops in group),
    )


def telling(outcome: Outcome) -> list[Finding]:
    """What a failed outcome failed for: what blocks or, where it is as bad on the baseline, those errors."""
    blocking = [finding for finding in outcome.findings if finding.blocks]
    return blocking or [
        finding
        for finding in outcome.findings
        if finding.severity is Severity.ERROR and not (finding.waived or finding.known)
    ]


def _place(result: Result) -> tuple[object, ...]:
    place = result.finding.location or _UNPLACED
    return result.service, place.path, place.line or 0, place.column or 0, result.finding.code, result.finding.names


def worst_first(found: Iterable[Result]) -> list[Result]:
    """What checks have failed for, then warnings, then notes; else as they came."""
    return sorted(found, key=lambda one: (not one.stops, _WORST_FIRST[one.level]))


def not_checked(report: Report) -> list[Outcome]:
    """The outcomes that could not be checked, in the order of services and interpreters."""
    return _in_order(report, [outcome for outcome in report.outcomes if outcome.status is Status.ERRORED])


def told_by_reason(report: Report) -> list[Outcome]:
    """Those that have nothing but their reason: what could not be checked, and what failed without a finding."""
    bare = (outcome for outcome in report.outcomes if outcome.status is Status.FAILED and not telling(outcome))
    return _in_order(report, [*bare, *not_checked(report)])


def _in_order(report: Report, outcomes: Iterable[Outcome]) -> list[Outcome]:
    order = {service.name: index for index, service in enumerate(report.services)}
    return sorted(
        outcomes,
        key=lambda one: (order.get(one.service, len(order)), one.interpreter or Interpreter(0, 0), one.check),
    )
