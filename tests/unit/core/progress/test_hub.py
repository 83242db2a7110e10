"""Stages report to one hub; without a listener that does nothing."""

import threading

import pytest

from pytest_py312.core.progress.events import (
    ActivityCounted,
    ActivityEnded,
    ActivityStarted,
    ItemsAnswered,
    ProgressEvent,
    RunPlanned,
)
from pytest_py312.core.progress.hub import ProgressHub


@pytest.fixture
def hub() -> ProgressHub:
    return ProgressHub()


def test_an_activity_begins_and_ends_also_if_it_fails(hub: ProgressHub) -> None:
    events: list[ProgressEvent] = []
    with (
        hub.listening(events.append),
        pytest.raises(ValueError, match="no"),
        hub.activity("resolving", "user-service 3.12", item="a"),
    ):
        raise ValueError("no")
    start, end = events
    assert isinstance(start, ActivityStarted)
    assert (start.what, start.subject, start.item) == ("resolving", "user-service 3.12", "a")
    assert isinstance(end, ActivityEnded)
    assert end.activity == start.activity


def test_an_activity_without_a_subject_has_that_of_the_one_around_it(hub: ProgressHub) -> None:
    events: list[ProgressEvent] = []
    with hub.listening(events.append), hub.activity("resolving", "user-service 3.12"), hub.activity("building"):
        pass
    subjects = [event.subject for event in events if isinstance(event, ActivityStarted)]
    assert subjects == ["user-service 3.12", "user-service 3.12"]


def test_threads_are_different_workers(hub: ProgressHub) -> None:
    events: list[ProgressEvent] = []

    def work() -> None:
        with hub.activity("building"):
            pass

    with hub.listening(events.append), hub.activity("resolving", "user-service 3.12"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    outer, inner = (event for event in events if isinstance(event, ActivityStarted))
    assert outer.worker != inner.worker
    assert inner.subject == ""


def test_nothing_is_reported_to_one_who_listens_no_more(hub: ProgressHub) -> None:
    events: list[ProgressEvent] = []
    with hub.listening(events.append):
        hub.answer(["a"])
        hub.plan({"a": 1.0}, parallel=2)
    hub.answer(["b"])
    hub.plan({}, parallel=1)
    with hub.activity("resolving"), hub.counting(lambda: (1, 1)):
        hub.poll_counters()
    assert [type(event) for event in events] == [ItemsAnswered, RunPlanned]


def test_a_counter_is_asked_while_its_activity_goes_on(hub: ProgressHub) -> None:
    events: list[ProgressEvent] = []
    counts = iter([(0, 0), (2, 5)])
    with hub.listening(events.append), hub.activity("suite"):
        with hub.counting(lambda: next(counts)):
            hub.poll_counters()  # nothing to count yet
            hub.poll_counters()
        hub.poll_counters()
    start = events[0]
    assert isinstance(start, ActivityStarted)
    assert [event for event in events if isinstance(event, ActivityCounted)] == [
        ActivityCounted(activity=start.activity, done=2, total=5)
    ]
