"""Runs of a stage for tests, and functions that advance them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings
from pytest_py312.rollout.domain.events import (
    AcceptanceTested,
    BecameReady,
    ControlRemoved,
    ControlStarted,
    Event,
    Locked,
    Observed,
    Prepared,
    Restored,
    SoakCredited,
    Switched,
    Verified,
)
from pytest_py312.rollout.domain.measurements import Result
from pytest_py312.rollout.domain.model import (
    AcceptancePhase,
    AcceptanceResult,
    Act,
    Breach,
    BreachSeverity,
    Deployment,
    Intent,
    Reaction,
    StageRun,
    StageState,
)
from pytest_py312.rollout.domain.next_act import next_act
from pytest_py312.rollout.domain.state_machine import advance
from pytest_py312.rollout.domain.target_model import Container, ServiceSpec
from pytest_py312.rollout.reporting.notifications import NOTIFY_TIMEOUT, Notifier

SERVICES = ("auth", "user", "gateway")


def spec(service: str, **changes: Any) -> ServiceSpec:
    """Return the spec of a service that is ready at once."""
    made = ServiceSpec(service=service, container=service, ready_timeout=2.0, readiness_delay=0.0)
    return replace(made, **changes)


def planned(*services: str, **changes: Any) -> StageRun:
    """Return a run of stage 1 in ``test`` that requires an hour of soak."""
    deployments = tuple(Deployment(spec=spec(name), image=f"new-image-{name}") for name in services or SERVICES)
    made = StageRun(
        run="r1", environment="test", stage=1, target=Interpreter(3, 12), deployments=deployments, soak=3600.0
    )
    return replace(made, **changes)


def old(service: str) -> Container:
    return Container(id=f"old-{service}", image=f"old-image-{service}")


def new(service: str) -> Container:
    return Container(id=f"new-{service}", image=f"new-image-{service}")


def control(service: str) -> Container:
    return Container(id=f"control-of-{service}", image=f"old-image-{service}")


def acceptance_event(
    phase: AcceptancePhase,
    name: str = "e2e",
    *,
    result: Result = Result.SUCCESSFUL,
    reaction: Reaction | None = None,
) -> AcceptanceTested:
    """Return the event of acceptance tests of stage 1; with ``reaction``, the stage is not accepted by them."""
    outcome = AcceptanceResult(name=name, phase=phase, result=result, passed=3)
    if reaction is None:
        return AcceptanceTested(result=outcome)
    broken = Breach(
        service="stage 1", metric=outcome.metric, severity=BreachSeverity.SEVERE, reaction=reaction, detail="it fails"
    )
    return AcceptanceTested(result=outcome, breach=broken)


def success(intent: Intent) -> Event:
    """Return the event of an act that succeeds."""
    name = intent.service
    answers: dict[Act, Event] = {
        Act.OBSERVE: Observed(service=name, old=old(name), interpreter=Interpreter(3, 9)),
        Act.TEST_BEFORE: acceptance_event(AcceptancePhase.BEFORE, name),
        Act.TEST_AFTER: acceptance_event(AcceptancePhase.AFTER, name),
        Act.PREPARE: Prepared(service=name, new=new(name)),
        Act.SWITCH: Switched(service=name),
        Act.READY: BecameReady(service=name),
        Act.VERIFY: Verified(service=name),
        Act.START_CONTROL: ControlStarted(service=name, control=control(name)),
        Act.REMOVE_CONTROL: ControlRemoved(service=name),
        Act.RESTORE: Restored(service=name),
    }
    return answers[intent.act]


def after(run: StageRun, events: Iterable[Event]) -> StageRun:
    for event in events:
        run = advance(run, event)
    return run


def carried_on(run: StageRun, *, until: Intent | None = None) -> StageRun:
    """Return the run after all acts that are due, each successful, up to but without ``until``."""
    if run.state is StageState.PLANNED:
        run = advance(run, Locked())
    while (intent := next_act(run)) is not None and intent != until:
        run = advance(run, success(intent))
    return run


def soaking(**changes: Any) -> StageRun:
    return carried_on(planned(**changes))


def soaked(**changes: Any) -> StageRun:
    run = soaking(**changes)
    return advance(run, SoakCredited(seconds=run.soak))


def notifier(*, timeout: float = NOTIFY_TIMEOUT, **recipients: Any) -> Notifier:
    """Return the sender of an environment with these recipients."""
    return Notifier(environment=EnvironmentSettings(name="test", **recipients), timeout=timeout)
