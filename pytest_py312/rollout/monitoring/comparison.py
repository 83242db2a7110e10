"""Comparison of a new version with the previous one: with a control, of two time windows, or of two load tests. Pure.

A metric is worse if both the rank test and the ratio say so, as during a soak. Load reports have quantiles but no
samples, so they are judged by the ratio of the medians over all rounds.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.canary_analysis.statistics import MetricComparison, compare, pair_by_slot
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.measurements import CONCLUSIVE, Sample
from pytest_py312.rollout.domain.model import WORST_FIRST, Verdict
from pytest_py312.rollout.metrics.load_report import LoadReport, StepReport
from pytest_py312.rollout.monitoring.breaches import describe_drift

MIN_ROUNDS = 3
"""Minimum number of load rounds of each version; fewer are too noisy."""
NO_CONTROL = "no control ran beside the new version"


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparisonRow:
    """Comparison of one metric of one service."""

    service: str
    metric: str
    compared: MetricComparison


def worst_verdict(rows: Iterable[ComparisonRow]) -> Verdict:
    """Return the worst verdict, inconclusive without rows."""
    verdicts = [row.compared.verdict for row in rows]
    return min(verdicts, key=WORST_FIRST.index) if verdicts else Verdict.INCONCLUSIVE


def inconclusive(reason: str) -> MetricComparison:
    """Return an inconclusive comparison with its reason."""
    return MetricComparison(verdict=Verdict.INCONCLUSIVE, reason=reason)


# ---- with the control


def collect_metrics(samples: Iterable[Sample]) -> ServiceMetrics:
    """Collect the samples, except those in which something else than the new version served."""
    service_metrics = ServiceMetrics()
    for sample in samples:
        if not describe_drift(sample):
            service_metrics.add(sample)
    return service_metrics


def compare_with_control(
    service_metrics: ServiceMetrics,
    metrics: Sequence[str],
    rules: Mapping[str, tuple[CompareSettings, str]],
    default: CompareSettings,
) -> list[tuple[str, MetricComparison]]:
    """Compare metrics with those of the control.

    :param metrics: the metrics; empty for all that the control has too.
    :param rules: metric -> settings, and direction of a change for the worse.
    """
    comparisons = []
    for metric in metrics or service_metrics.compared_metrics:
        settings, direction = rules.get(metric, (default, "increase"))
        if CONTROL_PREFIX + metric not in service_metrics.series:
            comparisons.append((metric, inconclusive(NO_CONTROL)))
        else:
            comparisons.append((metric, service_metrics.compare_whole_soak(metric, settings, direction)))
    return comparisons


# ---- before and after


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeWindow:
    """Time from ``start`` up to ``end``, in seconds since the epoch."""

    start: float
    end: float

    def values(self, samples: Iterable[Sample], metric: str, interval: float) -> dict[int, float]:
        """Return the values of a metric by their offset from the start in intervals."""
        values_by_offset: dict[int, float] = {}
        for sample in samples:
            if not self.start <= sample.at.wall < self.end or describe_drift(sample):
                continue
            for measurement in sample.measurements:
                value = measurement.value if measurement.result in CONCLUSIVE else None
                if measurement.metric == metric and value is not None and math.isfinite(value):
                    values_by_offset.setdefault(round((sample.at.wall - self.start) / interval), value)
        return values_by_offset


def parse_window(text: str) -> TimeWindow:
    """Parse a window such as ``2026-11-24T08:00..2026-11-24T20:00``; a time without a zone is in UTC.

    :raises ValueError: the text is not a window.
    """
    first, dots, second = text.partition("..")
    if not dots:
        raise ValueError("a window is FROM..TO, such as 2026-11-24T08:00..2026-11-24T20:00")
    timestamps = []
    for part in (first, second):
        parsed = datetime.fromisoformat(part.strip())
        timestamps.append((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    if timestamps[0] >= timestamps[1]:
        raise ValueError("a window has to start before it ends")
    return TimeWindow(start=timestamps[0], end=timestamps[1])


def same_time_of_day(first: TimeWindow, second: TimeWindow) -> bool:
    """Return whether both start at the same time of the day, because traffic depends on it."""
    offset = (second.start - first.start) % 86400.0
    return min(offset, 86400.0 - offset) < 60.0


def compare_windows(
    samples: Sequence[Sample],
    metric: str,
    old_window: TimeWindow,
    new_window: TimeWindow,
    *,
    interval: float,
    settings: CompareSettings,
    direction: str = "increase",
) -> MetricComparison:
    """Compare a metric in two windows; values are paired by their offset from the start."""
    old, new = (window.values(samples, metric, interval) for window in (old_window, new_window))
    return compare(pair_by_slot(old, new), settings, direction=direction)


# ---- loads


def compare_loads(
    old: Sequence[LoadReport], new: Sequence[LoadReport], settings: CompareSettings, *, min_requests: int = 50
) -> list[tuple[str, MetricComparison]]:
    """Compare the load rounds of two versions by p50 and p95 of each step; p99 rests on too few requests."""
    for name, reports in (("old", old), ("new", new)):
        bad = next((load_report for load_report in reports if load_report.verdict is not Verdict.PASSED), None)
        if bad is not None and bad.verdict is Verdict.FAILED and name == "new":
            reason = f"the new version failed by itself: {bad.reason}"
            return [("load", MetricComparison(verdict=Verdict.FAILED, reason=reason))]
        if bad is not None:
            return [("load", inconclusive(f"a load of the {name} version is {bad.verdict.value}: {bad.reason}"))]
    rates = {tuple(step.rate for step in report.steps) for report in (*old, *new)}
    if len(rates) != 1 or not next(iter(rates)):
        return [("load", inconclusive("the loads have different rates and cannot be compared"))]
    comparisons = []
    for number, rate in enumerate(next(iter(rates))):
        steps = [[report.steps[number] for report in reports] for reports in (old, new)]
        comparisons += [
            (f"{name} at {rate:g}/s", _compare_step(steps[0], steps[1], name, settings, min_requests))
            for name in ("p50", "p95")
        ]
    return comparisons


def _compare_step(
    old: Sequence[StepReport],
    new: Sequence[StepReport],
    quantile_name: str,
    settings: CompareSettings,
    min_requests: int,
) -> MetricComparison:
    fewest = min(step.sent for step in (*old, *new))
    if fewest < min_requests:
        return inconclusive(f"{fewest} requests; {min_requests} are needed")
    old_median, new_median = (median(getattr(step, quantile_name) for step in steps) for steps in (old, new))
    if old_median <= 0:
        return inconclusive("the previous version has a latency of 0")
    ratio, rounds = new_median / old_median, min(len(old), len(new))
    if rounds < MIN_ROUNDS:
        detail = f"{ratio:.2f} times that of the previous version, in {rounds} round{'s' * (rounds > 1)} of one of them"
        return inconclusive(f"{detail}: run {MIN_ROUNDS} of each to rule out chance")
    is_slower = ratio > settings.max_ratio
    detail = f"{new_median * 1000:.3g} ms; the previous version took {old_median * 1000:.3g} ms; "
    detail += f"{settings.max_ratio:g} times are allowed"
    return MetricComparison(
        verdict=Verdict.FAILED if is_slower else Verdict.PASSED,
        ratio=ratio,
        p_value=math.nan,
        points=rounds,
        reason=detail if is_slower else "",
    )
