"""Two paths that cross; the shorter one is not the obvious one."""

ROWS = (
    "S...#",
    ".##.#",
    ".#...",
    ".#.#T",
    "...##",
)
