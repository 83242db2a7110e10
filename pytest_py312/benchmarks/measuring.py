"""Measures a service on baseline and target: its own benchmarks, and what every service has."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_py312.benchmarks.jobs import Lab, Sample, Side
from pytest_py312.benchmarks.sampling import Found, Measure, MeasuringFailed, Settings, Sides, compare
from pytest_py312.benchmarks.speeds import Speeds
from pytest_py312.model import BenchmarkSettings, Comparison, Verdict
from pytest_py312.runners.base import Runner

GENERAL_THRESHOLD = 0.25
"""The change that counts of what every service has: start and memory of interpreters differ, and only much of it is
worth a look."""
LONGEST_SUITE = 0.2
"""A suite that takes more than this share of the budget is not run again and again."""
NO_TESTS = 5
"""pytest's exit code where none was collected."""
TOOL = "pytest-benchmark"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Names of things with what is known of each before it is measured."""

    kind: str
    units: Mapping[str, str]
    titles: Mapping[str, str]
    thresholds: Mapping[str, float]


class NothingThere(MeasuringFailed):
    """There is nothing to measure, and that is no failure."""


class Bench:
    """The measurements of one service. ``families``: how many services are measured in the run."""

    def __init__(self, runner: Runner, root: Path, *, before: Side, after: Side, families: int = 1) -> None:
        self._old, self._new = Lab(runner, root, before), Lab(runner, root, after)
        self._families = families
        self._service = after.cell.service
        self._conditions: dict[str, tuple[str, str]] = {}

    @property
    def _settings(self) -> BenchmarkSettings:
        return self._service.settings.benchmark

    def measure(self, module: str) -> Speeds:
        """Everything, one after the other; ``module`` is imported (empty: none is known)."""
        comparisons: list[Comparison] = []
        notes: list[str] = []
        try:
            comparisons += self._own()
        except NothingThere as reason:
            notes.append(str(reason))
        except MeasuringFailed as reason:
            return Speeds(unchecked=str(reason))
        for title, series in (("import", self._imports(module)), ("suite", self._suite())):
            try:
                comparisons += series
            except MeasuringFailed as reason:
                notes.append(f"{title}: {reason}")
        return Speeds(comparisons=tuple(comparisons), notes=tuple(notes))

    # -- the three series

    def _own(self) -> Iterator[Comparison]:
        sides = (self._old.side, self._new.side)
        if self._service.suite is None or not all(TOOL in side.versions for side in sides):
            return
        before, after = self._old.tests((), 0), self._new.tests((), 0)
        names = _on_both(before, after, sides)
        if not names:
            raise NothingThere(f"{TOOL} is installed, and no test of the suite uses it")
        self._note_conditions(before, after)
        marked = {**before.thresholds, **after.thresholds}
        own = Measured(
            kind="benchmark",
            units=dict.fromkeys(names, "s"),
            titles={name: name for name in names},
            thresholds={name: self._threshold(name, marked) for name in names},
        )
        yield from self._compared(own, _named(self._old.tests), _named(self._new.tests))

    def _imports(self, module: str) -> Iterator[Comparison]:
        if not module:
            raise MeasuringFailed("no image of the service says which module it starts")

        def of(lab: Lab) -> Measure:
            return lambda names, seed: _kept(lab.imports(module, seed), names)

        before, after = self._old.imports(module, 0), self._new.imports(module, 0)
        self._note_conditions(before, after)
        names = [name for name in ("import", "memory") if name in before.values and name in after.values]
        titles = {"import": f"import of {module}", "memory": f"memory after import of {module}"}
        yield from self._compared(_general("import", names, titles), of(self._old), of(self._new))

    def _suite(self) -> Iterator[Comparison]:
        if self._service.suite is None:
            return
        before, after = self._old.suite(0), self._new.suite(0)
        longest = max(before.values.get("suite", 0.0), after.values.get("suite", 0.0))
        if before.exit_code or after.exit_code:
            raise MeasuringFailed("it does not pass on both sides")
        if longest > LONGEST_SUITE * self._settings.budget:
            raise MeasuringFailed(f"one run takes {longest:.0f} s, too long to be repeated within its budget")

        def of(lab: Lab) -> Measure:
            return lambda names, seed: _kept(lab.suite(seed), names)

        titles = {"suite": "time of the suite", "processor": "processor time of the suite"}
        yield from self._compared(_general("suite", list(titles), titles), of(self._old), of(self._new))

    # -- a comparison

    def _compared(self, what: Measured, old: Measure, new: Measure) -> Iterator[Comparison]:
        service = self._service
        settings = Settings(
            budget=self._settings.budget, families=self._families, seed=zlib.crc32(service.name.encode())
        )
        unlike = "" if self._settings.unlike_builds else self._unlike()
        for name, found in compare(Sides(baseline=old, target=new), what.thresholds, settings).items():
            yield self._comparison(what, name, found, unlike)

    def _comparison(self, what: Measured, name: str, found: Found, unlike: str) -> Comparison:
        reading, control = found.reading, found.control
        return Comparison(
            service=self._service.name,
            baseline=self._old.side.cell.interpreter,
            target=self._new.side.cell.interpreter,
            name=what.titles[name],
            kind="memory" if name == "memory" else what.kind,
            unit=what.units[name],
            verdict=Verdict.NOT_COMPARABLE if unlike else reading.verdict,
            ratio=reading.ratio,
            low=reading.interval.low,
            high=reading.interval.high,
            confidence=reading.interval.confidence,
            p_value=reading.p_value,
            threshold=what.thresholds[name],
            pairs=tuple(found.sampled.pairs),
            more_pairs=reading.more,
            control=(control[0], control[1].low, control[1].high) if control else None,
            confirmed=found.confirmed,
            note="; ".join(part for part in (unlike, found.note, self._differing()) if part),
            conditions=self._conditions,
        )

    def _threshold(self, name: str, marked: Mapping[str, float]) -> float:
        """The plan's word for this one, else its marker's, else the plan's for all."""
        for pattern, threshold in reversed(self._settings.thresholds):
            if fnmatchcase(name, pattern):
                return threshold
        return marked.get(name, self._settings.threshold)

    def _unlike(self) -> str:
        """In words, where the two interpreters were not built with the same optimisations."""
        old, new = self._old.side.build, self._new.side.build
        if old.flags == new.flags:
            return ""
        return f"unlike builds: {old.version} is {old.flags}, {new.version} is {new.flags}"

    def _differing(self) -> str:
        """Distributions of which the two sides have different versions: they may be the cause as well."""
        old, new = self._old.side.versions, self._new.side.versions
        changed = [
            f"{name} {old[name]} -> {new[name]}" for name in sorted(old) if new.get(name, old[name]) != old[name]
        ]
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        return f"the sides also differ in {', '.join(changed[:5])}{more}" if changed else ""

    def _note_conditions(self, before: Sample, after: Sample) -> None:
        names = sorted({*before.conditions, *after.conditions})
        self._conditions = {name: (before.conditions.get(name, ""), after.conditions.get(name, "")) for name in names}
        old, new = self._old.side.build, self._new.side.build
        self._conditions |= {"build": (old.flags, new.flags), "origin": (old.origin, new.origin)}


