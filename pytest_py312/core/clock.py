"""The only access to the system clock.

All code that needs the time of day or a stopwatch calls these functions, so that tests can replace them.
"""

import asyncio
import time
from datetime import UTC, date, datetime

_TIME_ERROR = 5
"""The return value ``TIME_ERROR`` of ``adjtimex``, from ``<sys/timex.h>``."""


def stopwatch() -> float:
    """Return a monotonic time in seconds. Only differences between two values are meaningful."""
    return time.monotonic()


def boottime() -> float:
    """Return the seconds since this machine booted, including sleep. This clock cannot be set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def timestamp() -> float:
    """Return the seconds since the epoch."""
    return time.time()


def today() -> date:
    """Return the current date in UTC, so that a waiver expires at the same time everywhere."""
    return datetime.now(UTC).date()


def now_text() -> str:
    """Return the current time in RFC 3339, UTC, with a precision of one second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_synchronised() -> bool | None:
    """Return whether the kernel considers this machine's clock synchronised; ``None`` if the system does not report it.

    Uses ``adjtimex`` on Linux, as ``timedatectl`` does. The time service sets the estimated error of the clock. The
    kernel reports the clock as unsynchronised if this has not happened for a long time or the error exceeds 16 seconds.
    """
    import ctypes  # rarely needed, slow to import

    timex_buffer = ctypes.create_string_buffer(512)  # a zeroed struct timex: reads the clock's state, changes nothing
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex_buffer)
    except (AttributeError, OSError, TypeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def pause(seconds: float) -> None:
    """Block for the given number of seconds."""
    time.sleep(seconds)


async def async_pause(seconds: float) -> None:
    """Wait for the given number of seconds without blocking the event loop."""
    await asyncio.sleep(seconds)
