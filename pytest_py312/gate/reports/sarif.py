"""Render the findings as SARIF 2.1.0 for code scanning and editors, with a catalogue of rules.

A finding on several interpreters of a service is one result. Its ``level`` is the severity of the finding, except that
a pre-existing error that fails no check is a ``note``. ``baselineState`` is ``unchanged`` for pre-existing and known
findings and ``new`` for all others. Waived and known findings are suppressed.

A check that could not be run is a notification of the invocation, and the invocation is marked as unsuccessful.
Otherwise the absence of results would look like a success.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pytest_py312.core.model.findings import Finding, Location, Outcome
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.report import Report
from pytest_py312.core.serialization import format_json
from pytest_py312.gate.reports.results import (
    ReportedFinding,
    ReportedReason,
    describe_lowering,
    errored_outcomes,
    grouped,
    merge_reasons,
    reported_findings,
)

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT_KEY = "py312/v1"
"""Key of ``Finding.fingerprint`` among the partial fingerprints of a result. The service has its own key."""

_ROOT = "%SRCROOT%"
_TAGS = {
    "PY1": "dependencies",
    "PY2": "source",
    "PY3": "versions",
    "PY4": "suite",
    "PY5": "benchmark",
    "PY7": "image",
}
_COMPLETE_EXIT_CODES = (0, 1)  # exit codes of a complete pytest run with tests


def render(report: Report, *, prefix: str = "") -> str:
    """Return the SARIF log, indented, with a final newline, encodable as UTF-8.

    :param prefix: path from the root of the checkout to the folder of the plan (``platform/``); empty if they are the
        same.
    """
    return format_json(_log(report, prefix))


def _log(report: Report, prefix: str) -> dict[str, Any]:
    findings = reported_findings(report)
    codes = sorted({result.finding.code for result in findings})
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
                    for result in findings
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
    errored = errored_outcomes(report)
    end_time = {"endTimeUtc": report.generated} if report.generated else {}
    return {
        "executionSuccessful": report.exit_status in _COMPLETE_EXIT_CODES and not errored,
        "exitCode": int(report.exit_status),
        **end_time,
        "toolExecutionNotifications": [
            _notification(reason, services.get(reason.outcomes[0].service), prefix) for reason in _by_reason(errored)
        ],
    }


def _by_reason(outcomes: Iterable[Outcome]) -> Iterable[ReportedReason]:
    """Group the outcomes of one check that have the same reason on several interpreters."""
    groups = grouped(outcomes, lambda outcome: (outcome.service, outcome.check))
    return (reason for group in groups.values() for reason in merge_reasons(group))


def _notification(reason: ReportedReason, service: Service | None, prefix: str) -> dict[str, Any]:
    outcomes = reason.outcomes
    outcome = outcomes[0]
    interpreters = ", ".join(str(other.interpreter) for other in outcomes if other.interpreter)
    on = f" on {interpreters}" if interpreters else ""
    return {
        "level": "error",
        "message": {"text": f"{outcome.service}: {outcome.check}{on} could not be checked: {reason.text}"},
        "locations": [_location(None, service, outcome.service, prefix)],
    }


def _result(
    result: ReportedFinding, index: int, service: Service | None, report: Report, prefix: str
) -> dict[str, Any]:
    finding = result.finding
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": result.level.value,
        "message": {"text": _message(result)},
        "locations": [_location(finding, service, result.service, prefix)],
        "partialFingerprints": {FINGERPRINT_KEY: finding.fingerprint, "py312Service/v1": result.service},
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
            "lowered": describe_lowering(finding),
            "names": list(finding.names),
        },
    }


def _message(result: ReportedFinding) -> str:
    finding = result.finding
    message = finding.message.strip().rstrip(".") or rule_of(finding.code).title
    on = f" ({result.interpreter_labels})" if result.interpreters else ""
    remedy = finding.remedy.strip()
    return f"{message}{on}." + (f" {remedy[0].upper()}{remedy[1:]}" if remedy else "")


def _suppressions(finding: Finding, service: str, report: Report) -> list[dict[str, Any]]:
    """Return the suppressions of a finding.

    SARIF requires the list for all results or for none, so it is always present.
    """
    reasons = []
    if finding.waived:
        waivers = [waiver for waiver in report.plan.waivers if waiver.code == finding.code]
        service_waivers = [waiver for waiver in waivers if waiver.service == service] or waivers
        justification = (
            f"{service_waivers[0].reason} ({service_waivers[0].owner}, until {service_waivers[0].until})"
            if len(service_waivers) == 1
            else ""
        )
        reasons.append(justification or "waived in the plan")
    if finding.known:
        reasons.append("listed in the file of known findings")
    return [{"kind": "external", "status": "accepted", "justification": reason} for reason in reasons]


def _location(finding: Finding | None, service: Service | None, name: str, prefix: str) -> dict[str, Any]:
    """Return the location of a finding, or of the service's manifest if the finding has no location."""
    location = finding.location if finding else None
    if location is None:
        location = Location(path=(service.manifest or service.path) if service else "")
    logical = [{"name": name, "kind": "module"}]
    if not location.path:
        return {"logicalLocations": logical}
    column = {"startColumn": location.column} if location.line and location.column else {}
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": uri_of(prefix + location.path), "uriBaseId": _ROOT},
        "region": {"startLine": location.line or 1, **column},  # GitHub requires a line even for a whole file
    }
    if finding and finding.source_line:
        physical["contextRegion"] = {"startLine": location.line or 1, "snippet": {"text": finding.source_line}}
    return {"physicalLocation": physical, "logicalLocations": logical}


