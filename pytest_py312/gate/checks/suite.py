"""PY4xx: does the suite of the service pass on this interpreter as it does on the baseline?"""

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import SuiteComparison, SuiteRun
from pytest_py312.core.text import error_line, list_names
from pytest_py312.dependencies.installation.findings import incomplete_environment_reason, missing_environment_reason
from pytest_py312.dependencies.installation.result import Installation, installed_versions
from pytest_py312.gate.checks.check import CheckResult, Facts, unless_incomplete
from pytest_py312.gate.checks.deprecations import deprecation_findings
from pytest_py312.gate.checks.failure_hints import (
    missing_input_hint,
    remedy_for,
    with_changed_library,
    with_source_remedy,
    with_warning_filter,
)
from pytest_py312.gate.checks.start_modules import later_import_findings
from pytest_py312.gate.checks.suite_comparison import (
    Rerun,
    compare_runs,
    confirm_regressions,
    covering_collector,
    exception_line,
    find_first_bad,
    nothing_ran_reason,
)
from pytest_py312.gate.checks.suite_coverage import (
    measure_coverage,
    uncollected_on_both,
    unproven_reason,
)
from pytest_py312.gate.checks.suite_findings import (
    SUITE_REMEDY,
    FindingTemplate,
    beside_remedy,
    detail_of,
    group_by_cause,
    uncollected_findings,
    unpaired_findings,
    unrepeated_findings,
    warning_filter,
)
from pytest_py312.gate.checks.suite_pairing import pair_runs
from pytest_py312.runners.suite_ids import selection_of
from pytest_py312.runners.suite_job import START_COLLECTOR

MAX_TRIED_TESTS = 50
"""Tests that are run again with the versions of libraries that the baseline has."""
TOO_NEW_ERROR = re.compile(r"\b(?:ImportError|ModuleNotFoundError|AttributeError|SyntaxError|NameError|TypeError)\b")
"""Exceptions that code for a newer Python raises on an older one."""
_NO_TESTS = "no tests were found"


class SuiteCheck:
    """The suite runs, and every test that passes on the baseline passes on this interpreter.

    Tests that fail on both are reported and do not block. New failures are first confirmed by reruns on both sides.
    """

    name = "suite"
    runs_suite = True
    codes: tuple[str, ...] = ("PY250", "PY401", "PY402", "PY403", "PY404", "PY405", "PY406", "PY407", "PY408")

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        if cell.service.suite is None:
            return CheckResult(outcome=_without_suite(cell, facts))
        installation = facts.installation(cell)
        if installation.environment is None:
            return CheckResult(
                outcome=_errored(cell, _no_environment(cell, installation), deprecation_findings(cell, facts))
            )
        suite_run = facts.suite_run(cell)
        reason = _unusable_reason(cell, suite_run)
        # on a later Python it is a failure, and not an unusable run, if no file could be collected
        is_lost = suite_run.complete and not suite_run.results and suite_run.collection_errors and not cell.is_baseline
        if reason and not is_lost:
            return CheckResult(outcome=_errored(cell, reason, deprecation_findings(cell, facts)))
        result = (
            _judge_baseline(cell, suite_run, facts)
            if cell.is_baseline
            else _judge_against_baseline(cell, suite_run, facts)
        )
        # a test that fails on an incomplete baseline only would hide a regression
        return unless_incomplete(
            _with_coverage(cell, suite_run, facts, result),
            incomplete_environment_reason(installation, facts.installation(facts.cells(cell.service)[0])),
        )


def _outcome(cell: Cell, findings: list[Finding]) -> Outcome:
    return Outcome.from_findings(
        service=cell.service.name, interpreter=cell.interpreter, check="suite", findings=findings
    )


def _errored(cell: Cell, reason: str, findings: Iterable[Finding] = ()) -> Outcome:
    return Outcome.errored(
        service=cell.service.name,
        interpreter=cell.interpreter,
        check="suite",
        reason=_with_hint(cell, reason),
        findings=findings,
    )


def _with_hint(cell: Cell, reason: str) -> str:
    return reason + missing_input_hint(reason, cell.service.name)


def _without_suite(cell: Cell, facts: Facts) -> Outcome:
    """Return that nothing can be checked: once for a service, on the newest interpreter."""
    service, reason = cell.service, cell.service.settings.suite_skip_reason
    is_unchecked = not reason and cell.interpreter == facts.cells(service)[-1].interpreter
    if findings := list(later_import_findings(cell, facts)):
        return _outcome(cell, findings).with_unchecked(f"{_NO_TESTS}: {SUITE_REMEDY}" if is_unchecked else "")
    if is_unchecked:
        return _errored(cell, f"{_NO_TESTS}: {SUITE_REMEDY}")
    return Outcome.skipped(
        service=service.name, interpreter=cell.interpreter, check="suite", reason=reason or _NO_TESTS
    )


