"""kill -9 while a stage is watched, accepted and rolled back, on a real engine: sixteen of thirty kills."""

import pytest

from pytest_py312.rollout.domain.model import StageState
from tests.integration.rollouts.kill_scenarios import ROUNDS, SOAK_ROUNDS, soak_kills

S = StageState


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_the_next_process_continues_without_loss(images: dict[str, str]) -> None:
    killed_states = soak_kills(images, seed=1)
    assert len(killed_states) == 4 * SOAK_ROUNDS
    assert len(killed_states) + ROUNDS == 30
    soaking, accepted, back = (
        {*killed_states[0::4], *killed_states[1::4]},
        {*killed_states[2::4]},
        {*killed_states[3::4]},
    )
    assert soaking == {S.SOAKING}
    assert accepted <= {S.SOAKING, S.SOAKED, S.ACCEPTED}
    assert S.ACCEPTED in accepted, "killed right after it was accepted"
    assert S.ROLLING_BACK in back, "killed during the rollback"
