"""Which targets can be connected."""

from pytest_py312.repository.plan.rollout_settings import TARGETS
from pytest_py312.rollout.execution.target_factory import CONNECTORS


def test_each_target_that_the_plan_accepts_can_be_connected() -> None:
    assert tuple(CONNECTORS) == TARGETS
