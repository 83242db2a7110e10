"""Judgement of a soak: broken limits and their severity, inconclusive metrics, and the final verdict. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from pytest_py312.rollout.canary_analysis.error_budget import REQUESTS_SUFFIX, describe_budget_burn
from pytest_py312.rollout.canary_analysis.judge import (
    CRASH_LOOP_RESTARTS,
    BreachKind,
    MetricVerdict,
    compare_with_control,
    reaction_to,
    severity_of,
)
from pytest_py312.rollout.canary_analysis.memory_growth import MIN_POINTS
from pytest_py312.rollout.canary_analysis.statistics import MetricComparison
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.measurements import CONCLUSIVE, Measurement, Result, Sample
from pytest_py312.rollout.domain.model import CONTRACT_METRIC, Breach, BreachSeverity, Reaction, Verdict, problem_key
from pytest_py312.rollout.metrics.resource_usage import (
    CONTROL_MEMORY,
    CPU_COUNTER,
    MEMORY,
    MEMORY_LIMIT,
    OUT_OF_MEMORY,
    RESTART_COUNTER,
)
from pytest_py312.rollout.metrics.worker_processes import (
    CONTROL_EXPECTED_PROCESSES,
    EXPECTED_PROCESSES,
    PROCESS_METRICS,
    missing_beside_control,
    result_beside_control,
)
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probes import (
    AVAILABILITY,
    DRIFT,
    ENGINE_ROLLBACK,
    HEALTH_CHECK,
    INTERPRETER,
    LATENCY,
)
from pytest_py312.rollout.monitoring.traffic import is_traffic_latency

CRASH_LOOP = "crash loop"
"""Metric of a breach: a container that restarts again and again."""
GROWTH = "memory growth"
MIN_GROWTH = 2 * 1024 * 1024
"""Bytes per hour; a soak cannot distinguish slower growth from noise."""
COMPARISON_SUFFIX = " compared"
"""Suffix of a metric's name in a breach of its comparison with the control."""
_IMMEDIATE = frozenset({OUT_OF_MEMORY, INTERPRETER, ENGINE_ROLLBACK})
"""Metrics whose first failure is a breach."""
_BREACH_KINDS = {
    AVAILABILITY: BreachKind.AVAILABILITY,
    HEALTH_CHECK: BreachKind.AVAILABILITY,
    ENGINE_ROLLBACK: BreachKind.AVAILABILITY,
    LATENCY: BreachKind.LATENCY,
    OUT_OF_MEMORY: BreachKind.OUT_OF_MEMORY,
    INTERPRETER: BreachKind.INTERPRETER,
    MEMORY: BreachKind.MEMORY,
    GROWTH: BreachKind.MEMORY,
    CRASH_LOOP: BreachKind.CRASH_LOOP,
    "exceptions": BreachKind.LOG,
    "log errors": BreachKind.LOG,
    "log warnings": BreachKind.LOG,
    "deprecations": BreachKind.LOG,
}
CONTROL_HEALTH = "twin"
"""Metric with 1 if the control was available, 0 if not; missing if the control does not run.

"twin" is its name in stored journals.
"""
BURN_SUFFIX = " burn"
"""Suffix of a metric's name in a breach of its error budget."""
AUXILIARY_METRICS = frozenset(
    {
        DRIFT,
        CPU_COUNTER,
        RESTART_COUNTER,
        MEMORY_LIMIT,
        CONTROL_MEMORY,
        CONTROL_HEALTH,
        EXPECTED_PROCESSES,
        CONTROL_EXPECTED_PROCESSES,
    }
)
"""Measurements that are not judged by limits: drift is handled separately, the others serve later samples."""
EXCUSED_PREFIX = "the old version too: "
"""Prefix of the detail of a failure that the control had at the same time."""


