import pytest

from corn_maze.layouts import load, names
from corn_maze.paths import shortest


def test_the_mazes_that_we_ship():
    assert names() == ["cross", "spiral"]


def test_every_maze_has_a_way_through():
    assert {name: shortest(load(name)) for name in names()} == {"cross": 7, "spiral": 30}


def test_an_unknown_maze():
    with pytest.raises(LookupError, match="labyrinth"):
        load("labyrinth")


def test_a_maze_without_entrance(tmp_path):
    (tmp_path / "closed.py").write_text("ROWS = ('..T',)")
    with pytest.raises(ValueError, match="one entrance"):
        load("closed", tmp_path)
