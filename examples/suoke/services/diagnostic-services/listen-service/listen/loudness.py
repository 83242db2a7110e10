"""Figures of a recording, which is a list of samples between -1 and 1."""

import math


def loudness(samples):
    """Decibels below full scale; silence is minus infinity."""
    if not samples:
        return -math.inf
    power = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    return round(20 * math.log10(power), 1) if power else -math.inf


def pauses(samples, rate, quiet=0.02, least=0.2):
    """Lengths, in seconds, of stretches of at least ``least`` seconds in which nothing is louder than ``quiet``."""
    found, run = [], 0
    for sample in [*samples, 1.0]:
        if abs(sample) <= quiet:
            run += 1
            continue
        if run / rate >= least:
            found.append(round(run / rate, 2))
        run = 0
    return found
