"""From ratios to verdicts, with several looks at the figures while they come in.

Whoever looks again and again until something shows will see something. So the looks are counted beforehand
(:data:`LOOKS`), and each gets an equal share of the error that the whole is allowed (Bonferroni): the interval of each
look holds with that much more confidence, and each p-value counts that many times. Of all looks at all benchmarks of a
round together, one with a false verdict is then as unlikely as :data:`ERROR`, whenever it is stopped and why.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.measurements import Verdict
from pytest_py312.gate.benchmarks.statistics import (
    UNKNOWN,
    Interval,
    estimate,
    holm,
    median_interval,
    pairs_needed,
    rank_test,
)

LOOKS = (10, 20, 40, 80, 160)
"""Numbers of pairs after which the figures are looked at; after the last, no more are taken. Even, since pairs come two
by two. Ten is the least that can tell anything at this confidence: that something is the same. Where it takes some more
to tell a change, see :func:`looks_from`."""

ERROR = 0.01
"""The probability of a false verdict that is accepted."""


def looks_from(least: int) -> tuple[int, ...]:
    """As many looks as :data:`LOOKS`, the second of them at ``least`` pairs where the first is too early to tell the
    clearest of changes. The third is not much later, for what is nearly as clear, and the fourth between it and the
    last.
    """
    first, soon, *_, last = LOOKS
    if not first < least <= last // 2:
        return LOOKS
    third = max(soon, 2 * round(0.8 * least))
    return first, least, third, 2 * round(math.sqrt(third * last) / 2), last


def edges_of(threshold: float) -> tuple[float, float]:
    """The ratios between which a thing counts as the same: ``0.1`` is 10 % slower, and as much faster."""
    return 1.0 / (1.0 + threshold), 1.0 + threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the figures of one benchmark say so far.

    ``p_value`` is adjusted for all looks and all benchmarks; ``more`` is about how many pairs are missing for a
    verdict, ``None`` where no number would do.
    """

    verdict: Verdict
    ratio: float
    interval: Interval
    p_value: float
    pairs: int
    more: int | None = 0


@dataclass(slots=True)
class _Trial:
    """One benchmark in a round. ``lowest`` is the smallest p-value of the looks so far, before any correction."""

    threshold: float
    ratios: list[float]
    lowest: float = 1.0
    above: bool = True
    interval: Interval = UNKNOWN
    reading: Reading | None = None


class Round:
    """Benchmarks that are measured together: what is known of each, and which still need more pairs.

    A verdict that was reached holds; its benchmark need not be measured further.
    """

    def __init__(
        self,
        thresholds: Mapping[str, float],
        *,
        error: float = ERROR,
        families: int = 1,
        along: Collection[str] = (),
        confirming: bool = False,
    ) -> None:
        """
        :param thresholds: the benchmarks, by name, with the change that counts for each (``0.1`` is 10 %).
        :param error: the probability of a false verdict that is accepted.
        :param families: how many rounds like this one the run has: p-values are made so much larger.
        :param along: those that are only measured along: no pair is taken for their sake, unless they look slower.
        :param confirming: all of them were slower in a round before, and it is only asked whether they are again.
            That is one question, where whether something has changed is two.
        """
        self._trials = {name: _Trial(threshold=threshold, ratios=[]) for name, threshold in thresholds.items()}
        self._error = error
        self._families = families
        self._along = frozenset(along)
        self._sides = 1 if confirming else 2
        self._looked = 0
        self._looks = looks_from(self.least)

    @property
    def undecided(self) -> tuple[str, ...]:
        """The benchmarks that need more pairs."""
        return tuple(
            name
            for name, trial in self._trials.items()
            if trial.reading is None or trial.reading.verdict is Verdict.INCONCLUSIVE
        )

    @property
    def is_over(self) -> bool:
        """Whether all that pairs are taken for is decided, or no look is left."""
        return self._looked == len(LOOKS) or not any(self._is_wanted(name) for name in self.undecided)

    def _is_wanted(self, name: str) -> bool:
        """Whether it is worth another pair that ``name`` is undecided."""
        trial = self._trials[name]
        return name not in self._along or trial.reading is None or trial.reading.ratio > edges_of(trial.threshold)[1]

    @property
    def least(self) -> int:
        """The number of pairs with which the clearest of changes can be told from chance; even, as pairs come."""
        tests = self._sides * len(LOOKS) * max(1, len(self._trials)) * self._families
        return 2 * math.ceil(math.log2(tests / self._error) / 2)

    @property
    def next_look(self) -> int:
        """The number of pairs at which to look next; only before the end."""
        return self._looks[self._looked]

    def add(self, name: str, ratios: Iterable[float]) -> None:
        """More pairs of a benchmark."""
        self._trials[name].ratios.extend(ratios)

    def look(self) -> None:
        """Judge what is undecided. Each call is one of the looks, whether its number of pairs was reached or not.

        :raises ValueError: there is no look left.
        """
        if self._looked == len(LOOKS):
            raise ValueError("all looks have been taken")
        self._looked += 1
        undecided = self.undecided
        for name in undecided:
            self._measure(self._trials[name])
        adjusted = holm({name: self._corrected(trial) for name, trial in self._trials.items()})
        for name in undecided:
            trial = self._trials[name]
            trial.reading = read(
                trial.ratios,
                trial.interval,
                p_value=min(1.0, adjusted[name] * self._families),
                above=trial.above,
                threshold=trial.threshold,
                error=self._error,
            )

    def _measure(self, trial: _Trial) -> None:
        if not trial.ratios:
            return
        low, high = edges_of(trial.threshold)
        slower = rank_test(trial.ratios, high, above=True)
        faster = rank_test(trial.ratios, low, above=False) if self._sides == 2 else 1.0
        if min(slower, faster) < trial.lowest:
            trial.lowest, trial.above = min(slower, faster), slower <= faster
        trial.interval = median_interval(trial.ratios, 1.0 - self._error / len(LOOKS))

    def _corrected(self, trial: _Trial) -> float:
        """Once for each side that is tested, and that for each look there may be."""
        return min(1.0, self._sides * len(LOOKS) * trial.lowest)

    def readings(self) -> dict[str, Reading]:
        """Of every benchmark that was looked at."""
        return {name: trial.reading for name, trial in self._trials.items() if trial.reading is not None}


def read(
    ratios: Sequence[float], interval: Interval, *, p_value: float, above: bool, threshold: float, error: float
) -> Reading:
    """The verdict: slower or faster where interval and test both lie beyond the band, the same where the interval lies
    inside it, and otherwise inconclusive.

    :param above: on which side of the band ``p_value`` was found.
    """
    low, high = edges_of(threshold)
    sure = p_value < error
    if interval.low > high and above and sure:
        verdict = Verdict.SLOWER
    elif interval.high < low and not above and sure:
        verdict = Verdict.FASTER
    elif interval.within(low, high):
        verdict = Verdict.SAME
    else:
        verdict = Verdict.INCONCLUSIVE
    ratio = estimate(ratios) if ratios else 1.0
    more = pairs_needed(interval, ratio, len(ratios), (low, high)) if verdict is Verdict.INCONCLUSIVE else 0
    return Reading(verdict=verdict, ratio=ratio, interval=interval, p_value=p_value, pairs=len(ratios), more=more)
