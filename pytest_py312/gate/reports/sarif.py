"""The findings as SARIF 2.1.0, for code scanning and editors. Pure.

A finding on several interpreters of a service is one result. Its ``level`` is the finding's severity, but ``note`` for
an error that was as bad before and stops nothing. ``baselineState`` is ``unchanged`` for what was as bad on the
baseline or is recorded, and ``new`` for all else. What is waived or recorded is suppressed.

What could not be checked is a notification of the invocation, which then was not successful: it found nothing, and that
means nothing.

What each code stands for, in one sentence, and what helps: for reports that have a catalogue of rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.report import Report
from pytest_py312.core.serialization import written
from pytest_py312.gate.reports.results import Result, not_checked, results

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "py312/v1"
"""Key of ``Finding.fingerprint`` among a result's partial fingerprints; the service has one of its own."""

_ROOT = "%SRCROOT%"
_TAGS = {"PY1": "dependencies", "PY2": "source", "PY3": "versions", "PY4": "suite"}
_COMPLETE = (0, 1)  # pytest's exit codes of a run that came to its end and chose something


def render(report: Report, *, prefix: str = "") -> str:
    """The log, indented, ending with a newline, and encodable as UTF-8.

    :param prefix: the folder of the plan in the checkout that the log is about (``platform/``), empty where it is that.
    """
    return written(_log(report, prefix))


def _log(report: Report, prefix: str) -> dict[str, Any]:
    found = results(report)
    codes = sorted({result.finding.code for result in found})
    services = {service.name: service for service in report.services}
    return {
        "$schema": SCHEMA_URI,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(report, codes)},
                "automationDetails": {"id": f"py312/{report.plan.target}/"},
                "invocations": [_invocation(report, services, prefix)],
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the checkout."}}},
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(result, codes.index(result.finding.code), services.get(result.service), report, prefix)
                    for result in found
                ],
            }
        ],
    }


def _driver(report: Report, codes: Sequence[str]) -> dict[str, Any]:
    version = {"version": report.tool_version} if report.tool_version else {}
    return {"name": "pytest-py312", **version, "rules": [_rule(code) for code in codes]}


def _rule(code: str) -> dict[str, Any]:
    rule = rule_of(code)
    tags = ["python-upgrade", *([_TAGS[code[:3]]] if code[:3] in _TAGS else [])]
    return {
        "id": code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}."},
        "help": {"text": rule.help},
        "properties": {"tags": tags},
    }


def _invocation(report: Report, services: dict[str, Service], prefix: str) -> dict[str, Any]:
    errored = not_checked(report)
    ended = {"endTimeUtc": report.generated} if report.generated else {}
    return {
        "executionSuccessful": report.exit_status in _COMPLETE and not errored,
        "exitCode": int(report.exit_status),
        **ended,
        "toolExecutionNotifications": [
            _notification(outcome, services.get(outcome.service), prefix) for outcome in errored
        ],
    }


def _notification(outcome: Outcome, service: Service | None, prefix: str) -> dict[str, Any]:
    on = f" on {outcome.interpreter}" if outcome.interpreter else ""
    return {
        "level": "error",
        "message": {"text": f"{outcome.service}: {outcome.check}{on} could not be checked: {outcome.reason}"},
        "locations": [_location(None, service, outcome.service, prefix)],
    }


def _result(result: Result, index: int, service: Service | None, report: Report, prefix: str) -> dict[str, Any]:
    finding = result.finding
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _level(result.level),
        "message": {"text": _message(result)},
        "locations": [_location(finding, service, result.service, prefix)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint, "py312Service/v1": result.service},
        "baselineState": "unchanged" if finding.preexisting or finding.known else "new",
        "suppressions": _suppressions(finding, result.service, report),
        "properties": {
            "service": result.service,
            "check": result.check,
            "interpreters": [str(interpreter) for interpreter in result.interpreters],
            "target": str(report.plan.target),
            "confidence": finding.confidence.value,
            "blocks": finding.blocks,
            "preexisting": finding.preexisting,
            "waived": finding.waived,
            "known": finding.known,
            "names": list(finding.names),
        },
    }


def _level(severity: Severity) -> str:
    return {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}[severity]


def _message(result: Result) -> str:
    finding = result.finding
    said = finding.message.strip().rstrip(".") or rule_of(finding.code).title
    on = f" ({result.labels})" if result.interpreters else ""
    remedy = finding.remedy.strip()
    return f"{said}{on}." + (f" {remedy[0].upper()}{remedy[1:]}" if remedy else "")


def _suppressions(finding: Finding, service: str, report: Report) -> list[dict[str, Any]]:
    """What accepts the finding. The list is there for every result, as SARIF wants it for all or none."""
    reasons = []
    if finding.waived:
        waivers = [waiver for waiver in report.plan.waivers if waiver.code == finding.code]
        mine = [waiver for waiver in waivers if waiver.service == service] or waivers
        said = f"{mine[0].reason} ({mine[0].owner}, until {mine[0].until})" if len(mine) == 1 else ""
        reasons.append(said or "a waiver of the plan accepts it")
    if finding.known:
        reasons.append("it stands in the file of recorded findings")
    return [{"kind": "external", "status": "accepted", "justification": reason} for reason in reasons]


