"""What earlier runs measured: kept in the state file, and laid beside what this run measures.

Two runs are put side by side only where the same thing was measured with the same builds of both interpreters on the
same processor: any other change of the figures would say nothing of the service.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_py312.core.errors import StateError
from pytest_py312.core.model.measurements import Comparison, PastSpeed, Verdict
from pytest_py312.gate.run.state import State

ALIKE = ("python", "compiler", "options", "libc", "build", "origin", "image", "processor", "clock")
"""The conditions that have to be the same. A core, or how busy the machine was, may differ."""
_DATE = 40  # characters of a date that are believed


class SpeedHistory:
    """The measurements of earlier runs of the plan whose state is in ``folder``.

    What was there at first is what this run sees, also after it has added its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[PastSpeed, ...]] = {}

    def laid_beside(self, speeds: Iterable[Comparison]) -> tuple[Comparison, ...]:
        """``speeds`` with what earlier runs said of each; a state file that cannot be used holds nothing."""
        found = tuple(speeds)
        missing = [key for key in map(key_of, found) if key not in self._known]
        if missing:
            self._known |= self._read(missing)
        return tuple(replace(speed, earlier=self._known[key_of(speed)]) for speed in found)

    def _read(self, keys: Sequence[str]) -> dict[str, tuple[PastSpeed, ...]]:
        try:
            state = State(self._folder)
        except StateError:
            return dict.fromkeys(keys, ())
        try:
            return {key: tuple(filter(None, map(past_of, state.speeds(key)))) for key in keys}
        finally:
            state.close()

    def keep(self, speeds: Iterable[Comparison], at: str) -> None:
        """Keep what a run that ended ``at`` (RFC 3339, UTC) measured, for later ones."""
        documents = {key_of(speed): document_of(speed, at) for speed in speeds if speed.pairs}
        if not documents:
            return
        try:
            state = State(self._folder)
        except StateError:
            return  # the run is none the worse; the next one has no history
        try:
            state.keep_speeds(documents, at)
        finally:
            state.close()


def key_of(speed: Comparison) -> str:
    """The same for the same thing measured under the same conditions."""
    conditions = {name: speed.conditions[name] for name in ALIKE if name in speed.conditions}
    what = [speed.service, speed.kind, speed.name, speed.unit, str(speed.baseline), str(speed.target)]
    return hashlib.sha256(json.dumps([what, conditions], sort_keys=True).encode()).hexdigest()


def document_of(speed: Comparison, at: str) -> dict[str, Any]:
    """What is kept of ``speed``: all that :func:`past_of` reads."""
    before, after = speed.middles
    return {
        "at": at,
        "verdict": speed.verdict.value,
        "ratio": speed.ratio,
        "low": speed.low,
        "high": speed.high if math.isfinite(speed.high) else None,
        "before": before,
        "after": after,
    }


def past_of(document: object) -> PastSpeed | None:
    """What was kept, or ``None`` where it is not in this form."""
    if not isinstance(document, dict):
        return None
    at, high = document.get("at"), document.get("high")
    figures = [_figure(document.get(name)) for name in ("ratio", "low", "before", "after")]
    figures.append(math.inf if high is None else _figure(high))
    try:
        verdict = Verdict(document.get("verdict"))
    except ValueError:
        return None
    if not isinstance(at, str) or len(at) > _DATE or not at.isascii() or not at.isprintable() or None in figures:
        return None
    ratio, low, before, after, highest = (figure for figure in figures if figure is not None)
    return PastSpeed(at=at, verdict=verdict, ratio=ratio, low=low, high=highest, before=before, after=after)


def _figure(value: object) -> float | None:
    """A number that was measured, or ``None``: never negative, and never without an end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
