"""The whole way in one view: stages, their services, the Pythons now and then, how far each is, what is next. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan, Stage
from pytest_py312.core.serialization import encode
from pytest_py312.core.text import counted, escaped, prose, row
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.canary_analysis.soak_status import Standing, in_words, spelled
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.state_machine import WATCHED

NOT_DEPLOYED = "not deployed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a stage stands in one environment. ``run`` is ``None`` where it was never deployed."""

    environment: str
    run: StageRun | None = None
    standing: Standing | None = None

    @property
    def state(self) -> str:
        """In one or two words."""
        if self.run is None or (self.run.is_drill and self.run.state is StageState.ROLLED_BACK):
            return NOT_DEPLOYED
        return "no longer accepted" if self.run.stale else self.run.state.value

    @property
    def told(self) -> str:
        """What there is to say beside the state."""
        if self.run is None:
            return ""
        if self.run.is_drill:
            return f"its drill {self.run.drill or 'did not end'}"
        return self.run.stale or (in_words(self.standing, self.run) if self.standing else "") or self.run.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class StageLine:
    """A stage of the plan. ``soak`` are seconds; ``places`` has one for each environment."""

    stage: Stage
    services: tuple[Service, ...]
    soak: float
    places: tuple[Place, ...]


def lines_of(
    plan: Plan,
    fleet: Fleet,
    settings: RolloutSettings,
    environments: Sequence[str],
    runs: Iterable[StageRun],
    standings: Mapping[str, Standing | None],
) -> list[StageLine]:
    """All stages in turn.

    :param runs: the newest of each stage in each environment.
    :param standings: by the names of runs.
    """
    known = {(run.environment, run.stage): run for run in runs}
    stages = sorted(plan.stages, key=lambda stage: stage.number) or [Stage(number=1)]
    return [
        StageLine(
            stage=stage,
            services=tuple(service for service in fleet.services if service.stage == stage.number),
            soak=settings.soak_of(stage=stage.number).duration,
            places=tuple(
                Place(environment=name, run=run, standing=standings.get(run.run) if run else None)
                for name in environments
                for run in [known.get((name, stage.number))]
            ),
        )
        for stage in stages
    ]


def environments_of(settings: RolloutSettings, runs: Iterable[StageRun]) -> list[str]:
    """Those of the plan, each after those that it comes after, then others that something was deployed to."""
    named = [one.name for one in settings.environments]
    before = {one.name: one.after for one in settings.environments}
    found: list[str] = []

    def add(name: str, above: tuple[str, ...] = ()) -> None:
        for earlier in before.get(name, ()):
            if earlier not in above:
                add(earlier, (*above, name))
        if name not in found:
            found.append(name)

    for name in (*named, *sorted({run.environment for run in runs})):
        add(name)
    return found or ["test"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What is to be done next: a command, empty where there is none to be given; and why, or what for."""

    command: str = ""
    why: str = ""


def next_step(lines: Sequence[StageLine], environment: str, after: Sequence[str]) -> Step:
    """What is to be done next in an environment that comes after others."""
    for line in lines:
        places = {place.environment: place for place in line.places}
        run = places[environment].run
        if run is not None and run.is_completed:
            continue
        if not line.services:
            return Step(why=f"stage {line.stage.number} has no service: give it some, or take it out of the plan")
        if run is None or run.state in (StageState.ACCEPTED, StageState.ROLLED_BACK):
            missing = [name for name in after if name in places and not _completed(places[name])]
            if missing:
                return Step(why=f"stage {line.stage.number} waits for {', '.join(missing)}")
        return _step(run, line.stage.number, environment)
    return Step(why="nothing is left: all stages are accepted")


def _step(run: StageRun | None, number: int, environment: str) -> Step:
    place = f"--stage {number} --env {environment}"
    if run is None:
        return Step(command=f"py312 deploy {place}")
    if run.state in (StageState.ACCEPTED, StageState.ROLLED_BACK):
        why = run.stale or ("" if run.is_drill else f"it was rolled back: {run.reason}")
        return Step(command=f"py312 deploy {place}", why=why)
    if run.state in WATCHED and run.is_drill:
        return Step(command=f"py312 rollback {place}", why="a drill has left it up")
    if run.state is StageState.HELD:
        return Step(command=f"py312 decide accept|rollback {place}", why=run.reason)
    if run.state in WATCHED:
        return Step(command=f"py312 watch {place}")
    why = f"stage {number} was left {run.state.value}, unless somebody is at it just now"
    return Step(command=f"py312 recover --env {environment}", why=why)


def _completed(place: Place) -> bool:
    return place.run is not None and place.run.is_completed


def markdown(
    plan: Plan, lines: Sequence[StageLine], environments: Sequence[str], after: Mapping[str, Sequence[str]]
) -> str:
    """The page."""
    done = {
        name: sum(_completed(place) for line in lines for place in line.places if place.environment == name)
        for name in environments
    }
    text = [f"# Roadmap to Python {plan.target}", ""]
    text += [
        f"* {_shown(name)}: {done[name]} of {counted(len(lines), 'stage')} accepted. "
        f"Next: {_said(next_step(lines, name, after.get(name, ())))}."
        for name in environments
    ]
    text += ["", row(["Stage", "Services", "Soak", *map(_shown, environments)]), row(["---"] * (3 + len(environments)))]
    for line in lines:
        states = [
            _shown(place.state) + (f"<br>{_shown(place.told)}" if place.told else "")
            for place in line.places
            if place.environment in environments
        ]
        text.append(row([_title(line), str(len(line.services)), spelled(line.soak), *states]))
    for line in lines:
        text += ["", f"## Stage {_title(line)}", ""]
        if not line.services:
            text.append("No service.")
            continue
        text += [row(["Service", "Python now", "to", "", "Where"]), row(["---"] * 5)]
        text += [
            row(
                [
                    _shown(service.name),
                    _now(service, plan, line.places),
                    str(plan.target),
                    "critical" if service.critical else "",
                    _shown(service.path),
                ]
            )
            for service in line.services
        ]
    return "\n".join(text) + "\n"


def _said(step: Step) -> str:
    return ": ".join(filter(None, [f"`{step.command}`" if step.command else "", _shown(step.why)]))


def _title(line: StageLine) -> str:
    return f"{line.stage.number}" + (f": {_shown(line.stage.name)}" if line.stage.name else "")


def _now(service: Service, plan: Plan, places: Sequence[Place]) -> str:
    """What its files say; and where the target serves already."""
    moved = [place.environment for place in places if _completed(place)]
    there = f"{plan.target} in {', '.join(map(_shown, moved))}; " if moved else ""
    return there + (f"{service.baseline} by its files" if moved else str(service.baseline))


def _shown(text: str) -> str:
    return escaped(prose(text))


def document(
    plan: Plan, lines: Sequence[StageLine], environments: Sequence[str], after: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The same for programs."""
    return {
        "schema": 1,
        "target": str(plan.target),
        "environments": [
            {"name": name, "next": encode(next_step(lines, name, after.get(name, ())))} for name in environments
        ],
        "stages": [
            {
                "stage": line.stage.number,
                "name": line.stage.name,
                "soak": line.soak,
                "services": [
                    {"service": one.name, "path": one.path, "baseline": str(one.baseline), "critical": one.critical}
                    for one in line.services
                ],
                "states": {
                    place.environment: place.state for place in line.places if place.environment in environments
                },
            }
            for line in lines
        ],
    }
