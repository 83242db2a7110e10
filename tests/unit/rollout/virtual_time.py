"""An event loop in which waiting takes no time: its clock jumps to the next deadline."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """``busy(seconds)`` simulates work that blocks the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def time(self) -> float:
        return self.seconds

    def busy(self, seconds: float) -> None:
        self.seconds += seconds

    def _run_once(self) -> None:
        waiting = vars(self)["_scheduled"]
        if waiting and not vars(self)["_ready"]:
            self.seconds = max(self.seconds, waiting[0].when())
        super()._run_once()  # type: ignore[misc]  # asyncio's own, in all its versions


def run_virtually(loop: VirtualLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in a loop of its own and return its result."""
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
