"""A suite's job for the probe, and what its records say."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import Distribution
from pytest_py312.core.model.measurements import SuiteWarning
from pytest_py312.core.model.plan import ServiceSettings
from pytest_py312.core.process import Ended
from pytest_py312.runners.runner import CellJob
from pytest_py312.runners.suite_job import EXIT_CODE, read_run, run_suite, suite_job
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service


def job_of(**changes: Any) -> CellJob:
    of = changes.pop("of", None) or service()
    given_values: dict[str, Any] = {"root": Path("/repository"), "built": False, **changes}
    return suite_job(cell_of("3.12", of), build_of(), Path("/environment"), **given_values)


def test_a_job_reads_the_service_and_what_it_needs_and_nothing_else() -> None:
    job = job_of(of=service(settings=ServiceSettings(needs=("libs/common",), time_limit=7.0, memory_limit=5)))

    assert job.folders == ("services/user-service", "libs/common")
    assert (job.time_limit, job.memory_limit, job.network) == (7.0, 5, False)


def test_the_hash_seed_is_the_attempt_unless_the_plan_sets_it() -> None:
    assert dict(job_of(attempt=2).variables) == {"PYTHONHASHSEED": "2"}
    set_by_plan = service(settings=ServiceSettings(environment=(("PYTHONHASHSEED", "9"),)))
    assert dict(job_of(attempt=2, of=set_by_plan).variables) == {"PYTHONHASHSEED": "9"}


def test_each_attempt_and_each_choice_of_tests_is_a_cell_of_its_own() -> None:
    jobs = [job_of(), job_of(attempt=1), job_of(attempt=1, select=("a",)), job_of(attempt=1, select=("b",))]

    assert len({job.identifier for job in jobs}) == 4
    assert jobs[3].request["select"] == ["b"]


def test_a_static_distribution_is_laid_in_and_a_built_one_is_not() -> None:
    static = Distribution(
        name="acme", version="1", static=True, source_roots=("src",), scripts=(("acme", "acme:main"),)
    )

    laid_in = job_of(of=service(distribution=static)).request
    assert laid_in["installed"] == ["src"]
    assert laid_in["distribution"] == {"name": "acme", "version": "1", "scripts": [["acme", "acme:main"]]}
    built = job_of(of=service(distribution=static), built=True).request
    assert built["installed"] == []
    assert "distribution" not in built


def test_a_service_without_a_suite_has_no_job() -> None:
    with pytest.raises(ValueError, match="user-service has no suite"):
        job_of(of=service(suite=None))


def test_records_become_results_collection_errors_and_warnings() -> None:
    run = read_run(
        cell_run_of(
            {"event": "running", "id": "t::a"},
            {"event": "test", "id": "t::a", "outcome": "passed", "seconds": 0.5, "detail": ""},
            {"event": "collect_error", "id": "u.py", "detail": "boom"},
            {"event": "warning", "category": "DeprecationWarning", "message": "old", "origin": "x.py:3", "count": 2},
            {"event": "exit", "code": 1, "meaning": ""},
            {"event": "end"},
            seconds=3.0,
        ),
        cell_of(),
        {"pytest": "9"},
    )

    assert run.complete
    assert run.counts == {"passed": 1, "collection_errors": 1}
    assert run.collection_errors == {"u.py": "boom"}
    assert run.warnings == (SuiteWarning(category="DeprecationWarning", message="old", origin="x.py:3", count=2),)
    assert (run.seconds, run.versions) == (3.0, {"pytest": "9"})


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_pytest_that_did_not_do_its_work_is_not_complete(code: int) -> None:
    run = read_run(cell_run_of({"event": "exit", "code": code, "meaning": "why"}, {"event": "end"}), cell_of(), {})

    assert not run.complete
    assert f"why (exit code {code})" in run.trouble


@pytest.mark.parametrize(("code", "complete"), [(2, False), (3, False), (4, True)])
def test_a_collection_error_excuses_only_that_a_chosen_test_was_not_found(code: int, complete: bool) -> None:
    records = ({"event": "collect_error", "id": "x.py", "detail": "boom"}, {"event": "exit", "code": code})

    assert read_run(cell_run_of(*records), cell_of(), {}).complete is complete


@pytest.mark.parametrize(
    ("ended", "code", "word"),
    [
        (Ended.KILLED, -11, "SIGSEGV"),
        (Ended.KILLED, -6, "SIGABRT"),
        (Ended.EXITED, 139, "SIGSEGV"),
        (Ended.EXITED, 0, "exit code 0"),
        (Ended.EXITED, 5, "exit code 5"),
    ],
)
def test_the_test_in_which_the_interpreter_dies_has_failed(ended: Ended, code: int, word: str) -> None:
    done = cell_run_of(
        {"event": "running", "id": "t::a"}, ended=ended, exit_code=code, trouble="ended early", output_tail="last words"
    )

    run = read_run(done, cell_of(), {})

    assert run.complete
    assert run.results["t::a"].outcome == "error"
    assert word in run.results["t::a"].detail
    assert "last words" in run.results["t::a"].detail


def test_a_baseline_that_dies_in_a_test_is_not_complete() -> None:
    """What comes after that test is known on no side: it must not look as if it were nothing new."""
    done = cell_run_of(
        {"event": "test", "id": "t::a", "outcome": "passed"},
        {"event": "running", "id": "t::b"},
        ended=Ended.KILLED,
        exit_code=-11,
        trouble="killed",
    )

    run = read_run(done, cell_of("3.9"), {})

    assert not run.complete
    assert run.trouble == "the interpreter died in t::b (SIGSEGV)"


@pytest.mark.parametrize(
    ("outcome", "code", "told"),
    [
        ("passed", 0, False),
        ("passed", 1, True),
        ("passed", 17, True),
        ("failed", 1, False),
    ],
)
def test_a_run_that_fails_without_a_failed_test_is_told_as_one(outcome: str, code: int, told: bool) -> None:
    """A plugin finds too little coverage, say: green tests, and a red run."""
    done = cell_run_of({"event": "test", "id": "t::a", "outcome": outcome}, {"event": "exit", "code": code})

    run = read_run(done, cell_of(), {})

    assert run.complete
    assert (EXIT_CODE in run.results) is told
    assert not told or f"exit code {code}" in run.results[EXIT_CODE].detail


@pytest.mark.parametrize("outcomes", [("failed", "passed"), ("passed", "failed")])
def test_of_tests_with_one_id_the_worst_counts(outcomes: tuple[str, str]) -> None:
    done = cell_run_of(*({"event": "test", "id": "t::a", "outcome": outcome} for outcome in outcomes))

    assert read_run(done, cell_of(), {}).results["t::a"].outcome == "failed"


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (Ended.KILLED, -9),
        (Ended.TIMED_OUT, -2),
        (Ended.OUT_OF_MEMORY, -9),
        (Ended.ENGINE_LOST, None),
        (Ended.DISK_FULL, 1),
        (Ended.CANCELLED, -9),
        (Ended.NOT_STARTED, None),
    ],
)
def test_what_others_did_to_a_run_is_nobodys_failure(ended: Ended, code: int | None) -> None:
    done = cell_run_of({"event": "running", "id": "t::a"}, ended=ended, exit_code=code, trouble="somebody did it")

    run = read_run(done, cell_of(), {})

    assert not run.complete
    assert run.trouble == "somebody did it"
    assert not run.results


def test_a_process_that_dies_between_two_tests_is_trouble() -> None:
    done = cell_run_of(
        {"event": "running", "id": "t::a"},
        {"event": "test", "id": "t::a", "outcome": "passed"},
        ended=Ended.KILLED,
        exit_code=-11,
        trouble="killed",
    )

    run = read_run(done, cell_of(), {})

    assert not run.complete
    assert run.results["t::a"].outcome == "passed"


def test_a_job_goes_through_the_runner() -> None:
    runner = FakeRunner(cell=lambda job: cell_run_of({"event": "test", "id": job.identifier, "outcome": "passed"}))
    job = job_of()

    assert list(run_suite(runner, job, cell_of(), {}).results) == ["user-service-py3.12-suite-0"]
    assert runner.jobs == [job]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ("id", "outcome", "seconds", "detail", "code", "meaning", "what", "count", "category", "message", "origin")
)
EVENTS = st.sampled_from(("running", "test", "collect_error", "warning", "trouble", "exit", "end", "other"))


@given(st.lists(st.tuples(EVENTS | JSON, st.dictionaries(FIELDS, JSON, max_size=5)), max_size=6))
def test_no_record_crashes_the_reader(records: list[tuple[Any, dict[str, Any]]]) -> None:
    """A suite may write whatever it likes into its records."""
    run = read_run(cell_run_of(*({"event": event, **fields} for event, fields in records)), cell_of(), {})

    assert all(result.outcome and result.id for result in run.results.values())
