"""Environment locks on targets with uniquely named objects: creating the object of that name acquires the lock."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager

from pytest_py312.core.serialization import decode, encode
from pytest_py312.rollout.domain.target_model import LockHolder
from pytest_py312.rollout.targets.target import TargetRefused

HOLDER_LABEL = "pytest-py312.rollout.holder"


class NamedObjectLock(ABC):
    """Base of :class:`.target.EnvironmentLock` implementations; the holder is stored in a label of the object.

    ``translate_errors`` turns errors of the target's client into those of :class:`.target.Target`.
    """

    def __init__(self, name: str, translate_errors: Callable[[], AbstractContextManager[None]]) -> None:
        self._name = name
        self._translate_errors = translate_errors

    @abstractmethod
    def _create(self, label: str) -> bool:
        """Create the object with this label; return false if one of that name exists."""

    @abstractmethod
    def _read_label(self) -> tuple[str, str] | None:
        """Return id and label of the existing object, ``None`` if there is none."""

    @abstractmethod
    def _delete(self, object_id: str) -> None:
        """Delete the object with this id; do nothing if it no longer exists."""

    def holder(self) -> LockHolder | None:
        with self._translate_errors():
            id_and_holder = self._read_holder()
            return id_and_holder[1] if id_and_holder else None

    def acquire(self, holder: LockHolder, *, replacing: LockHolder | None = None) -> LockHolder | None:
        with self._translate_errors():
            for _ in range(3):
                if self._create(json.dumps(encode(holder))):
                    return None
                id_and_holder = self._read_holder()
                if id_and_holder is None:
                    continue  # it was released between the two calls
                if id_and_holder[1] != replacing:
                    return id_and_holder[1]
                # by id: an object that someone else has created meanwhile has a different one
                self._delete(id_and_holder[0])
            raise TargetRefused(f"the lock {self._name} changes its holder too often; try again")

    def release(self, holder: LockHolder) -> None:
        with self._translate_errors():
            id_and_holder = self._read_holder()
            if id_and_holder is not None and id_and_holder[1] == holder:
                self._delete(id_and_holder[0])

    def _read_holder(self) -> tuple[str, LockHolder] | None:
        id_and_label = self._read_label()
        if id_and_label is None:
            return None
        try:
            return id_and_label[0], decode(LockHolder, json.loads(id_and_label[1]))
        except (TypeError, ValueError, RecursionError) as error:
            raise TargetRefused(f"{self._name} exists but is not a lock of pytest-py312; remove it") from error
