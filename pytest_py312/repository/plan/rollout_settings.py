"""What the plan settles about a rollout: how it is deployed, how long it is watched, and what breaks a limit.

Each value has a default; ``[deploy]`` and ``[soak]`` lay theirs over it, then the stage, then the service, then the
metric, so the nearest word holds. Seconds and shares throughout: 0.02 is 2 %.

Names of services as names that a cluster takes, and back. Pure.
"""

import hashlib
import json
import re
import string
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pytest_py312.core.service_patterns import matches

KUBERNETES = "kubernetes"

Changes = Mapping[str, Any]
"""Field of a settings class -> the value that is laid over it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirm:
    """A bad sample is asked again ``probes`` times, ``every`` so many seconds; ``bad`` of them confirm it."""

    probes: int = 5
    every: float = 10.0
    bad: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficSettings:
    """Traffic that the watcher makes itself: ``rate`` requests a second of ``path`` for ``seconds`` of each sample."""

    rate: float = 0.0
    """0: none."""
    path: str = ""
    """Empty: where its health is asked."""
    seconds: float = 10.0
    p95: float = 0.0
    """Seconds that 95 of 100 requests may take; 0: as compared with the old version."""
    errors: float = 0.01
    """Share that may fail in one sample."""
    budget: float = 0.001
    """Share that may fail at all times; 14.4 times that is severe."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoakSettings:
    """How a stage is watched, and what ends it."""

    interval: float = 300.0
    duration: float = 48 * 3600.0
    initial_delay: float = 60.0
    """Not judged: caches fill."""
    confirm: Confirm = Confirm()
    consecutive_failure_limit: int = 3
    failure_limit: float = 0.02
    """Share of all samples of the soak."""
    inconclusive_limit: int = 3
    consecutive_error_limit: int = 4
    min_requests: int = 50
    """Below it a rate says nothing."""
    missing: str = "inconclusive"
    """What no data means: ``inconclusive``, ``fail`` or ``pass``."""
    on_severe: str = "rollback"
    """A severe breach of a critical service: ``rollback`` or ``hold``."""
    non_critical: str = "hold"
    """A severe breach of a service that is not critical: ``hold`` or ``rollback``."""
    scope: str = "stage"
    """What is rolled back: the ``stage``; nothing can bring a service back alone without being asked to."""
    load: TrafficSettings = TrafficSettings()
    twin: bool = False
    """Whether the old version runs beside the new one meanwhile. What works off a queue or a timetable would do so
    twice, so it is asked for."""

    @property
    def samples(self) -> int:
        """How many samples a whole soak has."""
        return max(1, round(self.duration / self.interval))


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareSettings:
    """When new is worse than old: the rank test says so with ``confidence`` and the ratio is beyond ``max_ratio``."""

    test: str = "mann-whitney"
    confidence: float = 0.98
    max_ratio: float = 1.25
    min_points: int = 36
    looks: int = 2
    align: str = "same-time"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploySettings:
    """How a stage is brought into service, and how each service is reached.

    ``image`` and ``container`` are empty where the target and the service's name say it (see :meth:`container_of`).
    """

    ready_timeout: float = 30.0
    readiness_delay: float = 7.0
    """Of a container that nobody asks for its health."""
    monitor: float = 60.0
    drain: float = 30.0
    retain: int = 5
    target: str = "docker"
    image: str = ""
    """Reference of the new image; ``{version}`` stands for the target, ``{service}`` for the service's name."""
    container: str = ""
    port: int = 0
    health: str = ""
    grpc: str | None = None
    health_command: tuple[str, ...] = ()
    version: str = ""
    network: str = ""
    needs: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    """``127.0.0.1:8080:80``, of a service that is deployed for the first time."""
    require_drill: bool = False
    """Whether the first stage of an environment that comes after others needs a way back that was drilled."""

    deployment: str = ""
    """In a cluster: the name of its Deployment; ``container`` is then that of its container in the pods."""
    namespace: str = ""
    """In a cluster: where it lies, if not where the environment does."""

    def container_of(self, service: str) -> str:
        """Its name on the engine, where a ``/`` cannot stand; in a cluster, that of its Deployment."""
        if self.target == KUBERNETES:
            return self.deployment or dns_label(service)
        return self.container or service.replace("/", ".")


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricSettings:
    """One thing that is watched. ``success`` and ``failure`` are conditions on ``value``; see
    :mod:`.metric_conditions`.
    """

    name: str
    provider: str
    query: str = ""
    requests: str = ""
    """A query for how many requests a rate is of; of fewer than ``min_requests`` it says nothing."""
    budget: float = 0.0
    """Share of requests that may fail, of a metric that is such a share: 14.4 times that for an hour is severe."""
    success: str = ""
    failure: str = ""
    direction: str = "increase"
    critical: bool = False
    dry_run: bool = False
    window: float = 0.0
    services: tuple[str, ...] = ()
    limits: tuple[tuple[str, Any], ...] = ()
    """Of :class:`SoakSettings`, for this metric alone."""
    compare: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Doing:
    """What is done in a container: a command, or a function of the service (``module:function``)."""

    command: tuple[str, ...] = ()
    function: str = ""

    def __bool__(self) -> bool:
        return bool(self.command or self.function)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractSettings:
    """What a service relies on another for: that it answers, or that what ``first`` writes ``second`` can read.

    A call has either a ``path`` of ``second`` or something to ``call``; data is what ``write`` gives, in a ``format``
    (then ``write`` is a function) or as it is.
    """

    first: str
    """The one that calls, or writes."""
    second: str
    """The one that is called, or reads."""
    path: str = ""
    at: str = ""
    """Host and port by which the one that is called is reached, where the two are in no network together."""
    call: Doing = Doing()
    write: Doing = Doing()
    read: Doing = Doing()
    format: str = ""
    limit: float = 10.0

    @property
    def edge(self) -> str:
        return f"{self.first}->{self.second}"

    @property
    def is_data(self) -> bool:
        return bool(self.write)

    @property
    def what(self) -> str:
        """What it is about, in a few words."""
        named = self.write if self.is_data else self.call
        return f"{self.format or 'data'} of {_in_words(named)}" if self.is_data else self.path or _in_words(named)


