"""The probe's job for a suite, and the results parsed from its records."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import Distribution, InstallRecipe
from pytest_py312.core.model.measurements import SuiteWarning
from pytest_py312.core.model.plan import FurtherTest, ServiceSettings, Suite, SuiteKind
from pytest_py312.core.process import ExitReason
from pytest_py312.runners.runner import ProbeJob
from pytest_py312.runners.start_job import start_job
from pytest_py312.runners.suite_job import EXIT_CODE_TEST, START_COLLECTOR, parse_suite_run, run_suite, suite_job
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service


def job_of(**changes: Any) -> ProbeJob:
    of = changes.pop("of", None) or service()
    given_values: dict[str, Any] = {"root": Path("/repository"), "built": False, **changes}
    return suite_job(cell_of("3.12", of), build_of(), Path("/environment"), **given_values)


def test_a_job_reads_only_the_service_and_the_folders_that_it_needs() -> None:
    job = job_of(of=service(settings=ServiceSettings(needs=("libs/common",), time_limit=7.0, memory_limit=5)))

    assert job.folders == ("services/user-service", "libs/common")
    assert (job.time_limit, job.memory_limit, job.network) == (7.0, 5, False)


def test_the_hash_seed_is_the_attempt_unless_the_plan_sets_it() -> None:
    assert dict(job_of(attempt=2).variables) == {"PYTHONHASHSEED": "2"}
    set_by_plan = service(settings=ServiceSettings(environment=(("PYTHONHASHSEED", "9"),)))
    assert dict(job_of(attempt=2, of=set_by_plan).variables) == {"PYTHONHASHSEED": "9"}


def test_variables_of_the_platform_are_there_and_the_plan_goes_before_them() -> None:
    """AWS Lambda sets a region, without which its SDK makes no client."""
    on_lambda = InstallRecipe(source="template.yaml", environment=(("AWS_REGION", "us-east-1"), ("OTHER", "1")))
    settings = ServiceSettings(environment=(("AWS_REGION", "eu-west-1"),))
    of = service(recipe=on_lambda, settings=settings)
    expected = {"PYTHONHASHSEED": "0", "AWS_REGION": "eu-west-1", "OTHER": "1"}
    assert dict(job_of(of=of).variables) == expected
    start = start_job(cell_of("3.12", of), build_of(), Path("/environment"), root=Path("/repository"), built=False)
    assert dict(start.variables) == expected


def test_the_variable_for_warnings_is_for_the_suite_and_not_for_the_probe() -> None:
    settings = ServiceSettings(environment=(("PYTHONWARNINGS", "error"), ("OTHER", "1")))
    suite = Suite(kind=SuiteKind.PYTEST, warning_options=("default",))
    job = job_of(of=service(settings=settings, suite=suite))
    assert dict(job.variables) == {"PYTHONHASHSEED": "0", "OTHER": "1"}
    assert (job.request["python_warnings"], job.request["warning_options"]) == ("error", ["default"])


def test_each_attempt_and_each_selection_of_tests_has_its_own_identifier() -> None:
    jobs = [job_of(), job_of(attempt=1), job_of(attempt=1, select=("a",)), job_of(attempt=1, select=("b",))]

    assert len({job.identifier for job in jobs}) == 4
    assert jobs[3].request["select"] == ["b"]


def test_only_a_static_distribution_that_is_not_built_is_in_the_request() -> None:
    static = Distribution(
        name="acme", version="1", static=True, source_roots=("src",), scripts=(("acme", "acme:main"),),
        plugins=(("acme.readers", "csv", "acme.csv:Reader"),),
    )  # fmt: skip

    unbuilt = job_of(of=service(distribution=static)).request
    assert unbuilt["installed"] == ["src"]
    assert unbuilt["distribution"] == {
        "name": "acme", "version": "1", "scripts": [["acme", "acme:main"]],
        "plugins": [["acme.readers", "csv", "acme.csv:Reader"]],
    }  # fmt: skip
    built = job_of(of=service(distribution=static), built=True).request
    assert built["installed"] == []
    assert "distribution" not in built


def test_a_service_without_a_suite_has_no_job() -> None:
    with pytest.raises(ValueError, match="user-service has no suite"):
        job_of(of=service(suite=None))


def test_records_become_results_collection_errors_and_warnings() -> None:
    run = parse_suite_run(
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
def test_a_run_that_pytest_aborted_is_incomplete(code: int) -> None:
    run = parse_suite_run(
        cell_run_of({"event": "exit", "code": code, "meaning": "why"}, {"event": "end"}), cell_of(), {}
    )

    assert not run.complete
    assert f"why (exit code {code})" in run.incomplete_reason


@pytest.mark.parametrize(("code", "complete"), [(2, False), (3, False), (4, True)])
def test_a_collection_error_explains_only_that_a_selected_test_was_not_found(code: int, complete: bool) -> None:
    records = ({"event": "collect_error", "id": "x.py", "detail": "boom"}, {"event": "exit", "code": code})

    assert parse_suite_run(cell_run_of(*records), cell_of(), {}).complete is complete


@pytest.mark.parametrize(
    ("exit_reason", "code", "word"),
    [
        (ExitReason.KILLED, -11, "SIGSEGV"),
        (ExitReason.KILLED, -6, "SIGABRT"),
        (ExitReason.EXITED, 139, "SIGSEGV"),
        (ExitReason.EXITED, 0, "exit code 0"),
        (ExitReason.EXITED, 5, "exit code 5"),
    ],
)
def test_the_test_in_which_the_interpreter_crashes_has_failed(exit_reason: ExitReason, code: int, word: str) -> None:
    result = cell_run_of(
        {"event": "running", "id": "t::a"},
        exit_reason=exit_reason,
        exit_code=code,
        failure="ended early",
        output_tail="last words",
    )

    run = parse_suite_run(result, cell_of(), {})

    assert run.complete
    assert run.results["t::a"].outcome == "error"
    assert word in run.results["t::a"].detail
    assert "last words" in run.results["t::a"].detail


def test_a_crash_on_the_baseline_makes_the_run_incomplete() -> None:
    """The later tests have no result on either side, so their failures must not look pre-existing."""
    result = cell_run_of(
        {"event": "test", "id": "t::a", "outcome": "passed"},
        {"event": "running", "id": "t::b"},
        exit_reason=ExitReason.KILLED,
        exit_code=-11,
        failure="killed",
    )

    run = parse_suite_run(result, cell_of("3.9"), {})

    assert not run.complete
    assert run.incomplete_reason == "the interpreter crashed in t::b (SIGSEGV)"


@pytest.mark.parametrize(
    ("outcome", "code", "added"),
    [
        ("passed", 0, False),
        ("passed", 1, True),
        ("passed", 17, True),
        ("failed", 1, False),
    ],
)
def test_a_failed_run_without_a_failed_test_gets_an_artificial_one(outcome: str, code: int, added: bool) -> None:
    """For example, a plugin finds insufficient coverage although all tests pass."""
    result = cell_run_of({"event": "test", "id": "t::a", "outcome": outcome}, {"event": "exit", "code": code})

    run = parse_suite_run(result, cell_of(), {})

    assert run.complete
    assert (EXIT_CODE_TEST in run.results) is added
    assert not added or f"exit code {code}" in run.results[EXIT_CODE_TEST].detail


@pytest.mark.parametrize("outcomes", [("failed", "passed"), ("passed", "failed")])
def test_the_worst_of_several_tests_with_the_same_id_counts(outcomes: tuple[str, str]) -> None:
    result = cell_run_of(*({"event": "test", "id": "t::a", "outcome": outcome} for outcome in outcomes))

    assert parse_suite_run(result, cell_of(), {}).results["t::a"].outcome == "failed"


@pytest.mark.parametrize(
    ("exit_reason", "code"),
    [
        (ExitReason.KILLED, -9),
        (ExitReason.TIMED_OUT, -2),
        (ExitReason.OUT_OF_MEMORY, -9),
        (ExitReason.ENGINE_LOST, None),
        (ExitReason.DISK_FULL, 1),
        (ExitReason.CANCELLED, -9),
        (ExitReason.NOT_STARTED, None),
    ],
)
def test_a_run_that_was_stopped_from_outside_has_no_failed_test(exit_reason: ExitReason, code: int | None) -> None:
    result = cell_run_of(
        {"event": "running", "id": "t::a"}, exit_reason=exit_reason, exit_code=code, failure="stopped from outside"
    )

    run = parse_suite_run(result, cell_of(), {})

    assert not run.complete
    assert run.incomplete_reason == "stopped from outside"
    assert not run.results


def test_a_crash_between_two_tests_makes_the_run_incomplete() -> None:
    result = cell_run_of(
        {"event": "running", "id": "t::a"},
        {"event": "test", "id": "t::a", "outcome": "passed"},
        exit_reason=ExitReason.KILLED,
        exit_code=-11,
        failure="killed",
    )

    run = parse_suite_run(result, cell_of(), {})

    assert not run.complete
    assert run.results["t::a"].outcome == "passed"


def test_the_runner_runs_the_job() -> None:
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
def test_no_record_crashes_the_parser(records: list[tuple[Any, dict[str, Any]]]) -> None:
    """A suite may write anything into its records."""
    run = parse_suite_run(cell_run_of(*({"event": event, **fields} for event, fields in records)), cell_of(), {})

    assert all(result.outcome and result.id for result in run.results.values())


# ---- ids, and a pytest that fails at its start


def test_ids_are_comparable_between_runs() -> None:
    run = parse_suite_run(
        cell_run_of(
            {"event": "start", "folders": {"<scratch>": "/tmp/run/scratch"}},
            {"event": "running", "id": "t.py::a[/tmp/run/scratch/x]"},
            {"event": "test", "id": "t.py::a[/tmp/run/scratch/x]", "outcome": "passed"},
            {"event": "start", "folders": {"<scratch>": "/forged"}},
            {"event": "test", "id": "t.py::a[/forged/x]", "outcome": "passed"},
            {"event": "end"},
        ),
        cell_of(),
        {},
    )

    assert list(run.results) == ["t.py::a[<scratch>/x]", "t.py::a[/forged/x]"]
    assert run.results["t.py::a[<scratch>/x]"].id == "t.py::a[<scratch>/x]"


CONFTEST = """\
ImportError while loading conftest '/scratch/tests/conftest.py'.
tests/conftest.py:3: in <module>
    import imp
