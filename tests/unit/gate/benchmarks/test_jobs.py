"""Requests to a cell that measures, and validation of its records."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.gate.benchmarks.jobs import BenchmarkSession, BenchmarkSide, read_measurements
from pytest_py312.gate.benchmarks.sampling import MeasurementFailed
from pytest_py312.runners.runner import open_session
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service

END = {"event": "end", "code": 0}
TEST = "tests/test_speed.py::test_it"


def lab(runner: FakeRunner, core: int | None = None, **changes: Any) -> BenchmarkSession:
    cell = cell_of("3.12", service(**changes))
    side = BenchmarkSide(cell=cell, build=build_of("3.12"), environment=Path("/environment"), built=False, versions={})
    return BenchmarkSession(open_session(runner), Path("/fleet"), side, core=core)


def test_the_hash_seed_is_that_of_the_pair() -> None:
    """And the names of jobs are unique."""
    runner = FakeRunner()
    asked = lab(runner)
    asked.tests((TEST,), seed=6)
    asked.tests((TEST,), seed=7)
    assert [dict(job.variables)["PYTHONHASHSEED"] for job in runner.jobs] == ["6", "7"]
    assert len({job.identifier for job in runner.jobs}) == 2
    assert runner.jobs[0].request["select"] == [TEST]
    assert {job.request["kind"] for job in runner.jobs} == {"benchmark"}


def test_a_service_without_a_suite_is_imported_as_well() -> None:
    """Its module is searched in its own folders before the library."""
    runner = FakeRunner()
    lab(runner, suite=None, python_path=("src",)).imports("app.main", seed=0)
    assert {"measure": "imports", "module": "app.main", "ahead": 2}.items() <= runner.jobs[0].request.items()


@pytest.mark.parametrize(("core", "asked"), [(None, True), (0, 0), (3, 3)])
def test_everything_is_measured_on_one_core(core: int | None, asked: object) -> None:
    """On the chosen one, which may be core 0, or on any if cores cannot be chosen."""
    runner = FakeRunner()
    lab(runner, core).suite(seed=0, watch=("test_a",))
    assert runner.jobs[0].request["core"] is asked
    assert runner.jobs[0].request["watch"] == ["test_a"]


def test_the_records_of_a_process_are_parsed() -> None:
    """Values, thresholds of benchmarks, failures, and measuring conditions."""
    sample = read_measurements(
        cell_run_of(
            {"event": "conditions", "values": {"compiler": "GCC 14.2.0"}},
            {"event": "threshold", "name": TEST, "value": 0.3},
            {"event": "measured", "name": TEST, "value": 0.25, "unit": "s"},
            {"event": "failed", "name": "tests/test_other.py::test_b", "detail": "E assert 1 == 2"},
            {"event": "exit", "code": 1},
            END,
        )
    )
    assert sample.values == {TEST: 0.25}
    assert sample.thresholds == {TEST: 0.3}
    assert sample.failed == {"tests/test_other.py::test_b": "E assert 1 == 2"}
    assert sample.conditions == {"compiler": "GCC 14.2.0"}
    assert sample.exit_code == 1


def test_an_incomplete_process_measured_nothing() -> None:
    """Whatever it reported before."""
    record = {"event": "measured", "name": TEST, "value": 0.25, "unit": "s"}
    with pytest.raises(MeasurementFailed, match="time limit"):
        read_measurements(cell_run_of(record, failure="time limit of 900 s reached"))
    with pytest.raises(MeasurementFailed, match="ended early, with exit code 0"):
        read_measurements(cell_run_of(record))
    with pytest.raises(MeasurementFailed, match="cannot be imported"):
        read_measurements(cell_run_of({"event": "trouble", "what": "app cannot be imported", "detail": "E: no"}, END))


@given(st.lists(st.dictionaries(st.sampled_from(["event", "name", "value", "values", "code"]), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2),
    st.sampled_from(["measured", "threshold", "conditions", "exit", "failed"]),
))))  # fmt: skip
def test_invalid_records_are_ignored(records: list[dict[str, Any]]) -> None:
    """A suite can write anything: only numbers above zero become measurements."""
    sample = read_measurements(cell_run_of(*records, END))
    assert all(0 < value < math.inf for value in (*sample.values.values(), *sample.thresholds.values()))
