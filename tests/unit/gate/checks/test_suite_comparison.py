"""Comparing two runs of a suite, and confirming the result by reruns."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import SuiteComparison, SuiteRun, TestResult
from pytest_py312.gate.checks.suite_comparison import (
    Rerun,
    compare_runs,
    confirm_regressions,
    covers,
    find_first_bad,
)
from pytest_py312.gate.checks.suite_pairing import pair_runs
from pytest_py312.runners.suite_ids import function_of
from tests.support.fakes import run_of

OLD, NEW = Interpreter(3, 9), Interpreter(3, 12)
A, B, C = "tests/test_x.py::test_a", "tests/test_x.py::test_b", "tests/test_y.py::test_c"
GROUPS = ("newly_failing", "missing", "fixed", "failing_on_both", "flaky")


def sides(baseline: dict[str, str], target: dict[str, str]) -> tuple[SuiteRun, SuiteRun]:
    return run_of(baseline, "3.9"), run_of(target, "3.12")


def groups(found: SuiteComparison) -> dict[str, tuple[str, ...]]:
    """Return the groups that are not empty."""
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


@pytest.mark.parametrize(("baseline", "target", "group"), TABLE)
def test_each_pair_of_outcomes_has_its_group(baseline: str, target: str, group: str | None) -> None:
    runs = [{A: end} if end != ABSENT else {} for end in (baseline, target)]

    found = compare_runs("s", *sides(*runs))

    assert groups(found) == ({group: (A,)} if group else {})
    assert found.new == ((A,) if baseline == ABSENT else ())


def test_the_comparison_names_its_service_and_counts_both_sides() -> None:
    found = compare_runs("user-service", *sides({A: "passed", B: "skipped"}, {A: "failed", B: "skipped"}))

    assert (found.service, found.baseline, found.target) == ("user-service", OLD, NEW)
    assert found.counts == {OLD: {"passed": 1, "skipped": 1}, NEW: {"failed": 1, "skipped": 1}}


# ---- files that cannot be collected


def test_the_tests_of_a_file_that_the_target_cannot_collect_are_missing() -> None:
    baseline, target = sides({A: "passed", B: "passed", C: "passed"}, {C: "passed"})

    found = compare_runs("s", baseline, replace(target, collection_errors={"tests/test_x.py": "boom"}))

    assert groups(found) == {"missing": (A, B)}


def test_a_lost_file_without_known_tests_is_newly_failing() -> None:
    baseline, target = sides({C: "passed"}, {C: "passed"})

    found = compare_runs("s", baseline, replace(target, collection_errors={"tests/test_x.py": "boom"}))

    assert groups(found) == {"newly_failing": ("tests/test_x.py",)}


def test_a_file_that_is_lost_on_both_is_not_compared() -> None:
    lost = {"tests/test_x.py": "boom"}
    baseline, target = sides({C: "passed"}, {C: "passed"})

    found = compare_runs("s", replace(baseline, collection_errors=lost), replace(target, collection_errors=lost))

    assert groups(found) == {}
    assert found.uncollected == ("tests/test_x.py",)


def test_tests_of_a_file_that_the_baseline_could_not_collect_cannot_be_new_failures() -> None:
    baseline, target = sides({C: "passed"}, {C: "passed", A: "failed", B: "passed"})

    found = compare_runs("s", replace(baseline, collection_errors={"tests/test_x.py": "boom"}), target)

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
def test_a_collector_covers_its_tests(place: str, name: str, expected: bool) -> None:
    assert covers(place, name) is expected


# ---- confirmation


class RecordingRerun:
    """A ``rerun`` that answers from a function and records its calls."""

    def __init__(self, answer: Callable[[Interpreter, int, tuple[str, ...]], SuiteRun]) -> None:
        self.asked: list[tuple[str, int, tuple[str, ...]]] = []
        self._answer = answer

    def __call__(self, interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        self.asked.append((str(interpreter), attempt, select))
        return self._answer(interpreter, attempt, select)


def repeating(baseline: SuiteRun, target: SuiteRun) -> RecordingRerun:
    """Return the first results again."""

    def answer(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        run = baseline if interpreter == baseline.interpreter else target
        if not select:
            return run
        chosen = {
            name: result
            for name, result in run.results.items()
            if function_of(name) in select or any(covers(place, name) for place in select)
        }
        lost = {place: detail for place, detail in run.collection_errors.items() if place in select}
        return replace(run, results=chosen, collection_errors=lost)

    return RecordingRerun(answer)


def ending(outcome: str, *names: str) -> RecordingRerun:
    """Return runs in which all selected tests end with ``outcome``; ``names`` are the whole suite."""

    def answer(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        chosen = [name for name in names if not select or any(covers(place, name) for place in select)]
        return run_of(dict.fromkeys(chosen, outcome), str(interpreter))

    return RecordingRerun(answer)


def confirmed(baseline: SuiteRun, target: SuiteRun, rerun: Rerun, reruns: int = 2) -> SuiteComparison:
    return confirm_regressions(compare_runs("s", baseline, target), baseline, target, rerun, reruns)


def test_a_true_regression_is_rerun_twice_on_both_sides_and_confirmed() -> None:
    baseline, target = sides({A: "passed", B: "passed"}, {A: "failed", B: "passed"})
    rerun = repeating(baseline, target)

    assert groups(confirmed(baseline, target, rerun)) == {"newly_failing": (A,)}
    assert rerun.asked == [("3.12", 1, (A,)), ("3.9", 1, (A,)), ("3.12", 2, (A,)), ("3.9", 2, (A,))]


def test_a_suspect_that_passes_when_rerun_is_flaky() -> None:
    baseline, target = sides({A: "passed"}, {A: "failed"})

    assert groups(confirmed(baseline, target, ending("passed", A))) == {"flaky": (A,)}


def test_a_suspect_that_passes_in_the_second_rerun_only_is_flaky_as_well() -> None:
    baseline_run, target_run = sides({A: "passed"}, {A: "failed"})
    rerun = RecordingRerun(
        lambda interpreter, attempt, select: run_of(
            {A: "failed" if interpreter == NEW and attempt == 1 and select else "passed"}, str(interpreter)
        )
    )

    assert groups(confirmed(baseline_run, target_run, rerun)) == {"flaky": (A,)}


def test_a_suspect_that_the_baseline_fails_when_rerun_is_flaky() -> None:
    baseline, target = sides({A: "passed"}, {A: "failed"})

    assert groups(confirmed(baseline, target, ending("failed", A))) == {"flaky": (A,)}


def test_a_failure_only_in_the_whole_suite_is_still_a_regression() -> None:
    """A test that fails together with others: alone it passes, in the whole suite it fails each time."""
    baseline_run, target_run = sides({A: "passed", B: "passed"}, {A: "failed", B: "passed"})
    rerun = RecordingRerun(
        lambda interpreter, _, select: (
            run_of({A: "passed"}, str(interpreter)) if select else (target_run if interpreter == NEW else baseline_run)
        )
    )

    assert groups(confirmed(baseline_run, target_run, rerun)) == {"newly_failing": (A,)}


def test_ids_that_change_between_runs_are_compared_by_the_whole_suite() -> None:
    """pytest refuses an id that does not exist (exit code 4), so tests cannot be selected."""
    baseline_run, target_run = sides({A: "passed"}, {A: "failed"})
    refused = replace(run_of({}, "3.12"), complete=False, incomplete_reason="pytest was called wrongly")
    rerun = RecordingRerun(
        lambda interpreter, _, select: refused if select else (target_run if interpreter == NEW else baseline_run)
    )

    assert groups(confirmed(baseline_run, target_run, rerun)) == {"newly_failing": (A,)}
    assert ("3.12", 1, ()) in rerun.asked


def test_a_suspect_that_cannot_be_rerun_is_confirmed() -> None:
    baseline, target = sides({A: "passed"}, {A: "failed"})
    broken = replace(run_of({}, "3.12"), complete=False, incomplete_reason="time limit")

    assert groups(confirmed(baseline, target, RecordingRerun(lambda *_: broken))) == {"newly_failing": (A,)}


def test_a_lost_file_is_collected_again() -> None:
    baseline_run, target_run = sides({A: "passed", C: "passed"}, {C: "passed"})
    target_run = replace(target_run, collection_errors={"tests/test_x.py": "boom"})
    rerun = repeating(baseline_run, target_run)

    assert groups(confirmed(baseline_run, target_run, rerun)) == {"missing": (A,)}
    assert rerun.asked[0] == ("3.12", 1, ("tests/test_x.py",))
    assert rerun.asked[1] == ("3.9", 1, (A,))


def test_a_lost_file_without_known_tests_is_collected_again() -> None:
    baseline_run, target_run = sides({C: "passed"}, {C: "passed"})
    target_run = replace(target_run, collection_errors={"tests/test_x.py": "boom"})

    assert groups(confirmed(baseline_run, target_run, repeating(baseline_run, target_run))) == {
        "newly_failing": ("tests/test_x.py",)
    }
    assert groups(confirmed(baseline_run, target_run, ending("passed", C))) == {"flaky": ("tests/test_x.py",)}


def test_a_test_that_the_target_skips_again_is_confirmed() -> None:
    baseline, target = sides({A: "passed"}, {A: "skipped"})

    assert groups(confirmed(baseline, target, repeating(baseline, target))) == {"missing": (A,)}


def test_a_failing_test_that_the_baseline_lacks_is_confirmed() -> None:
    baseline, target = sides({B: "passed"}, {A: "failed", B: "passed"})

    assert groups(confirmed(baseline, target, repeating(baseline, target))) == {"newly_failing": (A,)}


def test_without_reruns_nothing_changes() -> None:
    baseline, target = sides({A: "passed"}, {A: "failed"})
    rerun = ending("passed", A)

    assert groups(confirmed(baseline, target, rerun, reruns=0)) == {"newly_failing": (A,)}
    assert rerun.asked == []


def test_without_suspects_nothing_is_rerun() -> None:
    baseline, target = sides({A: "passed", B: "failed"}, {A: "passed", B: "failed"})
    rerun = ending("failed", A)

    assert groups(confirmed(baseline, target, rerun)) == {"failing_on_both": (B,)}
    assert rerun.asked == []


# ---- the first bad interpreter


def test_the_first_interpreter_with_the_regression_is_named() -> None:
    baseline_run = run_of({A: "passed", B: "passed"}, "3.9")
    between = run_of({A: "failed", B: "passed"}, "3.10")
    target_run = run_of({A: "failed", B: "skipped"}, "3.12")

    found = find_first_bad(compare_runs("s", baseline_run, target_run), [between, target_run])

    assert found == {A: Interpreter(3, 10), B: NEW}


def test_a_file_that_an_intermediate_interpreter_loses_is_bad_from_there() -> None:
    baseline_run = run_of({A: "passed"}, "3.9")
    lost = {"tests/test_x.py": "boom"}
    between, target_run = (replace(run_of({}, text), collection_errors=lost) for text in ("3.10", "3.12"))

    assert find_first_bad(compare_runs("s", baseline_run, target_run), [between, target_run]) == {A: Interpreter(3, 10)}


def test_a_test_that_has_another_id_on_an_intermediate_interpreter_is_not_missing_there() -> None:
    runs = sides(cases({"K.A": "passed"}), cases({"1": "skipped"}))
    pairs = pair_runs(*runs, repeating(*runs), 2)
    between = [run_of(cases({"K.A": "passed"}), "3.10"), run_of(cases({"1": "passed"}), "3.11")]

    first = compare_runs("s", pairs.baseline, pairs.target)

    assert find_first_bad(first, [*between, pairs.target]) == dict.fromkeys(cases({"1": ""}), NEW)


# ---- what holds for all runs

ENDS = st.sampled_from(("passed", "failed", "error", "skipped", "xfailed", "xpassed"))
NAMES = st.sampled_from([f"tests/test_{file}.py::test_{number}" for file in "ab" for number in range(3)])
LOST = st.dictionaries(st.sampled_from(("tests/test_a.py", "tests/test_c.py", ".")), st.just("boom"), max_size=2)


@st.composite
def runs(draw: st.DrawFn, interpreter: str) -> SuiteRun:
    """Draw a run as pytest would report it: a file that cannot be collected has no results."""
    lost = draw(LOST)
    ends = draw(st.dictionaries(NAMES, ENDS, max_size=6))
    results = {
        name: TestResult(id=name, outcome=end)
        for name, end in ends.items()
        if not any(covers(place, name) for place in lost if place != ".")
    }
    return replace(run_of({}, interpreter), results=results, collection_errors=lost)


@given(runs("3.9"), runs("3.12"))
def test_every_test_is_in_one_group_at_most(baseline: SuiteRun, target: SuiteRun) -> None:
    found = compare_runs("s", baseline, target)

    members = [name for group in GROUPS for name in getattr(found, group)]
    assert len(members) == len(set(members))


@given(runs("3.9"))
def test_a_run_is_no_worse_than_itself(run: SuiteRun) -> None:
    found = compare_runs("s", run, replace(run, interpreter=NEW))

    assert (found.newly_failing, found.missing, found.fixed, found.new) == ((), (), (), ())


@given(runs("3.9"), runs("3.12"))
def test_no_passed_test_gets_lost(baseline: SuiteRun, target: SuiteRun) -> None:
    """A test that passed on the baseline passes on the target, or blocks: by itself or with its file."""
    comparison = compare_runs("s", baseline, target)

    for name, result in baseline.results.items():
        if result.is_passing and not (name in target.results and target.results[name].is_passing):
            assert name in (*comparison.newly_failing, *comparison.missing)


@given(runs("3.9"), runs("3.12"), st.data())
def test_a_confirmation_adds_no_regressions(baseline: SuiteRun, target: SuiteRun, data: st.DataObject) -> None:
    """Whatever the reruns report, nothing new becomes a regression and nothing is dropped silently."""
    first = compare_runs("s", baseline, target)

    def answer(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        return replace(data.draw(runs(str(interpreter))), complete=data.draw(st.booleans()))

    second = confirm_regressions(first, baseline, target, answer, reruns=2)

    assert set(second.newly_failing) <= set(first.newly_failing)
    assert set(second.missing) <= set(first.missing)
    assert {*second.newly_failing, *second.missing, *second.flaky} == {*first.newly_failing, *first.missing}


@given(runs("3.9"), runs("3.12"))
def test_repeated_results_are_confirmed(baseline: SuiteRun, target: SuiteRun) -> None:
    first = compare_runs("s", baseline, target)

    assert confirm_regressions(first, baseline, target, repeating(baseline, target), reruns=2) == first


@given(runs("3.9"), runs("3.12"))
def test_suspects_that_always_pass_in_reruns_are_flaky(baseline: SuiteRun, target: SuiteRun) -> None:
    first = compare_runs("s", baseline, target)
    names = [*baseline.results, *target.results]

    second = confirm_regressions(first, baseline, target, ending("passed", *names), reruns=2)

    assert (second.newly_failing, second.missing) == ((), ())
    assert set(second.flaky) == {*first.newly_failing, *first.missing}


# ---- ids that differ between the sides


def paired_groups(baseline: SuiteRun, target: SuiteRun, rerun: Rerun) -> dict[str, tuple[str, ...]]:
    pairs = pair_runs(baseline, target, rerun, 2)
    first = compare_runs("s", pairs.baseline, pairs.target)
    return groups(confirm_regressions(first, pairs.baseline, pairs.target, pairs.rerun, 2))


def random_ids(outcomes: dict[str, list[str]]) -> RecordingRerun:
    """Return runs in which the tests of ``t.py::test_r`` have other ids each time; the outcomes are by interpreter."""
    numbers = count()

    def answer(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        assert set(select) <= {"t.py::test_r"}, "an id of an earlier run was selected"
        found = outcomes[str(interpreter)]
        return run_of({f"t.py::test_r[{next(numbers)}]": outcome for outcome in found}, str(interpreter))

    return RecordingRerun(answer)


@pytest.mark.parametrize(
    ("baseline", "target", "expected"),
    [
        (["passed", "passed"], ["passed", "passed"], {}),
        (["passed", "passed"], ["passed", "failed"], {"newly_failing": ("t.py::test_r[<unpaired 2>]",)}),
        (["passed", "failed"], ["failed", "failed"], {"newly_failing": 1, "failing_on_both": 1}),
        (["failed", "passed"], ["passed", "failed"], {"failing_on_both": ("t.py::test_r[<unpaired 2>]",)}),
        (["passed", "passed"], ["passed"], {"missing": ("t.py::test_r[<unpaired 2>]",)}),
        (["passed", "passed"], ["passed", "skipped"], {"missing": ("t.py::test_r[<unpaired 2>]",)}),
        (["passed"], ["passed", "passed"], {}),
        (["passed"], ["passed", "failed"], {"newly_failing": ("t.py::test_r[<unpaired 2>]",)}),
    ],
)
def test_tests_with_random_ids_are_compared_by_number(
    baseline: list[str], target: list[str], expected: dict[str, Any]
) -> None:
    """A regression among them is confirmed, and not called flaky because its id never comes back."""
    rerun = random_ids({"3.9": baseline, "3.12": target})

    found = paired_groups(rerun(OLD, 0, ()), rerun(NEW, 0, ()), rerun)

    assert {kind: found[kind] if isinstance(expected.get(kind), tuple) else len(found[kind]) for kind in found} == (
        expected
    )


def test_what_cannot_be_paired_is_known() -> None:
    baseline, target = sides({"t.py::test_r[1]": "passed"}, {"t.py::test_r[2]": "passed"})

    pairs = pair_runs(baseline, target, random_ids({"3.9": ["passed"]}), 2)

    assert pairs.unpaired == {"t.py::test_r": (("t.py::test_r[1]",), ("t.py::test_r[2]",))}


def test_a_real_id_that_the_target_lacks_is_missing() -> None:
    """On the baseline it is the same in each run, and the one that only the target has is at another place."""
    baseline, target = sides(
        {"t.py::test_r[imp]": "passed", "t.py::test_r[io]": "passed"},
        {"t.py::test_r[io]": "passed", "t.py::test_r[new]": "passed"},
    )

    found = paired_groups(baseline, target, repeating(baseline, target))

    assert found == {"missing": ("t.py::test_r[imp]",)}


@pytest.mark.parametrize("text", ["{0}", "{0}.4", "py{1}", "cp{1}", "python{0}", "({2})", "({2}, 4)", "x-{0}-y"])
def test_an_id_with_the_version_of_its_interpreter_is_paired(text: str) -> None:
    old = f"t.py::test_r[{text.format('3.9', '39', '3, 9')}]"
    new = f"t.py::test_r[{text.format('3.12', '312', '3, 12')}]"
    baseline, target = sides({old: "passed"}, {new: "failed"})

    assert paired_groups(baseline, target, repeating(baseline, target)) == {"newly_failing": (new,)}


def cases(outcomes: dict[str, str]) -> dict[str, str]:
    return {f"t.py::test_r[{parameters}]": outcome for parameters, outcome in outcomes.items()}


@pytest.mark.parametrize(
    ("baseline", "target", "expected"),
    [
        ({"HTTPStatus.OK": "passed"}, {"200": "passed"}, {}),
        ({"a": "passed", "K.A": "passed", "b": "passed"}, {"a": "passed", "1": "passed", "b": "passed"}, {}),
        ({"TimeoutError": "passed", "timeout": "passed"}, {"TimeoutError0": "passed", "TimeoutError1": "passed"}, {}),
        ({"K.A": "passed", "K.B": "passed"}, {"1": "passed", "2": "failed"}, {"newly_failing": ["2"]}),
        ({"K.A": "passed", "K.B": "passed"}, {"1": "passed", "2": "skipped"}, {"missing": ["2"]}),
        ({"K.A": "skipped"}, {"1": "failed"}, {"newly_failing": ["1"]}),
        ({"K.A": "failed", "K.B": "passed"}, {"1": "failed", "2": "passed"}, {"failing_on_both": ["1"]}),
        ({"K.A": "failed"}, {"1": "passed"}, {"fixed": ["1"]}),
        # as many ids, but not at the same place; not as many
        ({"old": "passed", "a": "passed"}, {"a": "passed", "new": "passed"}, {"missing": ["old"]}),
        ({"K.A": "passed", "K.B": "passed"}, {"1": "passed"}, {"missing": ["K.A", "K.B"]}),
        ({"K.A": "passed"}, {"1": "passed", "2": "passed"}, {"missing": ["K.A"]}),
    ],
)
def test_cases_with_other_ids_on_the_target_are_paired_by_their_place(
    baseline: dict[str, str], target: dict[str, str], expected: dict[str, list[str]]
) -> None:
    runs = sides(cases(baseline), cases(target))

    assert paired_groups(*runs, repeating(*runs)) == {
        kind: tuple(cases(dict.fromkeys(ids, ""))) for kind, ids in expected.items()
    }


def test_a_paired_case_is_not_new() -> None:
    runs = sides(cases({"K.A": "passed"}), cases({"1": "passed"}))

    pairs = pair_runs(*runs, repeating(*runs), 2)

    assert compare_runs("s", pairs.baseline, pairs.target).new == ()


@pytest.mark.parametrize(
    ("baseline_detail", "target_detail", "outcome"),
    [
        ("E   OSError: no database", "E   TypeError: no keyword", "failed"),
        ("Skipped: no database", "Skipped: not on 3.12", "skipped"),
    ],
)
def test_cases_in_another_order_hide_no_regression(baseline_detail: str, target_detail: str, outcome: str) -> None:
    """What does not pass on either side may be two cases, if it has another reason."""
    a, b, one, two = cases(dict.fromkeys(("K.A", "K.B", "1", "2"), ""))
    baseline = run_of({a: outcome, b: "passed"}, "3.9", details={a: baseline_detail})
    target = run_of({two: outcome, one: "passed"}, "3.12", details={two: target_detail})

    assert paired_groups(baseline, target, repeating(baseline, target))["missing"] == (b,)


def test_a_paired_case_is_rerun_by_its_own_id_on_each_side() -> None:
    runs = sides(cases({"K.A": "passed"}), cases({"1": "failed"}))
    rerun = repeating(*runs)

    paired_groups(*runs, rerun)

    assert {(on, *select) for on, _, select in rerun.asked} == {
        ("3.9", "t.py::test_r"),
        ("3.9", "t.py::test_r[K.A]"),
        ("3.12", "t.py::test_r[1]"),
    }


def test_ids_with_the_versions_of_both_are_left_alone() -> None:
    baseline, target = sides(
        {"t.py::test_r[3.9]": "passed", "t.py::test_r[3.12]": "passed"},
        {"t.py::test_r[3.9]": "passed", "t.py::test_r[3.12]": "failed"},
    )

    assert paired_groups(baseline, target, repeating(baseline, target)) == {"newly_failing": ("t.py::test_r[3.12]",)}


def test_a_test_with_a_folder_of_the_run_in_its_id_is_rerun_by_its_function() -> None:
    name = "t.py::test_r[<scratch>/x]"
    baseline, target = sides({name: "passed"}, {name: "failed"})
    rerun = repeating(baseline, target)

    assert paired_groups(baseline, target, rerun) == {"newly_failing": (name,)}
    assert {select for _, _, select in rerun.asked} == {("t.py::test_r",)}
