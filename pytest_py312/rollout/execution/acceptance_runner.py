"""Run the acceptance tests of a stage: a command, or pytest, on this machine in the folder of the repository.

The tests reach the deployed services as clients do; nothing of a service is loaded here.
"""

import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from pytest_py312.core import clock, process
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.process import Cancellation, CommandResult, ExitReason
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.text import error_line, escape_control, format_duration, without_escapes
from pytest_py312.repository.plan.rollout_settings import AcceptanceSettings, RolloutSettings
from pytest_py312.rollout.canary_analysis.judge import BreachKind, reaction_to, severity_of
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.acceptance import (
    MAX_ID_LENGTH,
    MAX_TESTS,
    AcceptanceOutcomes,
    confirm_failures,
    judge_acceptance,
    prefer_possible,
)
from pytest_py312.rollout.domain.events import AcceptanceTested
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import (
    AcceptancePhase,
    AcceptanceResult,
    Breach,
    BreachSeverity,
    Reaction,
    StageRun,
    stage_subject,
)
from pytest_py312.rollout.execution.actions import WaitInterrupted
from pytest_py312.runners.runner import CELL_PARENT
from pytest_py312.runners.suite_ids import SuiteIds

NESTED_VARIABLE = "PY312_ACCEPTANCE"
"""Environment variable of the tests' processes: the plugin checks nothing in them, whatever the settings say."""
MAX_OUTPUT = 1500
"""Characters of the end of the output that are recorded."""
MAX_REPORT_BYTES = 32 * 1024**2
"""Size of pytest's report that is read at most."""
_KEPT_PYTEST_VARIABLES = ("PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
_PYTEST_PROBLEMS = {
    2: "pytest was interrupted, or could not collect the tests",
    3: "pytest had an internal error",
    4: "pytest was called wrongly",
    5: "no test was collected",
}
"""Exit code -> why nothing was proven."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptanceRunner:
    """Runner of the acceptance tests of any stage, with the settings of the plan."""

    settings: RolloutSettings
    services: Mapping[str, Service]
    root: Path

    def test(
        self,
        run: StageRun,
        name: str,
        phase: AcceptancePhase,
        cancelled: Cancellation,
        *,
        verify: Callable[[], str] = lambda: "",
    ) -> AcceptanceTested:
        """Run acceptance tests in a phase, and return the result with the reaction to it.

        A failure that decides something has to occur twice: a transient one must neither roll a stage back nor, before
        the deployment, excuse one that lasts. Nor must a run that was not possible once hold a stage.

        :param verify: returns why something else was tested; called afterwards.
        :raises WaitInterrupted: they were cancelled.
        """
        settings = next((tests for tests in self.settings.acceptance_tests_of(run.stage) if tests.name == name), None)
        if settings is None:
            missing = AcceptanceOutcomes(problem="the plan has no acceptance tests of that name any more")
            return self._answer(run, _judge(run, name, phase, missing))
        with PROGRESS.activity("running the acceptance tests", name):
            outcomes = self._run_if_possible(settings, cancelled)
            result = _judge(run, name, phase, outcomes)
            if result.newly_failing or (phase is AcceptancePhase.BEFORE and result.known_failing):
                outcomes = confirm_failures(outcomes, self._run_if_possible(settings, cancelled))
                result = _judge(run, name, phase, outcomes)
        if problem := verify():
            result = _judge(run, name, phase, AcceptanceOutcomes(problem=problem, output=outcomes.output))
        return self._answer(run, result)

    def _answer(self, run: StageRun, result: AcceptanceResult) -> AcceptanceTested:
        if result.phase is AcceptancePhase.BEFORE or result.result is Result.SUCCESSFUL:
            return AcceptanceTested(result=result)
        severity, reaction = BreachSeverity.MINOR, Reaction.HOLD
        if result.result is Result.FAILED:
            severity = severity_of(BreachKind.ACCEPTANCE)
            is_critical = any(self.services[name].critical for name in run.services if name in self.services)
            stage_settings = self.settings.soak_settings_for(stage=run.stage)
            reaction = reaction_to(severity, critical_service=is_critical, settings=stage_settings)
        prefix = "inconclusive: " if result.result is Result.INCONCLUSIVE else ""
        breach = Breach(
            service=stage_subject(run.stage),
            metric=result.metric,
            severity=severity,
            reaction=reaction,
            detail=prefix + result.reason,
        )
        return AcceptanceTested(result=result, breach=breach)

    # ---- processes

    def _run_if_possible(self, settings: AcceptanceSettings, cancelled: Cancellation) -> AcceptanceOutcomes:
        """Run the tests; repeat a run that was not possible once, in what is left of the time limit."""
        started = clock.stopwatch()
        outcomes = self._run_tests(settings, cancelled)
        left = settings.timeout - (clock.stopwatch() - started)
        if not outcomes.problem or left <= 0:
            return outcomes
        return prefer_possible(outcomes, self._run_tests(replace(settings, timeout=left), cancelled))

    def _run_tests(self, settings: AcceptanceSettings, cancelled: Cancellation) -> AcceptanceOutcomes:
        folder = self.root / settings.folder
        if not folder.resolve().is_relative_to(self.root.resolve()):
            return AcceptanceOutcomes(problem=f"the folder {settings.folder} leads out of the repository")
        if settings.command:
            return _command_outcomes(settings, self._run_process(settings, settings.command, folder, cancelled))
        try:
            with tempfile.TemporaryDirectory(prefix="py312-acceptance-", ignore_cleanup_errors=True) as scratch:
                report = Path(scratch) / "junit.xml"
                arguments = (str(self.root / settings.pytest), "-q", "--color=no", f"--junitxml={report}")
                argv = (settings.interpreter(self.root), "-m", "pytest", *arguments)
                result = self._run_process(settings, argv, folder, cancelled, scratch=report.parent)
                return _pytest_outcomes(settings, result, report)
        except OSError as error:
            return AcceptanceOutcomes(problem=f"no folder for the results could be made: {error.strerror or error}")

    def _run_process(
        self,
        settings: AcceptanceSettings,
        argv: Sequence[str],
        folder: Path,
        cancelled: Cancellation,
        *,
        scratch: Path | None = None,
    ) -> CommandResult:
        """Run one process to its end. None of its descendants is left, nor ``scratch``, even if this process is killed.

        :raises WaitInterrupted: it was cancelled.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PYTEST_") or name in _KEPT_PYTEST_VARIABLES
        }
        result = process.run(
            argv,
            cwd=folder,
            env={**inherited, **dict(settings.environment), NESTED_VARIABLE: settings.name},
            time_limit=settings.timeout,
            tail_limit=4 * MAX_OUTPUT,
            merge_stderr=True,
            mark=f"acceptance:{secrets.token_hex(8)}",
            parent=CELL_PARENT,
            scratch=scratch,
            cancelled=cancelled,
        )
        if result.exit_reason is ExitReason.CANCELLED:
            raise WaitInterrupted(f"a stop while the acceptance tests {settings.name} were running")
        return result


