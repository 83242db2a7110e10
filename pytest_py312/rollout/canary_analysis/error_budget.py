"""Detect that an error budget burns too fast, over an hour and over minutes. Pure.

The long window shows that the burning lasts, the short one that it has not stopped. Among few requests a single error
is a large share, and a single sample may have hit a moment that is over. So chance is ruled out, and one sample with
errors is not enough.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

from pytest_py312.rollout.canary_analysis.judge import FAST_BURN_RATE, burn_rate
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, MetricSeries, ServiceMetrics

REQUESTS_SUFFIX = " requests"
"""Suffix of the measurement that holds the number of requests behind a share of errors."""
LONG_WINDOW = 3600.0
SHORT_WINDOW = 300.0
MIN_ERROR_SAMPLES = 2
"""Number of samples within the hour that must have errors."""
MAX_CHANCE = 1e-6
"""Errors of a service within its budget that are less probable than this are not chance. It is small because every
sample is checked, and a soak has thousands of them.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorBudget:
    """An error budget: ``share`` of requests may fail. One sample covers the requests of ``window`` seconds."""

    share: float
    window: float = 0.0


def describe_budget_burn(
    service_metrics: ServiceMetrics, metric: str, budget: ErrorBudget, *, interval: float, min_requests: int
) -> str:
    """Describe how fast the error budget burns; empty if it does not, or if that is unknown.

    :param metric: the share of errors, measured together with the number of requests.
    """
    rates = []
    for seconds in (LONG_WINDOW, SHORT_WINDOW):
        errors, requests, samples = _count_requests(service_metrics, metric, budget, interval, seconds)
        rate = burn_rate(errors, requests, budget.share, min_requests=min_requests)
        if rate is None or rate < FAST_BURN_RATE or (seconds == LONG_WINDOW and samples < MIN_ERROR_SAMPLES):
            return ""
        rates.append(rate)
        if seconds == LONG_WINDOW and poisson_tail(errors, budget.share * requests) > MAX_CHANCE:
            return ""
        errors, requests, _ = _count_requests(service_metrics, CONTROL_PREFIX + metric, budget, interval, seconds)
        control_rate = burn_rate(errors, requests, budget.share, min_requests=min_requests)
        if control_rate is not None and control_rate >= FAST_BURN_RATE:
            return ""  # the control burns as well: the environment is to blame
    return f"the error budget of {budget.share:.4g} burns {rates[0]:.1f} times too fast ({rates[1]:.1f} just now)"


def _count_requests(
    service_metrics: ServiceMetrics, metric: str, budget: ErrorBudget, interval: float, seconds: float
) -> tuple[float, float, int]:
    """Return errors and requests of the last ``seconds``, and how many samples had errors.

    No request is counted twice if samples overlap.
    """
    if service_metrics.last_sample is None:
        return 0.0, 0.0, 0
    first_slot = service_metrics.last_sample.slot - max(1, round(seconds / interval)) + 1
    shares, counts = (
        _values_since(service_metrics.series.get(name), first_slot) for name in (metric, metric + REQUESTS_SUFFIX)
    )
    step = max(1, math.ceil(budget.window / interval))
    errors, requests, samples = 0.0, 0.0, 0
    last_counted_slot = math.inf
    for slot in sorted(shares.keys() & counts.keys(), reverse=True):
        if slot <= last_counted_slot - step:
            last_counted_slot = slot
            errors += shares[slot] * counts[slot]
            requests += counts[slot]
            samples += shares[slot] > 0
    return errors, requests, samples


def _values_since(series: MetricSeries | None, first_slot: int) -> dict[int, float]:
    if series is None:
        return {}
    start = bisect_left(series.slots, first_slot)
    return dict(zip(series.slots[start:], series.values[start:], strict=True))


def poisson_tail(errors: float, mean: float) -> float:
    """Return the probability of at least ``errors`` errors if ``mean`` are expected (Poisson)."""
    count = round(errors)
    if count <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if count <= mean:
        return 1.0  # at least one half: its exact value does not matter
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))
    total = 0.0
    while term > total * 1e-12 and term > 0:
        total += term
        count += 1
        term *= mean / count
    return total
