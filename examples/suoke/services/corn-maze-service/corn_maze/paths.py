"""Ways through a maze."""

from collections import deque

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def position(rows, mark):
    """Row and column of ``mark``."""
    for row, line in enumerate(rows):
        if mark in line:
            return row, line.index(mark)
    raise ValueError("the maze has no " + mark)


def shortest(rows):
    """How many steps it takes from ``S`` to ``T``, or ``None`` when there is no way."""
    goal = position(rows, "T")
    distances = {position(rows, "S"): 0}
    queue = deque(distances)
    while queue:
        row, column = here = queue.popleft()
        if here == goal:
            return distances[here]
        for down, right in STEPS:
            there = row + down, column + right
            if there not in distances and is_open(rows, *there):
                distances[there] = distances[here] + 1
                queue.append(there)
    return None


def is_open(rows, row, column):
    return 0 <= row < len(rows) and 0 <= column < len(rows[row]) and rows[row][column] != "#"


def score(steps, best, seconds):
    """Up to 100 points: 60 for the way, 40 for the time, of which one is lost each three seconds."""
    return round(60 * best / max(steps, best)) + max(0, 40 - seconds // 3)
