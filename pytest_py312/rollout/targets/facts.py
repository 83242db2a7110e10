"""What a target says about itself and about what it keeps, for whoever looks before and after a rollout.

Not a verb: nothing is done by it, and a target that cannot tell does without. What it cannot be asked is then said to
be unknown.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pytest_py312.rollout.model import Container, ServiceSpec


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
