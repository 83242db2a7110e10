"""Tell a leak from a cache, a warm-up and noise, from the first minutes of a soak on. Pure.

Memory is judged by what it has more than the control at the same moments; without a control by itself. Growth counts if

* it is significant by the trend test of Mann and Kendall. Points that resemble the one before them count for less,
  after the trend itself is taken out of them: steady growth is no correlated noise;
* it goes on: it stands still in one quarter of the time at most. A cache that fills once, and a step, do in more;
* at this rate the room that is left is used up within :data:`FORECAST_SOAKS` lengths of the soak;
* half of the soak has passed, or a quarter of the room is used: a cache that fills looks like a leak until it is full.

The numbers are from simulations: ``tests/benchmarks/leak_simulation.py``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from pytest_py312.rollout.canary_analysis.statistics import theil_sen_slope

MIN_POINTS = 12
FORECAST_SOAKS = 15
"""Growth is a leak if it uses up the room within this many lengths of the soak."""
_BLOCKS = 24
"""Groups of points, each represented by its lower quartile: a cache is emptied now and then, a leak never."""
_MIN_SCORE = 3.3
_MOST_CORRELATED = 0.5
_STANDSTILL = 0.5
"""Share of the slope over all points below which a quarter of them stands still."""
_EARLY_SHARE = 0.4
"""Share of the room that has to be used for a verdict before half of the soak has passed."""
_LEAST_ROOM = 256 * 2**20
"""Bytes: a service may grow so far, or to four times its size, however much its machine has."""
_MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryReading:
    """Memory at one moment: ``hours`` since any start, ``used`` bytes, those of the control at the same moment."""

    hours: float
    used: float
    control: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryGrowth:
    """Growth that goes on: ``per_hour`` and ``grown`` are in bytes; ``description`` is the end of a sentence."""

    per_hour: float
    grown: float
    hours_left: float
    description: str


def find_leak(readings: Sequence[MemoryReading], *, soak_hours: float, limit: float | None) -> MemoryGrowth | None:
    """Return the growth if it is that of a leak; ``None`` if not, or for fewer than :data:`MIN_POINTS` readings.

    :param limit: bytes that the container may use, if that is known.
    """
    if len(readings) < MIN_POINTS:
        return None
    blocks = _blocks(readings)
    slope = theil_sen_slope(blocks)
    if slope <= 0 or _trend_score(blocks, slope) < _MIN_SCORE or not _goes_on(blocks, slope):
        return None
    hours = readings[-1].hours - readings[0].hours
    start = median(reading.used for reading in readings[: len(readings) // _BLOCKS + 3])
    now = median(reading.used for reading in readings[-3:])
    ceiling = start + max(3 * start, _LEAST_ROOM)
    has_limit = limit is not None and limit < ceiling
    ceiling = limit if limit is not None and has_limit else ceiling
    grown, hours_left = slope * hours, max(0.0, ceiling - now) / slope
    is_late = hours >= soak_hours / 2
    if hours_left > FORECAST_SOAKS * soak_hours or not (is_late or grown >= _EARLY_SHARE * (ceiling - start)):
        return None
    target = "its memory limit" if has_limit else f"{ceiling / _MIB:.0f} MiB"
    against = " beside a control that does not" if readings[-1].control is not None else ""
    forecast = f"reaches {target} in {_duration(hours_left)}" if hours_left else f"has passed {target}"
    description = (
        f"grows by {_rate(slope)}{against}, by {grown / _MIB:.1f} MiB in {_duration(hours)} so far, and {forecast}"
    )
    return MemoryGrowth(per_hour=slope, grown=grown, hours_left=hours_left, description=description)


def _blocks(readings: Sequence[MemoryReading]) -> list[tuple[float, float]]:
    """Return the middle and the lower quartile of each block of adjacent readings."""
    size = max(1, len(readings) // _BLOCKS)
    first = len(readings) % size
    groups = (readings[start : start + size] for start in range(first, len(readings), size))
    return [(fmean(reading.hours for reading in group), _floor(group)) for group in groups]


def _floor(group: Sequence[MemoryReading]) -> float:
    """Return the lower quartile, less that of the control: the caches of both are emptied at different times."""
    used = sorted(reading.used for reading in group)
    control = sorted(reading.control or 0.0 for reading in group)
    return used[len(group) // 4] - control[len(group) // 4]


def _trend_score(blocks: Sequence[tuple[float, float]], slope: float) -> float:
    """Return the standard score of the trend test by Mann and Kendall, discounted for what correlates."""
    values = [value for _, value in blocks]
    count = len(values)
    rises = sum(
        (later > earlier) - (later < earlier) for index, earlier in enumerate(values) for later in values[index + 1 :]
    )
    residuals = [value - slope * hours for hours, value in blocks]
    middle = fmean(residuals)
    deviations = [residual - middle for residual in residuals]
    squares = sum(deviation * deviation for deviation in deviations)
    correlation = sum(first * second for first, second in pairwise(deviations)) / squares if squares > 0 else 0.0
    correlation = min(max(correlation, 0.0), _MOST_CORRELATED)
    score = (rises - 1) / math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return score * math.sqrt((1 - correlation) / (1 + correlation))


def _goes_on(blocks: Sequence[tuple[float, float]], slope: float) -> bool:
    """Return whether at most one quarter stands still, as far as noise lets it be known."""
    size = len(blocks) // 4
    steps = [second[1] - first[1] for first, second in pairwise(blocks)]
    usual = median(steps)
    noise = 1.4826 * median(abs(step - usual) for step in steps) / math.sqrt(2)
    still = 0
    for start in range(len(blocks) - 4 * size, len(blocks), size):
        quarter = blocks[max(0, start - 1) : start + size]
        middle = fmean(hours for hours, _ in quarter)
        spread = math.sqrt(sum((hours - middle) ** 2 for hours, _ in quarter))
        uncertainty = noise / spread if spread else 0.0
        still += theil_sen_slope(quarter) < _STANDSTILL * slope - uncertainty
    return still <= 1


def _rate(per_hour: float) -> str:
    return (
        f"{per_hour / _MIB:.1f} MiB per hour" if per_hour < 60 * _MIB else f"{per_hour / _MIB / 60:.1f} MiB per minute"
    )


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{max(1, round(hours * 60))} min"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
