"""Verdicts from pairs that come in one look after the other, by simulation with fixed seeds."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import Verdict
from pytest_py312.gate.benchmarks.sequential_test import ERROR, LOOKS, Reading, Round, edges_of, looks_from, read
from pytest_py312.gate.benchmarks.statistics import Interval


def noisy(ratio: float, noise: float, source: random.Random) -> Iterator[float]:
    """Pairs of a thing that takes ``ratio`` times as long; now and then one side is disturbed badly."""
    while True:
        old, new = (math.exp(source.gauss(0, noise)) * (3.0 if source.random() < 0.04 else 1.0) for _ in range(2))
        yield ratio * new / old


def judged(streams: dict[str, Iterator[float]], threshold: float = 0.1, families: int = 1) -> dict[str, Reading]:
    """A round to its end."""
    measured = Round(dict.fromkeys(streams, threshold), families=families)
    taken = 0
    while not measured.is_over:
        wanted = measured.next_look
        for name in measured.undecided:
            measured.add(name, [next(streams[name]) for _ in range(wanted - taken)])
        taken = wanted
        measured.look()
    return measured.readings()


def verdicts(ratio: float, *, noise: float, times: int, seed: int, threshold: float = 0.1) -> Counter[Verdict]:
    source = random.Random(seed)
    return Counter(judged({"it": noisy(ratio, noise, source)}, threshold)["it"].verdict for _ in range(times))


def test_a_thing_is_the_same_as_itself() -> None:
    """Not one of 30 is slower or faster, whatever the noise, and with little of it all are the same."""
    assert verdicts(1.0, noise=0.03, times=15, seed=1) == {Verdict.SAME: 15}
    loud = verdicts(1.0, noise=0.3, times=15, seed=2)
    assert loud[Verdict.SLOWER] == loud[Verdict.FASTER] == 0


def test_a_slowdown_of_15_percent_is_slower() -> None:
    """With a threshold of 10 %, in nearly all of 20."""
    found = verdicts(1.15, noise=0.03, times=20, seed=3)
    assert found[Verdict.SLOWER] >= 19
    assert set(found) <= {Verdict.SLOWER, Verdict.INCONCLUSIVE}


def test_a_change_of_5_percent_is_never_the_same_where_3_count() -> None:
    """It is told, or it is said that more pairs are needed."""
    assert verdicts(1.05, noise=0.03, times=15, seed=4, threshold=0.03)[Verdict.SAME] == 0


def test_what_got_faster_is_faster() -> None:
    """Old against new says the opposite of new against old."""
    assert verdicts(0.7, noise=0.05, times=10, seed=5) == {Verdict.FASTER: 10}


def test_much_is_seen_soon() -> None:
    """Twice as slow needs no more than the second look; what hangs on the edge takes all there are, in vain."""
    source = random.Random(6)
    found = judged({"much": noisy(2.0, 0.03, source), "edge": noisy(1.1, 0.03, source)})
    assert found["much"].verdict is Verdict.SLOWER
    assert found["much"].pairs <= LOOKS[1]
    assert (found["edge"].verdict, found["edge"].pairs) == (Verdict.INCONCLUSIVE, LOOKS[-1])
    assert found["edge"].more is None or found["edge"].more > 200


def test_more_benchmarks_take_more_to_convince() -> None:
    """Holm: the same figures have a larger p-value among twenty, and among the rounds of ten services."""
    alone = judged({"a": noisy(1.5, 0.05, random.Random(7))}, families=1)["a"]
    others = {f"b{number}": noisy(1.0, 0.02, random.Random(number)) for number in range(19)}
    among = judged({"a": noisy(1.5, 0.05, random.Random(7)), **others})["a"]
    services = judged({"a": noisy(1.5, 0.05, random.Random(7))}, families=10)["a"]
    assert alone.pairs == LOOKS[0]
    assert among.verdict is Verdict.SLOWER
    assert among.pairs > alone.pairs
    assert services.pairs > alone.pairs


def test_a_confirming_round_asks_whether_it_is_slower_and_nothing_else() -> None:
    """So its p-value is half as large, and nothing is faster there."""
    found = {}
    for ratio in (1.5, 0.6):
        for confirming in (False, True):
            measured = Round({"it": 0.1}, confirming=confirming)
            stream = noisy(ratio, 0.02, random.Random(9))
            measured.add("it", [next(stream) for _ in range(LOOKS[1])])
            measured.look()
            found[ratio, confirming] = measured.readings()["it"]
    assert found[1.5, True].p_value == pytest.approx(found[1.5, False].p_value / 2)
    assert found[1.5, True].verdict is Verdict.SLOWER
    assert found[0.6, False].verdict is Verdict.FASTER
    assert found[0.6, True].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("names", "families", "confirming", "least"),
    [(1, 1, False, 10), (2, 1, False, 12), (10, 1, False, 14), (10, 20, False, 18), (2, 1, True, 10)],
)
def test_the_least_pairs_that_can_tell(names: int, families: int, confirming: bool, least: int) -> None:
    """With so many, all on one side, the test is sure; with two fewer it is not."""
    for count, sure in ((least, True), (least - 2, False)):
        thresholds = {str(name): 0.1 for name in range(names)}
        measured = Round(thresholds, families=families, confirming=confirming)
        assert measured.least == least
        measured.add("0", [2.0 + pair / 100 for pair in range(count)])
        measured.look()
        assert (measured.readings()["0"].p_value < ERROR) is sure


@given(st.integers(min_value=1, max_value=40).map(lambda half: 2 * half))
def test_the_second_look_is_the_first_that_can_tell_a_change(least: int) -> None:
    """There are as many looks as ever, since each has its share of the error; the first can tell that nothing has
    changed. What is clear is not measured any further for the sake of the next look."""
    looks = looks_from(least)
    assert len(looks) == len(LOOKS)
    assert all(later > sooner for sooner, later in pairwise(looks))
    assert {look % 2 for look in looks} == {0}
    assert (looks[0], looks[-1]) == (LOOKS[0], LOOKS[-1])
    assert least in looks[:2] or least < LOOKS[0]


def test_a_round_that_was_cut_short() -> None:
    """Its budget was spent after six pairs: the figures tell nothing, and how many more would be needed is said."""
    measured = Round({"a": 0.1})
    measured.add("a", [1.5] * 6)
    measured.look()
    assert measured.readings()["a"].verdict is Verdict.INCONCLUSIVE
    assert math.isinf(measured.readings()["a"].interval.high)
    assert measured.undecided == ("a",)


def test_there_are_as_many_looks_as_were_announced() -> None:
    """Each further one would make a false verdict likelier."""
    measured = Round({"a": 0.1})
    for _ in LOOKS:
        measured.look()
    assert measured.is_over
    with pytest.raises(ValueError, match="looks"):
        measured.look()


@pytest.mark.parametrize(
    ("low", "high", "p_value", "above", "verdict"),
    [
        (1.12, 1.30, 0.001, True, Verdict.SLOWER),
        (1.12, 1.30, 0.02, True, Verdict.INCONCLUSIVE),
        (1.12, 1.30, 0.001, False, Verdict.INCONCLUSIVE),
        (1.05, 1.30, 0.001, True, Verdict.INCONCLUSIVE),
        (0.60, 0.80, 0.001, False, Verdict.FASTER),
        (0.60, 0.95, 0.001, False, Verdict.INCONCLUSIVE),
        (0.95, 1.08, 1.0, True, Verdict.SAME),
        (0.95, 1.10, 1.0, True, Verdict.INCONCLUSIVE),
    ],
)
def test_interval_and_test_have_to_agree(
    low: float, high: float, p_value: float, above: bool, verdict: Verdict
) -> None:
    """Slower and faster need both beyond the band; the same needs all of the interval inside it."""
    interval = Interval(low=low, high=high, confidence=0.998)
    found = read([low, high], interval, p_value=p_value, above=above, threshold=0.1, error=0.01)
    assert found.verdict is verdict
    assert (found.more == 0) is (verdict is not Verdict.INCONCLUSIVE)


def test_the_band_is_as_wide_on_both_sides() -> None:
    """10 % slower one way is 10 % slower the other way round."""
    low, high = edges_of(0.25)
    assert (low, high) == (0.8, 1.25)
