"""An environment's lock on an engine: a container that is never started, because names of containers are unique.

Names of volumes are not: creating one of a name that is taken silently returns that one.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from pytest_py312.codec import decode, encode
from pytest_py312.rollout.model import Holder
from pytest_py312.rollout.targets.docker_words import in_words, remove
from pytest_py312.rollout.targets.protocol import TargetRefused
from pytest_py312.runners.docker_engine import Engine, Refused, told_apart

HOLDER_LABEL = "pytest-py312.rollout.holder"
CONFLICT = 409


class DockerLock:
    """See :class:`.protocol.Lock`. ``image`` is that of the container: any that the engine has."""

    def __init__(self, engine: Engine, environment: str, image: Callable[[], str]) -> None:
        self._engine = engine
        self._name = f"py312-lock-{re.sub(r'[^A-Za-z0-9_.-]', '_', environment)}"
        self._image = image

    @in_words()
    def holder(self) -> Holder | None:
        found = self._found()
        return found[1] if found else None

    @in_words()
    def take(self, holder: Holder, *, instead_of: Holder | None = None) -> Holder | None:
        for _ in range(3):
            if self._created(holder):
                return None
            found = self._found()
            if found is None:
                continue  # given back between the two questions
            if found[1] != instead_of:
                return found[1]
            # by its id: one that somebody else has taken meanwhile has another
            remove(self._engine, found[0])
        raise TargetRefused(f"{self._name} changes hands too quickly; try again")

    @in_words()
    def release(self, holder: Holder) -> None:
        found = self._found()
        if found is not None and found[1] == holder:
            remove(self._engine, found[0])

    def _created(self, holder: Holder) -> bool:
        request = {
            "Image": self._image(),
            "Entrypoint": ["py312-lock"],
            "Labels": {HOLDER_LABEL: json.dumps(encode(holder))},
            "HostConfig": {"NetworkMode": "none"},
        }
        try:
            with told_apart():
                self._engine.client.create_container_from_config(request, name=self._name)  # type: ignore[no-untyped-call]  # so in its stubs
        except Refused as refused:
            if refused.status == CONFLICT:
                return False
            raise
        return True

    def _found(self) -> tuple[str, Holder] | None:
        try:
            with told_apart():
                said: Any = self._engine.client.inspect_container(self._name)
        except Refused as refused:
            if refused.not_found:
                return None
            raise
        try:
            label = said["Config"]["Labels"][HOLDER_LABEL]
            return str(said["Id"]), decode(Holder, json.loads(label))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise TargetRefused(f"a container {self._name} is in the way that is no lock of ours; remove it") from error
