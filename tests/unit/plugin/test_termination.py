"""A signal ends the session once; a later one ends it if the first had no effect."""

import signal
from collections.abc import Iterator

import pytest

from pytest_py312.core import clock
from pytest_py312.plugin.pytest_support.processes import TerminationHandler


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The clock, and the default handlers before and after the test."""
    previous = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time = [100.0]
    monkeypatch.setattr(clock, "stopwatch", lambda: time[0])
    yield time
    signal.signal(signal.SIGTERM, previous)


@pytest.fixture
def handler(now: list[float]) -> Iterator[TerminationHandler]:
    installed = TerminationHandler()
    installed.install()
    yield installed
    installed.restore()


def test_a_signal_that_follows_soon_is_ignored(handler: TerminationHandler, now: list[float]) -> None:
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        signal.raise_signal(signal.SIGTERM)
    now[0] += 1.0
    signal.raise_signal(signal.SIGTERM)
    assert handler.signal_name == "SIGTERM"


def test_a_later_signal_ends_a_session_that_goes_on(handler: TerminationHandler, now: list[float]) -> None:
    """As if the first had been raised in a callback, where Python drops it."""
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        now[0] += 6.0
    handler.begin_ending()
    signal.raise_signal(signal.SIGTERM)
    assert handler.signal_name == "SIGTERM"


def test_a_handler_of_somebody_else_stays(now: list[float]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    installed = TerminationHandler()
    installed.install()
    signal.raise_signal(signal.SIGTERM)
    installed.restore()
    assert (signal.getsignal(signal.SIGTERM), installed.signal_name) == (signal.SIG_IGN, "")
