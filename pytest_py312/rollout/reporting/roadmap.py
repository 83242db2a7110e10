"""Roadmap of a migration: stages with their services, current and target Python, state and next step. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan, Stage
from pytest_py312.core.serialization import encode
from pytest_py312.core.text import escape_markdown, escape_terminal, format_duration, markdown_row, pluralize
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.canary_analysis.soak_status import SoakStatus, describe_soak_status
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.state_machine import MONITORED

NOT_DEPLOYED = "not deployed"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageStatus:
    """State of a stage in one environment. ``run`` is ``None`` if it was never deployed there."""

    environment: str
    run: StageRun | None = None
    soak_status: SoakStatus | None = None

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
    """A stage of the plan, with its soak in seconds and its status in each environment."""

    stage: Stage
    services: tuple[Service, ...]
    soak: float
    statuses: tuple[StageStatus, ...]


def build_roadmap(
    plan: Plan,
    fleet: Fleet,
    settings: RolloutSettings,
    environments: Sequence[str],
    runs: Iterable[StageRun],
    soak_statuses: Mapping[str, SoakStatus | None],
) -> list[RoadmapStage]:
    """Return the stages in order.

    :param runs: the newest run of each stage in each environment.
    :param soak_statuses: status of the soak by name of the run.
    """
    run_by_stage = {(run.environment, run.stage): run for run in runs}
    stages = sorted(plan.stages, key=lambda stage: stage.number) or [Stage(number=1)]
    return [
        RoadmapStage(
            stage=stage,
            services=tuple(service for service in fleet.services if service.stage == stage.number),
            soak=settings.soak_settings_for(stage=stage.number).duration,
            statuses=tuple(
                StageStatus(environment=name, run=run, soak_status=soak_statuses.get(run.run) if run else None)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStep:
    """The next step: a command, or empty if there is none, and the reason."""

    command: str = ""
    why: str = ""


def next_step(stages: Sequence[RoadmapStage], environment: str, after: Sequence[str]) -> NextStep:
    """Return the next step in an environment that depends on the environments ``after``."""
    for roadmap_stage in stages:
        statuses = {status.environment: status for status in roadmap_stage.statuses}
        run = statuses[environment].run
        if run is not None and run.is_completed:
            continue
        if not roadmap_stage.services:
            return NextStep(
                why=f"stage {roadmap_stage.stage.number} has no service: add one, or remove the stage from the plan"
            )
        if run is None or run.state in (StageState.ACCEPTED, StageState.ROLLED_BACK):
            missing = [name for name in after if name in statuses and not _is_completed(statuses[name])]
            if missing:
                return NextStep(why=f"stage {roadmap_stage.stage.number} waits for {', '.join(missing)}")
        return _next_step_of_run(run, roadmap_stage.stage.number, environment)
    return NextStep(why="nothing: all stages are accepted")


def _next_step_of_run(run: StageRun | None, number: int, environment: str) -> NextStep:
    options = f"--stage {number} --env {environment}"
    if run is None:
        return NextStep(command=f"py312 deploy {options}")
    if run.state in (StageState.ACCEPTED, StageState.ROLLED_BACK):
        why = run.stale or ("" if run.is_drill else f"it was rolled back: {run.reason}")
        return NextStep(command=f"py312 deploy {options}", why=why)
    if run.state in MONITORED and run.is_drill:
        return NextStep(command=f"py312 rollback {options}", why="a drill has left it deployed")
    if run.state is StageState.HELD:
        return NextStep(command=f"py312 promote|abort {options}", why=run.reason)
    if run.state in MONITORED:
        return NextStep(command=f"py312 watch {options}")
    why = f"stage {number} was left {run.state.value}, unless another process is working on it"
    return NextStep(command=f"py312 recover --env {environment}", why=why)


def _is_completed(status: StageStatus) -> bool:
    return status.run is not None and status.run.is_completed


def format_markdown(
    plan: Plan, stages: Sequence[RoadmapStage], environments: Sequence[str], after: Mapping[str, Sequence[str]]
) -> str:
    """Format the roadmap as Markdown."""
    done = {
        name: sum(
            _is_completed(status)
            for roadmap_stage in stages
            for status in roadmap_stage.statuses
            if status.environment == name
        )
        for name in environments
    }
    text = [f"# Roadmap to Python {plan.target}", ""]
    text += [
        f"* {_escape(name)}: {done[name]} of {pluralize(len(stages), 'stage')} accepted. "
        f"Next: {_format_step(next_step(stages, name, after.get(name, ())))}."
        for name in environments
    ]
    text += [
        "",
        markdown_row(["Stage", "Services", "Soak", *map(_escape, environments)]),
        markdown_row(["---"] * (3 + len(environments))),
    ]
    for roadmap_stage in stages:
        states = [
            _escape(status.state) + (f"<br>{_escape(status.detail)}" if status.detail else "")
            for status in roadmap_stage.statuses
            if status.environment in environments
        ]
        text.append(
            markdown_row(
                [_title(roadmap_stage), str(len(roadmap_stage.services)), format_duration(roadmap_stage.soak), *states]
            )
        )
    for roadmap_stage in stages:
        text += ["", f"## Stage {_title(roadmap_stage)}", ""]
        if not roadmap_stage.services:
            text.append("No service.")
            continue
        text += [markdown_row(["Service", "Python now", "to", "", "Where"]), markdown_row(["---"] * 5)]
        text += [
            markdown_row(
                [
                    _escape(service.name),
                    _current_python(service, plan, roadmap_stage.statuses),
                    str(plan.target),
                    "critical" if service.critical else "",
                    _escape(service.path),
                ]
            )
            for service in roadmap_stage.services
        ]
    return "\n".join(text) + "\n"


def _format_step(step: NextStep) -> str:
    return ": ".join(filter(None, [f"`{step.command}`" if step.command else "", _escape(step.why)]))


def _title(roadmap_stage: RoadmapStage) -> str:
    return f"{roadmap_stage.stage.number}" + (
        f": {_escape(roadmap_stage.stage.name)}" if roadmap_stage.stage.name else ""
    )


def _current_python(service: Service, plan: Plan, statuses: Sequence[StageStatus]) -> str:
    """Return the version that its files declare, and the environments in which the target serves already."""
    moved_environments = [status.environment for status in statuses if _is_completed(status)]
    moved_text = f"{plan.target} in {', '.join(map(_escape, moved_environments))}; " if moved_environments else ""
    return moved_text + (f"{service.baseline} in its files" if moved_environments else str(service.baseline))


def _escape(text: str) -> str:
    return escape_markdown(escape_terminal(text))


def to_document(
    plan: Plan, stages: Sequence[RoadmapStage], environments: Sequence[str], after: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the roadmap as a JSON document."""
    return {
        "schema": 1,
        "target": str(plan.target),
        "environments": [
            {"name": name, "next": encode(next_step(stages, name, after.get(name, ())))} for name in environments
        ],
        "stages": [
            {
                "stage": roadmap_stage.stage.number,
                "name": roadmap_stage.stage.name,
                "soak": roadmap_stage.soak,
                "services": [
                    {
                        "service": service.name,
                        "path": service.path,
                        "baseline": str(service.baseline),
                        "critical": service.critical,
                    }
                    for service in roadmap_stage.services
                ],
                "states": {
                    status.environment: status.state
                    for status in roadmap_stage.statuses
                    if status.environment in environments
                },
            }
            for roadmap_stage in stages
        ],
    }
