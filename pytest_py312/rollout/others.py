"""Whether somebody else is at a stage just now, so that a second one has nothing to do, and nothing is wrong.

A lock alone does not say so: it outlives the process that took it.
"""

from pytest_py312.rollout.journal import Journal
from pytest_py312.rollout.model import Holder, StageRun
from pytest_py312.rollout.moments import is_alive, this_moment
from pytest_py312.rollout.stages import WATCHED
from pytest_py312.rollout.standing import standing_of


def is_at_work(holder: Holder, journal: Journal, run: StageRun, interval: float) -> bool:
    """Whether ``holder`` is certain to be at ``run``: it is a process of this machine that runs, or samples come in.

    :param interval: seconds between two samples.
    """
    if (holder.journal, holder.run) != (journal.identity, run.run):
        return False
    if is_alive(holder.process):
        return True
    newest = journal.newest_samples(run.run)
    if run.state not in WATCHED or not any(newest):  # "" is the beginning of the schedule, and no sample
        return False
    standing = standing_of(run, newest, this_moment(), interval)
    return standing is not None and standing.silent_for is not None and not standing.is_silent
