"""Being asked to stop."""

import asyncio
import os
import signal

import pytest

from pytest_py312.rollout.domain.stop_signals import SIGNALS, Stop, stopped_by_signals


async def stopped(number: signal.Signals) -> Stop:
    stop = Stop()
    with stopped_by_signals(stop):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 5)
        os.kill(os.getpid(), number)  # a second one cuts nothing short
        await asyncio.sleep(0)
    return stop


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_only_sets_a_flag(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stop = asyncio.run(stopped(number))
    assert stop
    assert stop.why == number.name
    assert signal.getsignal(number) is before


def test_an_ignored_signal_is_heard_and_ignored_again_afterwards() -> None:
    """A shell starts what runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert asyncio.run(stopped(signal.SIGINT)).why == "SIGINT"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
