"""Lines below the output of a program, in a terminal that the program goes on writing to.

pytest writes parts of lines, so a display that owns the last lines of the terminal (rich's ``Live``) does not fit. Here
the cursor stays where the program has left it. The lines are drawn below, and erased before the program writes again.
They are written to a copy of the descriptor: while an item runs, pytest's capture has redirected the descriptor itself.
"""

import os
import shutil
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, TextIO

from pytest_py312.core import clock
from pytest_py312.core.text import StyledLine, display_width, without_escapes

_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"
_SGR = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
SETTLE_SECONDS = 0.05
"""Seconds without output after which nothing is drawn in the middle of it."""


class LiveOutput:
    """The terminal or log that a program writes to. Thread-safe; has to be closed.

    What the program writes has to pass one of :meth:`guard`.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.RLock()
        self._line = ""
        self._height = 0
        self._width = 80
        self._is_behind_full_line = False
        self._is_flushed = True
        self._written_at = float("-inf")
        self._is_lost = False
        self._descriptor: int | None = None
        with suppress(OSError, ValueError, AttributeError):  # a file in memory has no descriptor
            self._descriptor = os.dup(file.fileno())

    def guard(self, file: TextIO) -> "GuardedFile":
        """Return what the program has to write to, in place of ``file``."""
        return GuardedFile(self, file)

    # -- what the program writes

    def write(self, file: TextIO, text: str) -> int:
        """Write ``text`` to ``file``, one of the program's own that are shown here."""
        with self._lock:
            if not self._shows(file):
                return file.write(text)
            self.erase()
            self._continue_line(text)
            count = file.write(text)
            self._is_flushed = False
            self._line = (self._line + text).rpartition("\n")[2]
            self._written_at = clock.stopwatch()
            if file.isatty():
                self.flush(file)
            return count

    def _continue_line(self, text: str) -> None:
        """Begin the next line where the terminal would have done so, if :meth:`_back` had not moved the cursor."""
        visible = without_escapes(text)
        if self._is_behind_full_line and visible:
            self._is_behind_full_line = False
            if visible[0] not in "\r\n":
                self._put("\r\n")

    def flush(self, file: TextIO) -> None:
        with self._lock:
            file.flush()
            self._is_flushed = True

    def _shows(self, file: TextIO) -> bool:
        """Return whether ``file`` is shown here: not while pytest captures its descriptor."""
        if self._descriptor is None:
            return True
        try:
            mine, other = os.fstat(self._descriptor), os.fstat(file.fileno())
        except (OSError, ValueError):
            return False
        return (mine.st_dev, mine.st_ino) == (other.st_dev, other.st_ino)

    def is_settled(self, now: float) -> bool:
        """Return whether the program is not in the middle of writing."""
        return self._is_flushed and now - self._written_at >= SETTLE_SECONDS

    @property
    def written_at(self) -> float:
        """When something was last written, by the program or by :meth:`interject`."""
        return self._written_at

    # -- what is shown beside it

    def size(self) -> os.terminal_size:
        """Return columns and lines of the terminal, also while pytest captures standard output."""
        with suppress(OSError):
            if self._descriptor is not None and all(size := os.get_terminal_size(self._descriptor)):
                return size
        return shutil.get_terminal_size()  # also for a terminal without a size, which has 0 columns

    def draw(self, lines: Sequence[StyledLine], *, width: int, color: bool) -> None:
        """Show ``lines`` below what the program has written, in place of those shown so far.

        :param width: columns of the terminal; no line may reach the last one.
        """
        with self._lock:
            self._width = width
            if not lines:
                self.erase()
            else:
                texts = [_styled(line) if color else line.text for line in lines]
                drawn = "\r\n".join(f"{text}{_ERASE_LINE}" for text in texts)
                begin, up = self._begin()
                self._put(f"{begin}{drawn}{_ERASE_BELOW}{self._back(up + len(texts) - 1)}")
                self._height = len(texts)

    def erase(self) -> None:
        """Erase the lines that are shown."""
        with self._lock:
            if self._height:
                self._height = 0
                begin, up = self._begin()
                self._put(f"{begin}{_ERASE_BELOW}{self._back(up)}")

    @property
    def is_drawn(self) -> bool:
        """Whether there are lines below the output at this moment."""
        return self._height > 0

    def _begin(self) -> tuple[str, int]:
        """Return what moves the cursor to the first line below the output, and how many lines that is down."""
        return ("\r\n", 1) if self._column() else ("\r", 0)

    def _column(self) -> int:
        return display_width(without_escapes(self._line.rpartition("\r")[2]))

    def _back(self, lines: int) -> str:
        """Return what moves the cursor up to where the program goes on writing.

        Behind a full line there is no column: a terminal begins the next line with the next character.
        """
        column = self._column()
        self._is_behind_full_line = column > 0 and column % self._width == 0
        column = self._width - 1 if self._is_behind_full_line else column % self._width
        return (f"\x1b[{lines}A\r" if lines else "\r") + (f"\x1b[{column}C" if column else "")

    def interject(self, lines: Iterable[str]) -> None:
        """Write whole lines; a part of a line that the program has written is repeated behind them."""
        text = "".join(f"{line}\n" for line in lines)
        with self._lock:
            self._put(("\n" if self._line else "") + text + self._line)
            self._written_at = clock.stopwatch()

    def _put(self, text: str) -> None:
        """Write to the terminal itself. One that is gone is left alone: it must not end the run."""
        if self._is_lost:
            return
        try:
            if self._descriptor is None:
                self._file.write(text)
                self._file.flush()
                return
            data = text.encode(getattr(self._file, "encoding", None) or "utf-8", "backslashreplace")
            while data:
                data = data[os.write(self._descriptor, data) :]
        except (OSError, ValueError):
            self._is_lost = True

    def close(self) -> None:
        """Erase what is shown. What is guarded can be written to as before."""
        with self._lock:
            self.erase()
            self._is_lost = True
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


def _styled(line: StyledLine) -> str:
    return "".join(f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style in _SGR else text for text, style in line.segments)


class GuardedFile:
    """A file of a program, in whose terminal a :class:`LiveOutput` shows lines. Otherwise it is the file itself."""

    def __init__(self, output: LiveOutput, file: TextIO) -> None:
        self._output = output
        self._guarded = file

    def write(self, text: str) -> int:
        return self._output.write(self._guarded, text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._output.flush(self._guarded)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._guarded, name)


def guard_standard_streams(output: LiveOutput, exit_stack: ExitStack) -> None:
    """Let standard output and standard error pass ``output`` until ``exit_stack`` is closed."""
    for name in ("stdout", "stderr"):
        file = getattr(sys, name)
        if file is not None:
            replace_attribute(sys, name, output.guard(file), exit_stack)


def replace_attribute(owner: object, name: str, value: Any, exit_stack: ExitStack) -> None:
    """Set an attribute until ``exit_stack`` is closed, unless something else has set it meanwhile."""
    original = getattr(owner, name)

    def restore() -> None:
        if getattr(owner, name) is value:
            setattr(owner, name, original)

    setattr(owner, name, value)
    exit_stack.callback(restore)
