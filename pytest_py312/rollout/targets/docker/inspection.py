"""Inspection of a Docker engine: identity, version, images and existing containers.

Errors are those of :class:`~pytest_py312.rollout.targets.target.Target`.
"""

import re
from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.targets.docker.container_state import parse_timestamp
from pytest_py312.rollout.targets.docker.engine_calls import as_target_errors
from pytest_py312.rollout.targets.target import EngineInfo, ImageInfo
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, none_if_missing, translate_errors

_PYTHON_VARIABLE = re.compile(r"PYTHON_VERSION=(3\.\d{1,2})(?:\.\d+)?", re.ASCII)
"""The official Python images set this variable."""


def process_ages(engine: DockerEngine, container: str) -> tuple[float, ...] | None:
    """Return the seconds since the start of each process in a container; ``None`` where the engine cannot list them.

    The engine runs the ``ps`` of its host: that of BusyBox has no such column.
    """
    try:
        with translate_errors():
            processes: Any = engine.client.top(container, ps_args="-eo pid,etimes,comm")
    except EngineRefused:
        return None
    ages = [str(process[1]) for process in processes.get("Processes") or () if len(process) > 1]
    return tuple(float(age) for age in ages) if all(age.isdecimal() for age in ages) else None


@as_target_errors()
def engine_info(engine: DockerEngine) -> EngineInfo:
    """Return version, host and settings of an engine."""
    with translate_errors():
        info: Any = engine.client.info()
    # the SDK's URL of a local socket
    return parse_engine_info(info, is_local=engine.client.base_url.startswith("http+docker://"))


def parse_engine_info(info: Mapping[str, Any], *, is_local: bool) -> EngineInfo:
    """Convert the answer of ``GET /info``. Pure."""
    return EngineInfo(
        name="Docker",
        version=str(info.get("ServerVersion", "")),
        host=str(info.get("Name", "")),
        kernel=str(info.get("KernelVersion", "")),
        data_root=str(info.get("DockerRootDir", "")),
        cgroup_version=str(info.get("CgroupVersion", "")),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        swarm_state=str((info.get("Swarm") or {}).get("LocalNodeState", "")),
        is_manager=bool((info.get("Swarm") or {}).get("ControlAvailable")),
        engine_time=parse_timestamp(str(info.get("SystemTime", ""))),
        is_local=is_local,
    )


@as_target_errors()
def engine_identity(engine: DockerEngine) -> str:
    """Return a unique text for the engine. Its id is stored in the data folder and survives restarts."""
    with translate_errors():
        info: Any = engine.client.info()
    engine_id = str(info.get("ID") or "")
    return f"the Docker engine {engine_id}" if engine_id else ""


@as_target_errors()
def swarm_identity(engine: DockerEngine) -> str:
    """Return a unique text for the engine's swarm; empty unless the engine is a manager."""
    with translate_errors():
        info: Any = engine.client.info()
    cluster_id = str(((info.get("Swarm") or {}).get("Cluster") or {}).get("ID") or "")
    return f"the swarm {cluster_id}" if cluster_id else ""


@as_target_errors()
def image_info(engine: DockerEngine, reference: str) -> ImageInfo | None:
    image: Any = none_if_missing(lambda: engine.client.inspect_image(reference))  # type: ignore[no-untyped-call]  # so in its stubs
    if image is None:
        return None
    python_variables = [
        _PYTHON_VARIABLE.fullmatch(variable) for variable in (image.get("Config") or {}).get("Env") or ()
    ]
    return ImageInfo(id=str(image["Id"]), declared_python=next((match[1] for match in python_variables if match), ""))
