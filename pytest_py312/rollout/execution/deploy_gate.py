"""What a run of the whole gate asks before it deploys a stage by itself, and a person who types a command need not.

Whether a target tells what services use, asked before anything is deployed that would soak in vain.
"""

from collections.abc import Callable, Sequence

from pytest_py312.core.errors import RolloutRefused
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.journal import Entry
from pytest_py312.rollout.domain.journal_queries import reason_of_its_own
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.preconditions import is_the_same
from pytest_py312.rollout.preflight.health_checks import usage_rows
from pytest_py312.rollout.targets.target import Target

SHOWN = 6
"""So many checks that are not proven are named."""


def check_proven(place: str, left: Sequence[str]) -> None:
    """
    :param place: the stage and its environment, in words.
    :param left: its checks that are not proven, and why.
    :raises RolloutRefused: there are some.
    """
    if left:
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        raise RolloutRefused(
            f"{place} is not deployed, as not all of its checks are proven: {', '.join(left[:SHOWN])}{more}"
        )


def check_again(before: StageRun, wanted: StageRun, history: Sequence[Entry]) -> None:
    """What has failed is not deployed over and over by a run on a schedule.

    :param history: of the run ``before``, which was rolled back.
    :raises RolloutRefused: the very same went back for a reason of its own.
    """
    same = is_the_same(before, wanted) and before.asked == wanted.asked
    if same and (reason := reason_of_its_own(history)):
        raise RolloutRefused(
            f"stage {before.stage} in {before.environment} was rolled back with these very images "
            f"({before.reason or reason}); mend it, or try it again "
            f"with `py312 deploy --stage {before.stage} --env {before.environment}`"
        )


def check_health(ground: Ground, environment: str, stage: int) -> None:
    """
    :raises RolloutRefused: something that a rollout relies on is in trouble.
    """
    from pytest_py312.rollout.preflight.health_checks import examined
    from pytest_py312.rollout.preflight.health_rows import Health

    bad = [row for row in examined(ground, environment, stage) if row.needed and row.health is Health.TROUBLE]
    if bad:
        listed = "; ".join(f"{row.area}, {row.what}: {row.detail} ({row.remedy})" for row in bad)
        raise RolloutRefused(f"stage {stage} in {environment} is not deployed: {listed}")


def tell_unmeasured(target: Target, settings: RolloutSettings, stage: int, told: Callable[[str], None]) -> None:
    """Say it, where samples of ``stage`` would not count for it."""
    for row in usage_rows(target, settings, [stage]):
        if row.needed and row.remedy:
            told(f"{row.detail}: {row.remedy}")
