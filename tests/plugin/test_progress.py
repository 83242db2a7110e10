"""What a run does is shown while it works: in a real terminal below pytest's own lines, and gone at the end."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points

import pytest

from tests.plugin.gate_helpers import Faked, Real
from tests.support.fakes import service_tree
from tests.support.pseudo_terminal import PseudoTerminal, in_terminal
from tests.support.terminal_screen import TerminalScreen

WAITS = """
import os, time

def test_first():
    pass

def test_that_waits():
    while not os.path.exists(%r):
        time.sleep(0.05)
"""
"""A suite that ends when a file is there, so that a test can look at the terminal before that."""
OWN = re.compile(
    r"^(?:py312: \d+ of \d+ items.*|  (?:suite|resolving|installing|checking|importing|reading) .*)$", re.M
)
"""Lines of the display."""
SUITE = "  suite auth-service 3.12, 1 of 2 tests"
CONTROL = re.compile(r"\x1b\[\d*[ABCJK]")


@contextmanager
def waiting(
    real: Real, *arguments: str, variables: Mapping[str, str] | None = None, width: int = 100
) -> Iterator[PseudoTerminal]:
    """Run the gate on one service in a terminal; its suite waits for the file ``go`` in the repository."""
    tests = {"services/auth-service/tests/test_auth.py": WAITS % str(real.root / "go")}
    service_tree(real.root, tests)
    others = ("CI", "BUILD_NUMBER", "NO_COLOR", "COLUMNS", "LINES")  # the last two are of the worker of xdist
    given = {name: value for name, value in real.variables.items() if name not in others}
    argv = real.command("--py312-services=auth-service", "--py312-python=3.12", *arguments)
    with in_terminal(
        argv, cwd=real.root, variables={**given, "TERM": "xterm-256color", **(variables or {})}, width=width
    ) as terminal:
        yield terminal


def end(real: Real, terminal: PseudoTerminal) -> str:
    """Let the suite end, and return what the terminal shows after the run."""
    (real.root / "go").touch()
    assert terminal.wait() == 0, terminal.screen.text
    return terminal.screen.text


def shows_suite(screen: TerminalScreen) -> bool:
    return any(line.startswith(SUITE) for line in screen.lines)


def body(text: str) -> str:
    """Return what pytest shows between the collection and the summary."""
    return re.split(r" items\]?\n|=+ py312: readiness", text)[1].strip()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), r"services/auth-service \.{5} +\[100%\]"),
        (("-v",), r"(services/auth-service::\S+ PASSED +\[ *\d+%\]\s*){5}"),
        (("-s",), r"services/auth-service \.{5}"),
        (("-n", "2"), r"\.{5} +\[100%\]"),
    ],
)
def test_lines_below_pytests_own(real: Real, options: tuple[str, ...], expected: str) -> None:
    """With the number of tests that have ended, and of items that are done; nothing of it stays."""
    with waiting(real, *options) as terminal:
        terminal.wait_for(shows_suite)
        shown = [line for line in terminal.screen.lines if line]
        assert re.match(r"py312: \d of 5 items, ", shown[-1])
        text = end(real, terminal)
    assert re.fullmatch(expected, body(text)), body(text)
    assert OWN.findall(text) == []
    assert text.count("proven: 1 service ready for 3.12") == 1


@pytest.mark.parametrize("width", [60, 240])
def test_the_width_of_the_terminal(real: Real, width: int) -> None:
    """Neither the progress nor the summary is folded, so the same lines are on a screen that is much wider."""
    with waiting(real, width=width) as terminal:
        terminal.wait_for(shows_suite)
        text = end(real, terminal)
    assert re.fullmatch(r"services/auth-service \.{5} +\[100%\]", body(text)), body(text)
    wide = TerminalScreen(1000, 200)
    wide.feed(terminal.output)
    summary = text[text.index("= py312: readiness") :]
    assert summary == wide.text[wide.text.index("= py312: readiness") :]
    assert "proven: 1 service ready for 3.12" in summary


@pytest.mark.parametrize("options", [("-q",), ("--py312-no-progress",)], ids=" ".join)
def test_switched_off(real: Real, options: tuple[str, ...]) -> None:
    (real.root / "go").touch()
    with waiting(real, *options) as terminal:
        text = end(real, terminal)
    assert CONTROL.findall(terminal.output) == []
    assert OWN.findall(terminal.output) == []
    assert "proven: 1 service ready for 3.12" in text
    assert re.search(r"^ +auth-service .*ok$", text, re.M), text


def test_without_colours(real: Real) -> None:
    with waiting(real, variables={"NO_COLOR": "1"}) as terminal:
        terminal.wait_for(shows_suite)
        end(real, terminal)
    assert re.findall(r"\x1b\[[\d;]*m", terminal.output) == []


def test_a_terminal_that_cannot_move_its_cursor(real: Real) -> None:
    (real.root / "go").touch()
    with waiting(real, variables={"TERM": "dumb"}) as terminal:
        end(real, terminal)
    assert CONTROL.findall(terminal.output) == []


@pytest.mark.skipif("sugar" not in entry_points(group="pytest11").names, reason="pytest-sugar is not installed")
def test_beside_sugar(real: Real) -> None:
    with waiting(real) as terminal:
        terminal.wait_for(shows_suite)
        assert OWN.findall(end(real, terminal)) == []


def test_without_a_terminal_a_short_run_shows_nothing(real: Real) -> None:
    (real.root / "go").touch()
    run = real.run("--py312-services=auth-service", "--py312-python=3.12")
    assert run.code == 0, run.out
    assert OWN.findall(run.out) == []


def test_the_standard_streams_are_the_same_after_a_run(faked: Faked) -> None:
    """``-s``: what others print passes the display until the summary."""
    faked.root.joinpath("conftest.py").write_text(
        "import sys  # for pytest_py312\n"
        "def pytest_configure(config):\n    config.streams = [sys.stdout, sys.stderr]\n"
        "def pytest_sessionfinish(session):\n"
        "    print('guarded', session.config.streams != [sys.stdout, sys.stderr])\n"
        "def pytest_unconfigure(config):\n    print('same', config.streams == [sys.stdout, sys.stderr])\n"
    )
    result = faked.run("-s")
    result.assert_outcomes(passed=10)
    result.stdout.fnmatch_lines(["*guarded True", "same True"])


def test_a_session_without_a_terminal_reporter(real: Real) -> None:
    (real.root / "go").touch()
    run = real.run("--py312-services=auth-service", "--py312-python=3.12", "-p", "no:terminal")
    assert (run.code, run.out) == (0, "")
