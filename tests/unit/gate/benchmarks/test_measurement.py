"""Measuring a service, in fake cells with figures from a seeded random source."""

import random
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.measurements import BenchmarkComparison, BenchmarkResults, SpeedVerdict
from pytest_py312.core.model.plan import BenchmarkSettings, ServiceSettings
from pytest_py312.gate.benchmarks.jobs import BenchmarkSide
from pytest_py312.gate.benchmarks.measurement import GENERAL_THRESHOLD, MAX_TESTS, ServiceBenchmark, ServiceStarter
from pytest_py312.gate.benchmarks.sampling import MeasurementFailed
from pytest_py312.runners.runner import ProbeJob, ProbeResult
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service

QUICK, SLOW = "tests/test_speed.py::test_quick", "tests/test_speed.py::test_slow"
UNSTARTED = "nothing starts it here"
VERSIONS = {"pytest": "8.4.2", "pytest-benchmark": "5.1.0", "attrs": "24.1.0"}


@dataclass
class FakeCells:
    """Answers for both sides:

    ``figures`` on the baseline, multiplied by ``times`` on the target (default 1). ``tests`` are the tests of the suite
    with their seconds; ``asked`` are the requests, in order.
    """

    figures: Mapping[str, float]
    times: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    tests: Mapping[str, float] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    source: random.Random = field(default_factory=lambda: random.Random(312))

    def __call__(self, job: ProbeJob) -> ProbeResult:
        interpreter = str(job.build.interpreter)
        asked = job.request
        self.asked.append(asked)
        watched = [test for test in self.tests if asked.get("watch") is None or test in asked["watch"]]
        figures = dict(self.figures)
        for test in watched:
            figures |= {f"time of {test}": self.tests[test], f"processor time of {test}": self.tests[test] / 2}
        names = {
            "tests": [
                name for name in self.figures if "::" in name and (not asked.get("select") or name in asked["select"])
            ],
            "imports": ["import", "memory"],
            "suite": ["suite", "processor", "peak", *(name for name in figures if " of " in name)],
        }[asked["measure"]]
        records: list[Mapping[str, Any]] = [{"event": "conditions", "values": {"compiler": f"GCC for {interpreter}"}}]
        for name in names:
            more = self.times.get(name, 1.0) if interpreter == "3.12" else 1.0
            value = figures.get(name, 1.0) * more * self.source.uniform(0.98, 1.02)
            records.append({"event": "measured", "name": name, "value": value, "unit": "s"})
        records += self.extra.get(interpreter, []) if asked["measure"] == "tests" else []
        return cell_run_of(*records, {"event": "exit", "code": 0}, {"event": "end"})


def measure(
    cells: FakeCells, *, settings: BenchmarkSettings | None = None, module: str = "app.main", flags: str = "pgo",
    versions: Mapping[str, str] = VERSIONS, starts: tuple[ServiceStarter, ServiceStarter] | str = UNSTARTED,
    **changes: Any,
) -> BenchmarkResults:  # fmt: skip
    of = service(settings=ServiceSettings(benchmark=settings or BenchmarkSettings()), **changes)
    baseline, target = (
        BenchmarkSide(
            cell=cell_of(on, of), build=build_of(on), environment=Path("/env"), built=False, versions=VERSIONS
        )
        for on in ("3.9", "3.12")
    )
    target = replace(target, build=replace(target.build, flags=flags), versions=versions)
    return ServiceBenchmark(FakeRunner(cell=cells), Path("/fleet"), baseline=baseline, target=target).measure(
        module, starts
    )


def by_name(speeds: BenchmarkResults) -> dict[str, BenchmarkComparison]:
    return {one.name: one for one in speeds.comparisons}


def test_a_service_with_benchmarks() -> None:
    """Its own benchmarks have the threshold of the plan, general measurements a wider one."""
    comparisons = by_name(measure(FakeCells({QUICK: 0.01, SLOW: 0.02}, {SLOW: 1.5, "memory": 1.2})))
    assert {name: comparison.verdict for name, comparison in comparisons.items()} == {
        QUICK: SpeedVerdict.SAME,
        SLOW: SpeedVerdict.SLOWER,
        "import of app.main": SpeedVerdict.SAME,
        "memory after import of app.main": SpeedVerdict.SAME,
        "time of the suite": SpeedVerdict.SAME,
        "processor time of the suite": SpeedVerdict.SAME,
        "peak memory of the suite": SpeedVerdict.SAME,
    }
    assert comparisons[SLOW].confirmed
    assert comparisons[SLOW].ratio == pytest.approx(1.5, rel=0.03)
    assert (comparisons[SLOW].threshold, comparisons["import of app.main"].threshold) == (0.1, GENERAL_THRESHOLD)
    assert comparisons["memory after import of app.main"].unit == "B"
    assert comparisons[SLOW].conditions["compiler"] == ("GCC for 3.9", "GCC for 3.12")


