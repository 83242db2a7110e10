import pytest

from palpation.pulse import beats_a_minute, describe, intervals, irregular, peaks


def wave(*gaps, height=0.8):
    """A wave with beats ``gaps`` samples apart."""
    samples = [0.0, height]
    for gap in gaps:
        samples += [0.0] * (gap - 1) + [height]
    return [*samples, 0.0]


def test_small_waves_are_no_peaks():
    assert peaks([0.0, 0.2, 0.0, 0.9, 0.0], least=0.5) == [3]


def test_a_plateau_is_one_peak():
    assert peaks([0.0, 0.9, 0.9, 0.0], least=0.5) == [1]


def test_gaps_are_in_seconds():
    assert intervals(wave(8, 10), rate=10) == [0.8, 1.0]


def test_one_second_apart_is_sixty_a_minute():
    assert beats_a_minute([1.0, 1.0]) == 60


@pytest.mark.parametrize(("gaps", "expected"), [([1.0, 1.0, 1.05], False), ([0.6, 1.2, 0.7], True), ([1.0], False)])
def test_irregular(gaps, expected):
    assert irregular(gaps) is expected


@pytest.mark.parametrize(("gap", "word"), [(12, "slow pulse"), (8, "even pulse"), (5, "rapid pulse")])
def test_the_speed_has_words(gap, word):
    assert describe(wave(gap, gap, gap), rate=10) == sorted([word, "strong pulse"])


def test_a_weak_pulse():
    assert describe(wave(8, 8, height=0.2), rate=10) == ["even pulse", "weak pulse"]


def test_no_pulse():
    assert describe([], rate=10) == []
