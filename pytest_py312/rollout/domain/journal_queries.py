"""What runs that are over tell: why one ended as it did, and whether one before it still stands."""

from collections.abc import Iterable

from pytest_py312.core.errors import OptionError
from pytest_py312.rollout.domain.events import Breached, Decided, DeployFailed, RollbackAsked
from pytest_py312.rollout.domain.journal import Entry, Journal
from pytest_py312.rollout.domain.model import Reaction, StageRun
from pytest_py312.rollout.domain.run_history import with_run
from pytest_py312.rollout.domain.state_machine import INTERRUPTED


def reason_of_its_own(history: Iterable[Entry]) -> str:
    """Why a run went back, where that was not merely the end of the process that had begun it."""
    reason = ""
    for entry in history:
        what = entry.what
        if isinstance(what, DeployFailed) and not what.reason.startswith(INTERRUPTED):
            reason = f"{what.service}: {what.reason}"
        elif isinstance(what, Breached) and what.breach.reaction is Reaction.ROLL_BACK:
            reason = f"{what.breach.key}: {what.breach.detail}"
        elif isinstance(what, RollbackAsked) or (isinstance(what, Decided) and not what.accept):
            reason = what.reason
    return reason


def chosen_run(
    journal: Journal, known: list[StageRun], name: str, environment: str, stage: int | None
) -> tuple[list[StageRun], int]:
    """The runs that stand, with the one of this name for its stage, and that stage.

    :raises OptionError: there is no such run.
    :raises RolloutRefused: it is not what serves.
    """
    found = journal.run(name) if journal.knows(name) else None
    if found is None or found.environment != environment or stage not in (None, found.stage):
        where = environment if stage is None else f"stage {stage} of {environment}"
        raise OptionError(f"--run {name}: {where} has no such run; `py312 status` says which one serves again")
    newest = next(one for one in known if one.stage == found.stage)
    return with_run(known, found, journal.below(newest)), found.stage
