"""Lines below the output of a program never mix with what it writes, wherever its cursor is."""

import fcntl
import io
import os
import struct
import termios
from collections.abc import Iterator

import pytest

from pytest_py312.core.progress.output import GuardedFile, LiveOutput
from pytest_py312.core.text import StyledLine
from tests.support.terminal_screen import MemoryTerminal

BELOW = [StyledLine(segments=(("  suite a", "cyan"),)), StyledLine(segments=(("py312: 1 of 2", ""),))]


class Shown:
    """A terminal, what guards it, and what a program writes to."""

    def __init__(self, width: int = 40, height: int = 6) -> None:
        self.terminal = MemoryTerminal(width, height)
        self.output = LiveOutput(self.terminal)
        self.program: GuardedFile = self.output.guard(self.terminal)

    def draw(self) -> None:
        self.output.draw(BELOW, width=self.terminal.screen.width, color=True)

    @property
    def lines(self) -> list[str]:
        return self.terminal.screen.text.split("\n")


def test_lines_are_below_a_line_that_is_not_complete() -> None:
    shown = Shown()
    shown.program.write("services/a ..")
    shown.draw()
    assert shown.lines == ["services/a ..", "  suite a", "py312: 1 of 2"]
    assert shown.terminal.screen.cursor == (0, 13)


def test_they_are_gone_before_the_program_goes_on() -> None:
    shown = Shown()
    shown.program.write("services/a ..")
    shown.draw()
    shown.program.write(".\nservices/b ")
    assert shown.lines == ["services/a ...", "services/b"]
    assert not shown.output.is_drawn
    shown.draw()
    assert shown.lines == ["services/a ...", "services/b", "  suite a", "py312: 1 of 2"]


def test_drawing_again_replaces_them() -> None:
    shown = Shown()
    shown.draw()
    shown.output.draw(BELOW[1:], width=40, color=False)
    assert shown.lines == ["py312: 1 of 2"]
    shown.output.draw([], width=40, color=False)
    assert shown.lines == [""]


def test_the_screen_scrolls_where_it_ends() -> None:
    shown = Shown(height=4)
    for number in range(5):
        shown.program.write(f"line {number}\n")
        shown.draw()
    shown.program.write("end")
    assert shown.lines == ["line 0", "line 1", "line 2", "line 3", "line 4", "end"]


def test_colours_and_carriage_returns_do_not_move_the_cursor() -> None:
    shown = Shown()
    shown.program.write("collecting ...\r\x1b[1mcollected\x1b[0m \x1b]9;4;1;50\x1b\\")
    shown.draw()
    assert shown.terminal.screen.cursor == (0, 10)


@pytest.mark.parametrize("length", [39, 40, 41, 80, 95])
@pytest.mark.parametrize("rest", ["y\n", "\x1b[32my\x1b[0m\n"])
def test_a_line_that_is_wider_than_the_terminal(length: int, rest: str) -> None:
    shown = Shown()
    shown.program.write("x" * length)
    shown.draw()
    assert shown.lines[-2:] == ["  suite a", "py312: 1 of 2"]
    shown.draw()
    shown.program.write(rest)
    assert "".join(shown.lines) == "x" * length + "y"
    assert len(shown.lines) == (length + 40) // 40


@pytest.mark.parametrize("rest", ["\rnew", "\x1b[1m\rnew", "\n"])
def test_a_full_line_that_is_written_again(rest: str) -> None:
    """The progress bar of pytest-sugar."""
    shown = Shown()
    shown.program.write("x" * 40)
    shown.draw()
    shown.program.write(rest)
    assert shown.lines == ["new" + "x" * 37 if "new" in rest else "x" * 40]


def test_wide_characters_take_two_columns() -> None:
    shown = Shown()
    shown.program.write("服务 ")
    shown.draw()
    assert shown.terminal.screen.cursor == (0, 5)


def test_a_line_of_a_log_repeats_the_incomplete_line() -> None:
    shown = Shown()
    shown.program.write("services/a ..")
    shown.output.interject(["py312: waits"])
    shown.program.write(".\n")
    assert shown.lines == ["services/a ..", "py312: waits", "services/a ..."]


def test_what_is_not_flushed_is_not_settled() -> None:
    file = io.StringIO()
    output = LiveOutput(file)
    program = output.guard(file)
    assert output.is_settled(0.0)
    program.write("services/a ")
    assert not output.is_settled(float("inf"))
    program.flush()
    assert output.is_settled(float("inf"))
    assert not output.is_settled(output.written_at)


def test_a_lost_terminal_does_not_end_the_run() -> None:
    shown = Shown()
    shown.draw()
    shown.terminal.is_lost = True
    shown.draw()
    shown.output.interject(["x"])
    shown.output.close()
    assert shown.output.is_drawn is False


def test_after_the_end_the_program_can_still_write() -> None:
    shown = Shown()
    shown.draw()
    shown.output.close()
    shown.program.write("end\n")
    shown.draw()
    assert shown.lines == ["end"]
    assert shown.program.isatty()


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """A descriptor to read from, and a file to write to."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    with os.fdopen(write, "w", encoding="utf-8") as file:
        yield read, file
    os.close(read)


def test_what_is_captured_meanwhile_is_not_taken_for_output(
    pipe: tuple[int, io.TextIOWrapper], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """pytest redirects the descriptor while an item runs; the display still reaches the terminal."""
    read, file = pipe
    output = LiveOutput(file)
    program = output.guard(file)
    original = os.dup(file.fileno())
    captured = os.open(tmp_path_factory.mktemp("captured") / "out", os.O_WRONLY | os.O_CREAT)
    os.dup2(captured, file.fileno())
    program.write("print of a test")
    program.flush()
    output.interject(["py312: waits"])
    os.dup2(original, file.fileno())
    output.close()
    os.close(original)
    os.close(captured)
    assert os.read(read, 1000) == b"py312: waits\n"


def test_a_terminal_without_a_size_has_that_of_an_ordinary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that a container was started with."""
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    own, its = os.openpty()
    with os.fdopen(its, "w") as file:
        output = LiveOutput(file)
        default_size = tuple(output.size())
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
        given_size = tuple(output.size())
        output.close()
    os.close(own)
    assert min(default_size) > 0
    assert given_size == (132, 50)
