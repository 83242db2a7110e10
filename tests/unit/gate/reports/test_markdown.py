"""The run as Markdown: the table, what blocks, and that no text of a service is taken for Markdown."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location, Outcome, Severity, Status
from pytest_py312.core.text import escaped
from pytest_py312.gate.reports.markdown import render
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of


def test_the_table_has_a_row_for_each_service_and_a_column_for_each_interpreter() -> None:
    passed = [Outcome(service="auth", interpreter=on, check="suite", status=Status.PASSED) for on in (PY39, PY310)]
    report = report_of(
        *passed,
        judged(finding()),
        errored("lost", on=PY310),
        services=[service("auth"), service("user-service", stage=2)],
    )

    text = render(report)

    assert "| Service | Stage | 3.9 | 3.10 | 3.12 |" in text
    assert "| auth | 1 | **✅ passed** | ✅ passed | not checked |" in text
    assert "| user-service | 2 | **not checked** | ⚠️ not checked | ❌ failed |" in text


def test_the_verdict_stands_first() -> None:
    assert render(report_of(judged(finding()))).startswith("# Python 3.12: not proven: 1 service blocked")


def test_what_blocks_is_told_with_place_and_remedy_once_for_all_interpreters() -> None:
    text = render(report_of(judged(finding(), on=PY310), judged(finding(), on=PY312)))

    assert "## Blocking (1)" in text
    assert (
        "| PY202 | user-service (py3.10, py3.12) | services/user-service/app.py:3 "
        "| asyncio.coroutine is gone since 3.11 | write async def |"
    ) in text


def test_names_that_the_message_does_not_say_are_added() -> None:
    names = tuple(f"tests/test_a.py::test_{number}" for number in range(7))

    text = render(report_of(judged(finding(message="7 tests fail", names=names))))

    assert r"7 tests fail \[tests/test\_a.py::test\_0" in text
    assert "and 2 more" in text


def test_what_could_not_be_checked_and_what_failed_bare_have_their_reasons() -> None:
    bare = Outcome(service="user-service", interpreter=PY312, check="own", status=Status.FAILED, reason="no licence")

    text = render(report_of(errored("lost", on=PY310), errored("lost"), bare))

    assert "## Could not be checked (2)\n\n- lost: user-service suite 3.10, user-service suite 3.12" in text
    assert "## Failed (1)\n\n- no licence: user-service own 3.12" in text


def test_warnings_are_listed_and_what_is_accepted_is_counted() -> None:
    warning = finding(severity=Severity.WARNING, message="is deprecated")
    accepted = [finding(line=7, known=True), finding(line=8, known=True), finding(line=9, waived=True)]

    text = render(report_of(judged(warning, *accepted)))

    assert "## Warnings (1)" in text
    assert "Not shown: 2 known findings and 1 waived finding." in text
    assert "## Blocking" not in text


def test_a_limit_leaves_tables_out_from_the_end() -> None:
    report = report_of(judged(*[finding(line=line, names=(f"n{line}",)) for line in range(1, 50)]))
    whole = render(report)

    cut = render(report, limit=len(whole.encode()) - 1)

    assert render(report, limit=len(whole.encode())) == whole
    assert "More was found than fits here." in cut
    assert "| Service |" in cut
    assert "## Blocking" not in cut
    assert render(report, limit=10) == ""


def test_what_a_service_says_is_no_markdown() -> None:
    text = render(report_of(judged(finding(message="a | b <img src=x> [x](y) `z`\nnext", remedy="**no**"))))

    assert r"a \| b &lt;img src=x&gt; \[x\](y) \`z\` next" in text
    assert r"\*\*no\*\*" in text


@given(st.text(st.characters(), max_size=60))
def test_whatever_a_service_says_a_table_keeps_its_columns(said: str) -> None:
    odd = finding(message=said, remedy=said, location=Location(path=said, line=1), names=(said,))
    report = report_of(judged(odd, of=said), services=[service(said)])

    text = render(replace(report, exit_status=1))

    text.encode("utf-8")
    rows = [line for line in text.split("\n") if line.startswith("|")]
    unescaped = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in rows]
    assert unescaped == [6, 6, 6, 6, 6, 6]


def test_a_backslash_before_a_mark_does_not_free_it() -> None:
    assert escaped("\\|") == "\\\\\\|"
