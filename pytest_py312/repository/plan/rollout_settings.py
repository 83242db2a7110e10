"""The settings of a rollout: how services are deployed, how long they are monitored, and what counts as a breach.

Every setting has a default. ``[deploy]`` and ``[soak]`` of the plan override it, then the stage, then the service, then
the metric: the most specific one applies. Times are in seconds, shares are fractions (0.02 is 2 %).

The module also converts service names to names and labels of Kubernetes. It does no I/O.
"""

import hashlib
import json
import re
import string
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pytest_py312.core.service_patterns import matches

KUBERNETES = "kubernetes"
TARGETS = ("docker", "swarm", KUBERNETES)
"""Values of ``deploy.target``; ``rollout/execution/target_factory.py`` connects each of them."""

SettingsOverrides = Mapping[str, Any]
"""Field of a settings class -> the value that replaces it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfirmSettings:
    """Re-probing of a bad sample: ``probes`` probes, one every ``every`` seconds; ``bad`` bad ones confirm it."""

    probes: int = 5
    every: float = 10.0
    bad: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficRequest:
    """A kind of request of the synthetic traffic.

    Without ``errors``, those of :class:`TrafficSettings` count; without ``p95`` or ``p99``, it has no such limit.
    """

    path: str = ""
    method: str = "GET"
    body: str = ""
    content_type: str = ""
    weight: int = 1
    """How many of the requests are of this kind, relative to the weights of the others."""
    p95: float | None = None
    p99: float | None = None
    errors: float | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class TrafficSettings:
    """Synthetic traffic: ``rate`` requests per second, for ``seconds`` of each sample."""

    rate: float = 0.0
    """0: no synthetic traffic."""
    path: str = ""
    """Where all requests go if there are no ``requests``. Empty: the path of the health check."""
    requests: tuple[TrafficRequest, ...] = ()
    seconds: float = 10.0
    p95: float = 0.0
    """Limit of the 95th percentile of the latency in seconds; 0: compare with the previous version instead."""
    p99: float = 0.0
    """As ``p95``."""
    p999: float = 0.0
    """Limit of the 99.9th percentile; 0: none."""
    errors: float = 0.01
    """Share of the requests that may fail in one sample."""
    budget: float = 0.001
    """Share of the requests that may fail over the whole soak; a burn rate of 14.4 is severe."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoakSettings:
    """How a stage is monitored, and what ends the soak."""

    interval: float = 300.0
    duration: float = 48 * 3600.0
    initial_delay: float = 60.0
    """Samples of this time are not judged, because caches are cold."""
    confirm: ConfirmSettings = ConfirmSettings()
    consecutive_failure_limit: int = 3
    failure_limit: float = 0.02
    """Share of all samples of the soak that may fail."""
    inconclusive_limit: int = 3
    consecutive_error_limit: int = 4
    min_requests: int = 50
    """With fewer requests a rate is inconclusive."""
    missing: str = "inconclusive"
    """How missing data is judged: ``inconclusive``, ``fail`` or ``pass``."""
    on_severe: str = "rollback"
    """Reaction to a severe breach of a critical service: ``rollback`` or ``hold``."""
    non_critical: str = "hold"
    """Reaction to a severe breach of any other service: ``hold`` or ``rollback``."""
    worker_processes: str = "inconclusive"
    """How a process that has ended or was replaced is judged: ``inconclusive`` or ``ignore``."""
    scope: str = "stage"
    """What a rollback covers. Only ``stage`` exists: a single service is rolled back on request only."""
    load: TrafficSettings = TrafficSettings()
    control: bool = False
    """Whether a control instance of the previous version runs during the soak. It is opt-in, because a service that
    consumes a queue or runs scheduled jobs would do its work twice.
    """

    @property
    def sample_count(self) -> int:
        """Number of samples in a complete soak."""
        return max(1, round(self.duration / self.interval))


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareSettings:
    """When the new version counts as worse: the rank test is significant at ``confidence``, and the ratio exceeds
    ``max_ratio``.
    """

    test: str = "mann-whitney"
    confidence: float = 0.98
    max_ratio: float = 1.25
    min_points: int = 36
    looks: int = 2
    align: str = "same-time"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploySettings:
    """How a service is deployed and reached.

    ``image`` and ``container`` may stay empty where they follow from the target and the service's name (see
    :meth:`container_of`).
    """

    ready_timeout: float = 30.0
    readiness_delay: float = 7.0
    """Waiting time for containers without a health check."""
    monitor: float = 60.0
    drain: float = 30.0
    retain: int = 5
    target: str = "docker"
    image: str = ""
    """Reference of the new image; ``{version}`` is replaced by the target, ``{service}`` by the service's name."""
    container: str = ""
    port: int = 0
    health: str = ""
    grpc: str | None = None
    health_command: tuple[str, ...] = ()
    version: str = ""
    network: str = ""
    needs: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    """Ports such as ``127.0.0.1:8080:80``, for a service that is deployed for the first time."""
    require_drill: bool = False
    """Whether the first stage of an environment that comes after others needs a successful rollback drill."""

    deployment: str = ""
    """Kubernetes: the name of the Deployment; ``container`` is then the container's name in its pods."""
    namespace: str = ""
    """Kubernetes: the namespace, if it differs from that of the environment."""

    def container_of(self, service: str) -> str:
        """Return the service's container name on the engine (without ``/``), or its Deployment's in a cluster."""
        if self.target == KUBERNETES:
            return self.deployment or dns_label(service)
        return self.container or service.replace("/", ".")


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricSettings:
    """One monitored metric. ``success`` and ``failure`` are conditions on ``value`` (:mod:`.metric_conditions`)."""

    name: str
    provider: str
    query: str = ""
    requests: str = ""
    """Query for the number of requests behind a rate; below ``min_requests`` the rate is inconclusive."""
    budget: float = 0.0
    """Error budget of a metric that is a share of failed requests; a burn rate of 14.4 for an hour is severe."""
    success: str = ""
    failure: str = ""
    direction: str = "increase"
    critical: bool = False
    dry_run: bool = False
    window: float = 0.0
    services: tuple[str, ...] = ()
    limits: tuple[tuple[str, Any], ...] = ()
    """Fields of :class:`SoakSettings` that this metric overrides."""
    compare: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractAction:
    """What a contract runs in a container: a command, or a function of the service (``module:function``)."""

    command: tuple[str, ...] = ()
    function: str = ""

    def __bool__(self) -> bool:
        return bool(self.command or self.function)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractSettings:
    """What one service relies on another for: an answered call, or data that both can read.

    A call has either a ``path`` of ``second`` or an action to ``call``. Data is what ``write`` returns: serialized in
    ``format`` (then ``write`` is a function), or as it is.
    """

    first: str
    """The initiator: the caller, or the writer of the data."""
    second: str
    """The responder: the callee, or the reader of the data."""
    path: str = ""
    at: str = ""
    """Host and port of the callee, where the two services share no network."""
    call: ContractAction = ContractAction()
    write: ContractAction = ContractAction()
    read: ContractAction = ContractAction()
    format: str = ""
    limit: float = 10.0

    @property
    def edge(self) -> str:
        return f"{self.first}->{self.second}"

    @property
    def is_data(self) -> bool:
        return bool(self.write)

    @property
    def description(self) -> str:
        """A few words that describe the contract."""
        action = self.write if self.is_data else self.call
        return (
            f"{self.format or 'data'} of {_describe_action(action)}"
            if self.is_data
            else self.path or _describe_action(action)
        )


