"""What a target gets to know, and what it reports: containers, their state and usage, and the holder of a lock.

A *container* is what the target runs for a service; its id is never reused. Frozen values without behaviour.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_py312.core.model.findings import Interpreter


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """A container that a target runs or keeps for a service. ``image`` is the image's id, because a name can move."""

    id: str
    image: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What a target reports about the serving container.

    ``started_at`` has the format of the target and changes with every restart. ``health`` is ``healthy``,
    ``unhealthy``, ``starting``, or empty without a health check. ``interpreters`` are those of all its processes, as
    these report them; empty if none did.
    """

    container: Container
    running: bool
    interpreters: tuple[Interpreter, ...] = ()
    started_at: str = ""
    restarts: int = 0
    exit_code: int | None = None
    out_of_memory: bool = False
    health: str = ""
    undone: str = ""
    """What the target has rolled back by itself, or stopped half-way, in its words; empty if nothing."""

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter; ``None`` if it is unknown, or not the same in all processes."""
        return self.interpreters[0] if len(self.interpreters) == 1 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Resource usage of a container at one time. ``cpu_seconds`` grows until a restart, ``memory`` is in bytes.

    ``cores`` are those in use, for targets that report them instead of a counter. What a target cannot report is
    ``None``, and ``unmeasured`` says why. ``log`` are the lines since the previous reading, ``log_lost`` whether there
    may have been more.
    """

    cpu_seconds: float | None
    memory: int | None
    restarts: int
    out_of_memory: bool
    cores: float | None = None
    memory_limit: int = 0
    """Bytes that it may use; 0 if that is unknown."""
    unmeasured: str = ""
    process_ages: tuple[float, ...] | None = None
    """Seconds since the start of each process in it, if the target knows them."""
    started_at: str = ""
    log: tuple[str, ...] = ()
    log_lost: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSpec:
    """What a target needs in order to serve a service: names and addresses, nothing that a verdict depends on.

    ``container`` is the name on the engine. ``port`` is the port of the container that ``health`` and ``version`` (HTTP
    paths, may be empty) are requested from.
    """

    service: str
    container: str
    port: int = 0
    health: str = ""
    version: str = ""
    grpc: str | None = None
    """Name of the service in gRPC health checks on ``port``; empty: the whole server, ``None``: no check."""
    health_command: tuple[str, ...] = ()
    """Health check that runs in the container; exit code 0 means healthy."""
    network: str = ""
    publish: tuple[tuple[str, int], ...] = ()
    """(host address and port, container port), for a service that is deployed for the first time."""
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_timeout: float = 30.0
    readiness_delay: float = 7.0
    monitor: float = 60.0
    """Seconds for which the target's own rollback monitors, if it has one."""
    drain: float = 30.0
    retain: int = 5
    """Number of containers of earlier runs to keep, of those that served."""
    namespace: str = ""
    """Namespace in a cluster; empty: the environment's."""
    pod_container: str = ""
    """Name of the service's container in its pods, if they have several. ``container`` is then the Deployment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockHolder:
    """The holder of an environment's lock, with what others need to name it and to detect that it is dead.

    ``process`` is written by :class:`~pytest_py312.core.process_identity.ProcessIdentity`: boot, namespace, user,
    number, start. ``journal`` identifies the journal; processes with the same one can finish what was started.
    ``since`` is in RFC 3339, UTC.
    """

    name: str
    host: str
    process: str
    journal: str
    run: str
    stage: int
    since: str

    def __str__(self) -> str:
        return f"{self.name} on {self.host} (stage {self.stage}, run {self.run}, since {self.since})"


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetAddress:
    """How to reach the target of an environment, according to the plan with which a run began.

    The fields are those of :class:`~pytest_py312.repository.plan.rollout_settings.EnvironmentSettings`; ``kind`` is the
    plan's ``deploy.target``.
    """

    kind: str
    engine: str = ""
    engines: tuple[tuple[str, str], ...] = ()
    context: str = ""
    namespace: str = ""


def format_address(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def short_image_id(image: str) -> str:
    """Return the beginning of an image's id, as messages show it."""
    return image.removeprefix("sha256:")[:12]
