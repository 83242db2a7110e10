"""What one invocation is about: the plan, the fleet, the target and the journal."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.repository.plan.rollout_tables import load_rollout
from pytest_py312.repository.services.discovery import discover
from pytest_py312.rollout.domain.deployment_plan import run_of
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.targets.target import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What a command stands on. ``target`` is connected when it is asked for."""

    plan: Plan
    state: Path
    target: Callable[[], Target]
    told: Callable[[str], None]
    found: Fleet | None = None
    """Where it is known already."""

    def settings(self) -> RolloutSettings:
        return load_rollout(self.plan.root / self.plan.source) if self.plan.source else RolloutSettings()

    def fleet(self) -> Fleet:
        return self.found or discover(self.plan)

    def paths(self) -> dict[str, str]:
        """Service -> where it lies."""
        return {one.name: one.path for one in self.fleet().services}


# ---- parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A run that is to be begun, and what :meth:`~pytest_py312.rollout.execution.driver.Driver.begin` has to know
    beside it.
    """

    run: StageRun
    earlier: tuple[int, ...]
    after: tuple[str, ...]
    keep: int


def wanted_of(
    ground: Ground, *, stage: int, environment: str, asked: Mapping[str, float], image_id: Callable[[str], str]
) -> Wanted:
    """A new run of ``stage``, with a name that no other has.

    :param asked: see :mod:`~pytest_py312.rollout.domain.soak_overrides`.
    :raises Py312Error: the plan cannot be deployed so.
    """
    settings = ground.settings()
    run = run_of(
        ground.plan,
        ground.fleet(),
        settings,
        stage=stage,
        environment=environment,
        name=f"{clock.now_text().replace(':', '').replace('-', '').lower()}-{secrets.token_hex(3)}",
        image_id=image_id,
        asked=asked,
    )
    return Wanted(
        run=run,
        earlier=tuple(one.number for one in ground.plan.stages if one.number < stage),
        after=settings.environment(environment).after,
        keep=settings.deploy.retain,
    )
