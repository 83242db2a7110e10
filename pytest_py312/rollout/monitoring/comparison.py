"""New against old, from what was recorded: the twin beside it, two windows of time, or the reports of two loads. Pure.

The verdicts are those of a soak: the rank test and the ratio, both. Reports of loads have quantiles and no samples, so
there the ratio has to do alone, of medians over the rounds.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.canary_analysis.statistics import Compared, aligned, compare
from pytest_py312.rollout.canary_analysis.time_series import OLD, Tally
from pytest_py312.rollout.domain.model import Sample, Verdict
from pytest_py312.rollout.metrics.load_generator import LoadReport, StepReport
from pytest_py312.rollout.monitoring.breaches import drift_in

ROUNDS = 3
"""Rounds of a load on each side, below which nothing is said: chance has its say."""
_WORST_FIRST = (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PENDING, Verdict.PASSED)
NO_TWIN = "no old version ran beside the new one"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One comparison."""

    service: str
    metric: str
    compared: Compared


def verdict_of(rows: Iterable[Row]) -> Verdict:
    """The worst of them; inconclusive where there is none."""
    found = [row.compared.verdict for row in rows]
    return min(found, key=_WORST_FIRST.index) if found else Verdict.INCONCLUSIVE


def untold(reason: str) -> Compared:
    """Nothing can be said, and why."""
    return Compared(verdict=Verdict.INCONCLUSIVE, reason=reason)


# ---- beside the twin


def tally_of(samples: Iterable[Sample]) -> Tally:
    """Samples that say something about the new version."""
    tally = Tally()
    for sample in samples:
        if not drift_in(sample):
            tally.add(sample)
    return tally


def beside(
    tally: Tally, metrics: Sequence[str], rules: Mapping[str, tuple[CompareSettings, str]], default: CompareSettings
) -> list[tuple[str, Compared]]:
    """Metrics against those of the twin.

    :param metrics: these; empty: all that the twin answered as well.
    :param rules: metric -> when it is worse, and which direction of a change is.
    """
    found = []
    for metric in metrics or tally.compared_metrics:
        settings, direction = rules.get(metric, (default, "increase"))
        if OLD + metric not in tally.series:
            found.append((metric, untold(NO_TWIN)))
        else:
            found.append((metric, tally.compared_in_all(metric, settings, direction)))
    return found


# ---- before and after


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A time, from ``start`` up to ``end``, in seconds since the epoch."""

    start: float
    end: float

    def values(self, samples: Iterable[Sample], metric: str, interval: float) -> dict[int, float]:
        """The values of a metric, by how many intervals after the beginning they were measured."""
        found: dict[int, float] = {}
        for sample in samples:
            if not self.start <= sample.at.wall < self.end or drift_in(sample):
                continue
            for one in sample.measurements:
                good = (
                    one.value is not None and math.isfinite(one.value) and one.result.value in ("successful", "failed")
                )
                if one.metric == metric and good and one.value is not None:
                    found.setdefault(round((sample.at.wall - self.start) / interval), one.value)
        return found


def window_in(text: str) -> Window:
    """``2026-11-24T08:00..2026-11-24T20:00``; a time without a zone is in UTC.

    :raises ValueError: it is no window.
    """
    first, dots, second = text.partition("..")
    if not dots:
        raise ValueError("a window is FROM..TO, such as 2026-11-24T08:00..2026-11-24T20:00")
    moments = []
    for part in (first, second):
        moment = datetime.fromisoformat(part.strip())
        moments.append((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if moments[0] >= moments[1]:
        raise ValueError("a window begins before it ends")
    return Window(start=moments[0], end=moments[1])


def same_hours(before: Window, after: Window) -> bool:
    """Whether both begin at the same time of the day, to the minute; traffic has hours."""
    off = (after.start - before.start) % 86400.0
    return min(off, 86400.0 - off) < 60.0


def between(
    samples: Sequence[Sample],
    metric: str,
    before: Window,
    after: Window,
    *,
    interval: float,
    settings: CompareSettings,
    direction: str = "increase",
) -> Compared:
    """A metric in two windows, each value beside that of as long after the beginning."""
    old, new = (window.values(samples, metric, interval) for window in (before, after))
    return compare(aligned(old, new), settings, direction=direction)


# ---- loads


def loads(
    old: Sequence[LoadReport], new: Sequence[LoadReport], settings: CompareSettings, *, min_requests: int = 50
) -> list[tuple[str, Compared]]:
    """Two loads, each of some rounds: what is judged is p50 and p95 of each step; p99 is one request of a hundred."""
    for name, reports in (("old", old), ("new", new)):
        bad = next((one for one in reports if one.verdict is not Verdict.PASSED), None)
        if bad is not None and bad.verdict is Verdict.FAILED and name == "new":
            reason = f"the new version failed by itself: {bad.reason}"
            return [("load", Compared(verdict=Verdict.FAILED, reason=reason))]
        if bad is not None:
            return [("load", untold(f"a load of the {name} version is {bad.verdict.value}: {bad.reason}"))]
    asked = {tuple(step.rate for step in report.steps) for report in (*old, *new)}
    if len(asked) != 1 or not next(iter(asked)):
        return [("load", untold("the loads asked for different rates: nothing can be compared"))]
    found = []
    for number, rate in enumerate(next(iter(asked))):
        steps = [[report.steps[number] for report in reports] for reports in (old, new)]
        found += [
            (f"{name} at {rate:g}/s", _step(steps[0], steps[1], name, settings, min_requests))
            for name in ("p50", "p95")
        ]
    return found


def _step(
    old: Sequence[StepReport], new: Sequence[StepReport], name: str, settings: CompareSettings, min_requests: int
) -> Compared:
    fewest = min(step.sent for step in (*old, *new))
    if fewest < min_requests:
        return untold(f"{fewest} requests, where {min_requests} are needed")
    before, after = (median(getattr(step, name) for step in steps) for steps in (old, new))
    if before <= 0:
        return untold("the old version took no time at all")
    ratio, rounds = after / before, min(len(old), len(new))
    if rounds < ROUNDS:
        told = f"{ratio:.2f} times the old version's, of {rounds} round{'s' * (rounds > 1)} of one of them"
        return untold(f"{told}: run {ROUNDS} of each, as chance has its say")
    failed = ratio > settings.max_ratio
    told = f"{after * 1000:.3g} ms, where the old version took {before * 1000:.3g} ms; "
    told += f"{settings.max_ratio:g} times are allowed"
    return Compared(
        verdict=Verdict.FAILED if failed else Verdict.PASSED,
        ratio=ratio,
        p_value=math.nan,
        points=rounds,
        reason=told if failed else "",
    )
