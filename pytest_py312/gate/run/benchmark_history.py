"""History of benchmarks: results of earlier runs are kept in the state file, and added to those of this run.

Only results of the same interpreter builds on the same processor are comparable: other differences would not be caused
by the service.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core.errors import StateError
from pytest_py312.core.model.measurements import BenchmarkComparison, PastComparison, SpeedVerdict
from pytest_py312.gate.run.state import StateFile

COMPARABLE_CONDITIONS = ("python", "compiler", "options", "libc", "build", "origin", "image", "processor", "clock")
"""Conditions that have to be equal. Others may differ, such as the core or the load of the machine."""
_MAX_DATE_LENGTH = 40  # characters


class BenchmarkHistory:
    """The measurements of earlier runs, from the state file in ``folder``.

    They are read once, so results that this run records are not part of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cached: dict[str, tuple[PastComparison, ...]] = {}

    def with_history(self, comparisons: Iterable[BenchmarkComparison]) -> tuple[BenchmarkComparison, ...]:
        """Add the results of earlier runs to ``comparisons``; none if the state file cannot be used."""
        current = tuple(comparisons)
        missing = [key for key in map(comparison_key, current) if key not in self._cached]
        if missing:
            self._cached |= self._read(missing)
        return tuple(
            replace(comparison, past_comparisons=self._cached[comparison_key(comparison)]) for comparison in current
        )

    def _read(self, keys: Sequence[str]) -> dict[str, tuple[PastComparison, ...]]:
        with suppress(StateError), closing(StateFile(self._folder)) as state:
            return {key: tuple(filter(None, map(parse_past_comparison, state.comparisons(key)))) for key in keys}
        return dict.fromkeys(keys, ())

    def record(self, comparisons: Iterable[BenchmarkComparison], at: str) -> None:
        """Store the results of a run that ended ``at`` (RFC 3339, UTC), for later runs."""
        documents = {
            comparison_key(comparison): comparison_document(comparison, at)
            for comparison in comparisons
            if comparison.pairs
        }
        if documents:
            # what cannot be stored does not affect this run, only the history of later ones
            with suppress(StateError), closing(StateFile(self._folder)) as state:
                state.store_comparisons(documents, at)


def comparison_key(comparison: BenchmarkComparison) -> str:
    """Return a key that is equal for comparable results."""
    conditions = {name: comparison.conditions[name] for name in COMPARABLE_CONDITIONS if name in comparison.conditions}
    subject = [
        comparison.service,
        comparison.kind,
        comparison.name,
        comparison.unit,
        str(comparison.baseline),
        str(comparison.target),
    ]
    return hashlib.sha256(json.dumps([subject, conditions], sort_keys=True).encode()).hexdigest()


def comparison_document(comparison: BenchmarkComparison, at: str) -> dict[str, Any]:
    """Return the stored document of ``comparison``, as :func:`parse_past_comparison` reads it."""
    baseline_median, target_median = comparison.medians
    return {
        "at": at,
        "verdict": comparison.verdict.value,
        "ratio": comparison.ratio,
        "low": comparison.low,
        "high": comparison.high if math.isfinite(comparison.high) else None,
        "before": baseline_median,
        "after": target_median,
    }


def parse_past_comparison(document: object) -> PastComparison | None:
    """Parse a stored document; ``None`` if it has another form."""
    if not isinstance(document, dict):
        return None
    at, high = document.get("at"), document.get("high")
    figures = [_measured_number(document.get(name)) for name in ("ratio", "low", "before", "after")]
    figures.append(math.inf if high is None else _measured_number(high))
    try:
        verdict = SpeedVerdict(document.get("verdict"))
    except ValueError:
        return None
    if (
        not isinstance(at, str)
        or len(at) > _MAX_DATE_LENGTH
        or not at.isascii()
        or not at.isprintable()
        or None in figures
    ):
        return None
    ratio, low, before, after, highest = (figure for figure in figures if figure is not None)
    return PastComparison(
        ended_at=at, verdict=verdict, ratio=ratio, low=low, high=highest, baseline_median=before, target_median=after
    )


def _measured_number(value: object) -> float | None:
    """Return ``value`` as a finite, non-negative number, or ``None``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
