"""Evidence about a stage, and its verification."""

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
from pytest_py312.cli import operations_commands
from pytest_py312.cli.main import parse_arguments
from pytest_py312.core.errors import OptionError
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Usage
from pytest_py312.rollout.reporting.evidence import build_evidence, history_chain, summarize_gate_report
from pytest_py312.rollout.reporting.evidence_bundle import (
    InvalidBundle,
    digest_of_page,
    evidence_page,
    manifest_of,
    verify_bundle,
    write_bundle,
)
from tests.unit.rollout.shells import Shell, shell_in
from tests.unit.rollout.watchers import ME, MonitoredStage

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
    evidence = json.loads(document.read_text())
    jsonschema.validate(evidence, SCHEMA)
    return document, page, evidence


def test_a_rolled_back_stage_is_documented_completely(py312: Shell) -> None:
    py312.sample_once()
    py312.sample_once()
    py312.target.usage = Usage(cpu_seconds=1.0, memory=5, restarts=0, out_of_memory=True)
    py312.sample_once(code=1)
    _, page, evidence = bundle(py312)
    assert evidence["outcome"] == {
        "state": "rolled back", "verdict": "failed", "stale": "",
        "reason": "auth: out of memory: killed by the kernel: out of memory",
    }  # fmt: skip
    run = evidence["runs"][0]
    assert " on " in run["by"], "who and where"
    service = run["services"][0]
    assert (service["new"]["image"], service["old"]["image"]) == ("new-3.12", "old-3.9")
    assert (service["old"]["interpreter"], service["interpreter_asked"], service["restored"]) == ("3.9", "3.12", True)
    changes = [
        (entry["before"], entry["after"]) for entry in run["history"] if entry.get("before") != entry.get("after")
    ]
    assert [change[1] for change in changes] == [
        "locked", "deploying", "verifying", "soaking", "rolling back", "rolled back",
    ]  # fmt: skip
    assert [(entry["metric"], entry["severity"], entry["reaction"]) for entry in run["breaches"]] == [
        ("out of memory", "severe", "roll back")
    ]
    memory = next(entry for entry in run["samples"][0]["metrics"] if entry["metric"] == "memory")
    assert memory["results"] == {"successful": 2}
    assert memory["values"] == {"count": 2, "least": 5.0, "median": 5.0, "p95": 5.0, "most": 5.0}
    out = next(entry for entry in run["samples"][0]["metrics"] if entry["metric"] == "out of memory")
    assert out["last_trouble"] == "killed by the kernel: out of memory"
    text = page.read_text()
    for expected in ("is rolled back", "old-3.9", "new-3.12", "out of memory", "yes, verified", run["by"]):
        assert expected in text


def test_credit_is_recounted_and_gaps_are_named(py312: Shell) -> None:
    py312("sample --stage 1", code=75)  # starts the schedule
    py312.sample_once()
    py312.sample_once(seconds=180.0)
    described_run = bundle(py312)[2]["runs"][0]
    assert described_run["soak"]["credited"] == described_run["soak"]["credited_by_samples"] == 120.0
    assert [(gap["slots"], gap["after_slot"]) for gap in described_run["gaps"]] == [(2, 1)]
    py312.plan.write_text(py312.plan.read_text().replace('interval = "60s"', 'interval = "30s"'))
    soak = bundle(py312)[2]["runs"][0]["soak"]
    assert (soak["interval"], soak["credited_by_samples"]) == (None, None), "the plan is another by now"


def test_decisions_have_names_reasons_and_subjects(py312: Shell) -> None:
    py312.sample_once()
    for entry in py312.target.containers.values():
        entry.running = entry.running and entry.name != "auth"
        entry.name = entry.name.replace("auth", "gone")
    py312.target.serve("auth", "hand-3.12")
    py312.sample_once(code=1)
    py312("promote --stage 1 --reason fine")
    run = bundle(py312)[2]["runs"][0]
    (decision,) = run["decisions"]
    assert (decision["answer"], decision["reason"], decision["about"]) == ("accept", "fine", ["auth: drift"])
    assert decision["by"] in run["by"]
    assert [entry["metric"] for entry in run["breaches"]] == ["drift"]


def test_each_attempt_is_documented(py312: Shell) -> None:
    py312("rollback --stage 1 --reason first")
    py312("deploy --stage 1")
    evidence = bundle(py312)[2]
    assert [run["state"] for run in evidence["runs"]] == ["rolled back", "soaking"]
    assert evidence["outcome"]["state"] == "soaking"


def test_the_same_journal_gives_the_same_bytes(py312: Shell, tmp_path: Path) -> None:
    py312.sample_once()
    first, second = (bundle(py312, f"evidence --stage 1 --out {tmp_path / name}") for name in "ab")
    assert [path.read_bytes() for path in first[:2]] == [path.read_bytes() for path in second[:2]]