def can_control_excuse(previous: Sample | None) -> bool:
    """Return whether a failing control may excuse a failure of the new version, given the previous sample.

    A control that failed all along, for a reason of its own, would excuse every outage. It has to have been available
    until both versions failed. ``previous`` is ``None`` in the first sample.
    """
    if previous is None:
        return True
    was_well = any(item.metric == CONTROL_HEALTH and item.value == 1.0 for item in previous.measurements)
    return was_well or any(
        measurement.detail.startswith(EXCUSED_PREFIX) and measurement.metric not in PROCESS_METRICS
        for measurement in previous.measurements
    )


def merge_with_control(
    monitored: MonitoredService, new: Sequence[Measurement], old: Sequence[Measurement], previous: Sample | None = None
) -> tuple[Measurement, ...]:
    """Merge the measurements of a service and its control into those of one sample.

    A failure of both is caused by the environment. Measurements of the control only serve as evidence and never count
    against the new version, so inconclusive ones are left out.

    :param previous: the previous sample, ``None`` in the first one.
    """
    control_results = {measurement.metric: measurement for measurement in old} if can_control_excuse(previous) else {}
    merged = []
    for measurement in new:
        control_result = control_results.get(measurement.metric)
        result = (
            compare_with_control(measurement.result, control_result.result) if control_result else measurement.result
        )
        if measurement.metric in PROCESS_METRICS and control_result is not None:
            result = result_beside_control(measurement, control_result, new, old)
        if result is not measurement.result:
            measurement = replace(measurement, result=result, detail=f"{EXCUSED_PREFIX}{measurement.detail}")
        elif missing := missing_beside_control(measurement, new, old):
            measurement = replace(measurement, result=Result.INCONCLUSIVE, detail=missing)
        merged.append(measurement)
    availability_results = [measurement.result for measurement in old if measurement.metric == AVAILABILITY]
    if availability_results and availability_results[0] in CONCLUSIVE:
        was_well = float(availability_results[0] is Result.SUCCESSFUL)
        merged.append(Measurement(metric=CONTROL_HEALTH, result=Result.SUCCESSFUL, value=was_well))
    merged += [
        Measurement(metric=CONTROL_PREFIX + measurement.metric, result=Result.SUCCESSFUL, value=measurement.value)
        for measurement in old
        if measurement.value is not None
        and measurement.result in CONCLUSIVE
        and monitored.is_compared(measurement.metric)
    ]
    merged += [item for item in old if item.metric in (CONTROL_MEMORY, CONTROL_EXPECTED_PROCESSES)]
    return tuple(merged)


def find_breaches(monitored: MonitoredService, service_metrics: ServiceMetrics, *, final: bool = False) -> list[Breach]:
    """Return the limits that are broken, the worst first. ``final``: at the end of the soak."""
    broken = []
    for metric, series in service_metrics.series.items():
        if is_auxiliary(metric):
            continue
        if metric in _IMMEDIATE and series.last is not None and series.last.result is Result.FAILED:
            broken.append(make_breach(monitored, metric, series.last.detail))
            continue
        verdict = series.judge(monitored.rule_for(metric).limits)
        if verdict.verdict is Verdict.FAILED:
            last_detail = series.last.detail if series.last and series.last.result is Result.FAILED else ""
            detail = (
                f"{verdict.reason}: {last_detail}"
                if last_detail and last_detail not in verdict.reason
                else verdict.reason
            )
            broken.append(make_breach(monitored, metric, detail))
    if (restarts := service_metrics.recent_restarts) >= CRASH_LOOP_RESTARTS:
        broken.append(make_breach(monitored, CRASH_LOOP, f"restarted {restarts} times in 15 minutes"))
    broken += _growth_breaches(monitored, service_metrics, final=final)
    broken += _budget_breaches(monitored, service_metrics)
    broken += _comparison_breaches(monitored, service_metrics)
    return sorted(
        broken,
        key=lambda breach: (breach.reaction is not Reaction.ROLL_BACK, breach.severity is not BreachSeverity.SEVERE),
    )


