"""The order in which measurements are taken, when no more are, and what a second round is for. Nothing is measured."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from pytest_py312.core.model.measurements import Verdict
from pytest_py312.gate.benchmarks.sampling import Found, Measure, MeasuringFailed, Settings, Sides, compare
from pytest_py312.gate.benchmarks.sequential_test import LOOKS

MINUTE = 60.0


@dataclass
class Machine:
    """A machine on which each measurement takes a second, and on which things take what ``takes`` says.

    ``log`` holds who was measured, with which benchmarks and hash seed.
    """

    takes: Mapping[str, Callable[[str], float]]
    log: list[tuple[str, tuple[str, ...], int]] = field(default_factory=list)

    def side(self, who: str) -> Measure:
        def measure(names: Sequence[str], seed: int) -> Mapping[str, float]:
            self.log.append((who, tuple(names), seed))
            return {name: self.takes[who](name) for name in names}

        return measure

    def compare(self, *names: str, budget: float = 1e9, **settings: Any) -> dict[str, Found]:
        sides = Sides(baseline=self.side("old"), target=self.side("new"))
        asked = Settings(budget=budget, **settings)
        return compare(sides, dict.fromkeys(names, 0.1), asked, stopwatch=lambda: float(len(self.log)))


def steady(value: float, noise: float = 0.01, seed: int = 0) -> Callable[[str], float]:
    source = random.Random(seed)
    return lambda name: value * (1 + source.uniform(-noise, noise))


def test_blocks_are_mirrored_and_their_order_is_left_to_chance() -> None:
    """old new new old, or new old old new; both sides of a pair have the same hash seed, and each pair its own."""
    machine = Machine({"old": steady(1.0, seed=1), "new": steady(1.0, seed=2)})
    machine.compare("it")
    blocks = [machine.log[place : place + 4] for place in range(0, len(machine.log), 4)]
    orders = {tuple(who for who, _, _ in block) for block in blocks}
    assert orders == {("old", "new", "new", "old"), ("new", "old", "old", "new")}
    seeds = [[seed for _, _, seed in block] for block in blocks]
    assert seeds == [[2 * number, 2 * number, 2 * number + 1, 2 * number + 1] for number in range(len(blocks))]


def test_a_drift_is_on_both_sides() -> None:
    """Each measurement takes 1 % longer than the one before: nothing of that is in the ratio, or in the control's."""
    clock = count()
    drift: Callable[[str], float] = lambda name: 1.01 ** next(clock)  # noqa: E731  # shared by both sides
    found = Machine({"old": drift, "new": drift}).compare("it")["it"]
    assert found.reading.verdict is Verdict.SAME
    assert found.reading.ratio == pytest.approx(1.0, abs=1e-9)
    assert found.control is not None
    assert found.control[1].low < 1.0 < found.control[1].high


def test_what_is_decided_is_measured_no_more() -> None:
    """One is clear at the first look, the other one goes on."""
    source = random.Random(5)

    def takes(name: str) -> float:
        return 1.0 if name == "clear" else source.lognormvariate(0, 0.2)

    machine = Machine({"old": takes, "new": takes})
    found = machine.compare("clear", "loud")
    assert found["clear"].reading.pairs == LOOKS[0]
    assert found["loud"].reading.pairs > LOOKS[0]
    asked = [names for _, names, _ in machine.log]
    assert set(asked[: 2 * LOOKS[0]]) == {("clear", "loud")}
    assert set(asked[2 * LOOKS[0] :]) == {("loud",)}


def test_slower_is_measured_again_before_it_is_said() -> None:
    """Twice as many measurements as one round, and they are all kept."""
    machine = Machine({"old": steady(1.0, seed=1), "new": steady(1.5, seed=2)})
    found = machine.compare("it")["it"]
    assert found.reading.verdict is Verdict.SLOWER
    assert found.confirmed
    assert len(machine.log) == 2 * len(found.sampled.pairs) == 4 * LOOKS[0]
    assert all(1.4 < new / old < 1.6 for old, new in found.sampled.pairs)


