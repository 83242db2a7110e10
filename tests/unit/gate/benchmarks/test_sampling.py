"""The order of measurements, when sampling ends, and the purpose of a second round. Nothing is measured."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from pytest_py312.core.model.measurements import SpeedVerdict
from pytest_py312.gate.benchmarks.sampling import (
    BenchmarkResult,
    Measure,
    MeasurementFailed,
    SamplingSettings,
    SidePair,
    measure_and_compare,
)
from pytest_py312.gate.benchmarks.sequential_test import LOOKS

MINUTE = 60.0


@dataclass
class FakeMachine:
    """A machine on which each measurement takes one second, and returns what ``takes`` says.

    ``log`` has the side, the benchmarks and the hash seed of each measurement.
    """

    takes: Mapping[str, Callable[[str], float]]
    log: list[tuple[str, tuple[str, ...], int]] = field(default_factory=list)

    def side(self, who: str) -> Measure:
        def measure(names: Sequence[str], seed: int) -> Mapping[str, float]:
            self.log.append((who, tuple(names), seed))
            return {name: self.takes[who](name) for name in names}

        return measure

    def compare(self, *names: str, budget: float = 1e9, **settings: Any) -> dict[str, BenchmarkResult]:
        sides = SidePair(baseline=self.side("old"), target=self.side("new"))
        asked = SamplingSettings(budget=budget, **settings)
        return measure_and_compare(sides, dict.fromkeys(names, 0.1), asked, stopwatch=lambda: float(len(self.log)))


def steady(value: float, noise: float = 0.01, seed: int = 0) -> Callable[[str], float]:
    source = random.Random(seed)
    return lambda name: value * (1 + source.uniform(-noise, noise))


def test_blocks_are_mirrored_and_their_order_is_random() -> None:
    """old new new old, or new old old new; both sides of a pair have the same hash seed, and each pair another one."""
    machine = FakeMachine({"old": steady(1.0, seed=1), "new": steady(1.0, seed=2)})
    machine.compare("it")
    blocks = [machine.log[place : place + 4] for place in range(0, len(machine.log), 4)]
    orders = {tuple(who for who, _, _ in block) for block in blocks}
    assert orders == {("old", "new", "new", "old"), ("new", "old", "old", "new")}
    seeds = [[seed for _, _, seed in block] for block in blocks]
    assert seeds == [[2 * number, 2 * number, 2 * number + 1, 2 * number + 1] for number in range(len(blocks))]


def test_a_drift_affects_both_sides_equally() -> None:
    """Each measurement takes 1 % longer than the previous one: neither the ratio nor the control shows it."""
    clock = count()
    drift: Callable[[str], float] = lambda name: 1.01 ** next(clock)  # noqa: E731  # shared by both sides
    result = FakeMachine({"old": drift, "new": drift}).compare("it")["it"]
    assert result.test_result.verdict is SpeedVerdict.SAME
    assert result.test_result.ratio == pytest.approx(1.0, abs=1e-9)
    assert result.control is not None
    assert result.control[1].low < 1.0 < result.control[1].high


def test_a_decided_benchmark_is_not_measured_any_more() -> None:
    """One is clear at the first look, the other one continues."""
    source = random.Random(5)

    def takes(name: str) -> float:
        return 1.0 if name == "clear" else source.lognormvariate(0, 0.2)

    machine = FakeMachine({"old": takes, "new": takes})
    found = machine.compare("clear", "loud")
    assert found["clear"].test_result.pairs == LOOKS[0]
    assert found["loud"].test_result.pairs > LOOKS[0]
    asked = [names for _, names, _ in machine.log]
    assert set(asked[: 2 * LOOKS[0]]) == {("clear", "loud")}
    assert set(asked[2 * LOOKS[0] :]) == {("loud",)}


def test_slower_is_confirmed_by_a_second_round() -> None:
    """It takes twice as many measurements, and all are kept."""
    machine = FakeMachine({"old": steady(1.0, seed=1), "new": steady(1.5, seed=2)})
    result = machine.compare("it")["it"]
    assert result.test_result.verdict is SpeedVerdict.SLOWER
    assert result.confirmed
    assert len(machine.log) == 2 * len(result.samples.pairs) == 4 * LOOKS[0]
    assert all(1.4 < new / old < 1.6 for old, new in result.samples.pairs)


def test_slower_only_in_the_first_round_is_inconclusive() -> None:
    """Something else was running at that time: a note reports it, and there is no verdict."""
    turns: Iterator[int] = count()
    machine = FakeMachine({"old": steady(1.0, seed=1), "new": lambda name: 1.5 if next(turns) < LOOKS[0] else 1.0})
    found = machine.compare("it")["it"]
    assert found.test_result.verdict is SpeedVerdict.INCONCLUSIVE
    assert not found.confirmed
    assert found.note == "slower in a first round, and same in a second one"


def test_a_second_round_needs_fewer_pairs() -> None:
    """Among twenty services the first round takes more pairs, since one of them might be slower by chance; the
    second one tests a single benchmark."""
    machine = FakeMachine({"old": steady(1.0, seed=1), "new": steady(1.5, seed=2)})
    found = machine.compare("it", families=20)["it"]
    assert found.test_result.verdict is SpeedVerdict.SLOWER
    assert len(found.samples.pairs) == 16 + LOOKS[0]


def test_without_confirmation_there_is_no_second_round() -> None:
    """A slower benchmark is reported, and not confirmed."""
    machine = FakeMachine({"old": steady(1.0, seed=1), "new": steady(1.5, seed=2)})
    found = machine.compare("it", confirm=False)["it"]
    assert (found.test_result.verdict, found.confirmed) == (SpeedVerdict.SLOWER, False)
    assert len(machine.log) == 2 * LOOKS[0]


def test_no_pairs_are_taken_for_secondary_benchmarks() -> None:
    """They are evaluated when the others are decided, unless they look slower then."""
    source = random.Random(5)

    def takes(name: str) -> float:
        return 1.0 if name == "clear" else source.lognormvariate(0, 0.2)

    def takes_longer(name: str) -> float:
        return 1.0 if name == "clear" else 1.5 * source.lognormvariate(0, 0.2)

    for new, enough in ((takes, True), (takes_longer, False)):
        found = FakeMachine({"old": takes, "new": new}).compare("clear", "loud", secondary=frozenset({"loud"}))
        assert found["clear"].test_result.pairs == LOOKS[0]
        assert (found["loud"].test_result.pairs == LOOKS[0]) is enough


def test_faster_needs_no_second_round() -> None:
    """It does not block."""
    machine = FakeMachine({"old": steady(1.0, seed=1), "new": steady(0.5, seed=2)})
    assert machine.compare("it")["it"].test_result.verdict is SpeedVerdict.FASTER
    assert len(machine.log) == 2 * LOOKS[0]


def test_a_budget_is_kept() -> None:
    """No block is started that would exceed it, except the first one. The results so far are returned."""
    source = random.Random(1)
    loud: Callable[[str], float] = lambda name: source.lognormvariate(0, 0.5)  # noqa: E731  # shared by both sides
    machine = FakeMachine({"old": loud, "new": loud})
    result = machine.compare("it", budget=MINUTE)["it"]
    assert len(machine.log) == MINUTE
    assert result.test_result.verdict is SpeedVerdict.INCONCLUSIVE
    assert result.test_result.pairs == 30
    assert result.test_result.missing_pairs is None or result.test_result.missing_pairs > 30
    assert len(FakeMachine({"old": loud, "new": loud}).compare("it", budget=0.5)["it"].samples.pairs) == 2


@pytest.mark.parametrize(("budget", "families", "pairs"), [(19.0, 1, 10), (19.0, 4, 12), (3.9, 1, 8)])
def test_a_budget_is_extended_up_to_the_minimum_number_of_pairs(budget: float, families: int, pairs: int) -> None:
    """As many pairs as the clearest of changes needs, within five times the budget."""
    machine = FakeMachine({"old": steady(1.0, seed=1), "new": steady(5.0, seed=2)})
    found = machine.compare("it", budget=budget, families=families)["it"]
    assert (found.test_result.verdict is SpeedVerdict.SLOWER) is (pairs >= 10)
    assert len(found.samples.pairs) == pairs + (LOOKS[0] if found.confirmed else 0)


def test_a_failed_measurement_is_reported() -> None:
    """It ends the comparison: without the figure there is no verdict."""

    def fails(name: str) -> float:
        raise MeasurementFailed("the process was killed")

    with pytest.raises(MeasurementFailed, match="killed"):
        FakeMachine({"old": steady(1.0), "new": fails}).compare("it")
