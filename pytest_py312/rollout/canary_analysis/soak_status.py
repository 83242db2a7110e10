"""How a stage stands that is up and watched: how much of its soak is left, and whether anybody samples it. Pure.

A soak is a schedule that no process owns, so nobody notices by himself that it is no longer followed: whoever looks is
told how long there was no sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_py312.rollout.canary_analysis.judge import slot_due
from pytest_py312.rollout.domain.model import Moment, StageRun, StageState
from pytest_py312.rollout.domain.state_machine import WATCHED

SILENT = 2.0
"""Intervals without a sample after which nobody seems to take them."""
Newest = Mapping[str, tuple[int, Moment]]
"""As :meth:`~pytest_py312.rollout.domain.journal.Journal.newest_samples` tells it: by service, and the beginning of the
schedule under ``""``.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """All in seconds. ``left`` is what is not credited yet, and so the least that the soak lasts.

    ``next_in`` is until the next sample is due, 0.0 where one is; ``None`` where no more are taken.
    """

    left: float = 0.0
    last_sample: float | None = None
    """Since the epoch; ``None``: there was none yet."""
    silent_for: float | None = None
    """Since the newest sample, or since the schedule began; ``None`` where it has not begun."""
    next_in: float | None = None
    is_silent: bool = False
    """Whether there was no sample for so long that nobody seems to take them."""


def standing_of(run: StageRun, newest: Newest, now: Moment, interval: float) -> Standing | None:
    """``None`` for a stage that nobody has to watch: it is over, or not up yet."""
    if run.state not in WATCHED:
        return None
    left = max(0.0, run.soak - run.credited)
    start = newest[""][1] if "" in newest else None
    taken = [found for name, found in newest.items() if name]
    if run.state is StageState.SOAKED or (run.state is StageState.HELD and not left):
        return Standing(left=left, last_sample=max((at.wall for _, at in taken), default=None))
    if start is None:
        return Standing(left=left, next_in=0.0)
    slot, last = max(taken, key=lambda one: one[0], default=(0, start))
    silent = _passed(last, now)
    due = slot_due(now, start, interval)
    to_next = 0.0 if due > slot else (due + 1) * interval - _passed(start, now)
    return Standing(
        left=left,
        last_sample=last.wall if taken else None,
        silent_for=max(0.0, silent),
        next_in=max(0.0, to_next),
        is_silent=silent > SILENT * interval,
    )


def _passed(earlier: Moment, now: Moment) -> float:
    since = now.since(earlier)
    return now.wall - earlier.wall if since is None else since


def in_words(standing: Standing, run: StageRun) -> str:
    """One sentence for people."""
    told = [f"{spelled(standing.left)} left, at the least"] if standing.left else []
    if standing.next_in is None:
        told.append("no more samples are taken")
    elif standing.silent_for is None:
        told.append("nobody has watched it yet")
    elif standing.is_silent:
        told.append(f"no sample for {spelled(standing.silent_for)}")
    else:
        told.append(f"next sample in {spelled(standing.next_in)}" if standing.next_in else "a sample is due")
    if standing.next_in is not None and (standing.is_silent or standing.silent_for is None):
        told.append(f"`py312 watch --stage {run.stage} --env {run.environment}` goes on with it")
    return "; ".join(told)


def spelled(seconds: float) -> str:
    """``40 s``, ``17 min``, ``45.0 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
