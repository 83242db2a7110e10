"""Measure a service on baseline and target: its own benchmarks, its import, its start, its suite and its memory."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_py312.core.model.measurements import BenchmarkComparison, BenchmarkResults, SpeedVerdict
from pytest_py312.core.model.plan import BenchmarkSettings
from pytest_py312.core.text import list_names
from pytest_py312.gate.benchmarks.jobs import (
    CPU_TIME_PREFIX,
    TIME_PREFIX,
    BenchmarkSession,
    BenchmarkSide,
    ProcessMeasurements,
)
from pytest_py312.gate.benchmarks.sampling import (
    BenchmarkResult,
    Measure,
    MeasurementFailed,
    SamplingSettings,
    SidePair,
    measure_and_compare,
)
from pytest_py312.runners.runner import Runner, open_session

GENERAL_THRESHOLD = 0.25
"""Threshold for the general measurements (import, start, memory, suite): interpreters differ in start time and memory,
so only a large change is relevant."""
GENERAL_BUDGET_SHARE = 0.5
"""Share of the budget for each of import, start and suite, which do not block."""
MAX_RUN_SHARE = 0.2
"""A suite or a start that takes more than this share of its budget is not measured repeatedly."""
UNLIKE_BUDGET_SHARE = 0.1
"""Share of the budget if the builds are not comparable: there is no verdict then."""
MIN_TEST_SECONDS = 0.02
"""Minimum duration of a test on one side to be compared on its own, in seconds."""
MAX_TESTS = 25
"""Maximum number of tests that are compared on their own: the slowest ones."""
NO_TESTS_EXIT_CODE = 5
"""pytest's exit code if no test was collected."""
BENCHMARK_PLUGIN = "pytest-benchmark"

