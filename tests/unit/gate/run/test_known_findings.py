"""Known findings do not block, and their file can only shrink."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Outcome, Severity, Status
from pytest_py312.gate.run.known_findings import (
    KnownFinding,
    KnownFindingsError,
    apply_known_findings,
    findings_to_record,
    format_file,
    is_recordable,
    over_limit,
    parse_file,
    still_needed,
)
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged

FINDING = finding()
ENTRY = KnownFinding(
    fingerprint=FINDING.fingerprint,
    code="PY202",
    service="user-service",
    path="services/user-service/app.py",
    message="asyncio.coroutine was removed in 3.11",
    names=("asyncio.coroutine",),
)
KNOWN = {ENTRY.key: ENTRY}


def everything(service: str, code: str) -> bool:
    return True


# ---- comparing a run with the file


def test_a_recorded_finding_is_known_and_does_not_block() -> None:
    """Also on another line."""
    found = apply_known_findings(judged(finding(line=99)), KNOWN)

    assert found.status is Status.PASSED
    assert [one.known for one in found.findings] == [True]


def test_other_findings_block() -> None:
    found = apply_known_findings(judged(FINDING, finding(names=("asyncio.async",))), KNOWN)

    assert found.status is Status.FAILED
    assert [one.known for one in found.findings] == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        finding(path="services/user-service/other.py"),
        finding(code="PY203"),
        finding(names=("asyncio.async",)),
    ],
)
def test_another_path_code_or_name_is_another_finding(other: Any) -> None:
    assert apply_known_findings(judged(other), KNOWN).status is Status.FAILED


def test_another_service_has_its_own_record() -> None:
    assert apply_known_findings(judged(FINDING, of="auth-service"), KNOWN).status is Status.FAILED


def test_a_second_use_in_the_same_file_is_new() -> None:
    """The two cannot be distinguished, so both block; with the recorded number of occurrences they are known."""
    twice = judged(finding(line=3), finding(line=8))

    outcome = apply_known_findings(twice, KNOWN)

    assert outcome.status is Status.FAILED
    assert not any(one.known for one in outcome.findings)
    assert over_limit([outcome], KNOWN) == ((ENTRY, 2),)
    assert apply_known_findings(twice, {ENTRY.key: replace(ENTRY, count=2)}).status is Status.PASSED


def test_an_errored_outcome_stays_errored() -> None:
    outcome = replace(errored("lost", check="source"), findings=(FINDING,))

    found = apply_known_findings(outcome, KNOWN)

    assert (found.status, found.reason) == (Status.ERRORED, "lost")


@pytest.mark.parametrize("changes", [{"severity": Severity.WARNING}, {"waived": True}, {"preexisting": True}])
def test_a_finding_that_does_not_block_is_unchanged(changes: dict[str, Any]) -> None:
    outcome = judged(finding(**changes))

    assert apply_known_findings(outcome, KNOWN) is outcome


@pytest.mark.parametrize(
    ("code", "can"),
    [
        ("PY201", True), ("PY249", True), ("PY301", True),
        ("PY101", False), ("PY299", False), ("PY399", False), ("PY401", False), ("PY901", False),
        ("PY2011", False), ("ACME1", False), ("PY2\u06601", False),
    ],
)  # fmt: skip
def test_only_source_and_versions_can_be_recorded(code: str, can: bool) -> None:
    """A failing suite, a set that does not install, and what could not be checked must not be hidden."""
    assert is_recordable(code) is can
    found = finding(code=code)
    entry = replace(ENTRY, code=code, fingerprint=found.fingerprint)
    assert (apply_known_findings(judged(found), {entry.key: entry}).status is Status.PASSED) is can
    assert bool(findings_to_record([judged(found)])) is can


# ---- recording and shrinking


def test_a_recording_has_each_blocking_finding_once() -> None:
    warning, waived = finding(line=4, severity=Severity.WARNING, names=("w",)), finding(names=("x",), waived=True)
    outcomes = [judged(FINDING, warning, waived, on=PY310), judged(FINDING, on=PY312), judged(on=PY39)]

    assert findings_to_record(outcomes) == (ENTRY,)


def test_a_recording_has_the_highest_count_of_all_interpreters() -> None:
    outcomes = [judged(FINDING, finding(line=9), on=PY310), judged(FINDING, on=PY312)]

    assert findings_to_record(outcomes) == (replace(ENTRY, count=2),)


def test_an_errored_outcome_is_not_recorded() -> None:
    assert findings_to_record([replace(errored("lost"), findings=(FINDING,))]) == ()


def test_fixed_findings_are_removed() -> None:
    gone = replace(ENTRY, fingerprint="0" * 16)

    assert still_needed([ENTRY, gone], [apply_known_findings(judged(FINDING), KNOWN)], everything) == (ENTRY,)


def test_a_number_shrinks_as_well_and_never_grows() -> None:
    three = replace(ENTRY, count=3)
    twice = judged(finding(line=1), finding(line=2))

    assert still_needed([three], [twice], everything) == (replace(ENTRY, count=2),)
    assert still_needed([ENTRY], [twice], everything) == (ENTRY,)


def test_entries_that_were_not_checked_are_kept() -> None:
    assert still_needed([ENTRY], [], lambda service, code: False) == (ENTRY,)


def test_an_entry_of_one_interpreter_only_is_kept() -> None:
    assert still_needed([ENTRY], [judged(on=PY312), judged(FINDING, on=PY310)], everything) == (ENTRY,)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"waived": True}, True),
        ({"known": True}, True),
        ({"preexisting": True}, False),
        ({"severity": Severity.WARNING}, False),
    ],
)
def test_an_entry_is_needed_while_its_finding_would_block(changes: dict[str, Any], kept: bool) -> None:
    assert bool(still_needed([ENTRY], [judged(finding(**changes))], everything)) is kept


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=6), st.booleans())
def test_shrinking_never_adds(found: list[tuple[str, int]], was_judged: bool) -> None:
    outcome = judged(*[finding(names=(name,), line=line) for name, line in found])
    entries = [replace(ENTRY, fingerprint=finding(names=(name,)).fingerprint, count=2) for name in "ab"]
    before = {entry.key: entry.count for entry in entries}

    for entry in still_needed(entries, [outcome], lambda service, code: was_judged):
        assert 1 <= entry.count <= before[entry.key]


# ---- the file


def test_the_file_is_sorted_json_with_one_finding_per_line() -> None:
    others = [replace(ENTRY, service="auth", names=("ü",), count=2), replace(ENTRY, fingerprint="f" * 16)]

    text = format_file([ENTRY, *others])

    assert text == format_file([*others, ENTRY])
    document = json.loads(text)
    assert document["schema"] == 1
    lines = [line for line in text.splitlines() if "fingerprint" in line]
    assert [json.loads(line.strip().rstrip(",")) for line in lines] == document["findings"]
    assert [one["service"] for one in document["findings"]] == ["auth", "user-service", "user-service"]
    assert "ü" in text


def test_a_file_without_entries_is_valid() -> None:
    assert parse_file(format_file([]).encode(), "known.json") == {}


@given(
    st.text(st.characters(), max_size=20), st.lists(st.text(st.characters(), max_size=9), max_size=3), st.integers(1)
)
def test_a_written_file_can_be_parsed(text: str, names: list[str], count: int) -> None:
    entry = replace(ENTRY, service=text, path=text, message=text, names=tuple(names), count=count % 10**6 + 1)

    assert parse_file(format_file([entry]).encode("utf-8"), "known.json") == {entry.key: entry}


def line_of(**changes: Any) -> str:
    """Return the line of a known finding with ``changes``; ``None`` leaves a key out."""
    document = {**json.loads(format_file([ENTRY]))["findings"][0], **changes}
    return json.dumps({key: value for key, value in document.items() if value is not None})


def file_of(*lines: str) -> str:
    return '{"schema": 1, "findings": [\n' + ",\n".join(lines) + "\n]}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "known.json:1: this is not JSON"),
        ("{\n\n,", "known.json:3: this is not JSON"),
        ("[]", 'known.json:1: this is not a file of known findings: it has no list "findings"'),
        ('{"findings": {}}', "known.json:1: this is not a file of known findings"),
        ('{"findings": []}', 'known.json:1: "schema" is not 1'),
        ('{"schema": 2, "findings": []}', "another version of pytest-py312"),
        ('{"schema": 1,\n<<<<<<< ours\n', "known.json:2: this is not JSON: .* marks of an unfinished merge"),
        ("[" * 100_000, "known.json:1: this is not JSON"),
        ("1" * 10_000, "known.json:1: this is not JSON"),
        (file_of("3"), "known.json:2: a known finding must be an object"),
        (file_of(line_of(), line_of(fingerprint="12")), 'known.json:3: "fingerprint" is not 16 hexadecimal digits'),
        (file_of(line_of(fingerprint=None)), 'known.json:2: "fingerprint" is missing or not a string'),
        (file_of(line_of(servise="x")), 'known.json:2: "servise" is not known, perhaps you meant "service"'),
        (file_of(line_of(path=3)), 'known.json:2: "path" is missing or not a string'),
        (file_of(line_of(names="x")), 'known.json:2: "names" is not a list of strings'),
        (file_of(line_of(names=[1])), 'known.json:2: "names" is not a list of strings'),
        (file_of(line_of(count=0)), 'known.json:2: "count" is not a number from 1 on'),
        (file_of(line_of(count=True)), 'known.json:2: "count" is not a number from 1 on'),
        (file_of(line_of(code="PY401")), 'known.json:2: "PY401" cannot be recorded, only PY2xx and PY3xx'),
        (file_of(line_of(), line_of()), "known.json:3: PY202 user-service .* is listed twice"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_reported_with_its_line(text: str, says: str) -> None:
    with pytest.raises(KnownFindingsError, match=says):
        parse_file(text.encode(), "known.json")


def test_invalid_utf8_is_reported_with_its_line() -> None:
    with pytest.raises(KnownFindingsError, match=r"known\.json:2: this is not UTF-8"):
        parse_file(b"{\n\xff}", "known.json")


def test_the_line_is_right_for_any_formatting() -> None:
    text = json.dumps({"note": [1, {"findings": [0]}], "findings": [json.loads(line_of()), 3], "schema": 1}, indent=2)

    with pytest.raises(KnownFindingsError) as raised:
        parse_file(text.encode(), "known.json")

    line = int(str(raised.value).split(":")[1])
    assert text.splitlines()[line - 1].strip() == "3"


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schema", "findings", "code", "service", "fingerprint", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def reads_or_says(content: bytes) -> bool:
    """Parse ``content``, or check that the error message begins with the file name."""
    try:
        parse_file(content, "known.json")
    except KnownFindingsError as error:
        return str(error).startswith("known.json:")
    return True


@pytest.mark.parametrize("indent", [None, 2])
@given(data=st.data())
def test_no_document_crashes_the_parser(indent: int | None, data: st.DataObject) -> None:
    items = data.draw(st.lists(DOCUMENTS | st.just(json.loads(line_of())), max_size=4))
    whole = data.draw(DOCUMENTS | st.just({"schema": 1, "findings": items}))
    assert reads_or_says(json.dumps(whole, indent=indent).encode())


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ \n1aé', max_size=60).map(str.encode))
def test_no_bytes_crash_the_parser(content: bytes) -> None:
    assert reads_or_says(content)


def test_an_outcome_without_findings_is_unchanged() -> None:
    skipped: Callable[..., Outcome] = Outcome.skipped
    outcome = skipped(service="user-service", interpreter=PY312, check="source", reason="asked for")

    assert apply_known_findings(outcome, KNOWN) is outcome
