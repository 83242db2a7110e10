"""Images for the services of these tests."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pytest_py312.runners.docker.engine import connect
from tests.integration.rollouts.private_engines import lack_of_namespaces
from tests.integration.rollouts.services import Place, built, place
from tests.integration.rollouts.swarm_places import Swarm, swarm


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    engine = connect()
    try:
        return {
            "3.9": built(engine, "3.9"),
            "3.11": built(engine, "3.11"),
            "3.12": built(engine, "3.12"),
            "3.12 sick": built(engine, "3.12", "sick"),
            "3.12 crash": built(engine, "3.12", "crash"),
            "3.12 errs": built(engine, "3.12", "errs"),
        }
    finally:
        engine.close()


@pytest.fixture
def a_place(tmp_path: Path, images: dict[str, str]) -> Callable[..., AbstractContextManager[Place]]:
    """Makes a place with the services it is given."""
    return lambda *services: place(tmp_path, images, *services)


@pytest.fixture
def here(a_place: Callable[..., AbstractContextManager[Place]]) -> Iterator[Place]:
    """Three services."""
    with a_place() as made:
        yield made


@pytest.fixture(scope="session")
def one_swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    reason = lack_of_namespaces()
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with swarm(tmp_path_factory.mktemp("swarm")) as made:
        yield made
