"""What samples say: confirmed or a blip, how much of a soak they prove, and what a breach leads to. Pure.

An error of the measuring is never the service's failure, and no data is never good: both only keep a soak from being
credited, and after some of them running its verdict is inconclusive.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from pytest_py312.repository.plan.rollout_settings import Confirm, SoakSettings
from pytest_py312.rollout.domain.model import Moment, Reaction, Result, Sample, Severity, Usage, Verdict

CRASHES = 3
CRASH_WINDOW = 15 * 60.0
"""So many restarts in so many seconds are a crash loop."""
BURN = 14.4
"""How many times faster than it may an error budget burns when nobody may wait any longer."""
SEVERE_RATIO = 2.0
"""A latency this many times that of the old version is no longer a matter of taste."""


class Trouble(Enum):
    """What can be wrong with a service that is watched."""

    AVAILABILITY = "availability"
    CRASH_LOOP = "crash loop"
    OUT_OF_MEMORY = "out of memory"
    ERROR_BURN = "error burn"
    INTERPRETER = "interpreter"
    CONTRACT = "contract"
    LATENCY = "latency"
    LOG = "log"
    MEMORY = "memory"
    METRIC = "metric"


_MINOR = frozenset({Trouble.LATENCY, Trouble.LOG, Trouble.MEMORY, Trouble.METRIC})


def severity_of(trouble: Trouble, *, ratio: float = 1.0, critical: bool = False) -> Severity:
    """How bad a trouble is. ``ratio`` is new by old, of a latency; ``critical`` is what the plan says of a metric."""
    if trouble is Trouble.LATENCY and ratio >= SEVERE_RATIO:
        return Severity.SEVERE
    return Severity.MINOR if trouble in _MINOR and not critical else Severity.SEVERE


def reaction_to(
    severity: Severity, *, critical_service: bool, settings: SoakSettings, dry_run: bool = False
) -> Reaction:
    """What a confirmed breach leads to."""
    if dry_run:
        return Reaction.RECORD
    if severity is Severity.SEVERE:
        choice = settings.on_severe if critical_service else settings.non_critical
        return Reaction.ROLL_BACK if choice == "rollback" else Reaction.HOLD
    return Reaction.HOLD if critical_service else Reaction.RECORD


# ---- one bad sample


def confirmed(burst: Sequence[Result], rule: Confirm) -> Result:
    """What asking again says about a bad sample: failed (it is confirmed), successful (a blip), or not to be told.

    A burst may be cut short as soon as it is decided.
    """
    bad, well = burst.count(Result.FAILED), burst.count(Result.SUCCESSFUL)
    if bad >= rule.bad:
        return Result.FAILED
    if well > rule.probes - rule.bad:
        return Result.SUCCESSFUL
    return Result.ERROR if Result.ERROR in burst else Result.INCONCLUSIVE


def beside_twin(new: Result, old: Result) -> Result:
    """What the new version's answer means beside the old one's at the same moment.

    Bad on both sides is the environment's doing, and says nothing about the new version.
    """
    return Result.INCONCLUSIVE if new is Result.FAILED and old is Result.FAILED else new


# ---- one metric


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What a metric's results say so far. ``reason`` is empty while all is well."""

    verdict: Verdict
    reason: str = ""


def failures_allowed(settings: SoakSettings) -> int:
    """How many samples of a whole soak may fail without running.

    A share of a short soak may be less than one sample; it is then what the rule about running failures lets pass.
    """
    if settings.failure_limit == 0:
        return 0
    return max(math.floor(settings.failure_limit * settings.samples), settings.consecutive_failure_limit - 1)


