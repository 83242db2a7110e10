"""Each event of a rollout says something in a timeline."""

import pytest

from pytest_py312.rollout.domain.events import (
    EVENT_TYPES,
    ControlStarted,
    Decided,
    Observed,
    RollbackRequested,
    SoakCredited,
)
from pytest_py312.rollout.domain.model import Act, Intent
from pytest_py312.rollout.domain.run_history import JournalEntry
from pytest_py312.rollout.reporting import event_texts
from pytest_py312.rollout.reporting.event_texts import describe_event, timeline_of
from tests.unit.rollout.runs import soaking


def test_no_event_is_without_a_text() -> None:
    assert set(event_texts._TEXTS) == set(EVENT_TYPES.values())


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Observed(service="auth", old=None), "auth: nothing served before"),
        (ControlStarted(service="auth", control=None, reason="no room"), "auth: no control was started: no room"),
        (Decided(accept=True, by="ann", reason="fine"), "accepted by ann: fine"),
        (Decided(accept=False, by="ann", reason="slow"), "rollback decided by ann: slow"),
        (RollbackRequested(reason="slow", services=("a", "b")), "rollback of a, b requested: slow"),
    ],
)
def test_a_text_names_what_and_who(event: object, text: str) -> None:
    assert describe_event(event, soaking()) == text


def test_intents_are_left_out_and_credits_in_a_row_are_one_line() -> None:
    entries = [
        JournalEntry(at="t1", content=SoakCredited(seconds=1.0)),
        JournalEntry(at="t2", content=SoakCredited(seconds=2.0)),
        JournalEntry(at="t3", content="a note"),
        JournalEntry(at="t4", content=Intent(act=Act.OBSERVE, service="auth")),
        JournalEntry(at="t5", content=SoakCredited(seconds=3.0)),
    ]
    lines = timeline_of(soaking(), entries)
    assert [line.at for line in lines] == ["t2", "t3", "t5"]
    assert lines[1].text == "a note"