def _describe_action(action: ContractAction) -> str:
    return action.function or " ".join(action.command)[:80]


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptanceSettings:
    """End-to-end tests of a deployed stage: a ``command``, or a path of the repository that ``pytest`` runs."""

    name: str
    command: tuple[str, ...] = ()
    pytest: str = ""
    python: str = ""
    """Interpreter that runs pytest; empty: the one that runs this tool."""
    folder: str = ""
    """Working folder in the repository; empty: its root."""
    timeout: float = 600.0
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def description(self) -> str:
        """A few words that describe the tests."""
        return f"pytest {self.pytest}" if self.pytest else " ".join(self.command)[:80]

    def interpreter(self, root: Path) -> str:
        """Return the program that runs pytest.

        :param root: of the repository.
        """
        python = self.python or sys.executable
        return str(root / python) if "/" in python else python


@dataclass(frozen=True, kw_only=True, slots=True)
class MailSettings:
    """Who is notified by mail, and by which server (``host`` or ``host:port``)."""

    to: tuple[str, ...]
    sender: str
    server: str
    security: str = "starttls"
    """``starttls``, ``tls`` or ``none``."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        host, _, port = self.server.rpartition(":")
        return (host, int(port)) if host else (self.server, _MAIL_PORTS[self.security])


_MAIL_PORTS = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentSettings:
    """An environment that stages are deployed to. ``after`` lists those that must accept the same stage first."""

    name: str
    after: tuple[str, ...] = ()
    engine: str = ""
    """Address of the engine; empty: the default engine."""
    engines: tuple[tuple[str, str], ...] = ()
    """(swarm node, address of its engine), for all nodes but the one of :attr:`engine`."""
    context: str = ""
    """Context of the kubeconfig; empty: the current one."""
    namespace: str = ""
    """Namespace of the services and of the lock; empty: that of the context."""
    prometheus: str = ""
    """URL of Prometheus, for metrics of the provider ``prometheus``."""
    textfile: str = ""
    """Path for the textfile collector of a node exporter; empty: none is written."""
    webhooks: tuple[str, ...] = ()
    """URLs that notifications are posted to."""
    notify: tuple[tuple[str, ...], ...] = ()
    """Commands (an argv each) that get notifications on stdin."""
    slack: tuple[str, ...] = ()
    """Incoming webhooks of Slack: URLs, or ``$NAME`` of a variable that has one."""
    teams: tuple[str, ...] = ()
    """The same for workflows of Teams."""
    mail: MailSettings | None = None
    shares_target_with: tuple[str, ...] = ()
    """Environments that deliberately share the engine, swarm or namespace."""
    drill: bool = False
    """Whether rollback drills may be run there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutSettings:
    """All settings of the rollout, with the overrides of stages and services.

    A service pattern is a name, a path, or a glob of either.
    """

    deploy: DeploySettings = DeploySettings()
    soak: SoakSettings = SoakSettings()
    compare: CompareSettings = CompareSettings()
    metrics: tuple[MetricSettings, ...] = ()
    contracts: tuple[ContractSettings, ...] = ()
    acceptance: tuple[tuple[int, AcceptanceSettings], ...] = ()
    """(stage number, its acceptance tests); a stage may have several."""
    environments: tuple[EnvironmentSettings, ...] = ()
    stages: tuple[tuple[int, str, SettingsOverrides], ...] = ()
    """(stage number, section, overrides); the section is ``deploy``, ``soak`` or ``compare``."""
    services: tuple[tuple[str, str, SettingsOverrides], ...] = ()
    """(service pattern, section, overrides); the last match applies."""

    def deploy_settings_for(self, *, stage: int, name: str, path: str) -> DeploySettings:
        """Return how the service ``name`` at ``path`` is deployed in ``stage``."""
        return replace(self.deploy, **self._overrides_for("deploy", stage, name, path))

    def soak_settings_for(self, *, stage: int, name: str = "", path: str = "", metric: str = "") -> SoakSettings:
        """Return how a stage, one of its services, or one metric of a service is monitored."""
        settings = replace(self.soak, **self._overrides_for("soak", stage, name, path))
        return replace(settings, **dict(self._metric_settings(metric).limits)) if metric else settings

    def compare_settings_for(self, *, stage: int, name: str, path: str, metric: str = "") -> CompareSettings:
        """Return when the new version of a service counts as worse than the previous one."""
        settings = replace(self.compare, **self._overrides_for("compare", stage, name, path))
        return replace(settings, **dict(self._metric_settings(metric).compare)) if metric else settings

    def metrics_for(self, name: str, path: str) -> tuple[MetricSettings, ...]:
        """Return the metrics of a service."""
        return tuple(
            metric
            for metric in self.metrics
            if not metric.services or any(matches(pattern, name, path) for pattern in metric.services)
        )

    def acceptance_tests_of(self, stage: int) -> tuple[AcceptanceSettings, ...]:
        """Return the acceptance tests of a stage."""
        return tuple(tests for number, tests in self.acceptance if number == stage)

    def environment_settings(self, name: str) -> EnvironmentSettings:
        """Return the settings of an environment; defaults if the plan does not name it."""
        return next(
            (environment for environment in self.environments if environment.name == name),
            EnvironmentSettings(name=name),
        )

    def with_soak_overrides(self, stage: int, overrides: SettingsOverrides) -> "RolloutSettings":
        """Return a copy in which ``overrides`` (of a command line) apply to the soak of ``stage``, before all others.

        Overrides that equal the plan's values change nothing, and so keep the digest.
        """
        current = self.soak_settings_for(stage=stage)
        differing = {name: value for name, value in overrides.items() if getattr(current, name) != value}
        services = tuple(
            (pattern, kind, _without_names(changes, overrides) if kind == "soak" else changes)
            for pattern, kind, changes in self.services
        )
        stages = (*self.stages, (stage, "soak", differing)) if differing else self.stages
        return replace(self, stages=stages, services=services)

    @property
    def digest(self) -> str:
        """A digest of all settings (16 hex digits); any change of a setting changes it."""
        text = json.dumps(_with_recorded_names(asdict(self)), sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def _metric_settings(self, name: str) -> MetricSettings:
        return next((metric for metric in self.metrics if metric.name == name), MetricSettings(name=name, provider=""))

    def _overrides_for(self, kind: str, stage: int, name: str, path: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for number, section, changes in self.stages:
            if (number, section) == (stage, kind):
                merged |= changes
        matching = [
            (section, changes) for pattern, section, changes in self.services if name and matches(pattern, name, path)
        ]
        for changes in [changes for section, changes in matching if section == kind][-1:]:
            merged |= changes
        return merged


def _without_names(changes: SettingsOverrides, names: Collection[str]) -> SettingsOverrides:
    return {name: value for name, value in changes.items() if name not in names}


_RECORDED_NAMES = {"control": "twin", "shares_target_with": "same_place_as"}
"""Field -> its name in the digests that journals have recorded."""


_LATER_DEFAULTS = {
    "requests": (), "p99": 0.0, "p999": 0.0, "worker_processes": "inconclusive", "acceptance": (),
    "slack": (), "teams": (), "mail": None,
}  # fmt: skip
"""Fields that earlier versions did not have, with their defaults, which digests omit: otherwise a running soak would
count as one whose settings have changed. In an override (pattern, section, changes) they differ from something."""


def _with_recorded_names(value: Any, *, is_override: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            _RECORDED_NAMES.get(name, name): _with_recorded_names(item)
            for name, item in value.items()
            if is_override or _LATER_DEFAULTS.get(name, ...) != item
        }
    if not isinstance(value, list | tuple):
        return value
    has_overrides = bool(value) and not isinstance(value[0], dict)
    return [_with_recorded_names(item, is_override=has_overrides) for item in value]


LABEL_MAX_LENGTH = 63
"""Maximum length of a DNS label and of a Kubernetes label value (RFC 1123)."""
_LABEL_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-.")


def dns_label(name: str) -> str:
    """Convert ``name`` to a DNS label: lower case letters, digits and dashes, at most 63 characters.

    A digest is appended to names that are too long, or have no valid character.
    """
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if label and len(label) <= LABEL_MAX_LENGTH:
        return label
    return f"{label[:50].rstrip('-') or 'service'}-{_digest(name)[:8]}"


def label_value(service: str) -> str:
    """Encode a service's name as a label value that no other name has.

    Invalid characters are written as ``_2F`` (the hex value of each byte). A name that still is no valid value (too
    long, or with a sign at either end) becomes a digest.
    """
    value = "".join(
        character
        if character in _LABEL_CHARACTERS
        else "".join(f"_{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        for character in service
    )
    if len(value) <= LABEL_MAX_LENGTH and value[:1].isalnum() and value[-1:].isalnum():
        return value
    return f"h.{_digest(service)[:40]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
