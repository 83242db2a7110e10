"""The roadmap as one page that needs nothing else: no script, no other file. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pytest_py312.core.html_page import render_page
from pytest_py312.rollout.reporting.roadmap.roadmap import Roadmap, StageStatus
from pytest_py312.rollout.reporting.roadmap.roadmap_formats import (
    DATE_TITLES,
    LEFTOVER_TITLES,
    benchmark_sentences,
    benchmark_summary,
    blocker_sentences,
    date_row,
    leftover_rows,
    leftover_summary,
    service_readiness,
)

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
    rows = [
        (status, cells)
        for stage in roadmap.stages
        for status in roadmap.shown_statuses(stage)
        if (cells := date_row(roadmap, stage, status)) is not None
    ]
    days = [day for status, _ in rows for day in _days(status)]
    if not days:
        return None
    first, last = min([*days, roadmap.today]), max([*days, roadmap.today])
    return Timeline(
        first=first,
        last=last,
        today=_place(roadmap.today, first, last),
        rows=tuple(_timeline_row(roadmap, status, cells, first, last) for status, cells in rows),
    )


def _days(status: StageStatus) -> Sequence[date]:
    schedule = status.schedule
    if schedule is None:
        return ()
    days = (schedule.planned.start, schedule.planned.end, schedule.timing.started, schedule.timing.accepted)
    return [day for day in (*days, schedule.earliest_end) if day is not None]


def _timeline_row(
    roadmap: Roadmap, status: StageStatus, cells: tuple[str, ...], first: date, last: date
) -> TimelineRow:
    schedule = status.schedule
    assert schedule is not None
    planned_start = schedule.planned.start or schedule.planned.end
    planned_end = schedule.planned.end or schedule.planned.start
    started, accepted = schedule.timing.started, schedule.timing.accepted
    return TimelineRow(
        cells=cells,
        planned=_span(planned_start, planned_end, first, last),
        actual=_span(started, accepted or roadmap.today, first, last) if started else None,
        is_late=schedule.late_days(roadmap.today) > 0,
        is_accepted=accepted is not None,
    )


def _span(start: date | None, end: date | None, first: date, last: date) -> Span | None:
    """Return the bar from the beginning of one day to the end of another."""
    if start is None or end is None:
        return None
    left = _place(start, first, last)
    right = _place(end, first, last) + _WIDTH / _length(first, last)
    return Span(x=round(left, 1), width=round(max(right - left, 2.0), 1))


def _place(day: date, first: date, last: date) -> float:
    return round((day - first).days / _length(first, last) * _WIDTH, 1)


def _length(first: date, last: date) -> int:
    """Return the number of days of the scale; the last one is included."""
    return (last - first).days + 1
