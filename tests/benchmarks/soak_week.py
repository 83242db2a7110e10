"""Cost of a long soak: journal size, the time of reading it, and memory and time of a watcher.

    python tests/benchmarks/soak_week.py [--services 20] [--interval 10] [--days 7]

Samples are those of a service over HTTP with all measurements of an engine: twelve of them.
"""

import argparse
import asyncio
import resource
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.domain.events import Locked
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal, current_timestamp
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.next_act import next_act
from pytest_py312.rollout.live.live_view import build_view
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.soak import SoakMonitor
from pytest_py312.rollout.reporting.evidence import build_evidence
from tests.unit.rollout.runs import planned, success

OWNER = "me"
BATCH = 200
"""Slots per transaction; a watcher uses one transaction per slot."""


def measurements(slot: int) -> tuple[Measurement, ...]:
    """Return measurements that differ from sample to sample, as real ones do."""
    values = {
        "availability": 1.0, "latency": 0.0312 + slot % 97 / 1e4, "drift": None, "memory": 2.1e8 + slot % 1013,
        "restarts": 0.0, "out of memory": 0.0, "cpu": 0.131 + slot % 89 / 1e4, "exceptions": 0.0, "log errors": 0.0,
        "log warnings": float(slot % 3), "deprecations": 0.0, "cpu seconds": slot * 1.31, "restart count": 0.0,
    }  # fmt: skip
    return tuple(Measurement(metric=name, result=Result.SUCCESSFUL, value=value) for name, value in values.items())


def samples(services: Sequence[str], slots: range, start: Timestamp, interval: float) -> Iterator[Sample]:
    for slot in slots:
        passed = slot * interval
        at = Timestamp(wall=start.wall + passed, boottime=start.boottime + passed, boot=start.boot)
        measured = () if slot == 0 else measurements(slot)
        for name in services:
            yield Sample(service=name, slot=slot, at=at, measurements=measured)


@dataclass(frozen=True)
class AlwaysHealthy:
    """A probe that succeeds at once."""

    repeatable: bool = False

    async def measure(self, before: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        return measurements(before.slot + 1 if before else 1)


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--interval", type=float, default=10.0)
    parser.add_argument("--days", type=float, default=7.0)
    options = parser.parse_args()
    services = [f"service-{number}" for number in range(options.services)]
    duration = options.days * 86400
    slots = round(duration / options.interval)
    now = current_timestamp()
    start = Timestamp(wall=now.wall - duration, boottime=now.boottime - duration, boot=now.boot)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        run = planned(*services, soak=2 * duration)
        journal.begin(run, owner=OWNER)
        run = journal.record(run.run, Locked(), owner=OWNER)
        while (intent := next_act(run)) is not None:
            run = journal.record(run.run, success(intent), owner=OWNER)
        begun = clock.stopwatch()
        for first in range(0, slots, BATCH):
            several = range(first, min(first + BATCH, slots))
            journal.add_samples("r1", samples(services, several, start, options.interval), owner=OWNER)
        print(f"{slots * len(services)} samples written in {clock.stopwatch() - begun:.1f} s")
        size = sum(path.stat().st_size for path in Path(folder).iterdir() if path.name.startswith(JOURNAL_FILE))
        print(f"journal {size / 2**20:.0f} MiB, {size / slots / len(services):.0f} bytes a sample")
        begun = clock.stopwatch()
        journal.current_runs("test")
        journal.newest_samples("r1")
        print(f"the look of `status`: {(clock.stopwatch() - begun) * 1000:.1f} ms; memory so far {peak():.0f} MiB")
        settings = SoakSettings(interval=options.interval, duration=2 * duration, initial_delay=0.0)
        watched = [MonitoredService(service=name, probes=(AlwaysHealthy(),), settings=settings) for name in services]
        begun = clock.stopwatch()
        soak = SoakMonitor(journal, "r1", watched, settings, owner=OWNER)
        asyncio.run(soak.sample_once())
        print(f"taken up again in {clock.stopwatch() - begun:.1f} s; memory at most {peak():.0f} MiB")
        begun, count = clock.stopwatch(), 20
        for number in range(count):
            asyncio.run(soak._take_samples(slots + 1 + number))
        print(f"a sample of all services: {(clock.stopwatch() - begun) / count * 1000:.1f} ms")
        begun = clock.stopwatch()
        view = build_view(soak.snapshot(), soak.credited, soak.metrics_by_service, journal.history("r1"))
        print(f"what a page shows: {(clock.stopwatch() - begun) * 1000:.1f} ms ({len(view.services)} services)")
        begun = clock.stopwatch()
        damage = journal.find_damage()
        print(f"the journal read from end to end: {clock.stopwatch() - begun:.1f} s ({len(damage)} troubles)")
        begun = clock.stopwatch()
        evidence = build_evidence(journal, "test", 1, intervals={"r1": options.interval})
        print(
            f"evidence in {clock.stopwatch() - begun:.1f} s ({len(evidence['runs'])} run); "
            f"memory at most {peak():.0f} MiB"
        )
        journal.close()


if __name__ == "__main__":
    main()
