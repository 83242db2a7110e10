"""The items of a run as JUnit XML."""

from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Outcome
from pytest_py312.core.model.report import Report
from pytest_py312.gate.reports.junit import render
from tests.support.report_samples import PY39, PY312, errored, finding, judged, report_of

HERE = "services/user-service"


def parsed(report: Report) -> ElementTree.Element:
    return ElementTree.fromstring(render(report))


def cases(report: Report) -> list[tuple[str | None, str | None, list[str]]]:
    """Return class name, name, and the problems of each case."""
    return [
        (case.get("classname"), case.get("name"), [child.tag for child in case if child.tag != "properties"])
        for case in parsed(report).iter("testcase")
    ]


def test_each_item_is_a_case() -> None:
    failed = replace(judged(finding()), nodeid=f"{HERE}::source", seconds=1.25)
    unclear = replace(errored("the suite was killed"), nodeid=f"{HERE}::py3.12::suite")
    passed = replace(judged(on=PY39), nodeid=f"{HERE}::py3.9::dependencies", cached=True)
    skipped = Outcome.skipped(service="user-service", interpreter=PY312, check="image", reason="it has none")
    report = report_of(failed, unclear, passed, replace(skipped, nodeid=f"{HERE}::py3.12::image"))

    assert cases(report) == [
        ("services.user-service", "source", ["failure"]),
        ("services.user-service.py3.12", "suite", ["error"]),
        ("services.user-service.py3.9", "dependencies", []),
        ("services.user-service.py3.12", "image", ["skipped"]),
    ]
    (suite,) = parsed(report)
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")] == [
        "4", "1", "1", "1", "1.250",
    ]  # fmt: skip
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "asyncio.coroutine was removed" in (failure.get("message") or "")
    assert "write async def" in (failure.text or "")
    assert {item.get("name"): item.get("value") for item in suite[2].iter("property")}["py312_cached"] == "true"


def test_what_was_to_be_checked_and_was_not_is_an_error() -> None:
    report = report_of(not_run=(("user-service", PY312, "suite"), ("user-service", None, "source")))

    assert cases(report) == [
        ("services.user-service.py3.12", "suite", ["error"]),
        ("services.user-service", "source", ["error"]),
    ]


@given(st.text(), st.text())
def test_any_text_of_a_service_gives_a_valid_document(message: str, name: str) -> None:
    outcome = replace(judged(finding(message=message, names=(name,))), nodeid=f"services/{name}::suite")

    assert render(report_of(outcome)).encode("utf-8")
    assert len(parsed(report_of(outcome, replace(outcome, reason=name)))[0]) == 2
