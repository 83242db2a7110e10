"""The one door to the clock. Everything that needs the time of day or a stopwatch asks here, so that tests can too."""

import asyncio
import time
from datetime import UTC, date, datetime

_NOT_KNOWN_TO_BE_RIGHT = 5
"""``TIME_ERROR`` in ``<sys/timex.h>``."""


def stopwatch() -> float:
    """Seconds that only ever grow; the zero means nothing."""
    return time.monotonic()


def boottime() -> float:
    """Seconds since this machine was started, sleep included: a clock that nobody can set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def timestamp() -> float:
    """Seconds since the epoch."""
    return time.time()


def today() -> date:
    """The date in UTC: a waiver ends at the same moment for everyone."""
    return datetime.now(UTC).date()


def now_text() -> str:
    """Now, in RFC 3339, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_synchronised() -> bool | None:
    """Whether something keeps this machine's clock right, as its kernel knows it; ``None`` where it does not tell.

    By ``adjtimex`` of Linux, as ``timedatectl`` asks it: whoever sets the clock tells the kernel how far off it may be,
    and where nobody has for long, or it is more than 16 seconds, the kernel says so.
    """
    import ctypes  # seldom asked

    room = ctypes.create_string_buffer(512)  # a struct timex, of which nothing is set: the clock is asked, not changed
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(room)
    except (AttributeError, OSError, TypeError):
        return None
    return None if state < 0 else state != _NOT_KNOWN_TO_BE_RIGHT


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


async def rest(seconds: float) -> None:
    """Wait, while other things of the loop go on."""
    await asyncio.sleep(seconds)
