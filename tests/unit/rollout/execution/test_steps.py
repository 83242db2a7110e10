"""Steps that a whole rollout in memory does not come to: comparisons, and reasons in a history."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.canary_analysis.time_series import OLD, Tally
from pytest_py312.rollout.domain.events import Breached, Decided, DeployFailed, Event, Resumed, RollbackAsked
from pytest_py312.rollout.domain.journal import Entry
from pytest_py312.rollout.domain.journal_queries import reason_of_its_own
from pytest_py312.rollout.domain.model import (
    Breach,
    Measurement,
    Moment,
    Reaction,
    Result,
    Sample,
    Severity,
    StageRun,
    StageState,
)
from pytest_py312.rollout.domain.stop_signals import Stop
from pytest_py312.rollout.execution.stage_runner import Staging
from pytest_py312.rollout.execution.steps import Step, Steps, StepStatus, steps_of
from pytest_py312.rollout.monitoring.breaches import Watched
from tests.unit.rollout.runs import planned


@dataclass
class Soaked:
    """A :class:`Staging` of which all is known: a soak of one service, with its twin's answers beside its own."""

    run: StageRun
    tally: Tally
    compare: CompareSettings = field(default_factory=lambda: CompareSettings(min_points=8))
    stop: Stop = field(default_factory=Stop)
    progress: None = None

    def watched_until(self) -> StageRun:
        return self.run

    @property
    def watcher(self) -> Any:
        watched = Watched(service="user", probes=(), compare=self.compare)
        return SimpleNamespace(watched=(watched,), soak=SimpleNamespace(tallies={"user": self.tally}))


def compared(ratio: float | None, **changes: Any) -> Any:
    """The answer to ``compare[user]`` where the new one takes ``ratio`` times as long; ``None``: nothing was beside."""
    tally = Tally()
    for slot in range(1, 41):
        old = 0.1 + slot % 7 / 100
        found = [Measurement(metric="latency", result=Result.SUCCESSFUL, value=old * (ratio or 1.0))]
        if ratio is not None:
            found.append(Measurement(metric=f"{OLD}latency", result=Result.SUCCESSFUL, value=old))
        at = Moment(wall=slot, boottime=slot, boot="b")
        tally.add(Sample(service="user", slot=slot, at=at, measurements=tuple(found)))
    run = replace(planned("user"), state=StageState.ACCEPTED, credited=3600.0)
    staging: Any = Soaked(run=replace(run, **changes), tally=tally)
    return Steps(staging).answer(Step(kind="compare", about="user"))


def test_a_service_that_is_not_slower_passes_with_its_figures() -> None:
    answer = compared(1.05)
    assert answer.status is StepStatus.PASSED
    assert answer.sections[0][1].startswith("latency: 1.05 times the old one (40 points")


def test_one_that_is_slower_fails() -> None:
    answer = compared(1.6)
    assert answer.status is StepStatus.FAILED
    assert answer.reason.startswith("latency: ")


def test_one_that_a_person_has_accepted_so_does_not() -> None:
    assert compared(1.6, decided=("user: latency compared",)).status is StepStatus.PASSED


def test_what_has_nothing_beside_it_is_not_compared() -> None:
    answer = compared(None)
    assert (answer.status, answer.reason) == (StepStatus.SKIPPED, "not compared: no old version ran beside the new one")


def test_nothing_is_compared_before_its_time() -> None:
    assert compared(1.6, credited=600.0, state=StageState.SOAKING).status is StepStatus.PENDING
    assert compared(1.6, credited=600.0, state=StageState.ROLLED_BACK).status is StepStatus.SKIPPED


def test_steps_of_a_stage_that_is_not_deployed_have_no_deployment() -> None:
    names = [str(step) for step in steps_of(["auth", "user"], 2, deploys=False)]
    assert names[:3] == ["preflight", "verify[auth]", "verify[user]"]
    assert names[-1] == "verdict[stage-2]"
    assert not [name for name in names if name.startswith("deploy")]


BREACH = Breach(service="user", metric="cpu", severity=Severity.SEVERE, reaction=Reaction.ROLL_BACK, detail="much")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (DeployFailed(service="user", reason="exit code 1"), "user: exit code 1"),
        (DeployFailed(service="user", reason="interrupted by SIGTERM"), ""),
        (Resumed(), ""),
        (Breached(breach=BREACH), "user: cpu: much"),
        (Breached(breach=replace(BREACH, reaction=Reaction.HOLD)), ""),
        (RollbackAsked(reason="a drill"), "a drill"),
        (Decided(accept=False, by="me", reason="no"), "no"),
        (Decided(accept=True, by="me", reason="yes"), ""),
    ],
)
def test_what_went_back_of_itself_is_told_from_what_was_interrupted(what: Event, reason: str) -> None:
    assert reason_of_its_own([Entry(at="", what="a note"), Entry(at="", what=what)]) == reason


def test_the_real_one_has_what_is_used_here() -> None:
    assert {"watched_until", "run", "progress"} <= set(dir(Staging))
