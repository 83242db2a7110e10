"""kill -9 while a stage is watched, is accepted and comes back, on a real engine: sixteen of thirty moments."""

import pytest

from pytest_py312.rollout.domain.model import StageState
from tests.integration.rollouts.killing import ROUNDS, WATCHED_ROUNDS, watched

S = StageState


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_whoever_is_killed_is_followed_by_the_next_who_loses_nothing(images: dict[str, str]) -> None:
    stood = watched(images, seed=1)
    assert len(stood) == 4 * WATCHED_ROUNDS
    assert len(stood) + ROUNDS == 30
    soaking, accepted, back = {*stood[0::4], *stood[1::4]}, {*stood[2::4]}, {*stood[3::4]}
    assert soaking == {S.SOAKING}
    assert accepted <= {S.SOAKING, S.SOAKED, S.ACCEPTED}
    assert S.ACCEPTED in accepted, "killed right after it was accepted"
    assert S.ROLLING_BACK in back, "killed half way back"
