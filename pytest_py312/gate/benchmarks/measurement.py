"""Measures a service on baseline and target: its own benchmarks, and what every service has."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_py312.core.model.measurements import Comparison, Speeds, Verdict
from pytest_py312.core.model.plan import BenchmarkSettings
from pytest_py312.gate.benchmarks.jobs import PROCESSOR_OF, TIME_OF, Lab, Sample, Side
from pytest_py312.gate.benchmarks.sampling import Found, Measure, MeasuringFailed, Settings, Sides, compare
from pytest_py312.runners.runner import Runner, station_of

GENERAL_THRESHOLD = 0.25
"""The change that counts of what every service has: start and memory of interpreters differ, and only much of it is
worth a look."""
GENERAL_SHARE = 0.5
"""The share of the budget that is spent on the import, the start and the suite each: they decide nothing."""
LONGEST_RUN = 0.2
"""A suite or a start that takes more than this share of what may be spent on it is not run again and again."""
UNLIKE_SHARE = 0.1
"""The share of the budget that is spent where builds are not alike: nothing is concluded from it."""
LEAST_TEST = 0.02
"""A test of the suite that takes fewer seconds on both sides is not compared by itself."""
MOST_TESTS = 25
"""Tests of a suite that are compared by themselves: those that take longest."""
NO_TESTS = 5
"""pytest's exit code where none was collected."""
TOOL = "pytest-benchmark"

