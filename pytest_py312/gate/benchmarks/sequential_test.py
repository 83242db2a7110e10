"""Decide from ratios whether a benchmark is slower, with a group sequential test.

Testing repeatedly until something is significant inflates the error rate. So the number of interim looks is fixed
(:data:`LOOKS`), and each look gets an equal share of the error rate (Bonferroni): intervals get a higher confidence,
and p-values are multiplied by the number of looks. The probability of any false verdict in a round, for all looks at
all of its benchmarks together, is then at most :data:`ERROR_RATE`, whenever and for whatever reason it is stopped.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.measurements import SpeedVerdict
from pytest_py312.gate.benchmarks.statistics import (
    UNKNOWN_INTERVAL,
    Interval,
    holm_adjusted,
    median_interval,
    median_ratio,
    missing_pairs_estimate,
    rank_test,
)

LOOKS = (10, 20, 40, 80, 160)
"""Numbers of pairs after which the figures are tested; after the last one, no more are taken. They are even, because
pairs are taken two at a time. Ten is the minimum for any verdict at this confidence, which is then "the same". A change
may need more pairs, see :func:`looks_with_minimum`."""

ERROR_RATE = 0.01
"""Accepted probability of a false verdict."""


def looks_with_minimum(min_pairs: int) -> tuple[int, ...]:
    """Return as many looks as :data:`LOOKS`, but with the second one at ``min_pairs``, if the first look is too early.

    The third look is soon after, for changes that are almost as clear, and the fourth is between it and the last one.

    :param min_pairs: the number of pairs that the clearest of changes needs.
    """
    first, soon, *_, last = LOOKS
    if not first < min_pairs <= last // 2:
        return LOOKS
    third = max(soon, 2 * round(0.8 * min_pairs))
    return first, min_pairs, third, 2 * round(math.sqrt(third * last) / 2), last


def equivalence_bounds(threshold: float) -> tuple[float, float]:
    """Return the ratios between which both sides count as the same. A threshold of ``0.1`` is 10 % slower or faster."""
    return 1.0 / (1.0 + threshold), 1.0 + threshold


@dataclass(frozen=True, kw_only=True, slots=True)
class SequentialTestResult:
    """The result of one benchmark so far.

    ``p_value`` is adjusted for all looks and all benchmarks. ``missing_pairs`` estimates how many more pairs a verdict
    needs; ``None`` if no number is enough.
    """

    verdict: SpeedVerdict
    ratio: float
    interval: Interval
    p_value: float
    pairs: int
    missing_pairs: int | None = 0


@dataclass(slots=True)
class _BenchmarkState:
    """One benchmark in a round. ``lowest_p_value`` is the smallest one of all looks so far, not corrected."""

    threshold: float
    ratios: list[float]
    lowest_p_value: float = 1.0
    lowest_is_slower: bool = True
    interval: Interval = UNKNOWN_INTERVAL
    result: SequentialTestResult | None = None


class SamplingRound:
    """Benchmarks that are measured together: their results so far, and which of them need more pairs.

    A verdict is final; its benchmark is not measured any further.
    """

    def __init__(
        self,
        thresholds: Mapping[str, float],
        *,
        error_rate: float = ERROR_RATE,
        families: int = 1,
        secondary: Collection[str] = (),
        confirming: bool = False,
    ) -> None:
        """
        :param thresholds: the benchmarks by name, with the change that counts for each (``0.1`` is 10 %).
        :param error_rate: accepted probability of a false verdict.
        :param families: number of such rounds in the run, by which p-values are multiplied.
        :param secondary: benchmarks for which no additional pairs are taken, unless they look slower.
        :param confirming: all benchmarks were slower in an earlier round, so the test is one-sided.
        """
        self._states = {name: _BenchmarkState(threshold=threshold, ratios=[]) for name, threshold in thresholds.items()}
        self._error_rate = error_rate
        self._families = families
        self._secondary = frozenset(secondary)
        self._sides = 1 if confirming else 2
        self._looked = 0
        self._looks = looks_with_minimum(self.min_pairs)

    @property
    def undecided(self) -> tuple[str, ...]:
        """The benchmarks without a verdict."""
        return tuple(
            name
            for name, state in self._states.items()
            if state.result is None or state.result.verdict is SpeedVerdict.INCONCLUSIVE
        )

    @property
    def is_over(self) -> bool:
        """Whether no benchmark is worth more pairs, or no look is left."""
        return self._looked == len(LOOKS) or not any(self._is_worth_sampling(name) for name in self.undecided)

    def _is_worth_sampling(self, name: str) -> bool:
        """Return whether more pairs are taken for the undecided benchmark ``name``."""
        state = self._states[name]
        return (
            name not in self._secondary
            or state.result is None
            or state.result.ratio > equivalence_bounds(state.threshold)[1]
        )

    @property
    def min_pairs(self) -> int:
        """The number of pairs with which the clearest of changes is significant; even, as pairs are taken by twos."""
        tests = self._sides * len(LOOKS) * max(1, len(self._states)) * self._families
        return 2 * math.ceil(math.log2(tests / self._error_rate) / 2)

    @property
    def next_look(self) -> int:
        """The number of pairs at the next look. Only valid until :attr:`is_over`."""
        return self._looks[self._looked]

    def add(self, name: str, ratios: Iterable[float]) -> None:
        """Add the ratios of more pairs of a benchmark."""
        self._states[name].ratios.extend(ratios)

    def look(self) -> None:
        """Test the undecided benchmarks. Each call is one look, whether its number of pairs was reached or not.

        :raises ValueError: no look is left.
        """
        if self._looked == len(LOOKS):
            raise ValueError("all looks have been taken")
        self._looked += 1
        undecided = self.undecided
        for name in undecided:
            self._test(self._states[name])
        adjusted = holm_adjusted({name: self._bonferroni_p_value(state) for name, state in self._states.items()})
        for name in undecided:
            state = self._states[name]
            state.result = evaluate(
                state.ratios,
                state.interval,
                p_value=min(1.0, adjusted[name] * self._families),
                is_slower_test=state.lowest_is_slower,
                threshold=state.threshold,
                error_rate=self._error_rate,
            )

    def _test(self, state: _BenchmarkState) -> None:
        if not state.ratios:
            return
        low, high = equivalence_bounds(state.threshold)
        slower = rank_test(state.ratios, high, above=True)
        faster = rank_test(state.ratios, low, above=False) if self._sides == 2 else 1.0
        if min(slower, faster) < state.lowest_p_value:
            state.lowest_p_value, state.lowest_is_slower = min(slower, faster), slower <= faster
        state.interval = median_interval(state.ratios, 1.0 - self._error_rate / len(LOOKS))

    def _bonferroni_p_value(self, state: _BenchmarkState) -> float:
        """Return the lowest p-value, corrected for the number of tested sides and looks."""
        return min(1.0, self._sides * len(LOOKS) * state.lowest_p_value)

    def results(self) -> dict[str, SequentialTestResult]:
        """Return the results of all tested benchmarks."""
        return {name: state.result for name, state in self._states.items() if state.result is not None}


def evaluate(
    ratios: Sequence[float],
    interval: Interval,
    *,
    p_value: float,
    is_slower_test: bool,
    threshold: float,
    error_rate: float,
) -> SequentialTestResult:
    """Return the verdict: slower or faster if both interval and test are beyond the equivalence bounds, the same if the
    interval is within them, and otherwise inconclusive.

    :param is_slower_test: whether ``p_value`` belongs to the test for "slower" rather than for "faster".
    """
    low, high = equivalence_bounds(threshold)
    sure = p_value < error_rate
    if interval.low > high and is_slower_test and sure:
        verdict = SpeedVerdict.SLOWER
    elif interval.high < low and not is_slower_test and sure:
        verdict = SpeedVerdict.FASTER
    elif interval.within(low, high):
        verdict = SpeedVerdict.SAME
    else:
        verdict = SpeedVerdict.INCONCLUSIVE
    ratio = median_ratio(ratios) if ratios else 1.0
    missing_pairs = (
        missing_pairs_estimate(interval, ratio, len(ratios), (low, high)) if verdict is SpeedVerdict.INCONCLUSIVE else 0
    )
    return SequentialTestResult(
        verdict=verdict, ratio=ratio, interval=interval, p_value=p_value, pairs=len(ratios), missing_pairs=missing_pairs
    )
