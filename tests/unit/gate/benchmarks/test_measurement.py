"""A service measured in cells that answer at once, with figures from a seeded source."""

import random
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.measurements import Comparison, Speeds, Verdict
from pytest_py312.core.model.plan import BenchmarkSettings, ServiceSettings
from pytest_py312.gate.benchmarks.jobs import Side
from pytest_py312.gate.benchmarks.measurement import GENERAL_THRESHOLD, MOST_TESTS, Bench, Start
from pytest_py312.gate.benchmarks.sampling import MeasuringFailed
from pytest_py312.runners.runner import CellJob, CellRun
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service

QUICK, SLOW = "tests/test_speed.py::test_quick", "tests/test_speed.py::test_slow"
UNSTARTED = "nothing starts it here"
VERSIONS = {"pytest": "8.4.2", "pytest-benchmark": "5.1.0", "attrs": "24.1.0"}


@dataclass
class Cells:
    """Answers for both sides: ``figures`` on the baseline, ``times`` as much on the target (1 if not named).

    ``tests`` are those of the suite, with their seconds; ``asked`` is what was asked for, in order.
    """

    figures: Mapping[str, float]
    times: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    tests: Mapping[str, float] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    source: random.Random = field(default_factory=lambda: random.Random(312))

    def __call__(self, job: CellJob) -> CellRun:
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
        told: list[Mapping[str, Any]] = [{"event": "conditions", "values": {"compiler": f"GCC for {interpreter}"}}]
        for name in names:
            more = self.times.get(name, 1.0) if interpreter == "3.12" else 1.0
            value = figures.get(name, 1.0) * more * self.source.uniform(0.98, 1.02)
            told.append({"event": "measured", "name": name, "value": value, "unit": "s"})
        told += self.extra.get(interpreter, []) if asked["measure"] == "tests" else []
        return cell_run_of(*told, {"event": "exit", "code": 0}, {"event": "end"})


def measure(
    cells: Cells, *, settings: BenchmarkSettings | None = None, module: str = "app.main", flags: str = "pgo",
    versions: Mapping[str, str] = VERSIONS, starts: tuple[Start, Start] | str = UNSTARTED, **changes: Any,
) -> Speeds:  # fmt: skip
    of = service(settings=ServiceSettings(benchmark=settings or BenchmarkSettings()), **changes)
    before, after = (
        Side(cell=cell_of(on, of), build=build_of(on), environment=Path("/env"), built=False, versions=VERSIONS)
        for on in ("3.9", "3.12")
    )
    after = replace(after, build=replace(after.build, flags=flags), versions=versions)
    return Bench(FakeRunner(cell=cells), Path("/fleet"), before=before, after=after).measure(module, starts)


def by_name(speeds: Speeds) -> dict[str, Comparison]:
    return {one.name: one for one in speeds.comparisons}


def test_a_service_with_benchmarks() -> None:
    """Its own are judged by the threshold of the plan, what every service has by a wider one."""
    found = by_name(measure(Cells({QUICK: 0.01, SLOW: 0.02}, {SLOW: 1.5, "memory": 1.2})))
    assert {name: one.verdict for name, one in found.items()} == {
        QUICK: Verdict.SAME,
        SLOW: Verdict.SLOWER,
        "import of app.main": Verdict.SAME,
        "memory after import of app.main": Verdict.SAME,
        "time of the suite": Verdict.SAME,
        "processor time of the suite": Verdict.SAME,
        "peak memory of the suite": Verdict.SAME,
    }
    assert found[SLOW].confirmed
    assert found[SLOW].ratio == pytest.approx(1.5, rel=0.03)
    assert (found[SLOW].threshold, found["import of app.main"].threshold) == (0.1, GENERAL_THRESHOLD)
    assert found["memory after import of app.main"].unit == "B"
    assert found[SLOW].conditions["compiler"] == ("GCC for 3.9", "GCC for 3.12")


def test_unlike_builds_are_shown_and_decide_nothing() -> None:
    """Unless the plan accepts that."""
    cells = Cells({SLOW: 0.02}, {SLOW: 1.5})
    found = by_name(measure(cells, flags="plain"))[SLOW]
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.note == "unlike builds: 3.9.1 is pgo, 3.12.1 is plain"
    accepted = measure(cells, flags="plain", settings=BenchmarkSettings(unlike_builds=True))
    assert by_name(accepted)[SLOW].verdict is Verdict.SLOWER


