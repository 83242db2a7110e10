"""The nouns of a rollout: what a stage, a sample and an act are. Frozen values that do nothing.

Words: a *run* is one attempt to bring a stage into service in one environment; a *container* is whatever the target
runs for a service and names by an id that never comes again; an *intent* is an act that was written down before it was
begun; a *measurement* is one answer of one metric, a *sample* all answers about one service at one moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from pytest_py312.core.model.findings import Interpreter

CONTRACT = "contract"
"""Begins the name of the metric of a contract, before its edge."""


class StageState(Enum):
    """Where a stage stands in an environment. Only *accepted* is a stage that is done."""

    PLANNED = "planned"
    LOCKED = "locked"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    SOAKING = "soaking"
    SOAKED = "soaked"
    ACCEPTED = "accepted"
    HELD = "held"
    """Something needs a person's decision; the new version stays up and is watched on."""
    ROLLING_BACK = "rolling back"
    ROLLED_BACK = "rolled back"
    ROLLBACK_FAILED = "rollback failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done unless somebody asks for it."""
        return self in (StageState.ACCEPTED, StageState.ROLLED_BACK)


class Verdict(Enum):
    """What may be said of a stage, apart from what it is doing. Inconclusive never counts as passed."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Result(Enum):
    """How one measurement ended.

    An *error* is trouble of the measuring (no engine, no Prometheus) and never the service's; *inconclusive* is an
    answer that meets neither the success nor the failure condition, or the lack of one.
    """

    SUCCESSFUL = "successful"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class Severity(Enum):
    """How bad a breach is: *severe* is an outage or what leads to one, *minor* a change for the worse."""

    SEVERE = "severe"
    MINOR = "minor"


class Reaction(Enum):
    """What a breach leads to."""

    ROLL_BACK = "roll back"
    HOLD = "hold"
    RECORD = "record"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A moment as three clocks tell it.

    ``wall`` is seconds since the epoch and may jump; ``boottime`` is seconds since the machine ``boot`` was started,
    sleep included, and never jumps.
    """

    wall: float
    boottime: float
    boot: str

    def since(self, earlier: "Moment") -> float | None:
        """Seconds from ``earlier`` to this one, by the clock that cannot jump; ``None`` over a restart."""
        return self.boottime - earlier.boottime if self.boot == earlier.boot else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One answer. ``detail`` is the evidence: the question, the limit it broke, or what kept it from an answer."""

    metric: str
    result: Result
    value: float | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """All measurements of one service at one moment.

    ``slot`` counts the soak's schedule from 1; a slot has one sample, whoever takes it.
    """

    service: str
    slot: int
    at: Moment
    measurements: tuple[Measurement, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether this sample may count towards the soak: something was measured, and nothing was other than well."""
        return bool(self.measurements) and all(each.result is Result.SUCCESSFUL for each in self.measurements)


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """What a target runs, or keeps, for a service. ``image`` is the image's id, not a name that may move."""

    id: str
    image: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What a target says of the container that serves.

    ``started_at`` is as the target writes it; it changes with every restart. ``health`` is ``healthy``, ``unhealthy``,
    ``starting``, or empty where nobody checks. ``interpreters`` are those of all its processes, asked of themselves;
    empty where none told.
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
    """What the target has brought back by itself, or stopped half way, in its words; empty where it has not."""

    @property
    def interpreter(self) -> Interpreter | None:
        """The one it runs on; ``None`` where that is not one, or not known."""
        return self.interpreters[0] if len(self.interpreters) == 1 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What a container used, as one reading. ``cpu_seconds`` grows until a restart, ``memory`` is in bytes.

    ``cores`` are those in use, where a target tells them and no counter. What it cannot tell is ``None``, and
    ``unmeasured`` says why. ``log`` are the lines since the last reading, ``log_lost`` whether there may have been
    more.
    """

    cpu_seconds: float | None
    memory: int | None
    restarts: int
    out_of_memory: bool
    cores: float | None = None
    unmeasured: str = ""
    started_at: str = ""
    log: tuple[str, ...] = ()
    log_lost: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSpec:
    """What a target has to know to serve something: names and addresses, nothing that a verdict depends on.

    ``container`` is the name on the engine. ``port`` is the one inside the container that ``health`` and ``version``
    (paths of HTTP, may be empty) are asked on. ``create`` are settings for a service that nothing served before.
    """

    service: str
    container: str
    port: int = 0
    health: str = ""
    version: str = ""
    grpc: str | None = None
    """What the health service of gRPC is asked about, on ``port``; empty: the whole server, ``None``: nothing."""
    health_command: tuple[str, ...] = ()
    """Run in the container; it is well where that ends with 0."""
    network: str = ""
    publish: tuple[tuple[str, int], ...] = ()
    """(host address and port, port inside): of a service that is deployed for the first time."""
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_timeout: float = 30.0
    readiness_delay: float = 7.0
    monitor: float = 60.0
    """Seconds for which the target's own rollback watches, where it has one."""
    drain: float = 30.0
    retain: int = 5
    """How many containers of earlier runs are kept, of those that served."""
    namespace: str = ""
    """Where it lies in a cluster; empty is the environment's."""
    pod_container: str = ""
    """Which container of its pods is the service's, where they have several. ``container`` is its Deployment then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A service's way there and back: what served before, what was made, and which of both should serve.

    ``old`` is ``None`` where nothing served before; ``observed`` tells that from not having looked yet.
    ``restored`` is whether the old one was brought back and proven to serve.
    """

    spec: ServiceSpec
    """As it was when the run began: a plan that was changed since must not lead a rollback astray."""
    image: str
    """Id of the new image."""
    observed: bool = False
    old: Container | None = None
    old_interpreter: Interpreter | None = None
    new: Container | None = None
    switched: bool = False
    ready: bool = False
    verified: bool = False
    restored: bool = False
    stranger: str = ""
    """What somebody else has put there before anything was switched; it is left as it is. Empty: nothing."""
    wants_twin: bool = False
    """Whether the old version is to run beside the new one while that is watched."""
    twin: Container | None = None
    no_twin: str = ""
    """Why there is none, where one is wanted and was tried."""
    twin_removed: bool = False

    @property
    def may_have_twin(self) -> bool:
        """Whether something of a twin may be left on the target."""
        return (self.twin is not None or bool(self.no_twin)) and not self.twin_removed

    @property
    def service(self) -> str:
        return self.spec.service


