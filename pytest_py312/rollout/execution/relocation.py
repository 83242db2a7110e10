"""Record that an environment has moved on purpose: to another engine, swarm or namespace."""

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import EnvironmentMoved
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.preconditions import check_target_identity
from pytest_py312.rollout.execution.driver import Driver
from pytest_py312.rollout.targets.target import Target


def accept_relocation(journal: Journal, driver: Driver, target: Target, environment: str, *, by: str) -> list[StageRun]:
    """Record that ``environment`` is on ``target`` now, as confirmed by ``by``.

    :returns: the runs for which that was new.
    :raises RolloutRefused: the target belongs to another environment, or does not report its identity.
    """
    identity = target.identity()
    if not identity:
        raise RolloutRefused(f"the target {target.name} does not report its identity")
    # earlier runs as well: they can be rolled back, too
    runs = [journal.load_run(name) for name in journal.run_names(environment)]
    affected_runs = [run for run in runs if run.may_have_changed_target and run.place != identity]
    other_runs = [run for run in journal.current_runs() if run.environment != environment]
    for run in affected_runs:
        check_target_identity(environment, identity, other_runs, run.shares)
    updated_runs = []
    for run in affected_runs:
        journal.acquire(run.run, owner=driver.owner)
        updated_runs.append(journal.record(run.run, EnvironmentMoved(place=identity, by=by), owner=driver.owner))
        driver.release(run.run)
    return updated_runs
