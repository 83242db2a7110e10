"""A few rounds of ``python -m tests.kills``, which can do a hundred: kill -9 at a random moment, one command back."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.kills.__main__ import run_rounds, table
from tests.kills.rounds import RECOVER, ROLL_BACK, TYPICAL_LENGTHS, Condition, Operation, plan_round

SEED = 1
ROUNDS = [
    (Operation.DEPLOY, Condition.DISK_FULL, RECOVER, 0.7),
    (Operation.DRILL, Condition.PLAN_BROKEN, RECOVER, 0.85),
    (Operation.ROLLBACK, Condition.DISK_FULL, ROLL_BACK, 0.4),
]
"""What is killed under which condition, the command that brings it back, and the share of entries until then."""


def test_a_third_of_the_rounds_has_a_full_disk_and_a_third_a_broken_plan() -> None:
    rounds = [plan_round(number, seed=SEED) for number in range(96)]
    assert rounds == [plan_round(number, seed=SEED) for number in range(96)]
    counts = Counter((planned.operation, planned.condition) for planned in rounds)
    assert counts == {(operation, condition): 8 for operation in Operation for condition in Condition}
    assert {planned.command for planned in rounds} == {RECOVER, ROLL_BACK}


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_one_command_brings_everything_back(images: dict[str, str]) -> None:
    rounds = [
        replace(
            plan_round(number, seed=SEED), operation=operation, condition=condition, command=command, moment=moment,
            by_entries=True,
        )
        for number, (operation, condition, command, moment) in enumerate(ROUNDS)
    ]  # fmt: skip
    outcomes = run_rounds(rounds, images, parallel=len(rounds), lengths=TYPICAL_LENGTHS)
    assert [outcome.problem for outcome in outcomes] == [""] * len(rounds)
    assert all(outcome.was_killed for outcome in outcomes), table(outcomes)
