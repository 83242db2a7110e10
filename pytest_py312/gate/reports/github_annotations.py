"""Findings as annotations of a GitHub workflow: commands that its runner reads from the log. Pure.

A runner shows ten errors, ten warnings and ten notices of a step and silently drops the rest, so the worst come first
and a line says how many there are beyond these. What is waived or recorded is not annotated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Location, Outcome, Severity, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import counted, listed, prose, visible
from pytest_py312.gate.reports.results import Result, results, told_by_reason, worst_first

LIMIT = 10
"""Annotations of one kind that a runner shows of one step."""

_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_SERVICES = 3  # named in a title


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """One message at one place. ``kind`` is ``error``, ``warning`` or ``notice``."""

    kind: str
    title: str
    message: str
    location: Location | None = None

    def command(self, prefix: str = "") -> str:
        """The line that the runner reads; ``prefix`` leads from its workspace to the plan's folder (``platform/``)."""
        properties = {"file": f"{prefix}{self.location.path}"} if self.location and self.location.path else {}
        if properties and self.location and self.location.line:
            properties["line"] = str(self.location.line)
            if self.location.column:
                properties["col"] = str(self.location.column)
        properties["title"] = self.title
        told = ",".join(f"{name}={escaped_property(text)}" for name, text in properties.items())
        return f"::{self.kind} {told}::{escaped(self.message)}"


def lines(report: Report, *, prefix: str = "") -> list[str]:
    """What is to be printed: the commands, and what they leave out."""
    found = annotations(report)
    shown: list[str] = []
    more = []
    for kind in _KINDS.values():
        of_kind = [annotation for annotation in found if annotation.kind == kind]
        shown += [annotation.command(prefix) for annotation in of_kind[:LIMIT]]
        if len(of_kind) > LIMIT:
            more.append(counted(len(of_kind) - LIMIT, kind))
    said = f"py312: {', '.join(more)} more than GitHub shows of one step; a report file has them all" if more else ""
    return [*shown, said] if said else shown


def annotations(report: Report) -> list[Annotation]:
    """All of them, the worst first: what blocks, what could not be checked, warnings, notices."""
    open_ones = worst_first(result for result in results(report) if not result.accepted)
    blocking = [result for result in open_ones if result.stops]
    others = [result for result in open_ones if not result.stops]
    places = {service.name: service.manifest or service.path for service in report.services}
    return [*_of_results(blocking), *_of_reasons(told_by_reason(report), places), *_of_results(others)]


def _of_results(found: Iterable[Result]) -> list[Annotation]:
    """What several services have in common (a requirements file, a library) is annotated once."""
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in found:
        finding = result.finding
        place = finding.location or result.service
        groups.setdefault((finding.code, place, finding.message, result.level), []).append(result)
    return [_of_group(group) for group in groups.values()]


def _of_group(group: Sequence[Result]) -> Annotation:
    result = group[0]
    finding = result.finding
    services = listed(list(dict.fromkeys(one.service for one in group)), _SERVICES)
    on = f" ({result.labels})" if result.interpreters else ""
    said = prose(finding.message)
    return Annotation(
        kind=_KINDS[result.level],
        title=f"{visible(finding.code)} {services}{on}",
        message=f"{said}\n{prose(finding.remedy)}" if finding.remedy.strip() else said,
        location=finding.location,
    )


def _of_reasons(found: Iterable[Outcome], places: dict[str, str]) -> list[Annotation]:
    """One for each service and reason."""
    groups: dict[tuple[str, str, Status], list[Outcome]] = {}
    for outcome in found:
        groups.setdefault((outcome.service, outcome.reason, outcome.status), []).append(outcome)
    made = []
    for (service, reason, status), outcomes in groups.items():
        on = dict.fromkeys(outcome.interpreter.label for outcome in outcomes if outcome.interpreter)
        checks = ", ".join(dict.fromkeys(outcome.check for outcome in outcomes))
        where = f" ({', '.join(on)})" if on else ""
        ended = "could not be checked" if status is Status.ERRORED else "failed"
        place = places.get(service, "")
        made.append(
            Annotation(
                kind="error",
                title=f"{visible(checks)} of {visible(service)} {ended}{where}",
                message=prose(reason),
                location=Location(path=place) if place else None,
            )
        )
    return made


def escaped(text: str) -> str:
    """``text`` as the message of a command: it stays on its line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(text: str) -> str:
    """``text`` as the value of a property, which a colon or a comma would end."""
    return escaped(text).replace(":", "%3A").replace(",", "%2C")