def test_results_of_unlike_builds_have_no_verdict() -> None:
    """Unless the plan accepts them."""
    cells = FakeCells({SLOW: 0.02}, {SLOW: 1.5})
    found = by_name(measure(cells, flags="plain"))[SLOW]
    assert found.verdict is SpeedVerdict.NOT_COMPARABLE
    assert found.note == "unlike builds: 3.9.1 is pgo, 3.12.1 is plain"
    accepted = measure(cells, flags="plain", settings=BenchmarkSettings(unlike_builds=True))
    assert by_name(accepted)[SLOW].verdict is SpeedVerdict.SLOWER


def test_thresholds_of_single_benchmarks() -> None:
    """The last matching one of the plan, otherwise that of the marker, otherwise the general one."""
    marked = {"3.9": [{"event": "threshold", "name": QUICK, "value": 0.3}]}
    cells = FakeCells({QUICK: 0.01, SLOW: 0.02}, extra=marked)
    settings = BenchmarkSettings(threshold=0.2, thresholds=(("*", 0.7), ("tests/*::test_slow", 0.6)))
    plain = by_name(measure(cells, settings=BenchmarkSettings(threshold=0.2)))
    assert (plain[QUICK].threshold, plain[SLOW].threshold) == (0.3, 0.2)
    planned = by_name(measure(cells, settings=settings))
    assert (planned[QUICK].threshold, planned[SLOW].threshold) == (0.7, 0.6)


def test_other_differences_are_reported() -> None:
    """Another version of a library may be the cause as well."""
    found = by_name(measure(FakeCells({QUICK: 0.01}), versions={**VERSIONS, "attrs": "25.0.0"}))
    assert found[QUICK].note == "the sides also differ in attrs 24.1.0 -> 25.0.0"


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (
            [{"event": "failed", "name": SLOW, "detail": "E   KeyError: 'a'"}],
            f"{SLOW} fails on 3.12: E   KeyError: 'a'",
        ),
        ([{"event": "measured", "name": SLOW, "value": 1.0}], f"{SLOW} was measured on 3.12 only"),
        ([{"event": "trouble", "what": "no room"}], "no room"),
        ([{"event": "exit", "code": 3}], "its benchmarks ended with pytest's exit code 3 on 3.12"),
    ],
)
def test_a_benchmark_that_cannot_be_measured_on_one_side(records: list[dict[str, Any]], reason: str) -> None:
    """There is no verdict on the other benchmarks either."""
    cells = FakeCells({QUICK: 0.01}, extra={"3.12": records})
    if records[0]["event"] == "exit":  # the last record of its kind counts

        def ends_badly(job: ProbeJob) -> ProbeResult:
            bad = str(job.build.interpreter) == "3.12"
            return cell_run_of({"event": "exit", "code": 3 if bad else 0}, {"event": "end"})

        cells = ends_badly  # type: ignore[assignment]  # answers like the other
    speeds = measure(cells)
    assert (speeds.unchecked, speeds.comparisons) == (reason, ())


def test_a_service_without_benchmarks() -> None:
    """Its import and its suite are measured; a note says that the plugin is installed and not used."""
    speeds = measure(FakeCells({}))
    assert {one.kind for one in speeds.comparisons} == {"import", "memory", "suite"}
    assert speeds.notes[0] == "pytest-benchmark is installed, and no test of the suite uses it"
    without = measure(FakeCells({}), versions={"pytest": "8.4.2"})
    assert without.notes == (f"start: {UNSTARTED}",)


def test_a_service_without_a_known_start_module() -> None:
    """There is a note, and the suite is measured."""
    speeds = measure(FakeCells({}), module="", versions={})
    assert set(by_name(speeds)) == {"time of the suite", "processor time of the suite", "peak memory of the suite"}
    assert speeds.notes[0] == "import: no image of the service defines which module it starts"


def test_a_suite_that_takes_long_is_not_repeated() -> None:
    """The budget has to suffice for many runs."""
    speeds = measure(FakeCells({"suite": 50.0}), versions={})
    assert {one.kind for one in speeds.comparisons} == {"import", "memory"}
    assert "too long" in speeds.notes[1]


def test_a_service_without_a_suite() -> None:
    """Only its import is measured."""
    speeds = measure(FakeCells({QUICK: 0.01}), suite=None)
    assert {one.kind for one in speeds.comparisons} == {"import", "memory"}


def started(seconds: float, source: random.Random) -> ServiceStarter:
    """Return a start that takes about ``seconds`` until the service is healthy, with 30 MB of memory."""
    return lambda seed: {"start": seconds * source.uniform(0.98, 1.02), "memory": 30e6}


def test_the_start_of_a_service() -> None:
    """The time until it is healthy, and the memory of all its processes then."""
    source = random.Random(312)
    found = by_name(measure(FakeCells({}), starts=(started(0.5, source), started(0.9, source))))
    start, memory = found["start of the image until it is healthy"], found["memory of the image when it is healthy"]
    assert (start.kind, start.unit, start.verdict) == ("start", "s", SpeedVerdict.SLOWER)
    assert start.ratio == pytest.approx(1.8, rel=0.03)
    assert (memory.kind, memory.unit, memory.verdict) == ("memory", "B", SpeedVerdict.SAME)


