"""The steps of a stage as they are shown, and what each answers. A kind is one function and one row of KINDS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_py312.core.errors import Py312Error
from pytest_py312.rollout.domain.contracts import of_edge
from pytest_py312.rollout.domain.events import Breached, Drifted
from pytest_py312.rollout.domain.model import CONTRACT, Reaction, Result, StageRun, StageState, Verdict
from pytest_py312.rollout.execution.contract_runner import text_of
from pytest_py312.rollout.execution.stage_runner import GOING_BACK, NotDone, Staging
from pytest_py312.rollout.monitoring.breaches import COMPARISON, comparisons
from pytest_py312.rollout.monitoring.probes import DRIFT
from pytest_py312.rollout.monitoring.soak_report import in_hours, limits_text, log_text, samples_text
from pytest_py312.rollout.targets.target import TargetError


class StepStatus(Enum):
    """What a step, or a stage, comes to. Pending is a soak that is healthy so far, and not over."""

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """``sections`` are (title, text) of what an answer rests on."""

    status: StepStatus
    reason: str = ""
    sections: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step: ``about`` is a service or, where the kind asks about the stage as a whole, the stage; or nothing."""

    kind: str
    about: str = ""

    def __str__(self) -> str:
        return f"{self.kind}[{self.about}]" if self.about else self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of step. ``of_stage`` is one that asks about the stage, ``of_edges`` about a pair of services; ``deploys``
    one that only a deployment has."""

    name: str
    answer: Callable[[Staging, str], Answer]
    of_stage: bool = False
    deploys: bool = False
    of_edges: bool = False


def steps_of(services: Sequence[str], stage: int, *, deploys: bool, edges: Sequence[str] = ()) -> list[Step]:
    """All steps in their order, which is the same for every stage; ``services`` in the order of deployment.

    :param edges: pairs of services with a contract, ``caller->callee``.
    """
    found = []
    for kind in KINDS:
        if kind.deploys and not deploys:
            continue
        if kind.of_stage:
            found.append(Step(kind=kind.name, about="" if kind.name == PREFLIGHT else f"stage-{stage}"))
        else:
            found += [Step(kind=kind.name, about=about) for about in (edges if kind.of_edges else services)]
    return found


class Steps:
    """Answers steps. What keeps a step from being done fails the first that meets it, and is why others are skipped."""

    def __init__(self, staging: Staging) -> None:
        self.staging = staging
        self._told: set[str] = set()
        self.ended: StageRun | None = None
        """What the journal had of the stage when it was closed."""

    def answer(self, step: Step) -> Answer:
        """The answer, worked out now or known already."""
        kind = next(kind for kind in KINDS if kind.name == step.kind)
        try:
            return kind.answer(self.staging, step.about)
        except NotDone as error:
            return self._not_done(step, str(error))
        except (Py312Error, TargetError) as error:
            return Answer(status=StepStatus.FAILED, reason=str(error))

    def close(self) -> Answer:
        """End it all, and say what the journal says of the stage."""
        try:
            self.ended = self.staging.close()
            return verdict_of(self.staging, self.ended)
        except (Py312Error, TargetError) as error:
            return Answer(status=StepStatus.FAILED, reason=str(error))

    def _not_done(self, step: Step, reason: str) -> Answer:
        if self.staging.busy:
            return verdict_of(self.staging, self.staging.newest)
        new = reason not in self._told
        self._told.add(reason)
        if new or step.kind == VERDICT:
            return Answer(status=StepStatus.FAILED, reason=reason, sections=_notes(self.staging))
        return Answer(status=StepStatus.SKIPPED, reason=f"not done: {reason}")


# ---- up


def _preflight(staging: Staging, about: str) -> Answer:
    run = staging.preflight()
    if staging.resumes:
        return _passed(f"{staging} is {run.state.value} since run {run.run}")
    return _passed(f"{staging} is locked for run {run.run}; all that serves is well")


def _deploy(staging: Staging, service: str) -> Answer:
    run = staging.preflight()
    if staging.resumes:
        return _skipped(f"{service} is up since run {run.run}; it is not deployed anew")
    run = staging.up_to(lambda run: run[service].ready)
    made = run[service].new
    return _passed(f"{service} is served by {made.id[:12] if made else 'nothing'}, and healthy")


def _verify(staging: Staging, service: str) -> Answer:
    run = staging.preflight()
    if not staging.resumes:  # after the last one there may be more to be done, before the soak
        run = staging.up_to(lambda run: run[service].verified and not all(one.verified for one in run.deployments))
    elif trouble := staging.driver.verify(run.run, service):
        return _failed(f"{service}: {trouble}")
    return _passed(f"{service} runs on Python {run.target}: its process says so")


def _contract(staging: Staging, edge: str) -> Answer:
    run = staging.up_to()
    if run.state in GOING_BACK:
        return _skipped(f"not tried: {_now(staging, run)}: {run.reason}")
    results = staging.contracts(edge)
    sections = (("versions that met", text_of(results)),)
    worst = of_edge(results)
    reason = "; ".join(f"{one.what}: {one.reason}" for one in results if one.reason)
    if worst is Result.SUCCESSFUL:
        staging.contract_kept(edge, text_of(results).strip())
        return Answer(status=StepStatus.PASSED, reason=reason, sections=sections)
    if worst is Result.FAILED:
        run = staging.contract_broken(edge, reason)
        if any(key.endswith(f": {CONTRACT} {edge}") for key in run.decided):
            return Answer(status=StepStatus.PASSED, reason=f"broken, and accepted: {reason}", sections=sections)
        reason = f"{reason}; {_now(staging, run)}"
    else:
        reason = f"cannot be told: {reason}"
    return Answer(status=StepStatus.FAILED, reason=reason, sections=sections)


# ---- watched


def _soak(staging: Staging, service: str) -> Answer:
    run = staging.watched_until(lambda run: bool(_held_for(run, service)))
    sections = _sections(staging, service)
    own = _own_troubles(staging, service)
    if own and run.state in (StageState.HELD, *GOING_BACK):
        return Answer(status=StepStatus.FAILED, reason=f"{'; '.join(own)}; {_now(staging, run)}", sections=sections)
    if run.state in GOING_BACK:
        return _skipped(f"not soaked to its end: {_now(staging, run)}: {run.reason}")
    if run.credited >= run.soak:
        return Answer(status=StepStatus.PASSED, reason=_credit(run), sections=sections)
    return Answer(status=StepStatus.PENDING, reason=f"soak: {_outlook(staging, run)}", sections=sections)


def _compare(staging: Staging, service: str) -> Answer:
    run = staging.watched_until()
    if run.state in GOING_BACK:
        return _skipped(f"not compared to the end: {_now(staging, run)}")
    if run.credited < run.soak:
        return Answer(status=StepStatus.PENDING, reason=f"compared when the soak is over: {_outlook(staging, run)}")
    if staging.watcher is None:
        return _skipped(f"was judged when the stage was accepted{f': {run.reason}' if run.reason else ''}")
    tally = staging.watcher.soak.tallies[service]
    watched = next(one for one in staging.watcher.watched if one.service == service)
    found = comparisons(watched, tally)
    if not found:
        return _skipped("not compared: no old version ran beside the new one")
    lines, worse, unclear = [], [], []
    for metric, said in found:
        lines.append(f"{metric}: {said.ratio:.2f} times the old one ({said.points} points, p {said.p_value:.2g})")
        if f"{service}: {metric}{COMPARISON}" in run.decided or watched.rule(metric).settings.dry_run:
            continue
        worse += [f"{metric}: {said.reason}"] if said.verdict is Verdict.FAILED else []
        unclear += [f"{metric} cannot be told: {said.reason}"] if said.verdict is Verdict.INCONCLUSIVE else []
    status = StepStatus.FAILED if worse or unclear else StepStatus.PASSED
    return Answer(status=status, reason="; ".join([*worse, *unclear]), sections=(("compared", "\n".join(lines)),))


def _verdict(staging: Staging, about: str) -> Answer:
    run = staging.watched_until()
    return verdict_of(staging, run)


def verdict_of(staging: Staging, run: StageRun | None) -> Answer:
    """The one line about a stage, whichever of its steps were done. ``None``: nothing is up that was asked for."""
    if staging.busy and run is not None and run.state is not StageState.HELD:
        told = f"{_now(staging, run)}, and another one watches it: {staging.refused}"
        return Answer(status=StepStatus.PENDING, reason=told)
    if staging.refused:
        return _failed(staging.refused)
    if run is None:
        return _failed(f"nothing of what is asked for was deployed as {staging}")
    line = f"{staging} {_state_in_words(run)}"
    if run.is_completed:
        return _passed(line)
    if run.state in (StageState.SOAKING, StageState.SOAKED):
        return Answer(status=StepStatus.PENDING, reason=f"{line}: {_outlook(staging, run)}")
    return _failed(line)


PREFLIGHT, VERDICT = "preflight", "verdict"
KINDS: tuple[Kind, ...] = (
    Kind(name=PREFLIGHT, answer=_preflight, of_stage=True),
    Kind(name="deploy", answer=_deploy, deploys=True),
    Kind(name="verify", answer=_verify),
    # what calls a service that is up, before it is watched, has its row here
    Kind(name="contract", answer=_contract, of_edges=True),
    Kind(name="soak", answer=_soak),
    Kind(name="compare", answer=_compare),
    Kind(name=VERDICT, answer=_verdict, of_stage=True),
)


# ---- in words


def _passed(reason: str) -> Answer:
    return Answer(status=StepStatus.PASSED, reason=reason)


def _failed(reason: str) -> Answer:
    return Answer(status=StepStatus.FAILED, reason=reason)


def _skipped(reason: str) -> Answer:
    return Answer(status=StepStatus.SKIPPED, reason=reason)


def _held_for(run: StageRun, service: str) -> list[str]:
    return [key for key in run.held_for if key.startswith(f"{service}: ")]


def _own_troubles(staging: Staging, service: str) -> list[str]:
    """What of this service has held the stage up or brought it back, and was accepted by nobody."""
    decided = staging.run.decided
    found = []
    for entry in staging.history():
        what = entry.what
        if isinstance(what, Breached) and what.breach.service == service:
            breach = what.breach
            if breach.reaction is not Reaction.RECORD and breach.key not in decided:
                found.append(f"{breach.key}: {breach.detail}")
        elif isinstance(what, Drifted) and what.service == service and f"{service}: {DRIFT}" not in decided:
            found.append(f"{service}: {what.detail}")
    return list(dict.fromkeys(found))


def _now(staging: Staging, run: StageRun) -> str:
    return f"{staging} is {run.state.value}"


def _state_in_words(run: StageRun) -> str:
    if run.state is StageState.ACCEPTED:
        stale = f", but {run.stale}" if run.stale else ""
        return f"is accepted on Python {run.target} ({_credit(run)}){stale}" + (f": {run.reason}" if run.reason else "")
    return f"is {run.state.value}" + (f": {run.reason}" if run.reason else "")


def _credit(run: StageRun) -> str:
    return f"{in_hours(run.credited)} of {in_hours(run.soak)} credited"


def _outlook(staging: Staging, run: StageRun) -> str:
    """How far the soak is, and what keeps it."""
    told = [_credit(run)]
    progress = staging.progress
    if progress is not None:
        told += [f"the next sample is due in {in_hours(progress.next_in)}"] if progress.next_in else []
        told += [f"cannot tell: {why}" for why in progress.untold]
    if staging.stop:
        told.append(f"watching was interrupted by {staging.stop.why}; the new version stays up")
    if run.state is StageState.HELD:
        told.append(f"the stage is held: {run.reason}")
    return "; ".join(told)


def _sections(staging: Staging, service: str) -> tuple[tuple[str, str], ...]:
    if staging.watcher is None or service not in staging.watcher.soak.tallies:
        return ()
    watched = next(one for one in staging.watcher.watched if one.service == service)
    samples = staging.journal.samples(staging.run.run, service, first_slot=staging.run.first_slot)
    return (
        ("samples", samples_text(staging.watcher.soak.tallies[service])),
        ("limits", limits_text(watched.settings)),
        ("log templates", log_text(samples)),
    )


def _notes(staging: Staging) -> tuple[tuple[str, str], ...]:
    """What was written down for people, such as the last lines of a service that was brought back."""
    try:
        notes = [entry.what for entry in staging.history() if isinstance(entry.what, str)]
    except (NotDone, Py312Error):
        return ()
    return (("written down", "\n".join(notes)),) if notes else ()