def uri_of(path: str) -> str:
    """Return a POSIX path as a relative URI, even if it contains colons or bytes that are not UTF-8."""
    return quote(
        path.encode("utf-8", "surrogateescape" if _has_only_escaped_bytes(path) else "surrogatepass"), safe="/"
    )


def _has_only_escaped_bytes(path: str) -> bool:
    """Return whether all surrogates in ``path`` are escaped bytes of a file name that is not UTF-8."""
    return all("\udc80" <= char <= "\udcff" for char in path if "\ud800" <= char <= "\udfff")


@dataclass(frozen=True, kw_only=True, slots=True)
class SarifRule:
    """A rule of the catalogue: what is wrong, and what to do about it."""

    title: str
    help: str


def rule_of(code: str) -> SarifRule:
    """Return the rule for ``code``, that of its family, or a generic one for codes of other plugins."""
    fallback = SarifRule(title=f"Finding {code}", help="See the message of the finding.")
    return SARIF_RULES.get(code) or next((rule for prefix, rule in _FAMILIES if code.startswith(prefix)), fallback)


_REPLACE = "Use the replacement that the message names, in a form that the baseline supports as well."
_FAMILIES = tuple(
    (prefix, SarifRule(title=title, help=text))
    for prefix, title, text in (
        ("PY24", "An installed distribution breaks on the target", "Require a version that runs there."),
        ("PY3", "A declared Python version does not match the migration", "Declare the intended version."),
    )
)
"""(prefix of the codes of a family, rule for those without a row in :data:`SARIF_RULES`)."""