def _no_environment(cell: Cell, installation: Installation) -> str:
    return f"the suite has no environment to run in on {cell.interpreter}: {missing_environment_reason(installation)}"


def _unusable_reason(cell: Cell, run: SuiteRun) -> str:
    if not run.complete:
        last_output = error_line(run.output_tail) if not run.results else ""
        because = f"; last output: {last_output}" if last_output and last_output not in run.incomplete_reason else ""
        remedy = remedy_for(last_output)
        because += f" ({remedy})" if remedy else ""
        ended = f"{run.incomplete_reason} ({len(run.results)} tests had finished)"
        return f"the suite did not complete on {run.interpreter}: {ended}{because}"
    reason = nothing_ran_reason(run, cell.service)
    if reason and not run.results and not run.collection_errors:  # such as the tests.py of a new Django application
        return f"{reason}: {SUITE_REMEDY}"
    return f"{reason}{beside_remedy(cell.service)}" if reason else ""


def _with_coverage(cell: Cell, run: SuiteRun, facts: Facts, result: CheckResult) -> CheckResult:
    """Add how much of the suite proves anything. If it is too little, the suite could not be checked."""
    other_cell = facts.cells(cell.service)[-1 if cell.is_baseline else 0]
    other_run = facts.suite_run(other_cell) if facts.installation(other_cell).environment is not None else run
    if not other_run.complete:
        other_run = run  # known as not checked elsewhere; here it is no evidence that files are lost
    recipe = cell.service.test_recipe
    coverage = measure_coverage(run, other_run, recipe.deselected_tests if recipe is not None else ())
    outcome, comparison = result.outcome, result.suite_comparison
    if comparison is not None:
        silent_files = tuple(sorted((*coverage.uncollected, *coverage.failing)))
        comparison = replace(comparison, test_files=coverage.files, silent_files=silent_files)
    if outcome.status in (Status.PASSED, Status.FAILED):
        reason = unproven_reason(cell, run, other_run, coverage, facts)
        outcome = outcome.with_unchecked(_with_hint(cell, reason) if reason else "")
    if outcome.status is Status.PASSED:
        outcome = replace(outcome, reason=coverage.summary)
    return replace(result, outcome=outcome, suite_comparison=comparison)


@dataclass(frozen=True, kw_only=True)
class _RecordedReruns:
    """Reruns of the suite of a cell on any interpreter, and whether all of them are complete."""

    cell: Cell
    facts: Facts
    runs: list[SuiteRun] = field(default_factory=list)

    def __call__(self, interpreter: Interpreter, attempt: int, select: tuple[str, ...]) -> SuiteRun:
        run = self.facts.suite_run(replace(self.cell, interpreter=interpreter), attempt, select).with_commands()
        self.runs.append(run)
        return run

    def result(self, outcome: Outcome, comparison: SuiteComparison, *, is_compared: bool = True) -> CheckResult:
        """Return a result, in which a failure is kept for later runs only if complete reruns have confirmed it."""
        is_confirmed = is_compared and self.facts.plan.reruns > 0 and all(run.complete for run in self.runs)
        is_kept = outcome.status is not Status.FAILED or is_confirmed
        return CheckResult(outcome=outcome, suite_comparison=comparison, is_kept=is_kept)


def _judge_baseline(cell: Cell, run: SuiteRun, facts: Facts) -> CheckResult:
    """Return the result of the baseline: it passes if its suite ran. Failures of too new code are reported apart."""
    run = run.with_commands()
    broken = [name for name, result in run.results.items() if result.is_failing] + list(run.collection_errors)
    later_cells = [other for other in facts.cells(cell.service) if not other.is_baseline]
    rerun = _RecordedReruns(cell=cell, facts=facts)
    if broken and not later_cells:
        tests = [name for name in broken if name not in run.commands]
        findings = list(group_by_cause(cell, tests, run, FindingTemplate(code="PY401", qualifier="")))
        findings += unrepeated_findings(cell, [name for name in broken if name in run.commands], run, run.interpreter)
    else:
        findings = _broken_on_baseline(cell, broken, run, later_cells[-1], facts, rerun) if broken else []
    comparison = SuiteComparison(
        service=cell.service.name,
        baseline=run.interpreter,
        target=run.interpreter,
        counts={run.interpreter: run.counts},
    )
    return rerun.result(_outcome(cell, findings), comparison, is_compared=bool(later_cells))


