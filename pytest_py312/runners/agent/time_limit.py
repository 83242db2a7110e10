"""End a test that takes too long, so that the others of its suite run. Standard library only, for Python 3.8 and later.

The alarm of the system raises an exception in it, as pytest-timeout does: also while it waits for a process or a lock.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


SHORTEST = 120.0
"""Seconds that a test has at least, whatever was before it."""


class TimeLimit:
    """A limit for each test, in seconds; 0 for none. A test or plugin that uses the alarm itself keeps it.

    After each test that did not end the limit is halved, as others may wait for the same, such as a database.
    """

    def __init__(self, seconds: float, fail: Callable[[str], None]) -> None:
        """``fail`` raises an exception with its argument as text, in the test."""
        self._seconds = self._first = seconds
        self._fail = fail
        self._is_running = False

    def start(self) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        if not self._seconds or not is_main or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            return
        signal.signal(signal.SIGALRM, self._end_test)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        self._is_running = True

    def stop(self) -> None:
        if self._is_running and signal.getsignal(signal.SIGALRM) == self._end_test:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._is_running = False

    def _end_test(self, number: int, frame: FrameType | None) -> None:
        self.stop()
        seconds, self._seconds = self._seconds, max(self._seconds / 2, min(self._seconds, SHORTEST))
        shortened = "" if seconds == self._first else f" ({self._first:g} s before others that did not end)"
        self._fail(f"the test did not end within {seconds:g} s{shortened}, which `time-limit` in the plan decides")
