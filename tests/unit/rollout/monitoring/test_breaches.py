"""Breaches, excuses by the control, and the final verdict of a soak."""

from dataclasses import replace
from typing import cast

import pytest

from pytest_py312.repository.plan.rollout_settings import CompareSettings, MetricSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.error_budget import ErrorBudget
from pytest_py312.rollout.canary_analysis.time_series import CONFIRMED_PREFIX, CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import Breach, BreachSeverity, Reaction, Verdict
from pytest_py312.rollout.metrics.resource_usage import CPU_COUNTER, OUT_OF_MEMORY
from pytest_py312.rollout.metrics.worker_processes import (
    CONTROL_EXPECTED_PROCESSES,
    EXPECTED_PROCESSES,
    PROCESSES,
    WORKER_RESTARTS,
)
from pytest_py312.rollout.monitoring.breaches import (
    CONTROL_HEALTH,
    final_verdict,
    find_breaches,
    inconclusive_reasons,
    merge_with_control,
)
from pytest_py312.rollout.monitoring.monitored_service import MetricRule, MonitoredService
from pytest_py312.rollout.monitoring.probes import AVAILABILITY, ENGINE_ROLLBACK, INTERPRETER, LATENCY, Probe

SOAK = SoakSettings()


def metrics_from(*rows: tuple[Measurement, ...]) -> ServiceMetrics:
    service_metrics = ServiceMetrics()
    for slot, row in enumerate(rows, start=1):
        at = Timestamp(wall=300.0 * slot, boottime=300.0 * slot, boot="b")
        service_metrics.add(Sample(service="user", slot=slot, at=at, measurements=row))
    return service_metrics


def failed(metric: str, detail: str = "") -> Measurement:
    return Measurement(metric=metric, result=Result.FAILED, detail=detail)


def well(metric: str, value: float | None = None) -> Measurement:
    return Measurement(metric=metric, result=Result.SUCCESSFUL, value=value)


def watched(
    *, critical: bool = True, metric: MetricSettings | None = None, soak: SoakSettings = SOAK
) -> MonitoredService:
    rules = {metric.name: MetricRule(settings=metric, limits=soak)} if metric else {}
    return MonitoredService(service="user", probes=(), critical=critical, settings=soak, rules=rules)


def only(found: list[Breach]) -> tuple[BreachSeverity, Reaction]:
    (breach,) = found
    return breach.severity, breach.reaction


@pytest.mark.parametrize("metric", [OUT_OF_MEMORY, INTERPRETER, ENGINE_ROLLBACK])
def test_some_metrics_fail_at_once(metric: str) -> None:
    assert only(find_breaches(watched(), metrics_from((failed(metric),)))) == (
        BreachSeverity.SEVERE,
        Reaction.ROLL_BACK,
    )


def test_a_failure_counts_when_confirmed_or_repeated() -> None:
    assert find_breaches(watched(), metrics_from((failed(AVAILABILITY),))) == []
    sure = metrics_from((failed(AVAILABILITY, f"{CONFIRMED_PREFIX}4 of 5"),), (well(AVAILABILITY),))
    assert only(find_breaches(watched(), sure)) == (BreachSeverity.SEVERE, Reaction.ROLL_BACK)
    running = metrics_from(*[(failed(AVAILABILITY, "HTTP 500"),)] * 3)
    assert find_breaches(watched(), running)[0].detail == "3 consecutive failures, the last in sample 3: HTTP 500"


@pytest.mark.parametrize(
    ("critical", "metric", "dry_run", "expected"),
    [
        (True, False, False, (BreachSeverity.MINOR, Reaction.HOLD)),
        (False, False, False, (BreachSeverity.MINOR, Reaction.RECORD)),
        (True, True, False, (BreachSeverity.SEVERE, Reaction.ROLL_BACK)),
        (False, True, False, (BreachSeverity.SEVERE, Reaction.HOLD)),
        (True, True, True, (BreachSeverity.SEVERE, Reaction.RECORD)),
    ],
)
def test_reactions_by_severity(
    critical: bool, metric: bool, dry_run: bool, expected: tuple[BreachSeverity, Reaction]
) -> None:
    """``metric``: whether the metric is critical in the plan."""
    rule = MetricSettings(name="orders", provider="python", critical=metric, dry_run=dry_run)
    service = watched(critical=critical, metric=rule)
    assert only(find_breaches(service, metrics_from(*[(failed("orders"),)] * 3))) == expected


