"""What a swarm is asked for, as documents of its API: the spec of a service on the new image, and what names a spec.

Pure. A spec has no id of its own in a swarm, and its version number counts every change of anything. So the id is a
digest of the template that its tasks are made of: each task carries that template, and so can tell what it is.
"""

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.targets.docker.container_config import labels_of
from pytest_py312.rollout.targets.labels import RUN_LABEL, Said
from pytest_py312.rollout.targets.target import TargetRefused

ROLLBACK_MONITOR = 5.0
"""Seconds that the engine watches each task of a way back of its own; what comes of it is for us to verify."""
CHECK_INTERVAL = 10.0
CHECK_LIMIT = 5.0
"""Seconds for one health check. Each starts a Python: on a busy machine one second ended healthy services."""
CHECK_RETRIES = 3
START_INTERVAL_API = (1, 44)
"""Engines before this version of the API know no shorter interval for the start."""

_NANOSECONDS = 1_000_000_000
_UNTOLD = {"Runtime": "container", "Isolation": "default"}
"""What the engine writes into a service and not into its tasks, or into what it was not asked for."""
_CHECK = (
    'exec "$(command -v python3 || command -v python)" -c '
    "'import urllib.request as u; "
    # a proxy that the service has for the world outside does not know it by this address
    'u.build_opener(u.ProxyHandler({{}})).open("http://127.0.0.1:{port}{path}", timeout={limit:g})\''
)
_OURS = ("TaskTemplate", "UpdateConfig", "RollbackConfig")
"""What a rollout changes of a spec. Scale, ports and labels stay what they have become meanwhile."""


def nanoseconds(seconds: float) -> int:
    """As the API wants durations: whole numbers only."""
    return round(seconds * _NANOSECONDS)


def id_of(name: str, template: Said) -> str:
    """What names this template of the service ``name``: 32 hex digits.

    With the name, since services may be the same but for that. What is empty counts as what is not there.
    """
    text = json.dumps([name, _bare(template)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _bare(value: Any) -> Any:
    if isinstance(value, Mapping):
        found = {key: _bare(item) for key, item in value.items() if _UNTOLD.get(key) != item}
        return {key: item for key, item in found.items() if item}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    return value or None


def image_in(template: Said) -> str:
    return str((template.get("ContainerSpec") or {}).get("Image", ""))


def run_in(template: Said) -> str:
    """The run that made this template; empty where it was somebody else."""
    labels = (template.get("ContainerSpec") or {}).get("Labels") or {}
    return str(labels.get(RUN_LABEL, ""))


def starts_first(spec: Said, host_networks: frozenset[str]) -> bool:
    """Whether two versions can run at once on one node.

    With a port of the node they cannot: the engine would wait for ever for that port, in an update that never fails.

    :param host_networks: names and ids of the network that is the node's own.
    """
    if any(port.get("PublishMode") == "host" for port in (spec.get("EndpointSpec") or {}).get("Ports") or ()):
        return False
    networks = (spec.get("TaskTemplate") or {}).get("Networks") or spec.get("Networks") or ()
    return not any(network.get("Target") in host_networks for network in networks)


def wanted_in(spec: Said) -> int | None:
    """How many tasks are to run; ``None``: one on each node that is fit for it.

    :raises TargetRefused: it is a job, which ends by itself.
    """
    mode = spec.get("Mode") or {}
    if "Global" in mode:
        return None
    if "Replicated" not in mode:
        raise TargetRefused(f"{spec.get('Name')} is a job, which ends by itself: there is nothing to watch")
    return int((mode["Replicated"] or {}).get("Replicas", 1))


def way_of(spec: Said, config: str, *, action: str, monitor: float, first: bool) -> dict[str, Any]:
    """How tasks are replaced, with nothing left to what an engine or a client takes for granted."""
    given = spec.get(config) or {}
    return {
        "Parallelism": int(given.get("Parallelism") or 1),
        "Delay": int(given.get("Delay") or 0),
        "FailureAction": action,
        "Monitor": nanoseconds(monitor),
        "MaxFailureRatio": 0,
        "Order": "start-first" if first else "stop-first",
    }


def updated(
    current: Said,
    spec: ServiceSpec,
    *,
    image: str,
    run: str,
    first: bool,
    is_checked: bool,
    api: tuple[int, ...] = START_INTERVAL_API,
) -> dict[str, Any]:
    """The spec of a service on another image.

    :param first: whether a new task starts before the old one of its place is stopped.
    :param is_checked: whether the image checks its health itself. Else, where the plan tells how, the spec does: for
        an engine a task without a check is well as soon as it is started.
    :param api: version of the engine's API.
    """
    made = copy.deepcopy(dict(current))
    container = made["TaskTemplate"]["ContainerSpec"]
    container["Image"] = image
    container["Labels"] = {**(container.get("Labels") or {}), **labels_of(spec, run)}
    if not is_checked and not container.get("Healthcheck") and spec.health and spec.port:
        container["Healthcheck"] = check_of(spec, api)
    action = "rollback" if spec.monitor else "pause"
    made["UpdateConfig"] = way_of(current, "UpdateConfig", action=action, monitor=spec.monitor, first=first)
    made["RollbackConfig"] = way_of(current, "RollbackConfig", action="pause", monitor=ROLLBACK_MONITOR, first=first)
    return made


def check_of(spec: ServiceSpec, api: tuple[int, ...]) -> dict[str, Any]:
    """A health check that asks the service itself, from inside."""
    check: dict[str, Any] = {
        "Test": ["CMD-SHELL", _CHECK.format(port=spec.port, path=spec.health, limit=CHECK_LIMIT - 1)],
        "Interval": nanoseconds(CHECK_INTERVAL),
        "Timeout": nanoseconds(CHECK_LIMIT),
        "Retries": CHECK_RETRIES,
        "StartPeriod": nanoseconds(spec.ready_timeout),
    }
    if api >= START_INTERVAL_API:
        check["StartInterval"] = nanoseconds(1.0)
    return check


def going_back(current: Said, old: Said, *, first: bool) -> dict[str, Any]:
    """The spec by which a service goes back to the template of ``old``."""
    way = way_of(old, "UpdateConfig", action="pause", monitor=ROLLBACK_MONITOR, first=first)
    return {**current, "TaskTemplate": old["TaskTemplate"], "UpdateConfig": way}


def with_ours(current: Said, stored: Said) -> dict[str, Any]:
    """``current`` with what a rollout changes taken from ``stored``."""
    kept = {key: value for key, value in current.items() if key not in _OURS}
    return {**kept, **{key: stored[key] for key in _OURS if stored.get(key)}}


def first_spec(spec: ServiceSpec, *, image: str, run: str, network: str, api: tuple[int, ...]) -> dict[str, Any]:
    """The spec of a service that nothing has served before.

    :param network: id of the one that it is to be in; empty is none.
    :raises TargetRefused: it is to be published on an address of its own.
    """
    ports = []
    for address, inside in spec.publish:
        host, _, port = address.rpartition(":")
        if host not in ("", "0.0.0.0"):
            raise TargetRefused(f"a swarm publishes on every address of its nodes, not on {host} alone; write {port}")
        ports.append({"Protocol": "tcp", "TargetPort": inside, "PublishedPort": int(port), "PublishMode": "ingress"})
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
    return updated(base, spec, image=image, run=run, first=True, is_checked=False, api=api)
