"""An environment's lock where a target has things whose names are unique: to make one of that name is to take it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager

from pytest_py312.core.serialization import decode, encode
from pytest_py312.rollout.domain.model import Holder
from pytest_py312.rollout.targets.target import TargetRefused

HOLDER_LABEL = "pytest-py312.rollout.holder"


class NamedLock(ABC):
    """See :class:`.target.Lock`. ``words`` turns what the target's client raises into what a target raises."""

    def __init__(self, name: str, words: Callable[[], AbstractContextManager[None]]) -> None:
        self._name = name
        self._words = words

    @abstractmethod
    def _created(self, label: str) -> bool:
        """Make it with this label; false where there is one of that name."""

    @abstractmethod
    def _labelled(self) -> tuple[str, str] | None:
        """The id of the one that is there, and its label; ``None`` where there is none."""

    @abstractmethod
    def _removed(self, found: str) -> None:
        """Remove one by its id; one that is gone already is fine."""

    def holder(self) -> Holder | None:
        with self._words():
            found = self._found()
            return found[1] if found else None

    def take(self, holder: Holder, *, instead_of: Holder | None = None) -> Holder | None:
        with self._words():
            for _ in range(3):
                if self._created(json.dumps(encode(holder))):
                    return None
                found = self._found()
                if found is None:
                    continue  # given back between the two questions
                if found[1] != instead_of:
                    return found[1]
                # by its id: one that somebody else has taken meanwhile has another
                self._removed(found[0])
            raise TargetRefused(f"{self._name} changes hands too quickly; try again")

    def release(self, holder: Holder) -> None:
        with self._words():
            found = self._found()
            if found is not None and found[1] == holder:
                self._removed(found[0])

    def _found(self) -> tuple[str, Holder] | None:
        labelled = self._labelled()
        if labelled is None:
            return None
        try:
            return labelled[0], decode(Holder, json.loads(labelled[1]))
        except (TypeError, ValueError, RecursionError) as error:
            raise TargetRefused(f"{self._name} is in the way, and is no lock of ours; remove it") from error
