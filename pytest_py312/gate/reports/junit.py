"""Render the items of a run as JUnit XML, with the names that pytest's own ``--junitxml`` gives them.

What was to be checked and was not is an error: a missing test looks like one that passed.
"""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.terminal_findings import failure_text

_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not have. https://www.w3.org/TR/xml/#charsets"""
_ELEMENTS = {Status.FAILED: "failure", Status.ERRORED: "error", Status.SKIPPED: "skipped"}


def render(report: Report) -> str:
    """Return the document, with a final newline."""
    cases = [_case(outcome) for outcome in report.outcomes]
    paths = {service.name: service.path for service in report.services}
    for service, interpreter, check in report.not_run:
        parts = [paths.get(service, service), *([interpreter.label] if interpreter else ()), check]
        case = _element("testcase", **_address(parts), time="0.000")
        case.append(_element("error", message="it was to be checked, and was not"))
        cases.append(case)
    suite = _element(
        "testsuite",
        name=f"py312 {report.plan.target}",
        errors=_count(cases, "error"),
        failures=_count(cases, "failure"),
        skipped=_count(cases, "skipped"),
        tests=str(len(cases)),
        time=f"{sum(outcome.seconds for outcome in report.outcomes):.3f}",
        timestamp=report.generated,
    )
    suite.extend(cases)
    suites = _element("testsuites", name="py312")
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _case(outcome: Outcome) -> ElementTree.Element:
    case = _element("testcase", **_address(outcome.nodeid.split("::")), time=f"{outcome.seconds:.3f}")
    codes = sorted({finding.code for finding in outcome.findings if finding.blocks})
    properties = {
        "py312_service": outcome.service,
        "py312_interpreter": str(outcome.interpreter or ""),
        "py312_check": outcome.check,
        "py312_status": outcome.status.value,
        "py312_codes": ",".join(codes),
        "py312_cached": "true" if outcome.cached else "",
    }
    group = ElementTree.SubElement(case, "properties")
    group.extend(_element("property", name=name, value=value) for name, value in properties.items() if value)
    if outcome.status in _ELEMENTS:
        problem = _element(_ELEMENTS[outcome.status], message=outcome.reason)
        if outcome.status is not Status.SKIPPED:
            problem.text = _valid(failure_text(outcome, verbosity=0))
        case.append(problem)
    return case


def _address(parts: Sequence[str]) -> dict[str, str]:
    """Return the name of an item, and what stands above it, from the parts of its node id."""
    folder, *names = parts
    return {"classname": ".".join([folder.replace("/", "."), *names[:-1]]), "name": names[-1] if names else ""}


def _element(tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.Element(tag, {name: _valid(value) for name, value in attributes.items()})


def _valid(text: str) -> str:
    return _INVALID.sub(lambda match: f"#x{ord(match[0]):02X}", text)


def _count(cases: Sequence[ElementTree.Element], tag: str) -> str:
    return str(sum(case.find(tag) is not None for case in cases))
