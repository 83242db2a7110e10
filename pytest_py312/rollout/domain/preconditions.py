"""Preconditions of deployments and rollbacks: what has to come first, and what depends on what. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.next_act import is_in_progress
from pytest_py312.rollout.domain.soak_overrides import soak_shortfall
from pytest_py312.rollout.domain.target_model import short_image_id


@dataclass(frozen=True, kw_only=True, slots=True)
class StartConditions:
    """What the plan requires before a run may start, and how many earlier ones of its stage keep their samples."""

    earlier_stages: tuple[int, ...] = ()
    """Numbers of the stages before it."""
    prior_environments: tuple[str, ...] = ()
    """Environments that have to accept the same first."""
    retain: int = 5
    """Number of runs of the stage whose samples are kept."""


def check_start(
    stage: int,
    environment: str,
    earlier_stages: Iterable[int],
    runs: Iterable[StageRun],
    serving_images: Mapping[str, str],
) -> None:
    """Refuse a stage that cannot start in ``environment``.

    :param earlier_stages: numbers of the stages before it in the plan.
    :param runs: the current run of each stage in each environment.
    :param serving_images: service of an earlier stage -> id of the image that serves it now; a missing service is not
        checked.
    :raises RolloutRefused: says what has to come first.
    """
    runs_by_stage = {run.stage: run for run in runs if run.environment == environment}
    for number, run in sorted(runs_by_stage.items()):
        if not run.state.is_over:
            raise RolloutRefused(_describe_blocking_run(run, stage, number))
    for number in sorted(earlier_stages):
        earlier_run = runs_by_stage.get(number)
        if earlier_run is None or not earlier_run.is_completed:
            status = "was never deployed" if earlier_run is None else _describe_status(earlier_run)
            raise RolloutRefused(
                f"stage {stage} cannot start in {environment}: stage {number} {status} there, and has to be accepted "
                f"first; `py312 deploy --stage {number} --env {environment}`"
            )
        for service, image in earlier_run.images.items():
            if serving_images.get(service, image) != image:
                raise RolloutRefused(
                    f"stage {stage} cannot start in {environment}: {service} of stage {number} was accepted as image "
                    f"{short_image_id(image)}, and {short_image_id(serving_images[service])} serves it now; "
                    f"deploy stage {number} again"
                )


def check_target_identity(
    environment: str, identity: str, runs: Iterable[StageRun], shared_with: Sequence[str]
) -> None:
    """Refuse a target that is not the environment's, or that belongs to another environment.

    :param identity: of the target; if it is empty, nothing can be checked.
    :param runs: the current run of each stage in each environment.
    :param shared_with: environments that may share the target.
    :raises RolloutRefused: names both targets, or both environments.
    """
    for run in runs:
        if not run.may_have_changed_target:
            continue
        if run.environment == environment:
            check_same_target(run, identity)
        elif identity and run.place == identity and run.environment not in shared_with:
            raise RolloutRefused(
                f"{environment} would use {identity}, which {run.environment} uses (stage {run.stage}, run {run.run}): "
                f"point {environment} to its own target (DOCKER_HOST, or `engine`, `context` or `namespace` in "
                f"[deploy.environments]); if they share it on purpose, write {environment} = "
                f'{{ shares-target-with = ["{run.environment}"] }} there'
            )


def check_same_target(run: StageRun, identity: str) -> None:
    """Refuse to act for ``run`` on a target that is not its environment's.

    :param identity: of the target; empty if it is unknown.
    :raises RolloutRefused: names both targets.
    """
    if identity and run.place and identity != run.place:
        raise RolloutRefused(
            f"{run.environment} uses {run.place} (stage {run.stage}, run {run.run}), but {identity} answers: "
            "point it to the previous target (DOCKER_HOST, or `engine`, `context` or `namespace` in "
            "[deploy.environments]); if it was replaced on purpose, run "
            f"`py312 recover --env {run.environment} --accept-new-engine`"
        )


def check_promotion(run: StageRun, prior_environments: Sequence[str], runs: Iterable[StageRun]) -> None:
    """Refuse a run unless the environments before its own accepted the very same.

    :param prior_environments: environments that come before the run's.
    :raises RolloutRefused: says what is missing, and where.
    """
    runs_by_stage = {(other.environment, other.stage): other for other in runs}
    for environment in prior_environments:
        prior_run = runs_by_stage.get((environment, run.stage))
        message_start = f"stage {run.stage} cannot start in {run.environment}: "
        if prior_run is None or not prior_run.is_completed:
            status = "was never deployed" if prior_run is None else _describe_status(prior_run)
            raise RolloutRefused(f"{message_start}it {status} in {environment}, and has to be accepted there first")
        for service, image in run.images.items():
            if prior_run.images.get(service) != image:
                raise RolloutRefused(
                    f"{message_start}{environment} accepted image "
                    f"{short_image_id(prior_run.images.get(service, 'none'))} of {service}, "
                    f"and this is {short_image_id(image)}; deploy what was proven"
                )
        if prior_run.configuration != run.configuration:
            raise RolloutRefused(
                f"{message_start}the plan was changed since {environment} accepted it; prove it there again"
            )
        shortfall = soak_shortfall(prior_run, run)
        if shortfall:
            raise RolloutRefused(
                f"{message_start}an option shortened its soak in {environment} ({shortfall}); prove it there again, "
                "or request no more here"
            )


def is_same_deployment(run: StageRun, other: StageRun) -> bool:
    """Return whether two runs of a stage have the same images and the same plan."""
    return (dict(run.images), run.configuration) == (dict(other.images), other.configuration)


def check_drilled(run: StageRun, prior_environments: Sequence[str], drills: Iterable[StageRun]) -> None:
    """Refuse a run whose rollback was never drilled, in its environment or one before it, if the plan requires that.

    The drill may have used another image: it proves the procedure. It must have had the same target and at least the
    same services.

    :param drills: drills that have ended, newest last.
    :raises RolloutRefused: the newest did not pass, or there was none.
    """
    if not run.needs_drill or not prior_environments:
        return
    environments = (*prior_environments, run.environment)
    matching_drills = [
        drill
        for drill in drills
        if drill.drill and drill.environment in environments and drill.stage == run.stage and drill.target == run.target
        and set(run.services) <= set(drill.services)
    ]  # fmt: skip
    if matching_drills and matching_drills[-1].drill == "passed":
        return
    reason = (
        f"its last drill in {matching_drills[-1].environment} failed"
        if matching_drills
        else "its rollback was never drilled"
    )
    raise RolloutRefused(
        f"stage {run.stage} cannot start in {run.environment}: {reason}, and the plan requires it (require-drill); "
        f"`py312 drill --stage {run.stage} --env {prior_environments[-1]}`"
    )


def rollback_order(
    stage: int, environment: str, runs: Iterable[StageRun], *, cascade: bool, keep_later: bool
) -> list[int]:
    """Return the stages to roll back, in order, so that ``stage`` can be rolled back.

    :param cascade: roll back the later ones first.
    :param keep_later: leave the later ones up, although their acceptance no longer counts then.
    :raises RolloutRefused: there is no such run, or later stages depend on it and neither was chosen.
    """
    runs_by_stage = {run.stage: run for run in runs if run.environment == environment}
    if stage not in runs_by_stage:
        raise RolloutRefused(f"stage {stage} was never deployed in {environment}: there is nothing to roll back")
    later = dependent_stages(stage, environment, runs_by_stage.values())
    if not later or keep_later:
        return [stage]
    if cascade:
        return [*reversed(later), stage]
    later_text = ", ".join(f"stage {number} ({runs_by_stage[number].state.value})" for number in later)
    raise RolloutRefused(
        f"stage {stage} cannot be rolled back in {environment} while later stages depend on it: {later_text}; "
        "--cascade rolls those back first, --keep-later leaves them up, and their acceptance no longer counts then"
    )


def dependent_stages(stage: int, environment: str, runs: Iterable[StageRun]) -> list[int]:
    """Return later stages that are up in ``environment`` and whose acceptance depends on ``stage``."""
    return sorted(run.stage for run in runs if run.environment == environment and run.stage > stage and run.is_up)


def _describe_blocking_run(run: StageRun, stage: int, blocking_stage: int) -> str:
    message_start = f"stage {stage} cannot start in {run.environment}: stage {blocking_stage} is {run.state.value}"
    if is_in_progress(run):
        return f"{message_start}; `py312 recover --env {run.environment}` finishes it"
    if run.state is StageState.HELD:
        options = f"--stage {blocking_stage} --env {run.environment}"
        return (
            f"{message_start} ({run.reason}); `py312 promote {options}` accepts it, "
            f"`py312 abort {options}` rolls it back"
        )
    return f"{message_start}; `py312 watch --stage {blocking_stage} --env {run.environment}` continues it"


def _describe_status(run: StageRun) -> str:
    if run.stale:
        return f"was accepted, but {run.stale},"
    return f"is {run.state.value}"


def deployment_order(services: Sequence[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """Return ``services`` with each after those that it needs; otherwise in the given order.

    :raises RolloutRefused: services need each other.
    """
    dependencies = {name: [need for need in needs.get(name, ()) if need in services] for name in services}
    sorter = TopologicalSorter(dependencies)
    try:
        sorter.prepare()
    except CycleError as error:
        raise RolloutRefused(
            f"these services need each other, so none can be first: {' -> '.join(error.args[1])}"
        ) from None
    order: list[str] = []
    while sorter.is_active():
        for name in sorted(sorter.get_ready(), key=services.index):
            order.append(name)
            sorter.done(name)
    return order
