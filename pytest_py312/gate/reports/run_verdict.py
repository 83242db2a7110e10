"""Outcomes summed up: what a cell, a service and the whole run come to.

The words are chosen so that nothing is called proven that was not looked at: a service is *ready* only where every
chosen cell was checked, nothing failed, nothing was left open, and its suite, where it has one, passed on the target.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_py312.core.model.findings import Interpreter, Outcome, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import counted
from pytest_py312.gate.reports.results import results

_CUT_SHORT = (2, 3)  # pytest's exit codes INTERRUPTED and INTERNAL_ERROR

Outcomes = Mapping[tuple[str, Interpreter | None], Sequence[Outcome]]


class State(Enum):
    """What all checks of one cell, or of one service as a whole, come to."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    SKIPPED = "skipped"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Which services are ready, and which are not and why. All are names, in the report's order."""

    target: Interpreter
    ready: tuple[str, ...]
    blocked: tuple[str, ...]
    errored: tuple[str, ...]
    unfinished: tuple[tuple[str, str], ...]
    """(service, why): nothing speaks against it, but not all was looked at."""
    without_suite: tuple[str, ...]
    """Of ``ready``: those that have no suite to run."""
    checked_cells: int
    cached_cells: int
    anything_checked: bool
    skipped_checks: int
    cut_short: bool
    known_findings: int
    """Recorded ones, which do not block."""

    @property
    def proven(self) -> bool:
        return bool(self.ready) and not (self.blocked or self.errored or self.unfinished or self.cut_short)

    @property
    def sentence(self) -> str:
        """The closing line of a run."""
        if not self.anything_checked:
            skips = f": {counted(self.skipped_checks, 'check')} skipped" if self.skipped_checks else ""
            return f"nothing was checked{skips}"
        if self.proven:
            return f"proven: {counted(len(self.ready), 'service')} ready for {self.target} ({self._extent})"
        return f"not proven: {self._what_is_missing}"

    @property
    def _extent(self) -> str:
        parts = [counted(self.checked_cells, "cell")]
        if self.cached_cells:
            parts.append(f"{self.cached_cells} cached")
        if self.without_suite:
            parts.append(f"{counted(len(self.without_suite), 'service')} without a suite")
        if self.known_findings:
            parts.append(counted(self.known_findings, "known finding"))
        return "; ".join(parts)

    @property
    def _what_is_missing(self) -> str:
        ends = (
            (len(self.blocked), "blocked"),
            (len(self.errored), "could not be checked"),
            (len(self.unfinished), "not checked in full"),
        )
        parts = [f"{number} {end}" for number, end in ends if number]
        if parts:
            number, _, end = parts[0].partition(" ")
            parts[0] = f"{counted(int(number), 'service')} {end}"
        if self.cut_short:
            parts.append("the run did not come to its end")
        return ", ".join(parts) + (f"; {len(self.ready)} ready for {self.target}" if self.ready else "")


def by_cell(outcomes: Iterable[Outcome]) -> Outcomes:
    """The outcomes of each cell, and under ``None`` those of each service as a whole."""
    found: dict[tuple[str, Interpreter | None], list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault((outcome.service, outcome.interpreter), []).append(outcome)
    return found


def state_of(outcomes: Iterable[Outcome]) -> State:
    """The worst of ``outcomes``; one that passed outweighs those that were skipped."""
    statuses = {outcome.status for outcome in outcomes}
    for status in (Status.FAILED, Status.ERRORED, Status.PASSED, Status.SKIPPED):
        if status in statuses:
            return State(status.value)
    return State.UNCHECKED


def all_cached(outcomes: Iterable[Outcome]) -> bool:
    """Whether everything that passed was known from an earlier run."""
    passed = [outcome for outcome in outcomes if outcome.status is Status.PASSED]
    return bool(passed) and all(outcome.cached for outcome in passed)


def judge(report: Report) -> Verdict:
    """Sum up the whole run."""
    outcomes = by_cell(report.outcomes)
    states = _states_of_services(report.outcomes)
    chosen: dict[str, list[Interpreter]] = {}
    for cell in report.cells:
        chosen.setdefault(cell.service.name, []).append(cell.interpreter)
    services = {service.name: service for service in report.services}
    ready, unfinished = [], []
    names = [name for name in dict.fromkeys([*services, *chosen, *states]) if name in chosen or name in states]
    for name in names:
        if states.get(name) in (State.FAILED, State.ERRORED):
            continue
        why = _left_open(name, services.get(name), chosen.get(name, ()), outcomes, report)
        if why:
            unfinished.append((name, why))
        else:
            ready.append(name)
    passed = [found for (_, interpreter), found in outcomes.items() if interpreter and state_of(found) is State.PASSED]
    return Verdict(
        target=report.plan.target,
        ready=tuple(ready),
        blocked=tuple(name for name in names if states.get(name) is State.FAILED),
        errored=tuple(name for name in names if states.get(name) is State.ERRORED),
        unfinished=tuple(unfinished),
        without_suite=tuple(name for name in ready if name in services and services[name].suite is None),
        checked_cells=len(passed),
        cached_cells=sum(map(all_cached, passed)),
        anything_checked=any(outcome.status is not Status.SKIPPED for outcome in report.outcomes),
        skipped_checks=sum(outcome.status is Status.SKIPPED for outcome in report.outcomes),
        cut_short=report.exit_status in _CUT_SHORT,
        known_findings=sum(result.finding.known for result in results(report)),
    )


def _states_of_services(outcomes: Iterable[Outcome]) -> dict[str, State]:
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.service, []).append(outcome)
    return {name: state_of(of_service) for name, of_service in found.items()}


def _left_open(
    name: str, service: Service | None, chosen: Sequence[Interpreter], outcomes: Outcomes, report: Report
) -> str:
    """Why a service that nothing speaks against is not ready, or ``""``."""
    target = report.plan.target
    on_target = outcomes.get((name, target), ())
    if state_of(on_target) is not State.PASSED:
        return f"nothing was checked on {target}"
    if service is not None and service.suite is not None:
        suites = [outcome for outcome in on_target if outcome.check == "suite"]
        if state_of(suites) is not State.PASSED:
            return f"the suite was not run on {target}"
    asked = {outcome.check for outcome in (*on_target, *outcomes.get((name, None), ()))}
    left_out = [check for check in report.checks if check not in asked]
    if left_out:
        return f"not asked on {target}: {', '.join(left_out)}"
    unchecked = [interpreter for interpreter in chosen if not outcomes.get((name, interpreter))]
    if unchecked:
        return f"nothing was checked on {', '.join(map(str, sorted(unchecked)))}"
    return ""
