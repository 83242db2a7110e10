"""A plan for one day, from a few facts about a person and the season."""

from dataclasses import dataclass

SEASONS = {12: "winter", 1: "winter", 2: "winter", 3: "spring", 4: "spring", 5: "spring"}
SEASONS.update({6: "summer", 7: "summer", 8: "summer", 9: "autumn", 10: "autumn", 11: "autumn"})
FLAVOURS = {"spring": "sour", "summer": "bitter", "autumn": "pungent", "winter": "salty"}
BEDTIMES = {"spring": "22:30", "summer": "23:00", "autumn": "22:00", "winter": "21:30"}


@dataclass(frozen=True)
class Person:
    weight: float
    age: int
    active: bool = False


def season(month):
    return SEASONS[month]


def water(person, temperature):
    """Litres a day, to a tenth: 33 ml for each kilogram, more for the active and in the heat."""
    litres = person.weight * 0.033
    litres += 0.5 if person.active else 0.0
    litres += 0.1 * max(0, temperature - 25)
    return round(litres, 1)


def steps(person):
    """Steps a day: fewer with age, never under 4,000."""
    goal = 10_000 if person.age < 50 else 10_000 - (person.age - 50) * 150
    return max(4_000, goal)


def plan(person, month, temperature):
    now = season(month)
    return {
        "season": now,
        "water_litres": water(person, temperature),
        "steps": steps(person),
        "bedtime": BEDTIMES[now],
        "flavour": FLAVOURS[now],
    }
