"""Resource usage between two samples."""

import pytest

from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Usage
from pytest_py312.rollout.metrics.reading import MetricReading
from pytest_py312.rollout.metrics.resource_usage import (
    CPU,
    MEMORY,
    OUT_OF_MEMORY,
    RESTARTS,
    UsageCounters,
    counter_measurements,
    read_counters,
    usage_readings,
)


def at(seconds: float, boot: str = "b") -> Timestamp:
    return Timestamp(wall=1e9 + seconds, boottime=seconds, boot=boot)


def usage(cpu: float = 10.0, *, restarts: int = 0, started: str = "first", oom: bool = False) -> Usage:
    return Usage(cpu_seconds=cpu, memory=2**20, restarts=restarts, out_of_memory=oom, started_at=started)


def second(now: Usage, moment: Timestamp | None = None) -> dict[str, MetricReading]:
    before = UsageCounters(at=at(100), cpu_seconds=10.0, restarts=0, started_at="first")
    return usage_readings(before, now, moment or at(110))


def test_cores_are_used_seconds_per_elapsed_second() -> None:
    assert second(usage(25.0))[CPU].value == 1.5
    assert second(usage(25.0))[MEMORY].value == 2**20


def test_the_first_sample_has_no_cores_and_no_restarts() -> None:
    found = usage_readings(None, usage(restarts=4), at(1))
    assert CPU not in found
    assert found[RESTARTS].result is Result.SUCCESSFUL


@pytest.mark.parametrize(
    ("now", "times"),
    [(usage(1.0, restarts=2, started="second"), 2), (usage(1.0, started="second"), 1), (usage(restarts=1), 1)],
)
def test_a_restart_is_detected_by_count_or_start_time(now: Usage, times: int) -> None:
    """Its processor time starts at 0 again and cannot be compared."""
    found = second(now)
    assert (found[RESTARTS].value, found[RESTARTS].result) == (times, Result.FAILED)
    assert CPU not in found


def test_an_out_of_memory_kill_is_a_failure() -> None:
    assert second(usage(oom=True))[OUT_OF_MEMORY].result is Result.FAILED
    assert second(usage())[OUT_OF_MEMORY].result is Result.SUCCESSFUL


def test_over_a_restart_of_the_machine_no_cores_are_measured() -> None:
    assert CPU not in second(usage(25.0), at(3, boot="another"))


def test_counters_are_restored_from_a_sample() -> None:
    kept = Sample(service="user", slot=1, at=at(100), measurements=counter_measurements(usage(10.0, restarts=2)))
    assert read_counters(kept) == UsageCounters(at=at(100), cpu_seconds=10.0, restarts=2, started_at="first")
    assert read_counters(None) is None
    other = Measurement(metric="health", result=Result.SUCCESSFUL)
    assert read_counters(Sample(service="user", slot=1, at=at(1), measurements=(other,))) is None


def test_unmeasured_usage_is_not_zero() -> None:
    """There is no counter of processor time either, but restarts are counted."""
    blind = Usage(cpu_seconds=None, memory=None, restarts=2, out_of_memory=False, unmeasured="no metrics-server")
    found = second(blind)
    assert found[CPU] == found[MEMORY] == MetricReading(value=None, detail="no metrics-server")
    kept = Sample(service="user", slot=1, at=at(100), measurements=counter_measurements(blind))
    assert read_counters(kept) == UsageCounters(at=at(100), cpu_seconds=None, restarts=2)
    assert usage_readings(read_counters(kept), usage(restarts=3), at(110))[RESTARTS].value == 1


def test_cores_reported_by_a_target_need_no_earlier_sample() -> None:
    gauge = Usage(cpu_seconds=None, memory=2**20, restarts=0, out_of_memory=False, cores=0.25)
    assert usage_readings(None, gauge, at(1))[CPU].value == 0.25
