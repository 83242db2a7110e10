"""When something is shown: in a terminal what runs at this moment, in a log what takes long."""

import io
import os
import sys
import threading

import pytest

from pytest_py312.core import clock
from pytest_py312.core.progress import display
from pytest_py312.core.progress.display import DisplayStyle, ProgressDisplay, Ticker, is_live, progress_on_stderr
from pytest_py312.core.progress.events import ActivityEnded, ActivityStarted, ProgressEvent, RunPlanned
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.progress.output import LiveOutput
from tests.support.terminal_screen import MemoryTerminal, TerminalScreen


class Showing:
    """A display that writes into memory, and whose clock is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, live: bool) -> None:
        self.now = 1000.0
        monkeypatch.setattr(clock, "stopwatch", lambda: self.now)
        self.file = io.StringIO()
        self.output = LiveOutput(self.file)
        self.program = self.output.guard(self.file)
        self.others: list[ProgressEvent] = []
        self.display = ProgressDisplay(self.output, DisplayStyle(live=live), source=self._take_others)

    def _take_others(self) -> list[ProgressEvent]:
        taken, self.others = self.others, []
        return taken

    def begin(self, name: str, *, worker: str = "1", item: str = "") -> None:
        self.display.receive(
            ActivityStarted(activity=name, worker=worker, what="suite", subject=name, item=item, at=self.now)
        )

    def end(self, name: str) -> None:
        self.display.receive(ActivityEnded(activity=name, at=self.now))

    def wait(self, seconds: float, step: float = 1.0) -> list[str]:
        """Let time pass, and return what was written meanwhile."""
        start = len(self.file.getvalue())
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.display.tick(self.now)
        return self.file.getvalue()[start:].splitlines()


def test_a_log_has_a_line_every_30_seconds_for_what_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    showing = Showing(monkeypatch, live=False)
    showing.begin("user-service 3.12")
    assert showing.wait(29) == []
    assert showing.wait(1) == ["py312: 30 s: suite user-service 3.12 (30 s)"]
    assert showing.wait(60) == [
        "py312: 1 m: suite user-service 3.12 (1 m)",
        "py312: 1 m 30 s: suite user-service 3.12 (1 m 30 s)",
    ]


def test_a_log_has_a_line_for_what_took_over_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    showing = Showing(monkeypatch, live=False)
    showing.begin("item", item="a")
    showing.begin("inner")
    showing.begin("other", worker="2")
    showing.now += 59
    showing.end("other")
    showing.now += 11
    showing.end("inner")
    showing.end("item")
    assert showing.wait(1) == ["py312: suite item took 1 m 10 s"]


def test_short_activities_are_named_if_nothing_else_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CI system ends a job that is silent for long."""
    showing = Showing(monkeypatch, live=False)
    written = []
    for number in range(9):
        showing.begin(f"{number}")
        written += showing.wait(10)
        showing.end(f"{number}")
    assert written == ["py312: 30 s: suite 2 (10 s)", "py312: 1 m: suite 5 (10 s)", "py312: 1 m 30 s: suite 8 (10 s)"]


def test_short_activities_are_not_named_between_results(monkeypatch: pytest.MonkeyPatch) -> None:
    showing = Showing(monkeypatch, live=False)
    for number in range(9):
        showing.begin(f"{number}")
        assert showing.wait(10) == []
        showing.end(f"{number}")
        showing.program.write(".")
        showing.program.flush()


def test_nothing_is_written_while_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Showing(monkeypatch, live=False).wait(300) == []


def test_a_line_waits_until_the_program_has_written_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    showing = Showing(monkeypatch, live=False)
    showing.begin("a")
    showing.wait(20)
    showing.program.write("not flushed")
    assert showing.wait(40) == []
    showing.program.flush()
    assert showing.wait(1) == ["", "py312: 1 m 01 s: suite a (1 m 01 s)", "not flushed"]


