"""The state of a run that follows from its events: what is running, what is done, how much time is left. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.progress.events import (
    ActivityCounted,
    ActivityEnded,
    ActivityStarted,
    ItemsAnswered,
    ProgressEvent,
    RunPlanned,
)

MIN_RECORDED_SHARE = 0.5
"""Share of the remaining items that has to be recorded for an estimate of the time left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """Something that a worker does at this moment."""

    start: ActivityStarted
    done: int = 0
    total: int = 0

    def seconds(self, now: float) -> float:
        return max(0.0, now - self.start.at)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunProgress:
    """The progress of one run. ``activities`` are in the order in which they were started."""

    items: Mapping[str, float] = field(default_factory=dict)
    parallel: int = 1
    activities: Mapping[str, Activity] = field(default_factory=dict)
    done: frozenset[str] = frozenset()
    changed_at: float = 0.0
    """When an item was last completed."""

    def after(self, event: ProgressEvent) -> "RunProgress":
        """Return the progress after ``event``."""
        match event:
            case RunPlanned():
                return replace(self, items=event.items, parallel=max(1, event.parallel), changed_at=event.at)
            case ActivityStarted():
                return replace(self, activities={**self.activities, event.activity: Activity(start=event)})
            case ActivityCounted():
                return self._counted(event)
            case ActivityEnded():
                return self._without(event)
            case ItemsAnswered():
                return self._with_done(event.items, event.at)

    def _counted(self, event: ActivityCounted) -> "RunProgress":
        activity = self.activities.get(event.activity)
        if activity is None:
            return self
        counted = replace(activity, done=event.done, total=event.total)
        return replace(self, activities={**self.activities, event.activity: counted})

    def _without(self, event: ActivityEnded) -> "RunProgress":
        activity = self.activities.get(event.activity)
        if activity is None:
            return self
        remaining = {name: other for name, other in self.activities.items() if name != event.activity}
        item = activity.start.item
        return replace(self, activities=remaining)._with_done((item,) if item else (), event.at)

    def _with_done(self, items: Sequence[str], at: float) -> "RunProgress":
        return self if self.done.issuperset(items) else replace(self, done=self.done.union(items), changed_at=at)

    @property
    def items_done(self) -> int:
        return len(self.done.intersection(self.items))

    def seconds_left(self, now: float) -> float | None:
        """Return about how many seconds are left, by what is recorded of the items that are; ``None`` if it is unknown.

        It is estimated again whenever an item is completed, and counted down in between.
        """
        left = [seconds for item, seconds in self.items.items() if item not in self.done]
        recorded = [seconds for seconds in left if seconds]
        if not recorded or len(recorded) < len(left) * MIN_RECORDED_SHARE:
            return None
        # those that are not recorded count as the average ones
        total = sum(recorded) * len(left) / len(recorded)
        remaining = max(total / self.parallel, *recorded) - (now - self.changed_at)
        return remaining if remaining >= 1 else None

    def innermost(self) -> tuple[Activity, ...]:
        """Return what each worker does at this moment, without what it is a part of; the oldest first."""
        by_worker = {activity.start.worker: activity for activity in self.activities.values()}
        return tuple(sorted(by_worker.values(), key=lambda activity: activity.start.at))

    def is_inside_another(self, activity: Activity) -> bool:
        """Return whether the worker of ``activity`` has started something else before, which is still going on."""
        start = activity.start
        return any(
            other.start.worker == start.worker and other.start.activity != start.activity and other.start.at <= start.at
            for other in self.activities.values()
        )