def test_counters_and_control_metrics_are_no_breaches() -> None:
    rows = [(failed(CPU_COUNTER), failed(CONTROL_PREFIX + AVAILABILITY))] * 10
    assert find_breaches(watched(), metrics_from(*rows)) == []


@pytest.mark.parametrize(("dry_run", "reaction"), [(False, Reaction.ROLL_BACK), (True, Reaction.RECORD)])
def test_a_burning_error_budget_is_severe_regardless_of_conditions(dry_run: bool, reaction: Reaction) -> None:
    """The metric has no condition: its share alone is neither good nor bad."""
    metric = MetricSettings(name="errors", provider="prometheus", budget=0.001, dry_run=dry_run)
    service = replace(watched(metric=metric), budgets={"errors": ErrorBudget(share=0.001, window=300.0)})
    service_metrics = metrics_from(*[(well("errors", 0.05), well("errors requests", 1000.0))] * 12)
    assert only(find_breaches(service, service_metrics)) == (BreachSeverity.SEVERE, reaction)
    assert find_breaches(service, service_metrics)[0].key == "user: errors burn"
    assert find_breaches(watched(metric=metric), service_metrics) == []
    assert {"errors", "errors requests"} <= service.value_metrics


def test_the_worst_comes_first() -> None:
    rows = [(failed("orders"), failed(AVAILABILITY))] * 3
    assert [one.metric for one in find_breaches(watched(), metrics_from(*rows))] == [AVAILABILITY, "orders"]


def test_failures_of_both_are_inconclusive_and_of_the_control_alone_are_ignored() -> None:
    service = watched()
    both = merge_with_control(service, [failed(AVAILABILITY, "no")], [failed(AVAILABILITY)])
    assert [(measurement.metric, measurement.result, measurement.detail) for measurement in both] == [
        (AVAILABILITY, Result.INCONCLUSIVE, "the old version too: no"),
        (CONTROL_HEALTH, Result.SUCCESSFUL, ""),
    ]
    old_alone = merge_with_control(
        service, [well(LATENCY, 1.0)], [failed(AVAILABILITY), well(LATENCY, 2.0), well("memory", 5.0)]
    )
    assert [(measurement.metric, measurement.value) for measurement in old_alone] == [
        (LATENCY, 1.0),
        (CONTROL_HEALTH, 0.0),
        (CONTROL_PREFIX + LATENCY, 2.0),
    ]


@pytest.mark.parametrize(
    ("control_result", "result"), [(Result.INCONCLUSIVE, Result.SUCCESSFUL), (Result.SUCCESSFUL, Result.INCONCLUSIVE)]
)
def test_workers_that_both_versions_replace_are_usual(control_result: Result, result: Result) -> None:
    """Such as workers of gunicorn with `--max-requests`."""
    new = Measurement(metric=WORKER_RESTARTS, result=Result.INCONCLUSIVE, value=1.0)
    merged = merge_with_control(watched(), [new], [replace(new, result=control_result)])
    assert [measurement.result for measurement in merged] == [result]


@pytest.mark.parametrize(
    ("left", "of_control", "result"),
    [(7.0, 7.0, Result.SUCCESSFUL), (21.0, 7.0, Result.INCONCLUSIVE), (1.0, 7.0, Result.INCONCLUSIVE)],
    ids=["as many", "of three replicas", "nearly all"],
)
def test_a_control_that_has_lost_fewer_workers_is_no_excuse(left: float, of_control: float, result: Result) -> None:
    """Shares are compared: a service may have more replicas than its control."""
    lost = Measurement(metric=PROCESSES, result=Result.INCONCLUSIVE, value=left)
    expected = 32.0 if left > 8 else 8.0
    new = [lost, well(EXPECTED_PROCESSES, expected)]
    old = [replace(lost, value=of_control), well(CONTROL_EXPECTED_PROCESSES, 8.0)]
    assert merge_with_control(watched(), new, old)[0].result is result


