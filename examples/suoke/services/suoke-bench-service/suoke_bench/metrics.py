"""Figures for answers, each from 0 (useless) to 1 (perfect)."""

import math


def precision(found, right):
    """The share of ``found`` that is right."""
    return len(set(found) & set(right)) / len(set(found)) if found else 0.0


def recall(found, right):
    """The share of ``right`` that was found."""
    return len(set(found) & set(right)) / len(set(right)) if right else 1.0


def f1(found, right):
    """The harmonic mean of precision and recall."""
    p, r = precision(found, right), recall(found, right)
    return 2 * p * r / (p + r) if p + r else 0.0


def reciprocal_rank(ranked, right):
    """1 for a right answer in the first place, 1/2 in the second, and so on."""
    return next((1 / place for place, answer in enumerate(ranked, start=1) if answer in right), 0.0)


def percentile(values, share):
    """The smallest value that at least ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
