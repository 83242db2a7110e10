"""Which services are moved to the target: those of which nothing else keeps the gate from calling them ready. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.plan import Plan
from pytest_py312.gate.checks.versions import Versions
from pytest_py312.gate.fixes.version_changes import Kept, MovePlan, plan_moves
from pytest_py312.repository.edits.change_set import FileChange
from pytest_py312.repository.edits.declarations import Aim
from pytest_py312.repository.services.version_survey import VersionSurvey

_ADVISED = 3
"""Services for which the advice is spelled out."""
NOT_READY = (Status.FAILED, Status.ERRORED)


def moves_of(
    plan: Plan,
    services: Sequence[Service],
    outcomes: Sequence[Outcome],
    *,
    close: bool = False,
    builds: Iterable[InterpreterBuild] = (),
    written: Iterable[FileChange] = (),
) -> MovePlan:
    """The moves of all ``services`` of the fleet that a run has asked about and found ready.

    ``builds`` are the interpreters that were used: where a patch release has to be named, it is the target's, which
    was proven. ``written`` are changes that are made before.
    """
    by_service: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_service.setdefault(outcome.service, []).append(outcome)
    asked = [
        service for service in services if any(one.check == Versions.name for one in by_service.get(service.name, ()))
    ]
    obstacles = {service.name: obstacle_of(by_service[service.name]) for service in asked}
    full_version = _patch_release(plan, builds)
    aims = {
        service.name: Aim(baseline=service.baseline, target=plan.target, close=close, full_version=full_version)
        for service in asked
    }
    survey = VersionSurvey(plan.root, services, exclude=plan.exclude)
    ready = [service for service in asked if not obstacles[service.name]]
    found = plan_moves(survey, plan.root, aims, ready, written=written)
    waiting = _waiting(survey, plan, aims, [service for service in asked if obstacles[service.name]], obstacles)
    advice = () if close else _advice([service for service in ready if service.name in found.moved], plan)
    return replace(found, kept=(*waiting, *found.kept), advice=tuple(advice))


def _advice(moved: Iterable[Service], plan: Plan) -> Iterator[str]:
    """With the move the files tell no more what a service comes from; its suite is then compared with nothing."""
    untold = [service for service in moved if service.settings.baseline is None and service.baseline < plan.target]
    for service in untold[:_ADVISED]:
        yield (
            f"to have {service.name} compared with {service.baseline} until the rollout is closed, add to the plan: "
            f'[service."{service.name}"] baseline = "{service.baseline}"'
        )
    if len(untold) > _ADVISED:
        yield f"likewise for the {len(untold) - _ADVISED} others that are moved"


def obstacle_of(outcomes: Iterable[Outcome]) -> str:
    """What keeps a service from being moved, as the end of a sentence; empty: nothing."""
    for outcome in outcomes:
        versions = outcome.check == Versions.name
        if versions and outcome.status is Status.ERRORED:
            return f"not all of its places could be understood ({outcome.reason})"
        if not versions and outcome.status in NOT_READY:
            on = f" on {outcome.interpreter}" if outcome.interpreter else ""
            word = "failed" if outcome.status is Status.FAILED else "could not be checked"
            return f"{outcome.check}{on} {word}"
    return ""


def together(first: Sequence[FileChange], then: Sequence[FileChange]) -> tuple[FileChange, ...]:
    """Changes of the same files as one, of which ``then`` was planned on top of ``first``."""
    later = {change.path: change for change in then}
    merged = {change.path: later.get(change.path, change) for change in first} | later
    return tuple(merged[path] for path in sorted(merged))


def _waiting(
    survey: VersionSurvey,
    plan: Plan,
    aims: Mapping[str, Aim],
    services: Iterable[Service],
    obstacles: Mapping[str, str],
) -> tuple[Kept, ...]:
    """Those that would be moved, and are not ready for it."""
    would = plan_moves(survey, plan.root, aims, services)
    return tuple(Kept(service=name, reason=obstacles[name]) for name in would.moved)


def _patch_release(plan: Plan, builds: Iterable[InterpreterBuild]) -> str:
    versions = (build.version for build in builds if build.interpreter == plan.target)
    return next((version for version in versions if re.fullmatch(r"3\.\d+\.\d+", version, re.ASCII)), "")
