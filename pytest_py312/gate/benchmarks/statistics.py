"""Statistics of ratios: estimate, exact confidence interval, rank test, Holm's correction. Pure.

A *ratio* is target divided by baseline of one pair: 1.2 means 20 % longer on the target. All calculations use
logarithms, so that slower and faster are treated alike. scipy is imported on first use; it is installed with the extra
``benchmark``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

MAX_PAIRS = 10_000
"""Maximum number of missing pairs; more means that no number of pairs is enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An interval that contains the median ratio with at least ``confidence``, for any distribution."""

    low: float
    high: float
    confidence: float

    def within(self, low: float, high: float) -> bool:
        """Return whether the whole interval is between two ratios."""
        return low < self.low and self.high < high


UNKNOWN_INTERVAL = Interval(low=0.0, high=math.inf, confidence=1.0)
"""The interval of a ratio with too few pairs."""


def pair_ratios(baseline: Sequence[float], target: Sequence[float]) -> list[float]:
    """Divide target by baseline, pair by pair.

    :raises ValueError: a measurement is not positive, or the sides have different lengths.
    """
    if any(not 0 < value < math.inf for value in (*baseline, *target)):
        raise ValueError("a measurement has to be a positive number")
    return [new / old for old, new in zip(baseline, target, strict=True)]


def median_ratio(sample_ratios: Sequence[float]) -> float:
    """Return the median ratio; for an even number the geometric mean of the middle two, which favours no side."""
    return math.exp(median(math.log(ratio) for ratio in sample_ratios))


def median_interval(sample_ratios: Sequence[float], confidence: float) -> Interval:
    """Return the order statistics that contain the median with at least ``confidence`` (an inverted sign test).

    The number of ratios below the true median is binomial with p = 1/2, so no distribution is assumed, and the
    confidence is exact for continuous distributions.

    :returns: :data:`UNKNOWN_INTERVAL` if there are too few ratios for that confidence.
    """
    from scipy.stats import binom

    count = len(sample_ratios)
    tail = (1.0 - confidence) / 2.0
    # largest number of ratios that may be left out at each end: P(X <= cut - 1) <= tail
    cut = int(binom.ppf(tail, count, 0.5)) + 1 if count else 0
    while cut > 0 and float(binom.cdf(cut - 1, count, 0.5)) > tail:
        cut -= 1
    if cut < 1:
        return UNKNOWN_INTERVAL
    ordered = sorted(sample_ratios)
    exact = 1.0 - 2.0 * float(binom.cdf(cut - 1, count, 0.5))
    return Interval(low=ordered[cut - 1], high=ordered[count - cut], confidence=exact)


def rank_test(sample_ratios: Sequence[float], edge: float, *, above: bool) -> float:
    """Return the p-value of Wilcoxon's signed-rank test that the true ratio is not beyond ``edge``.

    Exact for up to 50 pairs without ties.

    :param above: test for ratios above ``edge``; otherwise for ratios below it.
    """
    from scipy.stats import wilcoxon

    shifted = [math.log(ratio) - math.log(edge) for ratio in sample_ratios]
    if not any(shifted):
        return 1.0
    # half of the rank of a tie with the edge is given to each side (Pratt, zero-split)
    test_result = wilcoxon(shifted, zero_method="zsplit", alternative="greater" if above else "less")
    return float(test_result.pvalue)


def holm_adjusted(values: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p-values of several tests, by name, with Holm's step-down method.

    If tests with an adjusted p-value below a level are rejected, the probability of any false rejection is at most that
    level, for any dependence between the tests.
    """
    ordered = sorted(values, key=lambda name: values[name])
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - rank) * values[name]))
        adjusted[name] = highest
    return adjusted


def missing_pairs_estimate(interval: Interval, ratio: float, count: int, edges: Sequence[float]) -> int | None:
    """Estimate how many more pairs are needed until an interval around ``ratio`` contains none of the ``edges``.

    The width of an interval decreases with the square root of the number of pairs. ``None``: no number is enough,
    because the ratio is at an edge.
    """
    if interval.low <= 0 or math.isinf(interval.high):
        return max(2, 2 * count)
    bounds = [-math.inf, *sorted(math.log(edge) for edge in edges), math.inf]
    log_ratio = math.log(ratio)
    low, high = next((low, high) for low, high in pairwise(bounds) if low <= log_ratio <= high)
    below = _times_too_wide(log_ratio - math.log(interval.low), log_ratio - low)
    beyond = _times_too_wide(math.log(interval.high) - log_ratio, high - log_ratio)
    needed = count * max(1.0, below, beyond) ** 2 - count
    return max(2, math.ceil(needed)) if needed < MAX_PAIRS else None


def _times_too_wide(half: float, room: float) -> float:
    """Return by which factor one half of an interval is too wide for the available room."""
    return half / room if room > 0 else math.inf
