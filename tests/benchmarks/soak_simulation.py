"""Error rates and detection times of a soak of 48 hours, simulated with reproducible seeds.

    python tests/benchmarks/soak_simulation.py [--healthy 1000] [--planted 300] [--seed 1]

Four critical services, a sample every 5 minutes, judged by the same functions as a real soak with the plan's defaults.
The assumptions of the simulation are:

* a probe of a healthy service fails by itself in 0.2 % of all cases, and once a soak two samples of one service fail in
  a row; what makes them fail lasts `BLIP` seconds (15), which the confirming probes, 10 s apart, find or not;
* latency has a daily wave of a quarter, and noise that hangs together from sample to sample (AR(1), 0.7, 12 %), of its
  own for each version;
* 10 requests a second of which 0.1 % fail; the error budget is 0.1 %;
* memory scatters by 3 MiB, and in the first two hours a cache of 40 MiB fills.

A regression is planted six hours after the beginning. It is caught when the stage is rolled back or held.
"""

import argparse
import bisect
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_py312.repository.plan.rollout_settings import CompareSettings, SoakSettings
from pytest_py312.rollout.canary_analysis.judge import (
    FAST_BURN_RATE,
    burn_rate,
    judge_metric,
    judge_reprobe,
    restarts_within,
)
from pytest_py312.rollout.canary_analysis.statistics import (
    compare,
    interim_analysis_points,
    judge_interim,
    theil_sen_slope,
)
from pytest_py312.rollout.domain.measurements import Result, Timestamp
from pytest_py312.rollout.domain.model import Verdict
from pytest_py312.rollout.metrics.resource_usage import UsageCounters

SOAK = SoakSettings()
COMPARE = CompareSettings()
SERVICES = 4
SLOTS = SOAK.sample_count
PLANTED_AT = 72
"""Slot: six hours."""
BLIP = 15.0
BUDGET = 0.001
LEAK_FLOOR = 2.0
"""MiB an hour, by the slope over 12 hours."""
HOURS = 12


@dataclass(kw_only=True)
class World:
    """The fault of one of the services from :data:`PLANTED_AT` on."""

    latency: float = 1.0
    errors: float = BUDGET
    leak: float = 0.0
    down: float = 0.0
    """Share of the time in which it does not answer."""
    restarts: float = 0.0
    """A sample."""
    requests: int = 3000
    blip: float = BLIP
    noise: float = 0.12


@dataclass(kw_only=True)
class Ends:
    """Slots at which a soak was rolled back or held; ``None``: never."""

    rolled_back: int | None = None
    held: int | None = None
    why: list[str] = field(default_factory=list)

    def back(self, slot: int | None, why: str) -> None:
        if slot is not None and (self.rolled_back is None or slot < self.rolled_back):
            self.rolled_back = slot
            self.why.append(why)

    def hold(self, slot: int | None, why: str) -> None:
        if slot is not None and (self.held is None or slot < self.held):
            self.held = slot
            self.why.append(why)

    @property
    def caught(self) -> int | None:
        return min((slot for slot in (self.rolled_back, self.held) if slot is not None), default=None)


def first(count: int, fails: Callable[[int], bool]) -> int | None:
    """Return the smallest number of samples at which a monotonic judgement fails."""
    index = bisect.bisect_left(range(count + 1), True, key=fails)
    return index if index <= count else None


def probes(rng: random.Random, world: World, end: Ends, *, twice: bool) -> None:
    results: list[Result] = []
    double = rng.randrange(SLOTS - 1) if twice else SLOTS
    for slot in range(SLOTS):
        down = slot >= PLANTED_AT and rng.random() < world.down
        blip = rng.random() < 0.002 or slot in (double, double + 1)
        results.append(Result.FAILED if down or blip else Result.SUCCESSFUL)
        if not (down or blip):
            continue
        bad = [down or at * SOAK.confirm.every <= world.blip for at in range(1, SOAK.confirm.probes + 1)]
        bad = [failed or rng.random() < 0.002 for failed in bad]
        burst = [Result.FAILED if failed else Result.SUCCESSFUL for failed in bad]
        if judge_reprobe(burst, SOAK.confirm) is Result.FAILED:
            end.back(slot + 1, "confirmed")
            break
    end.back(first(len(results), lambda count: judge_metric(results[:count], SOAK).verdict is Verdict.FAILED), "limit")


def wave(rng: random.Random, noise: float) -> list[float]:
    """Return the latency of one version at each slot, in ms."""
    state = rng.gauss(0, noise)
    latencies = []
    for slot in range(SLOTS):
        latencies.append(100 * (1 + 0.25 * math.sin(2 * math.pi * slot / 288)) * math.exp(state))
        state = 0.7 * state + rng.gauss(0, noise * math.sqrt(1 - 0.7**2))
    return latencies