def test_a_stage_that_was_never_deployed_has_no_evidence(py312: Shell) -> None:
    with pytest.raises(OptionError, match="stage 2 was never deployed in test"):
        py312("evidence --stage 2")
    with pytest.raises(OptionError, match="never deployed"):
        py312(f"evidence --stage {10**30}")
    with pytest.raises(OptionError, match="cannot be written"):
        py312(f"evidence --stage 1 --out {py312.plan}/x")


# ---- report of the gate


def report(shell: Shell, document: object) -> str:
    path = shell.root / "report.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_a_report_of_the_gate_is_included(py312: Shell) -> None:
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


def test_services_missing_from_a_report_are_named() -> None:
    found = summarize_gate_report({"schema": 1, "outcomes": [None, {"service": 5}]}, ["auth"], "d")
    assert found["without_outcome"] == ["auth"]


@pytest.mark.parametrize("document", [[], {"schema": 2}, {"schema": 1, "outcomes": {}}])
def test_an_invalid_report_is_refused(py312: Shell, document: object) -> None:
    with pytest.raises(OptionError, match="not a report of the gate"):
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
def test_any_report_is_read_or_refused(document: object, outcomes: object) -> None:
    for one in (document, {"schema": 1, "outcomes": outcomes}, {"schema": 1, "outcomes": [outcomes], "tool": document}):
        with contextlib.suppress(ValueError):
            assert set(summarize_gate_report(one, ["auth"], "d")) >= {"sha256", "outcomes"}


# ---- verifying


def test_an_unchanged_bundle_is_verified_against_the_journal(py312: Shell) -> None:
    document, page, _ = bundle(py312)
    digest = hashlib.sha256(document.read_bytes()).hexdigest()
    for place in (document, page, document.parent):
        assert "the journal has the same history" in py312(f"evidence --verify {place} --digest {digest}")
    py312.sample_once()
    assert py312.document(f"evidence --verify {document}")["journal"] == "agrees", "it may have gone on since"


def test_a_changed_file_is_detected(py312: Shell) -> None:
    document, page, _ = bundle(py312)
    whole, text = document.read_bytes(), page.read_text()
    document.write_bytes(whole.replace(b"soaking", b"ACCEPTED"))
    assert "but stage-1-test.html contains" in py312(f"evidence --verify {document}", code=1)
    document.write_bytes(whole)
    page.write_text(text.replace("is soaking", "is accepted"))
    assert "was changed after it was written" in py312(f"evidence --verify {document}", code=1)
    page.write_text("nothing")
    assert "contains none" in py312(f"evidence --verify {document}", code=1)


def test_a_page_forged_with_its_digest_is_detected(py312: Shell) -> None:
    """By the same version, which can render it again."""
    document, page, _ = bundle(py312)
    forged = page.read_text().replace("is soaking", "is accepted")
    named = re.findall(r'py312-page-sha256" content="(\w+)"', forged)[0]
    blank = forged.replace(named, "0" * 64, 1)
    page.write_text(blank.replace("0" * 64, hashlib.sha256(blank.encode()).hexdigest(), 1))
    assert "does not match" in py312(f"evidence --verify {document}", code=1)


def test_a_digest_that_was_noted_elsewhere_is_compared(py312: Shell) -> None:
    document = bundle(py312)[0]
    assert "was noted" in py312(f"evidence --verify {document} --digest {'a' * 64}", code=1)


def test_a_bundle_that_differs_from_the_journal_is_detected(py312: Shell, tmp_path: Path) -> None:
    """All files were written again consistently: only the journal shows the difference."""
    evidence = bundle(py312)[2]
    evidence["runs"][0]["history"][0]["at"] = "2020-01-01T00:00:00Z"
    forged = write_bundle(tmp_path / "forged", evidence)
    assert "does not match its chain" in py312(f"evidence --verify {forged.document}", code=1)
    evidence["chain"] = history_chain(evidence["journal"], evidence["runs"])
    forged = write_bundle(tmp_path / "forged", evidence)
    found = py312.document(f"evidence --verify {forged.document}", code=1)
    assert (found["as_it_was"], found["journal"]) == (True, "differs")
    evidence["journal"] = "another"
    evidence["chain"] = history_chain(evidence["journal"], evidence["runs"])
    elsewhere = write_bundle(tmp_path / "elsewhere", evidence)
    assert py312.document(f"evidence --verify {elsewhere.document}")["journal"] == "elsewhere"


