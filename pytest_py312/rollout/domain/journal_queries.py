"""Queries about runs: why one was rolled back, and which one a command is about."""

from collections.abc import Iterable

from pytest_py312.core.errors import OptionError
from pytest_py312.rollout.domain.events import Breached, Decided, DeployFailed, RollbackRequested
from pytest_py312.rollout.domain.journal import Journal, JournalEntry
from pytest_py312.rollout.domain.model import Reaction, StageRun
from pytest_py312.rollout.domain.run_history import substitute_run
from pytest_py312.rollout.domain.state_machine import INTERRUPTED_PREFIX


def rollback_cause(history: Iterable[JournalEntry]) -> str:
    """Return why a run was rolled back, unless it was merely interrupted."""
    reason = ""
    for entry in history:
        content = entry.content
        if isinstance(content, DeployFailed) and not content.reason.startswith(INTERRUPTED_PREFIX):
            reason = f"{content.service}: {content.reason}"
        elif isinstance(content, Breached) and content.breach.reaction is Reaction.ROLL_BACK:
            reason = f"{content.breach.key}: {content.breach.detail}"
        elif isinstance(content, RollbackRequested) or (isinstance(content, Decided) and not content.accept):
            reason = content.reason
    return reason


def select_run(
    journal: Journal, current_runs: list[StageRun], name: str, environment: str, stage: int | None
) -> tuple[list[StageRun], int]:
    """Return the current runs with the named run in the place of its stage's, and the number of that stage.

    :raises OptionError: there is no such run.
    :raises RolloutRefused: the run does not serve.
    """
    run = journal.load_run(name) if journal.has_run(name) else None
    if run is None or run.environment != environment or stage not in (None, run.stage):
        place = environment if stage is None else f"stage {stage} of {environment}"
        raise OptionError(f"--run {name}: {place} has no such run; `py312 status` shows which one serves")
    newest = next(current for current in current_runs if current.stage == run.stage)
    return substitute_run(current_runs, run, journal.restored_run(newest)), run.stage
