"""What is asked of a cell that measures, and what of its records is believed."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.gate.benchmarks.jobs import Lab, Side, read_sample
from pytest_py312.gate.benchmarks.sampling import MeasuringFailed
from pytest_py312.runners.runner import station_of
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service

END = {"event": "end", "code": 0}
TEST = "tests/test_speed.py::test_it"


def lab(runner: FakeRunner, core: int | None = None, **changes: Any) -> Lab:
    cell = cell_of("3.12", service(**changes))
    side = Side(cell=cell, build=build_of("3.12"), environment=Path("/environment"), built=False, versions={})
    return Lab(station_of(runner), Path("/fleet"), side, core=core)


def test_the_hash_seed_is_the_pairs() -> None:
    """And no two jobs have one name."""
    runner = FakeRunner()
    asked = lab(runner)
    asked.tests((TEST,), seed=6)
    asked.tests((TEST,), seed=7)
    assert [dict(job.variables)["PYTHONHASHSEED"] for job in runner.jobs] == ["6", "7"]
    assert len({job.identifier for job in runner.jobs}) == 2
    assert runner.jobs[0].request["select"] == [TEST]
    assert {job.request["kind"] for job in runner.jobs} == {"benchmark"}


def test_a_service_without_a_suite_is_imported_all_the_same() -> None:
    """Its module is looked for in its own folders before those of the library."""
    runner = FakeRunner()
    lab(runner, suite=None, python_path=("src",)).imports("app.main", seed=0)
    assert {"measure": "imports", "module": "app.main", "ahead": 2}.items() <= runner.jobs[0].request.items()


@pytest.mark.parametrize(("core", "asked"), [(None, True), (0, 0), (3, 3)])
def test_all_is_measured_on_one_core(core: int | None, asked: object) -> None:
    """On that which is free, or any where nobody knows; the first core is one as well."""
    runner = FakeRunner()
    lab(runner, core).suite(seed=0, watch=("test_a",))
    assert runner.jobs[0].request["core"] is asked
    assert runner.jobs[0].request["watch"] == ["test_a"]


def test_what_a_process_tells() -> None:
    """Values, thresholds that benchmarks have of their own, failures, and how it was measured."""
    sample = read_sample(
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


def test_a_process_that_did_not_come_to_its_end_measured_nothing() -> None:
    """Whatever it had told by then."""
    told = {"event": "measured", "name": TEST, "value": 0.25, "unit": "s"}
    with pytest.raises(MeasuringFailed, match="time limit"):
        read_sample(cell_run_of(told, trouble="time limit of 900 s reached"))
    with pytest.raises(MeasuringFailed, match="ended early, with exit code 0"):
        read_sample(cell_run_of(told))
    with pytest.raises(MeasuringFailed, match="cannot be imported"):
        read_sample(cell_run_of({"event": "trouble", "what": "app cannot be imported", "detail": "E: no"}, END))


@given(st.lists(st.dictionaries(st.sampled_from(["event", "name", "value", "values", "code"]), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2),
    st.sampled_from(["measured", "threshold", "conditions", "exit", "failed"]),
))))  # fmt: skip
def test_a_suite_may_write_what_it_likes(records: list[dict[str, Any]]) -> None:
    """Only numbers above zero become measurements."""
    sample = read_sample(cell_run_of(*records, END))
    assert all(0 < value < math.inf for value in (*sample.values.values(), *sample.thresholds.values()))
