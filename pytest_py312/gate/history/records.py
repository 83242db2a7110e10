"""Read what a JSON report says of its run: the verdict on each service, and why. Pure, except :func:`read_record`.

A document comes from another machine, and may have been edited: each value that is used is checked, and the fault names
its place in the document.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pytest_py312.core.errors import did_you_mean
from pytest_py312.core.model.findings import Interpreter, Severity, Status
from pytest_py312.core.model.readiness import (
    BenchmarkRecord,
    Cause,
    RunRecord,
    ServiceRecord,
    ServiceVerdict,
    WaiverRecord,
)
from pytest_py312.core.model.report import Checkout
from pytest_py312.core.text import join_with_and
from pytest_py312.gate.history.documents import DocumentFault, PartOfRun, misspelling, parse_document, read_content
from pytest_py312.gate.reports.results import grouped

_E = TypeVar("_E", bound=Enum)
_DEPENDENCIES = "dependencies"
_LIBRARY_CODES = "PY24"
"""The beginning of the codes of findings about a distribution that was installed."""
_STATUS_OF_VERDICT = {ServiceVerdict.BLOCKED: Status.FAILED, ServiceVerdict.ERRORED: Status.ERRORED}


def read_record(path: Path) -> RunRecord:
    """Read the record of a run from its JSON report.

    :raises DocumentFault: it is none, not whole, or something in it is invalid.
    """
    if not path.exists():
        siblings = [entry.name for entry in path.parent.glob("*.json")] if path.parent.is_dir() else []
        raise DocumentFault(f"does not exist{did_you_mean(path.name, siblings)}")
    return record_of(parse_document(read_content(path)), path.as_posix())


def record_of(document: Mapping[str, Any], origin: str) -> RunRecord:
    """Return the record of the run that ``document`` is about.

    :raises DocumentFault: something in it is invalid, or it is about a part of a run only.
    """
    top = DocumentNode(document, "")
    _refuse_part(top)
    outcomes = grouped(top.member("outcomes").items(), lambda node: node.member("service").text())
    _check_names([node.member("name").text() for node in top.member("services").items()], outcomes)
    return RunRecord(
        origin=origin,
        ended_at=top.member("generated").timestamp(),
        target=str(top.member("target").interpreter()),
        tool_version=top.member("tool").member("version").text() if "tool" in document else "",
        exit_status=top.member("exit_status").integer(),
        complete=top.member("complete").flag(),
        services=tuple(_service(node, outcomes) for node in top.member("services").items()),
        stages={node.member("number").integer(): node.member("name").text() for node in top.optional_items("stages")},
        waivers=tuple(_waiver(node) for node in top.member("waivers").items()),
        benchmarks=tuple(_benchmark(node) for node in top.optional_items("comparisons")),
        checkout=_checkout(top),
        objections=tuple(node.text() for node in top.optional_items("objections")),
    )


@dataclass(frozen=True, slots=True)
class DocumentNode:
    """A value in a document, and its place there: ``services[3].name``. Reading anything else raises
    :class:`DocumentFault`.
    """

    value: Any
    place: str

    def member(self, name: str) -> "DocumentNode":
        if not isinstance(self.value, Mapping):
            raise self.unexpected("an object")
        if name not in self.value:
            hint = misspelling(name, [key for key in self.value if isinstance(key, str)])
            raise DocumentFault(f'has no "{name}" in {self.place or "its top"}{hint}')
        return DocumentNode(self.value[name], f"{self.place}.{name}" if self.place else name)

    def items(self) -> Iterator["DocumentNode"]:
        if not isinstance(self.value, list):
            raise self.unexpected("a list")
        return (DocumentNode(value, f"{self.place}[{index}]") for index, value in enumerate(self.value))

    def optional_items(self, name: str) -> Iterator["DocumentNode"]:
        return self.member(name).items() if name in self.value else iter(())

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.unexpected("a text")
        return self.value

    def optional_text(self) -> str:
        return "" if self.value is None else self.text()

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.unexpected("true or false")
        return self.value

    def integer(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or abs(self.value) >= 2**53:
            raise self.unexpected("a whole number")
        return self.value

    def number(self) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not abs(self.value) < 2**53:
            raise self.unexpected("a number")
        return float(self.value)

    def choice(self, kind: type[_E]) -> _E:
        values = [str(member.value) for member in kind]
        if self.value not in values:
            hint = did_you_mean(self.value, values) if isinstance(self.value, str) else ""
            raise self.unexpected(f"one of {', '.join(values)}{hint}")
        return kind(self.value)

    def interpreter(self) -> Interpreter:
        try:
            return Interpreter.parse(self.text())
        except ValueError:
            raise self.unexpected('a Python such as "3.12"') from None

    def timestamp(self) -> str:
        try:
            if datetime.fromisoformat(self.text()).tzinfo is not None:
                return self.text()
        except ValueError:
            pass
        raise self.unexpected('a time in UTC, such as "2027-01-31T12:00:00Z"')

    def date(self) -> date:
        try:
            return date.fromisoformat(self.text())
        except ValueError:
            raise self.unexpected('a date, such as "2027-01-31"') from None

    def unexpected(self, expected: str) -> DocumentFault:
        shown = json.dumps(self.value, ensure_ascii=False)[:80]
        return DocumentFault(f"has an invalid value: {self.place} is {shown}; expected {expected}")


def _refuse_part(top: DocumentNode) -> None:
    shard = top.value.get("shard")
    if shard is not None:
        part = DocumentNode(shard, "shard")
        raise PartOfRun(
            f"is part {part.member('part').integer()} of {part.member('parts').integer()} of a run: "
            "`py312 merge` joins the parts, and its --report=FILE.json is the document of the whole"
        )


def _check_names(names: list[str], outcomes: Mapping[str, list[DocumentNode]]) -> None:
    name_set = set(names)
    if len(name_set) < len(names):
        doubled = next(name for name, count in Counter(names).items() if count > 1)
        raise DocumentFault(f'has the service "{doubled}" twice: it was edited')
    unknown = next((name for name in outcomes if name not in name_set), None)
    if unknown is not None:
        raise DocumentFault(f'has outcomes of "{unknown}", which is none of its services{did_you_mean(unknown, names)}')


# ---- services


def _service(node: DocumentNode, outcomes: Mapping[str, list[DocumentNode]]) -> ServiceRecord:
    name = node.member("name").text()
    if isinstance(node.value, Mapping) and "verdict" not in node.value:
        raise DocumentFault(
            f"has no verdict on {name or node.place}: an older version of pytest-py312 wrote it. Run again, or write "
            "it again with `py312 report --format json`"
        )
    verdict = node.member("verdict").choice(ServiceVerdict)
    own = outcomes.get(name, [])
    _check_verdict(node, verdict, own)
    return ServiceRecord(
        name=name,
        path=node.member("path").text(),
        stage=node.member("stage").integer(),
        verdict=verdict,
        reason=node.member("incomplete_reason").text(),
        causes=_causes(own, verdict),
        accepted=_accepted(own),
        has_suite=node.member("has_suite").flag(),
    )


def _check_verdict(node: DocumentNode, verdict: ServiceVerdict, outcomes: list[DocumentNode]) -> None:
    """Refuse a verdict that the outcomes contradict."""
    statuses = {outcome.member("status").choice(Status) for outcome in outcomes}
    by_outcomes = next((other for other, status in _STATUS_OF_VERDICT.items() if status in statuses), None)
    expected = verdict if verdict in _STATUS_OF_VERDICT else None
    if by_outcomes is not expected:
        raise DocumentFault(
            f"contradicts itself: {node.place}.verdict is {verdict.value}, and by its outcomes the service is "
            f"{by_outcomes.value if by_outcomes else 'neither blocked nor unchecked'}: it was edited"
        )


def _causes(outcomes: list[DocumentNode], verdict: ServiceVerdict) -> tuple[Cause, ...]:
    status = _STATUS_OF_VERDICT.get(verdict)
    causes: dict[str, Cause] = {}
    for outcome in outcomes:
        if status is None or outcome.member("status").choice(Status) is not status:
            continue
        check = outcome.member("check").text()
        findings = _failing_findings(outcome) if status is Status.FAILED else []
        for cause in [_cause(finding, check) for finding in findings] or [_reason_cause(outcome, check)]:
            causes.setdefault(cause.fingerprint, cause)
    return tuple(causes.values())


def _failing_findings(outcome: DocumentNode) -> list[DocumentNode]:
    """Return the findings that made an outcome fail: those that block, else errors of the baseline as well."""
    findings = list(outcome.member("findings").items())
    blocking = [finding for finding in findings if finding.member("blocks").flag()]
    return blocking or [finding for finding in findings if _is_error(finding) and not _acceptance(finding)]


def _accepted(outcomes: list[DocumentNode]) -> tuple[Cause, ...]:
    accepted: dict[str, Cause] = {}
    for outcome in outcomes:
        check = outcome.member("check").text()
        for finding in outcome.member("findings").items():
            if _is_error(finding) and _acceptance(finding) and not finding.member("preexisting").flag():
                cause = _cause(finding, check)
                accepted.setdefault(cause.fingerprint, cause)
    return tuple(accepted.values())


def _is_error(finding: DocumentNode) -> bool:
    return finding.member("severity").choice(Severity) is Severity.ERROR


def _acceptance(finding: DocumentNode) -> str:
    if finding.member("waived").flag():
        return "waived"
    return "known" if finding.member("known").flag() else ""


def _cause(finding: DocumentNode, check: str) -> Cause:
    code, message = finding.member("code").text(), finding.member("message").text()
    names = [name.text() for name in finding.member("names").items()]
    is_about_projects = bool(names) and (check == _DEPENDENCIES or code.startswith(_LIBRARY_CODES))
    path, line = finding.member("path").optional_text(), finding.member("line")
    return Cause(
        fingerprint=finding.member("fingerprint").text(),
        subject=join_with_and(names) if is_about_projects else message,
        message=message,
        code=code,
        remedy=finding.member("remedy").text(),
        place=f"{path}:{line.integer()}" if path and line.value is not None else path,
        check=check,
        about_projects=is_about_projects,
        accepted=_acceptance(finding),
    )


def _reason_cause(outcome: DocumentNode, check: str) -> Cause:
    reason = outcome.member("reason").text()
    return Cause(fingerprint=f"{check}: {reason}", subject=reason, message=reason, check=check)


# ---- the rest


def _waiver(node: DocumentNode) -> WaiverRecord:
    return WaiverRecord(
        service=node.member("service").text(),
        subject=node.member("code").text() or node.member("test").text(),
        owner=node.member("owner").text(),
        reason=node.member("reason").text(),
        until=node.member("until").date(),
    )


def _benchmark(node: DocumentNode) -> BenchmarkRecord:
    return BenchmarkRecord(
        service=node.member("service").text(),
        name=node.member("name").text(),
        kind=node.member("kind").text(),
        verdict=node.member("verdict").text(),
        ratio=node.member("ratio").number(),
    )


def _checkout(top: DocumentNode) -> Checkout:
    if "checkout" not in top.value:
        return Checkout()
    node = top.member("checkout")
    return Checkout(
        repository=node.member("repository").text(),
        commit=node.member("commit").text(),
        branch=node.member("branch").text(),
        modified=node.member("modified").flag(),
    )
