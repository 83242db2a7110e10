"""What is read of a JSON report, and the fault of a file that is none."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.plan import Plan, Stage, Waiver
from pytest_py312.core.model.readiness import RunRecord, ServiceVerdict
from pytest_py312.core.model.report import Checkout, Report
from pytest_py312.gate.history.documents import DocumentFault, NoReport, parse_document
from pytest_py312.gate.history.records import read_record, record_of
from pytest_py312.gate.reports.json_report import render, to_document
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of, speed


def sample() -> Report:
    """A report with a blocked service, one that could not be checked, and one that is ready."""
    numpy = finding("PY104", path="services/user-service/requirements.txt", names=("numpy",), message="numpy: no wheel")
    waived = finding("PY203", names=("a.b",), message="a.b was removed in 3.12", waived=True)
    ready = [judged(on=on, of="ready", check=check) for on in (PY39, PY310, PY312) for check in ("source", "suite")]
    return report_of(
        judged(numpy, check="dependencies"),
        judged(waived, finding(line=9), finding(preexisting=True, names=("old",))),
        errored("no network", of="unknown"),
        *ready,
        services=(service(), service("unknown"), service("ready", suite=None)),
        benchmarks=(speed(),),
        checkout=Checkout(commit="0d1f", branch="main"),
        plan=Plan(
            root=Path("repository"),
            stages=(Stage(number=1, name="Core"), Stage(number=2)),
            waivers=(Waiver(service="user-*", code="PY203", reason="vendor", owner="core", until=date(2025, 3, 31)),),
        ),
    )


DOCUMENT = to_document(sample())


def test_a_record_has_the_verdict_on_each_service_and_why() -> None:
    record = record_of(DOCUMENT, "report.json")
    assert [(one.name, one.verdict) for one in record.services] == [
        ("user-service", ServiceVerdict.BLOCKED),
        ("unknown", ServiceVerdict.ERRORED),
        ("ready", ServiceVerdict.READY),
    ]
    blocked, unknown, ready = record.services
    assert [(cause.code, cause.subject, cause.place) for cause in blocked.causes] == [
        ("PY104", "numpy", "services/user-service/requirements.txt:3"),
        ("PY202", "asyncio.coroutine was removed in 3.11", "services/user-service/app.py:9"),
    ]
    assert [(cause.code, cause.accepted) for cause in blocked.accepted] == [("PY203", "waived")]
    assert [cause.message for cause in unknown.causes] == ["no network"]
    assert (ready.causes, ready.reason) == ((), "")


def test_a_record_has_what_the_run_was_about() -> None:
    record = record_of(DOCUMENT, "report.json")
    assert (record.origin, record.ended_at, record.target) == ("report.json", "2025-03-01T12:00:00Z", "3.12")
    assert (record.exit_status, record.complete, record.tool_version) == (1, True, "0.1.0")
    assert record.stages == {1: "Core", 2: ""}
    assert [(waiver.key, waiver.until) for waiver in record.waivers] == [(("user-*", "PY203"), date(2025, 3, 31))]
    assert [(one.service, one.verdict, one.ratio) for one in record.benchmarks] == [("user-service", "slower", 1.42)]
    assert record.checkout == Checkout(commit="0d1f", branch="main")


def test_an_incomplete_service_says_why() -> None:
    report = replace(sample(), outcomes=())
    record = record_of(to_document(report), "report.json")
    assert {one.verdict for one in record.services} == {ServiceVerdict.INCOMPLETE}
    assert record.services[0].reason == "nothing was checked on 3.12"


def test_a_check_that_failed_without_a_finding_has_its_reason() -> None:
    failed = replace(judged(finding()), findings=(), reason="3 tests fail")
    (blocked,) = record_of(to_document(report_of(failed)), "report.json").services
    assert [(cause.code, cause.message) for cause in blocked.causes] == [("", "3 tests fail")]


def test_a_cause_on_several_interpreters_is_one() -> None:
    report = report_of(judged(finding(), on=PY312), judged(finding(), on=PY310))
    (blocked,) = record_of(to_document(report), "report.json").services
    assert len(blocked.causes) == 1


# ---- what is no report


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(render(sample()), encoding="utf-8")
    assert read_record(file).origin == file.as_posix()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("reprot.json", None, 'does not exist, perhaps you meant "report.json"'),
        ("report.json", b"", "is empty: it was not written to its end"),
        ("report.json", render(sample()).encode()[:900], "is not whole: it is no JSON from line "),
        ("report.json", b"<!DOCTYPE html>", "is HTML or XML: --py312-report=FILE.json writes the JSON report"),
        ("report.json", b"3 failed, 50 passed", "is not whole: it is no JSON from line 1 on (Extra data)"),
        ("report.json", b"not proven", "is no JSON document"),
        ("report.json", b"\xff\xfe\x00", "is no JSON document"),
        ("report.json", b"[" * 100_000, "is no JSON document"),
        ("report.json", b"[]", "is no report of pytest-py312"),
        ("report.json", b'{"$schema": "", "runs": []}', "is a SARIF report, and not a report of the gate"),
        ("report.json", b'{"schema": 1, "chain": "", "target": ""}', "is the evidence of a rollout, and not a report"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_report_is_called_what_it_is(
    tmp_path: Path, name: str, content: bytes | None, fault: str
) -> None:
    (tmp_path / "report.json").write_bytes(content or b"")
    with pytest.raises(DocumentFault) as caught:
        read_record(tmp_path / name)
    assert str(caught.value).startswith(fault)


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(DocumentFault, match="cannot be read: Is a directory"):
        read_record(tmp_path)


def rename(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        document[new] = document.pop(old)

    return edit


def put(place: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return an edit that replaces the value at ``services.0.name``."""

    def edit(document: Any) -> None:
        *path, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        for part in path:
            document = document[part]
        document[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (put("schema", 2), 'was written by a newer version of pytest-py312: its "schema" is not 1'),
        (put("schema", "1"), 'was written by another version of pytest-py312: its "schema" is not 1'),
        (rename("services", "servces"), 'has no "services" ("servces" may be a misspelling of it): it was edited'),
        (rename("waivers", "w"), 'has no "waivers": it was edited, or is not whole'),
        (put("target", "3"), 'has an invalid value: target is "3"; expected a Python such as "3.12"'),
        (put("generated", "yesterday"), 'generated is "yesterday"; expected a time in UTC, such as "2027-'),
        (put("generated", "2025-03-01"), "expected a time in UTC"),
        (put("exit_status", True), "exit_status is true; expected a whole number"),
        (put("complete", "yes"), 'complete is "yes"; expected true or false'),
        (put("services", {}), "services is {}; expected a list"),
        (put("services.1", 7), "services[1] is 7; expected an object"),
        (put("services.1.stage", 1e400), "services[1].stage is Infinity; expected a whole number"),
        (
            put("services.0.verdict", "blokced"),
            'services[0].verdict is "blokced"; expected one of ready, blocked, could not be checked, incomplete, '
            'perhaps you meant "blocked"',
        ),
        (put("services.0.verdict", ["ready"]), 'services[0].verdict is ["ready"]; expected one of ready'),
        (
            put("services.0.verdict", "ready"),
            "contradicts itself: services[0].verdict is ready, and by its outcomes the service is blocked",
        ),
        (
            put("services.2.verdict", "blocked"),
            "contradicts itself: services[2].verdict is blocked, and by its outcomes the service is neither blocked",
        ),
        (put("services.1.name", "user-service"), 'has the service "user-service" twice'),
        (put("outcomes.0.service", "user-servce"), 'is none of its services, perhaps you meant "user-service"'),
        (put("outcomes.0.status", "fialed"), 'perhaps you meant "failed"'),
        (put("waivers.0.until", "31.3.2025"), 'waivers[0].until is "31.3.2025"; expected a date, such as "2027-01-31"'),
        (put("comparisons.0.ratio", "1"), 'comparisons[0].ratio is "1"; expected a number'),
        (put("shard", {"part": 2, "parts": 8}), "is part 2 of 8 of a run: `py312 merge` joins the parts"),
    ],
)  # fmt: skip
def test_an_edited_report_is_refused_with_the_place(edit: Callable[[dict[str, Any]], None], fault: str) -> None:
    document = deepcopy(DOCUMENT)
    edit(document)
    with pytest.raises(DocumentFault) as caught:
        record_of(parse_document(json.dumps(document).encode()), "report.json")
    assert fault in str(caught.value)


