"""What two readings of an engine say: processor, memory, restarts, and whether memory ran out. Pure.

Counters are written down as measurements of their own, so that the next process that takes a sample has the earlier
reading, and only one question to the engine is needed each time.
"""

from dataclasses import dataclass

from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample, Usage
from pytest_py312.rollout.metrics.reading import Reading

CPU = "cpu"
"""Cores in use, on the average since the last reading."""
MEMORY = "memory"
"""Bytes."""
RESTARTS = "restarts"
"""Since the last reading."""
OUT_OF_MEMORY = "out of memory"
CPU_COUNTER = "cpu seconds"
RESTART_COUNTER = "restart count"
FIGURES = (CPU, MEMORY, RESTARTS, OUT_OF_MEMORY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """An earlier reading: what grows until a restart."""

    at: Moment
    cpu_seconds: float | None
    restarts: int
    started_at: str = ""


def counters_in(sample: Sample | None) -> Counters | None:
    """The reading that was written down with ``sample``."""
    found = {one.metric: one for one in sample.measurements} if sample else {}
    cpu, restarts = found.get(CPU_COUNTER), found.get(RESTART_COUNTER)
    if sample is None or restarts is None or restarts.value is None:
        return None
    return Counters(
        at=sample.at,
        cpu_seconds=cpu.value if cpu else None,
        restarts=round(restarts.value),
        started_at=restarts.detail,
    )


def counters_of(usage: Usage) -> tuple[Measurement, ...]:
    """``usage`` as it is written down for the next reading."""
    restarts = Measurement(
        metric=RESTART_COUNTER, result=Result.SUCCESSFUL, value=float(usage.restarts), detail=usage.started_at[:64]
    )
    if usage.cpu_seconds is None:
        return (restarts,)
    return (Measurement(metric=CPU_COUNTER, result=Result.SUCCESSFUL, value=usage.cpu_seconds), restarts)


def restarts_since(before: Counters | None, usage: Usage) -> int:
    """How often it was started again; an engine may start it anew and count from 0."""
    if before is None:
        return 0
    again = int(bool(before.started_at) and before.started_at != usage.started_at[:64])
    return max(0, usage.restarts - before.restarts, again)


def figures(before: Counters | None, usage: Usage, now: Moment) -> dict[str, Reading]:
    """Name of a figure -> what it is. There is none for the processor where the counter began anew, or is new.

    What the target could not measure has no value: that is told, and is no 0.
    """
    again = restarts_since(before, usage)
    found = {
        MEMORY: Reading(value=None if usage.memory is None else float(usage.memory), detail=usage.unmeasured),
        RESTARTS: Reading(
            value=float(again),
            result=Result.FAILED if again else Result.SUCCESSFUL,
            detail=f"started again {again} times" if again else "",
        ),
        OUT_OF_MEMORY: Reading(
            value=float(usage.out_of_memory),
            result=Result.FAILED if usage.out_of_memory else Result.SUCCESSFUL,
            detail="the kernel ended it for want of memory" if usage.out_of_memory else "",
        ),
    }
    if usage.cores is not None or usage.unmeasured:
        found[CPU] = Reading(value=usage.cores, detail=usage.unmeasured)
    elif (cores := _cores(before, usage, now)) is not None and not again:
        found[CPU] = Reading(value=cores)
    return found


def _cores(before: Counters | None, usage: Usage, now: Moment) -> float | None:
    if before is None or before.cpu_seconds is None or usage.cpu_seconds is None:
        return None
    passed = now.since(before.at)
    used = usage.cpu_seconds - before.cpu_seconds
    return used / passed if passed and passed > 0 and used >= 0 else None