def test_a_journal_changed_after_the_bundle_is_detected(py312: Shell) -> None:
    """An earlier bundle reveals edited samples or lines of history."""
    py312.sample_once()
    py312.sample_once()
    document = bundle(py312)[0]
    assert py312.document(f"evidence --verify {document}")["journal"] == "agrees"
    changed = sqlite3.connect(py312.context.state_dir / "rollout.sqlite")
    changed.execute("UPDATE samples SET wall = wall + 1 WHERE slot = 1")
    changed.commit()
    changed.close()
    assert py312.document(f"evidence --verify {document}", code=1)["journal"] == "differs"


def test_the_manifest_has_the_digests_of_the_files(py312: Shell) -> None:
    document, page, _ = bundle(py312)
    page.write_text(page.read_text() + " ")
    assert "stage-1-test.sha256 has a different SHA-256 of stage-1-test.html" in py312(
        f"evidence --verify {document}", code=1
    )


def test_the_noted_digest_may_be_that_of_the_manifest(py312: Shell) -> None:
    made = py312.document("evidence --stage 1")
    py312(f"evidence --verify {made['json']} --digest {made['manifest_sha256'].upper()}")
    manifest = Path(made["manifest"])
    manifest.write_text(manifest.read_text().replace("# journal", "# the journal"))
    text = py312(f"evidence --verify {made['json']} --digest {made['manifest_sha256']}", code=1)
    assert "stage-1-test.sha256 was changed" in text
    assert f"but {made['manifest_sha256']} was noted" in text


LINES = st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2), max_size=5)


@given(LINES, st.integers(min_value=0, max_value=5), st.sampled_from(["left out", "put in", "changed", "in turn"]))
def test_no_line_can_be_changed_removed_or_added(lines: list[dict[str, Any]], at: int, how: str) -> None:
    def chained(history: list[dict[str, Any]]) -> str:
        return history_chain("j", [{"run": "r1", "begun": "then", "history": history}])

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
def test_invalid_evidence_is_refused(py312: Shell, tmp_path: Path, text: str) -> None:
    for name in ("stage-1-x.json", "stage-1-x.html", "stage-1-x.sha256"):
        (tmp_path / name).write_text(text)
    with pytest.raises(OptionError, match=r"not valid JSON|not evidence"):
        py312(f"evidence --verify {tmp_path}")


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="0 bundles"):
        verify_bundle(tmp_path)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InvalidBundle, match=r"x\.html is missing"):
        verify_bundle(tmp_path / "x.json")


PATHS = ("runs", "outcome", "services", "tool", "stage", "journal", "compatibility", "environment", "target")


@given(st.sampled_from(PATHS), JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_any_bundle_is_verified_or_refused(py312: Shell, path: str, value: object) -> None:
    """Its digests match, only its content is arbitrary."""
    document, page, evidence = bundle(py312)
    text = json.dumps({**evidence, path: value})
    document.write_text(text)
    html = re.sub(
        r'(evidence-sha256" content=")\w+', rf"\g<1>{hashlib.sha256(text.encode()).hexdigest()}", page.read_text()
    )
    own = re.findall(r'page-sha256" content="(\w+)"', html)[0]
    page.write_text(html.replace(own, digest_of_page(html, own), 1))
    with contextlib.suppress(Exception):  # what has no chain has no manifest either
        digests = (hashlib.sha256(file.read_bytes()).hexdigest() for file in (document, page))
        document.with_suffix(".sha256").write_text(manifest_of(json.loads(text), document.stem, *digests))
    options = parse_arguments(["evidence", "--verify", str(document)])
    with contextlib.suppress(OptionError):
        assert operations_commands.evidence(options, py312.context)[1] in (0, 1)


# ---- untrusted text


def test_texts_are_escaped_and_infinite_numbers_are_spelled_out(tmp_path: Path) -> None:
    watching = MonitoredStage(tmp_path / "journal")
    measured = (
        Measurement(metric="rate", result=Result.FAILED, value=math.inf, detail=HOSTILE[:-1]),
        Measurement(metric="only inf", result=Result.SUCCESSFUL, value=-math.inf),
    )
    sample = Sample(service="user", slot=1, at=Timestamp(wall=1e9, boottime=1.0, boot="b"), measurements=measured)
    watching.journal.add_samples("r1", [sample], owner=ME)
    watching.journal.add_note("r1", HOSTILE[:-1])
    evidence = build_evidence(watching.journal, "test", 1, intervals={})
    metrics = {one["metric"]: one for one in evidence["runs"][0]["samples"][0]["metrics"]}
    assert metrics["rate"]["values"] is metrics["only inf"]["values"] is None
    made = write_bundle(tmp_path / "out", evidence)
    page = made.page.read_text()
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "script-src &#39;none&#39;" in page
    assert verify_bundle(made.document)[0] == []
    watching.journal.close()


def test_a_page_is_self_contained(py312: Shell) -> None:
    page = bundle(py312)[1].read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert evidence_page(bundle(py312)[2], "d" * 64) != page
