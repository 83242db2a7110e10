"""The history of a run, and which run of a stage is current: the newest, or an earlier one after a rollback. Pure.

A stage that was accepted may be deployed again, and rolled back to what was accepted. The earlier run serves again
then, and only that run has recorded what served before it. The ids of containers, which are never reused, show which
run that is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.rollout.domain.events import Breached, Event
from pytest_py312.rollout.domain.model import Intent, StageRun, StageState
from pytest_py312.rollout.domain.state_machine import advance


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """An entry in the history of a run. ``content`` is an event, an intent, or the text of a note."""

    at: str
    content: Event | Intent | str


def replay(run: StageRun, entries: Iterable[JournalEntry]) -> Iterator[tuple[JournalEntry, StageRun, StageRun]]:
    """Yield each entry with the run before and after it, which are the same for an intent and a note.

    :param run: the run as it began.
    """
    for entry in entries:
        earlier = run
        if not isinstance(entry.content, str | Intent):
            run = advance(run, entry.content)
        yield entry, earlier, run


def recorded_breaches(history: Iterable[JournalEntry]) -> set[str]:
    """Return the keys of the limits that were broken."""
    return {entry.content.breach.key for entry in history if isinstance(entry.content, Breached)}


def select_current_run(runs: Iterator[StageRun]) -> StageRun:
    """Return the run that represents the current state of a stage.

    A run that ended before it changed anything is passed over. If a run was rolled back to an earlier one, and that one
    was rolled back itself since, the earlier one is current.

    :param runs: all runs of the stage, newest first; at least one.
    """
    newest = next(runs)
    current = (
        newest if newest.may_have_changed_target else next((run for run in runs if run.may_have_changed_target), newest)
    )
    while (restored := find_restored_run(current, runs)) is not None and restored.state is not StageState.ACCEPTED:
        current = restored
    return current


def find_restored_run(run: StageRun, earlier: Iterable[StageRun]) -> StageRun | None:
    """Return the one of ``earlier`` that deployed what ``run`` was rolled back to; ``None`` if there is none."""
    if run.state is not StageState.ROLLED_BACK or run.is_up:
        return None
    return next((candidate for candidate in earlier if _returned_to(run, candidate)), None)


def _returned_to(run: StageRun, earlier: StageRun) -> bool:
    new_containers = {
        deployment.service: deployment.new for deployment in earlier.deployments if deployment.new is not None
    }
    shared_deployments = [deployment for deployment in run.deployments if deployment.service in new_containers]
    return bool(shared_deployments) and all(
        deployment.old is not None and deployment.old == new_containers[deployment.service]
        for deployment in shared_deployments
    )


def substitute_run(current_runs: list[StageRun], chosen: StageRun, restored: StageRun | None) -> list[StageRun]:
    """Return ``current_runs``, with ``chosen`` in the place of the run of its stage.

    :param restored: the run that the newest was rolled back to.
    :raises RolloutRefused: the chosen run is not what serves.
    """
    newest = next((run for run in current_runs if run.stage == chosen.stage), chosen)
    if chosen.run not in (newest.run, restored.run if restored else ""):
        serving_hint = f"; run {restored.run} does" if restored else f"; the newest is run {newest.run}"
        raise RolloutRefused(
            f"run {chosen.run} of stage {chosen.stage} does not serve in {chosen.environment}{serving_hint}"
        )
    return [chosen if run.stage == chosen.stage else run for run in current_runs]


def describe_restored_version(run: StageRun, restored: StageRun | None) -> str:
    """Return a line for a rollback that has not led to an older Python; empty for any other."""
    if run.state is not StageState.ROLLED_BACK:
        return ""
    if restored is not None and restored.state is StageState.ACCEPTED:
        return (
            f"run {restored.run} serves again, on Python {restored.target}; `py312 rollback --stage "
            f"{restored.stage} --env {restored.environment} --run {restored.run}` rolls that back as well\n"
        )
    same_version = [
        deployment.service
        for deployment in run.deployments
        if deployment.old is not None and deployment.old_interpreter == run.target
    ]
    if not same_version:
        return ""
    return (
        f"{', '.join(same_version)}: the version before run {run.run} was on Python {run.target} as well, and serves "
        "again; the journal has no version before that, so deploy an older image manually if you need one\n"
    )