@pytest.mark.parametrize(
    ("count", "of_control", "expected_of_control", "detail"),
    [
        (2.0, 3.0, 3.0, "2 processes, and 3 of the control"),
        (3.0, 3.0, 3.0, ""),
        (4.0, 3.0, 3.0, ""),
        (2.0, 2.0, 3.0, ""),
        (2.0, 3.0, 2.0, ""),
    ],
    ids=["fewer", "as many", "more", "the control has lost one", "the control runs a job"],
)
def test_a_worker_that_ended_during_the_start_is_missing_beside_the_control(
    count: float, of_control: float, expected_of_control: float, detail: str
) -> None:
    new = [well(PROCESSES, count), well(EXPECTED_PROCESSES, count), well(WORKER_RESTARTS, 0.0)]
    old = [well(PROCESSES, of_control), well(CONTROL_EXPECTED_PROCESSES, expected_of_control)]
    assert merge_with_control(watched(), new, old)[0].result is Result.SUCCESSFUL, "the control still starts"
    merged = merge_with_control(watched(), new, [*old, well(WORKER_RESTARTS, 0.0)])[0]
    assert (merged.result, merged.detail) == (Result.INCONCLUSIVE if detail else Result.SUCCESSFUL, detail)


def test_workers_that_both_versions_replace_do_not_make_the_control_an_excuse() -> None:
    """Not for an outage: a control that fails for a reason of its own was not well before."""
    replaced = Measurement(metric=WORKER_RESTARTS, result=Result.INCONCLUSIVE, value=1.0)
    first = merge_with_control(watched(), [well(AVAILABILITY, 1.0), replaced], [failed(AVAILABILITY), replaced])
    previous = Sample(service="user", slot=1, at=Timestamp(wall=300.0, boottime=300.0, boot="b"), measurements=first)
    both = merge_with_control(watched(), [failed(AVAILABILITY)], [failed(AVAILABILITY)], previous)
    assert both[0].result is Result.FAILED


def availability_with_control(*rows: tuple[str, str]) -> list[str]:
    """Availability of the new version in consecutive samples, given the results of (new version, control)."""
    letters = {"s": Result.SUCCESSFUL, "f": Result.FAILED, "i": Result.INCONCLUSIVE}
    previous, outcomes = None, []
    for slot, (new, old) in enumerate(rows, start=1):
        new_result, control_result = (Measurement(metric=AVAILABILITY, result=letters[letter]) for letter in (new, old))
        measurements = merge_with_control(watched(), [new_result], [control_result], previous)
        at = Timestamp(wall=300.0 * slot, boottime=300.0 * slot, boot="b")
        previous = Sample(service="user", slot=slot, at=at, measurements=measurements)
        outcomes.append(measurements[0].result.value[0])
    return outcomes


@pytest.mark.parametrize(
    ("rows", "outcomes"),
    [
        ([("s", "s"), ("f", "f"), ("f", "f"), ("s", "s")], "siis"),
        ([("f", "f"), ("f", "f")], "ii"),
        ([("s", "f"), ("f", "f"), ("f", "f")], "sff"),
        ([("s", "i"), ("f", "f")], "sf"),
        ([("s", "s"), ("f", "i"), ("f", "f")], "sff"),
        ([("s", "s"), ("f", "s"), ("f", "f")], "sfi"),
    ],
)
def test_only_a_healthy_control_can_excuse_a_failure(rows: list[tuple[str, str]], outcomes: str) -> None:
    """A control that fails by itself, or does not run, would excuse every outage forever."""
    assert availability_with_control(*rows) == list(outcomes)


def test_missing_measurements_are_inconclusive_with_a_reason() -> None:
    rows = [(Measurement(metric="orders", result=Result.ERROR),)] * 4
    assert inconclusive_reasons(watched(), metrics_from(*rows)) == ["user: orders could not be measured for 4 samples"]


