import pytest

from soer.plans import Person, plan, season, steps, water

LIN = Person(weight=60, age=38)


@pytest.mark.parametrize(("month", "expected"), [(1, "winter"), (4, "spring"), (7, "summer"), (11, "autumn")])
def test_seasons(month, expected):
    assert season(month) == expected


def test_water_follows_weight():
    assert water(LIN, temperature=20) == 2.0


def test_water_follows_heat():
    assert water(LIN, temperature=30) == 2.5


def test_the_active_drink_more():
    assert water(Person(weight=60, age=38, active=True), temperature=20) == 2.5


def test_steps_get_fewer_with_age():
    assert steps(Person(weight=60, age=70)) == 7_000


def test_at_fifty_the_goal_is_lower():
    assert steps(Person(weight=60, age=50)) == 9_850


def test_steps_have_a_floor():
    assert steps(Person(weight=60, age=99)) == 4_000


def test_a_winter_plan():
    made = plan(LIN, month=1, temperature=2)
    assert (made["bedtime"], made["flavour"]) == ("21:30", "salty")
