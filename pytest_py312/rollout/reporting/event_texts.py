"""What an event of a rollout says in one plain sentence, for a timeline. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_py312.rollout.canary_analysis.soak_status import format_credit
from pytest_py312.rollout.domain.acceptance import describe_outcome
from pytest_py312.rollout.domain.events import (
    AcceptanceInvalidated,
    AcceptanceTested,
    BecameReady,
    Breached,
    ContractPassed,
    ControlRemoved,
    ControlStarted,
    Decided,
    DeployFailed,
    Drifted,
    DrillFinished,
    EnvironmentMoved,
    ForeignChangeKept,
    Judged,
    Locked,
    Observed,
    Prepared,
    Restored,
    RestoreFailed,
    Resumed,
    RollbackRequested,
    SoakCredited,
    Switched,
    Verified,
)
from pytest_py312.rollout.domain.model import Breach, Intent, StageRun
from pytest_py312.rollout.domain.run_history import JournalEntry, replay


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineLine:
    """A line of a timeline."""

    at: str
    text: str


def timeline_of(run: StageRun, entries: Iterable[JournalEntry]) -> list[TimelineLine]:
    """Return the timeline of a run, with each change of its state. Of credits in a row only the last is shown.

    :param run: the run as it began.
    """
    lines: list[TimelineLine] = []
    is_credit = False
    for entry, earlier, later in replay(run, entries):
        event = entry.content
        if isinstance(event, Intent):
            continue
        if isinstance(event, str):
            lines.append(TimelineLine(at=entry.at, text=event))
            is_credit = False
            continue
        text = describe_event(event, later)
        if later.state is not earlier.state:
            text += f"; the stage is {later.state.value}"
        if is_credit and isinstance(event, SoakCredited):
            lines.pop()
        is_credit = isinstance(event, SoakCredited) and later.state is earlier.state
        lines.append(TimelineLine(at=entry.at, text=text))
    return lines


def describe_event(event: object, run: StageRun) -> str:
    """Return a sentence about an event.

    :param run: the run after the event.
    """
    describe = _TEXTS.get(type(event))
    return describe(event, run) if describe else type(event).__name__


def _by(name: str) -> str:
    return f" by {name}" if name else ""


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _observed(event: Observed, _: StageRun) -> str:
    if event.old is None:
        return f"{event.service}: nothing served before"
    python = f" on Python {event.interpreter}" if event.interpreter else ""
    return f"{event.service}: {event.old.image} served before{python}"


def _control(event: ControlStarted, _: StageRun) -> str:
    if event.control is None:
        return f"{event.service}: no control was started{_because(event.reason)}"
    return f"{event.service}: the control was started"


def _breach(breach: Breach) -> str:
    return (
        f"{breach.service}: limit of {breach.metric} broken ({breach.severity.value}), reaction: "
        f"{breach.reaction.value}{_because(breach.detail)}"
    )


def _acceptance(event: AcceptanceTested, _: StageRun) -> str:
    result = event.result
    return f"acceptance tests {result.name} {result.phase.value}: {result.result.value}, {describe_outcome(result)}"


def _decided(event: Decided, _: StageRun) -> str:
    return f"{'accepted' if event.accept else 'rollback decided'}{_by(event.by)}{_because(event.reason)}"


def _rollback(event: RollbackRequested, _: StageRun) -> str:
    services = f" of {', '.join(event.services)}" if event.services else ""
    return f"rollback{services} requested{_by(event.by)}{_because(event.reason)}"


def _drill(event: DrillFinished, _: StageRun) -> str:
    return f"the drill {'passed' if event.passed else 'failed'}{_by(event.by)}{_because(event.detail)}"


_TEXTS: Mapping[type, Callable[[Any, StageRun], str]] = {
    Locked: lambda event, run: f"{run.environment} was locked{_by(event.by)}",
    Observed: _observed,
    Prepared: lambda event, run: f"{event.service}: the new container was created",
    Switched: lambda event, run: f"{event.service}: switched to the new version",
    BecameReady: lambda event, run: f"{event.service}: the new version is healthy",
    Verified: lambda event, run: f"{event.service}: runs on Python {run.target}",
    ControlStarted: _control,
    ControlRemoved: lambda event, run: f"{event.service}: the control was removed",
    DeployFailed: lambda event, run: f"{event.service}: the deployment failed{_because(event.reason)}",
    SoakCredited: lambda event, run: f"{format_credit(run.credited, run.soak)} of the soak credited",
    Breached: lambda event, run: _breach(event.breach),
    Drifted: lambda event, run: f"{event.service}: something else serves{_because(event.detail)}",
    ContractPassed: lambda event, run: f"the contract {event.edge} holds",
    AcceptanceTested: _acceptance,
    Judged: lambda event, run: f"the verdict is {event.verdict.value}{_because(event.reason)}",
    Decided: _decided,
    RollbackRequested: _rollback,
    Restored: lambda event, run: f"{event.service}: the previous version serves again, verified",
    ForeignChangeKept: lambda event, run: f"{event.service}: left as someone else deployed it{_because(event.what)}",
    RestoreFailed: lambda event, run: f"{event.service}: the rollback failed{_because(event.reason)}",
    Resumed: lambda event, run: f"another process continues the run{_by(event.by)}",
    AcceptanceInvalidated: lambda event, run: f"the acceptance no longer counts{_because(event.reason)}",
    EnvironmentMoved: lambda event, run: f"{run.environment} was moved to {event.place}{_by(event.by)}",
    DrillFinished: _drill,
}  # fmt: skip
