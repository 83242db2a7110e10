"""How a new container is set up like the one that serves: what the engine says of that one, as a request for another.

Pure. What a container has from its image is left out, so that the new one has it from *its* image: copied as it
stands, ``PYTHON_VERSION`` of the old image, its ``PATH`` and its command would be forced on the new one.
"""

from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.targets.labels import RUN_LABEL, SERVICE_LABEL, Said

ROLE_LABEL = "pytest-py312.rollout.role"
TWIN = "twin"
"""Role of the old version that runs beside the new one."""
STAND_IN = "stand-in"
"""Role of a container of the old version that does nothing, and can be told to."""
TWIN_VARIABLE = "PY312_TWIN"
"""Environment variable by which a service can learn that it is a twin, and leave its queue alone."""

_PLAIN_NETWORKS = ("default", "bridge", "host", "none")
_SAME = ("Domainname", "User", "WorkingDir", "StopSignal", "StopTimeout", "Tty", "OpenStdin", "StdinOnce")
"""Settings that are copied where they are not those of the image."""


def labels_of(spec: ServiceSpec, run: str) -> dict[str, str]:
    return {SERVICE_LABEL: spec.service, RUN_LABEL: run}


def request_like(container: Said, image_of_it: Said, *, spec: ServiceSpec, image: str, run: str) -> dict[str, Any]:
    """The request for a container of ``image`` that is set up like ``container``.

    :param image_of_it: what the engine says of the image that ``container`` was made of.
    """
    mine, given = container["Config"], image_of_it.get("Config") or {}
    request = {key: mine[key] for key in _SAME if mine.get(key) and mine[key] != given.get(key)}
    if mine.get("Entrypoint") != given.get("Entrypoint"):
        request |= {"Entrypoint": mine.get("Entrypoint"), "Cmd": mine.get("Cmd")}
    elif mine.get("Cmd") != given.get("Cmd"):
        request["Cmd"] = mine.get("Cmd")
    if mine.get("Healthcheck") and mine["Healthcheck"] != given.get("Healthcheck"):
        request["Healthcheck"] = mine["Healthcheck"]
    if not str(container.get("Id", "")).startswith(str(mine.get("Hostname") or "-")):
        request["Hostname"] = mine["Hostname"]
    request["Env"] = [word for word in mine.get("Env") or () if word not in (given.get("Env") or ())]
    for key in ("ExposedPorts", "Volumes"):
        request[key] = {name: {} for name in mine.get(key) or {} if name not in (given.get(key) or {})}
    labels = {
        name: text for name, text in (mine.get("Labels") or {}).items() if (given.get("Labels") or {}).get(name) != text
    }
    request["Labels"] = labels | labels_of(spec, run)
    host = {
        **container["HostConfig"],
        "RestartPolicy": {"Name": "unless-stopped"},
        "AutoRemove": False,
        "ContainerIDFile": "",
    }
    host["Binds"] = [*(host.get("Binds") or ()), *_unnamed_volumes(container)]
    return {
        **request,
        "Image": image,
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": _networks(container)},
    }


def as_twin(request: Mapping[str, Any]) -> dict[str, Any]:
    """``request`` for a container that runs beside the one that serves and gets in its way as little as can be.

    It has no published port, no name in its networks but its own, no fixed address, none of the labels by which a proxy
    or a tool would take it for the service, and what it shares with others it can only read.
    """
    labels, host = request["Labels"], dict(request["HostConfig"])
    host |= {"PortBindings": {}, "PublishAllPorts": False, "RestartPolicy": {"Name": "always"}}
    host["Binds"] = [_read_only(bind) for bind in host.get("Binds") or ()]
    host["Mounts"] = [
        one if one.get("Type") == "tmpfs" else {**one, "ReadOnly": True} for one in host.get("Mounts") or ()
    ]
    host["VolumesFrom"] = [f"{one.removesuffix(':rw').removesuffix(':ro')}:ro" for one in host.get("VolumesFrom") or ()]
    networks = request["NetworkingConfig"]["EndpointsConfig"]
    return {
        **{key: value for key, value in request.items() if key not in ("Hostname", "Domainname")},
        "Env": [*request["Env"], f"{TWIN_VARIABLE}=1"],
        "Labels": {key: labels[key] for key in (SERVICE_LABEL, RUN_LABEL)} | {ROLE_LABEL: TWIN},
        "HostConfig": host,
        "NetworkingConfig": {
            "EndpointsConfig": {
                name: {key: value for key, value in said.items() if key not in ("Aliases", "IPAMConfig")}
                for name, said in networks.items()
            }
        },
    }


