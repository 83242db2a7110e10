"""What a run's history says about why it ended as it did. Pure."""

from collections.abc import Iterable

from pytest_py312.rollout.events import Breached, Decided, DeployFailed, RollbackAsked
from pytest_py312.rollout.journal import Entry
from pytest_py312.rollout.model import Reaction
from pytest_py312.rollout.stages import INTERRUPTED


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
