"""Compare the new version with the control: a change counts only if both the rank test and the ratio show it. Pure.

Looking at a p-value every hour finds something in most soaks of an unchanged service: samples are correlated, and
many tests raise the false-positive rate. So the size of the change has to count as well, only points of the same slot
are compared, and a reaction needs the same result in consecutive interim analyses. The test guards against chance, the
ratio decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median

from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.domain.model import Verdict

INTERIM_CONFIDENCE = 0.995
"""Confidence of an interim analysis, of which there are many; the final verdict uses the plan's. From simulations: with
a higher one it takes hours longer to react to twice the latency; with a lower one a noisy service is held in every
third healthy soak.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricComparison:
    """Result of a comparison: ``ratio`` is new divided by old (of the medians), ``p_value`` is one-sided."""

    verdict: Verdict
    ratio: float = 1.0
    p_value: float = 1.0
    points: int = 0
    reason: str = ""


def mann_whitney(old: Sequence[float], new: Sequence[float], *, above: bool, sample_share: float = 1.0) -> float:
    """Return the one-sided p-value of the Mann-Whitney U test: is ``new`` above (or below) ``old``?

    Normal approximation with corrections for ties and continuity; good from about eight points per side.

    :param sample_share: share of points that count as independent, see :func:`effective_sample_share`.
    """
    old_count, new_count = len(old), len(new)
    if not old_count or not new_count:
        return 1.0
    ranks, ties = _ranks([*old, *new])
    u_statistic = sum(ranks[old_count:]) - new_count * (new_count + 1) / 2  # pairs in which the new value is greater
    total_count = old_count + new_count
    variance = old_count * new_count / 12 * (total_count + 1 - ties / (total_count * (total_count - 1)))
    if variance <= 0:
        return 1.0  # all are equal
    deviation = u_statistic - old_count * new_count / 2
    score = ((deviation if above else -deviation) - 0.5) / math.sqrt(variance / sample_share)
    return math.erfc(score / math.sqrt(2)) / 2


def effective_sample_share(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the share of points that count as independent, given how much each resembles the one before it.

    A server that is slow now is slow five minutes later. A rank test that takes both as independent finds differences
    between a version and itself. The share follows from the autocorrelation of the logarithm of the ratio, in which a
    daily wave of both versions cancels out, for noise whose correlation fades from point to point.
    """
    log_ratios = [math.log(new / old) for old, new in pairs if old > 0 and new > 0]
    if len(log_ratios) < 3:
        return 1.0
    mean = fmean(log_ratios)
    deviations = [value - mean for value in log_ratios]
    sum_of_squares = sum(value * value for value in deviations)
    if sum_of_squares < 1e-12:  # all are equal, up to rounding
        return 1.0
    autocorrelation = min(
        max(sum(value * following for value, following in pairwise(deviations)) / sum_of_squares, 0.0), 0.95
    )
    return (1 - autocorrelation) / (1 + autocorrelation)


def _ranks(values: Sequence[float]) -> tuple[list[float], float]:
    """Return the rank of each value, ties sharing theirs, and the sum of t^3 - t over groups of ties."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    tie_term, start = 0.0, 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = (start + 1 + end) / 2
        tie_term += (end - start) ** 3 - (end - start)
        start = end
    return ranks, tie_term


def pair_by_slot(old: Mapping[int, float], new: Mapping[int, float]) -> list[tuple[float, float]]:
    """Return (old, new) of the slots that both have, in order: only simultaneous measurements are compared."""
    return [(old[slot], new[slot]) for slot in sorted(old.keys() & new.keys())]


def compare(
    pairs: Sequence[tuple[float, float]],
    settings: CompareSettings,
    *,
    direction: str = "increase",
    confidence: float = 0,
) -> MetricComparison:
    """Judge the whole series of ``pairs`` (old, new) in one test.

    A change that is too large and not significant is inconclusive: neither a failure nor a success is shown.

    :param direction: of a change for the worse: ``increase``, ``decrease`` or ``either``.
    :param confidence: used instead of the plan's, unless it is 0.
    """
    if len(pairs) < settings.min_points:
        reason = f"{len(pairs)} points of both versions; {settings.min_points} are needed"
        return MetricComparison(verdict=Verdict.INCONCLUSIVE, points=len(pairs), reason=reason)
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = _ratio(median(old), median(new))
    significance = 1 - (confidence or settings.confidence)
    sample_share = effective_sample_share(pairs)
    result = MetricComparison(verdict=Verdict.PASSED, ratio=ratio, points=len(pairs))
    unproven = ""
    for change, above in ((ratio, True), (1 / ratio if ratio else math.inf, False)):
        if direction not in ("either", "increase" if above else "decrease"):
            continue
        p_value = mann_whitney(old, new, above=above, sample_share=sample_share)
        is_worse = change > settings.max_ratio and p_value < significance
        verdict = Verdict.FAILED if is_worse else result.verdict
        reason = (
            f"the median is {ratio:.2f} times that of the previous version ({len(pairs)} points, p = {p_value:.2g}); "
            f"{settings.max_ratio:g} is allowed"
        )
        if change > settings.max_ratio and not is_worse:
            unproven = f"{reason}, and this may be chance"
        if is_worse or p_value < result.p_value:
            result = MetricComparison(
                verdict=verdict, ratio=ratio, p_value=p_value, points=len(pairs), reason=reason if is_worse else ""
            )
    if unproven and result.verdict is Verdict.PASSED:
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=unproven)
    return result


def _ratio(old: float, new: float) -> float:
    if old > 0:
        return new / old
    return 1.0 if new <= 0 else math.inf


def interim_step(settings: CompareSettings) -> int:
    """Return how many points lie between two interim analyses: a third of the window, so that they differ."""
    return max(1, settings.min_points // 3)


def interim_analysis_points(points: int, settings: CompareSettings) -> list[int]:
    """Return the numbers of points at which to analyse."""
    return list(range(settings.min_points, points + 1, interim_step(settings)))


def judge_interim(
    pairs: Sequence[tuple[float, float]], settings: CompareSettings, *, direction: str = "increase"
) -> MetricComparison:
    """Judge by all interim analyses so far: failed once enough consecutive ones have failed.

    How many are enough is the setting ``looks``: a look at the data is an interim analysis.

    The result depends on the points only, so every process comes to the same one.
    """
    consecutive_failures = 0
    latest = MetricComparison(
        verdict=Verdict.INCONCLUSIVE, points=len(pairs), reason=f"{len(pairs)} points are too few"
    )
    for point_count in interim_analysis_points(len(pairs), settings):
        window = pairs[point_count - settings.min_points : point_count]
        latest = compare(window, settings, direction=direction, confidence=INTERIM_CONFIDENCE)
        consecutive_failures = consecutive_failures + 1 if latest.verdict is Verdict.FAILED else 0
        if consecutive_failures >= settings.looks:
            return latest
    if latest.verdict is Verdict.FAILED:  # failed too few times so far
        return MetricComparison(
            verdict=Verdict.PENDING, ratio=latest.ratio, p_value=latest.p_value, points=latest.points
        )
    return latest


def theil_sen_slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median slope of the lines through any two points (x, y), by Theil and Sen; 0.0 for fewer than two.

    A single jump does not change it, so it distinguishes a leak from a cache that fills once.
    """
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
        if later[0] != earlier[0]
    ]
    return median(slopes) if slopes else 0.0
