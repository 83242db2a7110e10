"""The rows of ``py312 doctor``: what was found, and what to do about it. Pure.

All rows that are *needed* have to be well, and what could not be checked does not count as well. Other rows are only
shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_py312.rollout.targets.target import EngineInfo, ImageInfo

MIN_FREE_BYTES = 64 * 1024**2
"""Free space in bytes below which no rollout is started."""
MAX_CLOCK_SKEW = 5.0
"""Seconds by which the engine's clock may differ from this machine's, by which logs are requested."""
SWARM = "swarm"


class HealthStatus(Enum):
    """The three results of a check."""

    OK = "ok"
    PROBLEM = "trouble"
    UNKNOWN = "could not be checked"


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthRow:
    """One result: ``detail`` is what was found, ``remedy`` what to do if it is not well."""

    area: str
    what: str
    health: HealthStatus
    detail: str = ""
    remedy: str = ""
    needed: bool = True


def all_required_ok(rows: Iterable[HealthRow]) -> bool:
    """Return whether all needed rows are well, and there is at least one."""
    needed = [row.health for row in rows if row.needed]
    return bool(needed) and all(health is HealthStatus.OK for health in needed)


def engine_rows(facts: EngineInfo, target: str) -> list[HealthRow]:
    """Return the rows about an engine, given what ``target`` (of the plan) needs."""
    rows = [HealthRow(area="engine", what="reachable", health=HealthStatus.OK, detail=f"{facts.name} {facts.version}")]
    is_known_version = facts.cgroup_version in ("1", "2")
    rows.append(
        HealthRow(
            area="engine",
            what="control groups",
            health=HealthStatus.OK if is_known_version else HealthStatus.UNKNOWN,
            detail=f"version {facts.cgroup_version}" if is_known_version else "the engine does not report its version",
            remedy=""
            if is_known_version
            else "memory and CPU usage of services may be missing; ask the engine's administrator",
            needed=False,
        )
    )
    return [*rows, _live_restore_row(facts, target), *_swarm_rows(facts, target)]


def _live_restore_row(facts: EngineInfo, target: str) -> HealthRow:
    if target == SWARM:
        return HealthRow(
            area="engine",
            what="live-restore",
            health=HealthStatus.PROBLEM if facts.live_restore else HealthStatus.OK,
            detail="on" if facts.live_restore else "off",
            remedy='a swarm does not support it: remove "live-restore" from daemon.json' if facts.live_restore else "",
        )
    on = "on: services keep running while the engine is down"
    off = "off: services are down while the engine is, and are restarted with it"
    return HealthRow(
        area="engine",
        what="live-restore",
        health=HealthStatus.OK,
        detail=on if facts.live_restore else off,
        needed=False,
    )


def _swarm_rows(facts: EngineInfo, target: str) -> list[HealthRow]:
    if target != SWARM:
        return []
    is_ready = facts.swarm_state == "active" and facts.is_manager
    remedy = "join one, or create one with `docker swarm init`"
    detail = facts.swarm_state or "unknown"
    if facts.swarm_state == "active":
        remedy = "name the engine of a manager: only managers accept commands"
        detail = "active, a manager" if is_ready else "active, not a manager"
    health = HealthStatus.OK if is_ready else HealthStatus.PROBLEM
    return [HealthRow(area="engine", what="swarm", health=health, detail=detail, remedy="" if is_ready else remedy)]


def identity_row(identity: str, problem: str) -> HealthRow:
    """Return the row about the target's identity. ``problem`` is why it is not the environment's target, or empty."""
    if not identity:
        return HealthRow(
            area="engine", what="identity", health=HealthStatus.UNKNOWN,
            detail="the target does not report its identity",
            remedy="a replaced engine is not noticed then; in a cluster, allow `get` of its own namespace",
            needed=False,
        )  # fmt: skip
    if problem:
        remedy = "point it to the previous engine, or confirm that it was moved: py312 recover --accept-new-engine"
        return HealthRow(area="engine", what="identity", health=HealthStatus.PROBLEM, detail=problem, remedy=remedy)
    return HealthRow(area="engine", what="identity", health=HealthStatus.OK, detail=identity)


def usage_row(unmeasured_reason: str, missing: str) -> HealthRow:
    """Return the row about resource usage.

    :param unmeasured_reason: why the target does not report it; empty if it does.
    :param missing: what the plan says about missing data.
    """
    if not unmeasured_reason:
        return HealthRow(area="engine", what="usage", health=HealthStatus.OK, detail="CPU and memory are reported")
    consequences = {"pass": "the plan does not need it", "fail": "the plan counts that as a failure of the service"}
    return HealthRow(
        area="engine",
        what="usage",
        health=HealthStatus.PROBLEM if missing == "fail" else HealthStatus.UNKNOWN,
        detail=f"{unmeasured_reason}; {consequences.get(missing, 'no sample counts, and the soak is inconclusive')}",
        remedy="" if missing == "pass" else 'install it, or set soak.missing = "pass" for the soak or these metrics',
        needed=missing != "pass",
    )


def kernel_row(option: str, is_available: bool | None) -> HealthRow:
    """Return the row about a kernel feature; ``is_available`` is from :func:`.kernel_features.has_feature`.

    IP_VS is optional: only services with virtual addresses need it.
    """
    if is_available is None:
        return HealthRow(
            area="kernel",
            what=option,
            health=HealthStatus.UNKNOWN,
            detail="unknown, or the kernel is that of another machine",
            remedy=f"on the engine's machine: zgrep CONFIG_{option} /proc/config.gz /boot/config-$(uname -r)",
            needed=False,
        )
    remedies = {
        "IP_VS": 'without it virtual addresses and the ingress mesh do not work: "dnsrr" and ports in host mode do',
        "VXLAN": "without it no network spans several nodes: use a kernel that has it",
    }
    return HealthRow(
        area="kernel",
        what=option,
        health=HealthStatus.OK if is_available else HealthStatus.PROBLEM,
        detail="available" if is_available else "not available",
        remedy="" if is_available else remedies.get(option, f"use a kernel with CONFIG_{option}"),
        needed=option != "IP_VS",
    )


# ---- clocks


def engine_clock_row(local_time: float, engine_time: float | None, round_trip: float) -> HealthRow:
    """Return the row about the engine's clock. ``round_trip`` is how many seconds the request took."""
    if engine_time is None:
        return HealthRow(
            area="clock", what="engine's clock", health=HealthStatus.UNKNOWN, detail="not reported", needed=False
        )
    skew = engine_time - local_time
    is_ok = abs(skew) <= MAX_CLOCK_SKEW + round_trip
    return HealthRow(
        area="clock",
        what="engine's clock",
        health=HealthStatus.OK if is_ok else HealthStatus.PROBLEM,
        detail="same as this machine's"
        if is_ok
        else f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
        remedy="" if is_ok else "set both by NTP: logs are requested by this machine's clock",
    )


