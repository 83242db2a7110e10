"""Requests that create a container with the configuration of an existing one. Pure.

Settings that a container inherited from its image are left out, so that the new container inherits those of *its*
image. Otherwise ``PYTHON_VERSION``, ``PATH`` and the command of the old image would override those of the new one.
"""

from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.targets.common import RUN_LABEL, SERVICE_LABEL, JsonObject

ROLE_LABEL = "pytest-py312.rollout.role"
CONTROL = "twin"
"""Role of a container of the previous version that runs next to the new one."""
STAND_IN = "stand-in"
"""Role of an idle container of the previous version, used to execute commands."""
CONTROL_VARIABLE = "PY312_CONTROL"
"""Environment variable that tells a service that it is a control, so that it can leave its queues alone."""

_BUILT_IN_NETWORKS = ("default", "bridge", "host", "none")
_COPIED_SETTINGS = ("Domainname", "User", "WorkingDir", "StopSignal", "StopTimeout", "Tty", "OpenStdin", "StdinOnce")
"""Settings that are copied if they differ from those of the image."""


def ownership_labels(spec: ServiceSpec, run: str) -> dict[str, str]:
    return {SERVICE_LABEL: spec.service, RUN_LABEL: run}


def request_from_container(
    container: JsonObject, container_image: JsonObject, *, spec: ServiceSpec, image: str, run: str
) -> dict[str, Any]:
    """Return the request for a container of ``image`` that is configured like ``container``.

    :param container_image: the engine's description of the image that ``container`` was created from.
    """
    config, image_config = container["Config"], container_image.get("Config") or {}
    request = {key: config[key] for key in _COPIED_SETTINGS if config.get(key) and config[key] != image_config.get(key)}
    if config.get("Entrypoint") != image_config.get("Entrypoint"):
        request |= {"Entrypoint": config.get("Entrypoint"), "Cmd": config.get("Cmd")}
    elif config.get("Cmd") != image_config.get("Cmd"):
        request["Cmd"] = config.get("Cmd")
    if config.get("Healthcheck") and config["Healthcheck"] != image_config.get("Healthcheck"):
        request["Healthcheck"] = config["Healthcheck"]
    if not str(container.get("Id", "")).startswith(str(config.get("Hostname") or "-")):
        request["Hostname"] = config["Hostname"]
    request["Env"] = [
        variable for variable in config.get("Env") or () if variable not in (image_config.get("Env") or ())
    ]
    for key in ("ExposedPorts", "Volumes"):
        request[key] = {name: {} for name in config.get(key) or {} if name not in (image_config.get(key) or {})}
    labels = {
        name: text
        for name, text in (config.get("Labels") or {}).items()
        if (image_config.get("Labels") or {}).get(name) != text
    }
    request["Labels"] = labels | ownership_labels(spec, run)
    host_config = {
        **container["HostConfig"],
        "RestartPolicy": {"Name": "unless-stopped"},
        "AutoRemove": False,
        "ContainerIDFile": "",
    }
    host_config["Binds"] = [*(host_config.get("Binds") or ()), *_anonymous_volumes(container)]
    return {
        **request,
        "Image": image,
        "HostConfig": host_config,
        "NetworkingConfig": {"EndpointsConfig": _endpoint_configs(container)},
    }