def test_thresholds_of_single_benchmarks() -> None:
    """The plan's last word that fits, else the marker's, else that for all."""
    marked = {"3.9": [{"event": "threshold", "name": QUICK, "value": 0.3}]}
    cells = Cells({QUICK: 0.01, SLOW: 0.02}, extra=marked)
    settings = BenchmarkSettings(threshold=0.2, thresholds=(("*", 0.7), ("tests/*::test_slow", 0.6)))
    plain = by_name(measure(cells, settings=BenchmarkSettings(threshold=0.2)))
    assert (plain[QUICK].threshold, plain[SLOW].threshold) == (0.3, 0.2)
    planned = by_name(measure(cells, settings=settings))
    assert (planned[QUICK].threshold, planned[SLOW].threshold) == (0.7, 0.6)


def test_what_else_differs_is_said() -> None:
    """Another version of a library may be the cause as well."""
    found = by_name(measure(Cells({QUICK: 0.01}), versions={**VERSIONS, "attrs": "25.0.0"}))
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
def test_what_cannot_be_measured_on_one_side(records: list[dict[str, Any]], reason: str) -> None:
    """Nothing is concluded of the others either."""
    cells = Cells({QUICK: 0.01}, extra={"3.12": records})
    if records[0]["event"] == "exit":  # the last record of its kind counts

        def ends_badly(job: CellJob) -> CellRun:
            bad = str(job.build.interpreter) == "3.12"
            return cell_run_of({"event": "exit", "code": 3 if bad else 0}, {"event": "end"})

        cells = ends_badly  # type: ignore[assignment]  # answers like the other
    speeds = measure(cells)
    assert (speeds.unchecked, speeds.comparisons) == (reason, ())


def test_a_service_without_benchmarks() -> None:
    """Its import and its suite are measured; that the tool is there and not used is said."""
    speeds = measure(Cells({}))
    assert {one.kind for one in speeds.comparisons} == {"import", "memory", "suite"}
    assert speeds.notes[0] == "pytest-benchmark is installed, and no test of the suite uses it"
    without = measure(Cells({}), versions={"pytest": "8.4.2"})
    assert without.notes == (f"start: {UNSTARTED}",)


def test_a_service_of_which_nothing_tells_what_it_starts() -> None:
    """That is a note, and the suite is measured all the same."""
    speeds = measure(Cells({}), module="", versions={})
    assert set(by_name(speeds)) == {"time of the suite", "processor time of the suite", "peak memory of the suite"}
    assert speeds.notes[0] == "import: no image of the service says which module it starts"


def test_a_suite_that_takes_long_is_not_repeated() -> None:
    """The budget is for many runs."""
    speeds = measure(Cells({"suite": 50.0}), versions={})
    assert {one.kind for one in speeds.comparisons} == {"import", "memory"}
    assert "too long" in speeds.notes[1]


def test_a_service_without_a_suite() -> None:
    """Only what it imports."""
    speeds = measure(Cells({QUICK: 0.01}), suite=None)
    assert {one.kind for one in speeds.comparisons} == {"import", "memory"}


def started(seconds: float, source: random.Random) -> Start:
    """A service that is healthy after about so long, and holds 30 MB by then."""
    return lambda seed: {"start": seconds * source.uniform(0.98, 1.02), "memory": 30e6}


def test_the_start_of_a_service() -> None:
    """Until it is healthy, and the memory of all its processes then."""
    source = random.Random(312)
    found = by_name(measure(Cells({}), starts=(started(0.5, source), started(0.9, source))))
    start, memory = found["start of the image until it is healthy"], found["memory of the image when it is healthy"]
    assert (start.kind, start.unit, start.verdict) == ("start", "s", Verdict.SLOWER)
    assert start.ratio == pytest.approx(1.8, rel=0.03)
    assert (memory.kind, memory.unit, memory.verdict) == ("memory", "B", Verdict.SAME)


