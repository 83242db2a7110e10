"""Plugin of the process that checks one service on a worker of a cluster, loaded by ``-p``.

It leaves the items of its job, writes the results to a file, and ends the session when its worker is gone: one that was
killed can end nothing itself.
"""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from pytest_py312.core.files import write_atomically
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.process import discard_output
from pytest_py312.core.process_identity import has_ended
from pytest_py312.gate.cluster.jobs import ServiceAnswer, ServiceRequest, from_text, to_text
from pytest_py312.gate.cluster.worker import REQUEST_VARIABLE
from pytest_py312.plugin.nodes import CheckItem
from pytest_py312.plugin.pytest_support.processes import CLUSTER_SERVICE
from pytest_py312.runners.fingerprints import code_digest

if TYPE_CHECKING:
    from pytest_py312.plugin.session import GateSession

WATCH_INTERVAL = 0.5
END_LIMIT = 60.0
"""Seconds in which a session without a worker ends its cells."""


class ClusterServicePlugin:
    """Hooks of a session that checks the items of one job."""

    def __init__(self, request: ServiceRequest) -> None:
        self._request = request
        self._is_ended = threading.Event()
        threading.Thread(target=self._watch_parent, daemon=True, name="py312-parent").start()

    def fleet(self) -> Fleet | None:
        """Return the services as the coordinator has found them in the same tree; ``None`` if it has not sent them."""
        file = self._request.fleet
        return from_text(Fleet, Path(file).read_text(encoding="utf-8")) if file else None

    def _watch_parent(self) -> None:
        while not self._is_ended.wait(WATCH_INTERVAL):
            if self._is_orphan():
                for stream in (sys.stdout, sys.stderr):  # nobody reads them any more: a write would end the process
                    discard_output(stream)
                os.kill(os.getpid(), signal.SIGTERM)
                if not self._is_ended.wait(END_LIMIT):
                    os.kill(os.getpid(), signal.SIGKILL)
                return

    def _is_orphan(self) -> bool:
        if self._request.worker_start is not None:
            return has_ended(self._request.worker, self._request.worker_start)
        import psutil  # lazy: Linux does without

        return not psutil.pid_exists(self._request.worker)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        wanted = frozenset(self._request.items)
        items[:] = [item for item in items if isinstance(item, CheckItem) and item.task.key in wanted]
        _session_of(config).assembly.scheduler.measured_elsewhere = self._request.measured_elsewhere

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Write the answer, after the gate has accounted for all items."""
        yield
        if self._is_orphan():
            return
        gate = _session_of(session.config)
        answer = ServiceAnswer(
            results=tuple(gate.results),
            builds=gate.assembly.builds(),
            assumptions=gate.assembly.assumptions([result.outcome for result in gate.results]),
            runner=gate.assembly.describe_runner(),
        )
        write_atomically(Path(self._request.answer_file), to_text(answer).encode("ascii"))

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        self._is_ended.set()
        if self._is_orphan():
            shutil.rmtree(self._request.folder, ignore_errors=True)


def _session_of(config: pytest.Config) -> "GateSession":
    return cast("GateSession", config.pluginmanager.get_plugin("py312-session"))


def prepare() -> None:
    """Remember the code that is loaded now: outcomes of it are kept under its digest, also after an upgrade."""
    code_digest()


def main(arguments: list[str]) -> int:
    """Run pytest; for the fork server of a worker."""
    return int(pytest.main(arguments))


def pytest_configure(config: pytest.Config) -> None:
    file = os.environ.pop(REQUEST_VARIABLE)  # not for cells
    request = from_text(ServiceRequest, Path(file).read_text(encoding="ascii"))
    config.pluginmanager.register(ClusterServicePlugin(request), CLUSTER_SERVICE)
