"""Run a stage's rollout as pytest items: ``--py312-deploy``, ``--py312-soak``, ``--py312-verify-rollback``.

It is imported only if one of them is given. The work is done by rollout/execution/stage_runner.py and steps.py; this
module has the nodes, their order, signal handling, and the exit status, which depends on the journal and not on the
items.
"""

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_py312.core.directories import STATE_FOLDER
from pytest_py312.core.errors import OptionError, did_you_mean
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.report import EXIT_INCONCLUSIVE, RolloutReport
from pytest_py312.core.service_patterns import matches
from pytest_py312.core.text import escape_terminal
from pytest_py312.plugin.command_line import RunOptions
from pytest_py312.plugin.extensions import Extensions
from pytest_py312.plugin.pytest_support.processes import uses_xdist_workers
from pytest_py312.rollout.context import RolloutContext, plan_rollout
from pytest_py312.rollout.domain.contracts import contract_edges
from pytest_py312.rollout.domain.deployment_plan import stage_services
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.soak_overrides import DURATION, INTERVAL, parse_soak_overrides, with_overrides
from pytest_py312.rollout.domain.stop_signals import StopRequest, stop_on_signals
from pytest_py312.rollout.execution.rollback_check import RollbackVerifier
from pytest_py312.rollout.execution.stage_runner import FindUnproven, StageRequest, StageRunner
from pytest_py312.rollout.execution.steps import VERDICT, RolloutStep, StepResult, StepRunner, StepStatus, make_steps
from pytest_py312.rollout.execution.target_factory import connect_target

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

EXIT_PENDING = 75
"""EX_TEMPFAIL: healthy so far, but the soak is not over. The run has to be repeated later."""
SOAK_MODES = ("wait", "sample-once")


class RolloutFailed(Exception):
    """Raised by an item that failed. It carries the result, and is never shown as a traceback."""

    def __init__(self, answer: StepResult) -> None:
        self.answer = answer
        super().__init__(answer.reason)


class StepExecutor(Protocol):
    """Executor of the steps of a stage. ``ended`` is the stage's last run in the journal, once closed."""

    ended: StageRun | None

    def answer(self, step: RolloutStep) -> StepResult:
        """Perform a step and return its result."""
        ...

    def close(self) -> StepResult | None:
        """End the rollout, and return the result of the stage as a whole."""
        ...


# ---- options


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutOptions:
    """What to do with a stage. ``verify_only``: check that the previous version serves, and nothing else."""

    request: StageRequest
    state: Path
    verify_only: bool = False


def read_rollout_options(config: pytest.Config, options: RunOptions, fleet: Fleet) -> RolloutOptions:
    """Read the options of a rollout.

    :raises OptionError: an option is invalid, or they cannot be combined.
    """
    typed = config.known_args_namespace
    _refuse_conflicting_options(config, options)
    deploy, soak, verify = typed.py312_deploy, typed.py312_soak, typed.py312_verify_rollback
    if verify and (deploy or soak):
        raise OptionError("--py312-verify-rollback checks the previous version: remove --py312-deploy and --py312-soak")
    if deploy and typed.py312_env not in (None, deploy):
        raise OptionError(f"--py312-deploy={deploy} already names the environment: remove --py312-env")
    if deploy and (options.services or options.selections):
        raise OptionError("a stage is deployed as a whole: remove --py312-services and paths, give --py312-stage=N")
    mode = typed.py312_soak_mode or SOAK_MODES[0]
    if mode not in SOAK_MODES:
        raise OptionError(
            f"--py312-soak-mode={mode}: expected one of {', '.join(SOAK_MODES)}{did_you_mean(mode, SOAK_MODES)}"
        )
    request = StageRequest(
        stage=_single_stage(options, fleet),
        environment=deploy or typed.py312_env or "test",
        soak_overrides=parse_soak_overrides(
            {DURATION: ("--py312-soak", soak), INTERVAL: ("--py312-interval", typed.py312_interval)},
        ),
        deploys=bool(deploy),
        sample_once=mode == SOAK_MODES[1],
        accepts_changes=bool(typed.py312_accept_config_change),
    )
    state_dir = typed.py312_state_dir
    state = (
        config.invocation_params.dir / Path(state_dir).expanduser() if state_dir else options.plan.root / STATE_FOLDER
    )
    return RolloutOptions(request=request, state=state.absolute(), verify_only=bool(verify))


