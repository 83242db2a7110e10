"""A command that prints its own lines shows its progress below them."""

import os
import sys

import pytest

from pytest_py312.core.progress import display
from pytest_py312.core.progress.hub import PROGRESS
from pytest_py312.core.progress.standard_streams import progress_on_stderr
from tests.support.terminal_screen import MemoryTerminal


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