class Act(Enum):
    """What is done to a target. Each is written down as an intent before it is begun, and can be repeated."""

    OBSERVE = "observe"
    PREPARE = "prepare"
    SWITCH = "switch"
    READY = "ready"
    VERIFY = "verify"
    TWIN = "run the old version beside"
    UNTWIN = "remove the old version beside"
    RESTORE = "restore"


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """An act that is about to be done. Where no event follows that says how it ended, it may be done or not."""

    act: Act
    service: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who holds an environment, so that the next one can be told, and a dead one be recognised.

    ``process`` is the process as :class:`~pytest_py312.core.process_identity.Owner` writes it: boot, namespace, user,
    number, start. ``journal`` tells one journal from all others: who holds the same one can finish what was begun.
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
class StageRun:
    """One attempt to bring a stage into service, as far as it has come. Changed by :mod:`.state_machine` only.

    ``soak`` is how many seconds of good samples are wanted, ``credited`` how many there are. ``configuration`` is a
    digest of all settings of the plan that the verdict depends on; what was ``asked`` is no part of it.
    """

    run: str
    environment: str
    stage: int
    target: Interpreter
    deployments: tuple[Deployment, ...]
    """In the order in which they are deployed."""
    soak: float
    configuration: str = ""
    asked: Mapping[str, float] = field(default_factory=dict)
    """What of the soak a command line has settled instead of the plan: ``duration``, ``interval``."""
    planned: Mapping[str, float] = field(default_factory=dict)
    """What the plan says of the same; nothing where a run was begun before that was written down."""
    state: StageState = StageState.PLANNED
    credited: float = 0.0
    verdict: Verdict = Verdict.PENDING
    reason: str = ""
    """Why it is held, was rolled back or could not be; empty while all is well."""
    scope: tuple[str, ...] = ()
    """Services that are, or were, rolled back; empty is all of them."""
    unrestored: tuple[str, ...] = ()
    """Services whose old version could not be brought back."""
    held_for: tuple[str, ...] = ()
    """What a person has to decide about, as :attr:`Breach.key`."""
    decided: tuple[str, ...] = ()
    """What a person has accepted, and need not be asked about again."""
    first_slot: int = 1
    """Samples of earlier slots no longer count: something else was serving."""
    stale: str = ""
    """Why an acceptance no longer counts; empty where it does."""
    needs_drill: bool = False
    """Whether its way back has to have been drilled before it may begin, where others come before its environment."""
    is_drill: bool = False
    """Whether it is deployed only to be rolled back; it never counts as accepted."""
    contracts: tuple[str, ...] = ()
    """``caller->callee`` of all that services of the stage rely on each other for."""
    kept: tuple[str, ...] = ()
    """Those of them that were tried and hold."""
    place: str = ""
    """Where the environment lay, as the target called it; empty where that did not tell."""
    shares: tuple[str, ...] = ()
    """Other environments that may lie in that very place, as the plan says."""
    drill: str = ""
    """What came of a drill: ``passed``, ``failed``, or empty while it is none or not over."""

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(one.service for one in self.deployments)

    @property
    def images(self) -> Mapping[str, str]:
        """Service -> id of the new image."""
        return {one.service: one.image for one in self.deployments}

    @property
    def is_up(self) -> bool:
        """Whether a new version of it may be serving, as far as is known here."""
        if self.state is StageState.ROLLED_BACK:
            return any(one.switched for one in self.deployments)  # a part of it was rolled back only
        return self.state not in (StageState.PLANNED, StageState.LOCKED)

    @property
    def has_touched(self) -> bool:
        """Whether anything may have been changed for it: one that ended while it still looked around has not."""
        return self.state is not StageState.ROLLED_BACK or all(one.observed for one in self.deployments)

    @property
    def is_completed(self) -> bool:
        """Whether later stages may build on this one."""
        return self.state is StageState.ACCEPTED and not self.stale and not self.is_drill

    @property
    def untried(self) -> tuple[str, ...]:
        """Contracts of which nobody knows whether they hold, and for which no person has answered."""
        answered = {key.partition(f": {CONTRACT} ")[2] for key in self.decided}
        return tuple(edge for edge in self.contracts if edge not in self.kept and edge not in answered)

    def __getitem__(self, service: str) -> Deployment:
        for one in self.deployments:
            if one.service == service:
                return one
        raise KeyError(service)

    def with_deployment(self, service: str, **changes: object) -> "StageRun":
        """The same with ``changes`` to the deployment of ``service``."""
        changed = replace(self[service], **changes)  # type: ignore[arg-type]  # names are those of the fields
        return replace(self, deployments=tuple(changed if one.service == service else one for one in self.deployments))


@dataclass(frozen=True, kw_only=True, slots=True)
class Breach:
    """A limit that was broken, confirmed. ``reaction`` is settled by the plan and by who is concerned."""

    service: str
    metric: str
    severity: Severity
    reaction: Reaction
    detail: str

    @property
    def key(self) -> str:
        """The same for the same trouble of the same service."""
        return f"{self.service}: {self.metric}"
