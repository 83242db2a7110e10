"""Being asked to stop. A signal only sets a flag; whoever works looks at it where stopping does no harm."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether somebody asked to stop, and how."""

    def __init__(self) -> None:
        self.why = ""
        """Name of the first signal; empty while nobody asked."""
        self._asked = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self.why)

    def ask(self, why: str) -> None:
        """Ask to stop. Asking again changes nothing: a second Ctrl-C must not cut the first one short."""
        self.why = self.why or why
        self._asked.set()

    async def wait(self) -> None:
        """Until somebody asks."""
        await self._asked.wait()


@contextmanager
def flagged_by_signals(stop: Stop) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP ask ``stop``, in the main thread, with or without a loop.

    What waits in a loop learns of it when it wakes: there :func:`stopped_by_signals` wakes it.
    """
    before = {
        number: signal.signal(number, lambda number, _: stop.ask(signal.Signals(number).name)) for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP ask ``stop``, in the running loop of the main thread.

    Also where a signal was ignored before: a shell starts what runs in the background with SIGINT ignored, and a CI
    that cancels its job would not be heard.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.ask, number.name)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
