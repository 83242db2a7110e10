"""PY5xx: is the service slower on the target?"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import BenchmarkComparison, SpeedVerdict
from pytest_py312.gate.checks.check import CheckResult, Facts

GENERAL_KINDS = ("import", "start", "memory", "suite", "test")
"""Kinds of comparisons that every service has. They are reported, and do not block."""


class BenchmarkCheck:
    """The service's own benchmarks are not slower on the target; an inconclusive one could not be checked.

    Baseline and target are measured alternately. Slower general measurements (import, start, memory, suite and its
    tests) are warnings only.
    """

    name = "benchmark"
    per_service = True
    comes_last = True
    codes: tuple[str, ...] = ("PY501", "PY502", "PY503", "PY504")

    def run(self, cell: Cell, facts: Facts) -> CheckResult:
        service = cell.service
        if service.baseline == cell.interpreter:
            reason = f"the service already runs on {cell.interpreter}: there is nothing to compare it with"
            return CheckResult(
                outcome=Outcome.skipped(service=service.name, interpreter=None, check=self.name, reason=reason)
            )
        results = facts.benchmark_results(cell)
        findings = [finding for comparison in results.comparisons for finding in _findings(comparison, cell)]
        outcome = Outcome.from_findings(service=service.name, interpreter=None, check=self.name, findings=findings)
        reason = results.unchecked
        if not reason and not results.comparisons:
            reason = "; ".join(results.notes) or "there is nothing to measure"
        if reason:
            outcome = Outcome.errored(
                service=service.name, interpreter=None, check=self.name, reason=f"not measured: {reason}",
                findings=findings,
            )  # fmt: skip
        elif inconclusive := [each.name for each in results.comparisons if _is_unanswered(each, cell)]:
            outcome = outcome.with_unchecked(
                f"it is unclear whether {', '.join(inconclusive)} takes longer on {cell.interpreter}"
            )
        elif results.notes and outcome.status is Status.PASSED:
            outcome = replace(outcome, reason="not measured: " + "; ".join(results.notes))
        return CheckResult(outcome=outcome, benchmarks=results.comparisons)


def _is_unanswered(comparison: BenchmarkComparison, cell: Cell) -> bool:
    """Return whether an own benchmark of the service is inconclusive, and the plan does not accept that."""
    inconclusive = comparison.verdict is SpeedVerdict.INCONCLUSIVE and comparison.kind not in GENERAL_KINDS
    return inconclusive and not cell.service.settings.benchmark.accept_inconclusive


def _findings(comparison: BenchmarkComparison, cell: Cell) -> Iterator[Finding]:
    general = comparison.kind in GENERAL_KINDS
    finding_of = partial(Finding, names=(comparison.name,), location=_location(comparison, cell))
    if comparison.verdict is SpeedVerdict.SLOWER:
        yield finding_of(
            code="PY503" if general else "PY501",
            severity=Severity.WARNING if general else Severity.ERROR,
            message=f"{comparison.name} {_describe_ratio(comparison)} on {comparison.target} as on "
            f"{comparison.baseline} ({format_interval(comparison)})",
            remedy="profile it on both, or set a threshold for it in the plan if that much is accepted",
            detail=comparison.note,
        )
    elif comparison.verdict is SpeedVerdict.INCONCLUSIVE and not general:
        yield finding_of(
            code="PY502",
            severity=Severity.WARNING,
            message=f"{comparison.name} could be slower on {comparison.target}: {format_interval(comparison)} after "
            f"{len(comparison.pairs)} pairs",
            remedy=_more_pairs_remedy(comparison),
            detail=comparison.note,
        )
    elif comparison.verdict is SpeedVerdict.NOT_COMPARABLE and not general:
        yield finding_of(
            code="PY504",
            severity=Severity.NOTE,
            message=f"{comparison.name} cannot be compared ({format_interval(comparison)}): {comparison.note}",
            remedy="measure with interpreters of the same build options, such as official images of one series",
        )


def _describe_ratio(comparison: BenchmarkComparison) -> str:
    verb, much = ("needs", "much") if comparison.unit == "B" else ("takes", "long")
    return f"{verb} {comparison.ratio:.2f} times as {much}"


def format_interval(comparison: BenchmarkComparison) -> str:
    """Format the ratio and its interval: ``1.31, 1.24 to 1.40 at 99.8 %``."""
    if math.isinf(comparison.high):
        return f"{comparison.ratio:.2f}, with too few pairs for an interval"
    percent = math.floor(1000 * comparison.confidence) / 10  # never rounded up to a certainty
    return f"{comparison.ratio:.2f}, {comparison.low:.2f} to {comparison.high:.2f} at {percent:g} %"


def _more_pairs_remedy(comparison: BenchmarkComparison) -> str:
    if comparison.pairs_needed is None:
        return "the ratio is at the threshold, so more pairs would not help: choose another threshold"
    return f"about {comparison.pairs_needed} more pairs are needed: raise `budget`, or use a machine with less load"


def _location(comparison: BenchmarkComparison, cell: Cell) -> Location | None:
    tests = {"benchmark": comparison.name, "test": comparison.name.partition(" of ")[2]}
    file, is_test, _ = tests.get(comparison.kind, "").partition("::")
    file = file if is_test else ""
    path = f"{cell.service.path}/{file}" if file else cell.service.manifest or cell.service.path
    return Location(path=path.removeprefix("./"))
