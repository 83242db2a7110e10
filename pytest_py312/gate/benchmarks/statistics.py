"""What pairs of measurements say about a ratio: its estimate, an exact interval, rank tests, Holm's correction.

A *ratio* is target by baseline of one pair: 1.2 took a fifth longer on the target. All work is done on logarithms, so
that slower and faster are treated alike. Pure functions; scipy is imported when the first of them needs it, and it
comes with the extra ``benchmark``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

MOST_PAIRS = 10_000
"""More pairs than these are never said to be needed: it means "not by taking more"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An interval that holds the median ratio with a probability of at least ``confidence``, whatever it is
    distributed like."""

    low: float
    high: float
    confidence: float

    def within(self, low: float, high: float) -> bool:
        """Whether all of it lies between two ratios."""
        return low < self.low and self.high < high


UNKNOWN = Interval(low=0.0, high=math.inf, confidence=1.0)
"""What is known of a ratio from too few pairs."""


def ratios(baseline: Sequence[float], target: Sequence[float]) -> list[float]:
    """Target by baseline, pair by pair.

    :raises ValueError: a measurement is not positive, or there are not as many on both sides.
    """
    if any(not 0 < value < math.inf for value in (*baseline, *target)):
        raise ValueError("a measurement has to be a positive number")
    return [new / old for old, new in zip(baseline, target, strict=True)]


def estimate(found: Sequence[float]) -> float:
    """The median ratio; of an even number the geometric mean of the middle two, so that it has no direction."""
    return math.exp(median(math.log(ratio) for ratio in found))


def median_interval(found: Sequence[float], confidence: float) -> Interval:
    """The order statistics that hold the median with ``confidence`` or more, by the sign test turned round.

    The number of ratios below the true median is binomial with one half, so nothing is assumed about how they are
    distributed, and the confidence is exact where they are continuous.

    :returns: :data:`UNKNOWN` where there are too few ratios for that confidence.
    """
    from scipy.stats import binom

    count = len(found)
    tail = (1.0 - confidence) / 2.0
    # the largest number of ratios that may be left out at each end: P(X <= cut - 1) <= tail
    cut = int(binom.ppf(tail, count, 0.5)) + 1 if count else 0
    while cut > 0 and float(binom.cdf(cut - 1, count, 0.5)) > tail:
        cut -= 1
    if cut < 1:
        return UNKNOWN
    ordered = sorted(found)
    exact = 1.0 - 2.0 * float(binom.cdf(cut - 1, count, 0.5))
    return Interval(low=ordered[cut - 1], high=ordered[count - cut], confidence=exact)


def rank_test(found: Sequence[float], edge: float, *, above: bool) -> float:
    """Wilcoxon's signed-rank test: the probability of such ratios, or more extreme ones, if the true ratio is not
    beyond ``edge`` (on the side that ``above`` says).

    Exact for up to 50 pairs without ties.
    """
    from scipy.stats import wilcoxon

    shifted = [math.log(ratio) - math.log(edge) for ratio in found]
    if not any(shifted):
        return 1.0
    # a tie with the edge speaks for neither side: half of its rank is given to each (Pratt, and zero-split)
    done = wilcoxon(shifted, zero_method="zsplit", alternative="greater" if above else "less")
    return float(done.pvalue)


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """The p-values of several tests, adjusted by Holm's step-down method, under their names.

    Rejecting those that are below a level then makes a false rejection among all of them at most that likely,
    however the tests depend on each other.
    """
    ordered = sorted(values, key=lambda name: values[name])
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - rank) * values[name]))
        adjusted[name] = highest
    return adjusted


def pairs_needed(interval: Interval, at: float, count: int, edges: Sequence[float]) -> int | None:
    """About how many more pairs would bring an interval clear of the ``edges`` between which the estimate ``at`` lies.

    An interval narrows with the root of the number of pairs. ``None``: so many that no number of pairs will tell, as
    the ratio lies on an edge.
    """
    if interval.low <= 0 or math.isinf(interval.high):
        return max(2, 2 * count)
    bounds = [-math.inf, *sorted(math.log(edge) for edge in edges), math.inf]
    here = math.log(at)
    low, high = next((low, high) for low, high in pairwise(bounds) if low <= here <= high)
    below = _times(here - math.log(interval.low), here - low)
    beyond = _times(math.log(interval.high) - here, high - here)
    needed = count * max(1.0, below, beyond) ** 2 - count
    return max(2, math.ceil(needed)) if needed < MOST_PAIRS else None


def _times(half: float, room: float) -> float:
    """How many times too wide one half of an interval is for the room it has."""
    return half / room if room > 0 else math.inf
