"""Give the same test the same id in two runs of a suite, as far as that can be known.

Pure, except for the argument ``rerun``, which runs some tests of one side once more.
"""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import SuiteRun, TestResult
from pytest_py312.gate.checks.suite_comparison import Rerun, covering_collector, exception_line, sorted_unique
from pytest_py312.runners.suite_ids import UNPAIRED, function_of, selection_of

_SidesIds = tuple[tuple[str, ...], tuple[str, ...]]
"""Ids that only the baseline has, and ids that only the target has."""


@dataclass(frozen=True, kw_only=True)
class PairedRuns:
    """Two runs in which the same test has the same id, as far as that can be known.

    ``unpaired`` has the functions of which some tests cannot be paired, with the ids on each side. These tests are
    compared by their number: the k-th best of one side with the k-th best of the other.
    """

    baseline: SuiteRun
    target: SuiteRun
    rerun: Rerun
    unpaired: Mapping[str, _SidesIds] = field(default_factory=dict)


def pair_runs(baseline: SuiteRun, target: SuiteRun, rerun: Rerun, reruns: int) -> PairedRuns:
    """Give each test of the baseline the id that it has on the target.

    An id that names the version of its interpreter is paired with that of the other side. Functions of which each side
    has ids that the other has not are run once more on the baseline. If their ids are the same there again, they are
    real: those of both sides are paired by their place if they can only be the same cases, otherwise those that the
    target lacks are missing. Ids that differ in every run could not be selected for a rerun, and the tests of their
    function are compared by number.
    """
    renamed = _paired_by_version(baseline, target)
    suspected = _one_sided_ids(_rename(baseline, renamed), target)
    unstable = _unstable(suspected, baseline, rerun) if suspected and reruns else {}
    renamed |= _paired_by_place(_rename(baseline, renamed), target, suspected.keys() - unstable.keys())
    baseline = _rename(baseline, renamed)
    rerun = _renaming(rerun, renamed, baseline.interpreter)
    if not unstable:
        return PairedRuns(baseline=baseline, target=target, rerun=rerun)
    paired = frozenset(baseline.results).intersection(target.results)

    def rerun_by_number(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        return _number_tests(rerun(interpreter, attempt, select), unstable, paired)

    return PairedRuns(
        baseline=_number_tests(baseline, unstable, paired),
        target=_number_tests(target, unstable, paired),
        rerun=rerun_by_number,
        unpaired=unstable,
    )


def _unstable(suspected: Mapping[str, _SidesIds], baseline: SuiteRun, rerun: Rerun) -> dict[str, _SidesIds]:
    """Return those of the functions that have other ids when they are run again on the baseline."""
    again = rerun(baseline.interpreter, 1, sorted_unique(suspected))
    return {
        function: ids
        for function, ids in suspected.items()
        if not again.complete or not set(ids[0]).issubset(again.results)
    }


def _one_sided_ids(baseline: SuiteRun, target: SuiteRun) -> dict[str, _SidesIds]:
    """Return the functions of which each side has tests that the other has not, with their ids."""
    groups: dict[str, tuple[set[str], set[str]]] = {}
    for index, (side, other) in enumerate(((baseline, target), (target, baseline))):
        for name in side.results:
            function = function_of(name)
            if name not in other.results and function != name and not covering_collector(name, other.collection_errors):
                groups.setdefault(function, (set(), set()))[index].add(name)
    return {
        function: (tuple(sorted(ids[0])), tuple(sorted(ids[1])))
        for function, ids in groups.items()
        if ids[0] and ids[1]
    }


def _paired_by_version(baseline: SuiteRun, target: SuiteRun) -> dict[str, str]:
    """Map ids of the baseline to those of the target that are equal except for the version of their interpreter."""
    renamed: dict[str, str] = {}
    for ids in _one_sided_ids(baseline, target).values():
        without_version: dict[str, list[str]] = {}
        for name in ids[0]:
            without_version.setdefault(_without_version(name, baseline.interpreter), []).append(name)
        for name in ids[1]:
            candidates = without_version.get(_without_version(name, target.interpreter), [])
            if candidates:
                renamed[candidates.pop(0)] = name
    return renamed


def _paired_by_place(baseline: SuiteRun, target: SuiteRun, functions: Set[str]) -> dict[str, str]:
    """Map ids of the baseline to those of the target of functions whose cases only have other ids there.

    Such a function has as many cases on both sides, and what both sides have is at the same place: a case that one side
    lacks would move those after it. ``HTTPStatus.OK`` is ``200`` in ids since 3.11.
    """
    baseline_cases, target_cases = (_cases_of(run, functions) for run in (baseline, target))
    renamed: dict[str, str] = {}
    for function in functions:
        if len(baseline_cases[function]) != len(target_cases[function]):
            continue
        pairs = list(zip(baseline_cases[function], target_cases[function], strict=True))
        if all(
            old.id == new.id
            or (old.id not in target.results and new.id not in baseline.results and _may_be_same_case(old, new))
            for old, new in pairs
        ):
            renamed |= {old.id: new.id for old, new in pairs if old.id != new.id}
    return renamed


def _cases_of(run: SuiteRun, functions: Set[str]) -> dict[str, list[TestResult]]:
    """Return the parametrized tests of each function, in the order in which they ran."""
    cases: dict[str, list[TestResult]] = {function: [] for function in functions}
    for name, result in run.results.items():
        function = function_of(name)
        if function in cases and function != name:
            cases[function].append(result)
    return cases


def _may_be_same_case(baseline: TestResult, target: TestResult) -> bool:
    """Return whether no regression can be lost by pairing them: if neither passes, both have the same reason."""
    return baseline.is_passing or target.is_passing or _kind_of_failure(baseline) == _kind_of_failure(target)


def _kind_of_failure(result: TestResult) -> tuple[str, str]:
    """Return the outcome with the class of the exception or the reason of a skip."""
    return result.outcome, exception_line(result.detail).removeprefix("Skipped: ").partition(":")[0]


def _without_version(name: str, interpreter: Interpreter) -> str:
    """Return the id without the version of the interpreter: 3.12.1, 3.12, py312, cp312, python3.12, (3, 12)."""
    function, bracket, parameters = name.partition("[")
    major, minor = interpreter.major, interpreter.minor
    version = rf"(?<![\d.]){major}\.{minor}(?:\.\d+)?(?![\d.])|(?<=py){major}{minor}(?!\d)|(?<=cp){major}{minor}(?!\d)"
    return function + bracket + re.sub(rf"{version}|\({major}, {minor}(?:, \d+)?\)", "<version>", parameters)


def _rename(run: SuiteRun, names: Mapping[str, str]) -> SuiteRun:
    if not any(name in run.results for name in names):
        return run
    results = {names.get(name, name): result for name, result in run.results.items()}
    return replace(run, results={name: replace(result, id=name) for name, result in results.items()})


def _renaming(rerun: Rerun, names: Mapping[str, str], baseline: Interpreter) -> Rerun:
    """Return ``rerun`` for ids of the target that the baseline knows by another name."""
    if not names:
        return rerun
    baseline_names = {name: baseline_name for baseline_name, name in names.items()}

    def rerun_renamed(interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        if interpreter != baseline:
            return rerun(interpreter, attempt, select)
        selected = sorted_unique(selection_of(baseline_names.get(name, name)) or name for name in select)
        return _rename(rerun(interpreter, attempt, selected), names)

    return rerun_renamed


_BEST_FIRST = ("passed", "xpassed", "skipped", "xfailed", "failed", "error")


def _number_tests(run: SuiteRun, functions: Iterable[str], paired: frozenset[str]) -> SuiteRun:
    """Return the run with numbers, the best result first, for the tests of ``functions`` that are not ``paired``."""
    chosen = set(functions)
    results = {}
    unpaired: dict[str, list[TestResult]] = {}
    for name, result in run.results.items():
        function = function_of(name)
        if function in chosen and function != name and name not in paired:
            unpaired.setdefault(function, []).append(result)
        else:
            results[name] = result
    for function, tests in unpaired.items():
        ordered = sorted(tests, key=lambda result: (_BEST_FIRST.index(result.outcome), result.id))
        for number, result in enumerate(ordered, 1):
            name = f"{function}[{UNPAIRED}{number}>]"
            results[name] = replace(result, id=name)
    return replace(run, results=results)
