"""The roadmap as one page that needs nothing else: no script, no other file. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pytest_py312.core.html_page import render_page
from pytest_py312.rollout.reporting.roadmap.roadmap import Roadmap
from pytest_py312.rollout.reporting.roadmap.roadmap_formats import (
    DATE_TITLES,
    LEFTOVER_TITLES,
    benchmark_sentences,
    benchmark_summary,
    blocker_sentences,
    date_rows,
    leftover_rows,
    leftover_summary,
    service_readiness,
)
from pytest_py312.rollout.reporting.roadmap.stage_dates import StageSchedule

PAGE_FOLDER = Path(__file__).parent / "page"
_WIDTH = 1000
"""Units of the width of the timeline."""
_MAX_PLACES = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A bar of the timeline: its left end and its width, in units."""

    x: float
    width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineRow:
    """A stage in an environment: texts in the order of :data:`DATE_TITLES`, and its bars."""

    cells: tuple[str, ...]
    planned: Span | None
    actual: Span | None
    is_late: bool
    is_accepted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """All stages with dates, on a scale from ``first`` to ``last``; ``today`` is a place on it."""

    first: date
    last: date
    today: float
    rows: tuple[TimelineRow, ...]


def format_html(roadmap: Roadmap) -> str:
    """Return the page."""
    phase = roadmap.last_phase
    return render_page(
        PAGE_FOLDER / "roadmap.html.j2",
        PAGE_FOLDER / "roadmap.css",
        roadmap=roadmap,
        steps=[(name, roadmap.accepted(name), roadmap.next_step(name)) for name in roadmap.environments],
        statuses={stage.stage.number: roadmap.shown_statuses(stage) for stage in roadmap.stages},
        blockers={stage.stage.number: blocker_sentences(stage) for stage in roadmap.stages},
        gate={
            service.name: service_readiness(roadmap, service) for stage in roadmap.stages for service in stage.services
        },
        timeline=build_timeline(roadmap),
        timeline_width=_WIDTH,
        date_titles=DATE_TITLES,
        leftover_titles=LEFTOVER_TITLES,
        leftovers=leftover_rows(phase),
        leftover_summary=leftover_summary(phase).replace("`", ""),
        places=phase.needless_places[:_MAX_PLACES],
        benchmark_summary=benchmark_summary(phase).replace("`", ""),
        benchmarks=benchmark_sentences(phase),
    )


def build_timeline(roadmap: Roadmap) -> Timeline | None:
    """Return the timeline; ``None`` if there is no date."""
    rows = date_rows(roadmap)
    days = [day for schedule, _ in rows for day in _days(schedule)]
    if not days:
        return None
    scale = _Scale(first=min([*days, roadmap.today]), last=max([*days, roadmap.today]))
    return Timeline(
        first=scale.first,
        last=scale.last,
        today=scale.place(roadmap.today),
        rows=tuple(_timeline_row(scale, schedule, cells, roadmap.today) for schedule, cells in rows),
    )


def _days(schedule: StageSchedule) -> Sequence[date]:
    days = (schedule.planned.start, schedule.planned.end, schedule.timing.started, schedule.timing.accepted)
    return [day for day in (*days, schedule.earliest_end) if day is not None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scale:
    """The scale of the timeline, from one day to the end of another."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def place(self, day: date) -> float:
        return round((day - self.first).days / self.days * _WIDTH, 1)

    def span(self, start: date | None, end: date | None) -> Span | None:
        """Return the bar from the beginning of one day to the end of another."""
        if start is None or end is None:
            return None
        left, right = self.place(start), self.place(end) + _WIDTH / self.days
        return Span(x=round(left, 1), width=round(max(right - left, 2.0), 1))


def _timeline_row(scale: _Scale, schedule: StageSchedule, cells: tuple[str, ...], today: date) -> TimelineRow:
    planned_start = schedule.planned.start or schedule.planned.end
    planned_end = schedule.planned.end or schedule.planned.start
    started, accepted = schedule.timing.started, schedule.timing.accepted
    return TimelineRow(
        cells=cells,
        planned=scale.span(planned_start, planned_end),
        actual=scale.span(started, accepted or today) if started else None,
        is_late=schedule.late_days(today) > 0,
        is_accepted=accepted is not None,
    )
