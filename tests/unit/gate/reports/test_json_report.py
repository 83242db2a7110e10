"""The JSON document: stable names, its schema, its order, and that it is always valid."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity, SourceChange, SpecifierChange, Status
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import InterpreterBuild, PastComparison, SpeedVerdict, SuiteComparison
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage, Waiver
from pytest_py312.core.model.report import Checkout, Report, RolloutReport
from pytest_py312.core.model.shards import RunIdentity, ShardPart, WorkUnit
from pytest_py312.core.serialization import content_digest
from pytest_py312.gate.reports.json_report import render
from tests.support.report_samples import PY39, PY310, PY312, speed

ROOT = Path(__file__).parents[4]
SCHEMA = json.loads((ROOT / "pytest_py312/gate/reports/report.schema.json").read_text(encoding="utf-8"))
DOCUMENTATION = (ROOT / "docs/reference/json.md").read_text(encoding="utf-8")
TEST = "tests/test_login.py::test_expiry"
CHANGE = SpecifierChange(
    path="services/user-service/requirements.txt", line=12, name="aiohttp", old="==3.8.1", new="==3.9.0"
)

PAST = PastComparison(
    ended_at="2025-02-01T12:00:00Z",
    verdict=SpeedVerdict.SAME,
    ratio=1.02,
    low=0.98,
    high=1.05,
    baseline_median=0.011,
    target_median=0.0112,
)
SPEED = speed(confirmed=True, conditions={"compiler": ("GCC 12.2.0", "GCC 14.2.0")}, past_comparisons=(PAST,))

SHARD = ShardPart(
    part=2,
    parts=3,
    identity=RunIdentity(
        tool="0.1.0 (a2f0)",
        commit="0d1f",
        changes=(("services/user-service/app.py", "77aa"),),
        plan="5be1",
        options=(("-k", "suite"),),
        durations="",
    ),
    units=(
        WorkUnit(service="api-gateway", part=1, items=("py3.12::suite",)),
        WorkUnit(service="user-service", part=2, items=("py3.12::suite",)),
    ),
    prefix="platform/",
    record="eJyrrgUAAXUA+Q==",
)


def sample() -> Report:
    user = Service(
        name="user-service",
        path="services/user-service",
        stage=1,
        critical=True,
        baseline=PY39,
        baseline_source="services/user-service/Dockerfile:1 says python:3.9-slim",
        requirements=(),
        test_requirements=(),
        suite=None,
        settings=ServiceSettings(),
    )
    finding = Finding(
        code="PY103",
        message="aiohttp 3.8.1 has no wheel for CPython 3.12",
        remedy="raise aiohttp to 3.9.0",
        location=Location(path="services/user-service/requirements.txt", line=12),
        names=("aiohttp",),
        changes=(CHANGE,),
    )
    warning = Finding(code="PY302", message="ümlaut 用户", severity=Severity.WARNING)
    dependencies = Outcome.from_findings(
        service="user-service", interpreter=PY312, check="dependencies", findings=[finding]
    )
    comparison = SuiteComparison(
        service="user-service",
        baseline=PY39,
        target=PY312,
        newly_failing=(TEST,),
        first_bad={TEST: PY310},
        counts={PY312: {"passed": 1, "failed": 1}, PY39: {"passed": 2}},
    )
    return Report(
        plan=Plan(
            root=Path("repo"),
            source="py312.toml",
            stages=(Stage(number=1, name="core", critical=True),),
            waivers=(
                Waiver(service="user-*", code="PY204", reason="vendor", owner="core", until=date(2025, 3, 12)),
                Waiver(
                    service="user-service",
                    test=TEST,
                    reason="known",
                    owner="core",
                    until=date(2025, 4, 1),
                    location=Location(path="py312.toml", line=8),
                ),
            ),
        ),
        services=(user,),
        cells=tuple(Cell(service=user, interpreter=on) for on in (PY39, PY310, PY312)),
        outcomes=(
            replace(dependencies, seconds=1.23456, nodeid="services/user-service::py3.12::dependencies"),
            Outcome.from_findings(service="user-service", interpreter=None, check="versions", findings=[warning]),
            Outcome.skipped(service="user-service", interpreter=PY39, check="suite", reason="asked for"),
            Outcome.errored(service="user-service", interpreter=PY310, check="suite", reason="engine lost"),
            Outcome(service="user-service", interpreter=PY39, check="dependencies", status=Status.PASSED, cached=True),
        ),
        comparisons=(comparison, replace(comparison, target=PY310)),
        assumptions=("nothing much",),
        runner="local",
        resolver="uv 0.9",
        generated="2025-03-01T12:00:00Z",
        tool_version="0.1.0",
        exit_status=1,
        builds=(
            InterpreterBuild(
                interpreter=PY312,
                version="3.12.4",
                executable="/usr/local/bin/python3.12",
                origin="image python:3.12-slim",
                digest="abc",
                flags="pgo+lto",
            ),
        ),
        benchmarks=(SPEED,),
        shard=SHARD,
        rollout=RolloutReport(
            environment="test",
            stage=1,
            status="pending",
            run="r1",
            state="soaking",
            credited=60.0,
            soak=180.0,
            services=("user-service",),
        ),
    )


def document_of(report: Report) -> Any:
    return json.loads(render(report))


def validate(document: Any) -> None:
    Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(ValidationError):
        validate({"schema": 2})


def test_a_full_report_is_valid() -> None:
    document = document_of(sample())

    assert list(Draft202012Validator(SCHEMA).iter_errors(document)) == []


def test_an_empty_report_is_valid() -> None:
    nothing = Report(plan=Plan(root=Path("repo")), services=(), cells=(), outcomes=(), exit_status=5)
    document = document_of(nothing)
    validate(document)
    assert (document["outcomes"], document["comparisons"], document["rollout"]) == ([], [], {})


def test_an_outcome_in_full() -> None:
    finding = sample().outcomes[0].findings[0]
    assert document_of(sample())["outcomes"][-1] == {
        "service": "user-service",
        "interpreter": "3.12",
        "check": "dependencies",
        "nodeid": "services/user-service::py3.12::dependencies",
        "status": "failed",
        "reason": "aiohttp 3.8.1 has no wheel for CPython 3.12",
        "seconds": 1.235,
        "cached": False,
        "findings": [
            {
                "code": "PY103",
                "severity": "error",
                "confidence": "certain",
                "blocks": True,
                "message": "aiohttp 3.8.1 has no wheel for CPython 3.12",
                "remedy": "raise aiohttp to 3.9.0",
                "path": "services/user-service/requirements.txt",
                "line": 12,
                "column": None,
                "names": ["aiohttp"],
                "preexisting": False,
                "waived": False,
                "known": False,
                "owner": "",
                "lowered_from": None,
                "lowered_by": "",
                "detail": "",
                "changes": [
                    {
                        "path": "services/user-service/requirements.txt",
                        "line": 12,
                        "name": "aiohttp",
                        "old": "==3.8.1",
                        "new": "==3.9.0",
                    }
                ],
                "fingerprint": finding.fingerprint,
            }
        ],
    }


def test_a_change_of_source_has_a_column_where_one_of_a_requirement_has_a_name() -> None:
    change = SourceChange(path="app.py", line=3, column=5, old="imp.reload", new="importlib.reload")
    finding = Finding(code="PY201", message="imp is gone", changes=(change,))
    outcome = Outcome.from_findings(service="user-service", interpreter=None, check="source", findings=[finding])
    (document,) = document_of(replace(sample(), outcomes=(outcome,)))["outcomes"][0]["findings"]
    assert document["changes"] == [
        {"path": "app.py", "line": 3, "column": 5, "old": "imp.reload", "new": "importlib.reload"}
    ]


def test_outcomes_are_sorted_by_version_after_those_about_the_service() -> None:
    document = document_of(sample())
    assert [(outcome["interpreter"], outcome["check"]) for outcome in document["outcomes"]] == [
        (None, "versions"),
        ("3.9", "dependencies"),
        ("3.9", "suite"),
        ("3.10", "suite"),
        ("3.12", "dependencies"),
    ]


def test_a_warning_does_not_block() -> None:
    found = document_of(sample())["outcomes"][0]["findings"][0]
    assert (found["severity"], found["blocks"], found["path"]) == ("warning", False, None)


def test_suites_on_the_target_are_separate_from_the_others() -> None:
    document = document_of(sample())
    assert document["suites"] == [
        {
            "service": "user-service",
            "baseline": "3.9",
            "target": "3.12",
            "newly_failing": [TEST],
            "missing": [],
            "fixed": [],
            "failing_on_both": [],
            "uncollected": [],
            "flaky": [],
            "new": [],
            "first_bad": {TEST: "3.10"},
            "counts": {"3.9": {"passed": 2}, "3.12": {"failed": 1, "passed": 1}},
            "test_files": 0,
            "silent_files": [],
        }
    ]
    assert [other["target"] for other in document["between"]] == ["3.10"]


def test_services_name_the_interpreters_that_were_chosen() -> None:
    assert document_of(sample())["services"][0]["interpreters"] == ["3.9", "3.10", "3.12"]


def test_a_waiver_has_its_end_date_and_its_place() -> None:
    first, second = document_of(sample())["waivers"]
    assert (first["until"], first["path"]) == ("2025-03-12", None)
    assert (second["test"], second["path"], second["line"]) == (TEST, "py312.toml", 8)


def test_the_text_does_not_depend_on_the_order_of_the_outcomes() -> None:
    report = sample()
    texts = {
        render(replace(report, outcomes=outcomes, cells=report.cells[::-1], comparisons=report.comparisons[::-1]))
        for outcomes in permutations(report.outcomes)
    }
    assert texts == {render(report)}


def test_the_text_is_readable_and_ends_with_a_newline() -> None:
    text = render(sample())
    assert "ümlaut 用户" in text
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")


def test_lone_surrogates_are_spelled_out() -> None:
    """Every JSON reader can read them, including those that reject escaped surrogates."""
    report = sample()
    test = "tests/test_a.py::test_b[\udc80]"
    comparison = replace(report.comparisons[0], newly_failing=(test,), first_bad={test: PY312})
    text = render(replace(report, comparisons=(comparison,)))
    document = json.loads(text.encode("utf-8"))
    assert document["suites"][0]["newly_failing"] == [r"tests/test_a.py::test_b[\udc80]"]
    assert document["suites"][0]["first_bad"] == {r"tests/test_a.py::test_b[\udc80]": "3.12"}


@given(st.text(st.characters(), max_size=40), st.text(st.characters(), max_size=40))
def test_the_document_is_valid_for_any_text(name: str, text: str) -> None:
    report = sample()
    finding = Finding(code="PY1", message=text, remedy=text, location=Location(path=name), names=(name,), detail=text)
    outcome = replace(report.outcomes[0], service=name, reason=text, findings=(finding, finding), nodeid=name)
    comparison = replace(report.comparisons[0], service=name, flaky=(text, name), first_bad={name: PY310})
    document = json.loads(render(replace(report, outcomes=(outcome,), comparisons=(comparison,))).encode("utf-8"))
    validate(document)
    if not re.search("[\ud800-\udfff]", text):
        assert document["outcomes"][0]["reason"] == text


# ---- schema, documentation and document say the same


def names_in(schema: Any) -> Iterator[str]:
    """Return every property name in the schema."""
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, described in part.get("properties", {}).items():
            yield name
            yield from names_in(described)


def names_used(document: Any) -> Iterator[str]:
    """Return every name in the document, except keys that are test ids, interpreters, outcomes or conditions."""
    if isinstance(document, list):
        for entry in document:
            yield from names_used(entry)
    elif isinstance(document, dict):
        for name, value in document.items():
            yield name
            if name not in ("first_bad", "counts", "conditions", "options"):
                yield from names_used(value)


def test_the_schema_describes_every_name_in_the_document_and_no_other() -> None:
    assert set(names_used(document_of(sample()))) == set(names_in(SCHEMA))


def test_the_documentation_names_every_name() -> None:
    assert [name for name in names_in(SCHEMA) if f"`{name}`" not in DOCUMENTATION] == []


def test_the_example_in_the_documentation_is_valid_and_complete() -> None:
    found = re.search(r"```json\n(.*?)```", DOCUMENTATION, re.DOTALL)
    assert found
    example = json.loads(found[1])
    validate(example)
    assert list(example) == list(document_of(sample()))


def test_an_interval_of_too_few_pairs_has_no_end() -> None:
    """JSON has no infinity."""
    past = replace(PAST, high=float("inf"))
    endless = replace(
        SPEED, low=0.0, high=float("inf"), control=(1.0, 0.0, float("inf")), pairs_needed=None, past_comparisons=(past,)
    )
    document = document_of(replace(sample(), benchmarks=(endless, replace(endless, name="a", control=None))))
    validate(document)
    assert [one["name"] for one in document["comparisons"]] == ["a", SPEED.name]
    assert document["comparisons"][1]["high"] is None
    assert document["comparisons"][1]["earlier"][0]["high"] is None
    assert document["comparisons"][1]["control"] == {"ratio": 1.0, "low": 0.0, "high": None}


@pytest.mark.parametrize(
    ("changes", "complete"),
    [({}, True), ({"exit_status": 2}, False), ({"exit_status": 3}, False), ({"cut_short": True}, False)],
)
def test_a_document_of_a_run_that_was_ended_says_so(changes: dict[str, Any], complete: bool) -> None:
    assert document_of(replace(sample(), **changes))["complete"] is complete


def test_services_with_equal_items_share_a_list_of_them() -> None:
    shard = document_of(sample())["shard"]
    assert shard["items"] == [["py3.12::suite"]]
    assert shard["units"] == [["api-gateway", 1, 0], ["user-service", 2, 0]]


def test_the_digest_of_a_part_is_that_of_what_is_read() -> None:
    """Also if a name in it is not valid Unicode, which is written in another way."""
    shard = replace(SHARD, units=(WorkUnit(service="caf\udce9", part=1, items=("suite",)),))
    document = document_of(replace(sample(), shard=shard))
    digest = document["shard"].pop("digest")
    assert digest == content_digest(document)
    document["exit_status"] = 0
    assert digest != content_digest(document)


def test_a_run_that_is_not_divided_is_no_part() -> None:
    document = document_of(replace(sample(), shard=None))
    validate(document)
    assert document["shard"] is None


def test_each_service_has_its_verdict() -> None:
    """A reader need not work out from outcomes whether a service is proven."""
    report = sample()
    (blocked,) = document_of(report)["services"]
    assert (blocked["verdict"], blocked["incomplete_reason"]) == ("blocked", "")
    (incomplete,) = document_of(replace(report, outcomes=()))["services"]
    assert (incomplete["verdict"], incomplete["incomplete_reason"]) == ("incomplete", "nothing was checked on 3.12")
    unknown = replace(report.outcomes[0], status=Status.ERRORED, reason="no network", findings=())
    (errored,) = document_of(replace(report, outcomes=(unknown,)))["services"]
    assert errored["verdict"] == "could not be checked"
    (without_cells,) = document_of(replace(report, outcomes=(), cells=()))["services"]
    assert without_cells["incomplete_reason"] == "nothing was checked"


def test_the_checkout_is_that_of_the_beginning() -> None:
    report = replace(sample(), checkout=Checkout(repository="shop", commit="0d1f", branch="main", modified=True))
    validate(document_of(report))
    assert document_of(report)["checkout"] == {
        "repository": "shop",
        "commit": "0d1f",
        "branch": "main",
        "modified": True,
    }