def _growth_breaches(monitored: MonitoredService, service_metrics: ServiceMetrics, *, final: bool) -> list[Breach]:
    """Return the breach of a growing memory, severe if the memory runs out within another length of the soak."""
    metric = monitored.memory_metric
    leak = service_metrics.find_memory_leak(metric, monitored.settings, final=final)
    if leak is not None:
        is_urgent = leak.hours_left <= monitored.settings.duration / 3600
        return [make_breach(monitored, GROWTH, leak.description, is_urgent=is_urgent)]
    growth = service_metrics.growth_per_hour(metric, monitored.settings.interval)
    if growth is None or growth <= MIN_GROWTH:
        return []
    return [make_breach(monitored, GROWTH, f"grows by {growth / 2**20:.1f} MiB per hour")]


def _unjudged_growth(monitored: MonitoredService, service_metrics: ServiceMetrics) -> str:
    """Return that the growth of the memory could not be judged, as a clause; empty if it was."""
    series = service_metrics.series.get(monitored.memory_metric)
    if series is None or len(series.slots) >= MIN_POINTS:
        return ""
    return f"{monitored.service}: growth of memory was not judged: {len(series.slots)} of {MIN_POINTS} samples needed"


def is_auxiliary(metric: str) -> bool:
    """Return whether a measurement only serves the judgement of others and is not judged itself."""
    return metric in AUXILIARY_METRICS or metric.startswith(CONTROL_PREFIX) or metric.endswith(REQUESTS_SUFFIX)


def _metrics_of_both_versions(service_metrics: ServiceMetrics) -> list[str]:
    """Return the judged metrics that both versions have."""
    return [metric for metric in service_metrics.compared_metrics if not is_auxiliary(metric)]


def _budget_breaches(monitored: MonitoredService, service_metrics: ServiceMetrics) -> list[Breach]:
    broken = []
    for metric, budget in monitored.budgets.items():
        limits = monitored.rule_for(metric).limits
        burn_detail = describe_budget_burn(
            service_metrics, metric, budget, interval=monitored.settings.interval, min_requests=limits.min_requests
        )
        if burn_detail:
            broken.append(make_breach(monitored, metric + BURN_SUFFIX, burn_detail))
    return broken


def _comparison_breaches(monitored: MonitoredService, service_metrics: ServiceMetrics) -> list[Breach]:
    broken = []
    for metric in _metrics_of_both_versions(service_metrics):
        rule = monitored.rule_for(metric)
        comparison = service_metrics.compare_interim(metric, rule.compare, rule.settings.direction)
        if comparison is not None and comparison.verdict is Verdict.FAILED:
            broken.append(make_breach(monitored, metric + COMPARISON_SUFFIX, comparison.reason, ratio=comparison.ratio))
    return broken


def make_breach(
    monitored: MonitoredService, metric: str, detail: str, *, ratio: float = 1.0, is_urgent: bool = False
) -> Breach:
    """Return the breach of a limit of ``metric``, with its severity and the reaction."""
    name = metric.removesuffix(COMPARISON_SUFFIX).removesuffix(BURN_SUFFIX)
    rule = monitored.rule_for(name)
    kind = _BREACH_KINDS.get(metric.removesuffix(COMPARISON_SUFFIX), BreachKind.METRIC)
    if is_traffic_latency(metric.removesuffix(COMPARISON_SUFFIX)):
        kind = BreachKind.LATENCY
    if metric.startswith(f"{CONTRACT_METRIC} "):
        kind = BreachKind.CONTRACT
    if metric.endswith(BURN_SUFFIX):
        kind = BreachKind.ERROR_BURN
    severity = severity_of(kind, ratio=ratio, critical=rule.settings.critical or is_urgent)
    reaction = reaction_to(
        severity, critical_service=monitored.critical, settings=monitored.settings, dry_run=rule.settings.dry_run
    )
    return Breach(service=monitored.service, metric=metric, severity=severity, reaction=reaction, detail=detail)


