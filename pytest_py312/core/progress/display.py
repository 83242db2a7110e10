"""Show the progress of a run while it works: lines at the end of a terminal, or a line now and then in a log."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TextIO

from pytest_py312.core import clock
from pytest_py312.core.progress.events import ActivityEnded, ProgressEvent
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.progress.lines import live_lines, takes_long, took_line, waiting_line
from pytest_py312.core.progress.output import LiveOutput, guard_standard_streams
from pytest_py312.core.progress.state import RunProgress
from pytest_py312.core.text import StyledLine, TerminalFormat

LIVE_INTERVAL = 0.25
"""Seconds between two looks at what a terminal should show: four a second are enough."""
LOG_INTERVAL = 1.0
QUIET_SECONDS = 30.0
"""Seconds between two lines in a log."""
SLOW_SECONDS = 60.0
"""Seconds from which on something that is over gets a line in a log."""
FIRST_SECONDS = 0.5
"""Seconds that a run may take without showing anything."""

EventSource = Callable[[], Iterable[ProgressEvent]]


@dataclass(frozen=True, kw_only=True, slots=True)
class DisplayStyle:
    """How progress is shown: in a terminal whose cursor can be moved, or in a log; with colours; beyond ASCII."""

    live: bool
    color: bool = False
    unicode: bool = False


def is_live(file: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether ``file`` is a terminal that lines can be erased from. Those of CI systems show all of them."""
    is_log = environ.get("TERM") in ("dumb", "unknown") or environ.get("CI") or environ.get("BUILD_NUMBER")
    return file.isatty() and not is_log


class ProgressDisplay:
    """Display of the progress that this process reports, and of that of others.

    :param source: returns the events of other processes since the last call.
    """

    def __init__(self, output: LiveOutput, style: DisplayStyle, *, source: EventSource = tuple) -> None:
        self._output = output
        self._style = style
        self._source = source
        self._progress = RunProgress()
        self._lock = threading.Lock()
        self._took: list[str] = []
        self._drawn: list[StyledLine] = []
        self._started = self._logged_at = clock.stopwatch()
        self._is_paused = False
        self._exit_stack = ExitStack()

    def start(self) -> None:
        self._exit_stack.callback(self._output.close)
        self._exit_stack.enter_context(PROGRESS.listening(self.receive))
        interval = LIVE_INTERVAL if self._style.live else LOG_INTERVAL
        self._exit_stack.enter_context(Ticker(interval, self.tick))

    def stop(self) -> None:
        """Erase what is shown. May be called twice."""
        self._exit_stack.close()

    def pause(self) -> None:
        """Show nothing until :meth:`resume`: a debugger has the terminal."""
        self._is_paused = True
        self._output.erase()

    def resume(self) -> None:
        self._is_paused = False

    def receive(self, event: ProgressEvent) -> None:
        """Take note of an event."""
        with self._lock:
            if isinstance(event, ActivityEnded) and not self._style.live:
                self._note_end(event)
            self._progress = self._progress.after(event)

    def _note_end(self, event: ActivityEnded) -> None:
        """Note a line about what took long, unless it is a part of something that still goes on."""
        ended = self._progress.activities.get(event.activity)
        if ended is None or ended.seconds(event.at) < SLOW_SECONDS:
            return
        if not self._progress.is_inside_another(ended):
            self._took.append(took_line(ended, event.at))

    def tick(self, now: float) -> None:
        """Show the progress of this moment, unless the program is writing itself."""
        PROGRESS.poll_counters()
        for event in self._source():
            self.receive(event)
        if self._is_paused or not self._output.is_settled(now):
            return
        if self._style.live:
            self._draw(now)
        else:
            self._log(now)

    def _draw(self, now: float) -> None:
        if now - self._started < FIRST_SECONDS:
            return
        width, height = self._output.size()
        layout = TerminalFormat(width=width, unicode=self._style.unicode, verbosity=0)
        progress = self._progress
        is_known = progress.items or progress.activities  # of a command that only reads there is nothing to show
        height = height // 2 - 1 if is_known else 0
        lines = live_lines(progress, started=self._started, now=now, layout=layout, height=height)
        if lines != self._drawn or not self._output.is_drawn:
            self._output.draw(lines, width=width, color=self._style.color)
            self._drawn = lines

    def _log(self, now: float) -> None:
        with self._lock:
            lines, self._took = self._took, []
        activities = self._progress.innermost()
        is_due = activities and now - self._logged_at >= QUIET_SECONDS
        if is_due and (takes_long(activities, now) or now - self._output.written_at >= QUIET_SECONDS):
            lines.append(waiting_line(self._progress, started=self._started, now=now))
            self._logged_at = now
        if lines:
            self._output.interject(lines)


class Ticker:
    """A thread that calls a function again and again while the block runs."""

    def __init__(self, interval: float, function: Callable[[float], object]) -> None:
        self._interval = interval
        self._function = function
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="py312 progress", daemon=True)

    def __enter__(self) -> "Ticker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            self._function(clock.stopwatch())


@contextmanager
def progress_on_stderr(environ: Mapping[str, str]) -> Iterator[None]:
    """Show the progress on standard error while the block runs; all that is printed meanwhile passes the display."""
    if sys.stderr is None:  # it was closed before the command was started
        yield
        return
    output = LiveOutput(sys.stderr)
    live = is_live(sys.stderr, environ)
    style = DisplayStyle(
        live=live,
        color=live and not environ.get("NO_COLOR"),
        unicode="utf" in (getattr(sys.stderr, "encoding", "") or "").lower(),
    )
    with ExitStack() as exit_stack:
        guard_standard_streams(output, exit_stack)
        display = ProgressDisplay(output, style)
        exit_stack.callback(display.stop)
        display.start()
        yield
