"""What a target can do, in seven verbs. All of them can be repeated: done twice is done once.

A rollback is always *to this container*, never "to the previous one": what was previous changes when somebody else, or
the same process before it was killed, has acted in between.

What a target says about itself and about what it keeps, for whoever looks before and after a rollout.

Not a verb: nothing is done by it, and a target that cannot tell does without. What it cannot be asked is then said to
be unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from pytest_py312.rollout.domain.model import Container, Holder, Observation, ServiceSpec, Usage


class TargetError(Exception):
    """An act was not done, or not to its end. ``str()`` says why, for people."""


class TargetLost(TargetError):
    """The target does not answer. Whether the act was done is not known."""


class TargetRefused(TargetError):
    """The target answers that it cannot."""


class TargetUnreachable(TargetError):
    """The service may be well, and cannot be asked from here. Says nothing about it."""


class Phase(Enum):
    """How far a container has come to serving."""

    STARTING = "starting"
    READY = "ready"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """Whether a container is ready to serve. ``asked`` is false where nobody can be asked, and it merely runs.

    ``again`` is after how many seconds it is worth to ask again.
    """

    phase: Phase
    asked: bool = True
    detail: str = ""
    again: float = 0.25


class Lock(Protocol):
    """One environment's lock. It lies with the target, so that all operators of it see the same one.

    It outlives the process that took it: a soak goes on between processes.
    """

    def holder(self) -> Holder | None:
        """Who holds it now. ``None``: nobody."""
        ...

    def take(self, holder: Holder, *, instead_of: Holder | None = None) -> Holder | None:
        """Take it and return ``None``; or return who holds it, and change nothing.

        :param instead_of: is replaced by ``holder`` if, and only if, it still holds it.
        """
        ...

    def release(self, holder: Holder) -> None:
        """Give it back. Where another one holds it, nothing is changed."""
        ...


@runtime_checkable
class Twinning(Protocol):
    """A target that can run the old version beside the new one. Both methods raise as those of a :class:`Target`."""

    def twin(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        """Start another container that is set up like ``old``, which nobody is led to who does not ask for it.

        One that is left of this service is thrown away.
        """
        ...

    def remove_twin(self, spec: ServiceSpec, *, run: str) -> None:
        """Remove what :meth:`twin` has made for ``run``; nothing to remove is fine. ``restore`` does so, too."""
        ...


@runtime_checkable
class Meeting(Protocol):
    """A target whose containers can be told to do something, for one another. All raise as a :class:`Target` does."""

    def execute(self, container: Container, argv: Sequence[str], *, limit: float) -> tuple[int, str]:
        """See :class:`~pytest_py312.rollout.monitoring.health_probes.Executing`."""
        ...

    def stand_in(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        """Start a container that is set up like ``old`` and does nothing, so that it can be told to.

        It is gone by itself after a while; :meth:`dismiss` ends it.
        """
        ...

    def dismiss(self, container: Container) -> None:
        """End a stand-in."""
        ...

    def met(self, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
        """Host and port by which ``caller`` reaches ``spec.port`` of ``callee``.

        :raises TargetUnreachable: they are in no network together.
        """
        ...


class Target(Protocol):
    """A place where containers serve. All methods raise :class:`TargetLost` and :class:`TargetRefused`."""

    name: str

    def identity(self) -> str:
        """Which place this is, in words that no other place has and that stay. Not a verb.

        Empty where it does not tell.
        """
        ...

    def image_id(self, reference: str) -> str:
        """The id of an image that is there. Not a verb: it only looks a name up.

        :raises TargetRefused: it is not there.
        """
        ...

    def observe(self, spec: ServiceSpec) -> Observation | None:
        """What serves under the service's name, with the interpreters that its processes were asked for.

        ``None`` where nothing of that name is there.
        """
        ...

    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        """Make a container of ``image`` that is set up like the one that serves now. It does not serve yet.

        One that the same run has made before is thrown away.
        """
        ...

    def switch(self, spec: ServiceSpec, container: Container) -> None:
        """Let ``container``, and no other, serve under the service's name. What served before is stopped and kept."""
        ...

    def ready(self, spec: ServiceSpec, container: Container) -> Readiness:
        """How far ``container`` has come, asked once."""
        ...

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        """Let ``old`` serve again, and remove what ``run`` has made; ``None``: nothing served before.

        What serves is not stopped before it is certain that ``old``, or its image, is there.

        :returns: the last lines that the removed ones had logged.
        """
        ...

    def sample(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        """What ``container`` used, and what it logged ``since`` (seconds since the epoch)."""
        ...

    def lock(self, environment: str) -> Lock:
        """The lock of an environment."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """An engine. ``host`` and ``kernel`` are those of its machine, ``root`` is its data folder there.

    ``time`` is its clock, in seconds since the epoch; ``None`` where it does not tell. ``live_restore`` is whether
    containers go on while the engine is away.
    """

    name: str
    version: str
    host: str = ""
    kernel: str = ""
    root: str = ""
    cgroup: str = ""
    live_restore: bool = False
    swarm: str = ""
    is_manager: bool = False
    """Whether a swarm can be told anything through it."""
    time: float | None = None
    is_beside: bool = False
    """Whether it is spoken to over a socket of this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """An image that is there. ``python`` is what its maker wrote into it; empty where he did not, and never a proof."""

    id: str
    python: str = ""


@runtime_checkable
class Inspectable(Protocol):
    """A target that can be asked. All methods raise as those of a target do."""

    def engine_facts(self) -> EngineFacts:
        """The engine behind it."""
        ...

    def image_facts(self, reference: str) -> ImageFacts | None:
        """An image by its name or id; ``None`` where it is not there."""
        ...


@runtime_checkable
class Measuring(Protocol):
    """A target that may be without what tells processor and memory. Raises as a target does."""

    def unmeasured(self) -> str:
        """Why they are not told; empty where they are."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A target that can be asked whether it still has what served before. Raises as a target does."""

    def keeps(self, spec: ServiceSpec, container: Container) -> bool:
        """Whether ``container`` is there, serving or not, so that a rollback can go to it."""
        ...
