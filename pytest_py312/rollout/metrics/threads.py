"""Blocking work in a thread, awaited with a timeout and abandoned after it.

The event loop's own executor is joined at the end of the loop and of the process. With it, a single engine that does
not answer would keep a watcher from exiting in time.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def run_in_thread(work: Callable[[], T], *, timeout: float) -> T:
    """Run ``work`` in a thread and return its result; exceptions propagate.

    :param timeout: seconds, after which :class:`TimeoutError` is raised and the thread is abandoned.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)  # type: ignore[arg-type]  # without an error there is a value
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            future.set_exception(error)
        else:  # SystemExit or StopIteration of a user's function must not end the watcher
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))

    def run() -> None:
        value, failure = None, None
        try:
            value = work()
        except BaseException as error:  # raised again where the result is awaited
            failure = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, value, failure)

    threading.Thread(target=run, name="py312 watching", daemon=True).start()
    async with asyncio.timeout(timeout):
        return await future