def judge_metric(results: Sequence[Result], settings: SoakSettings) -> Judgement:
    """Failed once a limit of failures was broken, whatever came after; inconclusive while it cannot be told.

    Results that tell nothing lie between failures without parting them: only a success does.
    """
    running, failed, allowed = 0, 0, failures_allowed(settings)
    for number, result in enumerate(results, start=1):
        if result is Result.SUCCESSFUL:
            running = 0
        elif result is Result.FAILED:
            running, failed = running + 1, failed + 1
        if running >= settings.consecutive_failure_limit:
            return Judgement(verdict=Verdict.FAILED, reason=f"{running} failed running, the last is sample {number}")
        if failed > allowed:
            return Judgement(
                verdict=Verdict.FAILED, reason=f"{failed} of {number} samples failed; {allowed} of the soak may"
            )
    errors = _running(results, {Result.ERROR})
    if errors >= settings.consecutive_error_limit:
        return Judgement(verdict=Verdict.INCONCLUSIVE, reason=f"could not be measured for {errors} samples")
    untold = _running(results, {Result.ERROR, Result.INCONCLUSIVE})
    if untold - errors >= settings.inconclusive_limit:
        return Judgement(verdict=Verdict.INCONCLUSIVE, reason=f"told nothing for {untold} samples")
    return Judgement(verdict=Verdict.PENDING)


def _running(results: Sequence[Result], kinds: Collection[Result]) -> int:
    """How many at the end are of these kinds."""
    count = 0
    for result in reversed(results):
        if result not in kinds:
            break
        count += 1
    return count


# ---- the soak


def slot_due(now: Moment, start: Moment, interval: float) -> int:
    """The newest slot of the schedule that begins at ``start``; 0 before the first.

    By the clock that cannot be set; by the date only across a restart of the machine.
    """
    since = now.since(start)
    elapsed = now.wall - start.wall if since is None else since
    return max(0, math.floor(elapsed / interval))


def credited(
    samples: Mapping[str, Sequence[Sample]],
    services: Collection[str],
    interval: float,
    *,
    ignored: Collection[str] = (),
) -> float:
    """Seconds of the soak that are proven: slots in which every service was well, each worth an interval.

    A gap is worth nothing, nor is a sample that another one was taken right before: of one start of the machine no
    more is credited than has passed there.

    :param samples: of each service.
    :param ignored: what does not count against a sample, as ``service: metric``.
    """
    if not services:
        return 0.0
    good: dict[int, Moment] = {}
    counts: Counter[int] = Counter()
    for service in services:
        for sample in samples.get(service, ()):
            if is_good(sample, ignored):
                counts[sample.slot] += 1
                good[sample.slot] = sample.at
    boots: dict[str, list[float]] = {}
    for slot, count in counts.items():
        if count == len(services):
            boots.setdefault(good[slot].boot, []).append(good[slot].boottime)
    return sum(min(len(times) * interval, max(times) - min(times) + interval) for times in boots.values())


def is_good(sample: Sample, ignored: Collection[str] = ()) -> bool:
    """Whether a sample counts: something was measured, and nothing that counts was other than well."""
    if not ignored:
        return sample.is_good
    results = [one.result for one in sample.measurements if f"{sample.service}: {one.metric}" not in ignored]
    return bool(results) and all(result is Result.SUCCESSFUL for result in results)


def from_the_future(sample: Moment, now: Moment, slack: float) -> bool:
    """Whether a sample claims to be of later than ``now``, by more than ``slack`` seconds. Such a one is refused."""
    since = now.since(sample)
    return (now.wall - sample.wall if since is None else since) < -slack


def clock_jumps(moments: Iterable[Moment], interval: float) -> list[tuple[Moment, float]]:
    """Where the date was set: the moment after it, and by how many seconds. Drift below half an interval is none."""
    found = []
    for earlier, later in pairwise(moments):
        passed = later.since(earlier)
        if passed is not None and abs(jump := later.wall - earlier.wall - passed) > interval / 2:
            found.append((later, jump))
    return found


# ---- what an engine and a counter tell


def restarts_within(readings: Sequence[tuple[Moment, Usage]], seconds: float = CRASH_WINDOW) -> int:
    """How often a container was started again in the last ``seconds`` of the readings."""
    count = 0
    for (earlier, before), (later, after) in pairwise(readings):
        age = readings[-1][0].since(later)
        again = max(after.restarts - before.restarts, int(after.started_at != before.started_at))
        passed = later.since(earlier)
        if age is not None and age <= seconds and passed is not None:  # a restart of the machine starts everything
            count += max(0, again)
    return count


def burn_rate(errors: float, requests: float, budget: float, *, min_requests: int) -> float | None:
    """How many times faster than allowed errors come; ``None`` where there were too few requests to tell."""
    return errors / requests / budget if requests >= max(min_requests, 1) else None