def _refuse_conflicting_options(config: pytest.Config, options: RunOptions) -> None:
    if uses_xdist_workers(config):
        raise OptionError(
            "a rollout runs in one process, which locks the environment, and a worker may crash in the middle of it; "
            "remove -n (or give -n 0 if it is in the configuration)"
        )
    if options.fix:
        raise OptionError("--py312-fix changes what was proven: fix first, then deploy in a separate run")


def _single_stage(options: RunOptions, fleet: Fleet) -> int:
    """Return the one stage that is selected: by number, by its services, or because it is the only one."""
    stages = set(options.stages)
    if not stages and options.services:
        stages = {
            candidate.stage
            for candidate in fleet.services
            if any(matches(word, candidate.name, candidate.path) for word in options.services)
        }
    if not stages and len(options.plan.stages) < 2:
        stages = {candidate.number for candidate in options.plan.stages} or {1}
    if len(stages) != 1:
        problem = f"not {len(stages)}" if stages else "and none is named"
        raise OptionError(f"one stage at a time is deployed and monitored, {problem}: --py312-stage=N")
    return stages.pop()


def _check_environment(name: str, environments: Sequence[str]) -> None:
    """Refuse a name that looks like a misspelt environment of the plan, as unknown ones have no conditions."""
    suggestion = did_you_mean(name, tuple(environments)) if name not in environments else ""
    if suggestion:
        raise OptionError(
            f"the plan has no environment {name}{suggestion}; "
            f"if the name is right, add {name} = {{}} to [deploy.environments]"
        )


# ---- nodes


class RolloutNode(pytest.Collector):
    """The node ``py312``, beside the services, because a stage spans several of them."""

    rollout: "RolloutPlugin"

    def collect(self) -> Iterator[pytest.Collector]:
        request = self.rollout.request
        node = StageNode.from_parent(self, name=f"stage-{request.stage}/{request.environment}")
        node.rollout = self.rollout
        yield node


class StageNode(pytest.Collector):
    """A stage in an environment."""

    rollout: "RolloutPlugin"

    def collect(self) -> Iterator[pytest.Item]:
        for step in self.rollout.steps:
            item = RolloutItem.from_parent(self, name=str(step))
            item.bind(step, self.rollout)
            yield item


class RolloutItem(pytest.Item):
    """One step of a rollout."""

    step: RolloutStep
    answer: StepResult | None = None

    def bind(self, step: RolloutStep, rollout: "RolloutPlugin") -> None:
        """Set the step of this node; called once, right after it was created."""
        self.step = step
        self._rollout = rollout
        request = rollout.request
        service = step.subject if step.subject in rollout.services else ""
        attributes = {
            "service": service,
            "interpreter": str(rollout.plan.target),
            "stage": request.stage,
            "check": "rollout",
        }
        self.user_properties += [(f"py312_{name}", str(value)) for name, value in attributes.items()]
        self.user_properties += [("py312_environment", request.environment), ("py312_step", step.kind)]
        self.add_marker(pytest.mark.py312(**attributes))
        self.add_marker("py312_rollout")
        if self.config.pluginmanager.hasplugin("timeout"):
            self.add_marker(pytest.mark.timeout(0))  # a soak takes days, and has its own limits
        self.extra_keyword_matches.update({f"stage{request.stage}", *([service] if service else [])})

    def runtest(self) -> None:
        self.answer = self._rollout.answer(self)
        if self.answer.status is StepStatus.FAILED or (self.is_verdict and self.answer.status is StepStatus.PENDING):
            raise RolloutFailed(self.answer)  # in JUnit XML a pending stage must not look done
        if self.answer.status is not StepStatus.PASSED:
            pytest.skip(self.answer.reason)

    @property
    def is_verdict(self) -> bool:
        return self.step.kind == VERDICT

    def repr_failure(self, excinfo: "ExceptionInfo[BaseException]", style: Any = None) -> "str | TerminalRepr":
        if isinstance(excinfo.value, RolloutFailed):
            return escape_terminal(excinfo.value.answer.reason)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        plan = self._rollout.plan
        return (
            plan.root / plan.source,
            0,
            f"{self._rollout.request.stage}/{self._rollout.request.environment} {self.step}",
        )


