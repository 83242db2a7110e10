import math

from listen.loudness import loudness, pauses


def test_full_scale_is_zero():
    assert loudness([1.0, -1.0, 1.0]) == 0.0


def test_half_the_scale_is_six_decibels_less():
    assert loudness([0.5, -0.5]) == -6.0


def test_silence():
    assert loudness([0.0, 0.0]) == loudness([]) == -math.inf


def test_a_pause_has_a_least_length():
    assert pauses([0.5, 0.0, 0.0, 0.5, 0.0, 0.5], rate=10) == [0.2]


def test_a_pause_at_the_end_counts():
    assert pauses([0.5, 0.0, 0.0, 0.0], rate=10) == [0.3]
