"""One long corridor to the middle. ``#`` is corn, ``S`` the entrance, ``T`` the treasure."""

ROWS = (
    "S......",
    "######.",
    ".....#.",
    ".###.#.",
    ".#T..#.",
    ".#####.",
    ".......",
)
