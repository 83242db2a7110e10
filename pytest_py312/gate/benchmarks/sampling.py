"""Takes pairs of measurements, old and new in turn, until the figures are clear or the time for it is spent.

Pairs come in blocks of two, old-new-new-old or new-old-old-new as a coin falls: whatever drifts meanwhile (heat, other
load) is on both sides, and the two measurements of the baseline in a block are a comparison of it with itself, which
should come to nothing.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_py312.core import clock
from pytest_py312.core.model.measurements import Verdict
from pytest_py312.gate.benchmarks.sequential_test import ERROR, Reading, Round
from pytest_py312.gate.benchmarks.statistics import UNKNOWN, Interval, estimate, median_interval, ratios

Measure = Callable[[Sequence[str], int], Mapping[str, float]]
"""Measures the benchmarks that are named, each once, in a fresh process with the hash seed that is given. May raise
:class:`MeasuringFailed`."""

PATIENCE = 5
"""So many times the budget a round may take that would else end with too few pairs to tell anything."""
CONTROL_CONFIDENCE = 0.9
"""Of the interval of the baseline by itself. It decides nothing, and there are half as many ratios of it as pairs."""


class MeasuringFailed(Exception):
    """Something could not be measured. ``str()`` is a sentence that says what and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """How to measure on the baseline and on the target."""

    baseline: Measure
    target: Measure


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """``budget``: seconds for a round; a round that has begun a block ends it. ``families`` and ``along``: see
    :class:`Round`. ``confirm``: whether something is concluded, and so a second round held over what is slower."""

    budget: float
    error: float = ERROR
    families: int = 1
    seed: int = 0
    along: frozenset[str] = frozenset()
    confirm: bool = True


@dataclass(kw_only=True, slots=True)
class Sampled:
    """All that was measured of one benchmark, (baseline, target), and the ratios of the baseline to itself."""

    pairs: list[tuple[float, float]] = field(default_factory=list)
    control: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What came of one benchmark. ``confirmed``: a second, independent round also called it slower."""

    reading: Reading
    sampled: Sampled
    control: tuple[float, Interval] | None
    confirmed: bool = False
    note: str = ""


@dataclass(slots=True)
class _Sampler:
    """Takes the blocks of all rounds, so that none of them has another's hash seeds or order."""

    sides: Sides
    settings: Settings
    coin: random.Random
    stopwatch: Callable[[], float]
    taken: int = 0

    def block(self, names: Sequence[str], into: Mapping[str, Sampled]) -> dict[str, list[float]]:
        """Two pairs of each benchmark, kept in ``into``; their ratios."""
        first_old = self.coin.random() < 0.5
        seeds = (self.taken, self.taken + 1)
        self.taken += 2
        old, new = self.sides.baseline, self.sides.target
        order = (old, new, new, old) if first_old else (new, old, old, new)
        # both sides of a pair have one hash seed
        measured = [measure(names, seeds[place // 2]) for place, measure in enumerate(order)]
        olds, news = (measured[0::3], measured[1:3]) if first_old else (measured[1:3], measured[0::3])
        found = {}
        for name in names:
            before, after = [one[name] for one in olds], [one[name] for one in news]
            found[name] = ratios(before, after)
            into[name].pairs += zip(before, after, strict=True)
            # which of the two was measured first must not matter, so it is left to chance
            one, other = self.coin.sample(before, 2)
            into[name].control.append(other / one)
        return found

    def round(self, found: Round, into: Mapping[str, Sampled]) -> dict[str, Reading]:
        """One round, to its end or that of its budget. Where that is spent before there are as many pairs as can tell
        anything, it gets some more: all that was spent would be wasted."""
        begin = self.stopwatch()
        longest, count = 0.0, 0
        budget = self.settings.budget
        last = budget * (PATIENCE if self.settings.confirm else 1)
        while not found.is_over:
            while count < found.next_look:
                started = self.stopwatch()
                if count and started - begin + longest > (budget if count >= found.least else last):
                    found.look()
                    return found.readings()
                for name, values in self.block(found.undecided, into).items():
                    found.add(name, values)
                count += 2
                longest = max(longest, self.stopwatch() - started)
            found.look()
        return found.readings()


def compare(
    sides: Sides,
    thresholds: Mapping[str, float],
    settings: Settings,
    *,
    stopwatch: Callable[[], float] = clock.stopwatch,
) -> dict[str, Found]:
    """Measure the benchmarks and judge them; what is slower in a first round has to be so in a second one as well.

    The caller has warmed up what wants warming.

    :param thresholds: the benchmarks, by name, with the change that counts for each.
    :raises MeasuringFailed: one could not be measured.
    """
    sampler = _Sampler(sides, settings, random.Random(settings.seed), stopwatch)
    first = {name: Sampled() for name in thresholds}
    once = Round(thresholds, error=settings.error, families=settings.families, along=settings.along)
    readings = sampler.round(once, first)
    slower = {
        name: thresholds[name]
        for name, reading in readings.items()
        if reading.verdict is Verdict.SLOWER and settings.confirm
    }
    second = {name: Sampled() for name in slower}
    # what the first round has found among many is one question each by now, which fewer pairs can answer
    twice = Round(slower, error=settings.error, confirming=True)
    again = sampler.round(twice, second) if slower else {}
    found = {}
    for name, reading in readings.items():
        controls = first[name].control + (second[name].control if name in second else [])
        confirmed = name in again and again[name].verdict is Verdict.SLOWER
        found[name] = Found(
            reading=reading if name not in again or confirmed else _doubted(reading, again[name]),
            sampled=Sampled(pairs=first[name].pairs + (second[name].pairs if name in second else [])),
            control=_control(controls),
            confirmed=confirmed,
            note="" if name not in again or confirmed else _doubt(again[name]),
        )
    return found


def _doubted(first: Reading, again: Reading) -> Reading:
    """Slower once and not again is not slower; what the second round measured stands."""
    return Reading(
        verdict=Verdict.INCONCLUSIVE,
        ratio=again.ratio,
        interval=again.interval,
        p_value=max(first.p_value, again.p_value),
        pairs=first.pairs + again.pairs,
        more=again.more or again.pairs,
    )


def _doubt(again: Reading) -> str:
    return f"slower in a first round, and {again.verdict.value} in a second one"


def _control(found: Sequence[float]) -> tuple[float, Interval] | None:
    if not found:
        return None
    return estimate(found), median_interval(found, CONTROL_CONFIDENCE) if len(found) > 1 else UNKNOWN
