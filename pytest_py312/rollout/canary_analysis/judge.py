"""Rules of judgement: confirm failures, credit the soak, and choose the reaction to a breach. Pure.

A measuring error is never a failure of the service, and missing data is never good. Both only keep the soak from being
credited; after several in a row the verdict is inconclusive.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise, takewhile

from pytest_py312.repository.plan.rollout_settings import ConfirmSettings, SoakSettings
from pytest_py312.rollout.domain.measurements import Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import BreachSeverity, Reaction, Verdict, problem_key
from pytest_py312.rollout.metrics.resource_usage import UsageCounters

CRASH_LOOP_RESTARTS = 3
CRASH_LOOP_WINDOW = 15 * 60.0
"""This many restarts within this many seconds are a crash loop."""
FAST_BURN_RATE = 14.4
"""An error budget that burns this many times faster than it may needs a reaction at once."""
SEVERE_LATENCY_RATIO = 2.0
"""A latency that is this many times the control's is severe."""


class BreachKind(Enum):
    """What can go wrong with a monitored service, or with its stage."""

    AVAILABILITY = "availability"
    CRASH_LOOP = "crash loop"
    OUT_OF_MEMORY = "out of memory"
    ERROR_BURN = "error burn"
    INTERPRETER = "interpreter"
    CONTRACT = "contract"
    ACCEPTANCE = "acceptance"
    LATENCY = "latency"
    LOG = "log"
    MEMORY = "memory"
    METRIC = "metric"


_MINOR_KINDS = frozenset({BreachKind.LATENCY, BreachKind.LOG, BreachKind.MEMORY, BreachKind.METRIC})


def severity_of(kind: BreachKind, *, ratio: float = 1.0, critical: bool = False) -> BreachSeverity:
    """Return the severity of a breach.

    :param ratio: new latency divided by the previous version's.
    :param critical: whether the plan calls the metric critical.
    """
    if kind is BreachKind.LATENCY and ratio >= SEVERE_LATENCY_RATIO:
        return BreachSeverity.SEVERE
    return BreachSeverity.MINOR if kind in _MINOR_KINDS and not critical else BreachSeverity.SEVERE


def reaction_to(
    severity: BreachSeverity, *, critical_service: bool, settings: SoakSettings, dry_run: bool = False
) -> Reaction:
    """Return the reaction to a confirmed breach."""
    if dry_run:
        return Reaction.RECORD
    if severity is BreachSeverity.SEVERE:
        choice = settings.on_severe if critical_service else settings.non_critical
        return Reaction.ROLL_BACK if choice == "rollback" else Reaction.HOLD
    return Reaction.HOLD if critical_service else Reaction.RECORD


# ---- one bad sample


def judge_reprobe(results: Sequence[Result], rule: ConfirmSettings) -> Result:
    """Judge a bad sample by repeated probes: failed (confirmed), successful (a blip), or undecided.

    Probing may stop as soon as the result is decided.
    """
    failures, successes = results.count(Result.FAILED), results.count(Result.SUCCESSFUL)
    if failures >= rule.bad:
        return Result.FAILED
    if successes > rule.probes - rule.bad:
        return Result.SUCCESSFUL
    return Result.ERROR if Result.ERROR in results else Result.INCONCLUSIVE


def compare_with_control(new: Result, control: Result) -> Result:
    """Return what the new version's result means, given the control's at the same time.

    A failure of both is caused by the environment and says nothing about the new version.
    """
    return Result.INCONCLUSIVE if new is Result.FAILED and control is Result.FAILED else new


# ---- one metric


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricVerdict:
    """Verdict on the results of a metric so far. ``reason`` is empty while all is well."""

    verdict: Verdict
    reason: str = ""


def failures_allowed(settings: SoakSettings) -> int:
    """Return how many samples of a whole soak may fail, apart from the limit of consecutive failures.

    The share of a short soak may be less than one sample; the limit of consecutive failures then decides.
    """
    if settings.failure_limit == 0:
        return 0
    return max(math.floor(settings.failure_limit * settings.sample_count), settings.consecutive_failure_limit - 1)


