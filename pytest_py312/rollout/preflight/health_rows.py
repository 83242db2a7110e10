"""The rows of ``py312 doctor``: what was found, and what to do about it. Pure.

Every required row must be ok; "could not be checked" is not ok. Other rows are only shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_py312.core.database import MIN_FREE_BYTES
from pytest_py312.rollout.targets.target import EngineInfo, ImageInfo

MAX_CLOCK_SKEW = 5.0
"""Seconds by which the engine's clock may differ from this machine's, by which logs are requested."""
SWARM = "swarm"


class HealthStatus(Enum):
    """The three results of a check."""

    OK = "ok"
    PROBLEM = "trouble"  # the value in the JSON of `py312 doctor`, which other programs read
    UNKNOWN = "could not be checked"


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthRow:
    """One result: ``detail`` is what was found, ``remedy`` what to do if it is not ok.

    The names of the fields are keys in the JSON of ``py312 doctor``. A ``needed`` row is a required one.
    """

    area: str
    what: str
    health: HealthStatus
    detail: str = ""
    remedy: str = ""
    needed: bool = True

    @classmethod
    def ok(cls, area: str, what: str, detail: str, *, needed: bool = True) -> "HealthRow":
        return cls(area=area, what=what, health=HealthStatus.OK, detail=detail, needed=needed)

    @classmethod
    def problem(cls, area: str, what: str, detail: str, remedy: str = "", *, needed: bool = True) -> "HealthRow":
        return cls(area=area, what=what, health=HealthStatus.PROBLEM, detail=detail, remedy=remedy, needed=needed)

    @classmethod
    def unknown(cls, area: str, what: str, detail: str, remedy: str = "", *, needed: bool = True) -> "HealthRow":
        return cls(area=area, what=what, health=HealthStatus.UNKNOWN, detail=detail, remedy=remedy, needed=needed)


def all_required_ok(rows: Iterable[HealthRow]) -> bool:
    """Return whether all required rows are ok, and there is at least one."""
    statuses = [row.health for row in rows if row.needed]
    return bool(statuses) and all(status is HealthStatus.OK for status in statuses)


# ---- the engine


def engine_rows(facts: EngineInfo, target: str) -> list[HealthRow]:
    """Return the rows about an engine, given what ``target`` (of the plan) needs."""
    return [
        HealthRow.ok("engine", "reachable", f"{facts.name} {facts.version}"),
        _control_groups_row(facts.cgroup_version),
        _live_restore_row(facts, target),
        *_swarm_rows(facts, target),
    ]


def _control_groups_row(version: str) -> HealthRow:
    if version in ("1", "2"):
        return HealthRow.ok("engine", "control groups", f"version {version}", needed=False)
    remedy = "memory and CPU usage of services may be missing; ask the engine's administrator"
    return HealthRow.unknown("engine", "control groups", "the engine does not report its version", remedy, needed=False)


def _live_restore_row(facts: EngineInfo, target: str) -> HealthRow:
    if target == SWARM and facts.live_restore:
        remedy = 'a swarm does not support it: remove "live-restore" from daemon.json'
        return HealthRow.problem("engine", "live-restore", "on", remedy)
    if target == SWARM:
        return HealthRow.ok("engine", "live-restore", "off")
    on = "on: services keep running while the engine is down"
    off = "off: services are down while the engine is, and are restarted with it"
    return HealthRow.ok("engine", "live-restore", on if facts.live_restore else off, needed=False)


def _swarm_rows(facts: EngineInfo, target: str) -> list[HealthRow]:
    if target != SWARM:
        return []
    if facts.swarm_state != "active":
        remedy = "join one, or create one with `docker swarm init`"
        return [HealthRow.problem("engine", "swarm", facts.swarm_state or "unknown", remedy)]
    if not facts.is_manager:
        remedy = "name the engine of a manager: only managers accept commands"
        return [HealthRow.problem("engine", "swarm", "active, not a manager", remedy)]
    return [HealthRow.ok("engine", "swarm", "active, a manager")]


def identity_row(identity: str, problem: str) -> HealthRow:
    """Return the row about the target's identity. ``problem`` is why it is not the environment's target, or empty."""
    if not identity:
        remedy = "a replaced engine is not noticed then; in a cluster, allow `get` of its own namespace"
        return HealthRow.unknown("engine", "identity", "the target does not report its identity", remedy, needed=False)
    if problem:
        remedy = (
            "let DOCKER_HOST, or engine or context of the environment, name the previous one, or confirm that it was "
            "moved: py312 recover --accept-new-engine"
        )
        return HealthRow.problem("engine", "identity", problem, remedy)
    return HealthRow.ok("engine", "identity", identity)


def usage_row(unmeasured_reason: str, missing: str) -> HealthRow:
    """Return the row about resource usage.

    :param unmeasured_reason: why the target does not report it; empty if it does.
    :param missing: what the plan says about missing data.
    """
    if not unmeasured_reason:
        return HealthRow.ok("engine", "usage", "CPU and memory are reported")
    remedy = 'install metrics-server, or set soak.missing = "pass" for the soak or these metrics'
    if missing == "pass":
        detail = f"{unmeasured_reason}; the plan does not need it"
        return HealthRow.unknown("engine", "usage", detail, needed=False)
    if missing == "fail":
        detail = f"{unmeasured_reason}; the plan counts that as a failure of the service"
        return HealthRow.problem("engine", "usage", detail, remedy)
    return HealthRow.unknown(
        "engine", "usage", f"{unmeasured_reason}; no sample counts, and the soak is inconclusive", remedy
    )


def kernel_row(option: str, is_available: bool | None) -> HealthRow:
    """Return the row about a kernel feature; ``is_available`` is from :func:`.health_checks.has_kernel_feature`.

    IP_VS is optional: only services with virtual addresses need it.
    """
    needed = option != "IP_VS"
    if is_available:
        return HealthRow.ok("kernel", option, "available", needed=needed)
    if is_available is None:
        remedy = f"on the engine's machine: zgrep CONFIG_{option} /proc/config.gz /boot/config-$(uname -r)"
        detail = "unknown, or the kernel is that of another machine"
        return HealthRow.unknown("kernel", option, detail, remedy, needed=False)
    remedies = {
        "IP_VS": 'without it virtual addresses and the ingress mesh do not work: "dnsrr" and ports in host mode do',
        "VXLAN": "without it no network spans several nodes: use a kernel that has it",
    }
    remedy = remedies.get(option, f"use a kernel with CONFIG_{option}")
    return HealthRow.problem("kernel", option, "not available", remedy, needed=needed)


# ---- clocks


def engine_clock_row(local_time: float, engine_time: float | None, round_trip: float) -> HealthRow:
    """Return the row about the engine's clock. ``round_trip`` is how many seconds the request took."""
    if engine_time is None:
        return HealthRow.unknown("clock", "engine's clock", "not reported", needed=False)
    skew = engine_time - local_time
    if abs(skew) <= MAX_CLOCK_SKEW + round_trip:
        return HealthRow.ok("clock", "engine's clock", "same as this machine's")
    detail = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    remedy = "set both by NTP: logs are requested by this machine's clock"
    return HealthRow.problem("clock", "engine's clock", detail, remedy)


