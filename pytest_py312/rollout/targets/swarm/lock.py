"""An environment's lock in a swarm: a config object, because names of configs are unique, and all managers agree."""

import hashlib
import re
from typing import Any

from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL, NamedLock
from pytest_py312.rollout.targets.swarm.errors import in_swarm_words, is_taken
from pytest_py312.runners.docker.engine import Engine
from pytest_py312.runners.docker.errors import Refused, if_known, told_apart

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,50}[A-Za-z0-9])?", re.ASCII)


def lock_name(environment: str) -> str:
    """The name of its config. One of those may be 64 characters long, and has fewer kinds of them."""
    if not _NAME.fullmatch(environment):
        digest = hashlib.sha256(environment.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        environment = re.sub(r"[^A-Za-z0-9_.-]", "_", environment)[:38].strip("_.-") + f".{digest}"
    return f"py312-lock-{environment}"


class SwarmLock(NamedLock):
    """The lock of an environment."""

    def __init__(self, engine: Engine, environment: str) -> None:
        super().__init__(lock_name(environment), in_swarm_words)
        self._engine = engine

    def _created(self, label: str) -> bool:
        return create_config(self._engine, self._name, b"held", {HOLDER_LABEL: label})

    def _labelled(self) -> tuple[str, str] | None:
        for said in configs(self._engine, {"name": self._name}):
            if said["Spec"]["Name"] == self._name:  # the filter asks for a beginning
                return str(said["ID"]), str((said["Spec"].get("Labels") or {}).get(HOLDER_LABEL, ""))
        return None

    def _removed(self, found: str) -> None:
        remove_config(self._engine, found)


# ---- configs


def create_config(engine: Engine, name: str, data: bytes, labels: dict[str, str]) -> bool:
    """Whether it was made; it is not where there is one of that name."""
    try:
        with told_apart():
            engine.client.create_config(name, data, labels)
    except Refused as refused:
        if is_taken(refused):
            return False
        raise
    return True


def configs(engine: Engine, filters: dict[str, Any]) -> list[Any]:
    """All that the filters fit, their data in base64."""
    with told_apart():
        found: list[Any] = engine.client.configs(filters=filters)  # type: ignore[no-untyped-call]  # so in its stubs
    return found


def remove_config(engine: Engine, config: str) -> None:
    """Remove one by its id; one that is gone already is fine."""
    if_known(lambda: engine.client.remove_config(config))  # type: ignore[no-untyped-call]  # so in its stubs