def test_a_start_that_cannot_be_measured() -> None:
    """What takes longer than many starts may take, and what fails, are notes; all else is measured."""

    def fails(seed: int) -> dict[str, float]:
        raise MeasuringFailed("app/Dockerfile on 3.12: it did not become healthy")

    slow = started(60.0, random.Random(1))
    for starts, reason in (
        ((slow, fails), "start: app/Dockerfile on 3.12: it did not become healthy"),
        ((slow, slow), "start: one run takes 6"),
    ):
        speeds = measure(Cells({QUICK: 0.01}), starts=starts)
        assert {one.kind for one in speeds.comparisons} == {"benchmark", "import", "memory", "suite"}
        assert [note[: len(reason)] for note in speeds.notes] == [reason]


def test_the_tests_of_a_suite() -> None:
    """Each that takes more than a moment is compared by itself, on both clocks."""
    cells = Cells({}, {"time of test_slow": 2.0}, tests={"test_quick": 0.001, "test_slow": 0.05, "test_long": 0.5})
    found = {name: one for name, one in by_name(measure(cells)).items() if one.kind == "test"}
    assert {name: one.verdict for name, one in found.items()} == {
        "time of test_long": Verdict.SAME,
        "processor time of test_long": Verdict.SAME,
        "time of test_slow": Verdict.SLOWER,
        "processor time of test_slow": Verdict.SAME,
    }
    later = [asked for asked in cells.asked if asked["measure"] == "suite"][2:]
    assert {tuple(asked["watch"]) for asked in later} == {("test_long", "test_slow")}


def test_of_many_tests_the_longest_are_compared() -> None:
    """A suite of thousands would be a page of thousands of lines."""
    tests = {f"test_{number}": 0.1 + number / 1000 for number in range(3 * MOST_TESTS)}
    names = [name for name in by_name(measure(Cells({}, tests=tests))) if name.startswith("time of test_")]
    assert sorted(names) == sorted(f"time of test_{number}" for number in range(2 * MOST_TESTS, 3 * MOST_TESTS))


def test_builds_that_are_not_alike_take_a_tenth_of_the_budget() -> None:
    """Nothing is concluded from it, so there is no second round either."""
    figures, slower = {SLOW: 0.02}, {SLOW: 1.5}
    alike, unlike = Cells(figures, slower), Cells(figures, slower)
    measure(alike)
    found = by_name(measure(unlike, flags="plain"))[SLOW]
    assert (found.verdict, found.confirmed) == (Verdict.NOT_COMPARABLE, False)
    rounds = [sum(asked["measure"] == "tests" for asked in cells.asked) for cells in (alike, unlike)]
    assert rounds[1] < rounds[0]


@dataclass
class Keeper(FakeRunner):
    """A runner that keeps stations; ``stations`` are those that it was asked for."""

    stations: list["Kept"] = field(default_factory=list)

    def station(self) -> "Kept":
        self.stations.append(Kept(runner=self))
        return self.stations[-1]


@dataclass
class Kept:
    """A station that writes down on which interpreters its jobs run."""

    runner: Keeper
    on: set[str] = field(default_factory=set)
    closed: bool = False

    def run(self, job: CellJob) -> CellRun:
        assert not self.closed
        self.on.add(str(job.build.interpreter))
        return self.runner.run(job)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("fails", [False, True])
def test_each_side_has_one_place_for_all_its_measurements(fails: bool) -> None:
    """Both are left at the end, whatever that is like."""

    def no(job: CellJob) -> CellRun:
        raise RuntimeError("no")

    of = service(settings=ServiceSettings())
    sides = [
        Side(cell=cell_of(on, of), build=build_of(on), environment=Path("/env"), built=False, versions=VERSIONS)
        for on in ("3.9", "3.12")
    ]
    runner = Keeper(cell=no if fails else Cells({QUICK: 0.01}))
    with pytest.raises(RuntimeError) if fails else nullcontext():
        Bench(runner, Path("/fleet"), before=sides[0], after=sides[1]).measure("app.main", UNSTARTED)
    assert [station.closed for station in runner.stations] == [True, True]
    assert [station.on for station in runner.stations] == ([{"3.9"}, set()] if fails else [{"3.9"}, {"3.12"}])


def test_what_decides_nothing_gets_half_of_the_budget() -> None:
    """A suite that would not fit into that so many times is not measured."""
    settings = BenchmarkSettings(budget=100.0)
    assert "too long" not in str(measure(Cells({"suite": 9.0}), versions={}, settings=settings).notes)
    assert "too long" in str(measure(Cells({"suite": 11.0}), versions={}, settings=settings).notes)