def clock_jump_row(jump: float | None) -> HealthRow:
    """Return the row about jumps of the date since the newest sample; ``None``: no sample since the last boot."""
    if jump is None:
        detail = "no sample since the last boot to compare with"
        return HealthRow(area="clock", what="date", health=HealthStatus.OK, detail=detail, needed=False)
    return HealthRow(
        area="clock",
        what="date",
        health=HealthStatus.PROBLEM if jump else HealthStatus.OK,
        detail=f"was changed by {jump:+.0f} s since the newest sample"
        if jump
        else "was not changed since the newest sample",
        remedy="soaks follow a clock that never jumps; set the date by NTP" if jump else "",
        needed=False,
    )


def synchronised_row(is_synchronised: bool | None) -> HealthRow:
    """Return the row about NTP; ``is_synchronised`` is from :func:`pytest_py312.core.clock.is_synchronised`."""
    health = {True: HealthStatus.OK, False: HealthStatus.PROBLEM, None: HealthStatus.UNKNOWN}[is_synchronised]
    details = {True: "the clock is synchronised", False: "the clock is not synchronised", None: "unknown"}
    return HealthRow(
        area="clock",
        what="NTP",
        health=health,
        detail=details[is_synchronised],
        remedy=""
        if is_synchronised
        else "run chrony or systemd-timesyncd here: samples and alerts are dated by this clock",
        needed=False,
    )


# ---- disks and the journal


