"""Whether a run may begin where things stand: what the journal knows, and what serves."""

from pytest_py312.rollout.journal import Journal
from pytest_py312.rollout.model import StageRun
from pytest_py312.rollout.rules import check_drilled, check_place, check_promotion, check_start
from pytest_py312.rollout.targets.protocol import Target


def check_ground(journal: Journal, target: Target, run: StageRun, earlier: list[int], after: list[str]) -> None:
    """
    :param earlier: numbers of the stages before it in the plan.
    :param after: environments that have to accept the same first.
    :raises RolloutRefused: something else has to come first.
    """
    known = journal.newest()
    check_place(run.environment, run.place, known, run.shares)
    before = [one for one in known if one.environment == run.environment and one.stage in earlier]
    serving = {}
    for other in before:
        for one in other.deployments if other.is_completed else ():
            seen = target.observe(one.spec)
            serving[one.service] = seen.container.image if seen else "nothing"
    check_start(run.stage, run.environment, earlier, known, serving)
    check_promotion(run, after, known)
    if run.needs_drill and not earlier:
        check_drilled(run, after, journal.drills())
