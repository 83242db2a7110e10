"""A watcher in a process of its own, for tests that kill it: `python -m tests.integration.watcher_process FOLDER MODE`.

It takes the run over, samples a service that answers at once, and says each sample that was kept on its stdout.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.process_identity import this_process
from pytest_py312.repository.plan.rollout_settings import SoakSettings
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import Measurement, Moment, Result, Sample
from pytest_py312.rollout.domain.stop_signals import Stop, stopped_by_signals
from pytest_py312.rollout.monitoring.breaches import Watched
from pytest_py312.rollout.monitoring.soak import Soak

SETTINGS = SoakSettings(interval=0.05, duration=3.0, initial_delay=0.0)


@dataclass(frozen=True)
class Answers:
    """A service that is well, and takes a moment to say so."""

    repeatable: bool = True

    async def measure(self, before: Sample | None, now: Moment) -> tuple[Measurement, ...]:
        await clock.rest(0.01)
        print(f"asked {before.slot if before else 0}", flush=True)
        return (Measurement(metric="availability", result=Result.SUCCESSFUL, value=1.0),)


async def watch(folder: Path, mode: str) -> int:
    """0: decided; 2: interrupted; 75: come back."""
    owner = str(this_process())
    journal = Journal(folder)
    journal.take("r1", owner=owner)
    watched = [Watched(service="user", probes=(Answers(),), critical=True, settings=SETTINGS)]
    soak, stop = Soak(journal, "r1", watched, SETTINGS, owner=owner), Stop()
    with stopped_by_signals(stop):
        progress = await (soak.wait(stop) if mode == "wait" else soak.tick())
    journal.close()
    print(progress.run.state.value, progress.interrupted, flush=True)
    return 2 if progress.interrupted else 75 if progress.run.state.value == "soaking" else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(watch(Path(sys.argv[1]), sys.argv[2])))
