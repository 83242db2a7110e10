"""The context of one rollout command: the plan, the fleet, the target and the folder of the journal."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.repository.plan.rollout_tables import load_rollout_settings
from pytest_py312.repository.services.discovery import discover
from pytest_py312.rollout.domain.deployment_plan import create_run
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.targets.target import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutContext:
    """What a rollout command works with. ``target`` connects when it is called."""

    plan: Plan
    state_dir: Path
    target: Callable[[], Target]
    log: Callable[[str], None]
    discovered_fleet: Fleet | None = None
    """The fleet, if it has been discovered already."""

    def settings(self) -> RolloutSettings:
        return load_rollout_settings(self.plan.root / self.plan.source) if self.plan.source else RolloutSettings()

    def fleet(self) -> Fleet:
        return self.discovered_fleet or discover(self.plan)

    def service_paths(self) -> dict[str, str]:
        """Return the path of each service by its name."""
        return {service.name: service.path for service in self.fleet().services}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRollout:
    """A run that can be started, with what :meth:`~pytest_py312.rollout.execution.driver.Driver.begin` needs besides
    it.
    """

    run: StageRun
    earlier_stages: tuple[int, ...]
    prior_environments: tuple[str, ...]
    retain: int


def plan_rollout(
    context: RolloutContext,
    *,
    stage: int,
    environment: str,
    soak_overrides: Mapping[str, float],
    look_up_image_id: Callable[[str], str],
) -> PlannedRollout:
    """Plan a new run of ``stage`` under a unique name.

    :param soak_overrides: see :mod:`~pytest_py312.rollout.domain.soak_overrides`.
    :param look_up_image_id: returns the id of the image with a reference.
    :raises Py312Error: the plan does not allow this deployment.
    """
    settings = context.settings()
    run = create_run(
        context.plan,
        context.fleet(),
        settings,
        stage=stage,
        environment=environment,
        name=f"{clock.now_text().replace(':', '').replace('-', '').lower()}-{secrets.token_hex(3)}",
        look_up_image_id=look_up_image_id,
        soak_overrides=soak_overrides,
    )
    return PlannedRollout(
        run=run,
        earlier_stages=tuple(earlier.number for earlier in context.plan.stages if earlier.number < stage),
        prior_environments=settings.environment_settings(environment).after,
        retain=settings.deploy.retain,
    )
