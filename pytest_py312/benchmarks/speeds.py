"""What came of measuring a service."""

from dataclasses import dataclass

from pytest_py312.model import Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Speeds:
    """All comparisons of a service. ``unchecked`` is a sentence where its benchmarks could not be measured; ``notes``
    say what else was not measured, and why."""

    comparisons: tuple[Comparison, ...] = ()
    unchecked: str = ""
    notes: tuple[str, ...] = ()
