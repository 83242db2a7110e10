"""Compare two runs of a suite, test by test: regressions, pre-existing failures, and flaky tests.

Pure, except for the argument ``rerun``, which runs some tests of one side once more.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import SuiteComparison, SuiteRun
from pytest_py312.core.model.plan import SuiteKind
from pytest_py312.runners.suite_ids import selection_of
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


def _rerun_alone(sides: _RunPair, suspects: set[str], reruns: int) -> tuple[set[str], set[str]]:
    """Rerun only the suspects, ``reruns`` times; return (confirmed, doubtful)."""
    selections = {name: _rerun_selection(sides.target, name) for name in suspects}
    confirmed = {name for name in suspects if selections[name] and selection_of(name)}
    doubtful = suspects - confirmed
    for attempt in range(1, reruns + 1):
        if not confirmed:
            break
        selected = sorted_unique(selections[name] for name in confirmed)
        target_run = sides.rerun(sides.target.interpreter, attempt, selected)
        baseline_tests = {name for name in confirmed if name in sides.baseline.results}
        baseline_selected = sorted_unique(map(selection_of, baseline_tests))
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


def sorted_unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ids to select for a rerun, without duplicates and in a fixed order."""
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
