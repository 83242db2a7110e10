"""What is running, what is done and how much time is left follow from the events alone."""

from pytest_py312.core.progress.events import (
    ActivityCounted,
    ActivityEnded,
    ActivityStarted,
    ItemsAnswered,
    ProgressEvent,
    RunPlanned,
)
from pytest_py312.core.progress.state import RunProgress


def started(name: str, *, worker: str = "1", at: float = 0.0, item: str = "") -> ActivityStarted:
    return ActivityStarted(activity=name, worker=worker, what="resolving", subject=name, item=item, at=at)


def after(*events: ProgressEvent) -> RunProgress:
    progress = RunProgress()
    for event in events:
        progress = progress.after(event)
    return progress


def running(progress: RunProgress) -> list[str]:
    return [activity.start.subject for activity in progress.innermost()]


def test_each_worker_shows_what_it_does_innermost() -> None:
    events = [
        started("item", at=1.0),
        started("lock", at=2.0),
        started("suite", worker="2", at=1.5),
    ]
    assert running(after(*events)) == ["suite", "lock"]
    assert running(after(*events, ActivityEnded(activity="lock", at=3.0))) == ["item", "suite"]


def test_an_item_is_done_when_its_activity_ends_and_counts_once() -> None:
    plan = RunPlanned(items={"a": 0.0, "b": 0.0}, parallel=2, at=0.0)
    begun = after(plan, started("1", item="a"))
    assert begun.items_done == 0
    ended = begun.after(ActivityEnded(activity="1", at=1.0))
    assert ended.items_done == 1
    assert ended.after(ItemsAnswered(items=("a",), at=2.0)).items_done == 1
    assert ended.after(ItemsAnswered(items=("b", "of another run"), at=2.0)).items_done == 2


def test_counts_belong_to_their_activity() -> None:
    progress = after(started("suite"), ActivityCounted(activity="suite", done=3, total=9))
    assert [(activity.done, activity.total) for activity in progress.innermost()] == [(3, 9)]
    late = progress.after(ActivityEnded(activity="suite", at=1.0)).after(
        ActivityCounted(activity="suite", done=4, total=9)
    )
    assert late.innermost() == ()


def test_an_activity_that_has_ended_already_changes_nothing() -> None:
    progress = after(started("a"))
    assert progress.after(ActivityEnded(activity="unknown", at=1.0)) == progress


def test_the_time_left_is_what_is_recorded_divided_among_the_workers() -> None:
    progress = after(RunPlanned(items={"a": 20.0, "b": 20.0, "c": 20.0}, parallel=2, at=100.0))
    assert progress.seconds_left(100.0) == 30.0
    assert progress.seconds_left(110.0) == 20.0  # counted down until the next item is done
    assert progress.after(ItemsAnswered(items=("a",), at=110.0)).seconds_left(110.0) == 20.0


def test_one_long_item_is_not_divided() -> None:
    progress = after(RunPlanned(items={"a": 100.0, "b": 1.0}, parallel=8, at=0.0))
    assert progress.seconds_left(0.0) == 100.0


def test_items_that_are_not_recorded_count_as_the_average_ones() -> None:
    assert after(RunPlanned(items={"a": 10.0, "b": 0.0}, parallel=1, at=0.0)).seconds_left(0.0) == 20.0


def test_no_time_is_left_if_too_little_is_recorded_or_it_is_over() -> None:
    assert after(RunPlanned(items={"a": 10.0, "b": 0.0, "c": 0.0}, parallel=1, at=0.0)).seconds_left(0.0) is None
    assert after(RunPlanned(items={"a": 10.0}, parallel=1, at=0.0)).seconds_left(60.0) is None
    assert RunProgress().seconds_left(0.0) is None


def test_an_activity_inside_of_another_of_its_worker() -> None:
    progress = after(started("item", at=1.0), started("lock", at=2.0), started("other", worker="2", at=0.0))
    inside = {name: progress.is_inside_another(activity) for name, activity in progress.activities.items()}
    assert inside == {"item": False, "lock": True, "other": False}
