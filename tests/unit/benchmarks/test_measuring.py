"""A service measured in cells that answer at once, with figures from a seeded source."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.benchmarks.jobs import Side
from pytest_py312.benchmarks.measuring import GENERAL_THRESHOLD, Bench
from pytest_py312.benchmarks.speeds import Speeds
from pytest_py312.model import BenchmarkSettings, Comparison, ServiceSettings, Verdict
from pytest_py312.runners.base import CellJob, CellRun
from pytest_py312.testing import FakeRunner, build_of, cell_of, cell_run_of, service

QUICK, SLOW = "tests/test_speed.py::test_quick", "tests/test_speed.py::test_slow"
VERSIONS = {"pytest": "8.4.2", "pytest-benchmark": "5.1.0", "attrs": "24.1.0"}


@dataclass
class Cells:
    """Answers for both sides: ``figures`` on the baseline, ``times`` as much on the target (1 if not named)."""

    figures: Mapping[str, float]
    times: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    source: random.Random = field(default_factory=lambda: random.Random(312))

    def __call__(self, job: CellJob) -> CellRun:
        interpreter = str(job.build.interpreter)
        asked = job.request
        names = {
            "tests": [
                name for name in self.figures if "::" in name and (not asked.get("select") or name in asked["select"])
            ],
            "imports": ["import", "memory"],
            "suite": ["suite", "processor"],
        }[asked["measure"]]
        told: list[Mapping[str, Any]] = [{"event": "conditions", "values": {"compiler": f"GCC for {interpreter}"}}]
        for name in names:
            more = self.times.get(name, 1.0) if interpreter == "3.12" else 1.0
            value = self.figures.get(name, 1.0) * more * self.source.uniform(0.98, 1.02)
            told.append({"event": "measured", "name": name, "value": value, "unit": "s"})
        told += self.extra.get(interpreter, []) if asked["measure"] == "tests" else []
        return cell_run_of(*told, {"event": "exit", "code": 0}, {"event": "end"})


def measure(
    cells: Cells, *, settings: BenchmarkSettings | None = None, module: str = "app.main", flags: str = "pgo",
    versions: Mapping[str, str] = VERSIONS, **changes: Any,
) -> Speeds:  # fmt: skip
    of = service(settings=ServiceSettings(benchmark=settings or BenchmarkSettings()), **changes)
    before, after = (
        Side(cell=cell_of(on, of), build=build_of(on), environment=Path("/env"), built=False, versions=VERSIONS)
        for on in ("3.9", "3.12")
    )
    after = replace(after, build=replace(after.build, flags=flags), versions=versions)
    return Bench(FakeRunner(cell=cells), Path("/fleet"), before=before, after=after).measure(module)


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
    assert speeds.notes == ("pytest-benchmark is installed, and no test of the suite uses it",)
    without = measure(Cells({}), versions={"pytest": "8.4.2"})
    assert without.notes == ()


def test_a_service_of_which_nothing_tells_what_it_starts() -> None:
    """That is a note, and the suite is measured all the same."""
    speeds = measure(Cells({}), module="", versions={})
    assert {one.kind for one in speeds.comparisons} == {"suite"}
    assert speeds.notes == ("import: no image of the service says which module it starts",)


def test_a_suite_that_takes_long_is_not_repeated() -> None:
    """The budget is for many runs."""
    speeds = measure(Cells({"suite": 50.0}), versions={})
    assert {one.kind for one in speeds.comparisons} == {"import", "memory"}
    assert "too long" in speeds.notes[0]


def test_a_service_without_a_suite() -> None:
    """Only what it imports."""
    speeds = measure(Cells({QUICK: 0.01}), suite=None)
    assert {one.kind for one in speeds.comparisons} == {"import", "memory"}
