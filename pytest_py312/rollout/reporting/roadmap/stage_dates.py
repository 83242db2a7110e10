"""When a stage is planned in an environment, when it was really there, and whether it is late.

Planned dates are the plan's, actual ones the journal's. All days are in UTC, as the journal's times are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pytest_py312.core.model.plan import StageDates
from pytest_py312.core.text import pluralize
from pytest_py312.rollout.domain.journal import Journal
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.domain.run_history import JournalEntry, replay


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTiming:
    """What the journal says of a stage in an environment. Drills are no attempts."""

    attempts: int = 0
    started: date | None = None
    """The day of the first attempt."""
    accepted: date | None = None
    """The day on which it was accepted; ``None`` if it is not accepted now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageSchedule:
    """Planned and actual dates of a stage in an environment. ``earliest_end`` is that of a soak that is under way."""

    planned: StageDates
    timing: StageTiming
    earliest_end: date | None = None

    def late_days(self, today: date) -> int:
        """Return by how many days it is late, or will be at least; 0 if it is not, or has no planned date."""
        start, end = self.planned.start, self.planned.end
        if self.timing.accepted is not None:
            return max(0, (self.timing.accepted - end).days) if end else 0
        late_end = max(0, (max(today, self.earliest_end or today) - end).days) if end else 0
        late_start = max(0, (today - start).days) if start and self.timing.started is None else 0
        return max(late_end, late_start)

    @property
    def is_planned(self) -> bool:
        return bool(self.planned.start or self.planned.end)

    @property
    def end_text(self) -> str:
        """When it was accepted, or can be at the earliest; empty if nothing is known."""
        if self.timing.accepted:
            return self.timing.accepted.isoformat()
        return f"{self.earliest_end.isoformat()} at the earliest" if self.earliest_end else ""

    def late_text(self, today: date) -> str:
        """By how much it is late, in words: ``3 days, not started``; ``no`` if it is not, empty without a plan."""
        late = self.late_days(today)
        if not late:
            return "no" if self.is_planned else ""
        days = pluralize(late, "day")
        if self.timing.accepted is not None:
            return days
        if self.timing.started is None:
            return f"{days}, not started"
        end = self.planned.end
        return days if end and today > end else f"{days} at least"


def read_timing(journal: Journal, environment: str, stage: int) -> StageTiming:
    """Return what the journal has recorded of a stage in an environment."""
    begins: list[str] = []
    for name in journal.run_names(environment, stage):
        begun, run = journal.begun_and_initial_run(name)
        if not run.is_drill:
            begins.append(begun)
    if not begins:
        return StageTiming()
    current = journal.current_run(environment, stage)
    accepted = ""
    if current is not None and current.is_completed:
        _, initial = journal.begun_and_initial_run(current.run)
        accepted = accepted_at(initial, journal.history(current.run))
    return StageTiming(attempts=len(begins), started=day_of(begins[0]), accepted=day_of(accepted) if accepted else None)


def accepted_at(run: StageRun, entries: Sequence[JournalEntry]) -> str:
    """Return when a run was accepted, the last time; empty if it never was.

    :param run: the run as it began.
    """
    accepted = ""
    for entry, earlier, later in replay(run, entries):
        if later.state is StageState.ACCEPTED and earlier.state is not StageState.ACCEPTED:
            accepted = entry.at
    return accepted


def day_of(at: str) -> date:
    """Return the day, in UTC, of a time of the journal."""
    return datetime.fromisoformat(at).astimezone(UTC).date()


def earliest_end(seconds_left: float, now: float) -> date:
    """Return the day on which a soak of which ``seconds_left`` are not credited ends at the earliest.

    :param now: seconds since the epoch.
    """
    return (datetime.fromtimestamp(now, UTC) + timedelta(seconds=seconds_left)).date()
