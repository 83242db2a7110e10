"""An environment's lock on an engine: a container that is never started, because names of containers are unique.

Names of volumes are not: creating one of a name that is taken silently returns that one.
"""

import re
from collections.abc import Callable

from pytest_py312.rollout.targets.docker.engine_calls import in_words, inspected, remove
from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL, NamedLock
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import Refused, told_apart

CONFLICT = 409
ATTEMPTS = 3
"""With so many images a lock is tried: one may be removed between being named and being used."""


class DockerLock(NamedLock):
    """``image`` is that of the container: any that the engine has."""

    def __init__(self, engine: Engine, environment: str, image: Callable[[], str]) -> None:
        super().__init__(f"py312-lock-{re.sub(r'[^A-Za-z0-9_.-]', '_', environment)}", in_words)
        self._engine = engine
        self._image = image

    def _created(self, label: str) -> bool:
        for left in reversed(range(ATTEMPTS)):
            request = {
                "Image": self._image(),
                "Entrypoint": ["py312-lock"],
                "Labels": {HOLDER_LABEL: label},
                "HostConfig": {"NetworkMode": "none"},
            }
            try:
                with told_apart():
                    self._engine.client.create_container_from_config(request, name=self._name)  # type: ignore[no-untyped-call]  # so in its stubs
                break
            except Refused as refused:
                if refused.status == CONFLICT:
                    return False
                if not (refused.not_found and left):
                    raise
        return True

    def _labelled(self) -> tuple[str, str] | None:
        said = inspected(self._engine, self._name)
        if said is None:
            return None
        return str(said["Id"]), str((said["Config"].get("Labels") or {}).get(HOLDER_LABEL, ""))

    def _removed(self, found: str) -> None:
        remove(self._engine, found)