def _location(finding: Finding | None, service: Service | None, name: str, prefix: str) -> dict[str, Any]:
    """Where it is; of what has no place of its own the file that stands for the service."""
    place = finding.location if finding else None
    if place is None:
        place = Location(path=(service.manifest or service.path) if service else "")
    logical = [{"name": name, "kind": "module"}]
    if not place.path:
        return {"logicalLocations": logical}
    column = {"startColumn": place.column} if place.line and place.column else {}
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": uri_of(prefix + place.path), "uriBaseId": _ROOT},
        "region": {"startLine": place.line or 1, **column},  # GitHub wants a line, also of a whole file
    }
    if finding and finding.source_line:
        physical["contextRegion"] = {"startLine": place.line or 1, "snippet": {"text": finding.source_line}}
    return {"physicalLocation": physical, "logicalLocations": logical}


def uri_of(path: str) -> str:
    """A relative URI for a POSIX path; a name with a colon or bytes that are no text included."""
    return quote(path.encode("utf-8", "surrogateescape" if _escaped_bytes(path) else "surrogatepass"), safe="/")


def _escaped_bytes(path: str) -> bool:
    """Whether all half characters of ``path`` stand for bytes of a file's name that is no UTF-8."""
    return all("\udc80" <= char <= "\udcff" for char in path if "\ud800" <= char <= "\udfff")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """``title`` says what is wrong, ``help`` what to do."""

    title: str
    help: str


def rule_of(code: str) -> Rule:
    """The rule of ``code``: its own, else its family's, else (of a check from elsewhere) a bare one."""
    bare = Rule(title=f"Finding {code}", help="See the message of the finding.")
    return RULES.get(code) or next((rule for start, rule in _FAMILIES if code.startswith(start)), bare)


_REPLACE = "Write what the message names instead, in a way that the baseline knows as well."
_FAMILIES = (
    ("PY24", Rule(title="An installed distribution breaks on the target", help="Require a version that runs there.")),
    ("PY3", Rule(title="A declared Python version does not fit the move", help="Declare the version that is meant.")),
)

RULES: Mapping[str, Rule] = {
    code: Rule(title=title, help=text)
    for code, title, text in (
        ("PY101", "Requirements clash", "Loosen one of the requirements that are named."),
        ("PY102", "A project is not on the index, or no version of it fits", "Correct the name or the version."),
        ("PY103", "A distribution's Requires-Python shuts the target out", "Require a version that allows it."),
        ("PY104", "A distribution has no wheel for the target and does not build", "Require one that has a wheel."),
        ("PY105", "A distribution dies when it is imported on the target", "Require a version that runs there."),
        ("PY106", "A folder of the repository does not build", "Mend its setup."),
        ("PY107", "A line of a requirements file that pip refuses", "Correct or remove the line."),
        ("PY110", "A distribution was built from source", "None needed; a wheel is quicker."),
        ("PY111", "The baseline could not be checked", "See why in the message."),
        ("PY112", "Noticed in a set that something else blocks", "Remove what blocks, and it is tried."),
        ("PY113", "What else blocks could not be told to the end", "See why in the message."),
        ("PY114", "No required hash is that of the file for the target", "Make the requirements file anew."),
        ("PY115", "A version that a lock file holds cannot be had", "Make the lock file anew."),
        ("PY116", "A lock file does not fit its requirements", "Make the lock file anew."),
        ("PY120", "A module is imported that nothing installs", "Require the project that has it."),
        ("PY121", "A module comes in by chance, through another project", "Require the project that has it."),
        ("PY201", "A module was removed from the standard library", _REPLACE),
        ("PY202", "A name was removed from a standard module", _REPLACE),
        ("PY203", "A method or attribute was removed from a standard class", _REPLACE),
        ("PY204", "A parameter is no longer taken", _REPLACE),
        ("PY205", "Syntax that the target refuses", _REPLACE),
        ("PY206", "A value or use that fails on the target", _REPLACE),
        ("PY207", "A hook that the target no longer calls", "Implement the hook that took its place."),
        ("PY208", "A module of the service has the name of a new standard one", "Rename the module."),
        ("PY209", "distutils or pkg_resources is used and not there", "Require setuptools, or use what replaced it."),
        ("PY210", "Too new for the baseline", "Write it in a way that both know, until nobody goes back any more."),
        ("PY220", "Deprecated on the target", _REPLACE),
        ("PY221", "The target's compiler warns of it", _REPLACE),
        ("PY230", "It means something else on the target", "Say what is meant, so that both do the same."),
        ("PY240", "A distribution dies when it is imported", "Try a newer version, or replace the project."),
        ("PY241", "A distribution may fail when it is used", "Try a newer version."),
        ("PY242", "A module that nothing imports cannot be imported", "None, as long as nothing imports it."),
        ("PY243", "A distribution needs setuptools, and there is none", "Require setuptools, or try a newer version."),
        ("PY250", "A deprecation warning while the suite ran", _REPLACE),
        ("PY290", "A file that no interpreter can read", "Mend or remove it; it is no worse than before."),
        ("PY291", "A comment that accepts nothing", "Name the codes, and why they are acceptable."),
        ("PY292", "A comment that nothing needs", "Take it out."),
        ("PY299", "The source could not be checked", "See why in the message."),
        ("PY401", "Tests fail on the target and not on the baseline", "What the exception asks for."),
        ("PY402", "Tests of the baseline prove nothing on the target", "Let them run there as well."),
        ("PY403", "Flaky tests", "Make them independent of what changes from run to run."),
        ("PY404", "Tests fail on the baseline as well", "None for the move."),
        ("PY405", "Tests fail on the baseline of something too new for it", "Write it in a way that both know."),
        ("PY901", "A waiver that nothing needs any more", "Remove it from the plan."),
    )
}
