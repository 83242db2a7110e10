"""Render findings as GitHub workflow commands, which the Actions runner turns into annotations.

GitHub shows at most ten errors, ten warnings and ten notices per step and drops the rest silently. Therefore the worst
findings come first, and a last line counts what was left out. Waived and known findings are not annotated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Location, Outcome, Severity, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import escape_control, escape_terminal, join_names, pluralize
from pytest_py312.gate.reports.results import (
    ReportedFinding,
    grouped,
    merge_places,
    merge_reasons,
    reason_only_outcomes,
    reported_findings,
    worst_first,
)

MAX_ANNOTATIONS_PER_KIND = 10
"""Annotations of one kind that GitHub shows per step."""

_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_MAX_SERVICES_IN_TITLE = 3  # in a title


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowAnnotation:
    """An annotation at one location. ``kind`` is ``error``, ``warning`` or ``notice``."""

    kind: str
    title: str
    message: str
    location: Location | None = None

    def to_command(self, prefix: str = "") -> str:
        """Return the workflow command.

        :param prefix: path from the runner's workspace to the folder of the plan (``platform/``).
        """
        # a path with control characters has no place on GitHub, but the line is also shown in a terminal
        path = escape_control(self.location.path) if self.location else ""
        properties = {"file": f"{prefix}{path}"} if path else {}
        if properties and self.location and self.location.line:
            properties["line"] = str(self.location.line)
            if self.location.column:
                properties["col"] = str(self.location.column)
        properties["title"] = self.title
        encoded_properties = ",".join(f"{name}={escape_property(text)}" for name, text in properties.items())
        return f"::{self.kind} {encoded_properties}::{escape_message(self.message)}"


def command_lines(report: Report, *, prefix: str = "") -> list[str]:
    """Return the lines to print: the commands, and a note on the annotations that GitHub would not show."""
    all_annotations = annotations(report)
    commands: list[str] = []
    overflow_counts = []
    for kind in _KINDS.values():
        of_kind = [annotation for annotation in all_annotations if annotation.kind == kind]
        commands += [annotation.to_command(prefix) for annotation in of_kind[:MAX_ANNOTATIONS_PER_KIND]]
        if len(of_kind) > MAX_ANNOTATIONS_PER_KIND:
            overflow_counts.append(pluralize(len(of_kind) - MAX_ANNOTATIONS_PER_KIND, kind))
    overflow_note = (
        f"py312: {', '.join(overflow_counts)} not shown because of GitHub's limit per step; report files contain all"
        if overflow_counts
        else ""
    )
    return [*commands, overflow_note] if overflow_note else commands


def annotations(report: Report) -> list[WorkflowAnnotation]:
    """Return all annotations, worst first: blocking findings, failed checks, warnings, notices."""
    unaccepted = worst_first(result for result in merge_places(reported_findings(report)) if not result.is_accepted)
    blocking = [result for result in unaccepted if result.fails_check]
    others = [result for result in unaccepted if not result.fails_check]
    places = {service.name: service.manifest or service.path for service in report.services}
    return [
        *_annotate_findings(blocking),
        *_annotate_reasons(reason_only_outcomes(report), places),
        *_annotate_findings(others),
    ]


def _annotate_findings(findings: Iterable[ReportedFinding]) -> list[WorkflowAnnotation]:
    """Annotate a finding once even if several services share it (a requirements file, a library)."""

    def subject(result: ReportedFinding) -> tuple[object, ...]:
        finding = result.finding
        return finding.code, finding.location or result.service, finding.message, result.level

    return [_annotate_group(group) for group in grouped(findings, subject).values()]


def _annotate_group(group: Sequence[ReportedFinding]) -> WorkflowAnnotation:
    result = group[0]
    finding = result.finding
    services = join_names(list(dict.fromkeys(member.service for member in group)), _MAX_SERVICES_IN_TITLE)
    on = f" ({result.interpreter_labels})" if result.interpreters else ""
    more = f" ({pluralize(len(result.more_places), 'more place')})" if result.more_places else ""
    message = escape_terminal(finding.message) + more
    return WorkflowAnnotation(
        kind=_KINDS[result.level],
        title=f"{escape_control(finding.code)} {services}{on}",
        message=f"{message}\n{escape_terminal(finding.remedy)}" if finding.remedy.strip() else message,
        location=finding.location,
    )


def _annotate_reasons(reason_only: Iterable[Outcome], places: dict[str, str]) -> list[WorkflowAnnotation]:
    """Return one annotation per service and reason."""
    groups = grouped(reason_only, lambda outcome: (outcome.service, outcome.status))
    new_annotations = []
    reasons = [(key, reason) for key, group in groups.items() for reason in merge_reasons(group)]
    for (service, status), reason in reasons:
        outcomes = reason.outcomes
        on = dict.fromkeys(outcome.interpreter.label for outcome in outcomes if outcome.interpreter)
        checks = ", ".join(dict.fromkeys(outcome.check for outcome in outcomes))
        where = f" ({', '.join(on)})" if on else ""
        ended = "could not be checked" if status is Status.ERRORED else "failed"
        place = places.get(service, "")
        new_annotations.append(
            WorkflowAnnotation(
                kind="error",
                title=f"{escape_control(checks)} of {escape_control(service)} {ended}{where}",
                message=escape_terminal(reason.text),
                location=Location(path=place) if place else None,
            )
        )
    return new_annotations


def escape_message(text: str) -> str:
    """Escape the message of a command, so that it stays on one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape a property of a command, which a colon or a comma would end."""
    return escape_message(text).replace(":", "%3A").replace(",", "%2C")
