"""Build the report of a run from its results."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312 import __version__
from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Interpreter, Outcome, SpecifierChange
from pytest_py312.core.model.fleet import Cell, Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.report import Checkout, Report, RolloutReport
from pytest_py312.gate.checks.check import CheckResult
from pytest_py312.gate.checks.failure_hints import CAUSE_ELSEWHERE
from pytest_py312.gate.run.tasks import CheckTask, TaskKey

_ABOUT_REQUIREMENT = re.compile(
    r"(?:require (?P<name>[A-Za-z0-9][\w.-]*)[<>=!~]=?|replace (?P<replaced>[A-Za-z0-9][\w.-]*)(?![\w.-]))", re.ASCII
)
"""The beginning of a remedy that changes or replaces a requirement."""
_OF_LIBRARIES = frozenset(("PY240", "PY243"))
"""Codes of findings on a distribution that fails on import."""
_FRAME = re.compile(r'File "(?P<path>[^"</][^"]*\.py)", line (?P<line>\d+)')
"""A line of a traceback in what is installed: these paths begin in the folder of the environment."""
_DEPENDENCIES = "dependencies"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResults:
    """The results of a run, and how far it came. ``tasks`` are those that were selected."""

    tasks: Sequence[CheckTask]
    results: Sequence[CheckResult]
    exit_status: int = 0
    cut_short: bool = False
    not_run: tuple[TaskKey, ...] = ()
    end_signal: str = ""
    rollout: RolloutReport | None = None
    checkout: Checkout = field(default_factory=Checkout)


def build_report(plan: Plan, fleet: Fleet, run: RunResults) -> Report:
    """Return the report of ``run``, without what only its assembly knows: runner, resolver, builds, earlier runs."""
    outcomes = with_shared_remedies([result.outcome for result in run.results], plan.target)
    service_names = {outcome.service for outcome in outcomes} | {task.cell.service.name for task in run.tasks}
    comparisons = [result.suite_comparison for result in run.results]
    return Report(
        plan=plan,
        services=tuple(service for service in fleet.services if service.name in service_names),
        cells=_cells(run, outcomes),
        outcomes=outcomes,
        comparisons=tuple(comparison for comparison in comparisons if comparison is not None),
        benchmarks=tuple(benchmark for result in run.results for benchmark in result.benchmarks),
        assumptions=fleet.assumptions,
        generated=clock.now_text(),
        tool_version=__version__,
        exit_status=run.exit_status,
        cut_short=run.cut_short,
        not_run=run.not_run,
        end_signal=run.end_signal,
        rollout=run.rollout,
        checkout=run.checkout,
    )


def _cells(run: RunResults, outcomes: Sequence[Outcome]) -> tuple[Cell, ...]:
    """Return the cells that were checked or were to be; if the run was cut short, all that were selected."""
    answered = {(outcome.service, outcome.interpreter) for outcome in outcomes}
    answered |= {(service, interpreter) for service, interpreter, _ in run.not_run}
    cells = {task.cell.identifier: task.cell for task in run.tasks}
    return tuple(cell for cell in cells.values() if run.cut_short or (cell.service.name, cell.interpreter) in answered)


def with_shared_remedies(outcomes: Sequence[Outcome], target: Interpreter) -> tuple[Outcome, ...]:
    """Return ``outcomes`` in which one change stands for all findings about a requirement.

    The check of dependencies installs and imports what it offers on the target. A version that another check names for
    the same requirement was found in another way, and two remedies for one line contradict each other. So do those of a
    finding on what the requirement brings, if the import of the requirement fails at the very line that it is about.
    """
    tried: dict[str, dict[str, Finding]] = {}
    for outcome in outcomes:
        if outcome.check == _DEPENDENCIES and outcome.interpreter == target:
            for finding in outcome.findings:
                for change in finding.changes:
                    if isinstance(change, SpecifierChange):
                        tried.setdefault(outcome.service, {}).setdefault(change.name, finding)
    return tuple(
        _with_tried_remedies(outcome, tried.get(outcome.service, {})) if outcome.check != _DEPENDENCIES else outcome
        for outcome in outcomes
    )


def _with_tried_remedies(outcome: Outcome, tried: Mapping[str, Finding]) -> Outcome:
    findings = tuple(_with_tried_remedy(finding, tried) for finding in outcome.findings)
    return outcome if findings == outcome.findings else replace(outcome, findings=findings)


def _with_tried_remedy(finding: Finding, tried: Mapping[str, Finding]) -> Finding:
    named = _ABOUT_REQUIREMENT.match(finding.remedy)
    names = [named["name"] or named["replaced"]] if named else []
    names += finding.names if finding.code in _OF_LIBRARIES else ()
    other = next((tried[name] for name in names if name in tried), None)
    if other is None and (finding.code in _OF_LIBRARIES or finding.remedy.startswith(CAUSE_ELSEWHERE)):
        other = next((one for one in tried.values() if _fails_at_same_line(finding, one)), None)
    return replace(finding, remedy=other.remedy) if other is not None and not finding.changes else finding


def _fails_at_same_line(finding: Finding, tried: Finding) -> bool:
    """Return whether a finding is about the line of a library at which the import of ``tried`` fails."""
    frames = list(_FRAME.finditer(tried.detail))
    if not frames:
        return False
    path, line = re.escape(frames[-1]["path"]), frames[-1]["line"]
    place = re.compile(rf'(?<![\w.-]){path}(?::|", line ){line}(?!\d)')
    return place.search(f"{finding.message}\n{finding.detail}") is not None