def test_a_terminal_shows_what_runs_and_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    showing, screen = Showing(monkeypatch, live=True), TerminalScreen(80, 24)
    showing.display.receive(RunPlanned(items={"a": 0.0, "b": 0.0}, parallel=2, at=showing.now))
    showing.begin("user-service 3.12", item="a")
    assert showing.wait(0.25, 0.25) == []  # a run that is over at once shows nothing
    showing.wait(3, 0.25)
    showing.end("user-service 3.12")
    screen.feed(showing.file.getvalue())
    assert screen.text.split("\n")[-2:] == ["  suite user-service 3.12  3 s", "py312: 0 of 2 items, 3 s"]
    showing.wait(1, 0.25)
    showing.display.stop()
    showing.output.close()
    screen.feed(showing.file.getvalue())
    assert screen.text == ""


def test_a_terminal_is_written_to_only_if_something_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    showing = Showing(monkeypatch, live=True)
    showing.begin("a")
    showing.wait(2, 0.25)
    written = len(showing.file.getvalue())
    for _ in range(3):
        showing.display.tick(showing.now)
    assert len(showing.file.getvalue()) == written


def test_events_of_other_processes_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    showing = Showing(monkeypatch, live=False)
    showing.others = [ActivityStarted(activity="gw0/1", worker="gw0", what="suite", subject="a", at=showing.now)]
    assert showing.wait(30) == ["py312: 30 s: suite a (30 s)"]


def test_nothing_is_shown_while_a_debugger_has_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    showing = Showing(monkeypatch, live=True)
    showing.begin("a")
    showing.wait(2, 0.25)
    showing.display.pause()
    assert not showing.output.is_drawn
    assert showing.wait(5, 0.25) == []
    showing.display.resume()
    assert showing.wait(1, 0.25) != []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "CI": "true"}, False),
        ({"TERM": "xterm", "BUILD_NUMBER": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True),
    ],
)
def test_which_terminals_have_lines_that_can_be_erased(variables: dict[str, str], expected: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert is_live(Terminal(), variables) is expected
    assert not is_live(io.StringIO(), variables)


def test_a_ticker_calls_until_its_block_ends() -> None:
    called = threading.Event()
    with Ticker(0.001, lambda _: called.set()):
        assert called.wait(30)
    assert not any(thread.name == "py312 progress" for thread in threading.enumerate())


# ---- a command that prints its own lines


class SteppedTicker:
    """In place of the thread: shows the progress when it is called."""

    def __init__(self, interval: float, function: object) -> None:
        SHOW.append(function)

    def __enter__(self) -> "SteppedTicker":
        return self

    def __exit__(self, *_: object) -> None:
        SHOW.clear()


SHOW: list[object] = []


def on_screen(monkeypatch: pytest.MonkeyPatch) -> MemoryTerminal:
    """Return a terminal of 60 columns to which standard output and standard error go from now on.

    No fixture: pytest's capture sets the streams between the setup and the call of a test.
    """
    made = MemoryTerminal(60, 10)
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(display, "Ticker", SteppedTicker)
    monkeypatch.setattr(
        "pytest_py312.core.progress.output.shutil.get_terminal_size", lambda *_, **__: os.terminal_size((60, 10))
    )
    return made


def show(now: float = 1e12) -> None:
    """Show the progress of a moment long after the start."""
    for function in SHOW:
        assert callable(function)
        function(now)


def test_what_is_done_is_below_the_lines_and_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_screen(monkeypatch)
    streams = (sys.stdout, sys.stderr)
    with progress_on_stderr({"NO_COLOR": "1"}):
        print("observe auth: done", file=sys.stderr)
        with PROGRESS.activity("waiting for", "auth"):
            show()
            lines = terminal.screen.text.split("\n")
            assert lines[0] == "observe auth: done"
            assert lines[1].startswith("  waiting for auth  ")
            assert lines[2].startswith("py312: ")
        print("ready auth: done", file=sys.stderr)
        print("stage 1 is soaking")
    assert terminal.screen.text.split("\n") == ["observe auth: done", "ready auth: done", "stage 1 is soaking"]
    assert (sys.stdout, sys.stderr) == streams


def test_a_command_that_does_nothing_of_the_kind_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_screen(monkeypatch)
    with progress_on_stderr({}):
        show()
        assert terminal.screen.text == ""


def test_a_process_without_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_screen(monkeypatch)
    monkeypatch.setattr(sys, "stdout", None)
    with progress_on_stderr({}):
        assert sys.stdout is None
        print("printed", file=sys.stderr)
    assert terminal.screen.text == "printed"
