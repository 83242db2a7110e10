"""Choose the engine on which a job runs: the freest of those that have its image.

An engine that no longer answers gets no further jobs, and its running jobs run again elsewhere: only time is lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Event

from pytest_py312.core.process import ExitReason
from pytest_py312.runners.runner import ProbeJob, ProbeResult

MAX_REFUSALS = 3
"""Jobs that an engine may refuse before it gets no further ones."""
CLOSING_INTERVAL = 0.5
"""Seconds between two checks whether the run was cancelled, while all engines are busy."""
_NOT_RUN = (ExitReason.NOT_STARTED, ExitReason.DISK_FULL)


@dataclass(kw_only=True)
class Place:
    """An engine as a place for jobs.

    ``slots`` is the number of jobs in parallel, ``memory`` the bytes for all of them (0 for no limit). ``run`` runs a
    job in an image (an id), and ``has_image`` returns whether the engine has that one.
    """

    name: str
    slots: int
    run: Callable[[str, ProbeJob], ProbeResult]
    has_image: Callable[[str], bool] = lambda image: True
    memory: int = 0
    lost: str = ""
    """Why it gets no further jobs."""
    jobs: list[ProbeJob] = field(default_factory=list)
    refusals: int = 0
    lacks_images: bool = False
    """Whether a job could not run here as its image is missing."""

    def takes(self, job: ProbeJob) -> bool:
        """Return whether the job could run here if nothing else did."""
        return not self.lost and (not self.memory or job.memory_limit <= self.memory)

    def has_room(self, job: ProbeJob) -> bool:
        used = sum(other.memory_limit for other in self.jobs)
        return len(self.jobs) < self.slots and (not self.memory or used + job.memory_limit <= self.memory)


class PlaceChooser:
    """Distributes jobs over places. ``own`` is the engine of the runner: it takes jobs of any size."""

    def __init__(self, own: Place, further: Sequence[Place], closing: Event) -> None:
        self._own = own
        self._places = (own, *further)
        self._closing = closing
        self._condition = Condition()

    def run(self, image: str, job: ProbeJob) -> ProbeResult:
        """Run a job where there is room, and again elsewhere if an engine is lost or cannot run it."""
        tried: list[Place] = []
        result: ProbeResult | None = None
        while (place := self._take(image, job, tried)) is not None:
            try:
                result = place.run(image, job)
            finally:
                self._give_back(place, job)
            if not self._must_repeat(place, result):
                return result
            tried.append(place)
        return result or self._own.run(image, job)

    def _take(self, image: str, job: ProbeJob, tried: Sequence[Place]) -> Place | None:
        """Return the place for a job when one has room; ``None`` if there is none, or the run was cancelled."""
        with_image = [place for place in self._places if place not in tried and self._has_image(place, image)]
        with self._condition:
            while not self._closing.is_set():
                candidates = [place for place in with_image if place.takes(job)]
                if not candidates:
                    return None
                free = [place for place in candidates if place.has_room(job)]
                if free:
                    place = min(free, key=lambda place: len(place.jobs) / place.slots)
                    place.jobs.append(job)
                    return place
                self._condition.wait(CLOSING_INTERVAL)
        return None

    def _has_image(self, place: Place, image: str) -> bool:
        has_image = not place.lost and place.has_image(image)
        place.lacks_images |= not has_image and not place.lost
        return has_image

    def _give_back(self, place: Place, job: ProbeJob) -> None:
        with self._condition:
            place.jobs.remove(job)
            self._condition.notify_all()

    def _must_repeat(self, place: Place, result: ProbeResult) -> bool:
        """Return whether a job says nothing about its code because of where it ran."""
        with self._condition:
            if result.exit_reason is ExitReason.ENGINE_LOST:
                place.lost = result.failure
                return True
            if place is self._own or result.exit_reason not in _NOT_RUN:
                return False
            place.refusals += 1
            if place.refusals >= MAX_REFUSALS:
                place.lost = result.failure
            return True

    def notes(self) -> list[str]:
        """Return sentences about engines that could not do their part."""
        notes = []
        for place in self._places:
            if place.lost:
                notes.append(
                    f"The engine {place.name} was given up during the run, and its jobs ran elsewhere: {place.lost}."
                )
            elif place.lacks_images:
                notes.append(
                    f"The engine {place.name} does not have all images of this run (by their ids), so some jobs could "
                    "not run there. Load the same images there."
                )
        return notes
