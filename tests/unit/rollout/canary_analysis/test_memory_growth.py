"""Judgement of memory growth: leaks are found early, caches and noise are not taken for one."""

import math
import random
from collections.abc import Callable

import pytest

from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.canary_analysis.memory_growth import MIN_POINTS, MemoryReading, find_leak
from pytest_py312.rollout.canary_analysis.time_series import ServiceMetrics
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import BreachSeverity, Reaction, Verdict
from pytest_py312.rollout.metrics.resource_usage import CONTROL_MEMORY, MEMORY, MEMORY_LIMIT
from pytest_py312.rollout.monitoring.breaches import GROWTH, final_verdict, find_breaches
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from tests.support.memory_soaks import MIB, make_soak

Shape = Callable[[float], float]


def readings_of(
    shape: Shape, *, count: int = 60, seconds: float = 10.0, control: Shape | None = None
) -> list[MemoryReading]:
    """Return readings of ``shape``, which takes the seconds since the start and returns MiB, with noise of 0.2 MiB."""
    rng = random.Random(1)
    return [
        MemoryReading(
            hours=number * seconds / 3600,
            used=(shape(number * seconds) + rng.gauss(0, 0.2)) * MIB,
            control=None if control is None else (control(number * seconds) + rng.gauss(0, 0.2)) * MIB,
        )
        for number in range(count)
    ]


def steady(at: float) -> float:
    return 10.6


def test_two_mib_a_second_beside_a_steady_control_are_found_within_minutes() -> None:
    readings = readings_of(lambda at: 10.6 + 2 * at, control=steady, count=15)
    leak = find_leak(readings, soak_hours=1.0, limit=64 * 1024 * MIB)
    assert leak is not None
    assert leak.per_hour == pytest.approx(7200 * MIB, rel=0.02)
    assert "120.0 MiB per minute beside a control that does not" in leak.description


def test_the_forecast_names_the_memory_limit() -> None:
    readings = readings_of(lambda at: 100 + at / 60, control=lambda at: 100.0, count=120, seconds=60)
    leak = find_leak(readings, soak_hours=2.0, limit=400 * MIB)
    assert leak is not None
    assert leak.description.endswith("by 119.0 MiB in 2 h so far, and reaches its memory limit in 3 h")


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(steady, id="nothing"),
        pytest.param(lambda at: 100 + (150 if at > 300 else 0), id="one step"),
        pytest.param(lambda at: 100 + 150 * (1 - math.exp(-at / 60)), id="a cache that fills once"),
        pytest.param(lambda at: 100 + at % 100, id="a cache that is emptied"),
        pytest.param(lambda at: 200 - at / 10, id="a decrease"),
    ],
)
def test_what_does_not_go_on_is_no_leak(shape: Shape) -> None:
    assert find_leak(readings_of(shape), soak_hours=1 / 6, limit=500 * MIB) is None


def test_what_the_control_does_too_is_not_of_the_new_version() -> None:
    def leak(at: float) -> float:
        return 100 + at

    assert find_leak(readings_of(leak), soak_hours=1 / 6, limit=1000 * MIB) is not None
    assert find_leak(readings_of(leak, control=leak), soak_hours=1 / 6, limit=1000 * MIB) is None


def test_a_leak_that_takes_longer_than_many_soaks_is_none() -> None:
    slow = readings_of(lambda at: 100 + at / 3600 * 6)  # 6 MiB an hour, 1 MiB in the soak of ten minutes
    assert find_leak(slow, soak_hours=1 / 6, limit=10_000 * MIB) is None


def test_few_readings_tell_nothing() -> None:
    assert find_leak(readings_of(lambda at: 10 + 5 * at, count=MIN_POINTS - 1), soak_hours=1.0, limit=None) is None


@pytest.mark.parametrize("with_control", [True, False])
def test_simulated_soaks(with_control: bool) -> None:
    """``tests/benchmarks/leak_simulation.py`` has more of them."""
    soaks = [make_soak(seed, leaks=False, with_control=with_control) for seed in range(40)]
    assert sum(soak.first_leak() is not None for soak in soaks) == 0
    leaking = [make_soak(500 + seed, leaks=True, with_control=with_control) for seed in range(40)]
    assert sum(not soak.ran_out and soak.first_leak() is None for soak in leaking) == 0


# ---- in a soak


def metrics_of(count: int, *, control: bool = True, rate: float = 20.0) -> ServiceMetrics:
    service_metrics = ServiceMetrics()
    for slot in range(1, count + 1):
        values = {MEMORY: 50.0 + rate * slot, MEMORY_LIMIT: 500.0, **({CONTROL_MEMORY: 50.0} if control else {})}
        measurements = tuple(
            Measurement(metric=metric, result=Result.SUCCESSFUL, value=value * MIB) for metric, value in values.items()
        )
        at = Timestamp(wall=10.0 * slot, boottime=10.0 * slot, boot="b")
        service_metrics.add(Sample(service="user", slot=slot, at=at, measurements=measurements))
    return service_metrics


SETTINGS = SoakSettings(interval=10.0, duration=600.0)


def test_a_leak_is_a_breach_after_two_minutes_and_names_no_other_metric() -> None:
    monitored = MonitoredService(service="user", probes=(), settings=SETTINGS)
    breaches = find_breaches(monitored, metrics_of(36))
    assert [breach.metric for breach in breaches] == [GROWTH]
    assert "120.0 MiB per minute beside a control" in breaches[0].detail
    assert breaches[0].severity is BreachSeverity.SEVERE
    assert final_verdict([monitored], {"user": metrics_of(36)}).verdict is Verdict.FAILED


def test_a_leak_that_leaves_time_is_not_accepted_without_a_decision() -> None:
    monitored = MonitoredService(service="user", probes=(), settings=SETTINGS)
    service_metrics = metrics_of(60, rate=1.0)
    (breach,) = find_breaches(monitored, service_metrics, final=True)
    assert (breach.severity, breach.reaction) == (BreachSeverity.MINOR, Reaction.RECORD)
    verdict = final_verdict([monitored], {"user": service_metrics})
    assert (verdict.verdict, "memory growth" in verdict.reason) == (Verdict.INCONCLUSIVE, True)
    assert final_verdict([monitored], {"user": service_metrics}, [breach.key]).verdict is Verdict.PASSED


def test_growth_that_could_not_be_judged_is_reported() -> None:
    monitored = MonitoredService(service="user", probes=(), settings=SETTINGS)
    verdict = final_verdict([monitored], {"user": metrics_of(5, control=False)})
    assert "user: growth of memory was not judged: 5 of 12 samples needed" in verdict.reason
