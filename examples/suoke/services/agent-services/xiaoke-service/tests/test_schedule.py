import pytest

from xiaoke.schedule import Schedule, Taken, day


@pytest.fixture
def schedule():
    return Schedule(day("2026-03-02", ["Chen", "Wu"], first=9, last=10))


def test_a_morning_is_cut_into_slots(schedule):
    assert [(slot.begin.strftime("%H:%M"), slot.doctor) for slot in schedule.free()][:3] == [
        ("09:00", "Chen"),
        ("09:00", "Wu"),
        ("09:20", "Chen"),
    ]


def test_a_booked_slot_is_not_free(schedule):
    first = schedule.free("Wu")[0]
    schedule.book(first, "lin")
    assert first not in schedule.free()


def test_a_slot_is_booked_once(schedule):
    first = schedule.free()[0]
    schedule.book(first, "lin")
    with pytest.raises(Taken, match="Chen at 09:00 is taken"):
        schedule.book(first, "mei")


def test_nobody_is_in_two_places_at_once(schedule):
    schedule.book(schedule.free("Chen")[0], "lin")
    with pytest.raises(Taken, match="lin is with Chen then"):
        schedule.book(schedule.free("Wu")[0], "lin")


def test_whoever_waited_longest_gets_what_falls_free(schedule):
    first = schedule.free("Chen")[0]
    schedule.book(first, "lin")
    schedule.wait("mei", "Wu")
    schedule.wait("bao", "Chen")
    schedule.wait("hua", "Chen")
    assert schedule.cancel(first) == "bao"
    assert first not in schedule.free()


def test_where_nobody_waits_the_slot_is_free_again(schedule):
    first = schedule.free()[0]
    schedule.book(first, "lin")
    assert schedule.cancel(first) is None
    assert first in schedule.free()


def test_free_slots_after_an_hour(schedule):
    last = schedule.free("Wu")[-1]
    assert schedule.free("Wu", after=last.begin) == [last]
