"""Which run of a stage stands where there were several: the newest, or one that the newest came back to. Pure.

A stage that was accepted may be deployed anew, and brought back to what was accepted. What serves then is the work of
the earlier run, and only that one knows what served before it. Containers tell which run that is: their ids never come
again.
"""

from collections.abc import Iterable, Iterator

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.model import StageRun, StageState


def newest_of(attempts: Iterator[StageRun]) -> StageRun:
    """The run that tells how a stage stands.

    A run that ended before it touched anything has changed nothing of that: the one before it still stands. So does one
    that was brought back itself, after a later one had come back to it.

    :param attempts: all runs of the stage, the newest first; at least one.
    """
    last = next(attempts)
    found = last if last.has_touched else next((one for one in attempts if one.has_touched), last)
    while (below := below_of(found, attempts)) is not None and below.state is not StageState.ACCEPTED:
        found = below
    return found


def below_of(run: StageRun, earlier: Iterable[StageRun]) -> StageRun | None:
    """The one of the ``earlier`` runs that made what ``run`` came back to; ``None`` where nobody knows of one."""
    if run.state is not StageState.ROLLED_BACK or run.is_up:
        return None
    return next((one for one in earlier if _came_back_to(run, one)), None)


def _came_back_to(run: StageRun, earlier: StageRun) -> bool:
    made = {one.service: one.new for one in earlier.deployments if one.new is not None}
    shared = [one for one in run.deployments if one.service in made]
    return bool(shared) and all(one.old is not None and one.old == made[one.service] for one in shared)


def with_run(known: list[StageRun], chosen: StageRun, below: StageRun | None) -> list[StageRun]:
    """``known``, the newest run of each stage, with an earlier one in the place of the newest of its stage.

    :param below: the run that the newest has come back to.
    :raises RolloutRefused: the earlier one is not what serves.
    """
    newest = next((run for run in known if run.stage == chosen.stage), chosen)
    if chosen.run not in (newest.run, below.run if below else ""):
        stands = f"; run {below.run} of it does" if below else f"; run {newest.run} is the newest of it"
        raise RolloutRefused(f"run {chosen.run} of stage {chosen.stage} does not serve in {chosen.environment}{stands}")
    return [chosen if run.stage == chosen.stage else run for run in known]


def told_below(run: StageRun, below: StageRun | None) -> str:
    """A line where what a run came back to is no older Python: whoever wants that one must not take this for it."""
    if run.state is not StageState.ROLLED_BACK:
        return ""
    if below is not None and below.state is StageState.ACCEPTED:
        return (
            f"what run {below.run} had brought up serves again, on Python {below.target}; `py312 rollback --stage "
            f"{below.stage} --env {below.environment} --run {below.run}` goes back to what served before that\n"
        )
    same = [one.service for one in run.deployments if one.old is not None and one.old_interpreter == run.target]
    if not same:
        return ""
    return (
        f"{', '.join(same)}: what served before run {run.run} was on Python {run.target} as well, and serves again; "
        "no run here knows what served before that, so deploy the old image by hand if it is wanted\n"
    )
