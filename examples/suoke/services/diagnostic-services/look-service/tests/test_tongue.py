import pytest

from look_service.tongue import colour, evenly_lit, shares, signs

PINK, RED, PALE = (200, 120, 120), (200, 60, 60), (220, 180, 180)
WHITE, YELLOW, PURPLE, DARK = (230, 225, 225), (220, 190, 90), (130, 90, 160), (40, 20, 20)


@pytest.mark.parametrize(
    ("pixel", "word"),
    [
        (PINK, "pink"),
        (RED, "red"),
        (PALE, "pale"),
        (WHITE, "white"),
        (YELLOW, "yellow"),
        (PURPLE, "purple"),
        (DARK, "dark"),
    ],
)
def test_colours_have_words(pixel, word):
    assert colour(pixel) == word


def test_the_largest_share_comes_first():
    assert list(shares([RED, PINK, PINK, PINK]).items()) == [("pink", 0.75), ("red", 0.25)]


def test_a_thin_coating_does_not_count():
    assert signs([PINK] * 8 + [WHITE] * 2) == ["pink tongue"]


def test_a_thick_coating_does():
    assert signs([RED] * 5 + [YELLOW] * 4 + [WHITE]) == ["red tongue", "yellow coating"]


def test_nothing_but_coating():
    assert signs([WHITE, WHITE]) == ["white coating"]


def test_shadows_spoil_a_picture():
    assert not evenly_lit([WHITE, DARK])
