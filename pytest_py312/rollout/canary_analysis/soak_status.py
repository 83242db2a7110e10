"""Status of a soak: how much of it is left, and whether samples still arrive. Pure.

No process owns the schedule of a soak, so no process reports that it is not followed any more. The status therefore
shows how long there was no sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_py312.core.text import format_duration
from pytest_py312.rollout.canary_analysis.judge import slot_due
from pytest_py312.rollout.domain.measurements import Timestamp
from pytest_py312.rollout.domain.model import MONITORED, AcceptancePhase, StageRun, StageState

SILENT_INTERVALS = 2.0
"""Intervals without a sample after which sampling seems to have stopped."""
NewestSamples = Mapping[str, tuple[int, Timestamp]]
"""Slot and time of the newest sample by service, and under ``""`` slot 0, the start of the schedule.

See :meth:`~pytest_py312.rollout.domain.journal.Journal.newest_samples`.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoakStatus:
    """Status of a soak, in seconds. ``left`` is what is not credited yet: the soak lasts at least that much longer.

    ``next_in`` is the time to the next sample, 0.0 if one is due; ``None`` if sampling has ended.
    """

    left: float = 0.0
    last_sample: float | None = None
    """Time of the newest sample since the epoch; ``None``: there is none yet."""
    silent_for: float | None = None
    """Time since the newest sample, or since the schedule began; ``None`` if it has not begun or has ended."""
    next_in: float | None = None
    is_silent: bool = False
    """Whether there was no sample for so long that sampling seems to have stopped."""


def compute_soak_status(run: StageRun, newest: NewestSamples, now: Timestamp, interval: float) -> SoakStatus | None:
    """Return the status of a soak; ``None`` for a stage that is over, or not up yet."""
    if run.state not in MONITORED:
        return None
    remaining = max(0.0, run.soak - run.credited)
    start = newest[""][1] if "" in newest else None
    samples_taken = [newest_sample for name, newest_sample in newest.items() if name]
    if run.state is StageState.SOAKED or (run.state is StageState.HELD and not remaining):
        return SoakStatus(left=remaining, last_sample=max((at.wall for _, at in samples_taken), default=None))
    if start is None:
        return SoakStatus(left=remaining, next_in=0.0)
    slot, last_at = max(samples_taken, key=lambda one: one[0], default=(0, start))
    silence = now.elapsed_since(last_at)
    newest_due = slot_due(now, start, interval)
    to_next = 0.0 if newest_due > slot else (newest_due + 1) * interval - now.elapsed_since(start)
    return SoakStatus(
        left=remaining,
        last_sample=last_at.wall if samples_taken else None,
        silent_for=max(0.0, silence),
        next_in=max(0.0, to_next),
        is_silent=silence > SILENT_INTERVALS * interval,
    )


def describe_soak_status(status: SoakStatus, run: StageRun) -> str:
    """Describe the status in one sentence."""
    parts = [f"at least {format_duration(status.left)} left"] if status.left else []
    if status.next_in is None:
        parts.append("sampling has ended")
    elif status.silent_for is None:
        parts.append("not monitored yet")
    elif status.is_silent:
        parts.append(f"no sample for {format_duration(status.silent_for)}")
    else:
        parts.append(f"next sample in {format_duration(status.next_in)}" if status.next_in else "a sample is due")
    place = f"--stage {run.stage} --env {run.environment}"
    watch_command = f"`py312 watch {place}`"
    if run.state is StageState.HELD:
        parts.append(f"decide by `py312 promote|abort {place} --reason TEXT`")
    if run.state is StageState.SOAKED and (pending := run.pending_acceptance(AcceptancePhase.END)):
        parts.append(f"run {watch_command} for the acceptance tests {', '.join(pending)}")
    if status.next_in is not None and (status.is_silent or status.silent_for is None):
        parts.append(f"run {watch_command} to continue monitoring")
    return "; ".join(parts)


def format_credit(credited: float, soak: float) -> str:
    """Format how much of a soak is credited: ``17 min of 45.0 h``. The last sample may prove more than is needed."""
    return f"{format_duration(min(credited, soak))} of {format_duration(soak)}"
