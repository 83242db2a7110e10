"""Requests to stop."""

import asyncio
import os
import signal

import pytest

from pytest_py312.rollout.domain.stop_signals import STOP_SIGNALS, StopRequest, stop_loop_on_signals


async def stopped(number: signal.Signals) -> StopRequest:
    stop = StopRequest()
    with stop_loop_on_signals(stop):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 5)
        os.kill(os.getpid(), number)  # a second one cuts nothing short
        await asyncio.sleep(0)
    return stop


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_only_sets_a_flag(number: signal.Signals) -> None:
    previous_handler = signal.getsignal(number)
    stop = asyncio.run(stopped(number))
    assert stop
    assert stop.reason == number.name
    assert signal.getsignal(number) is previous_handler


def test_an_ignored_signal_is_heard_and_ignored_again_afterwards() -> None:
    """A shell starts what runs in the background with SIGINT ignored."""
    previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert asyncio.run(stopped(signal.SIGINT)).reason == "SIGINT"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous_handler)
