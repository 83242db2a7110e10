"""Comparisons of a new version with the previous one."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.errors import OptionError
from pytest_py312.core.serialization import encode
from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.canary_analysis.statistics import MetricComparison
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.load_report import LoadReport, StepReport
from pytest_py312.rollout.monitoring.comparison import (
    ComparisonRow,
    compare_loads,
    parse_window,
    same_time_of_day,
    worst_verdict,
)
from tests.unit.rollout.shells import Shell, shell_in

POINTS = 48
SETTINGS = CompareSettings()


def row(verdict: Verdict) -> ComparisonRow:
    return ComparisonRow(service="a", metric="b", compared=MetricComparison(verdict=verdict))


def test_the_worst_verdict_counts_and_no_rows_are_inconclusive() -> None:
    assert worst_verdict([]) is Verdict.INCONCLUSIVE
    assert worst_verdict([row(Verdict.PASSED)]) is Verdict.PASSED
    assert worst_verdict([row(Verdict.PASSED), row(Verdict.INCONCLUSIVE)]) is Verdict.INCONCLUSIVE
    assert worst_verdict([row(Verdict.INCONCLUSIVE), row(Verdict.FAILED)]) is Verdict.FAILED


# ---- windows


@pytest.mark.parametrize("text", ["", "2026-11-24", "x..y", "2026-11-25..2026-11-24", "2026-11-24.."])
def test_invalid_windows_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|isoformat"):
        parse_window(text)


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert parse_window("2026-11-24T08:00..2026-11-24T09:00") == parse_window(
        "2026-11-24T09:00+01:00..2026-11-24T09:00Z"
    )


def test_windows_at_different_times_of_the_day_are_noted() -> None:
    first_window, alike, other = (
        parse_window(text)
        for text in ("2026-11-23..2026-11-24", "2026-11-26T00:00:30..2026-11-27", "2026-11-26T01:00..2026-11-27")
    )
    assert same_time_of_day(first_window, alike)
    assert same_time_of_day(alike, first_window)
    assert not same_time_of_day(first_window, other)


# ---- loads


def report(p95: float = 0.1, **changes: Any) -> LoadReport:
    step = StepReport(
        rate=100.0, achieved=100.0, sent=6000, not_sent=0, errors=0, p50=p95 / 2, p95=p95, p99=p95 * 2, longest=p95 * 3,
        lateness=0.0, verdict=Verdict.PASSED,
    )  # fmt: skip
    return LoadReport(verdict=Verdict.PASSED, steps=(replace(step, **changes),))


def verdicts(old: list[LoadReport], new: list[LoadReport]) -> set[Verdict]:
    return {compared.verdict for _, compared in compare_loads(old, new, SETTINGS)}


def test_loads_are_compared_by_the_median_of_their_rounds() -> None:
    assert verdicts([report()] * 3, [report(), report(0.5), report(0.11)]) == {Verdict.PASSED}
    assert verdicts([report()] * 3, [report(0.13)] * 3) == {Verdict.FAILED}


@pytest.mark.parametrize("p95", [0.1, 0.2])
@pytest.mark.parametrize(("old", "new"), [(1, 1), (2, 3), (3, 1)])
def test_fewer_than_three_rounds_are_inconclusive(p95: float, old: int, new: int) -> None:
    found = dict(compare_loads([report()] * old, [report(p95)] * new, SETTINGS))["p95 at 100/s"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.startswith(f"{p95 * 10:.2f} times that of the previous version, in {min(old, new)} round")


def test_a_slowdown_is_reported_with_both_times() -> None:
    reason = dict(compare_loads([report()] * 3, [report(0.2)] * 3, SETTINGS))["p95 at 100/s"].reason
    assert reason == "200 ms; the previous version took 100 ms; 1.25 times are allowed"


def test_verdicts_of_the_loads_override_the_comparison() -> None:
    failed = replace(report(), verdict=Verdict.FAILED, reason="5 % failed")
    saturated = replace(report(), verdict=Verdict.INCONCLUSIVE, reason="generator saturated")
    assert verdicts([report()], [failed]) == {Verdict.FAILED}
    assert verdicts([failed], [report()]) == {Verdict.INCONCLUSIVE}, "the previous version is unknown"
    assert verdicts([saturated], [failed]) == {Verdict.INCONCLUSIVE}
    assert verdicts([report()], [saturated]) == {Verdict.INCONCLUSIVE}


def test_loads_that_cannot_be_compared_are_inconclusive() -> None:
    assert verdicts([report()], [report(rate=200.0)]) == {Verdict.INCONCLUSIVE}
    assert verdicts([report()], [report(sent=49)]) == {Verdict.INCONCLUSIVE}
    assert verdicts([LoadReport(verdict=Verdict.PASSED)], [LoadReport(verdict=Verdict.PASSED)]) == {
        Verdict.INCONCLUSIVE
    }
    assert verdicts([report(0.0)], [report()]) == {Verdict.INCONCLUSIVE}


# ---- on the command line


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch)
    shell("deploy --stage 1")
    return shell


def record(shell: Shell, new: Callable[[int], float], old: Callable[[int], float] | None, *, first: int = 1) -> None:
    """Record samples every minute, starting at midnight UTC."""
    journal = Journal(shell.context.state_dir)
    run = journal.current_runs("test")[0].run
    journal.acquire(run, owner="test")
    noise = random.Random(7)
    samples = []
    for slot in range(first, first + POINTS):
        measured = [
            Measurement(metric="latency", result=Result.SUCCESSFUL, value=new(slot) * noise.uniform(0.95, 1.05))
        ]
        if old is not None:
            value = old(slot) * noise.uniform(0.95, 1.05)
            measured.append(Measurement(metric=CONTROL_PREFIX + "latency", result=Result.SUCCESSFUL, value=value))
        at = Timestamp(wall=86400.0 * 10000 + slot * 60.0, boottime=slot * 60.0, boot="b")
        samples.append(Sample(service="auth", slot=slot, at=at, measurements=tuple(measured)))
    journal.add_samples(run, samples, owner="test")
    journal.close()


def test_a_version_slower_than_its_control_fails(py312: Shell) -> None:
    record(py312, lambda slot: 0.02, lambda slot: 0.01)
    document = py312.document("compare --stage 1", code=1)
    assert document["verdict"] == "failed"
    (found,) = document["rows"]
    assert (found["service"], found["metric"], found["points"]) == ("auth", "latency", POINTS)
    assert 1.8 < found["ratio"] < 2.2
    assert found["p_value"] < 0.02
    assert py312("compare --stage 1", code=1).endswith("\nfailed\n")


def test_equal_versions_pass(py312: Shell) -> None:
    record(py312, lambda slot: 0.01, lambda slot: 0.01)
    text = py312("compare --stage 1 --metric latency --services au*")
    assert text.splitlines()[0].split() == ["verdict", "service", "metric", "ratio", "p", "points"]
    assert text.endswith("\npassed\n")


def test_without_a_control_nothing_is_compared(py312: Shell) -> None:
    record(py312, lambda slot: 0.01, None)
    document = py312.document("compare --stage 1", code=1)
    assert document["verdict"] == "inconclusive"
    assert document["rows"][0]["reason"] == "no control ran beside the new version"
    assert (document["rows"][0]["ratio"], document["rows"][0]["p_value"]) == (None, None)


def test_a_latency_that_the_control_never_answered_is_reported_missing(py312: Shell) -> None:
    record(py312, lambda slot: 0.01, None)
    journal = Journal(py312.context.state_dir)
    run = journal.current_runs("test")[0].run
    samples = [
        replace(
            sample,
            slot=sample.slot + POINTS,
            measurements=(
                *sample.measurements,
                *(
                    Measurement(metric=name, result=Result.SUCCESSFUL, value=5.0)
                    for name in ("memory", CONTROL_PREFIX + "memory")
                ),
            ),
        )
        for sample in journal.samples(run, "auth")
    ]
    journal.add_samples(run, samples, owner="test")
    journal.close()
    document = py312.document("compare --stage 1", code=1)
    verdicts = {row["metric"]: row["verdict"] for row in document["rows"]}
    assert verdicts == {"memory": "passed", "latency": "inconclusive"}


def test_too_few_points_are_inconclusive(py312: Shell) -> None:
    py312.plan.write_text(py312.plan.read_text() + "\n[soak.compare]\nmin-points = 100\n")
    record(py312, lambda slot: 0.02, lambda slot: 0.01)
    assert "48 points of both versions; 100 are needed" in py312("compare --stage 1", code=1)


BEFORE, AFTER = "1997-05-19T00:00..1997-05-19T00:49", "1997-05-19T01:00..1997-05-19T01:49"


def test_two_windows_are_compared_value_by_value(py312: Shell) -> None:
    record(py312, lambda slot: 0.01, None)
    record(py312, lambda slot: 0.02, None, first=61)
    document = py312.document(f"compare --stage 1 --before {BEFORE} --after {AFTER}", code=1)
    assert document["verdict"] == "failed"
    assert [found["metric"] for found in document["rows"]] == ["latency"]
    assert document["rows"][0]["points"] == POINTS
    assert "same time of day" in document["note"]
    again = py312.document(f"compare --stage 1 --before {BEFORE} --after {BEFORE}")
    assert (again["verdict"], again["note"]) == ("passed", "")


def test_an_empty_window_is_inconclusive(py312: Shell) -> None:
    record(py312, lambda slot: 0.01, None)
    assert py312.document(f"compare --stage 1 --before {BEFORE} --after {AFTER}", code=1)["verdict"] == "inconclusive"
    document = py312.document(f"compare --stage 1 --metric x --before {BEFORE} --after {AFTER}", code=1)
    assert document["rows"][0]["metric"] == "x"


def test_loads_are_read_from_their_reports(py312: Shell) -> None:
    def rounds(name: str, p95: float) -> str:
        files = [py312.root / f"{name}-{number}.json" for number in range(3)]
        for number, file in enumerate(files):
            file.write_text(json.dumps({"schema": 1, **encode(report(p95, longest=1.0 + number))}))
        return " ".join(map(str, files))

    old, new, slow = rounds("old", 0.1), rounds("new", 0.1001), rounds("slow", 0.4)
    assert py312.document(f"compare --old {old} --new {new}")["verdict"] == "passed"
    document = py312.document(f"compare --old {old} --new {slow}", code=1)
    assert [(found["metric"], found["ratio"]) for found in document["rows"]] == [
        ("p50 at 100/s", 4.0),
        ("p95 at 100/s", 4.0),
    ]
    first = old.split()[0]
    assert py312.document(f"compare --old {first} --new {new}", code=1)["verdict"] == "inconclusive"
    with pytest.raises(OptionError, match=r"the same report as .*old-0\.json; each round counts once"):
        py312(f"compare --old {first} {first} {first} --new {new}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("compare", "nothing to compare"),
        ("compare --stage 2", "stage 2 was never deployed in test"),
        (
            "compare --stage 1 --services nobody",
            "--services nobody: no such service was deployed; deployed services: auth",
        ),
        ("compare --stage 1 --before 2026-11-24..2026-11-25", "--before and --after: a window is FROM"),
        ("compare --old a.json", "must be given together"),
        ("compare --old nowhere --new nowhere", "not a report of `py312 load-test --json`"),
    ],
)
def test_invalid_options_are_reported(py312: Shell, line: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        py312(line)
