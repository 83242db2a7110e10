"""What the engine reports of a container: its state, its usage, and its times. Pure, apart from the current time."""

import re
from datetime import datetime

from pytest_py312.core import clock
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.targets.common import JsonObject

RECENT_START_SECONDS = 60.0
"""A container that was restarted and started less than this many seconds ago counts as crashing."""
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")


def to_container(container_info: JsonObject) -> Container:
    """Return the container with its image."""
    return Container(id=str(container_info["Id"]), image=str(container_info["Image"]))


def container_name(container_info: JsonObject) -> str:
    """Return the name of a container."""
    return str(container_info["Name"]).removeprefix("/")


def restart_policy(container_info: JsonObject) -> str:
    """Return the name of the restart policy; empty if there is none."""
    return str((container_info["HostConfig"].get("RestartPolicy") or {}).get("Name", ""))


def failure_reason(container_info: JsonObject) -> str:
    """Return why a container will not serve, ``""`` if it may."""
    state = container_info["State"]
    if state.get("OOMKilled"):
        return "killed: out of memory"
    if state.get("Restarting") or not state.get("Running"):
        return f"it has ended with exit code {state.get('ExitCode')}"
    if (
        int(container_info.get("RestartCount", 0))
        and seconds_since(str(state.get("StartedAt", ""))) < RECENT_START_SECONDS
    ):
        return f"it was restarted {container_info['RestartCount']} times"
    return ""


# ---- times


def parse_timestamp(text: str) -> float | None:
    """Convert an engine's timestamp (with nanoseconds and ``Z``) to seconds since the epoch; ``None`` if invalid."""
    try:
        return datetime.fromisoformat(_NANOSECONDS.sub(r"\1", text)).timestamp()
    except ValueError:
        return None


def seconds_since(timestamp: str) -> float:
    """Return the seconds since an engine's timestamp, infinite if it is invalid."""
    seconds_since_epoch = parse_timestamp(timestamp)
    return float("inf") if seconds_since_epoch is None else clock.timestamp() - seconds_since_epoch


# ---- usage


def memory_in_use(statistics: JsonObject) -> int:
    """Return the bytes in use without reclaimable file cache, as ``docker stats`` counts them."""
    memory = statistics.get("memory_stats") or {}
    details = memory.get("stats") or {}
    reclaimable = details.get("inactive_file", details.get("total_inactive_file", 0))
    return max(0, int(memory.get("usage", 0)) - int(reclaimable))


def memory_limit(statistics: JsonObject) -> int:
    """Return the bytes that the container may use: its limit, or the memory of the machine; 0 if unknown."""
    return int((statistics.get("memory_stats") or {}).get("limit", 0))


def cpu_seconds_used(statistics: JsonObject) -> float:
    """Return the seconds of processor time since the container started."""
    return int(((statistics.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0)) / 1e9
