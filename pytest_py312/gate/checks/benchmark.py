"""PY5xx: is the service slower on the target?"""

import math
from collections.abc import Iterator
from dataclasses import replace

from pytest_py312.core.model.findings import Finding, Location, Outcome, Severity, Status
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.measurements import Comparison, Verdict
from pytest_py312.gate.checks.check import Facts, Judgement

GENERAL = ("import", "start", "memory", "suite", "test")
"""Kinds of comparisons that every service has. They are shown, and do not block."""


class Benchmark:
    """The service's own benchmarks are not slower on the target; where that does not show, it was not checked.

    Measured in turn on baseline and target. What every service has (its import, its start, its memory, its suite and
    the tests in it) is told as a warning only.
    """

    name = "benchmark"
    per_service = True
    keeps_outcome = False
    comes_last = True
    codes: tuple[str, ...] = ("PY501", "PY502", "PY503", "PY504")

    def judge(self, cell: Cell, facts: Facts) -> Judgement:
        service = cell.service
        if service.baseline == cell.interpreter:
            reason = f"the service runs on {cell.interpreter} already: there is nothing to compare it with"
            return Judgement(
                outcome=Outcome.skipped(service=service.name, interpreter=None, check=self.name, reason=reason)
            )
        speeds = facts.speeds(cell)
        findings = [finding for one in speeds.comparisons for finding in _findings(one, cell)]
        outcome = Outcome.judged(service=service.name, interpreter=None, check=self.name, findings=findings)
        reason = speeds.unchecked
        if not reason and not speeds.comparisons:
            reason = "; ".join(speeds.notes) or "there is nothing to measure"
        if reason:
            outcome = Outcome.errored(
                service=service.name, interpreter=None, check=self.name, reason=f"not measured: {reason}",
                findings=findings,
            )  # fmt: skip
        elif outcome.status is Status.PASSED and (
            untold := [one.name for one in speeds.comparisons if _untold(one, cell)]
        ):
            outcome = Outcome.errored(
                service=service.name, interpreter=None, check=self.name, findings=findings,
                reason=f"it does not show whether {', '.join(untold)} takes longer on {cell.interpreter}",
            )  # fmt: skip
        elif speeds.notes and outcome.status is Status.PASSED:
            outcome = replace(outcome, reason="not measured: " + "; ".join(speeds.notes))
        return Judgement(outcome=outcome, speeds=speeds.comparisons)


def _untold(found: Comparison, cell: Cell) -> bool:
    """Whether nothing can be said of a benchmark of the service's own, and the plan does not accept that."""
    unsaid = found.verdict is Verdict.INCONCLUSIVE and found.kind not in GENERAL
    return unsaid and not cell.service.settings.benchmark.accept_inconclusive


def _findings(found: Comparison, cell: Cell) -> Iterator[Finding]:
    general = found.kind in GENERAL
    place = _place(found, cell)
    if found.verdict is Verdict.SLOWER:
        yield Finding(
            code="PY503" if general else "PY501",
            severity=Severity.WARNING if general else Severity.ERROR,
            message=f"{found.name} {_takes(found)} on {found.target} as on {found.baseline} ({interval(found)})",
            remedy="profile it on both, or set a threshold for it in the plan if that much is accepted",
            names=(found.name,),
            location=place,
            detail=found.note,
        )
    elif found.verdict is Verdict.INCONCLUSIVE and not general:
        yield Finding(
            code="PY502",
            severity=Severity.WARNING,
            message=f"{found.name} could be slower on {found.target}: {interval(found)} after {len(found.pairs)} pairs",
            remedy=_more(found),
            names=(found.name,),
            location=place,
            detail=found.note,
        )
    elif found.verdict is Verdict.NOT_COMPARABLE and not general:
        yield Finding(
            code="PY504",
            severity=Severity.NOTE,
            message=f"{found.name} cannot be compared ({interval(found)}): {found.note}",
            remedy="measure with interpreters that were built alike, such as those of one image's series",
            names=(found.name,),
            location=place,
        )


def _takes(found: Comparison) -> str:
    verb, much = ("needs", "much") if found.unit == "B" else ("takes", "long")
    return f"{verb} {found.ratio:.2f} times as {much}"


def interval(found: Comparison) -> str:
    """``1.31, 1.24 to 1.40 at 99.8 %``."""
    if math.isinf(found.high):
        return f"{found.ratio:.2f}, and too few pairs to say more"
    percent = math.floor(1000 * found.confidence) / 10  # never rounded up to a certainty
    return f"{found.ratio:.2f}, {found.low:.2f} to {found.high:.2f} at {percent:g} %"


def _more(found: Comparison) -> str:
    if found.more_pairs is None:
        return "it lies on the edge of what counts: more pairs would not tell; choose another threshold"
    return f"about {found.more_pairs} more pairs would tell: give it a larger `budget`, or a machine with less load"


def _place(found: Comparison, cell: Cell) -> Location | None:
    test = found.name if found.kind == "benchmark" else found.name.partition(" of ")[2] if found.kind == "test" else ""
    file = test.split("::")[0] if "::" in test else ""
    path = f"{cell.service.path}/{file}" if file else cell.service.manifest or cell.service.path
    return Location(path=path.removeprefix("./"))
