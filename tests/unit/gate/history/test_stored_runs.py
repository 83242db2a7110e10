"""The reports of earlier runs: what is stored is what was reported."""

import zlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.database import Database
from pytest_py312.core.errors import OptionError, StateError
from pytest_py312.core.model.findings import Severity, SourceChange, SpecifierChange
from pytest_py312.core.model.measurements import InterpreterBuild, PastComparison, SpeedVerdict, SuiteComparison
from pytest_py312.core.model.plan import Stage, Waiver, with_resolution
from pytest_py312.core.model.report import Checkout, Report, ReportSection, RolloutReport
from pytest_py312.core.model.shards import RunIdentity, ShardPart, WorkUnit
from pytest_py312.gate.history import stored_runs
from pytest_py312.gate.history.stored_runs import MAX_RUNS, RunStore
from pytest_py312.gate.reports import FORMAT_OF_ENDING, render
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of, speed


def full_report() -> Report:
    """Return a report with something in each field."""
    changes = (
        SpecifierChange(path="app/requirements.txt", line=1, name="six", old="", new=">=1.16"),
        SourceChange(path="app.py", line=3, column=5, old="asyncio.coroutine", new="types.coroutine"),
    )
    past = PastComparison(
        ended_at="2025-02-01T12:00:00Z", verdict=SpeedVerdict.SAME, ratio=1.0, low=0.9, high=float("inf"),
        baseline_median=0.1, target_median=0.1,
    )  # fmt: skip
    build = InterpreterBuild(
        interpreter=PY312, version="3.12.1", executable="/usr/bin/python3.12", origin="PATH", digest="d", flags="pgo"
    )
    broken = judged(finding(changes=changes, source_line="\udc80 é", detail="a\x1b[31mb"), finding(waived=True))
    lowered = finding(severity=Severity.WARNING, owner="a", lowered_from=Severity.ERROR, lowered_by="rules")
    made = report_of(
        replace(broken, nodeid="services/user-service::py3.12::source", seconds=1.25),
        replace(errored("killed"), nodeid="services/user-service::py3.12::suite"),
        judged(finding(known=True, names=("a::b[\udcff]",)), lowered, on=PY39, check="suite"),
        services=(service(), service("auth-service", baseline=PY310)),
        checks=("source", "suite"),
        comparisons=(
            SuiteComparison(
                service="user-service", baseline=PY39, target=PY312, newly_failing=("a::b",),
                first_bad={"a::b": PY310}, counts={PY39: {"passed": 2}, PY312: {"failed": 1}},
            ),
        ),
        benchmarks=(speed(high=float("inf"), past_comparisons=(past,), conditions={"clock": ("a", "b")}),),
        assumptions=("user-service has no baseline",),
        runner="local (no Docker engine answers)",
        resolver="uv 1",
        cut_short=True,
        not_run=(("auth-service", PY312, "suite"), ("auth-service", None, "source")),
        end_signal="SIGTERM",
        builds=(build,),
        objections=("frozen",),
        sections=(ReportSection(title="t", text="a\nb"),),
        history=(("Ended", "Exit"), ("yesterday", "1"), ("today", "0")),
        rollout=RolloutReport(environment="production", stage=1, status="passed", services=("user-service",)),
        checkout=Checkout(repository="suoke/platform", commit="c", branch="main", modified=True),
        shard=ShardPart(
            part=1,
            parts=2,
            identity=RunIdentity(
                tool="1", commit="c", changes=(("a.py", "d"),), plan="p", options=(("-k", "x"),), durations=""
            ),
            units=(WorkUnit(service="user-service", part=1, items=("py3.12::suite",)),),
        ),
    )  # fmt: skip
    waiver = Waiver(service="user-service", reason="r", owner="ada", until=date(2030, 1, 1), code="PY105")
    plan = replace(made.plan, waivers=(waiver,), stages=(Stage(number=1, name="first"),))
    return replace(made, plan=with_resolution(plan, resolver="pip-tools", offline=True))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / ".py312")


def stored(store: RunStore, run_id: str, report: Report) -> Report:
    store.begin(run_id, "2025-03-01T12:00:00Z")
    store.complete(run_id, report, "not proven", int(report.exit_status))
    return store.report(store.find(run_id))


@pytest.mark.parametrize("report_format", FORMAT_OF_ENDING.values())
def test_each_format_of_a_stored_run_has_the_same_bytes(store: RunStore, report_format: str) -> None:
    report = full_report()
    assert all(getattr(report, name) for name in Report.__slots__), "a field of the sample is empty"

    again = stored(store, "one", report)

    assert render(again, report_format, prefix="app/") == render(report, report_format, prefix="app/")


def test_a_run_is_listed_from_its_beginning_on(store: RunStore) -> None:
    """One that was killed is not mistaken for the one before it."""
    stored(store, "20250301T120000Z-1-aaaaaa", full_report())
    store.begin("20250301T130000Z-2-bbbbbb", "2025-03-01T13:00:00Z")

    assert [(run.id[-6:], run.exit_status, run.summary) for run in store.runs()] == [
        ("bbbbbb", None, ""),
        ("aaaaaa", 1, "not proven"),
    ]
    with pytest.raises(StateError, match="20250301T130000Z-2-bbbbbb has no report: it is still running, or was killed"):
        store.report(store.find())
    assert store.find("20250301T12").id.endswith("aaaaaa")


def test_only_the_newest_runs_are_kept(store: RunStore) -> None:
    for number in range(MAX_RUNS + 3):
        store.begin(f"run {number}", "2025-03-01T12:00:00Z")

    assert [run.id for run in store.runs()] == [f"run {number}" for number in range(MAX_RUNS + 2, 2, -1)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("2025", "several runs begin so; `py312 report --list` shows them"),
        ("2025-b", "there is no such run.*perhaps you meant"),
    ],
)
def test_a_name_has_to_fit_one_run(store: RunStore, name: str, message: str) -> None:
    for run_id in ("2025-a", "2025-c"):
        store.begin(run_id, "2025-03-01T12:00:00Z")

    with pytest.raises(OptionError, match=message):
        store.find(name)


def test_without_runs_nothing_is_created(store: RunStore, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no run is stored"):
        store.find()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"no zip", zlib.compress(b"{"), zlib.compress(b"[]"), zlib.compress(b'{"report": {}, "cells": []}'), "a", 7],
)
def test_a_report_that_cannot_be_read_is_refused(store: RunStore, tmp_path: Path, content: object) -> None:
    """The file may be damaged, or from another version."""
    stored(store, "one", full_report())
    database = Database(tmp_path / ".py312/runs.sqlite", schema="", version=1, max_bytes=2**20, is_cache=True)
    database.transact(lambda execute: execute("UPDATE runs SET document = ?", (content,)))
    database.close()

    with pytest.raises(StateError, match=r"run one cannot be read .*another version"):
        store.report(store.find())


def test_a_report_that_is_too_large_unpacked_is_refused(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_runs, "SIZE_LIMIT", 1000)

    with pytest.raises(StateError, match="too large"):
        stored(store, "one", full_report())


def test_a_run_that_cannot_be_stored_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".py312").write_text("a file, and no folder")
    store = RunStore(tmp_path / ".py312")

    store.begin("one", "2025-03-01T12:00:00Z")
    store.complete("one", full_report(), "not proven", 1)

    assert store.runs() == ()
