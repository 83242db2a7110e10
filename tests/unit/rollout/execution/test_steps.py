"""Steps and parts of steps that a whole rollout in memory does not reach: comparisons, and causes in a history."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_py312.repository.plan.rollout_settings import CompareSettings
from pytest_py312.rollout.canary_analysis.time_series import CONTROL_PREFIX, ServiceMetrics
from pytest_py312.rollout.domain.events import Breached, Decided, DeployFailed, Event, Resumed, RollbackRequested
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import Breach, BreachSeverity, Reaction, StageRun, StageState
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.domain.stop_signals import StopRequest
from pytest_py312.rollout.execution.deploy_gate import rollback_cause
from pytest_py312.rollout.execution.stage_runner import StageRunner
from pytest_py312.rollout.execution.steps import RolloutStep, StepRunner, StepStatus, make_steps
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from tests.unit.rollout.runs import planned


@dataclass
class Soaked:
    """A fake of :class:`StageRunner`: the finished soak of one service, with measurements of its control."""

    run: StageRun
    service_metrics: ServiceMetrics
    compare: CompareSettings = field(default_factory=lambda: CompareSettings(min_points=8))
    stop: StopRequest = field(default_factory=StopRequest)
    progress: None = None

    def watch_until(self) -> StageRun:
        return self.run

    @property
    def watcher(self) -> Any:
        monitored = MonitoredService(service="user", probes=(), compare=self.compare)
        soak = SimpleNamespace(metrics_by_service={"user": self.service_metrics})
        return SimpleNamespace(monitored_service=lambda service: monitored, soak=soak)


def compared(ratio: float | None, **changes: Any) -> Any:
    """Return the result of ``compare[user]`` if the new version takes ``ratio`` times as long; ``None``: no control."""
    service_metrics = ServiceMetrics()
    for slot in range(1, 41):
        old = 0.1 + slot % 7 / 100
        measurements = [Measurement(metric="latency", result=Result.SUCCESSFUL, value=old * (ratio or 1.0))]
        if ratio is not None:
            measurements.append(Measurement(metric=f"{CONTROL_PREFIX}latency", result=Result.SUCCESSFUL, value=old))
        at = Timestamp(wall=slot, boottime=slot, boot="b")
        service_metrics.add(Sample(service="user", slot=slot, at=at, measurements=tuple(measurements)))
    run = replace(planned("user"), state=StageState.ACCEPTED, credited=3600.0)
    stage_runner: Any = Soaked(run=replace(run, **changes), service_metrics=service_metrics)
    return StepRunner(stage_runner).answer(RolloutStep(kind="compare", subject="user"))


def test_a_service_that_is_not_slower_passes_with_its_figures() -> None:
    answer = compared(1.05)
    assert answer.status is StepStatus.PASSED
    assert answer.sections[0][1].startswith("latency: 1.05 times the control (40 points")


def test_one_that_is_slower_fails() -> None:
    answer = compared(1.6)
    assert answer.status is StepStatus.FAILED
    assert answer.reason.startswith("latency: ")


def test_one_that_a_person_has_accepted_so_does_not() -> None:
    assert compared(1.6, accepted_breaches=("user: latency compared",)).status is StepStatus.PASSED


def test_what_has_nothing_beside_it_is_not_compared() -> None:
    answer = compared(None)
    assert (answer.status, answer.reason) == (StepStatus.SKIPPED, "not compared: no control ran beside the new version")


def test_nothing_is_compared_before_its_time() -> None:
    assert compared(1.6, credited=600.0, state=StageState.SOAKING).status is StepStatus.PENDING
    assert compared(1.6, credited=600.0, state=StageState.ROLLED_BACK).status is StepStatus.SKIPPED


def test_steps_of_a_stage_that_is_not_deployed_have_no_deployment() -> None:
    names = [str(step) for step in make_steps(["auth", "user"], 2, deploys=False)]
    assert names[:3] == ["preflight", "verify[auth]", "verify[user]"]
    assert names[-1] == "verdict[stage-2]"
    assert not [name for name in names if name.startswith("deploy")]


BREACH = Breach(
    service="user", metric="cpu", severity=BreachSeverity.SEVERE, reaction=Reaction.ROLL_BACK, detail="much"
)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (DeployFailed(service="user", reason="exit code 1"), "user: exit code 1"),
        (DeployFailed(service="user", reason="interrupted by SIGTERM"), ""),
        (Resumed(), ""),
        (Breached(breach=BREACH), "user: cpu: much"),
        (Breached(breach=replace(BREACH, reaction=Reaction.HOLD)), ""),
        (RollbackRequested(reason="a drill"), "a drill"),
        (Decided(accept=False, by="me", reason="no"), "no"),
        (Decided(accept=True, by="me", reason="yes"), ""),
    ],
)
def test_a_rollback_of_its_own_is_distinguished_from_an_interruption(what: Event, reason: str) -> None:
    assert rollback_cause([JournalEntry(at="", content="a note"), JournalEntry(at="", content=what)]) == reason


def test_the_real_one_has_what_is_used_here() -> None:
    assert {"watch_until", "run", "progress"} <= set(dir(StageRunner))
