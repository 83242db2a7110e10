"""Mazes that players contribute: one Python file each, with the rows of the maze in ``ROWS``."""

import imp
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "layouts"


def names(folder=FOLDER):
    return sorted(path.stem for path in folder.glob("*.py"))


def load(name, folder=FOLDER):
    """The rows of a maze; ``LookupError`` when there is none of that name, ``ValueError`` when it has no way in."""
    if name not in names(folder):
        raise LookupError("no maze is called " + name)
    rows = imp.load_source("layout_" + name, str(folder / (name + ".py"))).ROWS
    if sum(row.count("S") for row in rows) != 1 or sum(row.count("T") for row in rows) != 1:
        raise ValueError("a maze has one entrance and one treasure")
    return rows
