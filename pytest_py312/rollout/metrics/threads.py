"""Blocking work beside an event loop that waits for it no longer than it wants to.

The loop's own executor is joined when the loop ends, and again when the process does: one engine that does not answer
would then keep a watcher from leaving, which has seconds for it.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, limit: float) -> T:
    """What ``work`` returns, or raises.

    :param limit: seconds; after them :class:`TimeoutError`, and ``work`` is left to itself.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def told(answer: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(answer)  # type: ignore[arg-type]  # without an error there is an answer
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            future.set_exception(error)
        else:  # a function that exits, or ends a generator, must not do so to the watcher
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))

    def run() -> None:
        answer, problem = None, None
        try:
            answer = work()
        except BaseException as error:  # whatever it is, somebody waits for it
            problem = error
        with suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(told, answer, problem)

    threading.Thread(target=run, name="py312 watching", daemon=True).start()
    async with asyncio.timeout(limit):
        return await future