def clock_jump_row(jump: float | None) -> HealthRow:
    """Return the row about jumps of the wall clock since the newest sample; ``None``: no sample since the last boot."""
    if jump:
        remedy = "soaks use the monotonic boot clock; set the wall clock by NTP"
        detail = f"was changed by {jump:+.0f} s since the newest sample"
        return HealthRow.problem("clock", "date", detail, remedy, needed=False)
    detail = (
        "no sample since the last boot to compare with" if jump is None else "was not changed since the newest sample"
    )
    return HealthRow.ok("clock", "date", detail, needed=False)


def synchronised_row(is_synchronised: bool | None) -> HealthRow:
    """Return the row about NTP; ``is_synchronised`` is from :func:`pytest_py312.core.clock.is_synchronised`."""
    if is_synchronised:
        return HealthRow.ok("clock", "NTP", "the clock is synchronised", needed=False)
    remedy = "run chrony or systemd-timesyncd here: samples and alerts are timestamped with this clock"
    if is_synchronised is None:
        return HealthRow.unknown("clock", "NTP", "unknown", remedy, needed=False)
    return HealthRow.problem("clock", "NTP", "the clock is not synchronised", remedy, needed=False)


# ---- disks and the journal


def disk_row(what: str, free_bytes: int | None, path: str, *, needed: bool = True) -> HealthRow:
    """Return the row about free space; ``None`` if it cannot be determined from here."""
    if free_bytes is None:
        remedy = f"check it on its machine: df -h {path or '/'}"
        return HealthRow.unknown("disk", what, f"{path} cannot be accessed from here", remedy, needed=needed)
    detail = f"{free_bytes // 1024**2} MiB are free at {path}"
    if free_bytes >= MIN_FREE_BYTES:
        return HealthRow.ok("disk", what, detail, needed=needed)
    remedy = f"free some space: a rollout needs at least {MIN_FREE_BYTES // 1024**2} MiB"
    return HealthRow.problem("disk", what, detail, remedy, needed=needed)


