"""Choose the engine on which the jobs of a service run: the freest of those that have their image.

All jobs of a service run on one engine, as what they are compared with ran there. If it is lost, its running jobs run
again on another one, and so do those that follow: only time is lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Event

from pytest_py312.core.process import ExitReason
from pytest_py312.runners.runner import ProbeJob, ProbeResult

MAX_REFUSALS = 3
"""Jobs in a row that an engine may refuse before it gets no further ones."""
CLOSING_INTERVAL = 0.5
"""Seconds between two checks whether the run was cancelled, while all engines are busy."""
_NOT_RUN = (ExitReason.NOT_STARTED, ExitReason.DISK_FULL)


class NotCopied(Exception):
    """What a job reads cannot be copied to an engine, for a reason on this machine."""


@dataclass(kw_only=True)
class Place:
    """An engine as a place for jobs.

    ``slots`` is the number of jobs in parallel, ``memory`` the bytes for all of them (0 for no limit). ``run`` runs a
    job in an image (an id), and ``has_image`` returns whether the engine has that one. ``run`` may raise
    :class:`NotCopied`.
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

    def takes(self, job: ProbeJob) -> bool:
        """Return whether the job could run here if nothing else did."""
        return not self.lost and (not self.memory or job.memory_limit <= self.memory)

    def has_room(self, job: ProbeJob) -> bool:
        used = sum(other.memory_limit for other in self.jobs)
        return len(self.jobs) < self.slots and (not self.memory or used + job.memory_limit <= self.memory)


class PlaceChooser:
    """Distributes services over places. ``own`` is the engine of the runner: it takes jobs of any size, and stays."""

    def __init__(self, own: Place, further: Sequence[Place], closing: Event) -> None:
        self._own = own
        self._places = (own, *further)
        self._closing = closing
        self._condition = Condition()
        self._by_service: dict[str, Place] = {}

    def run(self, image: str, job: ProbeJob, *, only_own: bool = False) -> ProbeResult:
        """Run a job where there is room, and again elsewhere if an engine is lost or cannot run it.

        ``only_own``: on the runner's own engine.
        """
        refused: list[Place] = [place for place in self._places if only_own and place is not self._own]
        result: ProbeResult | None = None
        while (place := self._take(image, job, refused)) is not None:
            try:
                result = place.run(image, job)
            except NotCopied:
                refused.append(place)
                continue
            finally:
                self._give_back(place, job)
            if not self._must_repeat(place, result):
                return result
            refused.append(place)
        return result or self._own.run(image, job)

    def _take(self, image: str, job: ProbeJob, refused: Sequence[Place]) -> Place | None:
        """Return the place for a job when it has room; ``None`` if there is none, or the run was cancelled."""
        possible = [place for place in self._places if place not in refused and place.has_image(image)]
        service = _service_of(job)
        with self._condition:
            while not self._closing.is_set():
                candidates = [place for place in possible if place.takes(job)]
                if not candidates:
                    return None
                usual = self._by_service.get(service)
                if usual in candidates:
                    candidates = [usual]
                free = [place for place in candidates if place.has_room(job)]
                if free:
                    place = min(free, key=lambda place: len(place.jobs) / place.slots)
                    if usual is None or usual.lost:
                        self._by_service[service] = place
                    place.jobs.append(job)
                    return place
                self._condition.wait(CLOSING_INTERVAL)
        return None

    def _give_back(self, place: Place, job: ProbeJob) -> None:
        with self._condition:
            place.jobs.remove(job)
            self._condition.notify_all()

    def _must_repeat(self, place: Place, result: ProbeResult) -> bool:
        """Return whether a result says nothing about the job because of where it ran."""
        is_lost = result.exit_reason is ExitReason.ENGINE_LOST
        if place is self._own:
            return is_lost
        with self._condition:
            if not is_lost and result.exit_reason not in _NOT_RUN:
                place.refusals = 0
                return False
            place.refusals += 1
            if is_lost or place.refusals >= MAX_REFUSALS:
                place.lost = result.failure
            return True

    def notes(self) -> list[str]:
        """Return sentences about engines that were lost."""
        return [
            f"The engine {place.name} was given up during the run, and its jobs ran elsewhere: {place.lost}."
            for place in self._places
            if place.lost
        ]


def _service_of(job: ProbeJob) -> str:
    return job.identifier.partition(f"-{job.build.interpreter.label}-")[0]
