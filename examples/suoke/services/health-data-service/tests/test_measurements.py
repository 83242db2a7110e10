import pytest

from health_data.measurements import Measurement, daily_means, outliers, trend


def pulse(value, taken):
    return Measurement.read({"kind": "heart_rate", "value": value, "taken": taken})


def test_means_are_by_day():
    taken = [pulse(70, "2026-03-02T08:00:00"), pulse(60, "2026-03-01T08:00:00"), pulse(75, "2026-03-02T20:00:00")]
    assert daily_means(taken, "heart_rate") == {"2026-03-01": 60.0, "2026-03-02": 72.5}


def test_other_kinds_do_not_count():
    assert daily_means([pulse(70, "2026-03-02T08:00:00")], "steps") == {}


def test_no_heart_beats_that_fast():
    with pytest.raises(ValueError, match="heart_rate of 400 is not between 25 and 240"):
        pulse(400, "2026-03-02T08:00:00")


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="mood"):
        Measurement.read({"kind": "mood", "value": 1, "taken": "2026-03-02T08:00:00"})


def test_an_outlier_is_far_from_the_median():
    assert outliers([70, 71, 72, 69, 140]) == [140]


def test_two_values_have_no_outlier():
    assert outliers([70, 140]) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [([60, 61, 70, 72], "rising"), ([72, 70, 61, 60], "falling"), ([70, 70, 70.5, 70], "steady"), ([70], "steady")],
)
def test_trend(values, expected):
    assert trend(dict(enumerate(values))) == expected
