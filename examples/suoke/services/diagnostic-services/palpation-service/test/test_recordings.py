from pathlib import PurePosixPath

import pytest

from palpation.recordings import catalogue, name, place


def test_a_recording_is_named_by_its_patient_and_day():
    assert name(place("lin", "2026-03-01", "left")) == "lin/2026-03-01/left"


def test_what_lies_elsewhere_has_no_name():
    with pytest.raises(ValueError):
        name(PurePosixPath("/etc/passwd"))


def test_wrists_are_counted():
    waves = [place("lin", "2026-03-01", "left"), place("lin", "2026-03-02", "left"), place("wu", "2026-03-01", "right")]
    assert catalogue(waves) == {"lin": {"left": 2}, "wu": {"right": 1}}


@pytest.mark.benchmark(max_time=0.05)
def test_the_catalogue_of_a_year_is_quick(benchmark):
    waves = [place("lin", "2026-{:02}-{:02}".format(month, day), "left") for month in range(1, 13) for day in (1, 15)]
    assert benchmark(catalogue, waves) == {"lin": {"left": 24}}
