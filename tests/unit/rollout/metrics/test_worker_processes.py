"""Processes of a container that have ended, or were replaced, between two samples."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.metrics.reading import MetricReading, to_measurement
from pytest_py312.rollout.metrics.worker_processes import (
    EXPECTED_PROCESSES,
    PROCESSES,
    WORKER_RESTARTS,
    process_readings,
)

INTERVAL = 300.0
HOUR = 3600.0


def at(seconds: float) -> Timestamp:
    return Timestamp(wall=1e9 + seconds, boottime=seconds, boot="b")


def judged(*samples: Sequence[float] | None) -> list[dict[str, MetricReading]]:
    """Judge samples that follow each other by an interval; each is the ages of the processes."""
    results, previous = [], None
    for number, ages in enumerate(samples):
        readings, expected = process_readings(previous, ages, at(number * INTERVAL))
        measurements = [to_measurement(metric, reading) for metric, reading in readings.items()]
        previous = Sample(
            service="user",
            slot=number,
            at=at(number * INTERVAL),
            measurements=(*measurements, *((expected,) if expected else ())),
        )
        results.append(readings)
    return results


def later(*ages: float) -> list[float]:
    return [age + INTERVAL for age in ages]


def test_the_same_processes_are_well() -> None:
    first, second = judged([HOUR, HOUR, HOUR], later(HOUR, HOUR, HOUR))
    assert first[PROCESSES] == MetricReading(value=3.0)
    assert second == {PROCESSES: MetricReading(value=3.0), WORKER_RESTARTS: MetricReading(value=0.0)}


def test_a_worker_that_has_ended_is_inconclusive_until_it_is_back() -> None:
    _, lost, still_lost, back = judged(
        [HOUR, HOUR, HOUR], later(HOUR, HOUR), [HOUR + 2 * INTERVAL] * 2, [HOUR + 3 * INTERVAL] * 2 + [20.0]
    )
    for sample in (lost, still_lost):
        assert sample[PROCESSES].result is Result.INCONCLUSIVE
        assert sample[PROCESSES].detail == "1 process of 3 ended, although the service answers its health check"
    assert back[PROCESSES] == MetricReading(value=3.0)


def test_a_worker_that_is_replaced_is_inconclusive() -> None:
    _, replaced = judged([HOUR, HOUR, HOUR], [HOUR + INTERVAL, HOUR + INTERVAL, 40.0])
    assert replaced[PROCESSES] == MetricReading(value=3.0)
    assert replaced[WORKER_RESTARTS].result is Result.INCONCLUSIVE
    assert replaced[WORKER_RESTARTS].detail == "1 process ended since the last sample, and new ones took over"


@pytest.mark.parametrize(
    "ages",
    [
        pytest.param([HOUR + INTERVAL, HOUR + INTERVAL, 60.0], id="a job"),
        pytest.param([HOUR + INTERVAL, HOUR + INTERVAL, 3.0, 0.0], id="commands"),
    ],
)
def test_jobs_and_commands_are_no_workers(ages: list[float]) -> None:
    _, second = judged([HOUR, HOUR], ages)
    assert second[WORKER_RESTARTS] == MetricReading(value=0.0)
    assert second[PROCESSES].result is None


def test_a_container_that_starts_may_still_fork_its_workers() -> None:
    """And one that was restarted: restarts are a metric of their own."""
    starting, started, lost, restarted = judged([40.0], [340.0, 330.0, 330.0], [640.0, 630.0], [100.0])
    assert starting[PROCESSES].result is started[PROCESSES].result is restarted[PROCESSES].result is None
    assert lost[PROCESSES].detail.startswith("1 process of 3 ended")
    assert WORKER_RESTARTS not in restarted


def test_nothing_is_judged_where_the_target_does_not_know_the_processes() -> None:
    assert judged(None, [HOUR, HOUR], None)[2] == {}
    assert judged([]) == [{}]


def test_nothing_is_judged_across_a_reboot() -> None:
    previous = Sample(
        service="user",
        slot=0,
        at=Timestamp(wall=1e9, boottime=5.0, boot="before"),
        measurements=(Measurement(metric=EXPECTED_PROCESSES, result=Result.SUCCESSFUL, value=4.0),),
    )
    readings, expected = process_readings(previous, [HOUR, HOUR], at(0.0))
    assert readings == {PROCESSES: MetricReading(value=2.0)}
    assert expected is not None
    assert expected.value == 2.0


@given(st.lists(st.lists(st.floats(0, 1e7), max_size=6), max_size=5))
def test_no_ages_are_a_failure_of_the_service(samples: list[list[float]]) -> None:
    readings = [reading for sample in judged(*samples) for reading in sample.values()]
    assert all(reading.result in (None, Result.INCONCLUSIVE) for reading in readings)
    assert all(reading.value is not None and reading.value >= 0 for reading in readings)