ServiceStarter = Callable[[int], Mapping[str, float]]
"""Starts the image of the service with a hash seed. Returns the time until it is healthy (``start``, in seconds) and
its ``memory`` at that time, in bytes. May raise :class:`MeasurementFailed`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """Something to measure, and the change that counts."""

    kind: str
    unit: str
    title: str
    threshold: float = GENERAL_THRESHOLD


class NothingToMeasure(MeasurementFailed):
    """There is nothing to measure, which is not a failure."""


class ServiceBenchmark:
    """Measurement of one service. ``measured_services``: the number of services that are measured in the run."""

    def __init__(
        self,
        runner: Runner,
        root: Path,
        *,
        baseline: BenchmarkSide,
        target: BenchmarkSide,
        measured_services: int = 1,
        core: int | None = None,
    ) -> None:
        self._old, self._new = (
            BenchmarkSession(open_session(runner), root, side, core=core) for side in (baseline, target)
        )
        self._measured_services = measured_services
        self._service = target.cell.service
        self._conditions: dict[str, tuple[str, str]] = {}

    @property
    def _settings(self) -> BenchmarkSettings:
        return self._service.settings.benchmark

    def measure(self, module: str, starts: tuple[ServiceStarter, ServiceStarter] | str) -> BenchmarkResults:
        """Measure everything, one after the other.

        :param module: the module to import; empty if none is known.
        :param starts: start the service on baseline and target, or the reason why it cannot be started.
        """
        try:
            return self._measure(module, starts)
        finally:
            for session in (self._old, self._new):
                session.close()

    def _measure(self, module: str, starts: tuple[ServiceStarter, ServiceStarter] | str) -> BenchmarkResults:
        comparisons: list[BenchmarkComparison] = []
        notes: list[str] = []
        try:
            comparisons += self._own_benchmarks()
        except NothingToMeasure as reason:
            notes.append(str(reason))
        except MeasurementFailed as reason:
            return BenchmarkResults(unchecked=str(reason))
        general = (
            ("import", self._import_comparisons(module)),
            ("start", self._start_comparisons(starts)),
            ("suite", self._suite_comparisons()),
        )
        for title, series in general:
            try:
                comparisons += series
            except MeasurementFailed as reason:
                notes.append(f"{title}: {reason}")
        return BenchmarkResults(comparisons=tuple(comparisons), notes=tuple(notes))

    # -- comparisons of each kind

    def _own_benchmarks(self) -> Iterator[BenchmarkComparison]:
        sides = (self._old.side, self._new.side)
        if self._service.suite is None or not all(BENCHMARK_PLUGIN in side.versions for side in sides):
            return
        baseline, target = self._old.tests((), 0), self._new.tests((), 0)
        names = _common_benchmarks(baseline, target, sides)
        if not names:
            raise NothingToMeasure(f"{BENCHMARK_PLUGIN} is installed, and no test of the suite uses it")
        self._record_conditions(baseline, target)
        marked = {**baseline.thresholds, **target.thresholds}
        subjects = {
            name: Subject(kind="benchmark", unit="s", title=name, threshold=self._threshold(name, marked))
            for name in names
        }
        yield from self._compare(subjects, _measure_named(self._old.tests), _measure_named(self._new.tests), share=1.0)

    def _import_comparisons(self, module: str) -> Iterator[BenchmarkComparison]:
        if not module:
            raise MeasurementFailed("no image of the service defines which module it starts")

        def of(lab: BenchmarkSession) -> Measure:
            return lambda names, seed: _select_values(lab.imports(module, seed), names)

        baseline, target = self._old.imports(module, 0), self._new.imports(module, 0)
        self._record_conditions(baseline, target)
        subjects = {
            "import": Subject(kind="import", unit="s", title=f"import of {module}"),
            "memory": Subject(kind="memory", unit="B", title=f"memory after import of {module}"),
        }
        yield from self._compare(_measured_on_both(subjects, baseline, target), of(self._old), of(self._new))

    def _start_comparisons(self, starts: tuple[ServiceStarter, ServiceStarter] | str) -> Iterator[BenchmarkComparison]:
        if isinstance(starts, str):
            raise MeasurementFailed(starts)

        def of(start: ServiceStarter) -> Measure:
            return lambda names, seed: _select_values(ProcessMeasurements(values=start(seed)), names)

        baseline, target = (ProcessMeasurements(values=start(0)) for start in starts)
        self._reject_if_too_long("start", baseline, target)
        subjects = {
            "start": Subject(kind="start", unit="s", title="start of the image until it is healthy"),
            "memory": Subject(kind="memory", unit="B", title="memory of the image when it is healthy"),
        }
        yield from self._compare(_measured_on_both(subjects, baseline, target), of(starts[0]), of(starts[1]))

    def _suite_comparisons(self) -> Iterator[BenchmarkComparison]:
        if self._service.suite is None:
            return
        baseline, target = self._old.suite(0), self._new.suite(0)
        if baseline.exit_code or target.exit_code:
            raise MeasurementFailed("it does not pass on both sides")
        self._reject_if_too_long("suite", baseline, target)
        self._record_conditions(baseline, target)
        watched = longest_tests(baseline, target)

        def of(lab: BenchmarkSession) -> Measure:
            return lambda names, seed: _select_values(lab.suite(seed, watched), names)

        subjects = {
            "suite": Subject(kind="suite", unit="s", title="time of the suite"),
            "processor": Subject(kind="suite", unit="s", title="processor time of the suite"),
            "peak": Subject(kind="memory", unit="B", title="peak memory of the suite"),
        }
        titles = [f"{prefix}{test}" for test in watched for prefix in (TIME_PREFIX, CPU_TIME_PREFIX)]
        tests = {title: Subject(kind="test", unit="s", title=title) for title in titles}
        measured = _measured_on_both(subjects | tests, baseline, target)
        yield from self._compare(measured, of(self._old), of(self._new), secondary=frozenset(tests))

    def _reject_if_too_long(self, name: str, baseline: ProcessMeasurements, target: ProcessMeasurements) -> None:
        longest = max(baseline.values.get(name, 0.0), target.values.get(name, 0.0))
        if longest > MAX_RUN_SHARE * GENERAL_BUDGET_SHARE * self._settings.budget:
            raise MeasurementFailed(f"one run takes {longest:.0f} s, too long to be repeated within its budget")

    # -- a single comparison

    def _compare(
        self, subjects: Mapping[str, Subject], old: Measure, new: Measure, *, share: float = GENERAL_BUDGET_SHARE,
        secondary: frozenset[str] = frozenset(),
    ) -> Iterator[BenchmarkComparison]:  # fmt: skip
        unlike = "" if self._settings.unlike_builds else self._unlike_builds()
        settings = SamplingSettings(
            budget=self._settings.budget * share * (UNLIKE_BUDGET_SHARE if unlike else 1.0),
            families=self._measured_services,
            seed=zlib.crc32(self._service.name.encode()),
            secondary=secondary,
            confirm=not unlike,
        )
        thresholds = {name: subject.threshold for name, subject in subjects.items()}
        for name, result in measure_and_compare(SidePair(baseline=old, target=new), thresholds, settings).items():
            yield self._build_comparison(subjects[name], result, unlike)

    def _build_comparison(self, subject: Subject, result: BenchmarkResult, unlike: str) -> BenchmarkComparison:
        test_result, control = result.test_result, result.control
        return BenchmarkComparison(
            service=self._service.name,
            baseline=self._old.side.cell.interpreter,
            target=self._new.side.cell.interpreter,
            name=subject.title,
            kind=subject.kind,
            unit=subject.unit,
            verdict=SpeedVerdict.NOT_COMPARABLE if unlike else test_result.verdict,
            ratio=test_result.ratio,
            low=test_result.interval.low,
            high=test_result.interval.high,
            confidence=test_result.interval.confidence,
            p_value=test_result.p_value,
            threshold=subject.threshold,
            pairs=tuple(result.samples.pairs),
            pairs_needed=test_result.missing_pairs,
            control=(control[0], control[1].low, control[1].high) if control else None,
            confirmed=result.confirmed,
            note="; ".join(part for part in (unlike, result.note, self._differing_versions()) if part),
            conditions=self._conditions,
        )

    def _threshold(self, name: str, marked: Mapping[str, float]) -> float:
        """Return the threshold of a benchmark: from the plan, from its marker, or the plan's general one."""
        for pattern, threshold in reversed(self._settings.thresholds):
            if fnmatchcase(name, pattern):
                return threshold
        return marked.get(name, self._settings.threshold)

    def _unlike_builds(self) -> str:
        """Describe how the optimizations of the two interpreters differ; empty if they do not."""
        old, new = self._old.side.build, self._new.side.build
        if old.flags == new.flags:
            return ""
        return f"unlike builds: {old.version} is {old.flags}, {new.version} is {new.flags}"

    def _differing_versions(self) -> str:
        """Describe the distributions with different versions on both sides: they may be the cause as well."""
        old, new = self._old.side.versions, self._new.side.versions
        changed = [
            f"{name} {old[name]} -> {new[name]}" for name in sorted(old) if new.get(name, old[name]) != old[name]
        ]
        return f"the sides also differ in {list_names(changed)}" if changed else ""

    def _record_conditions(self, baseline: ProcessMeasurements, target: ProcessMeasurements) -> None:
        names = sorted({*baseline.conditions, *target.conditions})
        self._conditions = {
            name: (baseline.conditions.get(name, ""), target.conditions.get(name, "")) for name in names
        }
        old, new = self._old.side.build, self._new.side.build
        self._conditions |= {"build": (old.flags, new.flags), "origin": (old.origin, new.origin)}


