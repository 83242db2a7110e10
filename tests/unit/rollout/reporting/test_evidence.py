"""What is written down about a stage for an auditor, and whether it is still what it was."""

import contextlib
import hashlib
import json
import math
import re
import sqlite3
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pytest_py312
from pytest_py312.cli.main import _parsers
from pytest_py312.cli.operations_commands import run_command
from pytest_py312.core.errors import OptionError
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample, Usage
from pytest_py312.rollout.reporting.evidence import chain_of, compatibility_in, document_of
from pytest_py312.rollout.reporting.evidence_bundle import NoEvidence, manifest_of, troubles_of, write_bundle
from pytest_py312.rollout.reporting.html import evidence_page, own_digest
from tests.unit.rollout.shells import Shell, shell_in
from tests.unit.rollout.watchers import ME, Watching

SCHEMA = json.loads((Path(pytest_py312.__file__).parent / "rollout" / "reporting" / "evidence.schema.json").read_text())
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e\udc80"


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch)
    shell("deploy --stage 1")
    return shell


def bundle(shell: Shell, line: str = "evidence --stage 1") -> tuple[Path, Path, dict[str, Any]]:
    made = shell.document(line)
    document, page = Path(made["json"]), Path(made["html"])
    assert hashlib.sha256(document.read_bytes()).hexdigest() == made["sha256"]
    said = json.loads(document.read_text())
    jsonschema.validate(said, SCHEMA)
    return document, page, said


def test_a_stage_that_was_brought_back_is_told_from_beginning_to_end(py312: Shell) -> None:
    py312.ticked()
    py312.ticked()
    py312.target.usage = Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=True)
    py312.ticked(code=1)
    _, page, said = bundle(py312)
    assert said["outcome"] == {
        "state": "rolled back", "verdict": "failed", "stale": "",
        "reason": "auth: out of memory: the kernel ended it for want of memory",
    }  # fmt: skip
    run = said["runs"][0]
    assert " on " in run["by"], "who and where"
    service = run["services"][0]
    assert (service["new"]["image"], service["old"]["image"]) == ("new-3.12", "old-3.9")
    assert (service["old"]["interpreter"], service["interpreter_asked"], service["restored"]) == ("3.9", "3.12", True)
    changes = [(one["before"], one["after"]) for one in run["history"] if one.get("before") != one.get("after")]
    assert [change[1] for change in changes] == [
        "locked", "deploying", "verifying", "soaking", "rolling back", "rolled back",
    ]  # fmt: skip
    assert [(one["metric"], one["severity"], one["reaction"]) for one in run["breaches"]] == [
        ("out of memory", "severe", "roll back")
    ]
    memory = next(one for one in run["samples"][0]["metrics"] if one["metric"] == "memory")
    assert memory["results"] == {"successful": 2}
    assert memory["values"] == {"count": 2, "least": 5.0, "median": 5.0, "p95": 5.0, "most": 5.0}
    out = next(one for one in run["samples"][0]["metrics"] if one["metric"] == "out of memory")
    assert out["last_trouble"] == "the kernel ended it for want of memory"
    text = page.read_text()
    for told in ("is rolled back", "old-3.9", "new-3.12", "out of memory", "yes, verified", run["by"]):
        assert told in text


def test_credit_is_counted_anew_and_gaps_are_named(py312: Shell) -> None:
    py312("tick --stage 1", code=75)  # begins the schedule
    py312.ticked()
    py312.ticked(seconds=180.0)
    said = bundle(py312)[2]["runs"][0]
    assert said["soak"]["credited"] == said["soak"]["credited_by_samples"] == 120.0
    assert [(gap["slots"], gap["after_slot"]) for gap in said["gaps"]] == [(2, 1)]
    py312.plan.write_text(py312.plan.read_text().replace('interval = "60s"', 'interval = "30s"'))
    soak = bundle(py312)[2]["runs"][0]["soak"]
    assert (soak["interval"], soak["credited_by_samples"]) == (None, None), "the plan is another by now"


