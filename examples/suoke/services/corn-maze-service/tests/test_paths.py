import pytest

from corn_maze.paths import position, score, shortest


def test_straight_ahead():
    assert shortest(("S..T",)) == 3


def test_around_the_corn():
    assert shortest(("S#T", ".#.", "...")) == 6


def test_no_way_through():
    assert shortest(("S#T",)) is None


def test_the_entrance_is_found():
    assert position(("..", ".S"), "S") == (1, 1)


def test_a_maze_without_treasure():
    with pytest.raises(ValueError, match="no T"):
        shortest(("S..",))


@pytest.mark.parametrize(("steps", "seconds", "points"), [(10, 0, 100), (20, 0, 70), (10, 60, 80), (10, 600, 60)])
def test_scores(steps, seconds, points):
    assert score(steps, best=10, seconds=seconds) == points
