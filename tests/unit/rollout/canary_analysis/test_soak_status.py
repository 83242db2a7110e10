"""How a stage that is watched stands, and whether anybody watches it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.rollout.canary_analysis.soak_status import Standing, in_words, spelled, standing_of
from pytest_py312.rollout.domain.model import Moment, StageRun, StageState
from tests.unit.rollout.runs import planned, soaking
from tests.unit.rollout.shells import Shell, shell_in


def at(seconds: float, boot: str = "b") -> Moment:
    return Moment(wall=1e9 + seconds, boottime=seconds, boot=boot)


def found(run: StageRun, now: float, **newest: tuple[int, Moment]) -> Standing:
    standing = standing_of(run, {"": (0, at(0)), **newest}, at(now), 300.0)
    assert standing is not None
    return standing


def test_the_next_sample_is_due_by_the_schedule_and_not_by_the_last_one() -> None:
    standing = found(soaking(), 700.0, user=(2, at(655)))
    assert (standing.silent_for, standing.next_in, standing.is_silent) == (45.0, 200.0, False)
    assert found(soaking(), 950.0, user=(2, at(655))).next_in == 0.0, "slot 3 is due and nobody has taken it"


def test_silence_is_told_after_two_intervals() -> None:
    assert not found(soaking(), 1200.0, user=(2, at(600))).is_silent
    late = found(soaking(), 1620.0, user=(2, at(600)))
    assert late.is_silent
    assert "no sample for 17 min; `py312 watch --stage 1 --env test` goes on" in in_words(late, soaking())


def test_silence_counts_from_the_beginning_where_there_was_no_sample() -> None:
    standing = found(soaking(), 900.0)
    assert (standing.last_sample, standing.silent_for, standing.is_silent) == (None, 900.0, True)


def test_across_a_restart_of_the_machine_the_date_counts() -> None:
    now = replace(at(620.0), boot="another", boottime=20.0)
    standing = standing_of(soaking(), {"": (0, at(0)), "user": (2, at(600))}, now, 300.0)
    assert standing is not None
    assert standing.silent_for == 20.0


def test_what_nobody_has_begun_to_watch_says_so() -> None:
    standing = standing_of(soaking(), {}, at(5), 300.0)
    assert standing == Standing(left=3600.0, next_in=0.0)
    assert "nobody has watched it yet" in in_words(standing, soaking())


@pytest.mark.parametrize("state", [state for state in StageState if state.value not in ("soaking", "soaked", "held")])
def test_only_what_is_up_and_watched_stands_like_this(state: StageState) -> None:
    assert standing_of(planned(state=state), {}, at(5), 300.0) is None


def test_a_held_stage_is_sampled_until_its_credit_is_whole() -> None:
    held = replace(soaking(), state=StageState.HELD)
    assert found(held, 320.0, user=(1, at(300))).next_in == 280.0
    whole = replace(held, credited=held.soak)
    assert in_words(found(whole, 99999.0, user=(1, at(300))), whole) == "no more samples are taken"


def test_times_are_short() -> None:
    assert [spelled(seconds) for seconds in (0, 89, 1020, 5400, 162000)] == ["0 s", "89 s", "17 min", "1.5 h", "45.0 h"]


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return shell_in(tmp_path, monkeypatch)


def test_status_tells_how_much_is_left_and_that_nobody_looks(py312: Shell) -> None:
    py312("deploy --stage 1")
    assert "nobody has watched it yet" in py312("status")
    py312("tick --stage 1", code=75)
    py312.ticked()
    assert "1 min of 3 min" in py312("status")
    assert "2 min left, at the least; next sample in 60 s" in py312("status")
    py312.seconds += 1000.0
    assert "no sample for 17 min" in py312("status")
    watching = py312.document("status")["runs"][0]["watching"]
    assert (watching["is_silent"], watching["silent_for"], watching["left"]) == (True, 1000.0, 120.0)
    assert watching["last_sample"] == 1e9 + 1060.0


def test_status_of_what_is_over_has_no_watching(py312: Shell) -> None:
    py312("deploy --stage 1")
    py312.accept(1)
    assert py312.document("status")["runs"][0]["watching"] is None
    assert "sample" not in py312("status")
