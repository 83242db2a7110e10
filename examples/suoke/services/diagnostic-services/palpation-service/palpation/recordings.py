"""Names for recorded waves: a folder for each patient and day, ``lin/2026-03-01/left.json``."""

from collections import Counter
from pathlib import PurePosixPath

SHELF = PurePosixPath("/var/lib/palpation/recordings")


def place(patient, day, wrist):
    """Where a wave is kept."""
    return SHELF / patient / day / (wrist + ".json")


def name(path):
    """The name under which others know a recording; ``ValueError`` for one that is not on the shelf."""
    return str(path.relative_to(SHELF).with_suffix(""))


def catalogue(paths):
    """Patient -> how many recordings of each wrist there are."""
    found = {}
    for path in paths:
        patient, _, wrist = name(path).split("/")
        found.setdefault(patient, Counter())[wrist] += 1
    return found
