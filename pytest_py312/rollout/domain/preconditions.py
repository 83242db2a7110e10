"""What may be done to a stage beside the others: which come first, and what stands on what. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.soak_overrides import lack_of_soak

UNDECIDED = frozenset({StageState.PLANNED, StageState.LOCKED, StageState.DEPLOYING, StageState.VERIFYING})
"""States that only a process at work, or a dead one, leaves behind."""


def check_start(
    stage: int, environment: str, earlier: Iterable[int], runs: Iterable[StageRun], serving: Mapping[str, str]
) -> None:
    """Refuse a stage that cannot start in ``environment``.

    :param earlier: numbers of the stages before it in the plan.
    :param runs: the newest run of each stage in each environment.
    :param serving: service of an earlier stage -> id of the image that serves it now; where one is not named, nothing
        is known to be wrong.
    :raises RolloutRefused: says what has to come first.
    """
    here = {run.stage: run for run in runs if run.environment == environment}
    for number, run in sorted(here.items()):
        if not run.state.is_over:
            raise RolloutRefused(_in_the_way(run, stage, number))
    for number in sorted(earlier):
        before = here.get(number)
        if before is None or not before.is_completed:
            found = "was never deployed" if before is None else _standing(before)
            raise RolloutRefused(
                f"stage {stage} cannot start in {environment}: stage {number} {found} there, and has to be accepted "
                f"first; `py312 deploy --stage {number} --env {environment}`"
            )
        for service, image in before.images.items():
            if serving.get(service, image) != image:
                raise RolloutRefused(
                    f"stage {stage} cannot start in {environment}: {service} of stage {number} was accepted as image "
                    f"{_short(image)}, and {_short(serving[service])} serves it now; deploy stage {number} again"
                )


def check_place(environment: str, here: str, runs: Iterable[StageRun], shares: Sequence[str]) -> None:
    """Refuse a place where ``environment`` has not lain so far, or where another environment lies.

    :param here: as the target calls it; where it is empty, nothing can be said.
    :param runs: the newest run of each stage in each environment.
    :param shares: environments that may lie there as well.
    :raises RolloutRefused: names both places, or both environments.
    """
    for run in runs:
        if not run.has_touched:
            continue
        if run.environment == environment:
            check_same_place(run, here)
        elif here and run.place == here and run.environment not in shares:
            raise RolloutRefused(
                f"{environment} would lie on {here}, where {run.environment} lies (stage {run.stage}, run {run.run}): "
                f"point {environment} to its own (DOCKER_HOST, or `engine`, `context` or `namespace` in "
                f"[deploy.environments]); if both lie there on purpose, write {environment} = "
                f'{{ same-place-as = ["{run.environment}"] }} there'
            )


def check_same_place(run: StageRun, here: str) -> None:
    """Refuse to act for ``run`` where its environment does not lie.

    :param here: where it would be acted; empty where that is not known.
    :raises RolloutRefused: names both places.
    """
    if here and run.place and here != run.place:
        raise RolloutRefused(
            f"{run.environment} lies on {run.place} (stage {run.stage}, run {run.run}), and {here} answers: point it "
            "to the one of before (DOCKER_HOST, or `engine`, `context` or `namespace` in [deploy.environments]); if it "
            f"was exchanged on purpose, `py312 recover --env {run.environment} --moved` says so"
        )


def check_promotion(run: StageRun, after: Sequence[str], runs: Iterable[StageRun]) -> None:
    """Refuse a run in an environment that comes after others, unless they accepted the very same.

    :param after: environments that come before the run's.
    :raises RolloutRefused: says where what is missing.
    """
    known = {(other.environment, other.stage): other for other in runs}
    for environment in after:
        proven = known.get((environment, run.stage))
        start = f"stage {run.stage} cannot start in {run.environment}: "
        if proven is None or not proven.is_completed:
            found = "was never deployed" if proven is None else _standing(proven)
            raise RolloutRefused(f"{start}it {found} in {environment}, and has to be accepted there first")
        for service, image in run.images.items():
            if proven.images.get(service) != image:
                raise RolloutRefused(
                    f"{start}{environment} accepted image {_short(proven.images.get(service, 'none'))} of {service}, "
                    f"and this is {_short(image)}; deploy what was proven"
                )
        if proven.configuration != run.configuration:
            raise RolloutRefused(f"{start}the plan was changed since {environment} accepted it; prove it there again")
        lack = lack_of_soak(proven, run)
        if lack:
            raise RolloutRefused(
                f"{start}by an option it was watched in {environment} {lack}; prove it there again, or ask for no more "
                "here"
            )


def is_the_same(one: StageRun, other: StageRun) -> bool:
    """Whether two runs of a stage are about the same images, judged by the same plan."""
    return (dict(one.images), one.configuration) == (dict(other.images), other.configuration)


def check_drilled(run: StageRun, after: Sequence[str], runs: Iterable[StageRun]) -> None:
    """Refuse a run whose way back was never tried, in its environment or in one before it, where that is asked for.

    Another image than was drilled will do: it is the way that is tried. Services that were not there, or another
    target, are another way.

    :param runs: drills that came to an end, the newest last.
    :raises RolloutRefused: the newest did not pass, or there was none.
    """
    if not run.needs_drill or not after:
        return
    places = (*after, run.environment)
    tried = [
        other
        for other in runs
        if other.drill and other.environment in places and other.stage == run.stage and other.target == run.target
        and set(run.services) <= set(other.services)
    ]  # fmt: skip
    if tried and tried[-1].drill == "passed":
        return
    found = f"the last drill of it in {tried[-1].environment} failed" if tried else "its way back was never drilled"
    raise RolloutRefused(
        f"stage {run.stage} cannot start in {run.environment}: {found}, and the plan asks for it (require-drill); "
        f"`py312 drill --stage {run.stage} --env {after[-1]}`"
    )


def rollback_order(stage: int, environment: str, runs: Iterable[StageRun], *, cascade: bool, only: bool) -> list[int]:
    """The stages to roll back, in turn, so that ``stage`` can be.

    :param cascade: the later ones first.
    :param only: leave the later ones up; what they were judged against is then gone.
    :raises RolloutRefused: there is no such run, or later stages stand on it and neither was chosen.
    """
    here = {run.stage: run for run in runs if run.environment == environment}
    if stage not in here:
        raise RolloutRefused(f"stage {stage} was never deployed in {environment}: there is nothing to roll back")
    later = standing_on(stage, environment, here.values())
    if not later or only:
        return [stage]
    if cascade:
        return [*reversed(later), stage]
    listed = ", ".join(f"stage {number} ({here[number].state.value})" for number in later)
    raise RolloutRefused(
        f"stage {stage} cannot be rolled back in {environment} under {listed}; --cascade rolls those back first, "
        f"--only leaves them up, and what they were judged against is then gone"
    )


def standing_on(stage: int, environment: str, runs: Iterable[StageRun]) -> list[int]:
    """Later stages that are up in ``environment`` and lose their ground when ``stage`` is deployed or rolled back."""
    return sorted(run.stage for run in runs if run.environment == environment and run.stage > stage and run.is_up)


def _in_the_way(run: StageRun, stage: int, number: int) -> str:
    start = f"stage {stage} cannot start in {run.environment}: stage {number} is {run.state.value}"
    if run.state in UNDECIDED or run.state in (StageState.ROLLING_BACK, StageState.ROLLBACK_FAILED):
        return f"{start}; `py312 recover --env {run.environment}` finishes what was left"
    if run.state is StageState.HELD:
        return f"{start} ({run.reason}); `py312 decide --stage {number} --env {run.environment}` answers it"
    return f"{start}; `py312 watch --stage {number} --env {run.environment}` goes on with it"


def _standing(run: StageRun) -> str:
    if run.stale:
        return f"was accepted, but {run.stale},"
    return f"is {run.state.value}"


def _short(image: str) -> str:
    return image.removeprefix("sha256:")[:12]


def deployment_order(services: Sequence[str], needs: Mapping[str, Iterable[str]]) -> list[str]:
    """``services``, each after those of them that it needs; otherwise in the order given.

    :raises RolloutRefused: some need each other.
    """
    wanted = {name: [need for need in needs.get(name, ()) if need in services] for name in services}
    sorter = TopologicalSorter(wanted)
    try:
        sorter.prepare()
    except CycleError as error:
        raise RolloutRefused(f"these need each other, so none can be first: {' -> '.join(error.args[1])}") from None
    found: list[str] = []
    while sorter.is_active():
        for name in sorted(sorter.get_ready(), key=services.index):
            found.append(name)
            sorter.done(name)
    return found