def test_decisions_have_names_reasons_and_what_they_were_about(py312: Shell) -> None:
    py312.ticked()
    for one in py312.target.containers.values():
        one.running = one.running and one.name != "auth"
        one.name = one.name.replace("auth", "gone")
    py312.target.serve("auth", "hand-3.12")
    py312.ticked(code=1)
    py312("decide accept --stage 1 --reason fine")
    run = bundle(py312)[2]["runs"][0]
    (decision,) = run["decisions"]
    assert (decision["answer"], decision["reason"], decision["about"]) == ("accept", "fine", ["auth: drift"])
    assert decision["by"] in run["by"]
    assert [one["metric"] for one in run["breaches"]] == ["drift"]


def test_each_attempt_is_in_it(py312: Shell) -> None:
    py312("rollback --stage 1 --reason first")
    py312("deploy --stage 1")
    said = bundle(py312)[2]
    assert [run["state"] for run in said["runs"]] == ["rolled back", "soaking"]
    assert said["outcome"]["state"] == "soaking"


def test_the_same_journal_gives_the_same_bytes(py312: Shell, tmp_path: Path) -> None:
    py312.ticked()
    first, second = (bundle(py312, f"evidence --stage 1 --out {tmp_path / name}") for name in "ab")
    assert [path.read_bytes() for path in first[:2]] == [path.read_bytes() for path in second[:2]]


def test_a_stage_that_was_never_deployed_has_no_evidence(py312: Shell) -> None:
    with pytest.raises(OptionError, match="stage 2 was never deployed in test"):
        py312("evidence --stage 2")
    with pytest.raises(OptionError, match="never deployed"):
        py312(f"evidence --stage {10**30}")
    with pytest.raises(OptionError, match="cannot be written"):
        py312(f"evidence --stage 1 --out {py312.plan}/x")


# ---- what the gate said before


