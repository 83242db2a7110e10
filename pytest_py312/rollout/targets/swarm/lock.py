"""Environment lock in a swarm, and access to configs: a lock is a config, whose name is unique for all managers."""

import hashlib
import re
from typing import Any

from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL, NamedObjectLock
from pytest_py312.rollout.targets.swarm.services import as_swarm_target_errors, is_name_taken
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, none_if_missing, translate_errors

_VALID_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,50}[A-Za-z0-9])?", re.ASCII)


def lock_name(environment: str) -> str:
    """Return the name of the lock's config, which allows at most 64 characters of a restricted set."""
    if not _VALID_NAME.fullmatch(environment):
        digest = hashlib.sha256(environment.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        environment = re.sub(r"[^A-Za-z0-9_.-]", "_", environment)[:38].strip("_.-") + f".{digest}"
    return f"py312-lock-{environment}"


class SwarmLock(NamedObjectLock):
    """Lock of an environment, visible to all managers of the swarm."""

    def __init__(self, engine: DockerEngine, environment: str) -> None:
        super().__init__(lock_name(environment), as_swarm_target_errors)
        self._engine = engine

    def _create(self, label: str) -> bool:
        return create_config(self._engine, self._name, b"held", {HOLDER_LABEL: label})

    def _read_label(self) -> tuple[str, str] | None:
        for config in list_configs(self._engine, {"name": self._name}):
            if config["Spec"]["Name"] == self._name:  # the filter matches prefixes
                return str(config["ID"]), str((config["Spec"].get("Labels") or {}).get(HOLDER_LABEL, ""))
        return None

    def _delete(self, object_id: str) -> None:
        remove_config(self._engine, object_id)


# ---- configs


def create_config(engine: DockerEngine, name: str, data: bytes, labels: dict[str, str]) -> bool:
    """Create a config; return false if one of that name exists."""
    try:
        with translate_errors():
            engine.client.create_config(name, data, labels)
    except EngineRefused as refused:
        if is_name_taken(refused):
            return False
        raise
    return True


def list_configs(engine: DockerEngine, filters: dict[str, Any]) -> list[Any]:
    """Return the matching configs, with their data in base64."""
    with translate_errors():
        matching: list[Any] = engine.client.configs(filters=filters)  # type: ignore[no-untyped-call]  # so in its stubs
    return matching


def remove_config(engine: DockerEngine, config: str) -> None:
    """Remove a config by its id if it exists."""
    none_if_missing(lambda: engine.client.remove_config(config))  # type: ignore[no-untyped-call]  # so in its stubs
