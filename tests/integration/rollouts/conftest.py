"""Fixtures: images of the test services, and environments in which they serve."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pytest_py312.runners.docker.engine import connect
from tests.integration.rollouts.docker_environments import DockerEnvironment, build_image, start_environment
from tests.integration.rollouts.private_engines import namespace_obstacle
from tests.integration.rollouts.swarm_environments import Swarm, swarm


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    engine = connect()
    try:
        return {
            "3.9": build_image(engine, "3.9"),
            "3.11": build_image(engine, "3.11"),
            "3.12": build_image(engine, "3.12"),
            "3.12 sick": build_image(engine, "3.12", "sick"),
            "3.12 crash": build_image(engine, "3.12", "crash"),
            "3.12 errs": build_image(engine, "3.12", "errs"),
        }
    finally:
        engine.close()


@pytest.fixture
def make_environment(
    tmp_path: Path, images: dict[str, str]
) -> Callable[..., AbstractContextManager[DockerEnvironment]]:
    """Return a function that starts an environment with the given services."""
    return lambda *services: start_environment(tmp_path, images, *services)


@pytest.fixture
def environment(
    make_environment: Callable[..., AbstractContextManager[DockerEnvironment]],
) -> Iterator[DockerEnvironment]:
    """An environment with three services."""
    with make_environment() as made:
        yield made


@pytest.fixture(scope="session")
def shared_swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    reason = namespace_obstacle()
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with swarm(tmp_path_factory.mktemp("swarm")) as made:
        yield made
