"""What earlier runs measured, kept in the state file and laid beside what a run measures."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import PastSpeed, Verdict
from pytest_py312.gate.run.benchmark_history import SpeedHistory, document_of, key_of, past_of
from pytest_py312.gate.run.state import KEPT_SPEEDS
from tests.support.report_samples import PY310, speed

NOON = "2025-03-01T12:00:00Z"
BUILDS = {"python": ("3.9.18", "3.12.1"), "build": ("pgo", "pgo")}


def run(folder: Path, at: str, ratio: float = 1.42) -> tuple[PastSpeed, ...]:
    """A run that measures one benchmark; what it sees of earlier ones."""
    history = SpeedHistory(folder)
    [found] = history.laid_beside([speed(ratio=ratio, conditions=BUILDS)])
    history.keep([found], at)
    return found.earlier


def test_a_run_sees_those_before_it_and_not_itself(tmp_path: Path) -> None:
    assert run(tmp_path, "2025-03-01T12:00:00Z", 1.1) == ()
    assert [past.ratio for past in run(tmp_path, "2025-03-02T12:00:00Z", 1.2)] == [1.1]
    assert [past.ratio for past in run(tmp_path, "2025-03-03T12:00:00Z", 1.3)] == [1.1, 1.2]


def test_what_a_run_has_kept_does_not_come_back_to_it(tmp_path: Path) -> None:
    """The report is made twice, for files and for the terminal."""
    history = SpeedHistory(tmp_path)
    measured = history.laid_beside([speed()])
    history.keep(measured, NOON)
    assert history.laid_beside([speed()]) == measured


def test_other_builds_another_baseline_and_another_benchmark_have_their_own(tmp_path: Path) -> None:
    run(tmp_path, NOON)
    history = SpeedHistory(tmp_path)
    others = [
        speed(conditions=BUILDS | {"python": ("3.9.18", "3.12.2")}),
        speed(conditions=BUILDS | {"processor": ("slow", "slow")}),
        speed(conditions=BUILDS, baseline=PY310),
        speed(conditions=BUILDS, name="other"),
    ]
    assert [found.earlier for found in history.laid_beside(others)] == [()] * 4


def test_the_core_it_ran_on_makes_no_difference() -> None:
    assert key_of(speed(conditions={"core": ("1", "1")})) == key_of(speed(conditions={"core": ("2", "2")}))


def test_so_many_runs_are_kept_and_no_more(tmp_path: Path) -> None:
    history = SpeedHistory(tmp_path)
    for number in range(KEPT_SPEEDS + 3):
        history.keep([speed(ratio=float(number))], f"2025-03-01T12:00:{number:02}Z")
    [found] = SpeedHistory(tmp_path).laid_beside([speed()])
    assert [past.ratio for past in found.earlier] == [float(number) for number in range(3, KEPT_SPEEDS + 3)]


def test_nothing_measured_opens_no_state_file(tmp_path: Path) -> None:
    history = SpeedHistory(tmp_path / ".py312")
    assert history.laid_beside([]) == ()
    history.keep([speed(pairs=())], NOON)
    assert not (tmp_path / ".py312").exists()


def test_a_state_file_that_cannot_be_used_is_no_history(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_bytes(b"this was never a database, by any means\n" * 200)
    assert run(tmp_path, NOON) == ()
    assert run(tmp_path, NOON) == ()


def test_what_is_kept_can_be_read_again() -> None:
    """Also where there were too few pairs to know the end of the interval."""
    for high in (1.47, math.inf):
        document = json.loads(json.dumps(document_of(speed(high=high), NOON)))
        assert past_of(document) == PastSpeed(
            at=NOON, verdict=Verdict.SLOWER, ratio=1.42, low=1.38, high=high, before=0.011, after=0.0150
        )


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": "1"}, {"ratio": True}, {"ratio": -1.0}, {"low": math.nan}, {"high": math.inf}, {"before": 10**400},
        {"verdict": "slowest"}, {"verdict": []}, {"at": 3}, {"at": "<b>" * 40}, {"at": "\x1b[2J"}, {"after": None},
    ],
)  # fmt: skip
def test_what_was_not_written_by_us_is_not_believed(change: dict[str, object]) -> None:
    assert past_of(document_of(speed(), NOON) | change) is None


JSON = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


@given(JSON | st.dictionaries(st.sampled_from(["at", "verdict", "ratio", "low", "high", "before", "after"]), JSON))
def test_no_document_makes_it_raise(document: object) -> None:
    found = past_of(document)
    assert found is None or math.isfinite(found.ratio)


def test_it_is_kept_for_each_run_of_a_comparison(tmp_path: Path) -> None:
    """Several of a service at once."""
    history = SpeedHistory(tmp_path)
    both = [speed(), replace(speed(), name="other", ratio=0.5)]
    history.keep(both, NOON)
    assert [found.earlier[0].ratio for found in SpeedHistory(tmp_path).laid_beside(both)] == [1.42, 0.5]
