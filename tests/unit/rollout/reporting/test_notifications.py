"""Telling people."""

import json
from dataclasses import replace

import pytest

from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.reporting.notifications import notice_of
from tests.unit.rollout.runs import soaking


@pytest.mark.parametrize(
    ("state", "event", "text"),
    [
        (StageState.HELD, "held", "Stage 1 in test waits for a decision: user: latency: slow"),
        (
            StageState.ROLLING_BACK,
            "rolling_back",
            "Stage 1 in test goes back to the old version: user: latency: slow",
        ),
        (StageState.ROLLED_BACK, "rolled_back", "Stage 1 in test is back on the old version: user: latency: slow"),
        (
            StageState.ROLLBACK_FAILED,
            "rollback_failed",
            "Stage 1 in test could not be brought back: user: latency: slow",
        ),
        (StageState.ACCEPTED, "accepted", "Stage 1 in test is accepted on Python 3.12: user: latency: slow"),
    ],
)
def test_what_is_told_and_how(state: StageState, event: str, text: str) -> None:
    after = replace(soaking(), state=state, reason="user: latency:\nslow")
    notice = notice_of(soaking(), after)
    assert notice is not None
    assert (notice.event, notice.text) == (event, text)
    assert json.loads(notice.document())["services"] == ["auth", "user", "gateway"]
    assert notice_of(after, after) is None, "told once"


def test_what_goes_its_way_is_nobodys_business() -> None:
    assert notice_of(soaking(), replace(soaking(), state=StageState.SOAKED)) is None


def test_of_a_part_that_goes_back_only_that_is_named() -> None:
    notice = notice_of(soaking(), replace(soaking(), state=StageState.ROLLING_BACK, scope=("user",)))
    assert notice is not None
    assert notice.services == ("user",)
