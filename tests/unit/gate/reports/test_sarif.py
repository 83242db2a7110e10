"""SARIF: valid by the schema of the standard, one result per finding, with the right states."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, ValidationError

from pytest_py312.core.model.findings import Confidence, Location, Outcome, Severity, Status
from pytest_py312.core.model.plan import Waiver
from pytest_py312.core.model.report import Report
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.benchmark import BenchmarkCheck
from pytest_py312.gate.checks.image import ImageCheck
from pytest_py312.gate.reports.sarif import render, rule_of, uri_of
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of

SCHEMA = json.loads((Path(__file__).parents[3] / "data/sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = Draft4Validator(SCHEMA, format_checker=Draft4Validator.FORMAT_CHECKER)


def run_of(report: Report, **options: Any) -> Any:
    """Return the only run of the log, after validation."""
    log = json.loads(render(report, **options).encode("utf-8"))
    VALIDATOR.validate(log)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return run


def results_of(report: Report, **options: Any) -> Any:
    return run_of(report, **options)["results"]


def test_the_schema_rejects_what_is_no_sarif() -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate({"version": "2.1.0", "runs": [{"tool": {}}]})


def test_nothing_found_is_a_valid_log() -> None:
    run = run_of(report_of(judged(), exit_status=0))

    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is True


def test_a_finding_is_a_result_with_its_rule_place_and_fingerprint() -> None:
    reported = finding(source_line="@asyncio.coroutine", confidence=Confidence.LIKELY)
    run = run_of(report_of(judged(reported)))

    (result,) = run["results"]
    assert (result["ruleId"], result["level"], result["baselineState"]) == ("PY202", "error", "new")
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], rule["shortDescription"]["text"]) == ("PY202", rule_of("PY202").title)
    assert rule["help"]["text"]
    assert result["message"]["text"] == "asyncio.coroutine was removed in 3.11 (py3.12). Write async def"
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "services/user-service/app.py", "uriBaseId": "%SRCROOT%"}
    assert physical["region"] == {"startLine": 3, "startColumn": 5}
    assert physical["contextRegion"] == {"startLine": 3, "snippet": {"text": "@asyncio.coroutine"}}
    assert result["partialFingerprints"] == {"py312/v1": reported.fingerprint, "py312Service/v1": "user-service"}
    assert (result["properties"]["blocks"], result["properties"]["confidence"]) == (True, "likely")
    assert run["columnKind"] == "unicodeCodePoints"


def test_one_finding_on_several_interpreters_is_one_result() -> None:
    """Also if the messages differ: that of the newest interpreter is used. Another location is another result."""
    on_each = [judged(finding(message=f"gone on {on}"), on=on) for on in (PY310, PY312, PY39)]
    elsewhere = judged(finding(line=9), on=PY312, check="own")

    first, second = results_of(report_of(*on_each, elsewhere))

    assert first["properties"]["interpreters"] == ["3.9", "3.10", "3.12"]
    assert first["message"]["text"].startswith("gone on 3.12 (py3.9, py3.10, py3.12).")
    assert second["locations"][0]["physicalLocation"]["region"]["startLine"] == 9


def test_the_same_finding_of_two_services_is_two_results() -> None:
    report = report_of(
        judged(finding()),
        judged(finding(), of="auth-service"),
        services=[service("auth-service"), service("user-service")],
    )

    found = results_of(report)

    assert [result["properties"]["service"] for result in found] == ["auth-service", "user-service"]
    assert len({json.dumps(result["partialFingerprints"]) for result in found}) == 2


def test_of_several_interpreters_the_one_on_which_it_blocks_is_reported() -> None:
    blocks, does_not = finding(message="blocks"), finding(message="does not", preexisting=True)

    (result,) = results_of(report_of(judged(blocks, on=PY310), judged(does_not, on=PY312)))

    assert result["message"]["text"].startswith("blocks")
    assert result["level"] == "error"


@pytest.mark.parametrize(
    ("changes", "level", "state", "suppressions"),
    [
        ({}, "error", "new", []),
        ({"severity": Severity.WARNING}, "warning", "new", []),
        ({"severity": Severity.NOTE}, "note", "new", []),
        ({"preexisting": True}, "note", "unchanged", []),
        ({"known": True}, "error", "unchanged", ["listed in the file of known findings"]),
        ({"waived": True}, "error", "new", ["vendor (ada, until 2025-03-12)"]),
    ],
)
def test_the_state_of_a_finding(changes: dict[str, Any], level: str, state: str, suppressions: list[str]) -> None:
    waiver = Waiver(service="user-service", code="PY202", reason="vendor", owner="ada", until=date(2025, 3, 12))
    report = report_of(judged(finding(**changes)))

    (result,) = results_of(replace(report, plan=replace(report.plan, waivers=(waiver,))))

    assert (result["level"], result["baselineState"]) == (level, state)
    assert [one["justification"] for one in result["suppressions"]] == suppressions
    assert {one["status"] for one in result["suppressions"]} <= {"accepted"}


def test_a_preexisting_finding_that_fails_a_check_is_an_error() -> None:
    """For example a set that cannot be installed on either interpreter."""
    stuck = finding(code="PY101", preexisting=True)
    outcome = Outcome(
        service="user-service",
        interpreter=PY312,
        check="dependencies",
        status=Status.FAILED,
        reason="as on 3.9",
        findings=(stuck,),
    )

    assert [result["level"] for result in results_of(report_of(outcome))] == ["error"]


def test_what_could_not_be_checked_is_a_notification_and_no_success() -> None:
    (invocation,) = run_of(report_of(errored("the engine is lost")))["invocations"]

    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 1)
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"]["text"] == ("user-service: suite on 3.12 could not be checked: the engine is lost")
    assert notification["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("requirements.txt")


@pytest.mark.parametrize(("status", "successful"), [(0, True), (1, True), (2, False), (3, False), (5, False)])
def test_an_interrupted_run_is_no_success(status: int, successful: bool) -> None:
    (invocation,) = run_of(report_of(judged(), exit_status=status))["invocations"]

    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (successful, status)


def test_a_finding_without_a_location_points_at_the_manifest() -> None:
    """It points at the first line, because code scanning requires a line."""
    (result,) = results_of(report_of(judged(finding(location=None))))

    physical = result["locations"][0]["physicalLocation"]
    assert physical == {
        "artifactLocation": {"uri": "services/user-service/requirements.txt", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 1},
    }


def test_paths_are_relative_to_the_checkout_and_percent_encoded() -> None:
    odd = finding(path="services/用户 service/a#b?.py", location=Location(path="services/用户 service/a#b?%.py"))

    (result,) = results_of(report_of(judged(odd)), prefix="platform/")

    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "platform/services/%E7%94%A8%E6%88%B7%20service/a%23b%3F%25.py"


@pytest.mark.parametrize("path", ["a:b/c.py", "a b", "ü", "\udcff.py", "\ud800.pyi", "\udcff\ud800-"])
def test_every_path_has_a_uri(path: str) -> None:
    """Bytes of a name that is not UTF-8 are escaped."""
    uri = uri_of(path)
    assert re.fullmatch(r"[A-Za-z0-9_.~%/-]+", uri)
    if path == "\udcff.py":
        assert unquote_to_bytes(uri) == b"\xff.py"


def test_the_log_does_not_depend_on_the_order_of_the_outcomes() -> None:
    outcomes = [judged(finding(line=line), on=on) for line in (9, 3) for on in (PY312, PY39)]

    assert render(report_of(*outcomes)) == render(report_of(*outcomes[::-1]))


def test_every_code_of_a_check_has_a_rule_of_its_own() -> None:
    """Code scanning shows its title."""
    codes = [code for check in (*CHECKS, BenchmarkCheck(), ImageCheck()) for code in check.codes] + ["PY901"]
    bare = rule_of("ACME1").help
    assert [code for code in codes if rule_of(code).help == bare] == []


@pytest.mark.parametrize(("code", "tag"), [("PY202", "source"), ("PY501", "benchmark"), ("PY701", "image")])
def test_a_rule_is_tagged_with_its_area(code: str, tag: str) -> None:
    (rule,) = run_of(report_of(judged(replace(finding(), code=code))))["tool"]["driver"]["rules"]
    assert rule["properties"]["tags"] == ["python-upgrade", tag]


@given(st.text(st.characters(), max_size=30), st.text(st.characters(), max_size=30), st.integers(1, 10**6))
def test_the_log_is_valid_for_any_text(name: str, text: str, line: int) -> None:
    odd = finding(
        message=text, remedy=name, location=Location(path=name, line=line, column=line), names=(text,), source_line=text
    )
    run = run_of(report_of(judged(odd, of=name), errored(text.strip() or "-", of=name)))

    assert len(run["results"]) == 1
