"""Compare two runs of a suite, test by test: regressions, pre-existing failures, and flaky tests.

Pure, except for the argument ``rerun``, which runs some tests of one side once more.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import SuiteComparison, SuiteRun, TestResult
from pytest_py312.core.model.plan import SuiteKind
from pytest_py312.runners.suite_ids import UNPAIRED, function_of, selection_of
from pytest_py312.runners.suite_job import START_COLLECTOR

WHOLE_SUITE = (".", START_COLLECTOR)
"""Collectors to which every test belongs."""

Rerun = Callable[[Interpreter, int, tuple[str, ...]], SuiteRun]
"""(interpreter, attempt, test ids; an empty tuple means all) -> a new run."""


def compare_runs(service: str, baseline: SuiteRun, target: SuiteRun) -> SuiteComparison:
    """Compare one run of each side, without confirmation.

    A test that passed on the baseline and is skipped, expected to fail, or absent on the target is *missing*: it proves
    nothing there. If a file cannot be collected, all of its tests are missing. One that cannot be collected on either
    side is *uncollected*: nothing of it was compared.
    """
    newly_failing, missing, failing_on_both, fixed = set(), set(), set(), set()
    uncollected = set(baseline.collection_errors).intersection(target.collection_errors)
    for name, baseline_result in baseline.results.items():
        target_result = target.results.get(name)
        if baseline_result.is_passing:
            if target_result is None or target_result.outcome in ("skipped", "xfailed"):
                missing.add(name)
            elif target_result.is_failing:
                newly_failing.add(name)
        elif baseline_result.is_failing:
            if target_result is None or target_result.is_failing:
                failing_on_both.add(name)
            elif target_result.is_passing:
                fixed.add(name)
        elif target_result is not None and target_result.is_failing:
            newly_failing.add(name)
    for name, target_result in target.results.items():
        if name not in baseline.results and target_result.is_failing:
            (failing_on_both if covering_collector(name, baseline.collection_errors) else newly_failing).add(name)
    for collector in target.collection_errors:
        if collector not in uncollected and not any(covers(collector, name) for name in missing):
            newly_failing.add(collector)
    return SuiteComparison(
        service=service,
        baseline=baseline.interpreter,
        target=target.interpreter,
        newly_failing=tuple(sorted(newly_failing)),
        missing=tuple(sorted(missing)),
        fixed=tuple(sorted(fixed | set(baseline.collection_errors).difference(target.collection_errors))),
        failing_on_both=tuple(sorted(failing_on_both)),
        uncollected=tuple(sorted(uncollected)),
        new=tuple(sorted(set(target.results).difference(baseline.results))),
        counts={baseline.interpreter: baseline.counts, target.interpreter: target.counts},
    )


def covers(collector: str, name: str) -> bool:
    """Return whether the test ``name`` belongs to ``collector`` (a file, a folder, a class or a module)."""
    return (
        collector in WHOLE_SUITE
        or name == collector
        or name.startswith((f"{collector}::", f"{collector}/", f"{collector}."))
    )


def covering_collector(name: str, collectors: Iterable[str]) -> str:
    return next((collector for collector in collectors if covers(collector, name)), "")


def ran_badly(run: SuiteRun, name: str) -> bool:
    """Return whether the test ``name`` is broken, skipped or absent in ``run``."""
    result = run.results.get(name)
    return result is None or not result.is_passing


@dataclass(frozen=True, kw_only=True)
class _RunPair:
    baseline: SuiteRun
    target: SuiteRun
    rerun: Rerun
    good_on_baseline: frozenset[str] = field(default_factory=frozenset)
    """Suspects that passed on the baseline. In a rerun they must pass again, or it proves nothing."""

    def is_bad_again(self, run: SuiteRun, name: str) -> bool:
        if name in self.target.collection_errors:
            return name in run.collection_errors
        if name in self.good_on_baseline:
            return ran_badly(run, name)
        result = run.results.get(name)
        return result is not None and result.is_failing

    def is_good_again(self, run: SuiteRun, name: str) -> bool:
        return name not in self.good_on_baseline or not ran_badly(run, name)


def confirm_regressions(
    first: SuiteComparison, baseline: SuiteRun, target: SuiteRun, rerun: Rerun, reruns: int
) -> SuiteComparison:
    """Rerun every suspect of ``first`` on both sides; those that are not confirmed are flaky.

    The suspects are rerun without other tests, ``reruns`` times. A suspect is confirmed if it fails on the target and
    passes on the baseline each time. Otherwise it may depend on other tests, so the whole suite is rerun once on both
    sides, and the suspect is confirmed if it fails on the target and passes on the baseline there.
    """
    suspects = {*first.newly_failing, *first.missing}
    if not suspects or reruns == 0:
        return first
    sides = _RunPair(
        baseline=baseline,
        target=target,
        rerun=rerun,
        good_on_baseline=frozenset(name for name in suspects if not ran_badly(baseline, name)),
    )
    confirmed, doubtful = _rerun_alone(sides, suspects, reruns)
    if doubtful:
        confirmed |= _rerun_whole_suite(sides, doubtful)
    flaky = suspects - confirmed
    return replace(
        first,
        newly_failing=tuple(name for name in first.newly_failing if name in confirmed),
        missing=tuple(name for name in first.missing if name in confirmed),
        flaky=tuple(sorted({*first.flaky, *flaky})),
    )


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
    again = rerun(baseline.interpreter, 1, _sorted_unique(suspected))
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
        selected = _sorted_unique(selection_of(baseline_names.get(name, name)) or name for name in select)
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


def _rerun_alone(sides: _RunPair, suspects: set[str], reruns: int) -> tuple[set[str], set[str]]:
    """Rerun only the suspects, ``reruns`` times; return (confirmed, doubtful)."""
    selections = {name: _rerun_selection(sides.target, name) for name in suspects}
    confirmed = {name for name in suspects if selections[name] and selection_of(name)}
    doubtful = suspects - confirmed
    for attempt in range(1, reruns + 1):
        if not confirmed:
            break
        selected = _sorted_unique(selections[name] for name in confirmed)
        target_run = sides.rerun(sides.target.interpreter, attempt, selected)
        baseline_tests = {name for name in confirmed if name in sides.baseline.results}
        baseline_selected = _sorted_unique(map(selection_of, baseline_tests))
        baseline_run = sides.rerun(sides.baseline.interpreter, attempt, baseline_selected) if baseline_tests else None
        if not target_run.complete or (baseline_run is not None and not baseline_run.complete):
            return set(), suspects  # ids that change between runs cannot be selected
        for name in sorted(confirmed):
            is_good_on_baseline = (
                baseline_run is None or name not in baseline_tests or sides.is_good_again(baseline_run, name)
            )
            if not sides.is_bad_again(target_run, name) or not is_good_on_baseline:
                confirmed.discard(name)
                doubtful.add(name)
    return confirmed, doubtful


def _rerun_whole_suite(sides: _RunPair, doubtful: set[str]) -> set[str]:
    """Rerun the whole suite on both sides; return those of ``doubtful`` that it confirms."""
    target_run = sides.rerun(sides.target.interpreter, 1, ())
    baseline_run = sides.rerun(sides.baseline.interpreter, 1, ())
    if not target_run.complete or not baseline_run.complete:
        return set(doubtful)  # not refuted
    return {
        name for name in doubtful if sides.is_bad_again(target_run, name) and sides.is_good_again(baseline_run, name)
    }


def _rerun_selection(run: SuiteRun, name: str) -> str:
    """Return what to select to rerun ``name``: itself, or the file that could not be collected; otherwise empty."""
    if name in run.results:
        return selection_of(name)
    collector = covering_collector(name, run.collection_errors)
    return "" if collector in WHOLE_SUITE else collector  # which is rerun anyway


def _sorted_unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def find_first_bad(comparison: SuiteComparison, runs: Sequence[SuiteRun]) -> dict[str, Interpreter]:
    """Map each regression to the first interpreter that has it, of ``runs`` (ascending, including the target).

    A test that is skipped on the target may have another id on an interpreter before: it is not missing there.
    """
    first_interpreters: dict[str, Interpreter] = {}
    on_target = {name for run in runs if run.interpreter == comparison.target for name in run.results}
    for name in (*comparison.newly_failing, *comparison.missing):
        for run in runs:
            may_be_absent = name in comparison.missing and (name in run.results or name not in on_target)
            is_bad = ran_badly(run, name) if may_be_absent else _is_broken(run, name)
            if is_bad or run.interpreter == comparison.target:
                first_interpreters[name] = run.interpreter
                break
    return first_interpreters


def _is_broken(run: SuiteRun, name: str) -> bool:
    result = run.results.get(name)
    if result is None:
        return bool(covering_collector(name, run.collection_errors))
    return result.is_failing


def nothing_ran_reason(run: SuiteRun, service: Service) -> str:
    """Return the reason if no test ran, or an empty string. A run with only skipped tests counts as such."""
    if any(result.outcome != "skipped" for result in run.results.values()):
        return ""
    kind = service.suite.kind if service.suite else SuiteKind.PYTEST
    where = f"{service.path} on {run.interpreter}"
    if run.results:
        return f"no test ran in {where}: all {len(run.results)} are skipped"
    if run.collection_errors:
        first, detail = next(iter(sorted(run.collection_errors.items())))
        reason = exception_line(detail) or "no reason given"
        count = len(run.collection_errors)
        if START_COLLECTOR in run.collection_errors:
            return f"no test ran in {where}: pytest fails at its start ({reason})"
        return f"no test ran in {where}: {count} file{'s' if count > 1 else ''} cannot be imported ({first}: {reason})"
    return f"no test ran in {where}: {kind.value} found none"


def exception_line(detail: str) -> str:
    """Return the exception line of a traceback: from pytest's ``E`` lines, otherwise the last line."""
    lines = [line.strip() for line in detail.strip().splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    exceptions = [line for line in marked if re.match(r"[\w.]+(?:Error|Exception|Warning|Exit|Interrupt)\b", line)]
    return next(iter([*exceptions, *marked]), lines[-1] if lines else "")


def without_addresses(text: str) -> str:
    """Replace values that differ between runs: memory addresses and object ids."""
    return re.sub(r"\bid='?\d{6,}'?", "id=...", re.sub(r"\b0x[0-9a-fA-F]{4,}\b", "0x...", text))
