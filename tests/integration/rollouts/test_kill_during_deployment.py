"""kill -9 during a deployment on a real engine: fourteen of thirty kills; ``kill_scenarios.py`` can run more."""

import pytest

from pytest_py312.rollout.domain.model import StageState
from tests.integration.rollouts.kill_scenarios import ROUNDS, deployment_kills

S = StageState


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_after_a_kill_all_services_are_old_or_all_are_new(images: dict[str, str]) -> None:
    """In half of the rounds the recovery is killed as well."""
    killed_states = deployment_kills(images, seed=1)
    assert len(killed_states) == ROUNDS
    assert {S.DEPLOYING, S.VERIFYING} <= {*killed_states}, "killed in every phase of the deployment"
    assert {None, S.PLANNED, S.LOCKED} & {*killed_states}, "and before anything was changed"