Start = Callable[[int], Mapping[str, float]]
"""Starts the service's image with a hash seed, and says how long it took to be healthy (``start``, in seconds) and what
``memory`` it had then, in bytes. May raise :class:`MeasuringFailed`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """What is known of something before it is measured."""

    kind: str
    unit: str
    title: str
    threshold: float = GENERAL_THRESHOLD


class NothingThere(MeasuringFailed):
    """There is nothing to measure, and that is no failure."""


class Bench:
    """The measurements of one service. ``families``: how many services are measured in the run."""

    def __init__(
        self, runner: Runner, root: Path, *, before: Side, after: Side, families: int = 1, core: int | None = None
    ) -> None:
        self._old, self._new = (Lab(station_of(runner), root, side, core=core) for side in (before, after))
        self._families = families
        self._service = after.cell.service
        self._conditions: dict[str, tuple[str, str]] = {}

    @property
    def _settings(self) -> BenchmarkSettings:
        return self._service.settings.benchmark

    def measure(self, module: str, starts: tuple[Start, Start] | str) -> Speeds:
        """Everything, one after the other; ``module`` is imported (empty: none is known), and ``starts`` start the
        service on both sides (or are the reason why nothing does)."""
        try:
            return self._measure(module, starts)
        finally:
            for lab in (self._old, self._new):
                lab.close()

    def _measure(self, module: str, starts: tuple[Start, Start] | str) -> Speeds:
        comparisons: list[Comparison] = []
        notes: list[str] = []
        try:
            comparisons += self._own()
        except NothingThere as reason:
            notes.append(str(reason))
        except MeasuringFailed as reason:
            return Speeds(unchecked=str(reason))
        general = (("import", self._imports(module)), ("start", self._start(starts)), ("suite", self._suite()))
        for title, series in general:
            try:
                comparisons += series
            except MeasuringFailed as reason:
                notes.append(f"{title}: {reason}")
        return Speeds(comparisons=tuple(comparisons), notes=tuple(notes))

    # -- the series

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
        own = {
            name: Thing(kind="benchmark", unit="s", title=name, threshold=self._threshold(name, marked))
            for name in names
        }
        yield from self._compared(own, _named(self._old.tests), _named(self._new.tests), share=1.0)

    def _imports(self, module: str) -> Iterator[Comparison]:
        if not module:
            raise MeasuringFailed("no image of the service says which module it starts")

        def of(lab: Lab) -> Measure:
            return lambda names, seed: _kept(lab.imports(module, seed), names)

        before, after = self._old.imports(module, 0), self._new.imports(module, 0)
        self._note_conditions(before, after)
        things = {
            "import": Thing(kind="import", unit="s", title=f"import of {module}"),
            "memory": Thing(kind="memory", unit="B", title=f"memory after import of {module}"),
        }
        yield from self._compared(_on_either(things, before, after), of(self._old), of(self._new))

    def _start(self, starts: tuple[Start, Start] | str) -> Iterator[Comparison]:
        if isinstance(starts, str):
            raise MeasuringFailed(starts)

        def of(start: Start) -> Measure:
            return lambda names, seed: _kept(Sample(values=start(seed)), names)

        before, after = (Sample(values=start(0)) for start in starts)
        self._refuse_what_takes_long("start", before, after)
        things = {
            "start": Thing(kind="start", unit="s", title="start of the image until it is healthy"),
            "memory": Thing(kind="memory", unit="B", title="memory of the image when it is healthy"),
        }
        yield from self._compared(_on_either(things, before, after), of(starts[0]), of(starts[1]))

    def _suite(self) -> Iterator[Comparison]:
        if self._service.suite is None:
            return
        before, after = self._old.suite(0), self._new.suite(0)
        if before.exit_code or after.exit_code:
            raise MeasuringFailed("it does not pass on both sides")
        self._refuse_what_takes_long("suite", before, after)
        self._note_conditions(before, after)
        watched = longest_tests(before, after)

        def of(lab: Lab) -> Measure:
            return lambda names, seed: _kept(lab.suite(seed, watched), names)

        things = {
            "suite": Thing(kind="suite", unit="s", title="time of the suite"),
            "processor": Thing(kind="suite", unit="s", title="processor time of the suite"),
            "peak": Thing(kind="memory", unit="B", title="peak memory of the suite"),
        }
        titles = [f"{what}{test}" for test in watched for what in (TIME_OF, PROCESSOR_OF)]
        tests = {title: Thing(kind="test", unit="s", title=title) for title in titles}
        measured = _on_either(things | tests, before, after)
        yield from self._compared(measured, of(self._old), of(self._new), along=frozenset(tests))

    def _refuse_what_takes_long(self, name: str, before: Sample, after: Sample) -> None:
        longest = max(before.values.get(name, 0.0), after.values.get(name, 0.0))
        if longest > LONGEST_RUN * GENERAL_SHARE * self._settings.budget:
            raise MeasuringFailed(f"one run takes {longest:.0f} s, too long to be repeated within its budget")

    # -- a comparison

    def _compared(
        self, what: Mapping[str, Thing], old: Measure, new: Measure, *, share: float = GENERAL_SHARE,
        along: frozenset[str] = frozenset(),
    ) -> Iterator[Comparison]:  # fmt: skip
        unlike = "" if self._settings.unlike_builds else self._unlike()
        settings = Settings(
            budget=self._settings.budget * share * (UNLIKE_SHARE if unlike else 1.0),
            families=self._families,
            seed=zlib.crc32(self._service.name.encode()),
            along=along,
            confirm=not unlike,
        )
        thresholds = {name: thing.threshold for name, thing in what.items()}
        for name, found in compare(Sides(baseline=old, target=new), thresholds, settings).items():
            yield self._comparison(what[name], found, unlike)

    def _comparison(self, what: Thing, found: Found, unlike: str) -> Comparison:
        reading, control = found.reading, found.control
        return Comparison(
            service=self._service.name,
            baseline=self._old.side.cell.interpreter,
            target=self._new.side.cell.interpreter,
            name=what.title,
            kind=what.kind,
            unit=what.unit,
            verdict=Verdict.NOT_COMPARABLE if unlike else reading.verdict,
            ratio=reading.ratio,
            low=reading.interval.low,
            high=reading.interval.high,
            confidence=reading.interval.confidence,
            p_value=reading.p_value,
            threshold=what.threshold,
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


def _on_either(things: Mapping[str, Thing], before: Sample, after: Sample) -> dict[str, Thing]:
    """Those of which both sides have told."""
    return {name: thing for name, thing in things.items() if name in before.values and name in after.values}


def longest_tests(before: Sample, after: Sample) -> tuple[str, ...]:
    """The ids of the tests that are compared by themselves, those that take longest first."""
    longest = {
        name.removeprefix(TIME_OF): max(value, after.values[name])
        for name, value in before.values.items()
        if name.startswith(TIME_OF) and name in after.values
    }
    ordered = sorted(longest, key=lambda test: (-longest[test], test))
    return tuple(test for test in ordered[:MOST_TESTS] if longest[test] >= LEAST_TEST)


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
