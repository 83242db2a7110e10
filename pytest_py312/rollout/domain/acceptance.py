"""Judge the acceptance tests of a stage: compare a run of them with the one before the deployment. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from pytest_py312.core.text import list_names
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import AcceptancePhase, AcceptanceResult, StageRun

MAX_TESTS = 1000
"""Limit for the tests of one run: their ids are stored in the journal."""
MAX_ID_LENGTH = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptanceOutcomes:
    """What became of each test. ``problem`` is why the tests could not be run; empty if they were.

    Tests that were skipped are in neither set: they prove nothing.
    """

    passed: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    flaky: frozenset[str] = frozenset()
    """Those of ``passed`` that failed in one of two runs."""
    problem: str = ""
    first_problem: str = ""
    """Why the first of two runs was not possible; empty if it was."""
    output: str = ""


def prefer_possible(first: AcceptanceOutcomes, second: AcceptanceOutcomes) -> AcceptanceOutcomes:
    """Return the outcomes of a run that was repeated because it was not possible."""
    return first if second.problem else replace(second, first_problem=first.problem)


def confirm_failures(first: AcceptanceOutcomes, second: AcceptanceOutcomes) -> AcceptanceOutcomes:
    """Return the outcomes of tests that were run twice: one that passes once has not failed.

    If the second run was not possible, nothing is confirmed.
    """
    if second.problem:
        return second
    passed, failed = first.passed | second.passed, first.failed | second.failed
    first_problem = first.first_problem or second.first_problem
    return replace(
        second, passed=passed, failed=second.failed - passed, flaky=passed & failed, first_problem=first_problem
    )


def judge_acceptance(
    name: str,
    phase: AcceptancePhase,
    outcomes: AcceptanceOutcomes,
    *,
    baseline: AcceptanceResult | None = None,
    accepted: Collection[str] = (),
) -> AcceptanceResult:
    """Judge one run of acceptance tests.

    :param baseline: the result before the deployment; ``None`` before it, and if nothing served then.
    :param accepted: tests whose failure a person has accepted.
    """
    known = {*accepted, *(baseline.known_failing if baseline else ())}
    is_reference = phase is AcceptancePhase.BEFORE
    newly_failing = frozenset() if is_reference else outcomes.failed - known
    had_passed = {*(baseline.passing if baseline and not outcomes.problem else ())}
    missing = had_passed - outcomes.passed - outcomes.failed
    result, reason = _verdict(outcomes, newly_failing, missing, baseline, is_reference=is_reference)
    notes = [_described(outcomes.flaky, "failed once of two times")] if outcomes.flaky else []
    notes += [f"a first run was not possible: {outcomes.first_problem}"] if outcomes.first_problem else []
    return AcceptanceResult(
        name=name,
        phase=phase,
        result=result,
        reason="; ".join([*filter(None, [reason]), *notes]),
        passed=len(outcomes.passed),
        passing=tuple(sorted(outcomes.passed)) if is_reference else (),
        known_failing=tuple(sorted(outcomes.failed - newly_failing)),
        newly_failing=tuple(sorted(newly_failing)),
        missing=tuple(sorted(missing)),
        output="" if result is Result.SUCCESSFUL else outcomes.output,
    )


def _verdict(
    outcomes: AcceptanceOutcomes,
    newly_failing: Collection[str],
    missing: Collection[str],
    baseline: AcceptanceResult | None,
    *,
    is_reference: bool,
) -> tuple[Result, str]:
    if outcomes.problem:
        return Result.INCONCLUSIVE, outcomes.problem
    if is_reference:
        return (Result.FAILED, _described(outcomes.failed, "failing")) if outcomes.failed else (Result.SUCCESSFUL, "")
    if newly_failing and baseline is not None and baseline.result is Result.INCONCLUSIVE:
        failing = _described(newly_failing, "failing")
        return Result.INCONCLUSIVE, f"{failing}; they could not be run before the deployment: {baseline.reason}"
    if newly_failing:
        hint = "" if baseline is not None else " (nothing served before, so there is nothing to compare with)"
        return Result.FAILED, _described(newly_failing, "newly failing") + hint
    if not outcomes.passed:
        return Result.INCONCLUSIVE, "no test passes: all of them failed before the deployment as well"
    if missing:
        return Result.INCONCLUSIVE, _described(missing, "passed before the deployment, and not run now")
    return Result.SUCCESSFUL, _described(outcomes.failed, "failing as before the deployment") if outcomes.failed else ""


def _described(tests: Collection[str], what: str) -> str:
    return f"{what}: {list_names(sorted(tests))}"


def describe_acceptance(result: AcceptanceResult) -> str:
    """Describe a result in one line, with the tests and the phase."""
    return f"{result.metric}: {describe_outcome(result)}"


def describe_outcome(result: AcceptanceResult) -> str:
    """Describe a result in one line."""
    known_failing = "failed" if result.phase is AcceptancePhase.BEFORE else "failing as before"
    counts = [
        f"{count} {what}"
        for count, what in (
            (result.passed, "passed"),
            (len(result.newly_failing), "newly failing"),
            (len(result.known_failing), known_failing),
            (len(result.missing), "missing"),
        )
        if count
    ]
    inconclusive = ["inconclusive"] if result.result is Result.INCONCLUSIVE else []
    text = ", ".join([*inconclusive, *counts])
    return f"{text} ({result.reason})" if result.reason else text


def acceptance_document(run: StageRun, result: AcceptanceResult) -> dict[str, Any]:
    """Return a result for a JSON document."""
    return {
        "name": result.name,
        "phase": result.phase.value,
        "result": result.result.value,
        "reason": result.reason,
        "passed": result.passed,
        "newly_failing": list(result.newly_failing),
        "known_failing": list(result.known_failing),
        "missing": list(result.missing),
        "output": result.output,
        "accepted_by_a_person": run.has_accepted(result),
    }


def acceptance_documents(run: StageRun) -> list[dict[str, Any]]:
    """Return all results of a run for a JSON document."""
    return [acceptance_document(run, result) for result in run.acceptance_results]
