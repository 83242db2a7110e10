"""A terminal in memory: what is on its screen after a program has written to it.

It knows what pytest, its plugins and the gate send: text, carriage return, line feed, moves of the cursor, erasing and
colours. Anything else fails, so that nothing is silently shown in another way than a terminal shows it.
"""

import io
import re

from pytest_py312.core.text import display_width

_TOKEN = re.compile(
    r"\x1b\[(?P<numbers>[0-9;?]*)(?P<final>[@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|(?P<plain>[^\x1b])", re.DOTALL
)


class TerminalScreen:
    """A screen of ``width`` columns and ``height`` lines, and what was scrolled out of it."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.scrolled: list[str] = []
        self._lines = [[" "] * width for _ in range(height)]
        self._row = self._column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        """Show ``text``; a sequence that is cut off is continued by the next call."""
        text, self._rest = self._rest + text, ""
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                assert len(text) - position < 200, f"unknown sequence {text[position : position + 20]!r}"
                self._rest = text[position:]
                return
            position = match.end()
            if match["plain"]:
                self._show(match["plain"])
            elif match["final"]:
                self._control(match["final"], match["numbers"])

    def _show(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._feed_line()
        elif char not in "\x07\b":
            width = display_width(char)
            if self._column + width > self.width:  # the last column was used: the line is continued in the next one
                self._column = 0
                self._feed_line()
            self._lines[self._row][self._column : self._column + width] = [char, *[""] * (width - 1)]
            self._column += width

    def _feed_line(self) -> None:
        if self._row < self.height - 1:
            self._row += 1
        else:
            self.scrolled.append("".join(self._lines.pop(0)).rstrip())
            self._lines.append([" "] * self.width)

    def _control(self, final: str, numbers: str) -> None:
        number = int(numbers.partition(";")[0] or 0) if "?" not in numbers else 0
        if final == "A":
            self._row = max(0, self._row - max(1, number))
        elif final == "B":
            self._row = min(self.height - 1, self._row + max(1, number))
        elif final == "C":
            self._column = min(self.width - 1, self._column + max(1, number))
        elif final == "K":
            self._erase_line()
        elif final == "J":
            self._erase_line()
            for row in range(self._row + 1, self.height):
                self._lines[row] = [" "] * self.width
        else:
            assert final in "mhl", f"unknown sequence {numbers}{final}"

    def _erase_line(self) -> None:
        self._lines[self._row][self._column :] = [" "] * (self.width - self._column)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen."""
        return ["".join(line).rstrip() for line in self._lines]

    @property
    def text(self) -> str:
        """Everything that was shown and not erased, also what was scrolled out."""
        return "\n".join([*self.scrolled, *self.lines]).rstrip()

    @property
    def cursor(self) -> tuple[int, int]:
        """Line and column."""
        return self._row, self._column


class MemoryTerminal(io.StringIO):
    """A file in memory that is shown on a screen, and can be lost."""

    def __init__(self, width: int = 40, height: int = 6) -> None:
        super().__init__()
        self.screen = TerminalScreen(width, height)
        self.is_lost = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if self.is_lost:
            raise OSError(5, "Input/output error")
        self.screen.feed(text.replace("\n", "\r\n"))  # as the driver of a terminal does
        return len(text)