def judge_metric(results: Sequence[Result], settings: SoakSettings) -> MetricVerdict:
    """Judge the results of a metric: failed once a limit was broken, inconclusive while too little is known.

    Results without information do not end a series of failures; only a success does.
    """
    consecutive_failures, failures, allowed = 0, 0, failures_allowed(settings)
    for number, result in enumerate(results, start=1):
        if result is Result.SUCCESSFUL:
            consecutive_failures = 0
        elif result is Result.FAILED:
            consecutive_failures, failures = consecutive_failures + 1, failures + 1
        if consecutive_failures >= settings.consecutive_failure_limit:
            return MetricVerdict(
                verdict=Verdict.FAILED,
                reason=f"{consecutive_failures} consecutive failures, the last in sample {number}",
            )
        if failures > allowed:
            return MetricVerdict(
                verdict=Verdict.FAILED,
                reason=f"{failures} of {number} samples failed; {allowed} are allowed in the soak",
            )
    errors = _trailing_count(results, {Result.ERROR})
    if errors >= settings.consecutive_error_limit:
        return MetricVerdict(verdict=Verdict.INCONCLUSIVE, reason=f"could not be measured for {errors} samples")
    undetermined = _trailing_count(results, {Result.ERROR, Result.INCONCLUSIVE})
    if undetermined - errors >= settings.inconclusive_limit:
        return MetricVerdict(verdict=Verdict.INCONCLUSIVE, reason=f"inconclusive for {undetermined} samples")
    return MetricVerdict(verdict=Verdict.PENDING)


def _trailing_count(results: Sequence[Result], kinds: Collection[Result]) -> int:
    """Return how many results at the end are of these kinds."""
    return sum(1 for _ in takewhile(lambda result: result in kinds, reversed(results)))


# ---- the soak


def slot_due(now: Timestamp, start: Timestamp, interval: float) -> int:
    """Return the newest slot of the schedule that begins at ``start``; 0 before the first.

    It follows the clock that never jumps, and the date only across a reboot.
    """
    return max(0, math.floor(now.elapsed_since(start) / interval))


def counts_towards_soak(sample: Sample, ignored: Collection[str] = ()) -> bool:
    """Return whether a sample counts: something was measured, and everything that is not ignored was successful."""
    if not ignored:
        return sample.is_good
    results = [
        measurement.result
        for measurement in sample.measurements
        if problem_key(sample.service, measurement.metric) not in ignored
    ]
    return bool(results) and all(result is Result.SUCCESSFUL for result in results)


def is_from_future(sample: Timestamp, now: Timestamp, slack: float) -> bool:
    """Return whether a sample claims to be more than ``slack`` seconds newer than ``now``. Such a sample is refused."""
    return now.elapsed_since(sample) < -slack


def clock_jumps(moments: Iterable[Timestamp], interval: float) -> list[tuple[Timestamp, float]]:
    """Return where the date was set: the timestamp after it, and the seconds. Drift below half an interval does not
    count.
    """
    jumps = []
    for earlier, later in pairwise(moments):
        passed = later.seconds_since(earlier)
        if passed is not None and abs(jump := later.wall - earlier.wall - passed) > interval / 2:
            jumps.append((later, jump))
    return jumps


# ---- restarts and error rates


def restarts_within(readings: Sequence[UsageCounters], seconds: float = CRASH_LOOP_WINDOW) -> int:
    """Return how often a container was restarted within the last ``seconds`` of the readings."""
    count = 0
    for earlier, later in pairwise(readings):
        age = readings[-1].at.seconds_since(later.at)
        restarts = max(later.restarts - earlier.restarts, int(later.started_at != earlier.started_at))
        passed = later.at.seconds_since(earlier.at)
        if age is not None and age <= seconds and passed is not None:  # a reboot restarts everything
            count += max(0, restarts)
    return count


def burn_rate(errors: float, requests: float, budget: float, *, min_requests: int) -> float | None:
    """Return how many times faster than allowed errors occur; ``None`` if there were too few requests."""
    return errors / requests / budget if requests >= max(min_requests, 1) else None
