"""The newest verdict on each service, whichever run it is from."""

from dataclasses import replace
from pathlib import Path

from pytest_py312.core.model.readiness import BenchmarkRecord, RunRecord
from pytest_py312.core.model.report import Checkout
from pytest_py312.gate.history.latest_verdicts import gate_knowledge, newest_first, stored_records
from pytest_py312.gate.history.stored_runs import RunStore
from pytest_py312.rollout.reporting.roadmap.stage_readiness import stage_readiness, step_before_deployment
from tests.support.fakes import cell_of
from tests.support.history_samples import BLOCKED, IMP, INCOMPLETE, run_record, service_record
from tests.support.report_samples import finding, judged, report_of

HERE = Checkout(commit="0d1f6a3c5e7b9d8f", branch="main")
SPEED = BenchmarkRecord(service="a", name="load", kind="benchmark", verdict="same", ratio=1.0)


def verdicts_of(*records: RunRecord, services: str = "ab") -> dict[str, tuple[str, str]]:
    knowledge = gate_knowledge(records, list(services), "3.12", HERE)
    return {name: (verdict.origin, verdict.service.verdict.value) for name, verdict in knowledge.verdicts.items()}


def test_stages_are_checked_in_different_runs() -> None:
    first = run_record(service_record("a", BLOCKED, IMP), service_record("b"), origin="r1")
    second = run_record(service_record("a"), origin="r2")
    assert verdicts_of(second, first) == {"a": ("r2", "ready"), "b": ("r1", "ready")}


def test_a_run_of_some_checks_does_not_replace_a_verdict_on_the_same_commit() -> None:
    full = run_record(service_record("a"), origin="full")
    partial = run_record(service_record("a", INCOMPLETE, reason="not checked: suite"), origin="partial")
    assert verdicts_of(partial, full) == {"a": ("full", "ready")}
    elsewhere = replace(full, checkout=replace(full.checkout, commit="77aa"))
    assert verdicts_of(partial, elsewhere) == {"a": ("partial", "incomplete")}
    changed = replace(full.checkout, modified=True)
    assert verdicts_of(replace(partial, checkout=changed), replace(full, checkout=changed))["a"][0] == "partial"


def test_a_verdict_on_the_files_that_are_checked_out_counts_before_a_newer_one() -> None:
    """After a change that broke a service was taken back, what was proven before it holds again."""
    proven = run_record(service_record("a"), origin="here", checkout=HERE)
    later = run_record(service_record("a", BLOCKED, IMP), origin="later", checkout=Checkout(commit="77aa"))
    knowledge = gate_knowledge([later, proven], ["a"], "3.12", HERE, lambda commit: commit == HERE.commit)
    assert (knowledge.verdicts["a"].origin, knowledge.same_commits) == ("here", frozenset({HERE.commit}))
    changed = replace(proven, checkout=replace(HERE, modified=True))
    assert gate_knowledge([later, changed], ["a"], "3.12", HERE, lambda commit: True).verdicts["a"].origin == "later"


def test_records_are_read_until_nothing_can_be_replaced() -> None:
    proven = run_record(service_record("a"), checkout=HERE)
    records = iter([proven, proven])
    gate_knowledge(records, ["a"], "3.12", HERE, lambda commit: True)
    assert list(records) == [proven]
    records = iter([proven, proven])
    gate_knowledge(records, ["a"], "3.12", Checkout())
    assert list(records) == [proven]


def test_other_targets_count_for_nothing() -> None:
    assert verdicts_of(run_record(service_record("a"), target="3.13")) == {}


def test_the_benchmarks_are_those_of_the_newest_run_that_measured() -> None:
    old = run_record(service_record("a"), benchmarks=(replace(SPEED, ratio=2.0),))
    measured = run_record(service_record("b", INCOMPLETE), benchmarks=(SPEED,))
    assert gate_knowledge([measured, old], ["a", "b"], "3.12", HERE).benchmarks == (SPEED,)


def test_reports_are_read_newest_first() -> None:
    old = run_record(service_record("a"), ended_at="2025-02-01T12:00:00Z")
    new = run_record(service_record("a"))
    assert newest_first([old, new]) == [new, old]


def test_stored_runs_without_a_report_are_passed_over(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for hour, run_id in enumerate(("done", "killed")):
        store.begin(run_id, f"2025-03-01T1{hour}:00:00Z")
    store.complete("done", report_of(judged(finding())), "not proven", 1)
    (record,) = stored_records(tmp_path)
    assert (record.origin, record.services[0].verdict) == ("done", BLOCKED)
    assert list(stored_records(tmp_path / "nowhere")) == []


def test_a_run_that_a_plugin_has_not_accepted_proves_nothing(tmp_path: Path) -> None:
    """Neither does an earlier run of the same commit, which nobody has objected to."""
    store = RunStore(tmp_path)
    for hour, objections in enumerate(((), ("deployments are frozen",))):
        report = replace(
            report_of(judged(check="suite"), objections=objections, generated=f"2025-03-01T1{hour}:30:00Z"),
            cells=(cell_of(),),
        )
        store.begin(f"run{hour}", f"2025-03-01T1{hour}:00:00Z")
        store.complete(f"run{hour}", report, "not proven", 1)

    (name,) = {service.name for record in stored_records(tmp_path) for service in record.services}
    knowledge = gate_knowledge(stored_records(tmp_path), [name], "3.12", Checkout())

    readiness = stage_readiness([name], knowledge)
    assert readiness.unchecked == ((name, "its run was not accepted: deployments are frozen"),)
    assert step_before_deployment(1, readiness, Checkout()) is not None
