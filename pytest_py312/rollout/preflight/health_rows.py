"""Whether a rollout can be relied on here: what was found, as rows with what to do about each. Pure.

A row that is *needed* keeps the whole from being well; what could not be checked never counts as well. Others are told
and change nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_py312.rollout.targets.target import EngineFacts, ImageFacts

ROOM = 64 * 1024**2
"""Bytes below which no rollout is begun."""
CLOCK_SLACK = 5.0
"""Seconds that an engine's clock may be off: its logs are asked for by ours."""
SWARM = "swarm"


class Health(Enum):
    """The three answers to a question of the doctor's."""

    OK = "ok"
    TROUBLE = "trouble"
    UNKNOWN = "could not be checked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One answer: ``detail`` is what was found, ``remedy`` what to do where it is not well."""

    area: str
    what: str
    health: Health
    detail: str = ""
    remedy: str = ""
    needed: bool = True


def is_well(rows: Iterable[Row]) -> bool:
    """Whether all that is needed is well, and something was looked at."""
    needed = [row.health for row in rows if row.needed]
    return bool(needed) and all(health is Health.OK for health in needed)


def engine_rows(facts: EngineFacts, target: str) -> list[Row]:
    """What an engine says of itself, held against what ``target`` (of the plan) needs."""
    rows = [Row(area="engine", what="reachable", health=Health.OK, detail=f"{facts.name} {facts.version}")]
    known = facts.cgroup in ("1", "2")
    rows.append(
        Row(
            area="engine",
            what="control groups",
            health=Health.OK if known else Health.UNKNOWN,
            detail=f"version {facts.cgroup}" if known else "the engine does not say which",
            remedy="" if known else "memory and processor of services may not be told; ask the engine's administrator",
            needed=False,
        )
    )
    return [*rows, _live_restore(facts, target), *_swarm(facts, target)]


def _live_restore(facts: EngineFacts, target: str) -> Row:
    if target == SWARM:
        return Row(
            area="engine",
            what="live-restore",
            health=Health.TROUBLE if facts.live_restore else Health.OK,
            detail="on" if facts.live_restore else "off",
            remedy='a swarm excludes it: take "live-restore" out of daemon.json' if facts.live_restore else "",
        )
    told = "on: services go on while the engine is away"
    off = "off: services are started again with the engine, and are away meanwhile"
    return Row(
        area="engine", what="live-restore", health=Health.OK, detail=told if facts.live_restore else off, needed=False
    )


def _swarm(facts: EngineFacts, target: str) -> list[Row]:
    if target != SWARM:
        return []
    well = facts.swarm == "active" and facts.is_manager
    remedy = "join one, or begin one with `docker swarm init`"
    detail = facts.swarm or "not told"
    if facts.swarm == "active":
        remedy = "name the engine of a manager: only they can be told anything"
        detail = "active, and a manager" if well else "active, and no manager"
    health = Health.OK if well else Health.TROUBLE
    return [Row(area="engine", what="swarm", health=health, detail=detail, remedy="" if well else remedy)]


def place_row(here: str, trouble: str) -> Row:
    """``here`` is which place the target says that it is, ``trouble`` why that is not where the environment lies."""
    if not here:
        return Row(
            area="engine", what="identity", health=Health.UNKNOWN, detail="the target does not tell which one it is",
            remedy="an exchanged engine is not noticed then; in a cluster, allow `get` of its own namespace",
            needed=False,
        )  # fmt: skip
    if trouble:
        remedy = "point it to the engine of before, or say that it was moved: py312 recover --moved"
        return Row(area="engine", what="identity", health=Health.TROUBLE, detail=trouble, remedy=remedy)
    return Row(area="engine", what="identity", health=Health.OK, detail=here)


def usage_row(unmeasured: str, missing: str) -> Row:
    """Whether the target tells what services use: ``unmeasured`` is why not, ``missing`` what the plan makes of it."""
    if not unmeasured:
        return Row(area="engine", what="usage", health=Health.OK, detail="processor and memory are told")
    means = {"pass": "the plan does without", "fail": "the plan counts that as a failure of the service"}
    return Row(
        area="engine",
        what="usage",
        health=Health.TROUBLE if missing == "fail" else Health.UNKNOWN,
        detail=f"{unmeasured}; {means.get(missing, 'no sample would count, and the soak would be inconclusive')}",
        remedy="" if missing == "pass" else 'install it, or say soak.missing = "pass" for the soak or these metrics',
        needed=missing != "pass",
    )


def kernel_row(option: str, found: bool | None) -> Row:
    """``found`` as :func:`.kernel_features.has_feature` says it. Services without virtual addresses do without
    IP_VS.
    """
    if found is None:
        return Row(
            area="kernel",
            what=option,
            health=Health.UNKNOWN,
            detail="the kernel does not tell, or is that of another machine",
            remedy=f"on the engine's machine: zgrep CONFIG_{option} /proc/config.gz /boot/config-$(uname -r)",
            needed=False,
        )
    remedies = {
        "IP_VS": 'without it virtual addresses and the ingress mesh do not work: "dnsrr" and ports in host mode do',
        "VXLAN": "without it no network reaches over several nodes: use a kernel that has it",
    }
    return Row(
        area="kernel",
        what=option,
        health=Health.OK if found else Health.TROUBLE,
        detail="there" if found else "not there",
        remedy="" if found else remedies.get(option, f"use a kernel with CONFIG_{option}"),
        needed=option != "IP_VS",
    )


# ---- clocks


