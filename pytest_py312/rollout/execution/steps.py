"""The steps of a stage as they are shown, and their results. A kind is one function and one row of STEP_KINDS."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from pytest_py312.core.errors import Py312Error
from pytest_py312.core.text import format_duration
from pytest_py312.rollout.canary_analysis.soak_status import format_credit
from pytest_py312.rollout.domain.acceptance import describe_acceptance
from pytest_py312.rollout.domain.contracts import worst_result
from pytest_py312.rollout.domain.events import Breached, Drifted
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import (
    CONTRACT_METRIC,
    ROLLBACK_STATES,
    SOAK_STATES,
    AcceptancePhase,
    Act,
    Reaction,
    StageRun,
    StageState,
    Verdict,
)
from pytest_py312.rollout.domain.next_act import next_act
from pytest_py312.rollout.execution.contract_runner import describe_results
from pytest_py312.rollout.execution.stage_runner import StageRunner, StepBlocked
from pytest_py312.rollout.monitoring.breaches import final_comparisons, is_comparison_excused
from pytest_py312.rollout.monitoring.soak_report import format_limits, format_log_summary, format_samples
from pytest_py312.rollout.targets.target import TargetError

Sections = tuple[tuple[str, str], ...]
"""(title, text) of evidence."""


class StepStatus(Enum):
    """Status of a step or of a stage. Pending is a soak that is healthy so far, and not over."""

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """Result of a step, with its evidence."""

    status: StepStatus
    reason: str = ""
    sections: Sections = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutStep:
    """One step. ``subject`` is a service, a pair of services, acceptance tests, or the stage, depending on the kind; it
    may be empty.
    """

    kind: str
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.kind}[{self.subject}]" if self.subject else self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class StepKind:
    """A kind of step: about the stage if ``per_stage``, a pair of services if ``per_contract``, acceptance tests if
    ``per_acceptance``, else a service.

    ``only_when_deploying`` kinds are left out of a stage that is not deployed.
    """

    name: str
    perform: Callable[[StageRunner, str], StepResult]
    per_stage: bool = False
    only_when_deploying: bool = False
    per_contract: bool = False
    per_acceptance: bool = False


def make_steps(
    services: Sequence[str], stage: int, *, deploys: bool, edges: Sequence[str] = (), acceptance: Sequence[str] = ()
) -> list[RolloutStep]:
    """Return all steps in their order; ``services`` are in the order of deployment.

    :param edges: pairs of services with a contract, ``caller->callee``.
    :param acceptance: names of the acceptance tests of the stage.
    """
    steps = []
    for kind in STEP_KINDS:
        if kind.only_when_deploying and not deploys:
            continue
        if kind.per_stage:
            steps.append(RolloutStep(kind=kind.name, subject="" if kind.name == PREFLIGHT else f"stage-{stage}"))
        else:
            subjects = edges if kind.per_contract else acceptance if kind.per_acceptance else services
            steps += [RolloutStep(kind=kind.name, subject=subject) for subject in subjects]
    return steps


class StepRunner:
    """Runner of steps. What blocks a step fails the first step that meets it; later ones are skipped for it."""

    def __init__(self, stage_runner: StageRunner) -> None:
        self.stage_runner = stage_runner
        self._reported_reasons: set[str] = set()
        self.ended: StageRun | None = None
        """The run in the journal when this was closed."""

    def answer(self, step: RolloutStep) -> StepResult:
        """Return the result of a step, running it if necessary."""
        kind = next(kind for kind in STEP_KINDS if kind.name == step.kind)
        try:
            return kind.perform(self.stage_runner, step.subject)
        except StepBlocked as error:
            return self._blocked_result(step, str(error))
        except (Py312Error, TargetError) as error:
            return _failed(str(error))

    def close(self) -> StepResult:
        """End everything, and return the verdict on the stage."""
        try:
            self.ended = self.stage_runner.close()
            return stage_verdict(self.stage_runner, self.ended)
        except (Py312Error, TargetError) as error:
            return _failed(str(error))

    def _blocked_result(self, step: RolloutStep, reason: str) -> StepResult:
        if self.stage_runner.is_watched_elsewhere:
            return stage_verdict(self.stage_runner, self.stage_runner.current_run)
        is_new = reason not in self._reported_reasons
        self._reported_reasons.add(reason)
        if is_new or step.kind == VERDICT:
            return _failed(reason, _notes(self.stage_runner))
        return _skipped(f"not done: {reason}")


# ---- deployment


def _preflight(stage_runner: StageRunner, subject: str) -> StepResult:
    run = stage_runner.preflight()
    if stage_runner.was_already_up:
        return _passed(f"{stage_runner} is {run.state.value} since run {run.run}")
    return _passed(f"{stage_runner} is locked for run {run.run}; everything that serves is well")


def _deploy(stage_runner: StageRunner, service: str) -> StepResult:
    run = stage_runner.preflight()
    if stage_runner.was_already_up:
        return _skipped(f"{service} is up since run {run.run}; it is not deployed again")
    run = stage_runner.deploy_until(lambda run: run[service].ready)
    container = run[service].new
    return _passed(f"{service} is served by {container.id[:12] if container else 'nothing'}, and healthy")


def _verify(stage_runner: StageRunner, service: str) -> StepResult:
    run = stage_runner.preflight()
    if not stage_runner.was_already_up:  # after the last service there may be more acts before the soak
        run = stage_runner.deploy_until(lambda run: run[service].verified and _next_step_has_acts(run))
    elif problem := stage_runner.driver.verify(run.run, service):
        return _failed(f"{service}: {problem}")
    return _passed(f"{service} runs on Python {run.target}, as its process reports")


def _next_step_has_acts(run: StageRun) -> bool:
    intent = next_act(run)
    return intent is not None and intent.act in (Act.VERIFY, Act.TEST_AFTER)


def _acceptance(stage_runner: StageRunner, name: str) -> StepResult:
    with suppress(StepBlocked):  # by these tests, or by others that are to be blamed
        stage_runner.deploy_until()
    return _describe_acceptance_step(stage_runner, name, AcceptancePhase.AFTER) or _skipped(
        f"not run: {_describe_state(stage_runner, stage_runner.deploy_until())}"
    )


def _final_acceptance(stage_runner: StageRunner, name: str) -> StepResult:
    run = stage_runner.watch_until()
    if step_result := _describe_acceptance_step(stage_runner, name, AcceptancePhase.END):
        return step_result
    if run.state in SOAK_STATES:
        return _pending(f"follows when the soak is over: {_describe_outlook(stage_runner, run)}")
    return _skipped(f"not run: {stage_runner} is {run.described_state}")


def _describe_acceptance_step(stage_runner: StageRunner, name: str, phase: AcceptancePhase) -> StepResult | None:
    """Return what the journal has of acceptance tests in a phase; ``None`` if they have no result."""
    run = stage_runner.run
    result = run.acceptance_result(name, phase)
    if result is None:
        return None
    reason = describe_acceptance(result)
    sections = (("output", result.output),) if result.output else ()
    if result.result is Result.SUCCESSFUL:
        return _passed(reason, sections)
    if run.has_accepted(result):
        return _passed(f"accepted: {reason}", sections)
    return _failed(f"{reason}; {_describe_state(stage_runner, run)}", sections)


def _contract(stage_runner: StageRunner, edge: str) -> StepResult:
    run = stage_runner.deploy_until()
    if run.state in ROLLBACK_STATES:
        return _skipped(f"not tried: {_describe_state(stage_runner, run)}: {run.reason}")
    results = stage_runner.run_contracts(edge)
    sections = (("versions that met", describe_results(results)),)
    overall = worst_result(results)
    reason = "; ".join(
        f"{contract_result.what}: {contract_result.reason}" for contract_result in results if contract_result.reason
    )
    if overall is Result.SUCCESSFUL:
        stage_runner.record_contract_passed(edge, describe_results(results).strip())
        return _passed(reason, sections)
    if overall is Result.FAILED:
        run = stage_runner.record_contract_broken(edge, reason)
        if any(key.endswith(f": {CONTRACT_METRIC} {edge}") for key in run.accepted_breaches):
            return _passed(f"broken, and accepted: {reason}", sections)
        reason = f"{reason}; {_describe_state(stage_runner, run)}"
    else:
        reason = f"inconclusive: {reason}"
    return _failed(reason, sections)


# ---- soak


def _soak(stage_runner: StageRunner, service: str) -> StepResult:
    run = stage_runner.watch_until(lambda run: bool(run.decisions_about(service)))
    sections = _sections(stage_runner, service)
    own_breaches = _own_breaches(stage_runner, service)
    if own_breaches and run.state in (StageState.HELD, *ROLLBACK_STATES):
        return _failed(f"{'; '.join(own_breaches)}; {_describe_state(stage_runner, run)}", sections)
    if run.state in ROLLBACK_STATES:
        return _skipped(f"soak not completed: {_describe_state(stage_runner, run)}: {run.reason}")
    if run.credited >= run.soak:
        return _passed(_describe_progress(run), sections)
    return _pending(f"soak: {_describe_outlook(stage_runner, run)}", sections)


def _compare(stage_runner: StageRunner, service: str) -> StepResult:
    run = stage_runner.watch_until()
    if run.state in ROLLBACK_STATES:
        return _skipped(f"comparison not completed: {_describe_state(stage_runner, run)}")
    if run.credited < run.soak:
        return _pending(f"comparison follows when the soak is over: {_describe_outlook(stage_runner, run)}")
    if stage_runner.watcher is None:
        return _skipped(f"was judged when the stage was accepted{f': {run.reason}' if run.reason else ''}")
    service_metrics = stage_runner.watcher.soak.metrics_by_service[service]
    monitored = stage_runner.watcher.monitored_service(service)
    compared = final_comparisons(monitored, service_metrics)
    if not compared:
        return _skipped("not compared: no control ran beside the new version")
    lines, regressions, inconclusive = [], [], []
    for metric, comparison in compared:
        lines.append(
            f"{metric}: {comparison.ratio:.2f} times the control "
            f"({comparison.points} points, p {comparison.p_value:.2g})"
        )
        if is_comparison_excused(monitored, metric, run.accepted_breaches):
            continue
        regressions += [f"{metric}: {comparison.reason}"] if comparison.verdict is Verdict.FAILED else []
        inconclusive += (
            [f"{metric} inconclusive: {comparison.reason}"] if comparison.verdict is Verdict.INCONCLUSIVE else []
        )
    status = StepStatus.FAILED if regressions or inconclusive else StepStatus.PASSED
    return StepResult(
        status=status, reason="; ".join([*regressions, *inconclusive]), sections=(("compared", "\n".join(lines)),)
    )


def _verdict(stage_runner: StageRunner, subject: str) -> StepResult:
    run = stage_runner.watch_until()
    return stage_verdict(stage_runner, run)


def stage_verdict(stage_runner: StageRunner, run: StageRun | None) -> StepResult:
    """Return the verdict on a stage, whichever of its steps were done. ``None``: nothing is up that was requested."""
    if stage_runner.is_watched_elsewhere and run is not None and run.state is not StageState.HELD:
        reason = f"{_describe_state(stage_runner, run)}, and another process monitors it: {stage_runner.refusal}"
        return _pending(reason)
    if stage_runner.refusal:
        return _failed(stage_runner.refusal)
    if run is None:
        return _failed(f"nothing that was requested was deployed as {stage_runner}")
    line = f"{stage_runner} {_describe_outcome(run)}"
    if run.is_completed:
        return _passed(line)
    if run.state in SOAK_STATES:
        return _pending(f"{line}: {_describe_outlook(stage_runner, run)}")
    return _failed(line)


PREFLIGHT, VERDICT = "preflight", "verdict"
STEP_KINDS: tuple[StepKind, ...] = (
    StepKind(name=PREFLIGHT, perform=_preflight, per_stage=True),
    StepKind(name="deploy", perform=_deploy, only_when_deploying=True),
    StepKind(name="verify", perform=_verify),
    StepKind(name="acceptance", perform=_acceptance, per_acceptance=True),
    # kinds that call a service that is up, before it is monitored, belong here
    StepKind(name="contract", perform=_contract, per_contract=True),
    StepKind(name="soak", perform=_soak),
    StepKind(name="compare", perform=_compare),
    StepKind(name="final-acceptance", perform=_final_acceptance, per_acceptance=True),
    StepKind(name=VERDICT, perform=_verdict, per_stage=True),
)


# ---- text


def _passed(reason: str, sections: Sections = ()) -> StepResult:
    return StepResult(status=StepStatus.PASSED, reason=reason, sections=sections)


def _failed(reason: str, sections: Sections = ()) -> StepResult:
    return StepResult(status=StepStatus.FAILED, reason=reason, sections=sections)


def _pending(reason: str, sections: Sections = ()) -> StepResult:
    return StepResult(status=StepStatus.PENDING, reason=reason, sections=sections)


def _skipped(reason: str) -> StepResult:
    return StepResult(status=StepStatus.SKIPPED, reason=reason)


def _own_breaches(stage_runner: StageRunner, service: str) -> list[str]:
    """Return what of this service has held the stage or rolled it back, and was not accepted."""
    accepted_keys = stage_runner.run.accepted_breaches
    problems = []
    for entry in stage_runner.history():
        content = entry.content
        if isinstance(content, Breached) and content.breach.service == service:
            breach = content.breach
            if breach.reaction is not Reaction.RECORD and breach.key not in accepted_keys:
                problems.append(f"{breach.key}: {breach.detail}")
        elif isinstance(content, Drifted) and content.service == service and content.key not in accepted_keys:
            problems.append(f"{service}: {content.detail}")
    return list(dict.fromkeys(problems))


def _describe_state(stage_runner: StageRunner, run: StageRun) -> str:
    return f"{stage_runner} is {run.state.value}"


def _describe_outcome(run: StageRun) -> str:
    if run.state is StageState.ACCEPTED:
        stale = f", but {run.stale}" if run.stale else ""
        return f"is accepted on Python {run.target} ({_describe_progress(run)}){stale}" + (
            f": {run.reason}" if run.reason else ""
        )
    return f"is {run.described_state}"


def _describe_progress(run: StageRun) -> str:
    return f"{format_credit(run.credited, run.soak)} credited"


def _describe_outlook(stage_runner: StageRunner, run: StageRun) -> str:
    """Describe how far the soak has come, and what delays it."""
    parts = [_describe_progress(run)]
    progress = stage_runner.progress
    if progress is not None:
        if progress.seconds_to_next:
            parts.append(f"the next sample is due in {format_duration(progress.seconds_to_next)}")
        parts += [f"inconclusive: {why}" for why in progress.inconclusive_reasons]
    if stage_runner.stop:
        parts.append(f"monitoring was interrupted by {stage_runner.stop.reason}; the new version keeps running")
    if run.state is StageState.HELD:
        parts.append(f"the stage is held: {run.reason}")
    return "; ".join(parts)


def _sections(stage_runner: StageRunner, service: str) -> Sections:
    if stage_runner.watcher is None or service not in stage_runner.watcher.soak.metrics_by_service:
        return ()
    monitored = stage_runner.watcher.monitored_service(service)
    samples = stage_runner.journal.samples(stage_runner.run.run, service, first_slot=stage_runner.run.first_slot)
    return (
        ("samples", format_samples(stage_runner.watcher.soak.metrics_by_service[service])),
        ("limits", format_limits(monitored.settings)),
        ("log templates", format_log_summary(samples)),
    )


def _notes(stage_runner: StageRunner) -> Sections:
    """Return the notes for people, such as the last log lines of a service that was rolled back."""
    try:
        notes = [entry.content for entry in stage_runner.history() if isinstance(entry.content, str)]
    except (StepBlocked, Py312Error):
        return ()
    return (("notes", "\n".join(notes)),) if notes else ()
