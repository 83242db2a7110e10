"""How much of a suite proves anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.gate.checks.suite_coverage import SuiteCoverage, file_of_test, measure_coverage
from tests.support.fakes import run_of

OUTCOMES = st.sampled_from(["passed", "xpassed", "skipped", "xfailed", "failed", "error"])
NAMES = st.sampled_from([f"tests/test_{file}.py::test_{test}" for file in "abc" for test in "xy"])
FILES = st.sampled_from([f"tests/test_{file}.py" for file in "abcd"])
RUNS = st.builds(
    lambda outcomes, lost: run_of(outcomes, collection_errors=lost),
    st.dictionaries(NAMES, OUTCOMES),
    st.dictionaries(FILES, st.just("boom")),
)


def coverage(outcomes: dict[str, str], other: dict[str, str] | None = None, *lost: str) -> SuiteCoverage:
    errors = dict.fromkeys(lost, "boom")
    return measure_coverage(
        run_of(outcomes, collection_errors=errors), run_of(other or outcomes, "3.9", collection_errors=errors)
    )


def test_a_suite_that_passes_proves_all() -> None:
    found = coverage({"a.py::x": "passed", "b.py::y": "passed"})

    assert (found.files, found.share, found.gaps, found.summary) == (2, 1.0, "", "")


def test_a_file_that_no_side_can_collect_proves_nothing() -> None:
    found = coverage({"a.py::x": "passed"}, None, "b.py", "c.py")

    assert (found.files, found.uncollected) == (3, ("b.py", "c.py"))
    assert found.summary == "1 of 1 test ran; 2 of 3 test files cannot be collected on either side"


def test_a_file_in_which_no_test_passes_on_either_side_proves_nothing() -> None:
    found = coverage({"a.py::x": "passed", "b.py::y": "failed", "c.py::z": "failed"}, {"c.py::z": "passed"})

    assert (found.files, found.failing) == (3, ("b.py",))
    assert found.gaps == "1 of 3 test files has no test that passes"


def test_a_file_that_ci_deselects_is_no_gap_beside_tests_that_pass() -> None:
    """Where nothing passes, it is one: then the suite proves nothing."""
    run, nothing = run_of({"a.py::x": "passed", "b.py::y": "failed"}), run_of({"b.py::y": "failed"})

    assert measure_coverage(run, run, ("b.py",)).share == 1.0
    assert measure_coverage(run, run, ("b.py",)).files == 1
    assert measure_coverage(nothing, nothing, ("b.py",)).share == 0.0


def test_a_file_that_one_side_collects_is_compared() -> None:
    found = measure_coverage(run_of({}, collection_errors={"a.py": "boom"}), run_of({"a.py::x": "passed"}, "3.9"))

    assert (found.files, found.uncollected) == (1, ())


def test_what_the_suite_skips_itself_is_no_file_that_fails() -> None:
    found = coverage({"a.py::x": "passed", "b.py::y": "skipped"})

    assert (found.files, found.share, found.summary) == (1, 1.0, "1 of 2 tests ran")


@pytest.mark.parametrize(
    ("name", "collector", "file"),
    [
        ("tests/test_a.py::C::test_x", False, "tests/test_a.py"),
        ("tests/test_a.py", True, "tests/test_a.py"),
        ("tests", True, "tests"),
        (".", True, "."),
        ("tests.test_a.Names.test_x", False, "tests.test_a"),
        ("tests.test_a", True, "tests.test_a"),
        ("setUpClass (tests.test_a.Names)", True, "tests.test_a"),
        ("setUpModule (tests.test_a)", True, "tests.test_a"),
    ],
)
def test_the_file_of_a_test(name: str, collector: bool, file: str) -> None:
    assert file_of_test(name, collector=collector) == file


@given(RUNS, RUNS)
def test_the_share_is_one_of_a_whole(run: SuiteRun, other: SuiteRun) -> None:
    measured = measure_coverage(run, other)

    assert 0 <= measured.share <= 1
    assert measured.tests_run <= measured.tests
    assert not set(measured.uncollected).intersection(measured.failing)
    assert (measured.share == 1) is (not measured.gaps)


@given(st.text(), st.booleans())
def test_any_id_has_a_file(name: str, collector: bool) -> None:
    assert isinstance(file_of_test(name, collector=collector), str)
