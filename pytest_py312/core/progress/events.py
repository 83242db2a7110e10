"""What the stages of a run report while they work. Times are those of :func:`~pytest_py312.core.clock.stopwatch`."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPlanned:
    """It is known what is to be done."""

    items: Mapping[str, float]
    """All items of the run, with the seconds that they took in an earlier run; 0 for those that are not recorded."""
    parallel: int
    """How many are done at once."""
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivityStarted:
    """A worker has started something, perhaps inside of what it does already."""

    activity: str
    """Unique in the run."""
    worker: str
    what: str
    """``resolving``."""
    subject: str
    """``user-service 3.12``."""
    item: str = ""
    """The name of the item that it completes, if it does."""
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivityCounted:
    """How far an activity is. ``total`` is 0 as long as it is unknown."""

    activity: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivityEnded:
    """An activity is over, also if it has failed."""

    activity: str
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemsAnswered:
    """The results of some items are there without work, such as those of an earlier run."""

    items: tuple[str, ...]
    at: float


ProgressEvent = RunPlanned | ActivityStarted | ActivityCounted | ActivityEnded | ItemsAnswered
EVENT_TYPES: Mapping[str, type[ProgressEvent]] = {
    kind.__name__: kind for kind in (RunPlanned, ActivityStarted, ActivityCounted, ActivityEnded, ItemsAnswered)
}