def as_stand_in(request: Mapping[str, Any], *, seconds: int) -> dict[str, Any]:
    """``request``, made by :func:`as_twin`, for a container in which nothing of the service runs, and which is gone by
    itself."""
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
    kept = [word for word in options.split(",") if word not in ("", "rw", "ro")]
    return ":".join((source, inside, ",".join(["ro", *kept])))


def stands_beside(listed: Said) -> bool:
    """Whether a container, as the engine lists it or says it, is none that serves: a twin, a stand-in."""
    labels = listed.get("Labels") or (listed.get("Config") or {}).get("Labels") or {}
    return bool(labels.get(ROLE_LABEL))


def _unnamed_volumes(container: Said) -> list[str]:
    """Volumes that nobody named hold data all the same: the new container gets the same ones."""
    host = container["HostConfig"]
    named = {bind.split(":")[1] for bind in host.get("Binds") or () if ":" in bind}
    named |= {mount["Target"] for mount in host.get("Mounts") or () if "Target" in mount}
    return [
        f"{mount['Name']}:{mount['Destination']}" + ("" if mount.get("RW", True) else ":ro")
        for mount in container.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount["Destination"] not in named
    ]


def _networks(container: Said) -> dict[str, Any]:
    """Its networks with its names in them, but for its own id, which is one of them."""
    found = {}
    for name, said in (container.get("NetworkSettings", {}).get("Networks") or {}).items():
        if name in _PLAIN_NETWORKS:
            continue
        own = str(container.get("Id", ""))
        aliases = [alias for alias in said.get("Aliases") or () if not own.startswith(alias)]
        found[name] = {
            key: value
            for key, value in (
                ("IPAMConfig", said.get("IPAMConfig")),
                ("Links", said.get("Links")),
                ("DriverOpts", said.get("DriverOpts")),
                ("Aliases", aliases),
            )
            if value
        }
    return found


def request_of(spec: ServiceSpec, *, image: str, run: str) -> dict[str, Any]:
    """The request for a container of a service that nothing has served before."""
    ports: dict[str, list[dict[str, str]]] = {}
    for address, inside in spec.publish:
        host, _, port = address.rpartition(":")
        ports.setdefault(f"{inside}/tcp", []).append({"HostIp": host, "HostPort": port})
    named = {} if spec.network in ("", *_PLAIN_NETWORKS) else {spec.network: {"Aliases": [spec.container]}}
    return {
        "Image": image,
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": labels_of(spec, run),
        "ExposedPorts": {key: {} for key in ports},
        "HostConfig": {
            "PortBindings": ports,
            "NetworkMode": spec.network or "default",
            "RestartPolicy": {"Name": "unless-stopped"},
        },
        "NetworkingConfig": {"EndpointsConfig": named},
    }


def memory_of(statistics: Said) -> int:
    """Bytes in use without what the kernel would give up at once (its cache of files), as ``docker stats`` counts."""
    memory = statistics.get("memory_stats") or {}
    details = memory.get("stats") or {}
    spare = details.get("inactive_file", details.get("total_inactive_file", 0))
    return max(0, int(memory.get("usage", 0)) - int(spare))


def cpu_of(statistics: Said) -> float:
    """Seconds of processor time since the container was started."""
    return int(((statistics.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0)) / 1e9