def test_a_start_that_cannot_be_measured() -> None:
    """A start that takes too long or fails is a note; everything else is measured."""

    def fails(seed: int) -> dict[str, float]:
        raise MeasurementFailed("app/Dockerfile on 3.12: it did not become healthy")

    slow = started(60.0, random.Random(1))
    for starts, reason in (
        ((slow, fails), "start: app/Dockerfile on 3.12: it did not become healthy"),
        ((slow, slow), "start: one run takes 6"),
    ):
        speeds = measure(FakeCells({QUICK: 0.01}), starts=starts)
        assert {one.kind for one in speeds.comparisons} == {"benchmark", "import", "memory", "suite"}
        assert [note[: len(reason)] for note in speeds.notes] == [reason]


def test_the_tests_of_a_suite() -> None:
    """Each test of measurable duration is compared on its own, by both clocks."""
    cells = FakeCells({}, {"time of test_slow": 2.0}, tests={"test_quick": 0.001, "test_slow": 0.05, "test_long": 0.5})
    found = {name: one for name, one in by_name(measure(cells)).items() if one.kind == "test"}
    assert {name: one.verdict for name, one in found.items()} == {
        "time of test_long": SpeedVerdict.SAME,
        "processor time of test_long": SpeedVerdict.SAME,
        "time of test_slow": SpeedVerdict.SLOWER,
        "processor time of test_slow": SpeedVerdict.SAME,
    }
    later = [asked for asked in cells.asked if asked["measure"] == "suite"][2:]
    assert {tuple(asked["watch"]) for asked in later} == {("test_long", "test_slow")}


def test_of_many_tests_the_slowest_are_compared() -> None:
    """A report of thousands of tests would be unreadable."""
    tests = {f"test_{number}": 0.1 + number / 1000 for number in range(3 * MAX_TESTS)}
    names = [name for name in by_name(measure(FakeCells({}, tests=tests))) if name.startswith("time of test_")]
    assert sorted(names) == sorted(f"time of test_{number}" for number in range(2 * MAX_TESTS, 3 * MAX_TESTS))


def test_unlike_builds_take_a_tenth_of_the_budget() -> None:
    """As there is no verdict, there is no second round either."""
    figures, slower = {SLOW: 0.02}, {SLOW: 1.5}
    alike, unlike = FakeCells(figures, slower), FakeCells(figures, slower)
    measure(alike)
    found = by_name(measure(unlike, flags="plain"))[SLOW]
    assert (found.verdict, found.confirmed) == (SpeedVerdict.NOT_COMPARABLE, False)
    rounds = [sum(asked["measure"] == "tests" for asked in cells.asked) for cells in (alike, unlike)]
    assert rounds[1] < rounds[0]


@dataclass
class SessionRecordingRunner(FakeRunner):
    """A runner with sessions; ``stations`` are those that were opened."""

    stations: list["RecordingSession"] = field(default_factory=list)

    def session(self) -> "RecordingSession":
        self.stations.append(RecordingSession(runner=self))
        return self.stations[-1]


@dataclass
class RecordingSession:
    """A session that records on which interpreters its jobs run."""

    runner: SessionRecordingRunner
    on: set[str] = field(default_factory=set)
    closed: bool = False

    def run(self, job: ProbeJob) -> ProbeResult:
        assert not self.closed
        self.on.add(str(job.build.interpreter))
        return self.runner.run(job)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("fails", [False, True])
def test_each_side_has_one_session_for_all_its_measurements(fails: bool) -> None:
    """Both are closed in the end, also after a failure."""

    def no(job: ProbeJob) -> ProbeResult:
        raise RuntimeError("no")

    of = service(settings=ServiceSettings())
    sides = [
        BenchmarkSide(
            cell=cell_of(on, of), build=build_of(on), environment=Path("/env"), built=False, versions=VERSIONS
        )
        for on in ("3.9", "3.12")
    ]
    runner = SessionRecordingRunner(cell=no if fails else FakeCells({QUICK: 0.01}))
    with pytest.raises(RuntimeError) if fails else nullcontext():
        ServiceBenchmark(runner, Path("/fleet"), baseline=sides[0], target=sides[1]).measure("app.main", UNSTARTED)
    assert [station.closed for station in runner.stations] == [True, True]
    assert [station.on for station in runner.stations] == ([{"3.9"}, set()] if fails else [{"3.9"}, {"3.12"}])


def test_general_measurements_get_half_of_the_budget() -> None:
    """A suite that does not fit into it often enough is not measured."""
    settings = BenchmarkSettings(budget=100.0)
    assert "too long" not in str(measure(FakeCells({"suite": 9.0}), versions={}, settings=settings).notes)
    assert "too long" in str(measure(FakeCells({"suite": 11.0}), versions={}, settings=settings).notes)