def journal_row(damage: Sequence[str] | None, runs: int = 0) -> HealthRow:
    """Return the row about the journal's file; ``None``: there is no journal yet."""
    if damage:
        remedy = "restore it from a copy; while a stage is up, only the journal records what to roll back to"
        return HealthRow.problem("journal", "file", "; ".join(damage)[:500], remedy)
    return HealthRow.ok("journal", "file", "there is none yet" if damage is None else f"intact, with {runs} runs")


def unfinished_row(unfinished: Sequence[str], environment: str) -> HealthRow:
    """Return the row about runs that a dead process left unfinished."""
    if not unfinished:
        return HealthRow.ok("journal", "unfinished", "nothing")
    remedy = f"`py312 recover --env {environment}`, unless another process is at work"
    return HealthRow.problem("journal", "unfinished", ", ".join(unfinished), remedy)


# ---- images and rollback


def image_row(service: str, reference: str, facts: ImageInfo | None, target_version: str) -> HealthRow:
    """Return the row about the image of a service. ``target_version`` is the target, such as ``3.12``."""
    if facts is None:
        remedy = f"build or pull it: docker pull {reference}"
        return HealthRow.problem("images", service, f"{reference} does not exist", remedy)
    if not facts.declared_python:
        return HealthRow.ok("images", service, f"{reference} does not declare its Python; a deployment verifies it")
    detail = f"{reference} declares Python {facts.declared_python}"
    if facts.declared_python == target_version:
        return HealthRow.ok("images", service, detail)
    remedy = "build it on the right base; a deployment would be rolled back"
    return HealthRow.problem("images", service, f"{detail}, not {target_version}", remedy)


def rollback_row(service: str, *, container_exists: bool | None, image_exists: bool | None) -> HealthRow:
    """Return the row about whether the previous version of a deployed stage still exists; ``None``: unknown."""
    if container_exists:
        return HealthRow.ok("rollback", service, "the previous container exists")
    if image_exists:
        detail = "its container is gone" if container_exists is False else "its container cannot be looked up"
        return HealthRow.ok("rollback", service, f"the previous image exists; {detail}")
    if image_exists is None and container_exists is None:
        remedy = "look for the previous container before anything is pruned"
        return HealthRow.unknown("rollback", service, "the target does not report it", remedy)
    detail = "the previous container is gone" + (", and so is its image" if image_exists is False else "")
    remedy = "pull or load the previous image; until then it cannot be rolled back"
    return HealthRow.problem("rollback", service, detail, remedy)


def serving_row(service: str, problem: str, *, serves: bool) -> HealthRow:
    """Return the row about what serves now, which a rollback would restore. ``problem`` is why a deployment
    would not start.
    """
    if problem:
        remedy = "fix what serves first: a deployment needs a version to roll back to"
        return HealthRow.problem("rollback", service, problem, remedy)
    detail = "what serves now is ok" if serves else "nothing serves now; a rollback would leave nothing"
    return HealthRow.ok("rollback", service, detail)
