"""Where a plan's stages are deployed -> the target, connected. The libraries of the others are not loaded."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

from pytest_py312.repository.plan.rollout_settings import KUBERNETES, EnvironmentSettings, RolloutSettings
from pytest_py312.rollout.targets.target import Target


def connected(settings: RolloutSettings, environment: str) -> AbstractContextManager[Target]:
    """The target of an environment, until the context ends.

    :raises TargetError, Py312Error: it cannot be reached, or what it needs is not installed.
    """
    return _TARGETS[settings.deploy.target](settings.environment(environment))


@contextmanager
def _docker(where: EnvironmentSettings) -> Iterator[Target]:
    from pytest_py312.rollout.targets.docker.target import DockerTarget
    from pytest_py312.runners.docker.engine import connect

    engine = connect(where.engine)
    try:
        yield DockerTarget(engine, address=where.engine)
    finally:
        engine.close()


@contextmanager
def _swarm(where: EnvironmentSettings) -> Iterator[Target]:
    from pytest_py312.rollout.targets.swarm.target import SwarmTarget
    from pytest_py312.runners.docker.engine import Engine, connect

    with ExitStack() as opened:

        def engine(address: str) -> Engine:
            made = connect(address)
            opened.callback(made.close)
            return made

        yield SwarmTarget(engine(where.engine), engines=dict(where.engines), connect=engine)


@contextmanager
def _kubernetes(where: EnvironmentSettings) -> Iterator[Target]:
    from pytest_py312.rollout.targets.kubernetes.api import connect
    from pytest_py312.rollout.targets.kubernetes.target import KubernetesTarget

    cluster = connect(where.context, where.namespace)
    try:
        yield KubernetesTarget(cluster, pinned=bool(where.after))
    finally:
        cluster.close()


_TARGETS: Mapping[str, Callable[[EnvironmentSettings], AbstractContextManager[Target]]] = {
    "docker": _docker,
    "swarm": _swarm,
    KUBERNETES: _kubernetes,
}