def latency(rng: random.Random, world: World, end: Ends) -> None:
    old, new = wave(rng, world.noise), wave(rng, world.noise)
    pairs = [
        (old_value, new_value * (world.latency if slot >= PLANTED_AT else 1.0))
        for slot, (old_value, new_value) in enumerate(zip(old, new, strict=True))
    ]
    if judge_interim(pairs, COMPARE).verdict is Verdict.FAILED:
        looks = interim_analysis_points(SLOTS, COMPARE)
        at = first(
            len(looks) - 1, lambda index: judge_interim(pairs[: looks[index]], COMPARE).verdict is Verdict.FAILED
        )
        slot = looks[at or 0]
        severe = world.latency >= 2
        (end.back if severe else end.hold)(slot, "latency")
    if compare(pairs, COMPARE).verdict is Verdict.FAILED:
        end.hold(SLOTS, "latency at the end")


def errors(rng: random.Random, world: World, end: Ends) -> None:
    counts: list[int] = []
    for slot in range(SLOTS):
        share = world.errors if slot >= PLANTED_AT else BUDGET
        mean = share * world.requests
        counts.append(max(0, round(rng.gauss(mean, math.sqrt(mean)))))
        rates = [
            burn_rate(
                sum(counts[-span:]), min(span, len(counts)) * world.requests, BUDGET, min_requests=SOAK.min_requests
            )
            for span in (1, 12)
        ]
        if all(rate is not None and rate >= FAST_BURN_RATE for rate in rates):
            end.back(slot + 1, "errors")
            return


def memory(rng: random.Random, world: World, end: Ends) -> None:
    points = [
        (
            slot / 12,
            200 + 40 * min(1.0, slot / 24) + max(0, slot - PLANTED_AT) / 12 * world.leak + rng.gauss(0, 3),
        )
        for slot in range(SLOTS)
    ]
    for end_slot in range(HOURS * 12, SLOTS + 1, 36):
        # every sixth point: a slope over 12 hours needs no more
        if theil_sen_slope(points[end_slot - HOURS * 12 : end_slot : 6]) > LEAK_FLOOR:
            end.hold(end_slot, "memory")
            return


def restarts(world: World, end: Ends) -> None:
    if not world.restarts:
        return
    readings = []
    for slot in range(PLANTED_AT, PLANTED_AT + 12):
        count = int((slot - PLANTED_AT) * world.restarts)
        at = Timestamp(wall=300.0 * slot, boottime=300.0 * slot, boot="b")
        readings.append(UsageCounters(at=at, cpu_seconds=0.0, restarts=count, started_at=str(count)))
        if restarts_within(readings) >= 3:
            end.back(slot + 1, "restarts")
            return


def soak(seed: int, worlds: Sequence[World]) -> Ends:
    rng = random.Random(seed)
    end = Ends()
    for number, world in enumerate(worlds):
        probes(rng, world, end, twice=number == len(worlds) - 1)
        latency(rng, world, end)
        errors(rng, world, end)
        memory(rng, world, end)
        restarts(world, end)
    return end


PLANTED: dict[str, World] = {
    "outage": World(down=1.0),
    "answers half of the time": World(down=0.5),
    "crash loop": World(restarts=1.0),
    "5 % errors": World(errors=0.05),
    "latency +30 %": World(latency=1.3),
    "latency +50 %": World(latency=1.5),
    "latency x 2": World(latency=2.0),
    "leak of 5 MiB an hour": World(leak=5.0),
}


def share(count: int, of: int) -> str:
    return f"{100 * count / of:.2f} % ({count} of {of})"


def healthy(count: int, seed: int, world: World) -> str:
    ends = [soak(seed + number, [world] * SERVICES) for number in range(count)]
    back = sum(end.rolled_back is not None for end in ends)
    held = sum(end.rolled_back is None and end.held is not None for end in ends)
    return f"rolled back {share(back, count)}, held {share(held, count)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--healthy", type=int, default=1000)
    parser.add_argument("--planted", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"healthy, seeds from {options.seed}: {healthy(options.healthy, options.seed, World())}")
    for blip in (0.0, 30.0, 45.0):
        few = options.healthy // 5
        print(f"  blips of {blip:g} s, seeds from 100000: {healthy(few, 100_000, World(blip=blip))}")
    print(f"  noise of 20 %, seeds from 200000: {healthy(options.healthy // 5, 200_000, World(noise=0.2))}")
    for name, world in PLANTED.items():
        ends = [soak(300_000 + n, [world, *[World()] * (SERVICES - 1)]) for n in range(options.planted)]
        # what ends a soak before anything was planted is no catch
        slots = [end.caught for end in ends if end.caught is not None and end.caught > PLANTED_AT]
        times = sorted((slot - PLANTED_AT) * SOAK.interval / 60 for slot in slots)
        middle = (
            f"{times[len(times) // 2]:.0f} min, 95 % within {times[int(len(times) * 0.95) - 1]:.0f} min"
            if times
            else "-"
        )
        back = sum(end.rolled_back is not None for end in ends)
        print(f"{name}: caught {share(len(slots), len(ends))}, of these rolled back {back}; median after {middle}")


if __name__ == "__main__":
    main()
