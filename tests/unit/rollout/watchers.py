"""Clocks that jump instead of waiting, and a fake probe with prepared measurements."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.domain.events import Locked
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.model import StageRun
from pytest_py312.rollout.domain.next_act import next_act
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.probes import AVAILABILITY
from pytest_py312.rollout.monitoring.soak import SoakMonitor
from tests.unit.rollout.runs import planned, success

ME = "boot/ns/0/1/1"
SETTINGS = SoakSettings(interval=300.0, duration=3600.0, initial_delay=60.0)
LETTERS = {"s": Result.SUCCESSFUL, "f": Result.FAILED, "i": Result.INCONCLUSIVE, "e": Result.ERROR}


@dataclass
class Clock:
    """Rests take no time; ``wall_ahead`` is by how much the date was set wrong."""

    seconds: float = 1000.0
    boot: str = "b"
    wall_ahead: float = 0.0

    def now(self) -> Timestamp:
        return Timestamp(wall=1e9 + self.seconds + self.wall_ahead, boottime=self.seconds, boot=self.boot)

    async def rest(self, seconds: float) -> None:
        until = self.seconds + seconds
        await asyncio.sleep(0)  # others that rest as well begin now
        self.seconds = max(self.seconds, until)


Answer = Callable[[float, int], Sequence[Measurement]]
"""(seconds of the clock, how often it was asked at that sample before) -> measurements."""


def available(letters: str, *, metric: str = AVAILABILITY) -> Callable[[float, int], Sequence[Measurement]]:
    """Return an answer with the next letter for each call; after the last one all is well."""
    left = list(letters)

    def answer(seconds: float, again: int) -> Sequence[Measurement]:
        return [Measurement(metric=metric, result=LETTERS[left.pop(0) if left else "s"])]

    return answer


@dataclass
class FakeProbe:
    """Answers with ``answer``, and records how often it is called."""

    clock: Clock
    answer: Answer = field(default_factory=lambda: available(""))
    repeatable: bool = True
    asked: list[float] = field(default_factory=list)
    before: list[Sample | None] = field(default_factory=list)

    async def measure(self, before: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        again = sum(1 for at in self.asked if at >= now.boottime)
        self.asked.append(self.clock.seconds)
        self.before.append(before)
        return tuple(self.answer(self.clock.seconds, again))


@dataclass
class MonitoredStage:
    """A stage of one service (or more) in its soak, with a journal of its own and a clock of its own."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    settings: SoakSettings = SETTINGS
    services: tuple[str, ...] = ("user",)
    changes: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder)
        run = planned(*self.services, soak=self.settings.duration)
        self.journal.begin(run, owner=ME)
        run = self.journal.record(run.run, Locked(), owner=ME)
        while (intent := next_act(run)) is not None:
            run = self.journal.record(run.run, success(intent), owner=ME)

    def watched(self, probe: FakeProbe, service: str = "user", **changes: Any) -> MonitoredService:
        made = MonitoredService(service=service, probes=(probe,), settings=self.settings, critical=True)
        return replace(made, **changes)

    def soak(self, *watched: MonitoredService, owner: str = ME) -> SoakMonitor:
        async def changed(before: StageRun, after: StageRun) -> None:
            self.changes.append((before.state.value, after.state.value))

        return SoakMonitor(
            self.journal, "r1", watched, self.settings, owner=owner, on_state_change=changed, now=self.clock.now,
            sleep=self.clock.rest,
        )  # fmt: skip

    @property
    def run(self) -> StageRun:
        return self.journal.load_run("r1")

    def samples(self, service: str = "user") -> list[Sample]:
        return self.journal.samples("r1", service)