def as_control(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``request`` changed for a container that runs next to the serving one without interfering.

    It has no published ports, no network aliases, no fixed address, and none of the labels by which a proxy or a tool
    would mistake it for the service. Shared volumes are read-only.
    """
    labels, host_config = request["Labels"], dict(request["HostConfig"])
    host_config |= {"PortBindings": {}, "PublishAllPorts": False, "RestartPolicy": {"Name": "always"}}
    host_config["Binds"] = [_read_only(bind) for bind in host_config.get("Binds") or ()]
    host_config["Mounts"] = [
        entry if entry.get("Type") == "tmpfs" else {**entry, "ReadOnly": True}
        for entry in host_config.get("Mounts") or ()
    ]
    host_config["VolumesFrom"] = [
        f"{entry.removesuffix(':rw').removesuffix(':ro')}:ro" for entry in host_config.get("VolumesFrom") or ()
    ]
    networks = request["NetworkingConfig"]["EndpointsConfig"]
    return {
        **{key: value for key, value in request.items() if key not in ("Hostname", "Domainname")},
        "Env": [*request["Env"], f"{CONTROL_VARIABLE}=1"],
        "Labels": {key: labels[key] for key in (SERVICE_LABEL, RUN_LABEL)} | {ROLE_LABEL: CONTROL},
        "HostConfig": host_config,
        "NetworkingConfig": {
            "EndpointsConfig": {
                name: {key: value for key, value in endpoint.items() if key not in ("Aliases", "IPAMConfig")}
                for name, endpoint in networks.items()
            }
        },
    }


def as_stand_in(request: Mapping[str, Any], *, seconds: int) -> dict[str, Any]:
    """Return ``request`` (from :func:`as_control`) for an idle container that ends by itself after ``seconds``."""
    sleep = f"import time; time.sleep({seconds})"
    return {
        **request,
        "Entrypoint": ["python3", "-c", sleep],
        "Cmd": [],
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": request["Labels"] | {ROLE_LABEL: STAND_IN},
        "HostConfig": request["HostConfig"] | {"RestartPolicy": {"Name": "no"}, "AutoRemove": True},
    }


def _read_only(bind: str) -> str:
    """``/srv/data:/data:rw`` -> ``/srv/data:/data:ro``."""
    source, _, rest = bind.partition(":")
    inside, _, options = rest.partition(":")
    other_options = [option for option in options.split(",") if option not in ("", "rw", "ro")]
    return ":".join((source, inside, ",".join(["ro", *other_options])))


def is_auxiliary(container: JsonObject) -> bool:
    """Return whether a listed or inspected container is a control or a stand-in, which never serves."""
    labels = container.get("Labels") or (container.get("Config") or {}).get("Labels") or {}
    return bool(labels.get(ROLE_LABEL))


def _anonymous_volumes(container: JsonObject) -> list[str]:
    """Return the binds of anonymous volumes: they hold data too, so the new container mounts the same ones."""
    host_config = container["HostConfig"]
    named_targets = {bind.split(":")[1] for bind in host_config.get("Binds") or () if ":" in bind}
    named_targets |= {mount["Target"] for mount in host_config.get("Mounts") or () if "Target" in mount}
    return [
        f"{mount['Name']}:{mount['Destination']}" + ("" if mount.get("RW", True) else ":ro")
        for mount in container.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount["Destination"] not in named_targets
    ]


def _endpoint_configs(container: JsonObject) -> dict[str, Any]:
    """Return the networks of a container with its aliases, without the alias that is its own id."""
    endpoints = {}
    for name, endpoint in (container.get("NetworkSettings", {}).get("Networks") or {}).items():
        if name in _BUILT_IN_NETWORKS:
            continue
        container_id = str(container.get("Id", ""))
        aliases = [alias for alias in endpoint.get("Aliases") or () if not container_id.startswith(alias)]
        endpoints[name] = {
            key: value
            for key, value in (
                ("IPAMConfig", endpoint.get("IPAMConfig")),
                ("Links", endpoint.get("Links")),
                ("DriverOpts", endpoint.get("DriverOpts")),
                ("Aliases", aliases),
            )
            if value
        }
    return endpoints


def initial_request(spec: ServiceSpec, *, image: str, run: str) -> dict[str, Any]:
    """Return the request for the first container of a service."""
    ports: dict[str, list[dict[str, str]]] = {}
    for address, container_port in spec.publish:
        host, _, port = address.rpartition(":")
        ports.setdefault(f"{container_port}/tcp", []).append({"HostIp": host, "HostPort": port})
    endpoints = {} if spec.network in ("", *_BUILT_IN_NETWORKS) else {spec.network: {"Aliases": [spec.container]}}
    return {
        "Image": image,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": ownership_labels(spec, run),
        "ExposedPorts": {key: {} for key in ports},
        "HostConfig": {
            "PortBindings": ports,
            "NetworkMode": spec.network or "default",
            "RestartPolicy": {"Name": "unless-stopped"},
        },
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }
