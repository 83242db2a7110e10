"""A stage's rollout as items of the run: ``--py312-deploy``, ``--py312-soak``, ``--py312-verify``.

Loaded where one of them is given. What is done is the library's (rollout/execution/stage_runner.py,
rollout/execution/steps.py); here are the nodes, the order, the signals, and the exit status, which the journal settles
and not the items.
"""

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_py312.core.directories import STATE_FOLDER
from pytest_py312.core.errors import OptionError, perhaps
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.model.report import RolloutReport
from pytest_py312.core.service_patterns import matches
from pytest_py312.core.text import prose
from pytest_py312.plugin.command_line import Aim
from pytest_py312.plugin.xdist import is_spread
from pytest_py312.rollout.context import Ground, wanted_of
from pytest_py312.rollout.domain.contracts import edges_of
from pytest_py312.rollout.domain.deployment_plan import stage_services
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.soak_overrides import DURATION, INTERVAL, asked_in, with_asked
from pytest_py312.rollout.domain.stop_signals import Stop, flagged_by_signals
from pytest_py312.rollout.execution.rollback_check import OldOnes
from pytest_py312.rollout.execution.stage_runner import Staging, Unproven, Wish
from pytest_py312.rollout.execution.steps import VERDICT, Answer, Step, Steps, StepStatus, steps_of
from pytest_py312.rollout.execution.target_factory import connected

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

PENDING = 75
"""EX_TEMPFAIL: healthy so far, and not over. Whoever started the run comes back."""
MODES = ("wait", "tick")