E   ModuleNotFoundError: No module named 'imp'
"""
FILTER = """\
ERROR: while parsing the following warning configuration:

  ignore::pkg_resources.PkgResourcesDeprecationWarning

This error occurred:

Traceback (most recent call last):
ModuleNotFoundError: No module named 'pkg_resources'
"""
PLUGIN = """\
Error while loading plugin "pytest11".
/envs/1/lib/python3.12/site-packages/pyfakefs/fake_pathlib.py:161: in <module>
    flavour = pathlib._Flavour
E   AttributeError: module 'pathlib' has no attribute '_Flavour'
"""
RAISED = {"event": "start_error", "detail": "AttributeError: module 'pathlib' has no attribute '_Flavour'"}
EXIT_4 = {"event": "exit", "code": 4, "meaning": "pytest was called wrongly"}


@pytest.mark.parametrize(
    ("records", "changes", "word"),
    [
        ((RAISED, {"event": "end"}), {}, "_Flavour"),
        ((RAISED, {"event": "exit", "code": 3}, {"event": "end"}), {}, "_Flavour"),
        ((EXIT_4, {"event": "end"}), {"output_tail": CONFTEST}, "No module named 'imp'"),
        ((EXIT_4, {"event": "end"}), {"output_tail": FILTER}, "No module named 'pkg_resources'"),
        (({"event": "exit", "code": 3}, {"event": "end"}), {"output_tail": PLUGIN}, "_Flavour"),
        ((), {"exit_reason": ExitReason.KILLED, "exit_code": -11, "failure": "killed"}, "crashed"),
    ],
)
def test_a_pytest_that_fails_at_its_start_has_collected_nothing(
    records: tuple[dict[str, Any], ...], changes: dict[str, Any], word: str
) -> None:
    run = parse_suite_run(cell_run_of(*records, **changes), cell_of(), {})

    assert run.complete
    assert word in run.collection_errors[START_COLLECTOR]


@pytest.mark.parametrize(
    ("records", "changes"),
    [
        (({"event": "exit", "code": 3},), {"output_tail": "INTERNALERROR> of pytest itself"}),
        ((EXIT_4,), {"output_tail": "ERROR: usage: pytest\npytest: error: unrecognized arguments: --cov"}),
        ((RAISED,), {"exit_reason": ExitReason.OUT_OF_MEMORY, "failure": "memory limit"}),
        ((RAISED,), {"exit_reason": ExitReason.TIMED_OUT, "failure": "time limit"}),
        (({"event": "running", "id": "a"}, EXIT_4), {"output_tail": CONFTEST}),
        ((), {"exit_reason": ExitReason.KILLED, "exit_code": -9, "failure": "killed"}),
        ((), {"exit_reason": ExitReason.EXITED, "exit_code": 1, "failure": "ended early"}),
    ],
)
def test_other_ends_before_the_first_test_are_incomplete(
    records: tuple[dict[str, Any], ...], changes: dict[str, Any]
) -> None:
    run = parse_suite_run(cell_run_of(*records, **changes), cell_of(), {})

    assert not run.complete
    assert not run.collection_errors


# ---- further commands of the tests


BEHAVE = FurtherTest(text="behave", words=("behave",), folder="services/user-service", environment=(("A", "1"),))
UNREPEATED = FurtherTest(text="make e2e")
WITH_COMMANDS = service(suite=Suite(kind=SuiteKind.PYTEST, further=(BEHAVE, UNREPEATED)))
AS_COMMAND = {
    "id": "$ behave",
    "words": ["behave"],
    "folder": "services/user-service",
    "environment": [["A", "1"]],
    "limit": 120.0,
}


@pytest.mark.parametrize(
    ("select", "runner", "tests", "commands"),
    [
        ((), "pytest", [], [AS_COMMAND]),
        (("a.py::test_a",), "pytest", ["a.py::test_a"], []),
        (("a.py::test_a", "$ behave"), "pytest", ["a.py::test_a"], [AS_COMMAND]),
        (("$ behave",), "", [], [AS_COMMAND]),
    ],
)
def test_further_commands_are_selected_like_tests(
    select: tuple[str, ...], runner: str, tests: list[str], commands: list[Any]
) -> None:
    request = job_of(of=WITH_COMMANDS, select=select).request
    assert (request["runner"], request["select"], request["commands"]) == (runner, tests, commands)


def test_the_results_of_further_commands_are_apart_from_those_of_tests() -> None:
    records = (
        {"event": "test", "id": "a.py::test_a", "outcome": "passed", "seconds": 1.0},
        {"event": "command", "id": "$ behave", "outcome": "failed", "seconds": 2.0, "detail": "exit code 1"},
        {"event": "command", "id": "", "outcome": "failed"},
        {"event": "command", "id": "$ x", "outcome": "unheard of"},
        {"event": "end"},
    )
    run = parse_suite_run(cell_run_of(*records), cell_of("3.12", WITH_COMMANDS), {})
    assert (list(run.results), list(run.commands)) == (["a.py::test_a"], ["$ behave"])
    assert list(run.with_commands().results) == ["a.py::test_a", "$ behave"]
    assert run.commands["$ behave"].detail == "exit code 1"
