"""Planned and actual dates of a stage."""

from datetime import date

import pytest

from pytest_py312.core.model.plan import StageDates
from pytest_py312.rollout.reporting.roadmap.stage_dates import StageSchedule, StageTiming, earliest_end

TODAY = date(2025, 3, 10)
DAY = {number: date(2025, 3, number) for number in range(1, 32)}


def schedule(
    start: int = 0, end: int = 0, *, started: int = 0, accepted: int = 0, at_the_earliest: int = 0
) -> StageSchedule:
    """Return a schedule of days in March 2025; 0 is none."""
    return StageSchedule(
        planned=StageDates(environment="test", start=DAY.get(start), end=DAY.get(end)),
        timing=StageTiming(attempts=1 if started else 0, started=DAY.get(started), accepted=DAY.get(accepted)),
        earliest_end=DAY.get(at_the_earliest),
    )


@pytest.mark.parametrize(
    ("dates", "late", "text"),
    [
        (schedule(), 0, ""),
        (schedule(started=3), 0, ""),
        (schedule(10, 14), 0, "no"),
        (schedule(7, 14), 3, "3 days, not started"),
        (schedule(1, 5), 9, "9 days, not started"),
        (schedule(7, 14, started=8), 0, "no"),
        (schedule(1, 9, started=8), 1, "1 day"),
        (schedule(1, 14, started=8, at_the_earliest=16), 2, "2 days at least"),
        (schedule(1, 5, started=1, accepted=5), 0, "no"),
        (schedule(1, 5, started=1, accepted=8), 3, "3 days"),
        (schedule(1, started=5, accepted=8), 0, "no"),
        (schedule(end=5, started=1), 5, "5 days"),
    ],
)
def test_a_stage_is_late(dates: StageSchedule, late: int, text: str) -> None:
    assert (dates.late_days(TODAY), dates.late_text(TODAY)) == (late, text)


def test_the_end_is_a_day_or_a_forecast() -> None:
    assert schedule(started=1, accepted=8).end_text == "2025-03-08"
    assert schedule(started=1, at_the_earliest=12).end_text == "2025-03-12 at the earliest"
    assert schedule(started=1).end_text == ""


def test_a_soak_ends_when_the_rest_of_it_is_credited() -> None:
    assert earliest_end(48 * 3600.0, 0.0) == date(1970, 1, 3)
