"""What two readings of an engine say: processor, memory, restarts, and whether memory ran out. Pure.

Counters are written down as measurements of their own, so that the next process that takes a sample has the earlier
reading, and only one question to the engine is needed each time.
"""

from dataclasses import dataclass

from pytest_py312.rollout.model import Measurement, Moment, Result, Sample, Usage
from pytest_py312.rollout.providers.readings import Reading

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
    cpu_seconds: float
    restarts: int
    started_at: str = ""


def counters_in(sample: Sample | None) -> Counters | None:
    """The reading that was written down with ``sample``."""
    found = {one.metric: one for one in sample.measurements} if sample else {}
    cpu, restarts = found.get(CPU_COUNTER), found.get(RESTART_COUNTER)
    if sample is None or cpu is None or restarts is None or cpu.value is None or restarts.value is None:
        return None
    return Counters(at=sample.at, cpu_seconds=cpu.value, restarts=round(restarts.value), started_at=restarts.detail)


def counters_of(usage: Usage) -> tuple[Measurement, ...]:
    """``usage`` as it is written down for the next reading."""
    return (
        Measurement(metric=CPU_COUNTER, result=Result.SUCCESSFUL, value=usage.cpu_seconds),
        Measurement(
            metric=RESTART_COUNTER, result=Result.SUCCESSFUL, value=float(usage.restarts), detail=usage.started_at[:64]
        ),
    )


def restarts_since(before: Counters | None, usage: Usage) -> int:
    """How often it was started again; an engine may start it anew and count from 0."""
    if before is None:
        return 0
    again = int(bool(before.started_at) and before.started_at != usage.started_at[:64])
    return max(0, usage.restarts - before.restarts, again)


def figures(before: Counters | None, usage: Usage, now: Moment) -> dict[str, Reading]:
    """Name of a figure -> what it is. There is none for the processor where the counter began anew, or is new."""
    again = restarts_since(before, usage)
    found = {
        MEMORY: Reading(value=float(usage.memory)),
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
    passed = now.since(before.at) if before else None
    if before and passed and passed > 0 and not again and usage.cpu_seconds >= before.cpu_seconds:
        found[CPU] = Reading(value=(usage.cpu_seconds - before.cpu_seconds) / passed)
    return found