def inconclusive_reasons(monitored: MonitoredService, service_metrics: ServiceMetrics) -> list[str]:
    """Return why the state of a service is unclear; this time does not count towards the soak."""
    return [
        f"{monitored.service}: {metric} {verdict.reason}"
        + (f": {series.last.detail}" if series.last and series.last.detail else "")
        for metric, series in service_metrics.series.items()
        if not is_auxiliary(metric)
        and (verdict := series.judge(monitored.rule_for(metric).limits)).verdict is Verdict.INCONCLUSIVE
    ]


def describe_drift(sample: Sample | None) -> str:
    """Describe what serves instead of the deployed version; empty if the deployed version serves.

    A sample with drift counts neither for nor against the new version.
    """
    drifts = [item for item in sample.measurements if item.metric == DRIFT] if sample else []
    return next((item.detail or "something else serves" for item in drifts if item.result is Result.FAILED), "")


def final_verdict(
    services: Sequence[MonitoredService],
    metrics_by_service: Mapping[str, ServiceMetrics],
    decided: Sequence[str] = (),
    untested: Sequence[str] = (),
) -> MetricVerdict:
    """Judge the whole soak once its credit is complete.

    :param decided: keys of breaches that a person accepted.
    :param untested: contracts and acceptance tests without a proof, as metrics.
    """
    failed, unclear, has_comparison = [], [f"{metric}: was not tested" for metric in untested], False
    for monitored in services:
        service_metrics = metrics_by_service[monitored.service]
        for broken in find_breaches(monitored, service_metrics, final=True):
            if broken.key in decided:
                continue
            if broken.reaction is not Reaction.RECORD:
                failed.append(f"{broken.key}: {broken.detail}")
            elif broken.metric == GROWTH:  # what only records must not accept a leak
                unclear.append(f"{broken.key}: {broken.detail}")
        unclear += inconclusive_reasons(monitored, service_metrics)
        for metric, comparison in final_comparisons(monitored, service_metrics):
            key = problem_key(monitored.service, metric + COMPARISON_SUFFIX)
            has_comparison = True
            if is_comparison_excused(monitored, metric, decided):
                continue
            if comparison.verdict is Verdict.FAILED:
                failed.append(f"{key}: {comparison.reason}")
            elif comparison.verdict is Verdict.INCONCLUSIVE:
                unclear.append(f"{key}: {comparison.reason}")
    if failed:
        return MetricVerdict(verdict=Verdict.FAILED, reason="; ".join(dict.fromkeys(failed)))
    if unclear:
        return MetricVerdict(verdict=Verdict.INCONCLUSIVE, reason="; ".join(unclear))
    notes = [] if has_comparison else ["not compared: no control ran beside the new version"]
    notes += filter(None, (_unjudged_growth(each, metrics_by_service[each.service]) for each in services))
    return MetricVerdict(verdict=Verdict.PASSED, reason="; ".join(notes))


def is_comparison_excused(monitored: MonitoredService, metric: str, accepted: Collection[str]) -> bool:
    """Return whether a metric may be worse than the control's: a person has accepted it, or it is only recorded.

    :param accepted: keys of breaches that a person accepted.
    """
    key = problem_key(monitored.service, metric + COMPARISON_SUFFIX)
    return key in accepted or monitored.rule_for(metric).settings.dry_run


def final_comparisons(
    monitored: MonitoredService, service_metrics: ServiceMetrics
) -> list[tuple[str, MetricComparison]]:
    """Compare the metrics that the control was to measure, over the whole soak."""
    metrics = _metrics_of_both_versions(service_metrics)
    # a control that never answered must not look like a successful comparison
    if monitored.control_probes or monitored.no_control_reason:
        metrics += sorted(
            metric for metric in monitored.latency_metrics if metric in service_metrics.series and metric not in metrics
        )
    results = []
    for metric in metrics:
        rule = monitored.rule_for(metric)
        comparison = service_metrics.compare_whole_soak(metric, rule.compare, rule.settings.direction)
        if comparison.verdict is Verdict.INCONCLUSIVE and monitored.no_control_reason:
            comparison = replace(comparison, reason=f"no control ran beside it: {monitored.no_control_reason}")
        results.append((metric, comparison))
    return results
