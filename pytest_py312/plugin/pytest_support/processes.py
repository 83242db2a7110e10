"""The processes of a session: which one of xdist's this is, where they share files, and how a signal ends them.

CI systems cancel a job with SIGTERM, some of them soon after SIGINT, and so does ``timeout``.
"""

import gc
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from pytest_py312.core import clock


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


CLUSTER_SERVICE = "py312-cluster-service"
"""Name of the plugin of a process that checks one service on a worker of a cluster."""
_CLUSTER_SERVICE_MODULE = "pytest_py312.plugin.cluster_service"


def is_one_of_several(config: pytest.Config) -> bool:
    """Return whether other processes check other services of the same run, on this machine or on a cluster."""
    return is_worker(config) or uses_xdist_workers(config) or config.pluginmanager.hasplugin(_CLUSTER_SERVICE_MODULE)


def is_cluster_service(config: pytest.Config) -> bool:
    """Return whether this process checks one service for a run on a cluster, which asks plugins about its report."""
    return config.pluginmanager.hasplugin(CLUSTER_SERVICE)


def is_controller(config: pytest.Config) -> bool:
    """Return whether this is xdist's controller, which collects nothing and gets outcomes from its workers' reports."""
    return config.pluginmanager.hasplugin("dsession")


def uses_xdist_workers(config: pytest.Config) -> bool:
    """Return whether the command line asks for workers."""
    count, distribution = getattr(config.option, "numprocesses", None), getattr(config.option, "dist", "no")
    return bool(count) or distribution != "no"


def shared_folder(config: pytest.Config) -> Path | None:
    """Return the folder shared by xdist's workers; ``None`` in other processes."""
    folder = getattr(config, "workerinput", {}).get("py312_shared")
    return Path(folder) if folder else None


_REMARKS = "py312_remarks"


def hand_over_remarks(config: pytest.Config, remarks: str) -> None:
    """Give a text to the controller at the end of a worker."""
    output: dict[str, object] = getattr(config, "workeroutput")  # noqa: B009  # xdist adds it, so no type has it
    output[_REMARKS] = remarks


def remarks_of(node: object) -> str:
    """Return the text of a worker that has ended; empty for one that crashed."""
    return str(getattr(node, "workeroutput", {}).get(_REMARKS, ""))


SIGNALS = (signal.SIGTERM, signal.SIGHUP)
REPEAT_INTERVAL = 5.0
"""Seconds in which a repeated signal does not disturb a session that is about to end."""


class TerminationHandler:
    """Raises KeyboardInterrupt in the main thread on one of :data:`SIGNALS`; those that follow soon are ignored.

    A later one is raised again as long as the session goes on: Python drops an exception that is raised in a callback,
    such as one of the garbage collector. A signal that the process ignores, or handles by other means, is left alone.
    """

    def __init__(self) -> None:
        self.signal_name = ""
        """``SIGTERM`` after it has ended the session, else empty."""
        self._is_ending = False
        self._raised_at: float | None = None
        self._installed: list[signal.Signals] = []

    def install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._on_signal)
                self._installed.append(number)

    def restore(self) -> None:
        """Restore the default handlers, unless somebody else has set others meanwhile."""
        for number in self._installed:
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, signal.SIG_DFL)
        self._installed.clear()

    def begin_ending(self) -> None:
        """From now on nothing interrupts the process, which writes its reports and cleans up."""
        self._is_ending = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = clock.stopwatch()
        if self._is_ending or (self._raised_at is not None and now - self._raised_at < REPEAT_INTERVAL):
            return
        self._raised_at = now
        self.signal_name = signal.Signals(number).name
        raise KeyboardInterrupt(f"{self.signal_name} received")


@contextmanager
def garbage_collection_paused() -> Generator[None]:
    """Import modules and make items without garbage collection, which would take a quarter of the time."""
    was_on = gc.isenabled()
    gc.unfreeze()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
