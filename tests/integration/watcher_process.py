"""A watcher process for tests that kill it: `python -m tests.integration.watcher_process FOLDER MODE`.

It takes over the run, samples a service that answers at once, and prints each sample on stdout.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.process_identity import this_process
from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.measurements import Measurement, Result, Sample, Timestamp
from pytest_py312.rollout.domain.stop_signals import StopRequest, stop_loop_on_signals
from pytest_py312.rollout.monitoring.monitored_service import MonitoredService
from pytest_py312.rollout.monitoring.soak import SoakMonitor

SETTINGS = SoakSettings(interval=0.05, duration=3.0, initial_delay=0.0)


@dataclass(frozen=True)
class Answers:
    """A probe of a healthy service that takes a moment to answer."""

    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Timestamp) -> tuple[Measurement, ...]:
        await clock.async_pause(0.01)
        print(f"asked {before.slot if before else 0}", flush=True)
        return (Measurement(metric="availability", result=Result.SUCCESSFUL, value=1.0),)


async def watch(folder: Path, mode: str) -> int:
    """Return the exit code: 0 decided, 2 interrupted, 75 pending."""
    owner = str(this_process())
    journal = Journal(folder)
    journal.acquire("r1", owner=owner)
    watched = [MonitoredService(service="user", probes=(Answers(),), critical=True, settings=SETTINGS)]
    soak, stop = SoakMonitor(journal, "r1", watched, SETTINGS, owner=owner), StopRequest()
    with stop_loop_on_signals(stop):
        progress = await (soak.wait(stop) if mode == "wait" else soak.sample_once())
    journal.close()
    print(progress.run.state.value, progress.interrupted_by, flush=True)
    return 2 if progress.interrupted_by else 75 if progress.run.state.value == "soaking" else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(watch(Path(sys.argv[1]), sys.argv[2])))
