"""Resource usage between two samples: processor, memory, restarts, out-of-memory kills. Pure.

Counters are stored as measurements of their own. The next sample, possibly taken by another process, computes the
difference from them and needs only one call of the engine.
"""

from dataclasses import dataclass

from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.target_model import Usage
from pytest_py312.rollout.metrics.reading import MetricReading

CPU = "cpu"
"""Average number of cores in use since the last sample."""
MEMORY = "memory"
"""Bytes in use."""
RESTARTS = "restarts"
"""Restarts since the last sample."""
OUT_OF_MEMORY = "out of memory"
CPU_COUNTER = "cpu seconds"
RESTART_COUNTER = "restart count"
MEMORY_LIMIT = "memory limit"
CONTROL_MEMORY = "control memory"
"""The memory of the control, by which growth is judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageCounters:
    """Counters of an earlier sample; they grow until a restart."""

    at: Timestamp
    cpu_seconds: float | None
    restarts: int
    started_at: str = ""


def read_counters(sample: Sample | None) -> UsageCounters | None:
    """Return the counters stored in ``sample``, ``None`` if it has none."""
    by_metric = {measurement.metric: measurement for measurement in sample.measurements} if sample else {}
    cpu, restarts = by_metric.get(CPU_COUNTER), by_metric.get(RESTART_COUNTER)
    if sample is None or restarts is None or restarts.value is None:
        return None
    return UsageCounters(
        at=sample.at, cpu_seconds=cpu.value if cpu else None, restarts=round(restarts.value), started_at=restarts.detail
    )


def counter_measurements(usage: Usage) -> tuple[Measurement, ...]:
    """Return the counters of ``usage`` as measurements, stored for the next sample."""
    restarts = Measurement(
        metric=RESTART_COUNTER, result=Result.SUCCESSFUL, value=float(usage.restarts), detail=usage.started_at[:64]
    )
    counters = {CPU_COUNTER: usage.cpu_seconds, MEMORY_LIMIT: float(usage.memory_limit) or None}
    measured = [
        Measurement(metric=metric, result=Result.SUCCESSFUL, value=value)
        for metric, value in counters.items()
        if value is not None
    ]
    return (*measured, restarts)


def restarts_since(previous: UsageCounters | None, usage: Usage) -> int:
    """Return the number of restarts; a container replaced by the engine counts from 0 and is one restart."""
    if previous is None:
        return 0
    was_replaced = int(bool(previous.started_at) and previous.started_at != usage.started_at[:64])
    return max(0, usage.restarts - previous.restarts, was_replaced)


def usage_readings(previous: UsageCounters | None, usage: Usage, now: Timestamp) -> dict[str, MetricReading]:
    """Return the readings by metric. Without a usable previous counter there is none for the processor.

    A metric that the target could not measure has a reading without a value, never 0.
    """
    restarts = restarts_since(previous, usage)
    readings = {
        MEMORY: MetricReading(value=None if usage.memory is None else float(usage.memory), detail=usage.unmeasured),
        RESTARTS: MetricReading(
            value=float(restarts),
            result=Result.FAILED if restarts else Result.SUCCESSFUL,
            detail=f"restarted {restarts} times" if restarts else "",
        ),
        OUT_OF_MEMORY: MetricReading(
            value=float(usage.out_of_memory),
            result=Result.FAILED if usage.out_of_memory else Result.SUCCESSFUL,
            detail="killed by the kernel: out of memory" if usage.out_of_memory else "",
        ),
    }
    if usage.cores is not None or usage.unmeasured:
        readings[CPU] = MetricReading(value=usage.cores, detail=usage.unmeasured)
    elif (cores := _average_cores(previous, usage, now)) is not None and not restarts:
        readings[CPU] = MetricReading(value=cores)
    return readings


def _average_cores(previous: UsageCounters | None, usage: Usage, now: Timestamp) -> float | None:
    if previous is None or previous.cpu_seconds is None or usage.cpu_seconds is None:
        return None
    elapsed = now.seconds_since(previous.at)
    used = usage.cpu_seconds - previous.cpu_seconds
    return used / elapsed if elapsed and elapsed > 0 and used >= 0 else None
