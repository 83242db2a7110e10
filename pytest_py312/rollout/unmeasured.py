"""Whether a target tells what services use, asked before anything is deployed that would soak in vain."""

from collections.abc import Callable, Iterable

from pytest_py312.rollout.doctor import Row, usage_row
from pytest_py312.rollout.settings import RolloutSettings
from pytest_py312.rollout.targets.facts import Measuring
from pytest_py312.rollout.targets.protocol import Target, TargetError


def usage_rows(target: Target, settings: RolloutSettings, stages: Iterable[int]) -> list[Row]:
    """A row for each stage; nothing where the target always tells."""
    teller: object = target
    if not isinstance(teller, Measuring):
        return []
    try:
        unmeasured = teller.unmeasured()
    except TargetError as error:
        unmeasured = str(error)
    return [usage_row(unmeasured, settings.soak_of(stage=number).missing) for number in stages]


def tell_unmeasured(target: Target, settings: RolloutSettings, stage: int, told: Callable[[str], None]) -> None:
    """Say it, where samples of ``stage`` would not count for it."""
    for row in usage_rows(target, settings, [stage]):
        if row.needed and row.remedy:
            told(f"{row.detail}: {row.remedy}")