def disk_row(what: str, free_bytes: int | None, path: str, *, needed: bool = True) -> HealthRow:
    """Return the row about free space; ``None`` if it cannot be determined from here."""
    if free_bytes is None:
        return HealthRow(
            area="disk", what=what, health=HealthStatus.UNKNOWN, detail=f"{path} cannot be accessed from here",
            remedy=f"check it on its machine: df -h {path or '/'}", needed=needed,
        )  # fmt: skip
    is_enough = free_bytes >= MIN_FREE_BYTES
    return HealthRow(
        area="disk",
        what=what,
        health=HealthStatus.OK if is_enough else HealthStatus.PROBLEM,
        detail=f"{free_bytes // 1024**2} MiB are free at {path}",
        remedy="" if is_enough else f"free some space: a rollout needs at least {MIN_FREE_BYTES // 1024**2} MiB",
        needed=needed,
    )


def journal_row(damage: Sequence[str] | None, runs: int = 0) -> HealthRow:
    """Return the row about the journal's file; ``None``: there is no journal yet."""
    if damage is None:
        return HealthRow(area="journal", what="file", health=HealthStatus.OK, detail="there is none yet")
    return HealthRow(
        area="journal",
        what="file",
        health=HealthStatus.PROBLEM if damage else HealthStatus.OK,
        detail="; ".join(damage)[:500] if damage else f"intact, with {runs} runs",
        remedy="restore it from a copy; while a stage is up, only the journal records what to roll back to"
        if damage
        else "",
    )


def unfinished_row(unfinished: Sequence[str], environment: str) -> HealthRow:
    """Return the row about runs that a dead process left unfinished."""
    return HealthRow(
        area="journal",
        what="unfinished",
        health=HealthStatus.PROBLEM if unfinished else HealthStatus.OK,
        detail=", ".join(unfinished) or "nothing",
        remedy=f"`py312 recover --env {environment}`, unless another process is at work" if unfinished else "",
    )


# ---- images and rollback


def image_row(service: str, reference: str, facts: ImageInfo | None, target_version: str) -> HealthRow:
    """Return the row about the image of a service. ``target_version`` is the target, such as ``3.12``."""
    if facts is None:
        return HealthRow(
            area="images", what=service, health=HealthStatus.PROBLEM, detail=f"{reference} does not exist",
            remedy=f"build or pull it: docker pull {reference}",
        )  # fmt: skip
    if facts.declared_python and facts.declared_python != target_version:
        return HealthRow(
            area="images", what=service, health=HealthStatus.PROBLEM,
            detail=f"{reference} declares Python {facts.declared_python}, not {target_version}",
            remedy="build it on the right base; a deployment would be rolled back",
        )  # fmt: skip
    version_text = (
        f"declares Python {facts.declared_python}"
        if facts.declared_python
        else "does not declare its Python; a deployment verifies it"
    )
    return HealthRow(area="images", what=service, health=HealthStatus.OK, detail=f"{reference} {version_text}")


def rollback_row(service: str, *, container_exists: bool | None, image_exists: bool | None) -> HealthRow:
    """Return the row about the version before a stage that is up; ``None``: unknown."""
    if container_exists:
        return HealthRow(area="rollback", what=service, health=HealthStatus.OK, detail="the previous container exists")
    if image_exists:
        detail = "its container is gone" if container_exists is False else "its container cannot be looked up"
        return HealthRow(
            area="rollback", what=service, health=HealthStatus.OK, detail=f"the previous image exists; {detail}"
        )
    if image_exists is None and container_exists is None:
        return HealthRow(
            area="rollback", what=service, health=HealthStatus.UNKNOWN, detail="the target does not report it",
            remedy="look for the previous container before anything is pruned",
        )  # fmt: skip
    return HealthRow(
        area="rollback", what=service, health=HealthStatus.PROBLEM,
        detail="the previous container is gone" + (", and so is its image" if image_exists is False else ""),
        remedy="pull or load the previous image; until then it cannot be rolled back",
    )  # fmt: skip


def serving_row(service: str, problem: str, serves: bool = True) -> HealthRow:
    """Return the row about what serves now, which a rollback would restore. ``problem`` is why a deployment would
    refuse it.
    """
    if problem:
        return HealthRow(
            area="rollback", what=service, health=HealthStatus.PROBLEM, detail=problem,
            remedy="fix what serves first: a deployment needs a version to roll back to",
        )  # fmt: skip
    detail = "what serves now is well" if serves else "nothing serves now; a rollback would leave nothing"
    return HealthRow(area="rollback", what=service, health=HealthStatus.OK, detail=detail)
