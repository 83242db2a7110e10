"""Whether the new version is worse than the old one that runs beside it: a rank test and a ratio, both. Pure.

Whoever looks every hour at a p-value finds something in most soaks of a service that has not changed: samples hang
together, and chance gets many tries. So the size of the change has to count as well, only points of the same moment
are compared, and an action needs the same answer at two looks running. The test guards against luck, the ratio decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.domain.model import Verdict

ACTING_CONFIDENCE = 0.995
"""Of a look in mid-soak, where there are many; the last judgement has the plan's. By simulation: higher, and twice the
latency takes hours longer to be acted on; lower, and a noisy service is held in every third healthy soak."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """What a comparison says: ``ratio`` is new by old (of their medians), ``p_value`` one-sided."""

    verdict: Verdict
    ratio: float = 1.0
    p_value: float = 1.0
    points: int = 0
    reason: str = ""


def mann_whitney(old: Sequence[float], new: Sequence[float], *, above: bool, independent: float = 1.0) -> float:
    """The probability that ``new`` ranks so far above (or below) ``old`` by chance, were they alike.

    By the normal approximation with corrections for ties and continuity; fair from about eight points a side.

    :param independent: the share of points that say something of their own; see :func:`independence`.
    """
    first, second = len(old), len(new)
    if not first or not second:
        return 1.0
    ranks, ties = _ranks([*old, *new])
    greater = sum(ranks[first:]) - second * (second + 1) / 2  # pairs in which the new one is above
    count = first + second
    spread = first * second / 12 * (count + 1 - ties / (count * (count - 1)))
    if spread <= 0:
        return 1.0  # all are equal
    off = greater - first * second / 2
    score = ((off if above else -off) - 0.5) / math.sqrt(spread / independent)
    return math.erfc(score / math.sqrt(2)) / 2


def independence(pairs: Sequence[tuple[float, float]]) -> float:
    """What share of the points says something of its own, where each resembles the one before it.

    A server that is slow now is slow five minutes later; a rank test that takes both for news finds differences
    between a thing and itself. By the correlation of neighbours (of logarithms of the ratio, which a daily wave that
    both versions share does not enter), for noise in which it fades from point to point.
    """
    logs = [math.log(new / old) for old, new in pairs if old > 0 and new > 0]
    if len(logs) < 3:
        return 1.0
    middle = fmean(logs)
    off = [one - middle for one in logs]
    spread = sum(one * one for one in off)
    if spread < 1e-12:  # all are equal, but for how a computer counts
        return 1.0
    kinship = min(max(sum(one * other for one, other in pairwise(off)) / spread, 0.0), 0.95)
    return (1 - kinship) / (1 + kinship)


def _ranks(values: Sequence[float]) -> tuple[list[float], float]:
    """The rank of each value, equal ones sharing theirs, and the sum of t^3 - t over groups of equal ones."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    ties, at = 0.0, 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for index in order[at:end]:
            ranks[index] = (at + 1 + end) / 2
        ties += (end - at) ** 3 - (end - at)
        at = end
    return ranks, ties


def aligned(old: Mapping[int, float], new: Mapping[int, float]) -> list[tuple[float, float]]:
    """(old, new) of the slots that both have, in turn: only what was measured at the same time is compared."""
    return [(old[slot], new[slot]) for slot in sorted(old.keys() & new.keys())]


def compare(
    pairs: Sequence[tuple[float, float]],
    settings: CompareSettings,
    *,
    direction: str = "increase",
    confidence: float = 0,
) -> Compared:
    """Judge all ``pairs`` (old, new) at once.

    :param direction: of a change for the worse: ``increase``, ``decrease`` or ``either``.
    :param confidence: instead of the plan's.
    """
    if len(pairs) < settings.min_points:
        reason = f"{len(pairs)} points of both versions; {settings.min_points} are needed"
        return Compared(verdict=Verdict.INCONCLUSIVE, points=len(pairs), reason=reason)
    old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = _ratio(median(old), median(new))
    level = 1 - (confidence or settings.confidence)
    share = independence(pairs)
    found = Compared(verdict=Verdict.PASSED, ratio=ratio, points=len(pairs))
    for worse, above in ((ratio, True), (1 / ratio if ratio else math.inf, False)):
        if direction not in ("either", "increase" if above else "decrease"):
            continue
        p_value = mann_whitney(old, new, above=above, independent=share)
        failed = worse > settings.max_ratio and p_value < level
        verdict = Verdict.FAILED if failed else found.verdict
        reason = (
            f"{ratio:.2f} times the old version's over {len(pairs)} points (p = {p_value:.2g}); "
            f"{settings.max_ratio:g} is allowed"
        )
        if failed or p_value < found.p_value:
            found = Compared(
                verdict=verdict, ratio=ratio, p_value=p_value, points=len(pairs), reason=reason if failed else ""
            )
    return found


def _ratio(old: float, new: float) -> float:
    if old > 0:
        return new / old
    return 1.0 if new <= 0 else math.inf


def look(pairs: Sequence[tuple[float, float]], settings: CompareSettings, *, direction: str = "increase") -> Compared:
    """Judge the newest points, as one look in mid-soak does."""
    window = pairs[-settings.min_points :]
    return compare(window, settings, direction=direction, confidence=ACTING_CONFIDENCE)


def looks_due(points: int, settings: CompareSettings) -> list[int]:
    """Numbers of points at which there is a look: a third of the window apart, so that looks differ."""
    step = max(1, settings.min_points // 3)
    return list(range(settings.min_points, points + 1, step))


def judge_running(
    pairs: Sequence[tuple[float, float]], settings: CompareSettings, *, direction: str = "increase"
) -> Compared:
    """What all looks so far lead to: failed once enough of them running have said so.

    The same points give the same answer, whichever process looks and however often.
    """
    running = 0
    last = Compared(verdict=Verdict.INCONCLUSIVE, points=len(pairs), reason=f"{len(pairs)} points are too few")
    for at in looks_due(len(pairs), settings):
        last = look(pairs[:at], settings, direction=direction)
        running = running + 1 if last.verdict is Verdict.FAILED else 0
        if running >= settings.looks:
            return last
    if last.verdict is Verdict.FAILED:  # said once: not yet
        return Compared(verdict=Verdict.PENDING, ratio=last.ratio, p_value=last.p_value, points=last.points)
    return last


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median slope of a line through any two of the points (x, y), by Theil and Sen; 0.0 of fewer than two.

    A single jump does not move it, so it tells a leak from a cache that fills once.
    """
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
        if later[0] != earlier[0]
    ]
    return median(slopes) if slopes else 0.0