def _in_words(doing: Doing) -> str:
    return doing.function or " ".join(doing.command)[:80]


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentSettings:
    """Where a stage is deployed. ``after``: environments that have to accept the very same first."""

    name: str
    after: tuple[str, ...] = ()
    engine: str = ""
    """Address of the engine; empty is the usual one."""
    engines: tuple[tuple[str, str], ...] = ()
    """(node of a swarm, address of its engine), for all but the node of :attr:`engine`."""
    context: str = ""
    """That of the kubeconfig which reaches its cluster; empty is the current one."""
    namespace: str = ""
    """Where its services and its lock lie in the cluster; empty is that of the context."""
    prometheus: str = ""
    """Its URL, for metrics of the provider ``prometheus``."""
    textfile: str = ""
    """Path of the file that a node exporter's collector reads; empty: none is written."""
    webhooks: tuple[str, ...] = ()
    """URLs that notices are posted to."""
    notify: tuple[tuple[str, ...], ...] = ()
    """Commands (argv each) that are given notices on their stdin."""
    same_place_as: tuple[str, ...] = ()
    """Environments that lie on the same engine, swarm or namespace, on purpose."""
    drill: bool = False
    """Whether stages may be deployed there only to be rolled back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutSettings:
    """All of it, and who overrides what. A pattern of a service is its name, its path or a glob of either."""

    deploy: DeploySettings = DeploySettings()
    soak: SoakSettings = SoakSettings()
    compare: CompareSettings = CompareSettings()
    metrics: tuple[MetricSettings, ...] = ()
    contracts: tuple[ContractSettings, ...] = ()
    environments: tuple[EnvironmentSettings, ...] = ()
    stages: tuple[tuple[int, str, Changes], ...] = ()
    """(number, ``deploy``, ``soak`` or ``compare``, what it changes)."""
    services: tuple[tuple[str, str, Changes], ...] = ()
    """(pattern, ``deploy``, ``soak`` or ``compare``, what it changes); of several that fit the last holds."""

    def deploy_of(self, *, stage: int, name: str, path: str) -> DeploySettings:
        """How the service ``name`` at ``path`` is deployed in ``stage``."""
        return replace(self.deploy, **self._changes("deploy", stage, name, path))

    def soak_of(self, *, stage: int, name: str = "", path: str = "", metric: str = "") -> SoakSettings:
        """How a stage, one of its services or one metric of that is watched."""
        found = replace(self.soak, **self._changes("soak", stage, name, path))
        return replace(found, **dict(self._metric(metric).limits)) if metric else found

    def compare_of(self, *, stage: int, name: str, path: str, metric: str = "") -> CompareSettings:
        """When the new version of a service counts as worse than the old one."""
        found = replace(self.compare, **self._changes("compare", stage, name, path))
        return replace(found, **dict(self._metric(metric).compare)) if metric else found

    def metrics_of(self, name: str, path: str) -> tuple[MetricSettings, ...]:
        """What is watched of a service."""
        return tuple(
            metric
            for metric in self.metrics
            if not metric.services or any(matches(pattern, name, path) for pattern in metric.services)
        )

    def environment(self, name: str) -> EnvironmentSettings:
        """An environment that the plan does not name has no conditions."""
        return next((one for one in self.environments if one.name == name), EnvironmentSettings(name=name))

    def with_soak(self, stage: int, asked: Changes) -> "RolloutSettings":
        """These, with what a command line says of the soak of ``stage`` before what the plan says of it anywhere.

        Where that is what the plan says as well, nothing is changed, the digest included.
        """
        now = self.soak_of(stage=stage)
        wanted = {name: value for name, value in asked.items() if getattr(now, name) != value}
        services = tuple(
            (pattern, kind, _without(changes, asked) if kind == "soak" else changes)
            for pattern, kind, changes in self.services
        )
        stages = (*self.stages, (stage, "soak", wanted)) if wanted else self.stages
        return replace(self, stages=stages, services=services)

    @property
    def digest(self) -> str:
        """Changes with every setting (16 hex digits)."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def _metric(self, name: str) -> MetricSettings:
        return next((one for one in self.metrics if one.name == name), MetricSettings(name=name, provider=""))

    def _changes(self, kind: str, stage: int, name: str, path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, what, changes in self.stages:
            if (number, what) == (stage, kind):
                found |= changes
        fitting = [(what, changes) for pattern, what, changes in self.services if name and matches(pattern, name, path)]
        for changes in [changes for what, changes in fitting if what == kind][-1:]:
            found |= changes
        return found


def _without(changes: Changes, names: Collection[str]) -> Changes:
    return {name: value for name, value in changes.items() if name not in names}


LONGEST = 63
"""Characters of a DNS label, and of the value of a label (RFC 1123; Kubernetes' own rule for labels)."""
_IN_LABELS = frozenset(string.ascii_letters + string.digits + "-.")
_DIGEST = re.compile(r"h\.[0-9a-f]{40}")


def dns_label(name: str) -> str:
    """``name`` as a DNS label: small letters, digits and dashes, no longer than 63.

    Where too much of it is lost (it is too long, or nothing is left), a digest makes up for it.
    """
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if found and len(found) <= LONGEST:
        return found
    return f"{found[:50].rstrip('-') or 'service'}-{_digest(name)[:8]}"


def label_value(service: str) -> str:
    """A service's name as the value of a label, from which :func:`service_in` reads it again.

    What a label cannot hold is written as ``_2F``, the bytes of it. Where even that is no value (too long, or a sign at
    an end), it is a digest, and cannot be read again.
    """
    made = "".join(
        one if one in _IN_LABELS else "".join(f"_{byte:02X}" for byte in one.encode("utf-8", "surrogatepass"))
        for one in service
    )
    if len(made) <= LONGEST and made[:1].isalnum() and made[-1:].isalnum():
        return made
    return f"h.{_digest(service)[:40]}"


def service_in(label: str) -> str | None:
    """The service that a label names; ``None`` where it is a digest."""
    if _DIGEST.fullmatch(label):
        return None
    plain = re.sub(rb"_([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), label.encode())
    return plain.decode("utf-8", "surrogatepass")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