def report(shell: Shell, document: object) -> str:
    path = shell.root / "report.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_a_report_of_the_gate_is_part_of_it(py312: Shell) -> None:
    outcome = {"service": "auth", "interpreter": "3.12", "check": "suite", "status": "passed", "reason": ""}
    finding = {"severity": "error", "waived": True}
    other = {**outcome, "service": "other"}
    path = report(
        py312,
        {"schema": 1, "target": "3.12", "exit_status": 0, "outcomes": [{**outcome, "findings": [finding]}, other]},
    )
    found = bundle(py312, f"evidence --stage 1 --report {path}")[2]["compatibility"]
    assert found["outcomes"] == [{**outcome, "errors": 1, "waived": 1}]
    assert found["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert found["without_outcome"] == []


def test_what_a_report_does_not_speak_of_is_named() -> None:
    found = compatibility_in({"schema": 1, "outcomes": [None, {"service": 5}]}, ["auth"], "d")
    assert found["without_outcome"] == ["auth"]


@pytest.mark.parametrize("document", [[], {"schema": 2}, {"schema": 1, "outcomes": {}}])
def test_what_is_no_report_is_refused(py312: Shell, document: object) -> None:
    with pytest.raises(OptionError, match="no report of the gate"):
        py312(f"evidence --stage 1 --report {report(py312, document)}")
    with pytest.raises(OptionError, match="--report nowhere"):
        py312("evidence --stage 1 --report nowhere")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["schema", "outcomes", "service", "findings", "tool", "auth"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_whatever_a_report_holds_it_is_read_or_refused(document: object, outcomes: object) -> None:
    for one in (document, {"schema": 1, "outcomes": outcomes}, {"schema": 1, "outcomes": [outcomes], "tool": document}):
        with contextlib.suppress(ValueError):
            assert set(compatibility_in(one, ["auth"], "d")) >= {"sha256", "outcomes"}


# ---- verifying


def test_a_bundle_is_as_it_was_and_the_journal_has_it(py312: Shell) -> None:
    document, page, _ = bundle(py312)
    digest = hashlib.sha256(document.read_bytes()).hexdigest()
    for place in (document, page, document.parent):
        assert "the journal has it all" in py312(f"evidence --verify {place} --digest {digest}")
    py312.ticked()
    assert py312.document(f"evidence --verify {document}")["journal"] == "agrees", "it may have gone on since"


def test_a_changed_file_is_seen(py312: Shell) -> None:
    document, page, _ = bundle(py312)
    whole, text = document.read_bytes(), page.read_text()
    document.write_bytes(whole.replace(b"soaking", b"ACCEPTED"))
    assert "and stage-1-test.html names" in py312(f"evidence --verify {document}", code=1)
    document.write_bytes(whole)
    page.write_text(text.replace("is soaking", "is accepted"))
    assert "was changed since it was made" in py312(f"evidence --verify {document}", code=1)
    page.write_text("nothing")
    assert "names none" in py312(f"evidence --verify {document}", code=1)


def test_a_page_that_was_forged_with_its_digest_is_seen(py312: Shell) -> None:
    """By the same version, which can make it again."""
    document, page, _ = bundle(py312)
    forged = page.read_text().replace("is soaking", "is accepted")
    named = re.findall(r'py312-page-sha256" content="(\w+)"', forged)[0]
    blank = forged.replace(named, "0" * 64, 1)
    page.write_text(blank.replace("0" * 64, hashlib.sha256(blank.encode()).hexdigest(), 1))
    assert "does not say what" in py312(f"evidence --verify {document}", code=1)


def test_a_digest_that_was_noted_elsewhere_is_compared(py312: Shell) -> None:
    document = bundle(py312)[0]
    assert "was noted" in py312(f"evidence --verify {document} --digest {'a' * 64}", code=1)


def test_a_bundle_that_the_journal_does_not_bear_out_is_seen(py312: Shell, tmp_path: Path) -> None:
    """All files made anew, and well: only the journal knows better."""
    said = bundle(py312)[2]
    said["runs"][0]["history"][0]["at"] = "2020-01-01T00:00:00Z"
    forged = write_bundle(tmp_path / "forged", said)
    assert "does not make the chain" in py312(f"evidence --verify {forged.document}", code=1)
    said["chain"] = chain_of(said["journal"], said["runs"])
    forged = write_bundle(tmp_path / "forged", said)
    found = py312.document(f"evidence --verify {forged.document}", code=1)
    assert (found["as_it_was"], found["journal"]) == (True, "differs")
    said["journal"] = "another"
    said["chain"] = chain_of(said["journal"], said["runs"])
    elsewhere = write_bundle(tmp_path / "elsewhere", said)
    assert py312.document(f"evidence --verify {elsewhere.document}")["journal"] == "elsewhere"


def test_a_journal_that_was_changed_since_is_seen(py312: Shell) -> None:
    """Whoever edits a sample in it, or a line of a history, has a bundle of before against him."""
    py312.ticked()
    py312.ticked()
    document = bundle(py312)[0]
    assert py312.document(f"evidence --verify {document}")["journal"] == "agrees"
    changed = sqlite3.connect(py312.ground.state / "rollout.sqlite")
    changed.execute("UPDATE samples SET wall = wall + 1 WHERE slot = 1")
    changed.commit()
    changed.close()
    assert py312.document(f"evidence --verify {document}", code=1)["journal"] == "differs"


def test_the_manifest_names_what_the_files_are(py312: Shell) -> None:
    document, page, _ = bundle(py312)
    page.write_text(page.read_text() + " ")
    assert "stage-1-test.sha256 names another SHA-256 of stage-1-test.html" in py312(
        f"evidence --verify {document}", code=1
    )


def test_what_was_noted_may_be_the_digest_of_the_manifest(py312: Shell) -> None:
    made = py312.document("evidence --stage 1")
    py312(f"evidence --verify {made['json']} --digest {made['manifest_sha256'].upper()}")
    manifest = Path(made["manifest"])
    manifest.write_text(manifest.read_text().replace("# journal", "# the journal"))
    text = py312(f"evidence --verify {made['json']} --digest {made['manifest_sha256']}", code=1)
    assert "stage-1-test.sha256 was changed" in text
    assert f"and {made['manifest_sha256']} was noted" in text


LINES = st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2), max_size=5)


