"""Measurements, and the figures that are worth showing."""

import statistics
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

LIMITS = {"heart_rate": (25, 240), "temperature": (30.0, 44.0), "steps": (0, 120_000), "sleep_hours": (0.0, 24.0)}


@dataclass(frozen=True)
class Measurement:
    kind: str
    value: float
    taken: datetime

    @classmethod
    def read(cls, entry):
        """From decoded JSON; ``ValueError`` for an unknown kind or a value that no body has."""
        kind, value = entry["kind"], float(entry["value"])
        if kind not in LIMITS:
            raise ValueError("unknown kind: " + kind)
        low, high = LIMITS[kind]
        if not low <= value <= high:
            raise ValueError("{} of {:g} is not between {:g} and {:g}".format(kind, value, low, high))
        return cls(kind, value, datetime.fromisoformat(entry["taken"]))


def daily_means(measurements, kind):
    """Date -> mean of that day, days in order."""
    days = defaultdict(list)
    for measurement in measurements:
        if measurement.kind == kind:
            days[measurement.taken.date().isoformat()].append(measurement.value)
    return {day: round(statistics.fmean(days[day]), 2) for day in sorted(days)}


def outliers(values, factor=3.0):
    """Values further from the median than ``factor`` median deviations."""
    if len(values) < 3:
        return []
    middle = statistics.median(values)
    deviation = statistics.median(abs(value - middle) for value in values)
    return [value for value in values if deviation and abs(value - middle) > factor * deviation]


def trend(means):
    """``rising``, ``falling`` or ``steady``: the second half of the days against the first."""
    values = list(means.values())
    if len(values) < 2:
        return "steady"
    half = len(values) // 2
    change = statistics.fmean(values[-half:]) - statistics.fmean(values[:half])
    if abs(change) < 0.02 * abs(statistics.fmean(values)):
        return "steady"
    return "rising" if change > 0 else "falling"
