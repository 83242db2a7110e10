"""Dataclasses to JSON and back; data that does not match is refused."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import (
    Confidence,
    Finding,
    Interpreter,
    Location,
    Outcome,
    Severity,
    SourceChange,
    SpecifierChange,
    Status,
)
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import SuiteComparison
from pytest_py312.core.model.plan import Plan, Waiver
from pytest_py312.core.serialization import decode, encode
from pytest_py312.gate.checks.check import CheckResult
from tests.support.fakes import service

WORDS = st.text(max_size=12)
NAMES = st.lists(WORDS, max_size=3).map(tuple)
INTERPRETERS = st.builds(Interpreter, st.just(3), st.integers(0, 99))
LINES = st.none() | st.integers(1, 10**9)
AT = st.integers(1, 10**9)
CHANGES = st.builds(SpecifierChange, path=WORDS, line=AT, name=WORDS, old=WORDS, new=WORDS) | st.builds(
    SourceChange, path=WORDS, line=AT, column=AT, old=WORDS, new=WORDS
)
LOCATIONS = st.builds(Location, path=WORDS, line=LINES, column=LINES)
FINDINGS = st.builds(
    Finding,
    code=WORDS,
    message=WORDS,
    remedy=WORDS,
    severity=st.sampled_from(Severity),
    confidence=st.sampled_from(Confidence),
    location=st.none() | LOCATIONS,
    names=NAMES,
    preexisting=st.booleans(),
    waived=st.booleans(),
    detail=WORDS,
    changes=st.lists(CHANGES, max_size=2).map(tuple),
)
OUTCOMES = st.builds(
    Outcome,
    service=WORDS,
    interpreter=st.none() | INTERPRETERS,
    check=WORDS,
    status=st.sampled_from(Status),
    reason=WORDS,
    seconds=st.floats(0, 1e6),
    cached=st.booleans(),
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
    nodeid=WORDS,
)
COUNTS = st.dictionaries(WORDS, st.integers(0, 10**6), max_size=3)
COMPARISONS = st.builds(
    SuiteComparison,
    service=WORDS,
    baseline=INTERPRETERS,
    target=INTERPRETERS,
    newly_failing=NAMES,
    missing=NAMES,
    fixed=NAMES,
    failing_on_both=NAMES,
    uncollected=NAMES,
    silent_files=NAMES,
    test_files=st.integers(0, 10**6),
    flaky=NAMES,
    new=NAMES,
    first_bad=st.dictionaries(WORDS, INTERPRETERS, max_size=3),
    counts=st.dictionaries(INTERPRETERS, COUNTS, max_size=3),
)
CHECK_RESULTS = st.builds(CheckResult, outcome=OUTCOMES, suite_comparison=st.none() | COMPARISONS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def through_json(value: object) -> Any:
    return json.loads(json.dumps(encode(value)))


@given(CHECK_RESULTS)
def test_a_check_result_survives_a_round_trip(check_result: CheckResult) -> None:
    assert decode(CheckResult, through_json(check_result)) == check_result


@given(OUTCOMES)
def test_an_outcome_survives_a_round_trip(outcome: Outcome) -> None:
    assert decode(Outcome, through_json(outcome)) == outcome


@given(COMPARISONS)
def test_a_comparison_survives_a_round_trip(comparison: SuiteComparison) -> None:
    assert decode(SuiteComparison, through_json(comparison)) == comparison


def test_dates_paths_and_nested_values_survive_a_round_trip() -> None:
    waiver = Waiver(service="a", reason="r", owner="o", until=date(2030, 1, 31), code="PY105")
    plan = Plan(root=Path("/a"), waivers=(waiver,), images=((Interpreter(3, 9), "python:3.9"),))

    assert decode(Plan, through_json(plan)) == plan
    assert decode(Service, through_json(service())) == service()


def test_an_integer_is_accepted_as_a_float_but_a_boolean_is_not() -> None:
    assert decode(float, 3) == 3.0
    for kind, data in ((int, True), (float, False), (str, 3), (bool, 1), (int, 1.0)):
        with pytest.raises(ValueError):
            decode(kind, data)


def test_an_unknown_field_is_ignored() -> None:
    assert decode(Interpreter, {"major": 3, "minor": 9, "patch": 1}) == Interpreter(3, 9)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Interpreter, {"major": 3}),
        (Interpreter, []),
        (Interpreter, {"major": 3, "minor": "9"}),
        (Finding, {"code": "a", "message": "b", "severity": "fatal"}),
        (Finding, {"code": "a", "message": "b", "names": "abc"}),
        (SuiteComparison, {"service": "a", "baseline": 3, "target": 4}),
        (tuple[str, str], ["a"]),
        (dict[str, int], {"a": 1}),
        (dict[str, int], [["a"]]),
        (float, 10**400),
    ],
)
def test_mismatching_data_is_a_value_error(kind: Any, data: object) -> None:
    with pytest.raises(ValueError):
        decode(kind, data)


@given(JSON)
def test_no_document_crashes_the_reader(data: Any) -> None:
    """A damaged or foreign state file becomes a ValueError or a valid object, nothing else."""
    try:
        decoded = decode(CheckResult, data)
    except ValueError:
        return
    assert isinstance(decoded.outcome, Outcome)


@given(CHECK_RESULTS, st.data())
def test_no_damaged_document_crashes_the_reader(check_result: CheckResult, data: st.DataObject) -> None:
    document = through_json(check_result)
    document["outcome"][data.draw(st.sampled_from(sorted(document["outcome"])))] = data.draw(JSON)

    try:
        decoded = decode(CheckResult, document)
    except ValueError:
        return
    assert isinstance(decoded.outcome.status, Status)
    assert all(isinstance(finding, Finding) for finding in decoded.outcome.findings)