# ---- the session


class RolloutPlugin:
    """Hooks of a session with a rollout."""

    def __init__(
        self, config: pytest.Config, options: RolloutOptions, plan: Plan, fleet: Fleet, unproven: FindUnproven
    ) -> None:
        self.request, self.plan = options.request, plan
        self.verify_only = options.verify_only
        self._config = config
        self._exit_stack = ExitStack()
        self._stop = StopRequest()
        self._handles_signals = False
        self._pending: set[str] = set()
        self._lines: list[str] = []
        self._final_answer: StepResult | None = None
        context = RolloutContext(
            plan=plan,
            state_dir=options.state,
            target=lambda: self._exit_stack.enter_context(
                Extensions(config).connect_target(context.settings(), options.request.environment)
                or connect_target(context.settings(), options.request.environment)
            ),
            log=self._show_line,
            discovered_fleet=fleet,
        )
        settings = with_overrides(context.settings(), self.request.stage, self.request.soak_overrides)
        _check_environment(self.request.environment, [environment.name for environment in settings.environments])
        self.services = _deployment_order(context, self.request, verify_only=options.verify_only)
        if options.verify_only:
            self.steps = [RolloutStep(kind="verify", subject=service) for service in self.services]
            self._executor: StepExecutor = RollbackVerifier(
                context, stage=self.request.stage, environment=self.request.environment
            )
        else:
            edges = contract_edges(settings.contracts, self.services)
            self.steps = make_steps(
                self.services,
                self.request.stage,
                deploys=self.request.deploys,
                edges=edges,
                acceptance=[tests.name for tests in settings.acceptance_tests_of(self.request.stage)],
            )
            self._executor = StepRunner(StageRunner(context, self.request, find_unproven=unproven, stop=self._stop))

    # -- collection

    def nodes(self, parent: pytest.Collector) -> Iterable[pytest.Collector]:
        """Yield the nodes beside the services."""
        node = RolloutNode.from_parent(parent, name="py312", nodeid="py312")
        node.rollout = self
        yield node

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Run checks first, then the stage in its order, even if other plugins reorder items (--ff, randomly)."""
        yield
        items.sort(key=lambda item: 1 + self.steps.index(item.step) if isinstance(item, RolloutItem) else 0)

    # -- running

    def answer(self, item: RolloutItem) -> StepResult:
        """Perform a step. From the first one on, signals only request an end, and raise no exception."""
        if not self._handles_signals and threading.current_thread() is threading.main_thread():
            self._exit_stack.enter_context(stop_on_signals(self._stop))
            self._handles_signals = True
        if self._stop:
            answer = StepResult(status=StepStatus.SKIPPED, reason=f"interrupted by {self._stop.reason}")
        else:
            answer = self._executor.answer(item.step)
        if self._stop:
            item.session.shouldstop = f"interrupted by {self._stop.reason}"
        return answer

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not isinstance(item, RolloutItem) or call.when != "call" or item.answer is None:
            return report
        answer = item.answer
        lines, self._lines = self._lines, []
        step_sections = [("steps", "\n".join(lines))] if lines else []
        report.sections += [(title, escape_terminal_lines(text)) for title, text in (*step_sections, *answer.sections)]
        status: list[tuple[str, object]] = [("py312_status", answer.status.value)]
        report.user_properties += status
        item.user_properties = [
            user_property for user_property in item.user_properties if user_property[0] != "py312_status"
        ] + status
        if answer.status is StepStatus.PENDING:
            report.py312_pending = True  # type: ignore[attr-defined]  # plugins may add attributes to a report
            if report.failed:
                self._pending.add(item.nodeid)  # a set, because an item may be run again (--reruns)
        if report.skipped:
            path, line, _ = item.reportinfo()
            report.longrepr = (str(path), (line or 0) + 1, f"Skipped: {escape_terminal(answer.reason)}")
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        if getattr(report, "py312_pending", False) and report.when == "call":
            return "pending", "P", ("PENDING", {"yellow": True})
        return None

    def _show_line(self, text: str) -> None:
        """Print a line at once, despite output capturing, and keep it for the item's report."""
        self._lines.append(text)
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if terminal is None or self._config.get_verbosity() < 0:
            return
        # a lost terminal must not end a deployment or a rollback in the middle
        with suppress(OSError), ExitStack() as exit_stack:
            if capture is not None:
                exit_stack.enter_context(capture.global_and_fixture_disabled())
            terminal.ensure_newline()
            terminal.write_line(f"  {escape_terminal(text)}")

    # -- the end

    def finish(self, session: pytest.Session, status: int) -> int:
        """Complete or roll back what was started, and set the exit status according to the journal."""
        try:
            self._final_answer = self._executor.close()
        finally:
            self._exit_stack.close()
        session.exitstatus = self._exit_status(session, status)
        return int(session.exitstatus)

    def _exit_status(self, session: pytest.Session, status: int) -> int:
        if status in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
            return status
        if self._stop or status == pytest.ExitCode.INTERRUPTED:
            return pytest.ExitCode.INTERRUPTED
        if self._final_answer is not None and self._final_answer.status is StepStatus.FAILED:
            return pytest.ExitCode.TESTS_FAILED
        has_failed = status in (pytest.ExitCode.TESTS_FAILED, EXIT_INCONCLUSIVE) and not self._pending
        if has_failed or session.testsfailed > len(self._pending):
            return pytest.ExitCode.TESTS_FAILED
        if self._final_answer is not None and self._final_answer.status is StepStatus.PENDING:
            return EXIT_PENDING
        # a run without checks proves nothing
        return pytest.ExitCode.TESTS_FAILED if status == pytest.ExitCode.NO_TESTS_COLLECTED else pytest.ExitCode.OK

    def report(self) -> RolloutReport | None:
        """Return the rollout's part of the report."""
        if self._final_answer is None:
            return None
        run = self._executor.ended
        stage = RolloutReport(
            environment=self.request.environment,
            stage=self.request.stage,
            status=self._final_answer.status.value,
            reason=self._final_answer.reason,
        )
        if run is None:
            return stage
        return replace(
            stage,
            run=run.run,
            state=run.state.value,
            verdict=run.verdict.value,
            credited=run.credited,
            soak=run.soak,
            services=run.services,
        )

    def show(self, terminal: Any) -> None:
        """Print the line about the stage."""
        if self._final_answer is None:
            return
        terminal.section("rollout", sep="=")
        style = {"passed": "green", "pending": "yellow"}.get(self._final_answer.status.value, "red")
        terminal.write(
            f"{self._final_answer.status.value}: {escape_terminal(self._final_answer.reason)}\n", **{style: True}
        )


def escape_terminal_lines(text: str) -> str:
    """Escape each line for a terminal."""
    return "\n".join(escape_terminal(line) for line in text.splitlines())


def _deployment_order(context: RolloutContext, request: StageRequest, *, verify_only: bool) -> list[str]:
    """Return the services of the stage in the order of deployment. Only reads files."""
    if verify_only:
        return [service.name for service in stage_services(context.plan, context.fleet(), request.stage)]
    run = plan_rollout(
        context,
        stage=request.stage,
        environment=request.environment,
        soak_overrides=request.soak_overrides,
        look_up_image_id=lambda reference: reference,
    ).run
    return [*run.services]
