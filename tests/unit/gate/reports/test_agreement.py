"""All formats of the report agree: on the verdict, on each state of the table, and on what blocks and its remedy."""

import json
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Outcome, Severity, SpecifierChange, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import escape_markdown
from pytest_py312.gate.reports import github_annotations, html, json_report, markdown, sarif, terminal
from pytest_py312.gate.reports.results import reported_findings
from pytest_py312.gate.reports.run_verdict import summarize
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, report_of

CHANGE = SpecifierChange(path="requirements.txt", line=1, name="numpy", old="==1.20", new="==1.26.4")
OF_BASELINE = finding("PY104", message="numpy does not build", remedy="replace the project", names=("numpy",))
OF_TARGET = replace(OF_BASELINE, preexisting=True, remedy="numpy==1.26.4 (verified)", changes=(CHANGE,))


def failed(of: Finding, on: Interpreter | None, check: str = "dependencies") -> Outcome:
    return Outcome(
        service="user-service", interpreter=on, check=check, status=Status.FAILED, reason=of.message, findings=(of,)
    )


class Text(HTMLParser):
    """The text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def texts_of(report: Report) -> dict[str, str]:
    lines = terminal.summary_lines(report, width=200, unicode=True, verbosity=0, today=date(2026, 1, 1))
    return {
        "terminal": "\n".join(line.text for line in lines),
        "html": "".join(Text(html.render(report)).parts),
        "markdown": markdown.render(report),
        "sarif": sarif.render(report, prefix=""),
        "github": "\n".join(github_annotations.command_lines(report)),
        "json": json_report.render(report),
    }


@pytest.mark.parametrize("on", [PY39, PY310])
@pytest.mark.parametrize("name", ["terminal", "html", "markdown", "sarif", "github"])
def test_where_both_fail_the_change_that_was_tried_on_the_target_is_shown(name: str, on: Interpreter) -> None:
    text = texts_of(report_of(failed(OF_TARGET, PY312), failed(OF_BASELINE, on)))[name].lower()

    assert "numpy==1.26.4 (verified)" in text
    assert "replace the project" not in text


def test_what_also_fails_on_the_baseline_is_one_finding_that_blocks() -> None:
    (found,) = reported_findings(report_of(failed(OF_BASELINE, PY39), failed(OF_TARGET, PY312)))

    assert (found.interpreters, found.fails_check, found.finding.preexisting) == ((PY39, PY312), True, False)
    assert found.finding.changes == (CHANGE,)


def test_a_service_that_fails_as_a_whole_is_seen_in_each_table() -> None:
    passed = [
        Outcome(service="user-service", interpreter=on, check="suite", status=Status.PASSED)
        for on in (PY39, PY310, PY312)
    ]

    texts = texts_of(report_of(*passed, failed(finding(), None, "source")))

    assert "| Service | Stage | Any Python | 3.9 | 3.10 | 3.12 |" in texts["markdown"]
    assert "| user-service | 1 | ❌ failed | **✅ passed** | ✅ passed | ✅ passed |" in texts["markdown"]
    assert re.search(r"user-service +FAIL +\[ok\] +ok +ok", texts["terminal"])


DEPRECATION = "datetime.utcnow() is deprecated"


@pytest.mark.parametrize("name", ["terminal", "html", "markdown", "github"])
def test_a_warning_with_many_places_is_shown_once(name: str) -> None:
    warnings = [
        finding("PY230", line=line, message=DEPRECATION, severity=Severity.WARNING, names=(str(line),))
        for line in range(1, 727)
    ]
    outcome = Outcome.from_findings(service="user-service", interpreter=None, check="source", findings=warnings)

    text = texts_of(report_of(outcome))[name]

    assert text.count(DEPRECATION) == 1
    assert "725 more places" in text
    assert "app.py:1" in text or "line=1," in text


def test_what_blocks_is_shown_at_each_place() -> None:
    outcome = Outcome.from_findings(
        service="user-service",
        interpreter=None,
        check="source",
        findings=[finding(line=line, names=(str(line),)) for line in (3, 4)],
    )

    text = texts_of(report_of(outcome))["markdown"]

    assert "app.py:3" in text
    assert "app.py:4" in text


@pytest.mark.parametrize("name", ["terminal", "markdown", "sarif", "github"])
def test_a_reason_on_several_interpreters_is_shown_once(name: str) -> None:
    outcomes = [errored("no tests were found in services/user-service", on=on) for on in (PY39, PY310, PY312)]

    assert texts_of(report_of(*outcomes))[name].count("no tests were found") == 1


FINDINGS = st.builds(
    finding,
    code=st.sampled_from(["PY104", "PY202"]),
    severity=st.sampled_from(Severity),
    preexisting=st.booleans(),
    waived=st.booleans(),
    remedy=st.sampled_from(["write async def", "replace the project"]),
)
OUTCOMES = st.builds(
    lambda found, on, check: Outcome.from_findings(service="user-service", interpreter=on, check=check, findings=found),
    st.lists(FINDINGS, max_size=2),
    st.sampled_from([PY39, PY310, PY312]),
    st.sampled_from(["dependencies", "suite"]),
) | st.builds(errored, st.sampled_from(["no index", "no interpreter"]), on=st.sampled_from([PY39, PY312]))


@given(st.lists(OUTCOMES, max_size=4), st.integers(0, 3))
def test_all_formats_have_the_same_verdict(outcomes: list[Outcome], exit_status: int) -> None:
    report = report_of(*outcomes, exit_status=exit_status)
    verdict, findings, texts = summarize(report), reported_findings(report), texts_of(report)

    assert texts["terminal"].splitlines()[-1] == verdict.sentence
    assert verdict.sentence in texts["html"]
    assert escape_markdown(verdict.sentence) in texts["markdown"]
    assert json.loads(texts["json"])["complete"] is verdict.complete
    blocking = [result for result in findings if result.fails_check]
    for kind in ("terminal", "markdown"):
        assert ("Blocking" in texts[kind]) is bool(blocking), kind
    (run,) = json.loads(texts["sarif"])["runs"]
    of_level_error = [result for result in run["results"] if result["level"] == "error" and not result["suppressions"]]
    assert bool(of_level_error) >= bool(blocking)
    for result in blocking:
        for kind in ("terminal", "html", "markdown"):
            assert result.finding.remedy in texts[kind], kind


@pytest.mark.parametrize("name", ["terminal", "markdown", "sarif", "github"])
@pytest.mark.parametrize(
    ("reason", "merged"),
    [
        ("no tests were found in services/user-service", "no tests were found in services/user-service"),
        ("the suite did not complete on {on}: ended", "the suite did not complete on 3.9, 3.10, 3.12: ended"),
        ("no environment on {on}: six=={on} has no wheel", "on 3.9, 3.10, 3.12: six=={on} has no wheel"),
    ],
)
def test_a_reason_that_several_interpreters_have_in_common_is_reported_once(
    name: str, reason: str, merged: str
) -> None:
    """Except for a text that has the same digits in another meaning, such as a version of a project."""
    is_same = "=={on}" not in reason
    text = texts_of(report_of(*(errored(reason.format(on=on), on=on) for on in (PY39, PY310, PY312))))[name]

    start = reason.partition("{on}")[0]
    assert text.count(start) == (1 if is_same else 3)
    if is_same:
        assert merged in " ".join(text.split())


@pytest.mark.parametrize("name", ["terminal", "markdown", "sarif", "github"])
@pytest.mark.parametrize(
    ("baseline", "target", "merged"),
    [
        ("proves too little on 3.9 or 3.12", "proves too little on 3.9 or 3.12", "proves too little on 3.9 or 3.12"),
        ("no test ran on 3.9: a.py", "nothing to compare with: no test ran on 3.9: a.py", "no test ran on 3.9: a.py"),
    ],
)
def test_a_reason_about_both_sides_is_reported_once(name: str, baseline: str, target: str, merged: str) -> None:
    text = texts_of(report_of(errored(baseline, on=PY39), errored(target, on=PY312)))[name]

    assert " ".join(text.split()).count(merged) == 1
    assert "nothing to compare with" not in text


def test_a_warning_about_a_line_that_services_share_is_one_line_of_the_terminal() -> None:
    warning = replace(
        finding("PY104", message="numpy has no wheel", severity=Severity.WARNING),
        location=Location(path="requirements-dev.txt", line=1),
    )
    outcomes = [
        Outcome.from_findings(service=name, interpreter=PY312, check="dependencies", findings=[warning])
        for name in ("user-service", "api-gateway")
    ]

    text = texts_of(report_of(*outcomes))["terminal"]

    assert text.count("numpy has no wheel") == 1


@pytest.mark.parametrize("name", ["terminal", "html", "markdown", "sarif", "github"])
def test_a_finding_without_names_is_reported_once_for_all_interpreters(name: str) -> None:
    """Two modules on three interpreters are two findings, not six."""
    findings_by_interpreter = {
        on: [
            replace(finding("PY208"), message=f"module {module} cannot be read on {on}", names=(), location=None)
            for module in ("alpha", "beta")
        ]
        for on in (PY39, PY310, PY312)
    }
    report = report_of(
        *(
            Outcome.from_findings(service="user-service", interpreter=on, check="libraries", findings=findings)
            for on, findings in findings_by_interpreter.items()
        )
    )

    assert len(reported_findings(report)) == 2
    # the page has the reason of each check as well, in the table of checks, and what blocks most
    assert texts_of(report)[name].count("module alpha cannot be read on") == (5 if name == "html" else 1)


@pytest.mark.parametrize(("line", "shown"), [(3, False), (4, True)])
@pytest.mark.parametrize("name", ["markdown", "sarif", "github"])
def test_a_start_that_fails_at_a_line_that_is_blamed_already_is_reported_once(
    name: str, line: int, shown: bool
) -> None:
    """The terminal, which explains each failing item, is the exception."""
    cause = finding("PY201", message="module 'imp' was removed", location=Location(path="app.py", line=3))
    start = finding("PY117", message="the start fails there", location=Location(path="app.py", line=line))

    text = texts_of(report_of(failed(cause, None, "source"), failed(start, PY312)))[name]

    assert "module 'imp' was removed" in text
    assert ("the start fails there" in text) is shown
