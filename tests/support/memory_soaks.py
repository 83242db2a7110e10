"""Simulated memory of healthy and of leaking services during soaks, from seeds."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_py312.rollout.canary_analysis.memory_growth import MIN_POINTS, MemoryGrowth, MemoryReading, find_leak

MIB = 2**20
SOAKS = ((24, 10.0), (36, 10.0), (60, 30.0), (120, 60.0), (288, 300.0), (576, 300.0))
"""Number of samples and seconds between them: from four minutes to two days."""
SHAPES = ("steady", "sawtooth", "warm-up", "steps", "sawtooth warm-up")


@dataclass(frozen=True, kw_only=True)
class MemorySoak:
    """One soak: its readings until the service is out of memory, its length and the limit."""

    readings: tuple[MemoryReading, ...]
    hours: float
    limit: float
    ran_out: bool
    shape: str

    def first_leak(self) -> MemoryGrowth | None:
        """Return what is found first if the soak is judged as it goes on, as a real one."""
        for count in range(MIN_POINTS, len(self.readings) + 1):
            if count % max(1, count // MIN_POINTS) and count < len(self.readings):
                continue
            found = find_leak(self.readings[:count], soak_hours=self.hours, limit=self.limit)
            if found is not None:
                return found
        return None


def _healthy(
    rng: random.Random, hours: Sequence[float], base: float, shape: str, warm_up: tuple[float, float]
) -> Callable[[float], float]:
    length = hours[-1]
    period, height, phase = rng.uniform(0.02, 0.25) * length, rng.uniform(0.02, 0.1) * base, rng.random()
    steps = [(rng.random() * length, rng.uniform(-0.1, 0.1) * base) for _ in range(rng.randint(1, 2))]
    noise, keeps = rng.choice((0.3, 1.0, 3.0)) * MIB, rng.choice((0.0, 0.5, 0.9))
    state = 0.0

    def used(at: float) -> float:
        nonlocal state
        state = keeps * state + rng.gauss(0, noise * math.sqrt(1 - keeps**2))
        value = base + state
        if "sawtooth" in shape:
            value += height * ((at / period + phase) % 1)
        if "warm-up" in shape:
            value += warm_up[0] * (1 - math.exp(-at / warm_up[1]))
        if "steps" in shape:
            value += sum(size for moment, size in steps if at >= moment)
        return max(MIB, value)

    return used


def make_soak(seed: int, *, leaks: bool, with_control: bool, rate: float | None = None) -> MemorySoak:
    """Return a soak of any length and shape.

    A leak fills the limit within 0.5 to 9.5 lengths of the soak, or at ``rate`` (bytes per hour). The control has the
    same warm-up, because it starts at the same time; its caches are emptied at other times.
    """
    rng = random.Random(seed)
    count, interval = rng.choice(SOAKS)
    shape = rng.choice(SHAPES)
    hours = [index * interval / 3600 for index in range(count)]
    base = rng.uniform(40, 400) * MIB
    warm_up = (rng.uniform(0.1, 0.5) * base, rng.uniform(0.005, 0.05) * hours[-1])
    new, control = (_healthy(rng, hours, base, shape, warm_up) for _ in range(2))
    limit = 1.5 * base + rng.uniform(1, 8) * base
    if rate is None:
        rate = (limit - base) / (hours[-1] * rng.uniform(0.5, 9.5))
    readings: list[MemoryReading] = []
    for at in hours:
        used = new(at) + (rate * at if leaks else 0.0)
        if used >= limit:
            break
        readings.append(MemoryReading(hours=at, used=used, control=control(at) if with_control else None))
    return MemorySoak(
        readings=tuple(readings), hours=hours[-1], limit=limit, ran_out=len(readings) < count, shape=shape
    )
