"""Verdicts of the sequential test, by simulation with fixed seeds."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import SpeedVerdict
from pytest_py312.gate.benchmarks.sequential_test import (
    ERROR_RATE,
    LOOKS,
    SamplingRound,
    SequentialTestResult,
    equivalence_bounds,
    evaluate,
    looks_with_minimum,
)
from pytest_py312.gate.benchmarks.statistics import Interval


def noisy(ratio: float, noise: float, source: random.Random) -> Iterator[float]:
    """Yield pairs with the given ratio; sometimes one side is disturbed heavily."""
    while True:
        old, new = (math.exp(source.gauss(0, noise)) * (3.0 if source.random() < 0.04 else 1.0) for _ in range(2))
        yield ratio * new / old


def judged(
    streams: dict[str, Iterator[float]], threshold: float = 0.1, families: int = 1
) -> dict[str, SequentialTestResult]:
    """Take a complete round."""
    measured = SamplingRound(dict.fromkeys(streams, threshold), families=families)
    taken = 0
    while not measured.is_over:
        wanted = measured.next_look
        for name in measured.undecided:
            measured.add(name, [next(streams[name]) for _ in range(wanted - taken)])
        taken = wanted
        measured.look()
    return measured.results()


def verdicts(ratio: float, *, noise: float, times: int, seed: int, threshold: float = 0.1) -> Counter[SpeedVerdict]:
    source = random.Random(seed)
    return Counter(judged({"it": noisy(ratio, noise, source)}, threshold)["it"].verdict for _ in range(times))


def test_a_benchmark_is_the_same_as_itself() -> None:
    """None of 30 is slower or faster, at any noise, and all are the same at low noise."""
    assert verdicts(1.0, noise=0.03, times=15, seed=1) == {SpeedVerdict.SAME: 15}
    loud = verdicts(1.0, noise=0.3, times=15, seed=2)
    assert loud[SpeedVerdict.SLOWER] == loud[SpeedVerdict.FASTER] == 0


def test_a_slowdown_of_15_percent_is_slower() -> None:
    """With a threshold of 10 %, in nearly all of 20 rounds."""
    found = verdicts(1.15, noise=0.03, times=20, seed=3)
    assert found[SpeedVerdict.SLOWER] >= 19
    assert set(found) <= {SpeedVerdict.SLOWER, SpeedVerdict.INCONCLUSIVE}


def test_a_change_of_5_percent_is_never_the_same_at_a_threshold_of_3() -> None:
    """It is detected, or more pairs are needed."""
    assert verdicts(1.05, noise=0.03, times=15, seed=4, threshold=0.03)[SpeedVerdict.SAME] == 0


def test_faster_is_the_inverse_of_slower() -> None:
    """Exchanged sides have the opposite verdict."""
    assert verdicts(0.7, noise=0.05, times=10, seed=5) == {SpeedVerdict.FASTER: 10}


def test_large_changes_are_detected_early() -> None:
    """A factor of two needs no more than the second look; a ratio at the threshold stays inconclusive after all
    looks."""
    source = random.Random(6)
    results = judged({"much": noisy(2.0, 0.03, source), "edge": noisy(1.1, 0.03, source)})
    assert results["much"].verdict is SpeedVerdict.SLOWER
    assert results["much"].pairs <= LOOKS[1]
    assert (results["edge"].verdict, results["edge"].pairs) == (SpeedVerdict.INCONCLUSIVE, LOOKS[-1])
    assert results["edge"].missing_pairs is None or results["edge"].missing_pairs > 200


def test_more_benchmarks_have_larger_p_values() -> None:
    """Holm: the same figures have a larger p-value among twenty, and among the rounds of ten services."""
    alone = judged({"a": noisy(1.5, 0.05, random.Random(7))}, families=1)["a"]
    others = {f"b{number}": noisy(1.0, 0.02, random.Random(number)) for number in range(19)}
    among = judged({"a": noisy(1.5, 0.05, random.Random(7)), **others})["a"]
    services = judged({"a": noisy(1.5, 0.05, random.Random(7))}, families=10)["a"]
    assert alone.pairs == LOOKS[0]
    assert among.verdict is SpeedVerdict.SLOWER
    assert among.pairs > alone.pairs
    assert services.pairs > alone.pairs


def test_a_confirming_round_is_one_sided() -> None:
    """So its p-value is half as large, and no benchmark is faster there."""
    verdicts_by_round = {}
    for ratio in (1.5, 0.6):
        for confirming in (False, True):
            measured = SamplingRound({"it": 0.1}, confirming=confirming)
            stream = noisy(ratio, 0.02, random.Random(9))
            measured.add("it", [next(stream) for _ in range(LOOKS[1])])
            measured.look()
            verdicts_by_round[ratio, confirming] = measured.results()["it"]
    assert verdicts_by_round[1.5, True].p_value == pytest.approx(verdicts_by_round[1.5, False].p_value / 2)
    assert verdicts_by_round[1.5, True].verdict is SpeedVerdict.SLOWER
    assert verdicts_by_round[0.6, False].verdict is SpeedVerdict.FASTER
    assert verdicts_by_round[0.6, True].verdict is SpeedVerdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("names", "families", "confirming", "least"),
    [(1, 1, False, 10), (2, 1, False, 12), (10, 1, False, 14), (10, 20, False, 18), (2, 1, True, 10)],
)
def test_the_minimum_number_of_pairs(names: int, families: int, confirming: bool, least: int) -> None:
    """With this many, all on one side, the test is significant; with two fewer it is not."""
    for count, sure in ((least, True), (least - 2, False)):
        thresholds = {str(name): 0.1 for name in range(names)}
        measured = SamplingRound(thresholds, families=families, confirming=confirming)
        assert measured.min_pairs == least
        measured.add("0", [2.0 + pair / 100 for pair in range(count)])
        measured.look()
        assert (measured.results()["0"].p_value < ERROR_RATE) is sure


@given(st.integers(min_value=1, max_value=40).map(lambda half: 2 * half))
def test_the_second_look_is_the_first_that_can_detect_a_change(least: int) -> None:
    """There are always as many looks, since each has its share of the error rate; the first one can only find that
    nothing has changed. A clear change is not measured up to the next look."""
    looks = looks_with_minimum(least)
    assert len(looks) == len(LOOKS)
    assert all(later > sooner for sooner, later in pairwise(looks))
    assert {look % 2 for look in looks} == {0}
    assert (looks[0], looks[-1]) == (LOOKS[0], LOOKS[-1])
    assert least in looks[:2] or least < LOOKS[0]


def test_a_round_with_too_few_pairs_is_inconclusive() -> None:
    """The budget was spent after six pairs: the result contains how many more are needed."""
    measured = SamplingRound({"a": 0.1})
    measured.add("a", [1.5] * 6)
    measured.look()
    assert measured.results()["a"].verdict is SpeedVerdict.INCONCLUSIVE
    assert math.isinf(measured.results()["a"].interval.high)
    assert measured.undecided == ("a",)


def test_the_number_of_looks_is_fixed() -> None:
    """Each additional one would increase the error rate."""
    measured = SamplingRound({"a": 0.1})
    for _ in LOOKS:
        measured.look()
    assert measured.is_over
    with pytest.raises(ValueError, match="looks"):
        measured.look()


@pytest.mark.parametrize(
    ("low", "high", "p_value", "above", "verdict"),
    [
        (1.12, 1.30, 0.001, True, SpeedVerdict.SLOWER),
        (1.12, 1.30, 0.02, True, SpeedVerdict.INCONCLUSIVE),
        (1.12, 1.30, 0.001, False, SpeedVerdict.INCONCLUSIVE),
        (1.05, 1.30, 0.001, True, SpeedVerdict.INCONCLUSIVE),
        (0.60, 0.80, 0.001, False, SpeedVerdict.FASTER),
        (0.60, 0.95, 0.001, False, SpeedVerdict.INCONCLUSIVE),
        (0.95, 1.08, 1.0, True, SpeedVerdict.SAME),
        (0.95, 1.10, 1.0, True, SpeedVerdict.INCONCLUSIVE),
    ],
)
def test_interval_and_test_have_to_agree(
    low: float, high: float, p_value: float, above: bool, verdict: SpeedVerdict
) -> None:
    """Slower and faster need both to be beyond the band; the same needs the whole interval inside it."""
    interval = Interval(low=low, high=high, confidence=0.998)
    found = evaluate([low, high], interval, p_value=p_value, is_slower_test=above, threshold=0.1, error_rate=0.01)
    assert found.verdict is verdict
    assert (found.missing_pairs == 0) is (verdict is not SpeedVerdict.INCONCLUSIVE)


def test_the_band_is_symmetric() -> None:
    """10 % slower is 10 % slower in the other direction."""
    low, high = equivalence_bounds(0.25)
    assert (low, high) == (0.8, 1.25)
