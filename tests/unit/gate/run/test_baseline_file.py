"""Recorded findings: known and not blocking, and a file that can only shrink."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Outcome, Severity, Status
from pytest_py312.gate.run.baseline_file import (
    Entry,
    RecordError,
    can_be_recorded,
    entries_in,
    exceeded,
    lay_over,
    recording_of,
    shrunk,
    text_of,
)
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged

FINDING = finding()
ENTRY = Entry(
    fingerprint=FINDING.fingerprint,
    code="PY202",
    service="user-service",
    path="services/user-service/app.py",
    message="asyncio.coroutine is gone since 3.11",
    names=("asyncio.coroutine",),
)
KNOWN = {ENTRY.key: ENTRY}


def everything(service: str, code: str) -> bool:
    return True


# ---- what the file says of a run


def test_what_is_recorded_is_known_and_does_not_block() -> None:
    """Also after its line has moved."""
    found = lay_over(judged(finding(line=99)), KNOWN)

    assert found.status is Status.PASSED
    assert [one.known for one in found.findings] == [True]


def test_what_is_not_recorded_blocks_beside_it() -> None:
    found = lay_over(judged(FINDING, finding(names=("asyncio.async",))), KNOWN)

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
    assert lay_over(judged(other), KNOWN).status is Status.FAILED


def test_another_service_has_its_own_record() -> None:
    assert lay_over(judged(FINDING, of="auth-service"), KNOWN).status is Status.FAILED


def test_a_second_use_in_the_same_file_is_new() -> None:
    """Nothing tells which of the two that is, so both block; what is recorded with its number is known."""
    twice = judged(finding(line=3), finding(line=8))

    found = lay_over(twice, KNOWN)

    assert found.status is Status.FAILED
    assert not any(one.known for one in found.findings)
    assert exceeded([found], KNOWN) == ((ENTRY, 2),)
    assert lay_over(twice, {ENTRY.key: replace(ENTRY, count=2)}).status is Status.PASSED


def test_what_could_not_be_checked_stays_so() -> None:
    outcome = replace(errored("lost", check="source"), findings=(FINDING,))

    found = lay_over(outcome, KNOWN)

    assert (found.status, found.reason) == (Status.ERRORED, "lost")


@pytest.mark.parametrize("changes", [{"severity": Severity.WARNING}, {"waived": True}, {"preexisting": True}])
def test_what_does_not_block_anyway_stays_as_it_is(changes: dict[str, Any]) -> None:
    outcome = judged(finding(**changes))

    assert lay_over(outcome, KNOWN) is outcome


@pytest.mark.parametrize(
    ("code", "can"),
    [
        ("PY201", True), ("PY249", True), ("PY301", True),
        ("PY101", False), ("PY299", False), ("PY399", False), ("PY401", False), ("PY901", False),
        ("PY2011", False), ("ACME1", False), ("PY2\u06601", False),
    ],
)  # fmt: skip
def test_only_source_and_versions_can_be_recorded(code: str, can: bool) -> None:
    """A broken suite, a set that does not install, and what could not be checked are not to be hidden."""
    assert can_be_recorded(code) is can
    found = finding(code=code)
    entry = replace(ENTRY, code=code, fingerprint=found.fingerprint)
    assert (lay_over(judged(found), {entry.key: entry}).status is Status.PASSED) is can
    assert bool(recording_of([judged(found)])) is can


# ---- recording and shrinking


def test_a_recording_has_what_blocks_once_for_all_interpreters() -> None:
    warning, waived = finding(line=4, severity=Severity.WARNING, names=("w",)), finding(names=("x",), waived=True)
    outcomes = [judged(FINDING, warning, waived, on=PY310), judged(FINDING, on=PY312), judged(on=PY39)]

    assert recording_of(outcomes) == (ENTRY,)


def test_a_recording_counts_the_most_places_of_any_interpreter() -> None:
    outcomes = [judged(FINDING, finding(line=9), on=PY310), judged(FINDING, on=PY312)]

    assert recording_of(outcomes) == (replace(ENTRY, count=2),)


def test_what_could_not_be_checked_is_not_recorded() -> None:
    assert recording_of([replace(errored("lost"), findings=(FINDING,))]) == ()


def test_what_is_mended_is_taken_out() -> None:
    gone = replace(ENTRY, fingerprint="0" * 16)

    assert shrunk([ENTRY, gone], [lay_over(judged(FINDING), KNOWN)], everything) == (ENTRY,)


def test_a_number_shrinks_as_well_and_never_grows() -> None:
    three = replace(ENTRY, count=3)
    twice = judged(finding(line=1), finding(line=2))

    assert shrunk([three], [twice], everything) == (replace(ENTRY, count=2),)
    assert shrunk([ENTRY], [twice], everything) == (ENTRY,)


def test_what_was_not_judged_is_kept() -> None:
    assert shrunk([ENTRY], [], lambda service, code: False) == (ENTRY,)


def test_what_occurs_on_one_interpreter_only_is_kept() -> None:
    assert shrunk([ENTRY], [judged(on=PY312), judged(FINDING, on=PY310)], everything) == (ENTRY,)


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
    assert bool(shrunk([ENTRY], [judged(finding(**changes))], everything)) is kept


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=6), st.booleans())
def test_shrinking_never_adds(found: list[tuple[str, int]], was_judged: bool) -> None:
    outcome = judged(*[finding(names=(name,), line=line) for name, line in found])
    entries = [replace(ENTRY, fingerprint=finding(names=(name,)).fingerprint, count=2) for name in "ab"]
    before = {entry.key: entry.count for entry in entries}

    for entry in shrunk(entries, [outcome], lambda service, code: was_judged):
        assert 1 <= entry.count <= before[entry.key]


# ---- the file


def test_the_file_is_json_sorted_with_one_finding_a_line() -> None:
    others = [replace(ENTRY, service="auth", names=("ü",), count=2), replace(ENTRY, fingerprint="f" * 16)]

    text = text_of([ENTRY, *others])

    assert text == text_of([*others, ENTRY])
    document = json.loads(text)
    assert document["schema"] == 1
    lines = [line for line in text.splitlines() if "fingerprint" in line]
    assert [json.loads(line.strip().rstrip(",")) for line in lines] == document["findings"]
    assert [one["service"] for one in document["findings"]] == ["auth", "user-service", "user-service"]
    assert "ü" in text


def test_nothing_recorded_is_a_file_as_well() -> None:
    assert entries_in(text_of([]).encode(), "known.json") == {}


@given(
    st.text(st.characters(), max_size=20), st.lists(st.text(st.characters(), max_size=9), max_size=3), st.integers(1)
)
def test_what_is_written_is_what_is_read(text: str, names: list[str], count: int) -> None:
    entry = replace(ENTRY, service=text, path=text, message=text, names=tuple(names), count=count % 10**6 + 1)

    assert entries_in(text_of([entry]).encode("utf-8"), "known.json") == {entry.key: entry}


def line_of(**changes: Any) -> str:
    """A recorded finding as it stands in a file, with ``changes``; ``None`` leaves a key out."""
    document = {**json.loads(text_of([ENTRY]))["findings"][0], **changes}
    return json.dumps({key: value for key, value in document.items() if value is not None})


def file_of(*lines: str) -> str:
    return '{"schema": 1, "findings": [\n' + ",\n".join(lines) + "\n]}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "known.json:1: this is not JSON"),
        ("{\n\n,", "known.json:3: this is not JSON"),
        ("[]", 'known.json:1: this is no file of recorded findings: it has no list "findings"'),
        ('{"findings": {}}', "known.json:1: this is no file of recorded findings"),
        ('{"findings": []}', 'known.json:1: "schema" is not 1'),
        ('{"schema": 2, "findings": []}', "another version of pytest-py312"),
        ('{"schema": 1,\n<<<<<<< ours\n', "known.json:2: this is not JSON: .* marks of an unfinished merge"),
        ("[" * 100_000, "known.json:1: this is not JSON"),
        ("1" * 10_000, "known.json:1: this is not JSON"),
        (file_of("3"), "known.json:2: a recorded finding is an object"),
        (file_of(line_of(), line_of(fingerprint="12")), 'known.json:3: "fingerprint" is not 16 hexadecimal digits'),
        (file_of(line_of(fingerprint=None)), 'known.json:2: "fingerprint" is missing or not a string'),
        (file_of(line_of(servise="x")), 'known.json:2: "servise" is not known, perhaps you meant "service"'),
        (file_of(line_of(path=3)), 'known.json:2: "path" is missing or not a string'),
        (file_of(line_of(names="x")), 'known.json:2: "names" is not a list of strings'),
        (file_of(line_of(names=[1])), 'known.json:2: "names" is not a list of strings'),
        (file_of(line_of(count=0)), 'known.json:2: "count" is not a number from 1 on'),
        (file_of(line_of(count=True)), 'known.json:2: "count" is not a number from 1 on'),
        (file_of(line_of(code="PY401")), 'known.json:2: "PY401" cannot be recorded, only PY2xx and PY3xx'),
        (file_of(line_of(), line_of()), "known.json:3: PY202 user-service .* stands here twice"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_told_with_its_line(text: str, says: str) -> None:
    with pytest.raises(RecordError, match=says):
        entries_in(text.encode(), "known.json")


def test_what_is_no_text_is_told_with_its_line() -> None:
    with pytest.raises(RecordError, match=r"known\.json:2: this is not UTF-8"):
        entries_in(b"{\n\xff}", "known.json")


def test_the_line_is_right_however_the_file_is_laid_out() -> None:
    text = json.dumps({"note": [1, {"findings": [0]}], "findings": [json.loads(line_of()), 3], "schema": 1}, indent=2)

    with pytest.raises(RecordError) as raised:
        entries_in(text.encode(), "known.json")

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
    """Whether ``content`` is read, or refused in words that begin with the file."""
    try:
        entries_in(content, "known.json")
    except RecordError as error:
        return str(error).startswith("known.json:")
    return True


@pytest.mark.parametrize("indent", [None, 2])
@given(data=st.data())
def test_no_document_crashes_the_reader(indent: int | None, data: st.DataObject) -> None:
    items = data.draw(st.lists(DOCUMENTS | st.just(json.loads(line_of())), max_size=4))
    whole = data.draw(DOCUMENTS | st.just({"schema": 1, "findings": items}))
    assert reads_or_says(json.dumps(whole, indent=indent).encode())


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ \n1aé', max_size=60).map(str.encode))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    assert reads_or_says(content)


def test_outcomes_of_nothing_are_left_alone() -> None:
    skipped: Callable[..., Outcome] = Outcome.skipped
    outcome = skipped(service="user-service", interpreter=PY312, check="source", reason="asked for")

    assert lay_over(outcome, KNOWN) is outcome