def _broken_on_baseline(
    cell: Cell, broken: list[str], run: SuiteRun, target: Cell, facts: Facts, rerun: Rerun
) -> list[Finding]:
    is_installed = facts.installation(target).environment is not None
    target_run = facts.suite_run(target).with_commands() if is_installed else None
    too_new = [
        name
        for name in broken
        if target_run is not None
        and _ran_well(target_run, name)
        and TOO_NEW_ERROR.search(exception_line(detail_of(run, name)))
    ]
    if too_new and target_run is not None:
        suspects = replace(compare_runs(cell.service.name, target_run, run), newly_failing=tuple(too_new), missing=())
        confirmed = confirm_regressions(suspects, target_run, run, rerun, facts.plan.reruns).newly_failing
        too_new = [name for name in too_new if name in confirmed]
    uncollected = uncollected_on_both(run, target_run) if target_run is not None else ()
    others = [name for name in broken if name not in too_new and name not in uncollected]
    preexisting = [name for name in others if name not in run.commands]
    baseline_only = f" on the baseline, but not on {target.interpreter} (breaks rollback)"
    return [
        *group_by_cause(cell, too_new, run, FindingTemplate(code="PY405", qualifier=baseline_only)),
        *group_by_cause(
            cell,
            preexisting,
            run,
            FindingTemplate(code="PY404", qualifier=" (pre-existing)", severity=Severity.NOTE),
        ),
        *unrepeated_findings(cell, [name for name in others if name in run.commands], run, target.interpreter),
        *uncollected_findings(cell, uncollected, run, target.interpreter, facts),
    ]


def _ran_well(run: SuiteRun, name: str) -> bool:
    result = run.results.get(name)
    if result is not None:
        return result.is_passing
    return name not in run.collection_errors and any(test.startswith(f"{name}::") for test in run.results)


def _judge_against_baseline(cell: Cell, run: SuiteRun, facts: Facts) -> CheckResult:
    baseline = facts.cells(cell.service)[0]
    installed = facts.installation(baseline)
    if installed.environment is None:
        return CheckResult(outcome=_errored(cell, f"nothing to compare with: {_no_environment(baseline, installed)}"))
    baseline_run = facts.suite_run(baseline)
    reason = _unusable_reason(baseline, baseline_run)
    if reason:
        return CheckResult(outcome=_errored(cell, f"nothing to compare with: {reason}"))

    rerun = _RecordedReruns(cell=cell, facts=facts)
    pairs = pair_runs(baseline_run.with_commands(), run.with_commands(), rerun, facts.plan.reruns)
    baseline_run, run = pairs.baseline, pairs.target
    comparison = confirm_regressions(
        compare_runs(cell.service.name, baseline_run, run), baseline_run, run, pairs.rerun, facts.plan.reruns
    )
    runs = [run if other.interpreter == run.interpreter else other for other in _runs_up_to(cell, facts)]
    comparison = replace(
        comparison,
        first_bad=find_first_bad(comparison, runs),
        counts={**{other.interpreter: other.counts for other in (baseline_run, *runs)}},
    )
    unrepeated = [name for name in comparison.failing_on_both if name in run.commands]
    tests = tuple(name for name in comparison.failing_on_both if name not in run.commands)
    comparison = replace(comparison, failing_on_both=tests)
    findings = _downgrade_intermediate_only(cell, facts, _regressions(cell, comparison, run, facts))
    findings += unrepeated_findings(cell, unrepeated, run, comparison.baseline)
    findings += _nonblocking_findings(cell, comparison, run, facts)
    findings += unpaired_findings(cell, pairs)
    findings += deprecation_findings(cell, facts, run, worse=bool(comparison.newly_failing or comparison.missing))
    if not any(finding.severity is Severity.ERROR for finding in findings):  # else they say why, most often
        findings += later_import_findings(cell, facts, run.imported_files)
    return rerun.result(_outcome(cell, findings), comparison)


def _runs_up_to(cell: Cell, facts: Facts) -> list[SuiteRun]:
    """Return the complete runs on the interpreters after the baseline, up to that of the cell."""
    between = [other for other in facts.cells(cell.service)[1:] if other.interpreter <= cell.interpreter]
    usable = [other for other in between if facts.installation(other).environment is not None]
    return [run.with_commands() for other in usable if (run := facts.suite_run(other)).complete]