def engine_clock_row(ours: float, theirs: float | None, took: float) -> Row:
    """The engine's clock beside this machine's. ``took`` are the seconds that asking lasted."""
    if theirs is None:
        return Row(area="clock", what="engine's clock", health=Health.UNKNOWN, detail="it does not tell", needed=False)
    off = theirs - ours
    well = abs(off) <= CLOCK_SLACK + took
    return Row(
        area="clock",
        what="engine's clock",
        health=Health.OK if well else Health.TROUBLE,
        detail="as here" if well else f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} this machine's",
        remedy="" if well else "set both by NTP: logs are asked for by this machine's clock",
    )


def jump_row(jump: float | None) -> Row:
    """Whether the date was set since the newest sample; ``None``: there is no sample since this machine was started."""
    if jump is None:
        told = "no sample since this machine was started to hold it against"
        return Row(area="clock", what="date", health=Health.OK, detail=told, needed=False)
    return Row(
        area="clock",
        what="date",
        health=Health.TROUBLE if jump else Health.OK,
        detail=f"was set by {jump:+.0f} s since the newest sample" if jump else "was not set since the newest sample",
        remedy="a soak goes by the clock that cannot be set; keep the date by NTP" if jump else "",
        needed=False,
    )


def synchronised_row(found: bool | None) -> Row:
    """``found`` as :func:`pytest_py312.core.clock.is_synchronised` says it."""
    health = {True: Health.OK, False: Health.TROUBLE, None: Health.UNKNOWN}[found]
    details = {True: "the clock is kept right", False: "nothing keeps the clock right", None: "the kernel does not say"}
    return Row(
        area="clock",
        what="NTP",
        health=health,
        detail=details[found],
        remedy="" if found else "run chrony or systemd-timesyncd here: samples and alerts are dated by this clock",
        needed=False,
    )


# ---- disks, the journal


def room_row(what: str, free: int | None, place: str, *, needed: bool = True) -> Row:
    """``free`` are bytes; ``None`` where they cannot be told from here."""
    if free is None:
        return Row(
            area="disk", what=what, health=Health.UNKNOWN, detail=f"{place} is not seen from here",
            remedy=f"look at it on its machine: df -h {place or '/'}", needed=needed,
        )  # fmt: skip
    well = free >= ROOM
    return Row(
        area="disk",
        what=what,
        health=Health.OK if well else Health.TROUBLE,
        detail=f"{free // 1024**2} MiB are free at {place}",
        remedy="" if well else f"make room: a rollout is not begun with less than {ROOM // 1024**2} MiB",
        needed=needed,
    )


def journal_row(damage: Sequence[str] | None, runs: int = 0) -> Row:
    """``None``: there is no journal yet."""
    if damage is None:
        return Row(area="journal", what="file", health=Health.OK, detail="there is none yet")
    return Row(
        area="journal",
        what="file",
        health=Health.TROUBLE if damage else Health.OK,
        detail="; ".join(damage)[:500] if damage else f"whole, with {runs} runs",
        remedy="bring it back from a copy; while a stage is up, it alone knows the way back" if damage else "",
    )


def left_row(left: Sequence[str], environment: str) -> Row:
    """``left`` says what a dead run has left half done."""
    return Row(
        area="journal",
        what="half done",
        health=Health.TROUBLE if left else Health.OK,
        detail=", ".join(left) or "nothing",
        remedy=f"`py312 recover --env {environment}`, unless somebody is at it just now" if left else "",
    )


# ---- what the plan asks for


def image_row(service: str, reference: str, facts: ImageFacts | None, wanted: str) -> Row:
    """The image that a service is to be deployed from. ``wanted`` is the target, such as ``3.12``."""
    if facts is None:
        return Row(
            area="images", what=service, health=Health.TROUBLE, detail=f"{reference} is not there",
            remedy=f"build or pull it: docker pull {reference}",
        )  # fmt: skip
    if facts.python and facts.python != wanted:
        return Row(
            area="images", what=service, health=Health.TROUBLE,
            detail=f"{reference} says that it has Python {facts.python}, not {wanted}",
            remedy="build it on the right base; a deployment would be brought back",
        )  # fmt: skip
    told = f"says Python {facts.python}" if facts.python else "does not say its Python, which a deployment asks for"
    return Row(area="images", what=service, health=Health.OK, detail=f"{reference} {told}")


def way_back_row(service: str, *, container: bool | None, image: bool | None) -> Row:
    """What served before a stage that is up: whether its container and its image are there; ``None``: not told."""
    if container:
        return Row(area="way back", what=service, health=Health.OK, detail="the old container is there")
    if image:
        told = "its container is gone" if container is False else "its container cannot be asked for"
        return Row(area="way back", what=service, health=Health.OK, detail=f"the old image is there; {told}")
    if image is None and container is None:
        return Row(
            area="way back", what=service, health=Health.UNKNOWN, detail="the target does not tell",
            remedy="look for the old container before anything is pruned",
        )  # fmt: skip
    return Row(
        area="way back", what=service, health=Health.TROUBLE,
        detail="the old container is gone" + (", and so is its image" if image is False else ""),
        remedy="pull or load the old image; until then a rollback of it cannot be done",
    )  # fmt: skip


def serving_row(service: str, trouble: str, serves: bool = True) -> Row:
    """What serves now, which is where a rollback would end. ``trouble`` is why a deployment would refuse it."""
    if trouble:
        return Row(
            area="way back", what=service, health=Health.TROUBLE, detail=trouble,
            remedy="mend what serves first: a deployment refuses to begin without a way back",
        )  # fmt: skip
    told = "what serves now is well" if serves else "nothing serves now; a rollback would leave nothing"
    return Row(area="way back", what=service, health=Health.OK, detail=told)
