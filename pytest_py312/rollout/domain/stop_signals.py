"""Requests to stop. A signal only sets a flag, which is checked where stopping does no harm."""

import asyncio
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Whether a stop was requested, and by what."""

    def __init__(self) -> None:
        self.reason = ""
        """Name of the first signal; empty until a stop is requested."""
        self._event = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Request a stop. Another request changes nothing: a second Ctrl-C must not cut the first one short."""
        self.reason = self.reason or reason
        self._event.set()

    async def wait(self) -> None:
        """Wait until a stop is requested."""
        await self._event.wait()

    async def run(self, work: Awaitable[None]) -> None:
        """Await ``work``, but cancel it when a stop is requested."""
        work_task = asyncio.ensure_future(work)
        stop_task = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({work_task, stop_task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work_task, stop_task):
                task.cancel()
            await asyncio.gather(work_task, stop_task, return_exceptions=True)
        if not work_task.cancelled():
            work_task.result()


@contextmanager
def stop_on_signals(stop: StopRequest) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP set ``stop``, in the main thread, with or without an event loop.

    This does not wake a loop that waits; :func:`stop_loop_on_signals` does.
    """
    previous_handlers = {
        number: signal.signal(number, lambda number, _: stop.request(signal.Signals(number).name))
        for number in STOP_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def stop_loop_on_signals(stop: StopRequest) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP set ``stop``, in the running event loop of the main thread.

    This includes signals that were ignored before: a shell starts background processes with SIGINT ignored, and a job
    that CI cancels would not notice.
    """
    loop = asyncio.get_running_loop()
    previous_handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.request, number.name)
    try:
        yield
    finally:
        for number, handler in previous_handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