def _on_both(before: Sample, after: Sample, sides: Sequence[Side]) -> list[str]:
    """The benchmarks of both sides.

    :raises MeasuringFailed: one of them fails, or is on one side only.
    """
    for sample, side in zip((before, after), sides, strict=True):
        for name, detail in sample.failed.items():
            last = (detail.strip().splitlines() or ["it fails"])[-1]
            raise MeasuringFailed(f"{name} fails on {side.cell.interpreter}: {last}")
        if sample.exit_code not in (0, NO_TESTS):
            said = f"with pytest's exit code {sample.exit_code}"
            raise MeasuringFailed(f"its benchmarks ended {said} on {side.cell.interpreter}")
    for name in sorted(before.values.keys() ^ after.values.keys()):
        here = sides[0 if name in before.values else 1].cell.interpreter
        raise MeasuringFailed(f"{name} was measured on {here} only")
    return list(before.values)


def _general(kind: str, names: Sequence[str], titles: Mapping[str, str]) -> Measured:
    return Measured(
        kind=kind,
        units={name: "B" if name == "memory" else "s" for name in names},
        titles=titles,
        thresholds=dict.fromkeys(names, GENERAL_THRESHOLD),
    )


def _named(measure: Callable[[Sequence[str], int], Sample]) -> Measure:
    return lambda names, seed: _kept(measure(names, seed), names)


def _kept(sample: Sample, names: Sequence[str]) -> dict[str, float]:
    """The values of ``names``.

    :raises MeasuringFailed: one is not there, though it was before.
    """
    for name in names:
        if name not in sample.values:
            detail = (sample.failed.get(name, "").strip().splitlines() or ["it was not measured"])[-1]
            raise MeasuringFailed(f"{name}: {detail}")
    return {name: sample.values[name] for name in names}
