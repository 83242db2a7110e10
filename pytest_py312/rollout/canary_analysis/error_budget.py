"""Whether errors come so fast that nobody may wait: how an error budget burns, over an hour and over minutes. Pure.

The long time says that it lasts, the short one that it has not stopped. Of few requests a single error is a large
share, and one sample may have met with a moment that is over; so chance is ruled out, and one sample is not enough.
"""

import math
from dataclasses import dataclass

from pytest_py312.rollout.canary_analysis.judge import BURN, burn_rate
from pytest_py312.rollout.canary_analysis.time_series import OLD, Series, Tally

REQUESTS = " requests"
"""Ends the name of the measurement that says of how many requests the share of errors is."""
LONG = 3600.0
SHORT = 300.0
LOOKS = 2
"""So many samples of the hour have to have errors."""
LUCK = 1e-6
"""The probability up to which so many errors of a service that keeps to its budget are no chance: there is a look at
each sample, and thousands of them in a soak."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """``share`` of requests may fail. ``window`` is how many seconds of requests one sample is about."""

    share: float
    window: float = 0.0


def burning(tally: Tally, metric: str, budget: Budget, *, interval: float, min_requests: int) -> str:
    """How the error budget burns, in words; ``""`` where it does not, or nobody can tell.

    :param metric: the share of errors, measured together with the number of requests.
    """
    rates = []
    for seconds in (LONG, SHORT):
        errors, requests, samples = _counted(tally, metric, budget, interval, seconds)
        rate = burn_rate(errors, requests, budget.share, min_requests=min_requests)
        if rate is None or rate < BURN or (seconds == LONG and samples < LOOKS):
            return ""
        rates.append(rate)
        if seconds == LONG and chance_of(errors, budget.share * requests) > LUCK:
            return ""
        if _old_burns(tally, metric, budget, interval, seconds, min_requests):
            return ""  # something around both is to blame
    return f"the error budget of {budget.share:.4g} burns {rates[0]:.1f} times too fast ({rates[1]:.1f} just now)"


def _old_burns(tally: Tally, metric: str, budget: Budget, interval: float, seconds: float, min_requests: int) -> bool:
    errors, requests, _ = _counted(tally, OLD + metric, budget, interval, seconds)
    rate = burn_rate(errors, requests, budget.share, min_requests=min_requests)
    return rate is not None and rate >= BURN


def _counted(tally: Tally, metric: str, budget: Budget, interval: float, seconds: float) -> tuple[float, float, int]:
    """Errors and requests of the last ``seconds``, and how many samples had errors.

    No request is counted twice where samples overlap.
    """
    if tally.last is None:
        return 0.0, 0.0, 0
    first = tally.last.slot - max(1, round(seconds / interval)) + 1
    shares, counts = (_newest(tally.series.get(name), first) for name in (metric, metric + REQUESTS))
    step = max(1, math.ceil(budget.window / interval))
    errors, requests, samples = 0.0, 0.0, 0
    taken = math.inf
    for slot in sorted(shares.keys() & counts.keys(), reverse=True):
        if slot <= taken - step:
            taken = slot
            errors += shares[slot] * counts[slot]
            requests += counts[slot]
            samples += shares[slot] > 0
    return errors, requests, samples


def _newest(series: Series | None, first: int) -> dict[int, float]:
    found: dict[int, float] = {}
    for at in reversed(range(len(series.slots) if series else 0)):
        assert series is not None
        if series.slots[at] < first:
            break
        found[series.slots[at]] = series.values[at]
    return found


def chance_of(errors: float, mean: float) -> float:
    """The probability of so many errors or more, where ``mean`` are expected (Poisson)."""
    count = round(errors)
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if count <= mean:
        return 1.0  # no less than a half: nobody would act on it
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    total = 0.0
    while term > total * 1e-12 and term > 0:
        total += term
        count += 1
        term *= mean / count
    return total