@pytest.mark.parametrize(
    ("bytes_per_hour", "details"),
    [(5 * 2**20, ["grows by 5.0 MiB per hour"]), (2**20, []), (0, []), (-(2**24), [])],
)
def test_memory_that_grows_for_half_a_day_is_a_leak(bytes_per_hour: int, details: list[str]) -> None:
    """A cache that fills within two hours is none, and nothing is reported before half a day has passed."""
    rows = [
        (well("memory", 2**28 + bytes_per_hour * slot / 12 + 40 * 2**20 * min(1.0, slot / 24)),) for slot in range(144)
    ]
    found = find_breaches(watched(), metrics_from(*rows))
    assert [one.detail for one in found] == details
    assert all((one.severity, one.reaction) == (BreachSeverity.MINOR, Reaction.HOLD) for one in found)
    assert find_breaches(watched(), metrics_from(*rows[:-1])) == []


# ---- the final verdict


def judged(service: MonitoredService, service_metrics: ServiceMetrics, decided: tuple[str, ...] = ()) -> Verdict:
    return final_verdict([service], {"user": service_metrics}, decided).verdict


def test_a_good_soak_passes_and_names_the_missing_comparison() -> None:
    verdict = final_verdict([watched()], {"user": metrics_from((well(AVAILABILITY),))})
    assert (verdict.verdict, verdict.reason) == (
        Verdict.PASSED,
        "not compared: no control ran beside the new version",
    )


def test_an_untested_contract_is_inconclusive() -> None:
    metrics = metrics_from((well(AVAILABILITY),))
    verdict = final_verdict([watched()], {"user": metrics}, untested=["contract user->auth"])
    assert (verdict.verdict, verdict.reason) == (Verdict.INCONCLUSIVE, "contract user->auth: was not tested")


def test_failed_or_inconclusive_metrics_do_not_pass() -> None:
    broken = metrics_from(*[(failed("orders"),)] * 3)
    assert judged(watched(), broken) is Verdict.FAILED
    assert judged(watched(), broken, ("user: orders",)) is Verdict.PASSED
    assert judged(watched(critical=False), broken) is Verdict.PASSED, "only recorded"
    blind = metrics_from(*[(Measurement(metric="orders", result=Result.ERROR),)] * 4)
    assert judged(watched(), blind) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, Verdict.PASSED), (1.5, Verdict.FAILED)])
def test_the_comparison_with_the_control_counts(factor: float, verdict: Verdict) -> None:
    rows = [
        (well(LATENCY, factor * (1 + slot % 5)), well(CONTROL_PREFIX + LATENCY, 1.0 + slot % 5)) for slot in range(60)
    ]
    service_metrics = metrics_from(*rows)
    service = MonitoredService(
        service="user", probes=(), settings=SOAK, compare=CompareSettings(min_points=12, looks=9)
    )
    assert judged(service, service_metrics) is verdict
    assert judged(service, service_metrics, ("user: latency compared",)) is Verdict.PASSED


def test_a_control_that_never_answered_is_inconclusive() -> None:
    service_metrics = metrics_from((well(LATENCY, 1.0),))
    service = MonitoredService(service="user", probes=(), no_control_reason="its network is that of host")
    verdict = final_verdict([service], {"user": service_metrics})
    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert verdict.reason == "user: latency compared: no control ran beside it: its network is that of host"
    silent = MonitoredService(service="user", probes=(), control_probes=(cast(Probe, None),))
    assert final_verdict([silent], {"user": service_metrics}).verdict is Verdict.INCONCLUSIVE
    assert final_verdict([silent], {"user": service_metrics}, ("user: latency compared",)).verdict is Verdict.PASSED


def test_too_few_points_of_the_control_are_inconclusive() -> None:
    service_metrics = metrics_from((well(LATENCY, 1.0), well(CONTROL_PREFIX + LATENCY, 1.0)))
    assert judged(watched(), service_metrics) is Verdict.INCONCLUSIVE
