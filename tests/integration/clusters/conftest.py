"""Fixtures: one API server for all tests, and a new cluster in it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clusters.api_server import ServerThread
from tests.integration.clusters.shop import SERVICES, Shop, start_shop


@pytest.fixture(scope="session")
def server_thread() -> Iterator[ServerThread]:
    with ServerThread() as thread:
        yield thread


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip fsync, as only processes are killed, and polling delays, as each request advances the cluster's clock."""
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    monkeypatch.setattr("pytest_py312.rollout.targets.kubernetes.pods.RETRY_SECONDS", 0.001)


@pytest.fixture
def shop(server_thread: ServerThread, tmp_path: Path) -> Iterator[Shop]:
    """Return a shop with three services."""
    with start_shop(server_thread, tmp_path, *SERVICES) as made:
        yield made


@pytest.fixture
def small(server_thread: ServerThread, tmp_path: Path) -> Iterator[Shop]:
    """Return a shop with one service."""
    with start_shop(server_thread, tmp_path, "auth") as made:
        yield made
