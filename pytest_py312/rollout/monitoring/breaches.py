"""From what was measured to what happens: which limits are broken, how badly, and what the last judgement is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.repository.plan.rollout_settings import CompareSettings, MetricSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS, Budget, burning
from pytest_py312.rollout.canary_analysis.judge import (
    CRASHES,
    Judgement,
    Trouble,
    beside_twin,
    reaction_to,
    severity_of,
)
from pytest_py312.rollout.canary_analysis.statistics import Compared
from pytest_py312.rollout.canary_analysis.time_series import OLD, Tally
from pytest_py312.rollout.domain.model import CONTRACT, Breach, Measurement, Result, Sample, Verdict
from pytest_py312.rollout.metrics.resource_usage import CPU_COUNTER, MEMORY, OUT_OF_MEMORY, RESTART_COUNTER
from pytest_py312.rollout.monitoring.probes import (
    AVAILABILITY,
    DRIFT,
    HEALTH_CHECK,
    INTERPRETER,
    LATENCY,
    UNDONE,
    Probe,
)
from pytest_py312.rollout.monitoring.traffic import LOAD_LATENCY

CRASH_LOOP = "crash loop"
"""Begins the name of what is told of a contract; the edge follows."""
GROWTH = "memory growth"
GROWTH_FLOOR = 2 * 1024 * 1024
"""Bytes an hour; less is no leak that a soak could tell from noise."""
COMPARISON = " compared"
"""Ends the name of a metric whose comparison with the old version is told."""
_AT_ONCE = frozenset({OUT_OF_MEMORY, INTERPRETER, UNDONE})
"""Facts that no second look makes any less true."""
_TIMES = frozenset({LATENCY, LOAD_LATENCY})
_TOLD = (Result.SUCCESSFUL, Result.FAILED)
_TROUBLES = {
    AVAILABILITY: Trouble.AVAILABILITY,
    HEALTH_CHECK: Trouble.AVAILABILITY,
    UNDONE: Trouble.AVAILABILITY,
    LATENCY: Trouble.LATENCY,
    LOAD_LATENCY: Trouble.LATENCY,
    OUT_OF_MEMORY: Trouble.OUT_OF_MEMORY,
    INTERPRETER: Trouble.INTERPRETER,
    MEMORY: Trouble.MEMORY,
    GROWTH: Trouble.MEMORY,
    CRASH_LOOP: Trouble.CRASH_LOOP,
    "exceptions": Trouble.LOG,
    "log errors": Trouble.LOG,
    "log warnings": Trouble.LOG,
    "deprecations": Trouble.LOG,
}
TWIN = "twin"
"""1 where the old version beside the new one was well, 0 where it was not; it says nothing where it does not run."""
BURNING = " burn"
"""Ends the name of a metric whose error budget burns."""
NOT_JUDGED = frozenset({DRIFT, CPU_COUNTER, RESTART_COUNTER, TWIN})
"""Measurements that are no metrics: drift is told on its own, the others are notes for the next reading."""
EXCUSED = "the old version too: "
"""Begins the evidence of a failure that the old version had at the same time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRule:
    """What holds for one metric of a service."""

    settings: MetricSettings
    limits: SoakSettings
    compare: CompareSettings = field(default_factory=CompareSettings)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """A service that is watched: what is asked of it, and of its twin on the old interpreter where one runs beside.

    ``rules`` are those of metrics that the plan names, by their names; all others follow ``settings``.
    """

    service: str
    probes: tuple[Probe, ...]
    twin: tuple[Probe, ...] = ()
    no_twin: str = ""
    """Why there is none, where the plan asks for one."""
    critical: bool = False
    settings: SoakSettings = field(default_factory=SoakSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    rules: Mapping[str, MetricRule] = field(default_factory=dict)
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    """Metric that is a share of errors -> how many there may be."""

    def rule(self, metric: str) -> MetricRule:
        """What holds for ``metric``."""
        known = self.rules.get(metric)
        return known or MetricRule(
            settings=MetricSettings(name=metric, provider=""), limits=self.settings, compare=self.compare
        )

    def compares(self, metric: str) -> bool:
        """Whether ``metric`` is held against the twin's.

        What was logged or used for the first time is endlessly more than nothing: only the plan can ask for those.
        """
        return metric in _TIMES or metric in self.rules or metric.removesuffix(REQUESTS) in self.budgets

    @property
    def kept(self) -> frozenset[str]:
        """Metrics whose values are asked for later, and not only how they ended."""
        compared = {*_TIMES, *self.rules} if self.twin else set()
        counted = {*self.budgets, *(metric + REQUESTS for metric in self.budgets)}
        both = compared | counted
        return frozenset({MEMORY, *both, *(OLD + metric for metric in both)})


def can_excuse(before: Sample | None) -> bool:
    """Whether the twin may tell that the environment is to blame, by the sample before; ``None`` at the first.

    A twin that was ill all along, for want of something that the new one has, would excuse an outage of that for ever.
    It has to have been well until both fell ill.
    """
    if before is None:
        return True
    was_well = any(one.metric == TWIN and one.value == 1.0 for one in before.measurements)
    return was_well or any(one.detail.startswith(EXCUSED) for one in before.measurements)


def joined(
    watched: Watched, new: Sequence[Measurement], old: Sequence[Measurement], before: Sample | None = None
) -> tuple[Measurement, ...]:
    """The measurements of a service and its twin as one sample.

    What is bad on both sides is the environment's doing. The old version's answers are evidence and never a reason to
    call the new one bad, so those that are none are left out.

    :param before: the last sample of both, ``None`` where this is the first.
    """
    beside = {one.metric: one for one in old} if can_excuse(before) else {}
    found = []
    for one in new:
        other = beside.get(one.metric)
        result = beside_twin(one.result, other.result) if other else one.result
        if result is not one.result:
            one = replace(one, result=result, detail=f"{EXCUSED}{one.detail}")
        found.append(one)
    answers = [one.result for one in old if one.metric == AVAILABILITY]
    if answers and answers[0] in _TOLD:
        was_well = float(answers[0] is Result.SUCCESSFUL)
        found.append(Measurement(metric=TWIN, result=Result.SUCCESSFUL, value=was_well))
    found += [
        Measurement(metric=OLD + one.metric, result=Result.SUCCESSFUL, value=one.value)
        for one in old
        if one.value is not None and one.result in _TOLD and watched.compares(one.metric)
    ]
    return tuple(found)


def breaches(watched: Watched, tally: Tally) -> list[Breach]:
    """The limits that are broken by now, the worst first."""
    found = []
    for metric, series in tally.series.items():
        if is_note(metric):
            continue
        if metric in _AT_ONCE and series.last is not None and series.last.result is Result.FAILED:
            found.append(breach(watched, metric, series.last.detail))
            continue
        judgement = series.judged(watched.rule(metric).limits)
        if judgement.verdict is Verdict.FAILED:
            last = series.last.detail if series.last and series.last.result is Result.FAILED else ""
            told = f"{judgement.reason}: {last}" if last and last not in judgement.reason else judgement.reason
            found.append(breach(watched, metric, told))
    if (restarts := tally.restarts) >= CRASHES:
        found.append(breach(watched, CRASH_LOOP, f"started again {restarts} times in 15 minutes"))
    growth = tally.growth(MEMORY, watched.settings.interval)
    if growth is not None and growth > GROWTH_FLOOR:
        found.append(breach(watched, GROWTH, f"grows by {growth / 2**20:.1f} MiB an hour"))
    found += _burning(watched, tally)
    found += _slower(watched, tally)
    return sorted(found, key=lambda one: (one.reaction.value != "roll back", one.severity.value != "severe"))


def is_note(metric: str) -> bool:
    """Whether a measurement is one for others to be judged by, and none itself."""
    return metric in NOT_JUDGED or metric.startswith(OLD) or metric.endswith(REQUESTS)


def _both_told(tally: Tally) -> list[str]:
    """Metrics that both versions answered."""
    return [metric for metric in tally.compared_metrics if not is_note(metric)]


def _burning(watched: Watched, tally: Tally) -> list[Breach]:
    found = []
    for metric, budget in watched.budgets.items():
        limits = watched.rule(metric).limits
        told = burning(tally, metric, budget, interval=watched.settings.interval, min_requests=limits.min_requests)
        if told:
            found.append(breach(watched, metric + BURNING, told))
    return found


def _slower(watched: Watched, tally: Tally) -> list[Breach]:
    found = []
    for metric in _both_told(tally):
        rule = watched.rule(metric)
        said = tally.compared_now(metric, rule.compare, rule.settings.direction)
        if said is not None and said.verdict is Verdict.FAILED:
            found.append(breach(watched, metric + COMPARISON, said.reason, ratio=said.ratio))
    return found


def breach(watched: Watched, metric: str, detail: str, *, ratio: float = 1.0) -> Breach:
    """A broken limit of ``metric``, with how bad it is and what it leads to."""
    name = metric.removesuffix(COMPARISON).removesuffix(BURNING)
    planned = watched.rule(name)
    trouble = _TROUBLES.get(metric.removesuffix(COMPARISON), Trouble.METRIC)
    if metric.startswith(f"{CONTRACT} "):
        trouble = Trouble.CONTRACT
    if metric.endswith(BURNING):
        trouble = Trouble.ERROR_BURN
    severity = severity_of(trouble, ratio=ratio, critical=planned.settings.critical)
    reaction = reaction_to(
        severity, critical_service=watched.critical, settings=watched.settings, dry_run=planned.settings.dry_run
    )
    return Breach(service=watched.service, metric=metric, severity=severity, reaction=reaction, detail=detail)


def untold(watched: Watched, tally: Tally) -> list[str]:
    """Why nothing can be said about the service just now; the soak is not credited meanwhile."""
    return [
        f"{watched.service}: {metric} {judgement.reason}"
        + (f": {series.last.detail}" if series.last and series.last.detail else "")
        for metric, series in tally.series.items()
        if not is_note(metric)
        and (judgement := series.judged(watched.rule(metric).limits)).verdict is Verdict.INCONCLUSIVE
    ]


def drift_in(sample: Sample | None) -> str:
    """What serves in the place of what was deployed; empty where it is the right one.

    Such a sample says nothing at all about the new version, neither good nor bad.
    """
    found = [one for one in sample.measurements if one.metric == DRIFT] if sample else []
    return next((one.detail or "something else serves" for one in found if one.result is Result.FAILED), "")


def last_judgement(
    watched: Sequence[Watched],
    tallies: Mapping[str, Tally],
    decided: Sequence[str] = (),
    untried: Sequence[str] = (),
) -> Judgement:
    """What is to be said of the whole soak, once it is credited.

    ``decided`` was accepted by a person; ``untried`` are contracts of which nobody knows whether they hold.
    """
    failed, unclear, compared = [], [f"{CONTRACT} {edge}: was not tried" for edge in untried], False
    for one in watched:
        tally = tallies[one.service]
        failed += [
            f"{each.key}: {each.detail}"
            for each in breaches(one, tally)
            if each.key not in decided and each.reaction.value != "record"
        ]
        unclear += untold(one, tally)
        for metric, said in comparisons(one, tally):
            key = f"{one.service}: {metric}{COMPARISON}"
            compared = True
            if key in decided or one.rule(metric).settings.dry_run:
                continue
            if said.verdict is Verdict.FAILED:
                failed.append(f"{key}: {said.reason}")
            elif said.verdict is Verdict.INCONCLUSIVE:
                unclear.append(f"{key}: {said.reason}")
    if failed:
        return Judgement(verdict=Verdict.FAILED, reason="; ".join(dict.fromkeys(failed)))
    if unclear:
        return Judgement(verdict=Verdict.INCONCLUSIVE, reason="; ".join(unclear))
    told = "" if compared else "not compared: no old version ran beside the new one"
    return Judgement(verdict=Verdict.PASSED, reason=told)


def comparisons(watched: Watched, tally: Tally) -> list[tuple[str, Compared]]:
    """What there is to be said of each metric that the old version beside it was to be asked for, over all of it."""
    metrics = _both_told(tally)
    if watched.twin or watched.no_twin:  # one that never answered must not look like a good comparison
        metrics += sorted(metric for metric in _TIMES if metric in tally.series and metric not in metrics)
    found = []
    for metric in metrics:
        rule = watched.rule(metric)
        said = tally.compared_in_all(metric, rule.compare, rule.settings.direction)
        if said.verdict is Verdict.INCONCLUSIVE and watched.no_twin:
            said = replace(said, reason=f"no old version ran beside it: {watched.no_twin}")
        found.append((metric, said))
    return found
