"""The history of benchmarks in the state file."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import PastComparison, SpeedVerdict
from pytest_py312.gate.run.state import (
    MAX_COMPARISON_RUNS,
    BenchmarkHistory,
    comparison_document,
    comparison_key,
    parse_past_comparison,
)
from tests.support.report_samples import PY310, speed

NOON = "2025-03-01T12:00:00Z"
BUILDS = {"python": ("3.9.18", "3.12.1"), "build": ("pgo", "pgo")}


def run(folder: Path, at: str, ratio: float = 1.42) -> tuple[PastComparison, ...]:
    """Run one benchmark; return it with the results of earlier runs."""
    history = BenchmarkHistory(folder)
    [found] = history.with_history([speed(ratio=ratio, conditions=BUILDS)])
    history.record([found], at)
    return found.past_comparisons


def test_a_run_has_the_results_of_earlier_runs_only(tmp_path: Path) -> None:
    assert run(tmp_path, "2025-03-01T12:00:00Z", 1.1) == ()
    assert [past.ratio for past in run(tmp_path, "2025-03-02T12:00:00Z", 1.2)] == [1.1]
    assert [past.ratio for past in run(tmp_path, "2025-03-03T12:00:00Z", 1.3)] == [1.1, 1.2]


def test_a_run_does_not_read_its_own_results(tmp_path: Path) -> None:
    """The report is created twice, for files and for the terminal."""
    history = BenchmarkHistory(tmp_path)
    measured = history.with_history([speed()])
    history.record(measured, NOON)
    assert history.with_history([speed()]) == measured


def test_other_builds_baselines_and_benchmarks_have_separate_histories(tmp_path: Path) -> None:
    run(tmp_path, NOON)
    history = BenchmarkHistory(tmp_path)
    others = [
        speed(conditions=BUILDS | {"python": ("3.9.18", "3.12.2")}),
        speed(conditions=BUILDS | {"processor": ("slow", "slow")}),
        speed(conditions=BUILDS, baseline=PY310),
        speed(conditions=BUILDS, name="other"),
    ]
    assert [found.past_comparisons for found in history.with_history(others)] == [()] * 4


def test_the_core_does_not_affect_the_history() -> None:
    assert comparison_key(speed(conditions={"core": ("1", "1")})) == comparison_key(
        speed(conditions={"core": ("2", "2")})
    )


def test_the_number_of_kept_runs_is_limited(tmp_path: Path) -> None:
    history = BenchmarkHistory(tmp_path)
    for number in range(MAX_COMPARISON_RUNS + 3):
        history.record([speed(ratio=float(number))], f"2025-03-01T12:00:{number:02}Z")
    [found] = BenchmarkHistory(tmp_path).with_history([speed()])
    assert [past.ratio for past in found.past_comparisons] == [
        float(number) for number in range(3, MAX_COMPARISON_RUNS + 3)
    ]


def test_without_results_no_state_file_is_opened(tmp_path: Path) -> None:
    history = BenchmarkHistory(tmp_path / ".py312")
    assert history.with_history([]) == ()
    history.record([speed(pairs=())], NOON)
    assert not (tmp_path / ".py312").exists()


def test_an_unusable_state_file_means_no_history(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"this was never a database, by any means\n" * 200)
    assert run(tmp_path, NOON) == ()
    assert run(tmp_path, NOON) == ()


def test_stored_results_can_be_read_again() -> None:
    """Also with too few pairs for an upper bound of the interval."""
    for high in (1.47, math.inf):
        document = json.loads(json.dumps(comparison_document(speed(high=high), NOON)))
        assert parse_past_comparison(document) == PastComparison(
            ended_at=NOON,
            verdict=SpeedVerdict.SLOWER,
            ratio=1.42,
            low=1.38,
            high=high,
            baseline_median=0.011,
            target_median=0.0150,
        )


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": "1"}, {"ratio": True}, {"ratio": -1.0}, {"low": math.nan}, {"high": math.inf}, {"before": 10**400},
        {"verdict": "slowest"}, {"verdict": []}, {"at": 3}, {"at": "<b>" * 40}, {"at": "\x1b[2J"}, {"after": None},
    ],
)  # fmt: skip
def test_foreign_documents_are_ignored(change: dict[str, object]) -> None:
    assert parse_past_comparison(comparison_document(speed(), NOON) | change) is None


JSON = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


@given(JSON | st.dictionaries(st.sampled_from(["at", "verdict", "ratio", "low", "high", "before", "after"]), JSON))
def test_no_document_raises(document: object) -> None:
    found = parse_past_comparison(document)
    assert found is None or math.isfinite(found.ratio)


def test_every_comparison_of_a_run_is_stored(tmp_path: Path) -> None:
    """Several of one service at once."""
    history = BenchmarkHistory(tmp_path)
    both = [speed(), replace(speed(), name="other", ratio=0.5)]
    history.record(both, NOON)
    assert [found.past_comparisons[0].ratio for found in BenchmarkHistory(tmp_path).with_history(both)] == [1.42, 0.5]
