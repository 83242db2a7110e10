"""One server for all tests of clusters, and a new cluster in it for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clusters.api_server import Running
from tests.integration.clusters.shop import SERVICES, Shop, shop


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    with Running() as found:
        yield found


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is killed here, not a machine; and on the cluster's side time passes with each question."""
    monkeypatch.setattr("pytest_py312.core.database.SYNCHRONOUS", "OFF")
    monkeypatch.setattr("pytest_py312.rollout.targets.kubernetes.pods.AGAIN", 0.001)


@pytest.fixture
def here(running: Running, tmp_path: Path) -> Iterator[Shop]:
    """With three services."""
    with shop(running, tmp_path, *SERVICES) as made:
        yield made


@pytest.fixture
def small(running: Running, tmp_path: Path) -> Iterator[Shop]:
    """With one service."""
    with shop(running, tmp_path, "auth") as made:
        yield made
