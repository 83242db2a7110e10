"""Service specs of a swarm: ids, and the specs for a new image, a rollback and a first deployment. Pure.

A spec has no id of its own, and a service's version number changes with every update of anything. So the id is a digest
of the task template. Each task carries its template, which shows the spec it was created from.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.targets.common import RUN_LABEL, JsonObject
from pytest_py312.rollout.targets.docker.container_config import ownership_labels
from pytest_py312.rollout.targets.target import TargetRefused

ROLLBACK_MONITOR = 5.0
"""Seconds for which the engine monitors each task of its own rollback; the result is verified separately."""
CHECK_INTERVAL = 10.0
CHECK_TIMEOUT = 5.0
"""Seconds for one health check. It starts a Python: with one second, healthy services failed on a busy machine."""
CHECK_RETRIES = 3
START_INTERVAL_API = (1, 44)
"""First version of the API that supports a shorter interval during the start."""

_NANOSECONDS = 1_000_000_000
_ENGINE_DEFAULTS = {"Runtime": "container", "Isolation": "default"}
"""Values that the engine adds to a service but not to its tasks, or without being asked."""
_CHECK_COMMAND = (
    'exec "$(command -v python3 || command -v python)" -c '
    "'import urllib.request as u; "
    # a proxy for outgoing requests of the service must not be used for its own address
    'u.build_opener(u.ProxyHandler({{}})).open("http://127.0.0.1:{port}{path}", timeout={limit:g})\''
)
_MANAGED_FIELDS = ("TaskTemplate", "UpdateConfig", "RollbackConfig")
"""Fields that a rollout changes. Scale, ports and labels keep changes that others make meanwhile."""


def nanoseconds(seconds: float) -> int:
    """Convert to the API's integer durations."""
    return round(seconds * _NANOSECONDS)


