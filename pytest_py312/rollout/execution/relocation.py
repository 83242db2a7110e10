"""Where an environment lies: an engine, a swarm or a namespace that is another one by now, and is meant to be."""

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import Moved
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.preconditions import check_place
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.targets.target import Target


def moved(journal: Journal, driver: Driver, target: Target, environment: str, *, by: str) -> list[StageRun]:
    """Write down that ``environment`` lies where ``target`` is by now, because ``by`` says so.

    :returns: the runs of which that was not known.
    :raises RolloutRefused: another environment lies there, or the target does not tell where that is.
    """
    here = target.identity()
    if not here:
        raise RolloutRefused(f"the target {target.name} does not tell which one it is")
    # earlier attempts as well: they can be gone back from, too
    runs = [journal.run(name) for name in journal.names(environment)]
    mine = [run for run in runs if run.has_touched and run.place != here]
    others = [run for run in journal.newest() if run.environment != environment]
    for run in mine:
        check_place(environment, here, others, run.shares)
    found = []
    for run in mine:
        journal.take(run.run, owner=driver.owner)
        found.append(journal.record(run.run, Moved(place=here, by=by), owner=driver.owner))
        driver.leave(run.run)
    return found
