"""The status of a soak."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.rollout.canary_analysis.soak_status import (
    SoakStatus,
    compute_soak_status,
    describe_soak_status,
    format_credit,
)
from pytest_py312.rollout.domain.measurements import Timestamp
from pytest_py312.rollout.domain.model import StageRun, StageState
from tests.unit.rollout.runs import planned, soaking
from tests.unit.rollout.shells import Shell, shell_in


def at(seconds: float, boot: str = "b") -> Timestamp:
    return Timestamp(wall=1e9 + seconds, boottime=seconds, boot=boot)


def status_at(run: StageRun, now: float, **newest: tuple[int, Timestamp]) -> SoakStatus:
    status = compute_soak_status(run, {"": (0, at(0)), **newest}, at(now), 300.0)
    assert status is not None
    return status


def test_the_next_sample_is_due_by_the_schedule_and_not_by_the_last_one() -> None:
    status = status_at(soaking(), 700.0, user=(2, at(655)))
    assert (status.silent_for, status.next_in, status.is_silent) == (45.0, 200.0, False)
    assert status_at(soaking(), 950.0, user=(2, at(655))).next_in == 0.0, "slot 3 is due and nobody has taken it"


def test_silence_is_reported_after_two_intervals() -> None:
    assert not status_at(soaking(), 1200.0, user=(2, at(600))).is_silent
    late = status_at(soaking(), 1620.0, user=(2, at(600)))
    assert late.is_silent
    assert "no sample for 17 m; run `py312 watch --stage 1 --env test` to continue monitoring" in describe_soak_status(
        late, soaking()
    )


def test_silence_counts_from_the_beginning_where_there_was_no_sample() -> None:
    status = status_at(soaking(), 900.0)
    assert (status.last_sample, status.silent_for, status.is_silent) == (None, 900.0, True)


def test_across_a_restart_of_the_machine_the_date_counts() -> None:
    now = replace(at(620.0), boot="another", boottime=20.0)
    status = compute_soak_status(soaking(), {"": (0, at(0)), "user": (2, at(600))}, now, 300.0)
    assert status is not None
    assert status.silent_for == 20.0


def test_what_nobody_has_begun_to_watch_says_so() -> None:
    status = compute_soak_status(soaking(), {}, at(5), 300.0)
    assert status == SoakStatus(left=3600.0, next_in=0.0)
    assert "not monitored yet" in describe_soak_status(status, soaking())


@pytest.mark.parametrize("state", [state for state in StageState if state.value not in ("soaking", "soaked", "held")])
def test_only_a_monitored_stage_has_a_soak_status(state: StageState) -> None:
    assert compute_soak_status(planned(state=state), {}, at(5), 300.0) is None


def test_a_held_stage_is_sampled_until_its_credit_is_whole() -> None:
    held = replace(soaking(), state=StageState.HELD)
    assert status_at(held, 320.0, user=(1, at(300))).next_in == 280.0
    whole = replace(held, credited=held.soak)
    text = "sampling has ended; decide by `py312 promote|abort --stage 1 --env test --reason TEXT`"
    assert describe_soak_status(status_at(whole, 99999.0, user=(1, at(300))), whole) == text


def test_no_more_is_credited_than_is_needed() -> None:
    assert format_credit(32.0, 30.0) == "30 s of 30 s"
    assert format_credit(32.0, 3600.0) == "32 s of 1 h"


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return shell_in(tmp_path, monkeypatch)


def test_status_tells_how_much_is_left_and_that_nobody_looks(py312: Shell) -> None:
    py312("deploy --stage 1")
    assert "not monitored yet" in py312("status")
    py312("sample --stage 1", code=75)
    py312.sample_once()
    assert "1 m of 3 m" in py312("status")
    assert "at least 2 m left; next sample in 1 m" in py312("status")
    py312.seconds += 1000.0
    assert "no sample for 16 m 40 s" in py312("status")
    watching = py312.document("status")["runs"][0]["watching"]
    assert (watching["is_silent"], watching["silent_for"], watching["left"]) == (True, 1000.0, 120.0)
    assert watching["last_sample"] == 1e9 + 1060.0


def test_status_of_what_is_over_has_no_watching(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.accept(1)
    assert py312.document("status")["runs"][0]["watching"] is None
    assert "sample" not in py312("status")
