"""The documents of all parts of a run are one report, and everything else is refused with the part and the reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.findings import SpecifierChange
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.shards import WorkUnit
from pytest_py312.gate.history.documents import DocumentFault
from pytest_py312.gate.reports import render
from pytest_py312.gate.sharding.documents import DocumentReader
from pytest_py312.gate.sharding.merging import MergedRun, MergeRefused, merge
from tests.support.report_samples import PY312, finding
from tests.support.shard_samples import (
    IDENTITY,
    UNITS,
    all_parts,
    outcomes_of,
    part_of,
    plan_at,
    signed_again,
    whole_report,
)

ROOT = Path("/merged/here")
BUILD = InterpreterBuild(
    interpreter=PY312, version="3.12.1", executable="/usr/bin/python3.12", origin="PATH", digest="d1", flags="pgo"
)
Documents = dict[str, bytes]


def merged(documents: Documents) -> MergedRun:
    reader = DocumentReader()
    return merge([reader.parse(content, file) for file, content in documents.items()], ROOT)


def faults_of(documents: Documents) -> list[str]:
    """Return the lines with which a merge is refused."""
    with pytest.raises(MergeRefused) as caught:
        merged(documents)
    first, *lines = str(caught.value).splitlines()
    assert first == "the parts cannot be merged, so nothing is proven:"
    return [line.strip() for line in lines]


# ---- one report


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_the_merged_report_is_that_of_an_undivided_run(order: tuple[int, ...]) -> None:
    """In whatever order the documents are given."""
    documents = all_parts()

    run = merged({f"shard-{part}.json": documents[f"shard-{part}.json"] for part in order})

    assert run.report == replace(whole_report(), plan=plan_at(ROOT))
    assert (run.warnings, run.incomplete) == ((), ())


@pytest.mark.parametrize("report_format", ["html", "md", "json", "sarif", "junit"])
def test_each_format_of_the_merged_report_has_the_same_bytes(report_format: str) -> None:
    assert render(merged(all_parts()).report, report_format, prefix="") == render(
        whole_report(), report_format, prefix=""
    )


def test_a_service_of_which_nothing_is_left_is_reported_as_in_an_undivided_run() -> None:
    """By -k and -m: it belongs to the first part."""
    units = (*UNITS[:3], replace(UNITS[3], items=()))
    first = whole_report("a-service", "d-service", outcomes=outcomes_of("a-service"))
    documents = all_parts() | {"shard-1.json": part_of(1, report=first, units=units)}
    documents |= {f"shard-{part}.json": part_of(part, units=units) for part in (2, 3)}

    assert [of.name for of in merged(documents).report.services] == [unit.service for unit in units]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((0, 0, 0), 0),
        ((0, 0, 5), 0),
        ((5, 5, 5), 5),
        ((0, 2, 1), 2),
        ((1, 2, 3), 3),
        ((4, 2, 1), 4),
        ((0, 76, 5), 76),
        ((76, 1, 0), 1),
    ],
)
def test_the_exit_status_is_that_of_an_undivided_run(statuses: tuple[int, ...], expected: int) -> None:
    names = (("a-service", "d-service"), ("c-service",), ("c-service",))
    passing = tuple(replace(unit, part={"b-service": 1}.get(unit.service, unit.part)) for unit in UNITS)
    units = tuple(unit for unit in passing if unit.service != "b-service")
    documents = {}
    for part, status in enumerate(statuses, 1):
        own = units if part != 2 else ()
        report = whole_report(*names[part - 1], exit_status=status)
        if not own:
            report = replace(report, services=(), cells=(), outcomes=())
        documents[f"{part}.json"] = part_of(part, report=replace(report, exit_status=status), units=units)

    assert merged(documents).report.exit_status == expected


def test_remedies_are_shared_among_the_checks_of_a_service() -> None:
    """As in an undivided run: what the check of dependencies has tried stands for the requirement."""
    change = SpecifierChange(path="r.txt", line=1, name="six", old="", new=">=1.16")
    tried = finding("PY105", path="r.txt", remedy="require six>=1.16 (verified)", names=("six",), changes=(change,))
    guessed = finding("PY240", remedy="require six>=1.15", names=("six",))
    source, baseline, target = outcomes_of("b-service")
    outcomes = (replace(source, findings=(guessed,)), baseline, replace(target, findings=(tried,)))
    documents = all_parts() | {"shard-2.json": part_of(2, report=whole_report("b-service", outcomes=outcomes))}

    remedies = [found.remedy for outcome in merged(documents).report.outcomes for found in outcome.findings]

    assert remedies == ["require six>=1.16 (verified)"] * 2


def test_the_same_document_twice_counts_once() -> None:
    documents = all_parts()

    run = merged({**documents, "copy.json": documents["shard-2.json"]})

    assert run.report == merged(documents).report
    assert run.warnings == ("copy.json is the same document as shard-2.json",)


# ---- what is not the document of a part


def test_a_document_in_another_layout_is_still_whole() -> None:
    content = all_parts()["shard-1.json"]
    turned = json.dumps(dict(reversed(json.loads(content).items()))).encode("ascii")

    assert DocumentReader().parse(turned, "a.json").shard == DocumentReader().parse(content, "a.json").shard


def edit(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def edited(content: bytes) -> bytes:
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode("ascii")

    return edited


def pass_everything(document: Any) -> None:
    document["outcomes"][0]["status"] = "passed"
    document["exit_status"] = 0


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: b"", "is empty: it was not written to its end"),
        (lambda content: content[: len(content) // 2], "is not whole: it is no JSON from line"),
        (lambda content: content[:-3], "is not whole: it is no JSON from line"),
        (lambda content: b"\xff" + content, "is no JSON document"),
        (lambda content: b"[]", "is no report of pytest-py312"),
        (lambda content: b'{"schema": 1}', "is no report of pytest-py312"),
        (edit(lambda document: document.update(schema=2)), 'its "schema" is not 1'),
        (edit(lambda document: document.update(shard=None)), "is the report of a run that was not divided"),
        (edit(lambda document: document.update(shard=7)), "was changed after it was written"),
        (edit(pass_everything), "was changed after it was written: its content does not have its digest"),
        (edit(lambda document: document["shard"].update(part=3)), "was changed after it was written"),
        (edit(lambda document: document["shard"].pop("digest")), "was changed after it was written"),
    ],
)
def test_a_damaged_document_is_refused(damage: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(DocumentFault) as caught:
        DocumentReader().parse(damage(all_parts()["shard-2.json"]), "shard-2.json")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda document: document["shard"].pop("units"), "by another version of pytest-py312, or by something else"),
        (lambda document: document["shard"].update(units=[["a", 1, 9]]), "by another version"),
        (lambda document: document["shard"].update(part="2"), "by another version"),
        (lambda document: document["shard"]["units"][0].__setitem__(1, 4), "by another version"),
        (lambda document: document["shard"]["units"][0].__setitem__(1, 0), "by another version"),
        (lambda document: document["shard"].update(record="?"), "has a record that cannot be read"),
        (lambda document: document["shard"].update(record="eJyrrgUAAXUA+Q=="), "has a record that cannot be read"),
        (
            lambda document: document["shard"]["identity"].update(tool="9.9 (ab)"),
            "was written by pytest-py312 9.9 (ab)",
        ),
    ],
)
def test_a_document_of_something_else_is_refused(change: Callable[[Any], None], reason: str) -> None:
    with pytest.raises(DocumentFault) as caught:
        DocumentReader().parse(signed_again(all_parts()["shard-2.json"], change), "shard-2.json")
    assert reason in str(caught.value)


# ---- what is not one whole run


def test_a_missing_part_is_named() -> None:
    documents = all_parts()
    del documents["shard-2.json"]
    assert faults_of(documents) == ["part 2 of 3 is missing"]
    del documents["shard-3.json"]
    assert faults_of(documents) == ["parts 2, 3 are missing"]


def test_a_part_with_two_contents_is_named() -> None:
    other = part_of(2, report=whole_report("b-service", generated="2025-03-01T13:00:00Z"))

    assert faults_of(all_parts() | {"again.json": other}) == [
        "part 2 is in again.json and in shard-2.json, with different content"
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"commit": "dead" * 10}, f"is of commit {'dead' * 10}, the others of {IDENTITY.commit}"),
        (
            {"changes": (("services/a/app.py", "d1"),)},
            "is of other files than the others, though of the same commit: services/a/app.py",
        ),
        ({"plan": "other"}, "was checked by another plan than the others"),
        ({"options": (("-k", "suite"),)}, 'was checked with another value of -k than the others: "suite", not none'),
        (
            {"options": (("-k", ""), ("--py312-runner", "docker"))},
            'was checked with another value of --py312-runner than the others: "docker", not none',
        ),
        ({"durations": "other"}, "was divided by another file of durations than the others"),
    ],
)
@pytest.mark.parametrize("part", [1, 3])
def test_a_part_of_another_run_is_named(part: int, changes: dict[str, Any], reason: str) -> None:
    """The odd one is named, also if it comes first."""
    documents = all_parts() | {f"shard-{part}.json": part_of(part, identity=replace(IDENTITY, **changes))}

    assert faults_of(documents) == [f"part {part} (shard-{part}.json) {reason}"]


def test_a_part_of_another_number_of_parts_is_named() -> None:
    documents = all_parts() | {"shard-3.json": part_of(3, parts=4)}

    assert faults_of(documents) == ["part 3 (shard-3.json) is one of 4 parts, the others of 3"]


def test_a_part_that_was_divided_in_another_way_is_named() -> None:
    units = (*UNITS[:3], replace(UNITS[3], part=3))
    report = whole_report("c-service", "d-service")
    documents = all_parts() | {"shard-3.json": part_of(3, report=report, units=units)}

    (fault,) = faults_of(documents)
    assert fault.startswith(
        "part 3 (shard-3.json) was divided in another way than the others: "
        "d-service::py3.12::dependencies is in part 3 there, and in part 1 for the others"
    )


def test_a_part_with_other_items_is_named() -> None:
    units = (*UNITS, WorkUnit(service="e-service", part=1, items=("source",)))
    documents = all_parts() | {"shard-3.json": part_of(3, units=units)}

    (fault,) = faults_of(documents)
    assert "e-service::source is in part 1 there, and no item for the others" in fault


def test_an_item_without_an_outcome_is_named() -> None:
    report = whole_report("b-service", outcomes=outcomes_of("b-service")[:2])
    documents = all_parts() | {"shard-2.json": part_of(2, report=report)}

    assert faults_of(documents) == ["part 2 (shard-2.json) has no outcome of b-service::py3.12::dependencies"]


def test_an_item_that_two_parts_have_judged_is_named() -> None:
    report = whole_report("b-service", outcomes=(*outcomes_of("b-service"), outcomes_of("c-service")[0]))
    documents = all_parts() | {"shard-2.json": part_of(2, report=report)}

    assert faults_of(documents) == ["part 2 (shard-2.json) judged what another part has to judge: c-service::source"]


def test_an_item_that_a_part_has_judged_twice_is_named() -> None:
    report = whole_report("b-service", outcomes=(*outcomes_of("b-service"), outcomes_of("b-service")[0]))
    documents = all_parts() | {"shard-2.json": part_of(2, report=report)}

    assert faults_of(documents) == ["part 2 (shard-2.json) judged twice: b-service::source"]


def test_an_item_that_is_in_two_parts_is_named() -> None:
    units = (*UNITS, WorkUnit(service="c-service", part=2, items=("source",)))
    report = whole_report("b-service", outcomes=(*outcomes_of("b-service"), outcomes_of("c-service")[0]))
    documents = {f"shard-{part}.json": part_of(part, units=units) for part in (1, 3)}
    documents["shard-2.json"] = part_of(2, units=units, report=report)

    assert faults_of(documents) == ["c-service::source in two parts"]


def test_a_part_without_items_ended_too_early() -> None:
    empty = whole_report("b-service", outcomes=(), cut_short=True, exit_status=2)
    documents = all_parts() | {"shard-2.json": part_of(2, report=empty, identity=None, units=())}

    assert faults_of(documents) == ["part 2 (shard-2.json) ended before its items were known"]


def test_all_faults_are_named_at_once() -> None:
    documents = all_parts() | {"shard-3.json": part_of(3, identity=replace(IDENTITY, plan="other"))}
    del documents["shard-2.json"]

    assert faults_of(documents) == [
        "part 2 of 3 is missing",
        "part 3 (shard-3.json) was checked by another plan than the others",
    ]


# ---- parts that were stopped, and unlike machines


def test_a_part_that_was_stopped_makes_the_run_incomplete() -> None:
    report = whole_report(
        "b-service", outcomes=outcomes_of("b-service")[:2], not_run=(("b-service", PY312, "dependencies"),),
        cut_short=True, end_signal="SIGTERM", exit_status=2,
    )  # fmt: skip

    run = merged(all_parts() | {"shard-2.json": part_of(2, report=report)})

    assert run.incomplete == (
        "part 2 (shard-2.json) was stopped by SIGTERM before its end: 1 item not checked "
        "(b-service::py3.12::dependencies)",
    )
    assert (run.report.exit_status, run.report.cut_short, run.report.end_signal) == (2, True, "SIGTERM")
    assert json.loads(render(run.report, "json", prefix=""))["complete"] is False


def test_an_item_that_nobody_has_checked_is_no_success() -> None:
    """Another plugin has taken it out of its part, which was not stopped."""
    left = outcomes_of("c-service")[:2]
    report = whole_report("c-service", outcomes=left, not_run=(("c-service", PY312, "dependencies"),))
    fixed = whole_report("b-service", outcomes=(), exit_status=0)
    units = tuple(unit for unit in UNITS if unit.service != "b-service")
    documents = {"shard-1.json": part_of(1, units=units), "shard-3.json": part_of(3, report=report, units=units)}
    documents["shard-2.json"] = part_of(2, report=replace(fixed, services=(), cells=()), units=units)

    run = merged(documents)

    assert run.report.exit_status == 1
    assert run.incomplete == (
        "part 3 (shard-3.json) is not complete: 1 item not checked (c-service::py3.12::dependencies)",
    )


def with_builds(units: tuple[WorkUnit, ...] = UNITS) -> Documents:
    documents = {}
    for part, digest in ((1, "d1"), (2, "d1"), (3, "d2")):
        names = [unit.service for unit in units if unit.part == part]
        outcomes = [outcome for name in names for outcome in outcomes_of(name)]
        if units is not UNITS:
            outcomes += [replace(outcome, check="benchmark") for outcome in outcomes if outcome.check == "source"]
        report = whole_report(*names, outcomes=tuple(outcomes), builds=(replace(BUILD, digest=digest),))
        documents[f"shard-{part}.json"] = part_of(part, report=report, units=units)
    return documents


def test_other_builds_of_an_interpreter_are_a_warning() -> None:
    run = merged(with_builds())

    assert run.warnings == ("Python 3.12 was not the same in all parts: 3.12.1 pgo (d1) in 1, 2; 3.12.1 pgo (d2) in 3",)
    assert [build.digest for build in run.report.builds] == ["d1", "d2"]


def test_other_builds_of_an_interpreter_are_a_fault_of_benchmarks() -> None:
    measured = tuple(replace(unit, items=(*unit.items, "benchmark")) for unit in UNITS)

    (fault,) = faults_of(with_builds(measured))
    assert fault.endswith("(d2) in 3; benchmarks of different builds cannot be compared")


# ---- documents that somebody has made up

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PATHS = [
    ("part",), ("parts",), ("identity",), ("identity", "commit"), ("identity", "changes"), ("identity", "options"),
    ("items",), ("items", 0), ("units",), ("units", 0), ("units", 1), ("units", 0, 0), ("units", 1, 1), ("units", 2, 2),
    ("prefix",), ("record",), (),
]  # fmt: skip


@given(st.sampled_from(PATHS), VALUES)
def test_a_made_up_document_is_merged_or_refused(path: tuple[str | int, ...], value: Any) -> None:
    """It is no reason for an error of ours, although its digest fits."""

    def change(document: Any) -> None:
        place = document
        for step in ("shard", *path)[:-1]:
            place = place[step]
        if path:
            place[("shard", *path)[-1]] = value

    content = all_parts()["shard-2.json"]
    if path:
        content = signed_again(content, change)
    else:
        content = json.dumps(json.loads(content) | {"shard": value}).encode("ascii")

    reasons = []
    try:
        reasons.append(merged(all_parts() | {"shard-2.json": content}).report.tool_version)
    except Py312Error as refused:
        reasons.append(str(refused))
    assert reasons != [""]
