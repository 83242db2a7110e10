"""The run as Markdown: the table, what blocks, and that texts of services are escaped."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location, Outcome, Severity, Status
from pytest_py312.core.text import escape_markdown
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
    assert "| user-service | 2 | **not checked** | ⚠️ could not be checked | ❌ failed |" in text


def test_owners_have_a_column_if_a_service_has_one() -> None:
    owned = replace(service(), owners=("@shop/a|b", "payments team"))

    lines = render(report_of(judged(), services=[owned])).splitlines()

    assert next(line for line in lines if line.startswith("| Service")).endswith("| Owner |")
    assert any(line.endswith("| @shop/a\\|b, payments team |") for line in lines)
    assert "Owner" not in render(report_of(judged()))


def test_the_verdict_comes_first() -> None:
    assert render(report_of(judged(finding()))).startswith("# Python 3.12: not proven: 1 service blocked")


def test_what_blocks_is_listed_with_place_and_remedy_once_for_all_interpreters() -> None:
    text = render(report_of(judged(finding(), on=PY310), judged(finding(), on=PY312)))

    assert "## Blocking (1)" in text
    assert (
        "| PY202 | user-service (py3.10, py3.12) | services/user-service/app.py:3 "
        "| asyncio.coroutine was removed in 3.11 | write async def |"
    ) in text


def test_names_that_are_missing_in_the_message_are_added() -> None:
    names = tuple(f"tests/test_a.py::test_{number}" for number in range(7))

    text = render(report_of(judged(finding(message="7 tests fail", names=names))))

    assert r"7 tests fail \[tests/test\_a.py::test\_0" in text
    assert "and 2 more" in text


def test_errored_outcomes_and_failures_without_findings_have_reasons() -> None:
    bare = Outcome(service="user-service", interpreter=PY312, check="own", status=Status.FAILED, reason="no licence")

    text = render(report_of(errored("lost", on=PY310), errored("lost"), bare))

    assert "## Could not be checked (2)\n\n- lost: user-service suite 3.10, user-service suite 3.12" in text
    assert "## Failed (1)\n\n- no licence: user-service own 3.12" in text


def test_warnings_are_listed_and_accepted_findings_are_counted() -> None:
    warning = finding(severity=Severity.WARNING, message="is deprecated")
    accepted = [finding(line=7, known=True), finding(line=8, known=True), finding(line=9, waived=True)]

    text = render(report_of(judged(warning, *accepted)))

    assert "## Warnings (1)" in text
    assert "Not shown: 2 known findings and 1 waived finding." in text
    assert "## Blocking" not in text


def test_a_size_limit_drops_tables_from_the_end() -> None:
    report = report_of(judged(*[finding(line=line, names=(f"n{line}",)) for line in range(1, 50)]))
    whole = render(report)

    cut = render(report, limit=len(whole.encode()) - 1)

    assert render(report, limit=len(whole.encode())) == whole
    assert "This report was shortened to the size limit." in cut
    assert "| Service |" in cut
    assert "## Blocking" not in cut
    assert render(report, limit=10) == ""


def test_texts_of_services_are_escaped() -> None:
    text = render(report_of(judged(finding(message="a | b <img src=x> [x](y) `z`\nnext", remedy="**no**"))))

    assert r"a \| b &lt;img src=x&gt; \[x\](y) \`z\` next" in text
    assert r"\*\*no\*\*" in text


@given(st.text(st.characters(), max_size=60))
def test_texts_of_services_do_not_change_the_columns_of_a_table(untrusted: str) -> None:
    odd = finding(message=untrusted, remedy=untrusted, location=Location(path=untrusted, line=1), names=(untrusted,))
    report = report_of(judged(odd, of=untrusted), services=[service(untrusted)])

    text = render(replace(report, exit_status=1))

    text.encode("utf-8")
    rows = [line for line in text.split("\n") if line.startswith("|")]
    unescaped = [line.replace("\\\\", "").replace("\\|", "").count("|") for line in rows]
    assert unescaped == [6, 6, 6, 6, 6, 6]


def test_a_backslash_does_not_unescape_a_character() -> None:
    assert escape_markdown("\\|") == "\\\\\\|"


def test_a_page_of_a_run_that_was_ended_says_so() -> None:
    assert "**Not complete**" in render(report_of(judged(finding()), exit_status=2))
    assert "**Not complete**" not in render(report_of(judged(finding())))