def test_a_report_of_an_older_version_has_a_remedy() -> None:
    document = deepcopy(DOCUMENT)
    del document["services"][0]["verdict"]
    with pytest.raises(DocumentFault, match=r"has no verdict on user-service: an older version .* Run again"):
        record_of(document, "report.json")


def test_a_missing_name_in_a_part_is_named() -> None:
    document = deepcopy(DOCUMENT)
    document["services"][0]["pth"] = document["services"][0].pop("path")
    with pytest.raises(DocumentFault, match=r'has no "path" in services\[0\] \("pth" may be a misspelling of it\)'):
        record_of(document, "report.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*DOCUMENT]), inner, max_size=9),
    max_leaves=8,
)


def result_of(read: Callable[[], RunRecord]) -> RunRecord | str:
    """Return what is read, or the fault; any other exception fails the test."""
    try:
        return read()
    except DocumentFault as fault:
        return str(fault)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_content_makes_it_fail_in_another_way(content: bytes) -> None:
    assert result_of(lambda: record_of(parse_document(content), "any"))


@given(st.data())
def test_no_edit_makes_it_fail_in_another_way(data: st.DataObject) -> None:
    """Any value of a valid document is replaced by any other."""
    document = deepcopy(DOCUMENT)
    node: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not (isinstance(node[key], dict | list) and node[key]) or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(JSON)
    assert result_of(lambda: record_of(document, "any"))


def test_a_file_that_is_something_else_differs_from_a_damaged_one() -> None:
    """A folder with reports may have other files, and damaged reports are not overlooked."""
    with pytest.raises(NoReport):
        parse_document(b"{}")
    with pytest.raises(DocumentFault) as caught:
        parse_document(render(sample()).encode()[:900])
    assert not isinstance(caught.value, NoReport)