def _regressions(cell: Cell, comparison: SuiteComparison, run: SuiteRun, facts: Facts) -> list[Finding]:
    differing = _differing_versions(facts, cell)
    failing = FindingTemplate(
        code="PY401",
        qualifier=f" (passes on {comparison.baseline})",
        since=comparison.first_bad,
        note=differing,
    )
    missing = FindingTemplate(
        code="PY402",
        qualifier=f" (passes on {comparison.baseline})",
        verb=("is missing", "are missing"),
        since=comparison.first_bad,
        note=differing,
    )
    findings = [
        *group_by_cause(cell, comparison.newly_failing, run, failing),
        *group_by_cause(cell, comparison.missing, run, missing),
    ]
    if not findings or cell != facts.cells(cell.service)[-1]:
        return findings
    source_findings = facts.source_analysis(cell).findings
    filters = warning_filter(cell.service, facts)
    findings = [with_warning_filter(with_source_remedy(finding, source_findings), filters) for finding in findings]
    findings = _with_tried_versions(cell, findings, differing, facts) if differing else findings
    here, there = (facts.installation(each).environment for each in (cell, cell.baseline_cell))
    return [with_changed_library(finding, here, there, comparison.baseline) for finding in findings]


def _with_tried_versions(cell: Cell, findings: Sequence[Finding], differing: str, facts: Facts) -> list[Finding]:
    """Say whether the interpreter is the cause, or another version of a library that it has.

    The tests are run again on the target with the versions of libraries that the baseline has and, if any passes, with
    its own: a test that fails only after others passes alone with any versions.
    """
    named = [name for finding in findings for name in finding.names if name != START_COLLECTOR and selection_of(name)]
    names = frozenset(named[:MAX_TRIED_TESTS])
    select = tuple(sorted(set(map(selection_of, names))))
    run = facts.suite_run_with_baseline_versions(cell, select) if select else None
    if run is None or not run.complete:
        return list(findings)
    run = run.with_commands()
    passing = {name for name in names if _ran_well(run, name)}
    failing = {
        name for name in names - passing if name in run.results or covering_collector(name, run.collection_errors)
    }
    if passing:
        own = facts.suite_run(cell, facts.plan.reruns + 1, select).with_commands()
        passing = {name for name in passing if own.complete and not _ran_well(own, name)}
    return [_with_cause(cell, finding, names, passing, failing, differing) for finding in findings]


def _with_cause(
    cell: Cell, finding: Finding, names: Set[str], passing: Set[str], failing: Set[str], differing: str
) -> Finding:
    """Add the cause of a failure, if all of its tests that were tried agree: ``passing`` or ``failing``."""
    baseline, target = cell.service.baseline, cell.interpreter
    tried = names & set(finding.names)
    if tried and tried <= passing:
        remedy = (
            f"the cause is another version of a library, not Python {target}: {differing.partition(': ')[2]}. Require "
            f"the version that {baseline} has, or follow its changes"
        )
        message = f"{finding.message} (passes on {target} with the libraries of {baseline})"
        return replace(finding, message=message, remedy=remedy)
    if tried and tried <= failing:
        detail = f"{finding.detail}\nwith the versions of {baseline} it fails on {target} as well".strip()
        return replace(finding, detail=detail)
    return finding


def _downgrade_intermediate_only(cell: Cell, facts: Facts, findings: list[Finding]) -> list[Finding]:
    """Turn regressions that the target does not have into notes: no service stays on an intermediate interpreter."""
    target = facts.cells(cell.service)[-1]
    if cell == target or not findings or facts.installation(target).environment is None:
        return findings
    target_run = facts.suite_run(target).with_commands()
    return [
        replace(finding, severity=Severity.NOTE, message=f"{finding.message} (passes on {target.interpreter})")
        if target_run.complete and all(_ran_well(target_run, name) for name in finding.names)
        else finding
        for finding in findings
    ]


def _nonblocking_findings(cell: Cell, comparison: SuiteComparison, run: SuiteRun, facts: Facts) -> list[Finding]:
    flaky = FindingTemplate(code="PY403", qualifier=" intermittently (flaky)", severity=Severity.WARNING)
    both = FindingTemplate(
        code="PY404",
        qualifier=f" (also fails on {comparison.baseline})",
        severity=Severity.NOTE,
        preexisting=True,
    )
    return [
        *group_by_cause(cell, comparison.flaky, run, flaky),
        *group_by_cause(cell, comparison.failing_on_both, run, both),
        *uncollected_findings(cell, comparison.uncollected, run, comparison.baseline, facts),
    ]


def _differing_versions(facts: Facts, cell: Cell) -> str:
    """Describe the distributions with different versions on both interpreters: they may be the cause as well."""
    baseline_versions = installed_versions(facts.installation(cell.baseline_cell))
    target_versions = installed_versions(facts.installation(cell))
    changed = [
        f"{name} {baseline_versions[name]} -> {target_versions[name]}"
        for name in sorted(baseline_versions)
        if target_versions.get(name, baseline_versions[name]) != baseline_versions[name]
    ]
    return f"the two sides also differ in: {list_names(changed)}" if changed else ""
