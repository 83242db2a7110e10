"""The progress of a run as text: the lines at the end of a terminal, and single lines for a log. Pure."""

from collections.abc import Sequence

from pytest_py312.core.progress.state import Activity, RunProgress
from pytest_py312.core.text import (
    StyledLine,
    TerminalFormat,
    display_width,
    escape_terminal,
    format_duration,
    pluralize,
    shorten_middle,
    truncate,
)

MAX_ACTIVITIES = 8
"""Activities in a terminal."""
MAX_LOGGED_ACTIVITIES = 3
"""Activities in one line of a log."""
LONG_SECONDS = 30.0
"""Seconds after which an activity is worth a line of its own in a log."""


def describe_activity(activity: Activity) -> str:
    """Return ``suite user-service 3.12, 214 of 380 tests``."""
    text = escape_terminal(f"{activity.start.what} {activity.start.subject}")
    return text + (f", {_count(activity)}" if activity.done or activity.total else "")


def _count(activity: Activity) -> str:
    if activity.total < activity.done or not activity.total:
        return pluralize(activity.done, "test")
    return f"{activity.done} of {pluralize(activity.total, 'test')}"


def live_lines(
    progress: RunProgress, *, started: float, now: float, layout: TerminalFormat, height: int
) -> list[StyledLine]:
    """Return the lines below the output of a run, none of them wider than the terminal.

    :param height: the most lines there may be; the last one is always about the run as a whole.
    """
    if height < 1:
        return []
    activities = progress.innermost()
    room = min(MAX_ACTIVITIES, height - 1)
    shown = activities if len(activities) <= room else activities[: max(0, room - 1)]
    hidden = len(activities) - len(shown)
    lines = [_activity_line(activity, now, layout) for activity in shown]
    if hidden and room:
        lines.append(_clipped(layout, (f"  and {hidden} more", "dim")))
    return [*lines, _clipped(layout, ("py312: ", "bold"), (_summary(progress, started, now), ""))]


def _activity_line(activity: Activity, now: float, layout: TerminalFormat) -> StyledLine:
    """Return one line: what is done, and since when. A name that is too long loses its middle, a count nothing."""
    start = activity.start
    what = layout.to_encodable(escape_terminal(start.what))
    subject = layout.to_encodable(escape_terminal(start.subject))
    count = f", {_count(activity)}" if activity.done or activity.total else ""
    seconds = f"  {format_duration(activity.seconds(now))}"
    room = layout.width - 1 - sum(map(display_width, ("  ", what, " ", count, seconds)))
    return _clipped(
        layout,
        (f"  {what} ", "cyan"),
        (shorten_middle(subject, max(room, 8), layout.ellipsis), ""),
        (count, ""),
        (seconds, "dim"),
    )


def _clipped(layout: TerminalFormat, *segments: tuple[str, str]) -> StyledLine:
    """Return a line that ends before the last column, behind which a terminal may begin a new line."""
    room, kept = max(0, layout.width - 1), []
    for text, style in segments:
        part = truncate(text, room, layout.ellipsis)
        room -= display_width(part)
        kept.append((part, style))
        if part != text:
            break
    return layout.styled_line(*kept)


def _summary(progress: RunProgress, started: float, now: float) -> str:
    parts = []
    if progress.items:
        parts.append(f"{progress.items_done} of {pluralize(len(progress.items), 'item')}")
    parts.append(format_duration(max(0.0, now - started)))
    left = progress.seconds_left(now)
    return ", ".join(parts) + (f", about {format_duration(left)} left" if left is not None else "")


def waiting_line(progress: RunProgress, *, started: float, now: float) -> str:
    """Return one line for a log: how far the run is, and what takes longest."""
    activities = progress.innermost()
    shown = [
        f"{describe_activity(activity)} ({format_duration(activity.seconds(now))})"
        for activity in activities[:MAX_LOGGED_ACTIVITIES]
    ]
    more = len(activities) - len(shown)
    if more:
        shown.append(f"and {more} more")
    return f"py312: {_summary(progress, started, now)}: {', '.join(shown)}"


def takes_long(activities: Sequence[Activity], now: float) -> bool:
    """Return whether one of ``activities`` is worth a line of its own."""
    return any(activity.seconds(now) >= LONG_SECONDS for activity in activities)


def took_line(activity: Activity, now: float) -> str:
    """Return one line for a log about something that took long and is over."""
    return f"py312: {describe_activity(activity)} took {format_duration(activity.seconds(now))}"
