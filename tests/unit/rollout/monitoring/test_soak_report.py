"""What people read of a soak."""

import pytest

from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.canary_analysis.time_series import Tally
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample
from pytest_py312.rollout.monitoring.soak_report import in_hours, limits_text, log_text, samples_text


def sample(slot: int, *measurements: Measurement) -> Sample:
    return Sample(service="user", slot=slot, at=Moment(wall=slot, boottime=slot, boot="b"), measurements=measurements)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59, "59 s"), (60, "1 m"), (270, "4 m 30 s"), (3600, "1 h"), (43500, "12 h 05 m"), (172800, "48 h")],
)
def test_times_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert in_hours(seconds) == text


def test_samples_are_told_by_metric() -> None:
    tally = Tally()
    tally.add(sample(1, Measurement(metric="availability", result=Result.SUCCESSFUL, value=0.5)))
    tally.add(sample(2, Measurement(metric="availability", result=Result.FAILED, value=2.5, detail="HTTP 500")))
    tally.add(sample(2, Measurement(metric="drift", result=Result.SUCCESSFUL)))
    assert samples_text(tally) == "availability: 1 successful, 1 failed; newest 2.5 (HTTP 500)"
    assert samples_text(Tally()) == "no sample yet"


def test_limits_are_told_with_their_figures() -> None:
    text = limits_text(SoakSettings())
    assert text.splitlines()[0] == "a sample each 5 m for 48 h, after 1 m that are not judged"
    assert "more than 2.00% of the soak" in text


def test_exceptions_are_told_by_where_they_come_from() -> None:
    """Kinds of lines are counted; each exception has the number of samples that it was seen in."""
    found = [
        sample(
            1,
            Measurement(metric="exceptions", result=Result.SUCCESSFUL, value=3.0, detail="KeyError in a; IOError in b"),
        ),
        sample(2, Measurement(metric="exceptions", result=Result.FAILED, value=1.0, detail="new: KeyError in a")),
        sample(3, Measurement(metric="exceptions", result=Result.ERROR, detail="no engine")),
        sample(3, Measurement(metric="log errors", result=Result.SUCCESSFUL, value=0.0)),
    ]
    assert log_text(found).splitlines() == [
        "exceptions: 4",
        "log errors: 0",
        "  KeyError in a (in 2 samples)",
        "  IOError in b (in 1 samples)",
    ]
    assert log_text([]) == "nothing was read of its log"
