"""Connect to the target of an environment. Libraries of other targets are not imported."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

from pytest_py312.repository.plan.rollout_settings import KUBERNETES, EnvironmentSettings, RolloutSettings
from pytest_py312.rollout.targets.target import Target


def connect_target(settings: RolloutSettings, environment: str) -> AbstractContextManager[Target]:
    """Return the target of an environment, connected until the context ends.

    :raises TargetError, Py312Error: it cannot be reached, or what it needs is not installed.
    """
    return CONNECTORS[settings.deploy.target](settings.environment_settings(environment))


@contextmanager
def _docker(environment: EnvironmentSettings) -> Iterator[Target]:
    from pytest_py312.rollout.targets.docker.target import DockerTarget
    from pytest_py312.runners.docker.engine import connect

    engine = connect(environment.engine)
    try:
        yield DockerTarget(engine, address=environment.engine)
    finally:
        engine.close()


@contextmanager
def _swarm(environment: EnvironmentSettings) -> Iterator[Target]:
    from pytest_py312.rollout.targets.swarm.target import SwarmTarget
    from pytest_py312.runners.docker.engine import DockerEngine, connect

    with ExitStack() as exit_stack:

        def engine(address: str) -> DockerEngine:
            connected_engine = connect(address)
            exit_stack.callback(connected_engine.close)
            return connected_engine

        yield SwarmTarget(engine(environment.engine), engines=dict(environment.engines), connect=engine)


@contextmanager
def _kubernetes(environment: EnvironmentSettings) -> Iterator[Target]:
    from pytest_py312.rollout.targets.kubernetes.api import connect
    from pytest_py312.rollout.targets.kubernetes.target import KubernetesTarget

    cluster = connect(environment.context, environment.namespace)
    try:
        yield KubernetesTarget(cluster, require_digest=bool(environment.after))
    finally:
        cluster.close()


CONNECTORS: Mapping[str, Callable[[EnvironmentSettings], AbstractContextManager[Target]]] = {
    "docker": _docker,
    "swarm": _swarm,
    KUBERNETES: _kubernetes,
}
"""Value of ``deploy.target`` -> what connects it."""