SARIF_RULES: Mapping[str, SarifRule] = {
    code: SarifRule(title=title, help=text)
    for code, title, text in (
        ("PY101", "Requirements conflict", "Relax one of the named requirements."),
        ("PY102", "A project is not on the index, or none of its versions matches", "Correct the name or the version."),
        ("PY103", "A distribution's Requires-Python excludes the target", "Require a version that allows it."),
        ("PY104", "A distribution has no wheel for the target and does not build", "Require one that has a wheel."),
        ("PY105", "A distribution fails on import on the target", "Require a version that runs there."),
        ("PY106", "A folder of the repository does not build", "Fix its build configuration."),
        ("PY107", "A line of a requirements file that pip rejects", "Correct or remove the line."),
        ("PY110", "A distribution was built from source", "None needed; a wheel installs faster."),
        ("PY111", "The baseline could not be checked", "See why in the message."),
        ("PY112", "Possible problem in a set that is blocked by something else",
         "Resolve what blocks; then this is checked."),
        ("PY113", "Further blockers could not be determined", "See why in the message."),
        ("PY114", "No required hash matches the file for the target", "Regenerate the requirements file."),
        ("PY115", "A version in a lock file is not available", "Regenerate the lock file."),
        ("PY116", "A lock file does not match its requirements", "Regenerate the lock file."),
        ("PY117", "The service's start module cannot be imported", "Fix what the traceback shows."),
        ("PY118", "The image of the target lacks a program", "Replace the command."),
        ("PY120", "An imported module is not installed", "Require the project that provides it."),
        ("PY121", "An imported module is installed only through another project",
         "Require the project that provides it."),
        ("PY201", "A module was removed from the standard library", _REPLACE),
        ("PY202", "A name was removed from a standard module", _REPLACE),
        ("PY203", "A method or attribute was removed from a standard class", _REPLACE),
        ("PY204", "A parameter was removed", _REPLACE),
        ("PY205", "Syntax that the target rejects", _REPLACE),
        ("PY206", "A value or use that fails on the target", _REPLACE),
        ("PY207", "A hook that the target no longer calls", "Implement the hook that replaces it."),
        ("PY208", "A module of the service has the name of a new standard one", "Rename the module."),
        ("PY209", "distutils or pkg_resources is used but missing", "Require setuptools, or use the replacement."),
        ("PY210", "Too new for the baseline", "Use a form that both versions support while a rollback is possible."),
        ("PY211", "A module is compiled for the baseline only", "Add a file that the target can import."),
        ("PY220", "Deprecated on the target", _REPLACE),
        ("PY221", "A warning of the target's compiler", _REPLACE),
        ("PY230", "Different behaviour on the target", "Be explicit, so that both versions behave the same."),
        ("PY240", "A distribution fails on import", "Try a newer version, or replace the project."),
        ("PY241", "A distribution may fail when used", "Try a newer version."),
        ("PY242", "A module that is never imported fails on import", "None, as long as it is not imported."),
        ("PY243", "A distribution needs setuptools, which is missing", "Require setuptools, or try a newer version."),
        ("PY244", "A distribution refuses what is installed beside it", "Require a version that it supports."),
        ("PY250", "A deprecation warning while the suite ran", _REPLACE),
        ("PY290", "A file that no interpreter can parse", "Fix or remove it; it is pre-existing."),
        ("PY291", "A suppression comment without effect", "Name the codes and the reason."),
        ("PY292", "An unused suppression comment", "Remove it."),
        ("PY299", "The source could not be checked", "See why in the message."),
        ("PY401", "Tests fail on the target but pass on the baseline", "Follow the exception."),
        ("PY402", "Tests that run on the baseline do not run on the target", "Make them run there as well."),
        ("PY403", "Flaky tests", "Make them independent of what differs between runs."),
        ("PY404", "Tests that also fail on the baseline", "None needed for the migration."),
        ("PY405", "Tests fail on the baseline because of something too new for it",
         "Use a form that both versions support."),
        ("PY406", "Tests whose ids differ in every run", "Give their parameters fixed ids."),
        ("PY407", "Test files that cannot be collected on either side", "Install what they import."),
        ("PY408", "A module that is imported later cannot be imported", "Fix what it does at its import."),
        ("PY501", "A benchmark of the service is slower on the target", "Profile it on both Pythons."),
        ("PY502", "A benchmark is inconclusive", "Measure more pairs, as the message says."),
        ("PY503", "Import, start, memory or tests take more than on the baseline", "See whether it matters."),
        ("PY504", "The interpreters were built with different optimisations", "Measure with builds of one kind."),
        ("PY701", "The image cannot be built", "Fix the error at the end of the output."),
        ("PY702", "The image has another Python, or none that works", "Change the base image of its last stage."),
        ("PY703", "The module that the image starts cannot be imported", "Fix the error at the end of the traceback."),
        ("PY704", "A container of the image ends or does not become healthy", "See its last output."),
        ("PY901", "A waiver that is no longer needed", "Remove it from the plan."),
    )
}  # fmt: skip
"""Rules by code."""
