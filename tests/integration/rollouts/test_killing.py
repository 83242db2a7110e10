"""kill -9 at random moments of a deployment, on a real engine. More rounds: ``killing.py`` beside this file."""

import random

import pytest

from tests.integration.rollouts.killing import one_round
from tests.integration.rollouts.services import Place


@pytest.mark.docker
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_killed_at_a_random_moment_all_are_old_or_all_are_new(here: Place, seed: int) -> None:
    """The recovery is killed as well, in half of the rounds."""
    assert one_round(here, random.Random(seed), broken=seed == 5) in ("old", "new")
