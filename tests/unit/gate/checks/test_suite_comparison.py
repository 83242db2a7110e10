"""Two runs of one suite, test by test, and what holds when it is run again."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import SuiteComparison, SuiteRun, TestResult
from pytest_py312.gate.checks.suite_comparison import Again, compare, confirm, covers, first_bad
from tests.support.fakes import run_of

OLD, NEW = Interpreter(3, 9), Interpreter(3, 12)
A, B, C = "tests/test_x.py::test_a", "tests/test_x.py::test_b", "tests/test_y.py::test_c"
GROUPS = ("newly_failing", "missing", "fixed", "failing_on_both", "flaky")


def sides(before: dict[str, str], after: dict[str, str]) -> tuple[SuiteRun, SuiteRun]:
    return run_of(before, "3.9"), run_of(after, "3.12")


def groups(found: SuiteComparison) -> dict[str, tuple[str, ...]]:
    """The groups that are not empty."""
    return {name: members for name in GROUPS if (members := getattr(found, name))}


# ---- one test on both sides

ABSENT = ""
TABLE = [
    # baseline, target, the group
    ("passed", "passed", None),
    ("passed", "xpassed", None),
    ("xpassed", "passed", None),
    ("passed", "failed", "newly_failing"),
    ("passed", "error", "newly_failing"),
    ("xpassed", "failed", "newly_failing"),
    ("skipped", "failed", "newly_failing"),
    ("xfailed", "failed", "newly_failing"),
    ("xfailed", "error", "newly_failing"),
    (ABSENT, "failed", "newly_failing"),
    (ABSENT, "error", "newly_failing"),
    ("passed", "skipped", "missing"),
    ("passed", "xfailed", "missing"),
    ("passed", ABSENT, "missing"),
    ("xpassed", ABSENT, "missing"),
    ("failed", "passed", "fixed"),
    ("error", "passed", "fixed"),
    ("failed", "xpassed", "fixed"),
    ("failed", "failed", "failing_on_both"),
    ("failed", "error", "failing_on_both"),
    ("error", "failed", "failing_on_both"),
    ("failed", ABSENT, "failing_on_both"),
    ("failed", "skipped", None),
    ("failed", "xfailed", None),
    ("skipped", "skipped", None),
    ("skipped", "passed", None),
    ("skipped", ABSENT, None),
    ("xfailed", "xfailed", None),
    ("xfailed", ABSENT, None),
    (ABSENT, "passed", None),
    (ABSENT, "skipped", None),
]


@pytest.mark.parametrize(("before", "after", "group"), TABLE)
def test_each_pair_of_ends_has_its_group(before: str, after: str, group: str | None) -> None:
    runs = [{A: end} if end != ABSENT else {} for end in (before, after)]

    found = compare("s", *sides(*runs))

    assert groups(found) == ({group: (A,)} if group else {})
    assert found.new == ((A,) if before == ABSENT else ())


def test_the_comparison_says_whose_it_is_and_counts_both_sides() -> None:
    found = compare("user-service", *sides({A: "passed", B: "skipped"}, {A: "failed", B: "skipped"}))

    assert (found.service, found.baseline, found.target) == ("user-service", OLD, NEW)
    assert found.counts == {OLD: {"passed": 1, "skipped": 1}, NEW: {"failed": 1, "skipped": 1}}


# ---- files that cannot be collected


def test_a_file_that_is_lost_on_the_target_takes_its_tests_along() -> None:
    before, after = sides({A: "passed", B: "passed", C: "passed"}, {C: "passed"})

    found = compare("s", before, replace(after, collection_errors={"tests/test_x.py": "boom"}))

    assert groups(found) == {"missing": (A, B)}


def test_a_lost_file_of_which_no_test_is_known_stands_for_itself() -> None:
    before, after = sides({C: "passed"}, {C: "passed"})

    found = compare("s", before, replace(after, collection_errors={"tests/test_x.py": "boom"}))

    assert groups(found) == {"newly_failing": ("tests/test_x.py",)}


def test_a_file_that_is_lost_on_both_is_as_bad_before() -> None:
    lost = {"tests/test_x.py": "boom"}
    before, after = sides({C: "passed"}, {C: "passed"})

    found = compare("s", replace(before, collection_errors=lost), replace(after, collection_errors=lost))

    assert groups(found) == {"failing_on_both": ("tests/test_x.py",)}


def test_tests_of_a_file_that_the_baseline_could_not_collect_cannot_be_new_failures() -> None:
    before, after = sides({C: "passed"}, {C: "passed", A: "failed", B: "passed"})

    found = compare("s", replace(before, collection_errors={"tests/test_x.py": "boom"}), after)

    assert groups(found) == {"failing_on_both": (A,), "fixed": ("tests/test_x.py",)}


@pytest.mark.parametrize(
    ("place", "name", "expected"),
    [
        (".", A, True),
        ("tests/test_x.py", A, True),
        ("tests", A, True),
        ("tests/test_x.py", C, False),
        ("tests/test_x.p", A, False),
        ("test_x", "test_x.Case.test_a", True),
        ("tests.test_x", "tests.test_x.Case.test_a", True),
        ("tests.test_x", "tests.test_xy.Case.test_a", False),
        (A, A, True),
    ],
)
def test_a_place_covers_what_comes_from_it(place: str, name: str, expected: bool) -> None:
    assert covers(place, name) is expected


# ---- confirmation


class Rerunning:
    """An ``again`` that answers from a function and writes down what it was asked."""

    def __init__(self, answer: Callable[[Interpreter, int, tuple[str, ...]], SuiteRun]) -> None:
        self.asked: list[tuple[str, int, tuple[str, ...]]] = []
        self._answer = answer

    def __call__(self, interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        self.asked.append((str(interpreter), attempt, select))
        return self._answer(interpreter, attempt, select)


def repeating(before: SuiteRun, after: SuiteRun) -> Rerunning:
    """The first results once more."""

    def answer(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        run = before if interpreter == before.interpreter else after
        if not select:
            return run
        chosen = {name: result for name, result in run.results.items() if any(covers(place, name) for place in select)}
        lost = {place: detail for place, detail in run.collection_errors.items() if place in select}
        return replace(run, results=chosen, collection_errors=lost)

    return Rerunning(answer)


def ending(outcome: str, *names: str) -> Rerunning:
    """Whatever is asked for ends so; ``names`` are the whole suite."""

    def answer(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        chosen = [name for name in names if not select or any(covers(place, name) for place in select)]
        return run_of(dict.fromkeys(chosen, outcome), str(interpreter))

    return Rerunning(answer)


def confirmed(before: SuiteRun, after: SuiteRun, again: Again, reruns: int = 2) -> SuiteComparison:
    return confirm(compare("s", before, after), before, after, again, reruns)


def test_a_true_regression_is_run_twice_on_both_sides_and_holds() -> None:
    before, after = sides({A: "passed", B: "passed"}, {A: "failed", B: "passed"})
    again = repeating(before, after)

    assert groups(confirmed(before, after, again)) == {"newly_failing": (A,)}
    assert again.asked == [("3.12", 1, (A,)), ("3.9", 1, (A,)), ("3.12", 2, (A,)), ("3.9", 2, (A,))]


def test_what_passes_when_run_again_is_flaky() -> None:
    before, after = sides({A: "passed"}, {A: "failed"})

    assert groups(confirmed(before, after, ending("passed", A))) == {"flaky": (A,)}


def test_what_passes_in_the_second_rerun_only_is_flaky_as_well() -> None:
    before, after = sides({A: "passed"}, {A: "failed"})
    again = Rerunning(
        lambda interpreter, attempt, select: run_of(
            {A: "failed" if interpreter == NEW and attempt == 1 and select else "passed"}, str(interpreter)
        )
    )

    assert groups(confirmed(before, after, again)) == {"flaky": (A,)}


def test_what_the_baseline_fails_as_well_when_run_again_is_flaky() -> None:
    before, after = sides({A: "passed"}, {A: "failed"})

    assert groups(confirmed(before, after, ending("failed", A))) == {"flaky": (A,)}


def test_what_fails_in_company_only_is_still_a_regression() -> None:
    """A test that needs the others around it to fail: alone it passes, in the whole suite it fails each time."""
    before, after = sides({A: "passed", B: "passed"}, {A: "failed", B: "passed"})
    again = Rerunning(
        lambda interpreter, _, select: (
            run_of({A: "passed"}, str(interpreter)) if select else (after if interpreter == NEW else before)
        )
    )

    assert groups(confirmed(before, after, again)) == {"newly_failing": (A,)}


def test_ids_that_change_from_run_to_run_are_judged_by_the_whole_suite() -> None:
    """pytest refuses an id that is not there (exit code 4), so nothing can be asked for by name."""
    before, after = sides({A: "passed"}, {A: "failed"})
    refused = replace(run_of({}, "3.12"), complete=False, trouble="pytest was called wrongly")
    again = Rerunning(lambda interpreter, _, select: refused if select else (after if interpreter == NEW else before))

    assert groups(confirmed(before, after, again)) == {"newly_failing": (A,)}
    assert ("3.12", 1, ()) in again.asked


def test_what_cannot_be_run_again_at_all_is_not_refuted() -> None:
    before, after = sides({A: "passed"}, {A: "failed"})
    broken = replace(run_of({}, "3.12"), complete=False, trouble="time limit")

    assert groups(confirmed(before, after, Rerunning(lambda *_: broken))) == {"newly_failing": (A,)}


def test_a_lost_file_is_collected_again() -> None:
    before, after = sides({A: "passed", C: "passed"}, {C: "passed"})
    after = replace(after, collection_errors={"tests/test_x.py": "boom"})
    again = repeating(before, after)

    assert groups(confirmed(before, after, again)) == {"missing": (A,)}
    assert again.asked[0] == ("3.12", 1, ("tests/test_x.py",))
    assert again.asked[1] == ("3.9", 1, (A,))


def test_a_lost_file_without_known_tests_is_collected_again() -> None:
    before, after = sides({C: "passed"}, {C: "passed"})
    after = replace(after, collection_errors={"tests/test_x.py": "boom"})

    assert groups(confirmed(before, after, repeating(before, after))) == {"newly_failing": ("tests/test_x.py",)}
    assert groups(confirmed(before, after, ending("passed", C))) == {"flaky": ("tests/test_x.py",)}


def test_a_test_that_the_target_skips_holds_when_it_is_skipped_again() -> None:
    before, after = sides({A: "passed"}, {A: "skipped"})

    assert groups(confirmed(before, after, repeating(before, after))) == {"missing": (A,)}


def test_a_failing_test_that_the_baseline_does_not_know_holds() -> None:
    before, after = sides({B: "passed"}, {A: "failed", B: "passed"})

    assert groups(confirmed(before, after, repeating(before, after))) == {"newly_failing": (A,)}


def test_without_reruns_the_first_word_stands() -> None:
    before, after = sides({A: "passed"}, {A: "failed"})
    again = ending("passed", A)

    assert groups(confirmed(before, after, again, reruns=0)) == {"newly_failing": (A,)}
    assert again.asked == []


def test_without_suspects_nothing_is_run_again() -> None:
    before, after = sides({A: "passed", B: "failed"}, {A: "passed", B: "failed"})
    again = ending("failed", A)

    assert groups(confirmed(before, after, again)) == {"failing_on_both": (B,)}
    assert again.asked == []


# ---- the first bad interpreter


def test_the_first_interpreter_on_which_it_shows_is_named() -> None:
    before = run_of({A: "passed", B: "passed"}, "3.9")
    between = run_of({A: "failed", B: "passed"}, "3.10")
    after = run_of({A: "failed", B: "skipped"}, "3.12")

    found = first_bad(compare("s", before, after), [between, after])

    assert found == {A: Interpreter(3, 10), B: NEW}


def test_a_file_that_is_lost_in_between_is_bad_from_there() -> None:
    before = run_of({A: "passed"}, "3.9")
    lost = {"tests/test_x.py": "boom"}
    between, after = (replace(run_of({}, text), collection_errors=lost) for text in ("3.10", "3.12"))

    assert first_bad(compare("s", before, after), [between, after]) == {A: Interpreter(3, 10)}


# ---- what holds for all runs

ENDS = st.sampled_from(("passed", "failed", "error", "skipped", "xfailed", "xpassed"))
NAMES = st.sampled_from([f"tests/test_{file}.py::test_{number}" for file in "ab" for number in range(3)])
LOST = st.dictionaries(st.sampled_from(("tests/test_a.py", "tests/test_c.py", ".")), st.just("boom"), max_size=2)


@st.composite
def runs(draw: st.DrawFn, interpreter: str) -> SuiteRun:
    """A run as pytest would tell it: of a file that cannot be collected there are no results."""
    lost = draw(LOST)
    ends = draw(st.dictionaries(NAMES, ENDS, max_size=6))
    results = {
        name: TestResult(id=name, outcome=end)
        for name, end in ends.items()
        if not any(covers(place, name) for place in lost if place != ".")
    }
    return replace(run_of({}, interpreter), results=results, collection_errors=lost)


@given(runs("3.9"), runs("3.12"))
def test_every_test_is_in_one_group_at_most(before: SuiteRun, after: SuiteRun) -> None:
    found = compare("s", before, after)

    members = [name for group in GROUPS for name in getattr(found, group)]
    assert len(members) == len(set(members))


@given(runs("3.9"))
def test_a_run_is_no_worse_than_itself(run: SuiteRun) -> None:
    found = compare("s", run, replace(run, interpreter=NEW))

    assert (found.newly_failing, found.missing, found.fixed, found.new) == ((), (), (), ())


@given(runs("3.9"), runs("3.12"))
def test_nothing_that_ran_well_gets_lost(before: SuiteRun, after: SuiteRun) -> None:
    """What passed on the baseline passes on the target, or blocks: by itself or by its file."""
    found = compare("s", before, after)

    for name, result in before.results.items():
        if result.ran_well and not (name in after.results and after.results[name].ran_well):
            assert name in (*found.newly_failing, *found.missing)


@given(runs("3.9"), runs("3.12"), st.data())
def test_a_confirmation_only_ever_takes_away(before: SuiteRun, after: SuiteRun, data: st.DataObject) -> None:
    """Whatever the further runs say, nothing new becomes a regression and nothing is dropped unsaid."""
    first = compare("s", before, after)

    def answer(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        return replace(data.draw(runs(str(interpreter))), complete=data.draw(st.booleans()))

    second = confirm(first, before, after, answer, reruns=2)

    assert set(second.newly_failing) <= set(first.newly_failing)
    assert set(second.missing) <= set(first.missing)
    assert {*second.newly_failing, *second.missing, *second.flaky} == {*first.newly_failing, *first.missing}


@given(runs("3.9"), runs("3.12"))
def test_what_repeats_itself_is_confirmed(before: SuiteRun, after: SuiteRun) -> None:
    first = compare("s", before, after)

    assert confirm(first, before, after, repeating(before, after), reruns=2) == first


@given(runs("3.9"), runs("3.12"))
def test_what_then_always_passes_is_flaky(before: SuiteRun, after: SuiteRun) -> None:
    first = compare("s", before, after)
    names = [*before.results, *after.results]

    second = confirm(first, before, after, ending("passed", *names), reruns=2)

    assert (second.newly_failing, second.missing) == ((), ())
    assert set(second.flaky) == {*first.newly_failing, *first.missing}