def _common_benchmarks(
    baseline: ProcessMeasurements, target: ProcessMeasurements, sides: Sequence[BenchmarkSide]
) -> list[str]:
    """Return the names of the benchmarks of both sides.

    :raises MeasurementFailed: a benchmark fails, or exists on one side only.
    """
    for sample, side in zip((baseline, target), sides, strict=True):
        for name, detail in sample.failed.items():
            last_line = (detail.strip().splitlines() or ["it fails"])[-1]
            raise MeasurementFailed(f"{name} fails on {side.cell.interpreter}: {last_line}")
        if sample.exit_code not in (0, NO_TESTS_EXIT_CODE):
            exit_text = f"with pytest's exit code {sample.exit_code}"
            raise MeasurementFailed(f"its benchmarks ended {exit_text} on {side.cell.interpreter}")
    for name in sorted(baseline.values.keys() ^ target.values.keys()):
        interpreter = sides[0 if name in baseline.values else 1].cell.interpreter
        raise MeasurementFailed(f"{name} was measured on {interpreter} only")
    return list(baseline.values)


def _measured_on_both(
    subjects: Mapping[str, Subject], baseline: ProcessMeasurements, target: ProcessMeasurements
) -> dict[str, Subject]:
    """Return the subjects that both sides have measured."""
    return {name: subject for name, subject in subjects.items() if name in baseline.values and name in target.values}


def longest_tests(baseline: ProcessMeasurements, target: ProcessMeasurements) -> tuple[str, ...]:
    """Return the ids of the tests that are compared on their own, the slowest first."""
    longest = {
        name.removeprefix(TIME_PREFIX): max(value, target.values[name])
        for name, value in baseline.values.items()
        if name.startswith(TIME_PREFIX) and name in target.values
    }
    ordered = sorted(longest, key=lambda test: (-longest[test], test))
    return tuple(test for test in ordered[:MAX_TESTS] if longest[test] >= MIN_TEST_SECONDS)


def _measure_named(measure: Callable[[Sequence[str], int], ProcessMeasurements]) -> Measure:
    return lambda names, seed: _select_values(measure(names, seed), names)


def _select_values(sample: ProcessMeasurements, names: Sequence[str]) -> dict[str, float]:
    """Return the values of ``names``.

    :raises MeasurementFailed: one is missing, although it was measured before.
    """
    for name in names:
        if name not in sample.values:
            detail = (sample.failed.get(name, "").strip().splitlines() or ["it was not measured"])[-1]
            raise MeasurementFailed(f"{name}: {detail}")
    return {name: sample.values[name] for name in names}