class RolloutFailed(Exception):
    """Ends an item that failed. Carries the answer; never shown as a traceback."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.reason)


class Answers(Protocol):
    """Who answers the steps of a stage. ``ended`` is what the journal had of it when it was closed."""

    ended: StageRun | None

    def answer(self, step: Step) -> Answer:
        """What a step comes to."""
        ...

    def close(self) -> Answer | None:
        """End it, and say what there is to be said of the stage beside its steps."""
        ...


# ---- what is asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutAim:
    """What the command line asks of a stage. ``verifies`` is to look at what served before, and at nothing else."""

    wish: Wish
    state: Path
    verifies: bool = False


def rollout_aim(config: pytest.Config, aim: Aim, fleet: Fleet) -> RolloutAim:
    """Read the options.

    :raises OptionError: they cannot be used together, or one cannot be used at all.
    """
    typed = config.known_args_namespace
    _refuse_others(config, aim)
    deploy, soak, verify = typed.py312_deploy, typed.py312_soak, typed.py312_verify
    if verify and verify != "old":
        raise OptionError(f"--py312-verify={verify}: it is old{perhaps(verify, ('old',))}")
    if verify and (deploy or soak):
        raise OptionError("--py312-verify looks at what served before: leave out --py312-deploy and --py312-soak")
    if deploy and typed.py312_env not in (None, deploy):
        raise OptionError(f"--py312-deploy={deploy} names the environment already: leave out --py312-env")
    if deploy and (aim.services or aim.chosen):
        raise OptionError("a stage is deployed as a whole: leave out --py312-services and paths, give --py312-stage=N")
    mode = typed.py312_soak_mode or MODES[0]
    if mode not in MODES:
        raise OptionError(f"--py312-soak-mode={mode}: it is one of {', '.join(MODES)}{perhaps(mode, MODES)}")
    wish = Wish(
        stage=_stage(aim, fleet),
        environment=deploy or typed.py312_env or "test",
        asked=asked_in(
            {DURATION: ("--py312-soak", soak), INTERVAL: ("--py312-interval", typed.py312_interval)},
        ),
        deploys=bool(deploy),
        ticks=mode == "tick",
        accepts_changes=bool(typed.py312_accept_config_change),
    )
    named = typed.py312_state_dir
    state = config.invocation_params.dir / Path(named).expanduser() if named else aim.plan.root / STATE_FOLDER
    return RolloutAim(wish=wish, state=state.absolute(), verifies=bool(verify))


def _refuse_others(config: pytest.Config, aim: Aim) -> None:
    if is_spread(config):
        raise OptionError(
            "a rollout is one process's: it holds the environment, and a worker that dies takes what it does along; "
            "leave out -n (or give -n 0, where the configuration has it)"
        )
    if aim.fix:
        raise OptionError("--py312-fix changes what was proven: mend first, then deploy with a run of its own")


def _stage(aim: Aim, fleet: Fleet) -> int:
    """The one stage that is meant: by its number, by its services, or as the only one."""
    stages = set(aim.stages)
    if not stages and aim.services:
        stages = {
            one.stage for one in fleet.services if any(matches(word, one.name, one.path) for word in aim.services)
        }
    if not stages and len(aim.plan.stages) < 2:
        stages = {one.number for one in aim.plan.stages} or {1}
    if len(stages) != 1:
        found = f"not {len(stages)}" if stages else "and none is named"
        raise OptionError(f"one stage at a time is deployed and watched, {found}: --py312-stage=N")
    return stages.pop()


def _check_environment(name: str, known: Sequence[str]) -> None:
    """An environment that the plan does not name has no conditions, so a slip of the pen must not make one."""
    near = perhaps(name, tuple(known)) if name not in known else ""
    if near:
        raise OptionError(
            f"the plan has no environment {name}{near}; if it is one, write {name} = {{}} in [deploy.environments]"
        )


# ---- nodes


class RolloutNode(pytest.Collector):
    """``py312``: beside the services, as a stage is none of them."""

    items: "RolloutItems"

    def collect(self) -> Iterator[pytest.Collector]:
        wish = self.items.wish
        node = StageNode.from_parent(self, name=f"stage-{wish.stage}/{wish.environment}")
        node.items = self.items
        yield node


class StageNode(pytest.Collector):
    """A stage in an environment."""

    items: "RolloutItems"

    def collect(self) -> Iterator[pytest.Item]:
        for step in self.items.steps:
            item = RolloutItem.from_parent(self, name=str(step))
            item.take(step, self.items)
            yield item


class RolloutItem(pytest.Item):
    """One step of a rollout."""

    step: Step
    answer: Answer | None = None

    def take(self, step: Step, items: "RolloutItems") -> None:
        """Say what this node is about; called once, right after it was made."""
        self.step = step
        self._items = items
        wish = items.wish
        service = step.about if step.about in items.services else ""
        about = {"service": service, "interpreter": str(items.plan.target), "stage": wish.stage, "check": "rollout"}
        self.user_properties += [(f"py312_{name}", str(value)) for name, value in about.items()]
        self.user_properties += [("py312_environment", wish.environment), ("py312_step", step.kind)]
        self.add_marker(pytest.mark.py312(**about))
        self.add_marker("py312_rollout")
        if self.config.pluginmanager.hasplugin("timeout"):
            self.add_marker(pytest.mark.timeout(0))  # a soak takes days, and has limits of its own
        self.extra_keyword_matches.update({f"stage{wish.stage}", *([service] if service else [])})

    def runtest(self) -> None:
        self.answer = self._items.answer(self)
        if self.answer.status is StepStatus.FAILED or (self.is_verdict and self.answer.status is StepStatus.PENDING):
            raise RolloutFailed(self.answer)  # whoever reads JUnit alone must not take a pending stage for done
        if self.answer.status is not StepStatus.PASSED:
            pytest.skip(self.answer.reason)

    @property
    def is_verdict(self) -> bool:
        return self.step.kind == VERDICT

    def repr_failure(self, excinfo: "ExceptionInfo[BaseException]", style: Any = None) -> "str | TerminalRepr":
        if isinstance(excinfo.value, RolloutFailed):
            return prose(excinfo.value.answer.reason)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        plan = self._items.plan
        return plan.root / plan.source, 0, f"{self._items.wish.stage}/{self._items.wish.environment} {self.step}"


# ---- the session


class RolloutItems:
    """Hooks of one session with a rollout in it."""

    def __init__(self, config: pytest.Config, aim: RolloutAim, plan: Plan, fleet: Fleet, unproven: Unproven) -> None:
        self.wish, self.plan = aim.wish, plan
        self.stands_alone = aim.verifies
        self._config = config
        self._opened = ExitStack()
        self._stop = Stop()
        self._is_guarded = False
        self._pending: set[str] = set()
        self._lines: list[str] = []
        self._said: Answer | None = None
        ground = Ground(
            plan=plan,
            state=aim.state,
            target=lambda: self._opened.enter_context(connected(ground.settings(), aim.wish.environment)),
            told=self._tell,
            found=fleet,
        )
        settings = with_asked(ground.settings(), self.wish.stage, self.wish.asked)
        _check_environment(self.wish.environment, [one.name for one in settings.environments])
        self.services = _in_order(ground, self.wish, verifies=aim.verifies)
        if aim.verifies:
            self.steps = [Step(kind="verify", about=service) for service in self.services]
            self._answers: Answers = OldOnes(ground, stage=self.wish.stage, environment=self.wish.environment)
        else:
            edges = edges_of(settings.contracts, self.services)
            self.steps = steps_of(self.services, self.wish.stage, deploys=self.wish.deploys, edges=edges)
            self._answers = Steps(Staging(ground, self.wish, unproven=unproven, stop=self._stop))

    # -- collection

    def nodes(self, parent: pytest.Collector) -> Iterable[pytest.Collector]:
        """What stands beside the services."""
        node = RolloutNode.from_parent(parent, name="py312", nodeid="py312")
        node.items = self
        yield node

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Checks first, then the stage in its order, whatever others have made of it (--ff, randomly)."""
        yield
        items.sort(key=lambda item: 1 + self.steps.index(item.step) if isinstance(item, RolloutItem) else 0)

    # -- running

    def answer(self, item: RolloutItem) -> Answer:
        """What a step comes to. From the first on, signals only ask for an end, and are no exception anywhere."""
        if not self._is_guarded and threading.current_thread() is threading.main_thread():
            self._opened.enter_context(flagged_by_signals(self._stop))
            self._is_guarded = True
        if self._stop:
            found = Answer(status=StepStatus.SKIPPED, reason=f"interrupted by {self._stop.why}")
        else:
            found = self._answers.answer(item.step)
        if self._stop:
            item.session.shouldstop = f"interrupted by {self._stop.why}"
        return found

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if not isinstance(item, RolloutItem) or call.when != "call" or item.answer is None:
            return report
        answer = item.answer
        lines, self._lines = self._lines, []
        told = [("steps", "\n".join(lines))] if lines else []
        report.sections += [(title, prose_lines(text)) for title, text in (*told, *answer.sections)]
        status: list[tuple[str, object]] = [("py312_status", answer.status.value)]
        report.user_properties += status
        item.user_properties = [one for one in item.user_properties if one[0] != "py312_status"] + status
        if answer.status is StepStatus.PENDING:
            report.py312_pending = True  # type: ignore[attr-defined]  # a report takes what plugins give it
            if report.failed:
                self._pending.add(item.nodeid)  # which may be run again (--reruns)
        if report.skipped:
            place, line, _ = item.reportinfo()
            report.longrepr = (str(place), (line or 0) + 1, f"Skipped: {prose(answer.reason)}")
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        if getattr(report, "py312_pending", False) and report.when == "call":
            return "pending", "P", ("PENDING", {"yellow": True})
        return None

    def _tell(self, text: str) -> None:
        """Show a line while it is news, past what captures an item's output, and keep it for the item's report."""
        self._lines.append(text)
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if terminal is None or self._config.get_verbosity() < 0:
            return
        with ExitStack() as opened:
            if capture is not None:
                opened.enter_context(capture.global_and_fixture_disabled())
            terminal.ensure_newline()
            terminal.write_line(f"  {prose(text)}")

    # -- the end

    def finish(self, session: pytest.Session, status: int) -> int:
        """Leave nothing half done, and settle the exit status by what the journal says."""
        try:
            self._said = self._answers.close()
        finally:
            self._opened.close()
        session.exitstatus = self._settled(session, status)
        return int(session.exitstatus)

    def _settled(self, session: pytest.Session, status: int) -> int:
        if status in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
            return status
        if self._stop or status == pytest.ExitCode.INTERRUPTED:
            return pytest.ExitCode.INTERRUPTED
        if self._said is not None and self._said.status is StepStatus.FAILED:
            return pytest.ExitCode.TESTS_FAILED
        if session.testsfailed > len(self._pending) or (status == pytest.ExitCode.TESTS_FAILED and not self._pending):
            return pytest.ExitCode.TESTS_FAILED
        if self._said is not None and self._said.status is StepStatus.PENDING:
            return PENDING
        # an empty gate is no gate
        return pytest.ExitCode.TESTS_FAILED if status == pytest.ExitCode.NO_TESTS_COLLECTED else pytest.ExitCode.OK

    def report(self) -> RolloutReport | None:
        """What is told to programs."""
        if self._said is None:
            return None
        run = self._answers.ended
        stage = RolloutReport(
            environment=self.wish.environment,
            stage=self.wish.stage,
            status=self._said.status.value,
            reason=self._said.reason,
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
        """The one line about the stage."""
        if self._said is None:
            return
        terminal.section("rollout", sep="=")
        style = {"passed": "green", "pending": "yellow"}.get(self._said.status.value, "red")
        terminal.write(f"{self._said.status.value}: {prose(self._said.reason)}\n", **{style: True})


def prose_lines(text: str) -> str:
    """Several lines, each harmless to a terminal."""
    return "\n".join(prose(line) for line in text.splitlines())


def _in_order(ground: Ground, wish: Wish, *, verifies: bool) -> list[str]:
    """The services of the stage, in the order of deployment. Reads files only."""
    if verifies:
        return [service.name for service in stage_services(ground.plan, ground.fleet(), wish.stage)]
    run = wanted_of(ground, stage=wish.stage, environment=wish.environment, asked=wish.asked, image_id=_as_written).run
    return [*run.services]


def _as_written(reference: str) -> str:
    return reference
