"""Reports of generated load, and their judgement by limits. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_py312.rollout.domain.model import WORST_FIRST, Verdict

MAX_LATENESS = 0.010
"""Seconds of lateness (99th percentile) above which the generator counts as saturated."""
MIN_RATE_SHARE = 0.95
"""Share of the requested rate that has to be achieved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadLimits:
    """Allowed 95th and 99th percentile of the latency in seconds (0: unlimited), and allowed share of errors."""

    p95: float = 0.0
    p99: float = 0.0
    errors: float = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointReport:
    """Results of the requests of one kind in a step; see :class:`StepReport`."""

    name: str
    sent: int
    errors: int
    p50: float
    p95: float
    p99: float
    p999: float
    longest: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """Result of a step. Times are in seconds; latencies count from the due time and include failed requests."""

    rate: float
    achieved: float
    sent: int
    not_sent: int
    errors: int
    p50: float
    p95: float
    p99: float
    longest: float
    lateness: float
    """Lateness of the generator itself, 99th percentile."""
    verdict: Verdict
    reason: str = ""
    p999: float = 0.0
    endpoints: tuple[EndpointReport, ...] = ()
    """Results of each kind of request, if there are several."""

    @property
    def missed_rate(self) -> str:
        """That the requested rate was not reached; empty if it was."""
        if self.achieved >= MIN_RATE_SHARE * self.rate:
            return ""
        return f"requested rate not reached: {self.achieved:.1f} of {self.rate:g} per second"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadReport:
    """Results of all judged steps. The verdict is that of the worst step."""

    verdict: Verdict
    steps: tuple[StepReport, ...] = ()
    reason: str = ""


def latency_quantiles(latencies: Iterable[float]) -> dict[str, float]:
    """Return the quantiles of latencies by the names of the fields of a report."""
    ordered = sorted(latencies)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999, "longest": 1.0}
    return {name: quantile(ordered, share) for name, share in shares.items()}


def judge_step(step: StepReport, limits: LoadLimits) -> tuple[Verdict, str]:
    """Judge a step. If the generator was late itself, slowness is inconclusive, but errors still count."""
    error_share = step.errors / step.sent if step.sent else 1.0
    if error_share > limits.errors:
        return Verdict.FAILED, f"{error_share:.2%} of {step.sent} requests failed; {limits.errors:.2%} are allowed"
    if saturated := saturation(step.lateness):
        return Verdict.INCONCLUSIVE, saturated
    if step.missed_rate:
        return Verdict.FAILED, step.missed_rate
    exceeded = exceeded_limit("p95", step.p95, limits.p95) or exceeded_limit("p99", step.p99, limits.p99)
    return (Verdict.FAILED, exceeded) if exceeded else (Verdict.PASSED, "")


def saturation(lateness: float) -> str:
    """Return that the generator was late itself; empty if it was not."""
    if lateness <= MAX_LATENESS:
        return ""
    return f"generator saturated: it was {lateness * 1000:.0f} ms late itself (99th percentile)"


def exceeded_limit(name: str, value: float, limit: float) -> str:
    """Return that a quantile of the latency is above its limit; empty if it is not, or has none (0)."""
    return f"{name} is {value * 1000:.0f} ms; {limit * 1000:.0f} ms are allowed" if limit and value > limit else ""


def combine_steps(steps: Sequence[StepReport]) -> LoadReport:
    """Combine the steps; the worst verdict counts."""
    worst = min(steps, key=lambda step: WORST_FIRST.index(step.verdict))
    return LoadReport(verdict=worst.verdict, steps=tuple(steps), reason=worst.reason)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that a ``share`` of the ordered values do not exceed; 0.0 without values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
