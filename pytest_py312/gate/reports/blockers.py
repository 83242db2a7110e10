"""Work out what blocks most: the causes that services have in common, and how many become ready without each.

What a service suffers from as a consequence is no cause: a test that fails since a module is missing belongs to the
finding on the module, and a check that could not be run counts only where nothing else blocks the service.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_py312.core.model.findings import Finding, SpecifierChange, Status
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.results import (
    ReportedFinding,
    grouped,
    merge_reasons,
    reason_only_outcomes,
    reported_findings,
    service_order,
)

_SUITE = "suite"
_ERROR = re.compile(r"\b\w*(?:Error|Exception)\b: .+")
"""The end of a message of the suite that says why tests fail, in the words of Python."""
_MIN_NAME = 3
"""Shorter parts of names appear in messages by chance."""

CauseKey = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocker:
    """One cause, the services that it blocks, and the ones that nothing else blocks, in report order.

    ``code`` and ``remedy`` are empty for what could not be checked. ``remedy`` is the most frequent one, and
    ``has_one_remedy`` whether all services have it. ``is_fixable``: ``--py312-fix`` can write it in each service.
    """

    title: str
    message: str
    code: str
    remedy: str
    has_one_remedy: bool
    is_fixable: bool
    services: tuple[str, ...]
    freed: tuple[str, ...]


@dataclass(kw_only=True, slots=True)
class _Cause:
    """What is known of one cause: its findings, or the reason why something could not be checked."""

    findings: list[ReportedFinding] = field(default_factory=list)
    reason: str = ""
    services: dict[str, None] = field(default_factory=dict)


def blockers(report: Report) -> list[Blocker]:
    """Return all causes: first what frees most services, then what blocks most."""
    causes = _causes(report)
    causes_of: dict[str, int] = Counter(service for cause in causes.values() for service in cause.services)
    order = service_order(report)
    made = [_blocker(cause, causes_of, order) for cause in causes.values()]
    return sorted(made, key=lambda blocker: (-len(blocker.freed), -len(blocker.services)))


def _causes(report: Report) -> Mapping[CauseKey, _Cause]:
    causes: dict[CauseKey, _Cause] = {}
    failing = (result for result in reported_findings(report) if result.fails_check)
    by_service = grouped(failing, lambda result: result.service)
    for service, results in by_service.items():
        for result in _without_consequences(results):
            cause = causes.setdefault(_key(result), _Cause())
            cause.findings.append(result)
            cause.services[service] = None
    remaining = [outcome for outcome in reason_only_outcomes(report) if outcome.service not in by_service]
    failed = {outcome.service for outcome in remaining if outcome.status is Status.FAILED}
    for reason in merge_reasons(remaining):
        for outcome in reason.outcomes:
            if outcome.status is Status.FAILED or outcome.service not in failed:
                cause = causes.setdefault(("", reason.text), _Cause(reason=reason.text))
                cause.services[outcome.service] = None
    return causes


def _without_consequences(results: Sequence[ReportedFinding]) -> Iterable[ReportedFinding]:
    """Leave out the findings of the suite of one service that another finding explains."""
    names = {part for result in results if result.check != _SUITE for part in _name_parts(result.finding)}
    words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)") if names else None
    for result in results:
        text = f"{result.finding.message}\n{result.finding.remedy}"
        if result.check != _SUITE or words is None or not words.search(text):
            yield result


def _name_parts(finding: Finding) -> Iterable[str]:
    """Yield the names of a finding as messages of Python may have them: whole, and without what is in front."""
    for name in finding.names:
        yield from (part for part in (name, name.rpartition(".")[2]) if len(part) >= _MIN_NAME)


def _key(result: ReportedFinding) -> CauseKey:
    """Return what findings with the same cause have in common, in whatever service they are."""
    finding = result.finding
    if result.check == _SUITE:
        error = _ERROR.search(finding.message)
        return (_SUITE, error[0]) if error else (_SUITE, result.service, finding.message)
    if finding.names:
        return (result.check, *sorted(finding.names))
    return (result.check, finding.code, finding.message)


def _blocker(cause: _Cause, causes_of: Mapping[str, int], order: Callable[[str], int]) -> Blocker:
    services = sorted(cause.services, key=order)
    freed = tuple(name for name in services if causes_of[name] == 1)
    if not cause.findings:
        return Blocker(
            title=cause.reason, message="", code="", remedy="", has_one_remedy=False,
            is_fixable=False, services=tuple(services), freed=freed,
        )  # fmt: skip
    remedies = Counter(result.finding.remedy for result in cause.findings if result.finding.remedy)
    first = cause.findings[0]
    title = _title(cause.findings)
    return Blocker(
        title=title,
        message="" if first.finding.message == title else first.finding.message,
        code=first.finding.code,
        remedy=remedies.most_common(1)[0][0] if remedies else "",
        has_one_remedy=len(remedies) == 1,
        is_fixable=all(result.finding.changes for result in cause.findings),
        services=tuple(services),
        freed=freed,
    )


def _title(results: Sequence[ReportedFinding]) -> str:
    """Return the culprit: the name with its version if all services require the same one, else the message."""
    first = results[0].finding
    if results[0].check == _SUITE:
        error = _ERROR.search(first.message)
        return error[0] if error else first.message
    if len(first.names) != 1:
        return ", ".join(first.names) if 1 < len(first.names) <= _MIN_NAME else first.message
    name = _as_written(first)
    versions = {_version(result.finding, first.names[0]) for result in results}
    return f"{name} {versions.pop()}".strip() if len(versions) == 1 else name


def _as_written(finding: Finding) -> str:
    """Return the name of a finding as its requirement spells it, such as ``PyYAML`` for ``pyyaml``."""
    name = finding.names[0]
    written = re.match(r"[\w.-]*\w", finding.source_line.strip())
    return written[0] if written and re.sub(r"[-_.]+", "-", written[0]).lower() == name else name


def _version(finding: Finding, name: str) -> str:
    """Return the version of a project that a finding is about; empty if it names none."""
    required = next(
        (change.old for change in finding.changes if isinstance(change, SpecifierChange) and change.name == name), ""
    )
    exact = re.search(rf"(?<![\w.-]){re.escape(name)}==([\w.!+-]*\w)", f"{name}{required} {finding.message}")
    return exact[1] if exact else required
