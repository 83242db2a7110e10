"""Notifications about changes of state."""

import json
from dataclasses import replace

import pytest

from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.reporting.notifications import notice_for_change, notice_for_storage
from tests.unit.rollout.runs import soaking


@pytest.mark.parametrize(
    ("state", "event", "text"),
    [
        (StageState.HELD, "held", "Stage 1 in test waits for a decision: user: latency: slow"),
        (
            StageState.ROLLING_BACK,
            "rolling_back",
            "Stage 1 in test is being rolled back to the previous version: user: latency: slow",
        ),
        (
            StageState.ROLLED_BACK,
            "rolled_back",
            "Stage 1 in test was rolled back to the previous version: user: latency: slow",
        ),
        (
            StageState.ROLLBACK_FAILED,
            "rollback_failed",
            "Stage 1 in test could not be rolled back: user: latency: slow",
        ),
        (StageState.ACCEPTED, "accepted", "Stage 1 in test is accepted on Python 3.12: user: latency: slow"),
    ],
)
def test_a_notification_has_event_and_text(state: StageState, event: str, text: str) -> None:
    after = replace(soaking(), state=state, reason="user: latency:\nslow")
    notice = notice_for_change(soaking(), after)
    assert notice is not None
    assert (notice.event, notice.text) == (event, text)
    assert json.loads(notice.document())["services"] == ["auth", "user", "gateway"]
    assert notice_for_change(after, after) is None, "notified once"


def test_other_changes_need_no_notification() -> None:
    assert notice_for_change(soaking(), replace(soaking(), state=StageState.SOAKED)) is None


def test_samples_that_are_not_stored_are_notified() -> None:
    lost, stored = notice_for_storage(soaking(), "the disk\nis full"), notice_for_storage(soaking(), "")
    assert (lost.event, lost.reason) == ("samples_not_stored", "the disk is full")
    assert lost.text == "Stage 1 in test earns no credit, its samples cannot be stored: the disk is full"
    assert (stored.event, stored.text) == ("samples_stored", "Stage 1 in test stores its samples again")


def test_a_partial_rollback_names_only_its_services() -> None:
    notice = notice_for_change(soaking(), replace(soaking(), state=StageState.ROLLING_BACK, scope=("user",)))
    assert notice is not None
    assert notice.services == ("user",)
