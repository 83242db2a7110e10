"""The protocol of a deployment target: :class:`Target`, its errors, and optional abilities (``Supports...``).

All operations of a target are idempotent, so that an interrupted rollout can repeat its last step.

A rollback names the container to go back to, never "the previous version": which version is the previous one changes
when another person, or an earlier and killed process of the same rollout, has deployed in between.

The ``Supports...`` protocols are checked with ``isinstance``. Where a target lacks one, the feature is unavailable and
what it would have reported counts as unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from pytest_py312.rollout.domain.target_model import Container, LockHolder, Observation, ServiceSpec, Usage


class TargetError(Exception):
    """An operation failed or did not finish. ``str()`` is the reason, for people."""


class TargetUnavailable(TargetError):
    """The target does not answer; it is unknown whether the operation took effect."""


class TargetRefused(TargetError):
    """The target answered and refused the operation."""


class ServiceUnreachable(TargetError):
    """The service cannot be reached from this machine, which says nothing about its health."""


class ReadinessPhase(Enum):
    """Progress of a container towards serving requests."""

    STARTING = "starting"
    READY = "ready"
    BROKEN = "broken"


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """Whether a container is ready to serve.

    ``is_probed`` is false where no health check exists, so that "ready" only means that the container runs.
    ``retry_after`` is the number of seconds after which another query is worthwhile.
    """

    phase: ReadinessPhase
    is_probed: bool = True
    detail: str = ""
    retry_after: float = 0.25

    @classmethod
    def broken(cls, detail: str, *, retry_after: float = 0.25) -> "Readiness":
        return cls(phase=ReadinessPhase.BROKEN, detail=detail, retry_after=retry_after)

    @classmethod
    def starting(cls, detail: str, *, retry_after: float = 0.25) -> "Readiness":
        return cls(phase=ReadinessPhase.STARTING, detail=detail, retry_after=retry_after)


class EnvironmentLock(Protocol):
    """Lock of one environment, stored on the target so that all operators see the same one.

    It outlives the process that acquired it, because a soak continues across processes.
    """

    def holder(self) -> LockHolder | None:
        """Return the current holder, ``None`` if the lock is free."""
        ...

    def acquire(self, holder: LockHolder, *, replacing: LockHolder | None = None) -> LockHolder | None:
        """Acquire the lock and return ``None``, or return the current holder and change nothing.

        :param replacing: the holder to take the lock from; only if it still holds the lock.
        """
        ...

    def release(self, holder: LockHolder) -> None:
        """Release the lock; do nothing if someone else holds it."""
        ...


@runtime_checkable
class SupportsControl(Protocol):
    """A target that can run the previous version next to the new one, as a control. Raises like :class:`Target`."""

    def start_control(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        """Start a second container configured like ``old`` that receives no regular traffic.

        A leftover control of this service is removed first.
        """
        ...

    def remove_control(self, spec: ServiceSpec, *, run: str) -> None:
        """Remove the control of ``run`` if there is one. :meth:`Target.restore` does so as well."""
        ...


@runtime_checkable
class SupportsAddress(Protocol):
    """A target that knows the address of a container, so that the service itself can be probed."""

    def address(self, spec: ServiceSpec, container: Container) -> tuple[str, int]:
        """Return host and port under which this machine reaches ``spec.port``. Raises errors of a target."""
        ...


@runtime_checkable
class SupportsDrill(Protocol):
    """A target that can make a service fail, for a drill."""

    def stop_for_drill(self, spec: ServiceSpec, container: Container) -> None:
        """Stop all that serves ``container``, as a crash would. Raises errors of a target.

        What replaces it by itself, as in a swarm or a cluster, is stopped by the next call.
        """
        ...


@runtime_checkable
class SupportsExec(Protocol):
    """A target that can run commands in a container."""

    def execute(self, container: Container, argv: Sequence[str], *, timeout: float) -> tuple[int, str]:
        """Return exit code and the end of the output. Raises errors of a target.

        :raises TargetRefused: among others if it did not end within ``timeout`` seconds, or the program is missing.
        """
        ...


@runtime_checkable
class SupportsContracts(Protocol):
    """A target that can run commands in containers, for contract tests. Raises like :class:`Target`."""

    def execute(self, container: Container, argv: Sequence[str], *, timeout: float) -> tuple[int, str]:
        """Run a command; see :class:`SupportsExec`."""
        ...

    def start_stand_in(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        """Start an idle container configured like ``old``, in which commands can be executed.

        It ends by itself after some time; :meth:`remove_stand_in` removes it earlier.
        """
        ...

    def remove_stand_in(self, container: Container) -> None:
        """Remove a stand-in."""
        ...

    def address_for_caller(self, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
        """Return host and port under which ``caller`` reaches ``spec.port`` of ``callee``.

        :raises ServiceUnreachable: they share no network.
        """
        ...


class Target(Protocol):
    """A place where services are deployed. All methods raise :class:`TargetUnavailable` and :class:`TargetRefused`."""

    name: str

    def identity(self) -> str:
        """Return a text that identifies this target uniquely and permanently; empty if it has none."""
        ...

    def image_id(self, reference: str) -> str:
        """Return the id of an image.

        :raises TargetRefused: the target has no such image.
        """
        ...

    def observe(self, spec: ServiceSpec) -> Observation | None:
        """Return what serves under the service's name, with the Python versions its processes report.

        ``None`` if nothing of that name exists.
        """
        ...

    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        """Create a container from ``image``, configured like the serving one, without putting it into service.

        A container that the same run created earlier is removed.
        """
        ...

    def switch(self, spec: ServiceSpec, container: Container) -> None:
        """Make ``container`` the only one that serves under the service's name; stop and keep the previous one."""
        ...

    def readiness(self, spec: ServiceSpec, container: Container) -> Readiness:
        """Check once how far ``container`` has come."""
        ...

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        """Put ``old`` back into service and remove everything that ``run`` created.

        The serving container is not stopped until ``old``, or its image, is known to exist.

        :param old: ``None`` if nothing served before the run.
        :returns: the last log lines of the removed containers.
        """
        ...

    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        """Return what ``container`` used, and what it logged ``since`` a time (seconds since the epoch)."""
        ...

    def environment_lock(self, environment: str) -> EnvironmentLock:
        """Return the lock of an environment."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineInfo:
    """A container engine.

    ``host`` and ``kernel`` describe its machine, ``data_root`` is its data folder there. ``engine_time`` is its clock
    in seconds since the epoch, ``None`` if unknown. ``live_restore``: containers keep running while the engine is down.
    """

    name: str
    version: str
    host: str = ""
    kernel: str = ""
    data_root: str = ""
    cgroup_version: str = ""
    live_restore: bool = False
    swarm_state: str = ""
    is_manager: bool = False
    """Whether it is a manager of its swarm."""
    engine_time: float | None = None
    is_local: bool = False
    """Whether the connection is a socket of this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageInfo:
    """An existing image.

    ``declared_python`` is the Python version stated in its metadata, empty if there is none. It proves nothing about
    the interpreter that a process runs on.
    """

    id: str
    declared_python: str = ""


@runtime_checkable
class SupportsInspection(Protocol):
    """A target that describes its engine and images. Raises like :class:`Target`."""

    def engine_info(self) -> EngineInfo:
        """Return the engine behind the target."""
        ...

    def image_info(self, reference: str) -> ImageInfo | None:
        """Return an image by name or id, ``None`` if it does not exist."""
        ...


@runtime_checkable
class SupportsUsageCheck(Protocol):
    """A target that may be unable to measure processor and memory usage. Raises like :class:`Target`."""

    def usage_unavailable_reason(self) -> str:
        """Return why usage cannot be measured, empty if it can."""
        ...


@runtime_checkable
class SupportsInventory(Protocol):
    """A target that can check whether a previous version still exists. Raises like :class:`Target`."""

    def has_container(self, spec: ServiceSpec, container: Container) -> bool:
        """Return whether ``container`` exists, serving or not, so that a rollback to it is possible."""
        ...
