"""Environment lock on a Docker engine: a container that is never started, because container names are unique.

Volumes are no alternative: creating one with an existing name silently returns the existing volume.
"""

import re
from collections.abc import Callable

from pytest_py312.rollout.targets.docker.engine_calls import as_target_errors, inspect_container, remove_container
from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL, NamedObjectLock
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, translate_errors

NAME_CONFLICT_STATUS = 409
MAX_IMAGE_ATTEMPTS = 3
"""How many images are tried: one may be removed between choosing it and using it."""


class DockerLock(NamedObjectLock):
    """Lock of an environment on one engine. ``find_image`` returns any image for the lock's container."""

    def __init__(self, engine: DockerEngine, environment: str, find_image: Callable[[], str]) -> None:
        super().__init__(f"py312-lock-{re.sub(r'[^A-Za-z0-9_.-]', '_', environment)}", as_target_errors)
        self._engine = engine
        self._find_image = find_image

    def _create(self, label: str) -> bool:
        for attempts_left in reversed(range(MAX_IMAGE_ATTEMPTS)):
            request = {
                "Image": self._find_image(),
                "Entrypoint": ["py312-lock"],
                "Labels": {HOLDER_LABEL: label},
                "HostConfig": {"NetworkMode": "none"},
            }
            try:
                with translate_errors():
                    self._engine.client.create_container_from_config(request, name=self._name)  # type: ignore[no-untyped-call]  # so in its stubs
                break
            except EngineRefused as refused:
                if refused.status == NAME_CONFLICT_STATUS:
                    return False
                if not (refused.not_found and attempts_left):
                    raise
        return True

    def _read_label(self) -> tuple[str, str] | None:
        container_info = inspect_container(self._engine, self._name)
        if container_info is None:
            return None
        return str(container_info["Id"]), str((container_info["Config"].get("Labels") or {}).get(HOLDER_LABEL, ""))

    def _delete(self, object_id: str) -> None:
        remove_container(self._engine, object_id)