@given(LINES, st.integers(min_value=0, max_value=5), st.sampled_from(["left out", "put in", "changed", "in turn"]))
def test_no_line_can_be_changed_left_out_or_put_in(lines: list[dict[str, Any]], at: int, how: str) -> None:
    def chained(history: list[dict[str, Any]]) -> str:
        return chain_of("j", [{"run": "r1", "begun": "then", "history": history}])

    other, at = [*lines], min(at, max(0, len(lines) - 1))
    if how == "put in" or not lines:
        other.insert(at, {"new": 1})
    elif how == "left out":
        del other[at]
    elif how == "changed":
        other[at] = {**other[at], "new": 1}
    else:
        other.reverse()
    assert (chained(other) == chained(lines)) is (other == lines)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "evidence of a rollout", "schema": 9}'])
def test_what_is_no_evidence_is_refused(py312: Shell, tmp_path: Path, text: str) -> None:
    for name in ("stage-1-x.json", "stage-1-x.html", "stage-1-x.sha256"):
        (tmp_path / name).write_text(text)
    with pytest.raises(OptionError, match=r"no JSON|no evidence"):
        py312(f"evidence --verify {tmp_path}")


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoEvidence, match="0 bundles"):
        troubles_of(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(NoEvidence, match=r"x\.html is not there"):
        troubles_of(tmp_path / "x.json")


PATHS = ("runs", "outcome", "services", "tool", "stage", "journal", "compatibility", "environment", "target")


@given(st.sampled_from(PATHS), JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_whatever_a_bundle_holds_it_is_verified_or_refused(py312: Shell, path: str, value: object) -> None:
    """Its digests fit: only what is in it is a stranger's."""
    document, page, said = bundle(py312)
    text = json.dumps({**said, path: value})
    document.write_text(text)
    html = re.sub(
        r'(evidence-sha256" content=")\w+', rf"\g<1>{hashlib.sha256(text.encode()).hexdigest()}", page.read_text()
    )
    own = re.findall(r'page-sha256" content="(\w+)"', html)[0]
    page.write_text(html.replace(own, own_digest(html, own), 1))
    with contextlib.suppress(Exception):  # what has no chain has no manifest either
        digests = (hashlib.sha256(file.read_bytes()).hexdigest() for file in (document, page))
        document.with_suffix(".sha256").write_text(manifest_of(json.loads(text), document.stem, *digests))
    options = _parsers()[0].parse_args(["evidence", "--verify", str(document)])
    with contextlib.suppress(OptionError):
        assert run_command(options, py312.ground)[1] in (0, 1)


# ---- untrusted text


def test_no_text_becomes_an_element_and_what_is_no_number_is_written_out(tmp_path: Path) -> None:
    there = Watching(tmp_path / "journal")
    measured = (
        Measurement(metric="rate", result=Result.FAILED, value=math.inf, detail=HOSTILE[:-1]),
        Measurement(metric="only inf", result=Result.SUCCESSFUL, value=-math.inf),
    )
    sample = Sample(service="user", slot=1, at=Moment(wall=1e9, boottime=1.0, boot="b"), measurements=measured)
    there.journal.keep_samples("r1", [sample], owner=ME)
    there.journal.note("r1", HOSTILE[:-1])
    said = document_of(there.journal, "test", 1, intervals={})
    metrics = {one["metric"]: one for one in said["runs"][0]["samples"][0]["metrics"]}
    assert metrics["rate"]["values"] is metrics["only inf"]["values"] is None
    made = write_bundle(tmp_path / "out", said)
    page = made.page.read_text()
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "script-src &#39;none&#39;" in page
    assert troubles_of(made.document)[0] == []
    there.journal.close()


def test_a_page_needs_nothing_from_elsewhere(py312: Shell) -> None:
    page = bundle(py312)[1].read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert evidence_page(bundle(py312)[2], "d" * 64) != page