def template_id(name: str, template: JsonObject) -> str:
    """Return the id of a task template of the service ``name`` (32 hex digits).

    The name is included because services may otherwise be equal. Empty fields count as missing.
    """
    text = json.dumps([name, _without_defaults(template)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _without_defaults(value: Any) -> Any:
    if isinstance(value, Mapping):
        explicit = {key: _without_defaults(item) for key, item in value.items() if _ENGINE_DEFAULTS.get(key) != item}
        return {key: item for key, item in explicit.items() if item}
    if isinstance(value, list | tuple):
        return [_without_defaults(item) for item in value]
    return value or None


def template_image(template: JsonObject) -> str:
    return str((template.get("ContainerSpec") or {}).get("Image", ""))


def template_run(template: JsonObject) -> str:
    """Return the run that created a template; empty if it was not created by this tool."""
    labels = (template.get("ContainerSpec") or {}).get("Labels") or {}
    return str(labels.get(RUN_LABEL, ""))


def can_start_first(spec: JsonObject, host_networks: frozenset[str]) -> bool:
    """Return whether two versions can run at once on one node.

    With a port or the network of the node they cannot: the engine would wait forever for the port, in an update that
    never fails.

    :param host_networks: names and ids of the host network.
    """
    if any(port.get("PublishMode") == "host" for port in (spec.get("EndpointSpec") or {}).get("Ports") or ()):
        return False
    networks = (spec.get("TaskTemplate") or {}).get("Networks") or spec.get("Networks") or ()
    return not any(network.get("Target") in host_networks for network in networks)


def desired_replicas(spec: JsonObject) -> int | None:
    """Return the desired number of tasks; ``None`` for a global service with one task per eligible node.

    :raises TargetRefused: the service is a job, which ends by itself.
    """
    mode = spec.get("Mode") or {}
    if "Global" in mode:
        return None
    if "Replicated" not in mode:
        raise TargetRefused(f"{spec.get('Name')} is a job, which ends by itself, so there is nothing to monitor")
    return int((mode["Replicated"] or {}).get("Replicas", 1))


def update_settings(
    spec: JsonObject, config_key: str, *, action: str, monitor: float, start_first: bool
) -> dict[str, Any]:
    """Return how tasks are replaced, with every field set, so that no default of engine or client applies."""
    current = spec.get(config_key) or {}
    return {
        "Parallelism": int(current.get("Parallelism") or 1),
        "Delay": int(current.get("Delay") or 0),
        "FailureAction": action,
        "Monitor": nanoseconds(monitor),
        "MaxFailureRatio": 0,
        "Order": "start-first" if start_first else "stop-first",
    }


def updated_spec(
    current: JsonObject,
    spec: ServiceSpec,
    *,
    image: str,
    run: str,
    start_first: bool,
    image_has_health_check: bool,
    api_version: tuple[int, ...] = START_INTERVAL_API,
) -> dict[str, Any]:
    """Return the spec of a service with another image.

    :param start_first: whether a new task starts before the previous task of its slot stops.
    :param image_has_health_check: whether the image defines a health check. If not, the spec gets one from the plan's
        health path, because the engine considers a task without a check as healthy once it has started.
    :param api_version: version of the engine's API.
    """
    new_spec = copy.deepcopy(dict(current))
    container = new_spec["TaskTemplate"]["ContainerSpec"]
    container["Image"] = image
    container["Labels"] = {**(container.get("Labels") or {}), **ownership_labels(spec, run)}
    if not image_has_health_check and not container.get("Healthcheck") and spec.health and spec.port:
        container["Healthcheck"] = health_check(spec, api_version)
    action = "rollback" if spec.monitor else "pause"
    new_spec["UpdateConfig"] = update_settings(
        current, "UpdateConfig", action=action, monitor=spec.monitor, start_first=start_first
    )
    new_spec["RollbackConfig"] = update_settings(
        current, "RollbackConfig", action="pause", monitor=ROLLBACK_MONITOR, start_first=start_first
    )
    return new_spec


def health_check(spec: ServiceSpec, api_version: tuple[int, ...]) -> dict[str, Any]:
    """Return a health check that sends an HTTP request to the service from inside the container."""
    check: dict[str, Any] = {
        "Test": ["CMD-SHELL", _CHECK_COMMAND.format(port=spec.port, path=spec.health, limit=CHECK_TIMEOUT - 1)],
        "Interval": nanoseconds(CHECK_INTERVAL),
        "Timeout": nanoseconds(CHECK_TIMEOUT),
        "Retries": CHECK_RETRIES,
        "StartPeriod": nanoseconds(spec.ready_timeout),
    }
    if api_version >= START_INTERVAL_API:
        check["StartInterval"] = nanoseconds(1.0)
    return check


def rollback_spec(current: JsonObject, old: JsonObject, *, start_first: bool) -> dict[str, Any]:
    """Return the spec that rolls a service back to the template of ``old``."""
    settings = update_settings(old, "UpdateConfig", action="pause", monitor=ROLLBACK_MONITOR, start_first=start_first)
    return {**current, "TaskTemplate": old["TaskTemplate"], "UpdateConfig": settings}


def with_managed_fields(current: JsonObject, stored: JsonObject) -> dict[str, Any]:
    """Return ``current`` with the fields that a rollout manages taken from ``stored``."""
    unmanaged = {key: value for key, value in current.items() if key not in _MANAGED_FIELDS}
    return {**unmanaged, **{key: stored[key] for key in _MANAGED_FIELDS if stored.get(key)}}


def initial_spec(
    spec: ServiceSpec, *, image: str, run: str, network: str, api_version: tuple[int, ...]
) -> dict[str, Any]:
    """Return the spec for the first deployment of a service.

    :param network: id of its network; empty for none.
    :raises TargetRefused: the plan publishes it on a single address, which a swarm cannot do.
    """
    ports = []
    for address, container_port in spec.publish:
        host, _, port = address.rpartition(":")
        if host not in ("", "0.0.0.0"):
            raise TargetRefused(f"a swarm publishes on all addresses of its nodes, not only on {host}; write {port}")
        ports.append(
            {"Protocol": "tcp", "TargetPort": container_port, "PublishedPort": int(port), "PublishMode": "ingress"}
        )
    template: dict[str, Any] = {"ContainerSpec": {"Env": [f"{key}={text}" for key, text in spec.environment.items()]}}
    if network:
        template["Networks"] = [{"Target": network}]
    base = {
        "Name": spec.container,
        "Labels": {},
        "TaskTemplate": template,
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": {"Ports": ports} if ports else {"Mode": "dnsrr"},
    }
    return updated_spec(
        base, spec, image=image, run=run, start_first=True, image_has_health_check=False, api_version=api_version
    )