def test_slower_once_and_not_again_is_not_slower() -> None:
    """Something else was running meanwhile: it is said, and no verdict is given."""
    turns: Iterator[int] = count()
    machine = Machine({"old": steady(1.0, seed=1), "new": lambda name: 1.5 if next(turns) < LOOKS[0] else 1.0})
    found = machine.compare("it")["it"]
    assert found.reading.verdict is Verdict.INCONCLUSIVE
    assert not found.confirmed
    assert found.note == "slower in a first round, and same in a second one"


def test_a_second_round_answers_one_question() -> None:
    """Among twenty services the first takes more pairs, since one of them might be slower by chance; which it was is
    known by then."""
    machine = Machine({"old": steady(1.0, seed=1), "new": steady(1.5, seed=2)})
    found = machine.compare("it", families=20)["it"]
    assert found.reading.verdict is Verdict.SLOWER
    assert len(found.sampled.pairs) == 16 + LOOKS[0]


def test_no_second_round_where_nothing_is_concluded() -> None:
    """What was slower is told, and not confirmed."""
    machine = Machine({"old": steady(1.0, seed=1), "new": steady(1.5, seed=2)})
    found = machine.compare("it", confirm=False)["it"]
    assert (found.reading.verdict, found.confirmed) == (Verdict.SLOWER, False)
    assert len(machine.log) == 2 * LOOKS[0]


def test_what_is_measured_along_takes_no_pair_for_itself() -> None:
    """It is judged by what there is when the other is decided, unless it looks slower by then."""
    source = random.Random(5)

    def takes(name: str) -> float:
        return 1.0 if name == "clear" else source.lognormvariate(0, 0.2)

    def takes_longer(name: str) -> float:
        return 1.0 if name == "clear" else 1.5 * source.lognormvariate(0, 0.2)

    for new, enough in ((takes, True), (takes_longer, False)):
        found = Machine({"old": takes, "new": new}).compare("clear", "loud", along=frozenset({"loud"}))
        assert found["clear"].reading.pairs == LOOKS[0]
        assert (found["loud"].reading.pairs == LOOKS[0]) is enough


def test_faster_needs_no_second_round() -> None:
    """Nobody is held up by it."""
    machine = Machine({"old": steady(1.0, seed=1), "new": steady(0.5, seed=2)})
    assert machine.compare("it")["it"].reading.verdict is Verdict.FASTER
    assert len(machine.log) == 2 * LOOKS[0]


def test_a_budget_is_kept() -> None:
    """No block is begun that would not fit; the first always is. What is known by then is told."""
    source = random.Random(1)
    loud: Callable[[str], float] = lambda name: source.lognormvariate(0, 0.5)  # noqa: E731  # shared by both sides
    machine = Machine({"old": loud, "new": loud})
    found = machine.compare("it", budget=MINUTE)["it"]
    assert len(machine.log) == MINUTE
    assert found.reading.verdict is Verdict.INCONCLUSIVE
    assert found.reading.pairs == 30
    assert found.reading.more is None or found.reading.more > 30
    assert len(Machine({"old": loud, "new": loud}).compare("it", budget=0.5)["it"].sampled.pairs) == 2


@pytest.mark.parametrize(("budget", "families", "pairs"), [(19.0, 1, 10), (19.0, 4, 12), (3.9, 1, 8)])
def test_a_budget_that_would_be_wasted_gets_some_more(budget: float, families: int, pairs: int) -> None:
    """As many pairs as can tell the clearest of changes, if five times the budget suffices for them."""
    machine = Machine({"old": steady(1.0, seed=1), "new": steady(5.0, seed=2)})
    found = machine.compare("it", budget=budget, families=families)["it"]
    assert (found.reading.verdict is Verdict.SLOWER) is (pairs >= 10)
    assert len(found.sampled.pairs) == pairs + (LOOKS[0] if found.confirmed else 0)


def test_what_cannot_be_measured_is_said() -> None:
    """It ends the comparison: a figure that is missing is no verdict."""

    def fails(name: str) -> float:
        raise MeasuringFailed("the process was killed")

    with pytest.raises(MeasuringFailed, match="killed"):
        Machine({"old": steady(1.0), "new": fails}).compare("it")
