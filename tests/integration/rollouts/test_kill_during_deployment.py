"""kill -9 while a stage goes up, on a real engine: fourteen of thirty moments. More of them: ``killing.py``."""

import pytest

from pytest_py312.rollout.domain.model import StageState
from tests.integration.rollouts.killing import ROUNDS, going_up

S = StageState


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_killed_while_it_goes_up_all_are_old_or_all_are_new(images: dict[str, str]) -> None:
    """The recovery is killed as well, in half of the rounds."""
    stood = going_up(images, seed=1)
    assert len(stood) == ROUNDS
    assert {S.DEPLOYING, S.VERIFYING} <= {*stood}, "killed in every phase of the way up"
    assert {None, S.PLANNED, S.LOCKED} & {*stood}, "and before anything was touched"
