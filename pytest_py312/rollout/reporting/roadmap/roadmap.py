"""Roadmap of a migration: its stages, what the gate found of them, where they are deployed, and the next step. Pure.

A deployment is the next step only of a stage whose services are all proven, by what is known of the gate's runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan, Stage
from pytest_py312.core.model.readiness import GateKnowledge
from pytest_py312.core.model.report import Checkout
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.canary_analysis.soak_status import SoakStatus, describe_soak_status
from pytest_py312.rollout.domain.model import MONITORED, StageRun, StageState
from pytest_py312.rollout.reporting.roadmap.last_phase import LastPhase
from pytest_py312.rollout.reporting.roadmap.stage_dates import StageSchedule
from pytest_py312.rollout.reporting.roadmap.stage_readiness import (
    NextStep,
    StageReadiness,
    stage_readiness,
    step_before_deployment,
)

NOT_DEPLOYED = "not deployed"
_UNKNOWN_CHECKOUT = Checkout()


@dataclass(frozen=True, kw_only=True, slots=True)
class StageStatus:
    """State of a stage in one environment. ``run`` is ``None`` if it was never deployed there."""

    environment: str
    run: StageRun | None = None
    soak_status: SoakStatus | None = None
    schedule: StageSchedule | None = None

    @property
    def is_completed(self) -> bool:
        return self.run is not None and self.run.is_completed

    @property
    def state(self) -> str:
        """The state in one or two words."""
        if self.run is None or (self.run.is_drill and self.run.state is StageState.ROLLED_BACK):
            return NOT_DEPLOYED
        return "no longer accepted" if self.run.stale else self.run.state.value

    @property
    def detail(self) -> str:
        """Details of the state."""
        if self.run is None:
            return ""
        if self.run.is_drill:
            return f"its drill {self.run.drill or 'did not end'}"
        return (
            self.run.stale
            or (describe_soak_status(self.soak_status, self.run) if self.soak_status else "")
            or self.run.reason
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RoadmapStage:
    """A stage of the plan, with its soak in seconds, its status in each environment, and what the gate found."""

    stage: Stage
    services: tuple[Service, ...]
    soak: float
    statuses: tuple[StageStatus, ...]
    readiness: StageReadiness = field(default_factory=StageReadiness)

    @property
    def title(self) -> str:
        """``1: Core``, or only the number."""
        return f"{self.stage.number}: {self.stage.name}" if self.stage.name else str(self.stage.number)


def build_roadmap(
    plan: Plan,
    fleet: Fleet,
    settings: RolloutSettings,
    environments: Sequence[str],
    runs: Iterable[StageRun],
    soak_statuses: Mapping[str, SoakStatus | None],
    *,
    knowledge: GateKnowledge | None = None,
    schedules: Mapping[tuple[str, int], StageSchedule] | None = None,
) -> list[RoadmapStage]:
    """Return the stages in order.

    :param runs: the newest run of each stage in each environment.
    :param soak_statuses: status of the soak by name of the run.
    :param knowledge: what the gate found; without it, nothing is proven.
    :param schedules: the dates of each stage, by environment and stage.
    """
    run_by_stage = {(run.environment, run.stage): run for run in runs}
    stages = sorted(plan.stages, key=lambda stage: stage.number) or [Stage(number=1)]
    services = {
        stage.number: tuple(service for service in fleet.services if service.stage == stage.number) for stage in stages
    }
    return [
        RoadmapStage(
            stage=stage,
            services=services[stage.number],
            readiness=stage_readiness(
                [service.name for service in services[stage.number]], knowledge or GateKnowledge(verdicts={})
            ),
            soak=settings.soak_settings_for(stage=stage.number).duration,
            statuses=tuple(
                StageStatus(
                    environment=name,
                    run=run,
                    soak_status=soak_statuses.get(run.run) if run else None,
                    schedule=(schedules or {}).get((name, stage.number)),
                )
                for name in environments
                for run in [run_by_stage.get((name, stage.number))]
            ),
        )
        for stage in stages
    ]


def ordered_environments(settings: RolloutSettings, runs: Iterable[StageRun]) -> list[str]:
    """Return the environments of the plan in order of dependency, then others that have deployments."""
    planned = [environment.name for environment in settings.environments]
    predecessors = {environment.name: environment.after for environment in settings.environments}
    ordered: list[str] = []

    def add(name: str, above: tuple[str, ...] = ()) -> None:
        for earlier in predecessors.get(name, ()):
            if earlier not in above:
                add(earlier, (*above, name))
        if name not in ordered:
            ordered.append(name)

    for name in (*planned, *sorted({run.environment for run in runs})):
        add(name)
    return ordered or ["test"]


def next_step(
    stages: Sequence[RoadmapStage], environment: str, after: Sequence[str], now: Checkout = _UNKNOWN_CHECKOUT
) -> NextStep:
    """Return the next step in an environment that depends on the environments ``after``.

    :param now: what is checked out.
    """
    for roadmap_stage in stages:
        statuses = {status.environment: status for status in roadmap_stage.statuses}
        run = statuses[environment].run
        if run is not None and run.is_completed:
            continue
        if not roadmap_stage.services:
            return NextStep(
                why=f"stage {roadmap_stage.stage.number} has no service: add one, or remove the stage from the plan"
            )
        if run is None or run.state.is_over:
            missing = [name for name in after if name in statuses and not statuses[name].is_completed]
            if missing:
                return NextStep(why=f"stage {roadmap_stage.stage.number} waits for {', '.join(missing)}")
            gate_step = step_before_deployment(roadmap_stage.stage.number, roadmap_stage.readiness, now)
            if gate_step is not None:
                return gate_step
        return _next_step_of_run(run, roadmap_stage, environment)
    return NextStep(why="verify and optimise, as all stages are accepted")


def _next_step_of_run(run: StageRun | None, roadmap_stage: RoadmapStage, environment: str) -> NextStep:
    number = roadmap_stage.stage.number
    options = f"--stage {number} --env {environment}"
    if run is None or run.state.is_over:
        proof = f"proven {roadmap_stage.readiness.proof}" if roadmap_stage.readiness.proof else ""
        return NextStep(command=f"py312 deploy {options}", why="; ".join(filter(None, [_why_again(run), proof])))
    if run.state in MONITORED and run.is_drill:
        return NextStep(command=f"py312 rollback {options}", why="a drill has left it deployed")
    if run.state is StageState.HELD:
        return NextStep(command=f"py312 promote|abort {options}", why=run.reason)
    if run.state in MONITORED:
        return NextStep(command=f"py312 watch {options}")
    why = f"stage {number} was left {run.state.value}, unless another process is working on it"
    return NextStep(command=f"py312 recover --env {environment}", why=why)


def _why_again(run: StageRun | None) -> str:
    """Return why a stage that was deployed before has to be deployed again."""
    if run is None or (run.is_drill and not run.stale):
        return ""
    return run.stale or f"it was rolled back ({run.reason}): see `py312 postmortem {run.stage} --env {run.environment}`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Roadmap:
    """Everything that the formats show. ``after`` are the environments on which each environment depends."""

    plan: Plan
    today: date
    stages: tuple[RoadmapStage, ...]
    environments: tuple[str, ...]
    after: Mapping[str, Sequence[str]]
    knowledge: GateKnowledge
    last_phase: LastPhase

    def next_step(self, environment: str) -> NextStep:
        return next_step(self.stages, environment, self.after.get(environment, ()), self.knowledge.checkout)

    def accepted(self, environment: str) -> int:
        """Return the number of stages that are accepted in an environment."""
        return sum(
            status.is_completed
            for stage in self.stages
            for status in stage.statuses
            if status.environment == environment
        )

    def shown_statuses(self, stage: RoadmapStage) -> list[StageStatus]:
        """Return the statuses of a stage in the environments that are shown."""
        return [status for status in stage.statuses if status.environment in self.environments]