def make_acceptance_runner(context: RolloutContext) -> AcceptanceRunner:
    """Return a runner for the stages of the plan.

    :raises Py312Error: the plan or the services cannot be read.
    """
    return AcceptanceRunner(settings=context.settings(), services=context.services(), root=context.plan.root)


def _judge(run: StageRun, name: str, phase: AcceptancePhase, outcomes: AcceptanceOutcomes) -> AcceptanceResult:
    """Judge outcomes by what was recorded before, and by what a person has accepted since."""
    after = run.acceptance_result(name, AcceptancePhase.AFTER) if phase is AcceptancePhase.END else None
    return judge_acceptance(
        name,
        phase,
        outcomes,
        baseline=run.acceptance_result(name, AcceptancePhase.BEFORE),
        accepted=after.newly_failing if after is not None and run.has_accepted(after) else (),
    )


# ---- results


def _command_outcomes(settings: AcceptanceSettings, result: CommandResult) -> AcceptanceOutcomes:
    """Return the outcome of a command, which counts as one test."""
    test, output = frozenset({settings.name}), _end_of_output(result)
    if problem := _process_problem(settings, result):
        return AcceptanceOutcomes(problem=problem, output=output)
    return AcceptanceOutcomes(passed=test) if result.ok else AcceptanceOutcomes(failed=test, output=output)


def _pytest_outcomes(settings: AcceptanceSettings, result: CommandResult, report: Path) -> AcceptanceOutcomes:
    """Return the outcomes that pytest has written to ``report``."""
    output = _end_of_output(result)
    problem = _process_problem(settings, result)
    if not problem and result.exit_code in _PYTEST_PROBLEMS:
        problem = f"{_PYTEST_PROBLEMS[result.exit_code]}: {error_line(output)}"
    if problem:
        return AcceptanceOutcomes(problem=problem, output=output)
    try:
        outcomes = _read_junit(report)
    except (OSError, ValueError, ElementTree.ParseError):
        return AcceptanceOutcomes(problem=f"pytest wrote no results: {error_line(output)}", output=output)
    passed, failed = (
        frozenset(test for test, outcome in outcomes.items() if outcome == wanted) for wanted in ("passed", "failed")
    )
    if len(outcomes) > MAX_TESTS:
        problem = f"{len(outcomes)} tests were run, and at most {MAX_TESTS} can be compared: write several tables"
    elif not passed and not failed:
        problem = "every test was skipped"
    elif result.exit_code != 0 and not failed:
        problem = f"pytest ended with exit code {result.exit_code}, although no test failed: {error_line(output)}"
    return AcceptanceOutcomes(passed=passed, failed=failed, problem=problem, output=output)


def _process_problem(settings: AcceptanceSettings, result: CommandResult) -> str:
    """Return why the process of the tests has not ended by itself; empty if it has."""
    if result.exit_reason is ExitReason.TIMED_OUT:
        return f"the time limit of {format_duration(settings.timeout)} was reached"
    if result.exit_reason is ExitReason.NOT_STARTED:
        return result.stderr
    if result.exit_reason is not ExitReason.EXITED:
        return f"the process was ended by signal {-(result.exit_code or 0)}"
    return ""


def _end_of_output(result: CommandResult) -> str:
    lines = (escape_control(line) for line in without_escapes(result.stdout).splitlines())
    return "\n".join(lines)[-MAX_OUTPUT:]


def _read_junit(report: Path) -> dict[str, str]:
    """Return the outcome of each test: passed, failed or skipped. Of several with one id the worst counts.

    :raises OSError: there is no report.
    :raises ValueError: it is too large.
    :raises ElementTree.ParseError: it is no XML.
    """
    if report.stat().st_size > MAX_REPORT_BYTES:
        raise ValueError("it is too large")
    ids, outcomes = SuiteIds(), dict[str, str]()
    for case in ElementTree.parse(report).iter("testcase"):
        name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)
        test = ids.comparable(escape_control(name)[:MAX_ID_LENGTH])
        children = {child.tag for child in case}
        outcome = "failed" if children & {"failure", "error"} else "skipped" if "skipped" in children else "passed"
        if outcomes.get(test) != "failed":
            outcomes[test] = outcome
    return outcomes
