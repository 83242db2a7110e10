"""The one door to the clock. Everything that needs the time of day or a stopwatch asks here, so that tests can too."""

import asyncio
import time
from datetime import UTC, date, datetime


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


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


async def rest(seconds: float) -> None:
    """Wait, while other things of the loop go on."""
    await asyncio.sleep(seconds)
