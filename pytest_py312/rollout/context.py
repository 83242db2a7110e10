"""The context of one rollout command: the plan, the fleet, the target and the folder of the journal."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.errors import Py312Error, RolloutRefused
from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.plan.rollout_settings import RolloutSettings
from pytest_py312.repository.plan.rollout_tables import load_rollout_settings
from pytest_py312.repository.services.discovery import discover
from pytest_py312.rollout.domain.deployment_plan import create_run, recorded_settings
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.preconditions import StartConditions
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
    plan_problem: str = ""
    """Why the plan cannot be used; ``plan`` is then the default. What was recorded at the deployment applies."""

    @property
    def has_journal(self) -> bool:
        """Whether anything was ever recorded: opening a journal creates it."""
        return (self.state_dir / JOURNAL_FILE).exists()

    def settings(self) -> RolloutSettings:
        """Return the settings of the plan; without a plan, those that the journal has recorded.

        :raises Py312Error: there are none.
        """
        if self.plan.source:
            return load_rollout_settings(self.plan.root / self.plan.source)
        runs = self._current_runs()
        if not runs and not self.plan_problem:
            return RolloutSettings()
        try:
            return recorded_settings(runs)
        except RolloutRefused as error:
            if not self.plan_problem:
                return RolloutSettings()
            raise RolloutRefused(f"{self.plan_problem}; {error}") from None

    def _current_runs(self) -> list[StageRun]:
        if not self.has_journal:
            return []
        with closing(Journal(self.state_dir)) as journal:
            return journal.current_runs()

    def fleet(self) -> Fleet:
        return self.discovered_fleet or discover(self.plan)

    def services(self) -> dict[str, Service]:
        """Return the services by their names."""
        return {service.name: service for service in self.fleet().services}

    def service_paths(self) -> dict[str, str]:
        """Return the path of each service by its name; none if the services cannot be read."""
        try:
            return {name: service.path for name, service in self.services().items()}
        except Py312Error:
            return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRollout:
    """A run that can be started, and what has to come first."""

    run: StageRun
    conditions: StartConditions


def plan_rollout(
    context: RolloutContext,
    *,
    stage: int,
    environment: str,
    look_up_image_id: Callable[[str], str],
    soak_overrides: Mapping[str, float] | None = None,
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
    conditions = StartConditions(
        earlier_stages=tuple(earlier.number for earlier in context.plan.stages if earlier.number < stage),
        prior_environments=settings.environment_settings(environment).after,
        retain=settings.deploy.retain,
    )
    return PlannedRollout(run=run, conditions=conditions)
