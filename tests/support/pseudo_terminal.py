"""Run a program in a terminal of its own, and look at its screen while it works."""

import codecs
import fcntl
import os
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_py312.core import clock
from tests.support.terminal_screen import TerminalScreen

LIMIT = 120.0
"""Seconds after which a program that shows nothing new of what is expected has failed."""


class PseudoTerminal:
    """A terminal in which one program runs."""

    def __init__(self, descriptor: int, process: "subprocess.Popen[bytes]", screen: TerminalScreen) -> None:
        self._descriptor = descriptor
        self._process = process
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.screen = screen
        self.output = ""
        """Everything that the program has written."""

    def wait_for(self, condition: Callable[[TerminalScreen], bool]) -> None:
        """Read until the screen meets ``condition``."""
        end = clock.stopwatch() + LIMIT
        while not condition(self.screen):
            assert clock.stopwatch() < end, f"not shown:\n{self.screen.text}"
            assert self._read(1.0), f"the program has ended:\n{self.screen.text}"

    def wait(self) -> int:
        """Read until the program has ended, and return its exit code."""
        end = clock.stopwatch() + LIMIT
        while self._read(1.0):
            assert clock.stopwatch() < end, f"it goes on:\n{self.screen.text}"
        return self._process.wait(LIMIT)

    def _read(self, seconds: float) -> bool:
        """Show what the program writes meanwhile; return whether it may write more."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the program has closed its side
            return False
        text = self._decoder.decode(data)
        self.output += text
        self.screen.feed(text)
        return bool(data)


@contextmanager
def in_terminal(
    argv: Sequence[str], *, cwd: Path, variables: Mapping[str, str], width: int = 100, height: int = 30
) -> Iterator[PseudoTerminal]:
    """Start a program in a terminal; it is killed if it still runs at the end of the block."""
    own, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    process = subprocess.Popen(
        argv, cwd=cwd, env=dict(variables), stdin=its, stdout=its, stderr=its, start_new_session=True, close_fds=True
    )
    os.close(its)
    try:
        yield PseudoTerminal(own, process, TerminalScreen(width, height))
    finally:
        process.kill()
        process.wait(LIMIT)
        os.close(own)
