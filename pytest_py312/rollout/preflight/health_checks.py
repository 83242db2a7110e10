"""Asks everything that the doctor judges: the engine, this machine, the journal, and what the plan names.

Nothing is changed, no container is started, and nothing is posted anywhere. What cannot be asked is a row too.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pytest_py312.core import clock
from pytest_py312.core.directories import default_cache
from pytest_py312.core.errors import Py312Error, RolloutRefused, StateError
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import (
    KUBERNETES,
    DeploySettings,
    EnvironmentSettings,
    RolloutSettings,
)
from pytest_py312.rollout.canary_analysis.judge import clock_jumps
from pytest_py312.rollout.context import Ground
from pytest_py312.rollout.domain.deployment_plan import image_of, shares_of, spec_of
from pytest_py312.rollout.domain.identity import this_host, this_moment
from pytest_py312.rollout.domain.journal import FILE, Journal
from pytest_py312.rollout.domain.model import Deployment, Moment, Result, StageRun
from pytest_py312.rollout.domain.preconditions import check_place
from pytest_py312.rollout.domain.state_machine import is_unfinished
from pytest_py312.rollout.metrics.prometheus import filled_in, query
from pytest_py312.rollout.metrics.reading import Reading
from pytest_py312.rollout.preflight import health_rows
from pytest_py312.rollout.preflight.health_rows import Health, Row, usage_row
from pytest_py312.rollout.preflight.kernel_features import SWARM_NEEDS, has_feature
from pytest_py312.rollout.targets.target import EngineFacts, Inspectable, Keeping, Measuring, Target, TargetError
from pytest_py312.runners.interpreters import Remembered, find_local
from pytest_py312.runners.runner import CellUnavailable

LIMIT = 5.0
"""Seconds for a connection, and for a question to a Prometheus."""


def examined(ground: Ground, environment: str, stage: int | None) -> list[Row]:
    """All rows.

    :param stage: only its services; ``None``: those of all stages.
    :raises Py312Error: the plan itself cannot be read.
    """
    settings = ground.settings()
    services = [one for one in ground.fleet().services if stage is None or one.stage == stage]
    known, rows = _journal_rows(ground, environment)
    runs = [run for run in known if run.environment == environment]
    rows += _disk_rows(ground)
    target, found = _target_rows(ground, settings, environment)
    if target is not None:
        found.append(_place_row(target, known, environment, shares_of(settings, environment)))
        found += usage_rows(target, settings, [stage] if stage is not None else [0])
    where = settings.environment(environment)
    return [
        *found,
        health_rows.synchronised_row(clock.is_synchronised()),
        *rows,
        *_prometheus_rows(settings, where, services),
        *_told_rows(where),
        *_service_rows(ground, settings, services, runs, target),
        *_interpreter_rows(ground, target),
    ]


# ---- the target


def _target_rows(ground: Ground, settings: RolloutSettings, environment: str) -> tuple[Target | None, list[Row]]:
    try:
        target = ground.target()
    except (Py312Error, TargetError) as error:
        return None, [_unreachable(str(error), settings.deploy.target)]
    try:
        holder = target.lock(environment).holder()
        lock = Row(
            area="lock",
            what=environment,
            health=Health.OK,
            detail=f"held by {holder}" if holder else "free",
            needed=False,
        )
        if not isinstance(target, Inspectable):
            return target, [
                Row(area="engine", what="reachable", health=Health.OK, detail=f"{target.name} answers"),
                lock,
            ]
        before = clock.timestamp()
        facts = target.engine_facts()
        after = clock.timestamp()
    except TargetError as error:
        return None, [_unreachable(str(error), settings.deploy.target)]
    rows = [*health_rows.engine_rows(facts, settings.deploy.target), lock]
    rows.append(health_rows.engine_clock_row((before + after) / 2, facts.time, after - before))
    here = _is_here(facts)
    if settings.deploy.target == health_rows.SWARM:
        rows += [
            health_rows.kernel_row(option, has_feature(option, module) if here else None)
            for option, module in SWARM_NEEDS
        ]
    if facts.root:
        free = _free(Path(facts.root)) if here else None
        rows.append(health_rows.room_row("engine", free, facts.root, needed=here))
    return target, rows


def _place_row(target: Target, known: list[StageRun], environment: str, shares: tuple[str, ...]) -> Row:
    try:
        here = target.identity()
    except TargetError as error:
        return Row(area="engine", what="identity", health=Health.UNKNOWN, detail=str(error))
    try:
        check_place(environment, here, known, shares)
    except RolloutRefused as error:
        return health_rows.place_row(here, str(error))
    return health_rows.place_row(here, "")


def _unreachable(why: str, target: str) -> Row:
    remedy = "start it, or set DOCKER_HOST, or give this user the right to its socket"
    if target == KUBERNETES:
        remedy = "look with the same context: kubectl get deployments"
    return Row(area="engine", what="reachable", health=Health.TROUBLE, detail=why, remedy=remedy)


def _is_here(facts: EngineFacts) -> bool:
    """Whether the engine is on this very machine, and not in or outside of a container of it."""
    return facts.is_beside and facts.host == this_host() and facts.kernel == os.uname().release


# ---- this machine


def _disk_rows(ground: Ground) -> list[Row]:
    folder = next(path for path in (ground.state, *ground.state.parents) if path.is_dir())
    rows = [health_rows.room_row("journal", _free(folder), str(folder))]
    if not os.access(folder, os.W_OK):
        rows.append(
            Row(
                area="disk", what="journal", health=Health.TROUBLE, detail=f"{folder} cannot be written to",
                remedy="make it writable for this user, or give --state-dir",
            )
        )  # fmt: skip
    return rows


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _journal_rows(ground: Ground, environment: str) -> tuple[list[StageRun], list[Row]]:
    """The newest runs of all environments, as far as they can be read, and what is to be said of the journal."""
    if not (ground.state / FILE).exists():
        return [], [health_rows.journal_row(None)]
    try:
        journal = Journal(ground.state)
    except StateError as error:
        return [], [health_rows.journal_row([str(error)])]
    try:
        damage = journal.damage()
        rows = [health_rows.journal_row(damage, 0 if damage else len(journal.names()))]
        if damage:
            return [], rows
        known = journal.newest()
        runs = [run for run in known if run.environment == environment]
        left = [f"stage {run.stage} was left {run.state.value}" for run in runs if is_unfinished(run)]
        newest = [found[1] for run in runs for name, found in journal.newest_samples(run.run).items() if name]
        interval = ground.settings().soak.interval
        return known, [*rows, health_rows.left_row(left, environment), health_rows.jump_row(_jump(newest, interval))]
    except StateError as error:
        return [], [health_rows.journal_row([str(error)])]
    finally:
        journal.close()


def _jump(moments: Iterable[Moment], interval: float) -> float | None:
    now = this_moment()
    found = [one for one in moments if now.since(one) is not None]
    if not found:
        return None
    newest = max(found, key=lambda one: one.boottime)
    return next((jump for _, jump in clock_jumps([newest, now], interval)), 0.0)


# ---- what the plan names


def _prometheus_rows(settings: RolloutSettings, where: EnvironmentSettings, services: list[Service]) -> Iterator[Row]:
    asking = [metric for metric in settings.metrics if metric.provider == "prometheus"]
    if not where.prometheus:
        if asking:
            yield Row(
                area="prometheus", what="address", health=Health.TROUBLE,
                detail=f"{asking[0].name} asks one, and {where.name} names none",
                remedy=f'write {where.name} = {{ prometheus = "http://..." }} in [deploy.environments]',
            )  # fmt: skip
        return
    place = _place(where.prometheus)
    questions = [("reachable", "vector(1)")]
    for metric in asking:
        fitting = [one for one in services if metric in settings.metrics_of(one.name, one.path)]
        for service in fitting[:1]:  # a query that is refused for one is so for all
            text = filled_in(metric.query, service=service.name, window=metric.window or 300.0)
            questions.append((f"{metric.name} of {service.name}", text))
    for what, text in questions:
        reading = asyncio.run(query(where.prometheus, text, limit=LIMIT))
        yield (row := _answer_row(what, place, reading))
        if row.health is Health.TROUBLE and what == "reachable":
            return


def _answer_row(what: str, place: str, reading: Reading) -> Row:
    """No data just now is no trouble: a series may only be there under load."""
    health, detail, remedy = Health.OK, place, ""
    if reading.result is Result.ERROR:
        health, detail = Health.TROUBLE, f"{place}: {reading.detail}"
        remedy = "start it, or mend its address or the query in the plan"
    elif reading.value is None:
        health, detail = Health.UNKNOWN, f"{place}: {reading.detail}"
        remedy = "no data is inconclusive in a soak: see that the series is there under load"
    return Row(
        area="prometheus", what=what, health=health, detail=detail, remedy=remedy, needed=health is not Health.UNKNOWN
    )


def _told_rows(where: EnvironmentSettings) -> Iterator[Row]:
    """Webhooks are connected to, and nothing is posted: a chat full of drills is one that nobody reads."""
    for url in where.webhooks:
        why = _refusal(url)
        yield Row(
            area="told",
            what=f"webhook at {_place(url)}",
            health=Health.TROUBLE if why else Health.OK,
            detail=why or "accepts connections; nothing was posted",
            remedy="mend its address, or the way there: nobody would hear of a held stage" if why else "",
        )
    for argv in where.notify:
        there = bool(argv) and shutil.which(argv[0]) is not None
        yield Row(
            area="told",
            what=argv[0] if argv else "notify",
            health=Health.OK if there else Health.TROUBLE,
            detail="is there; it was not run" if there else "there is no such program",
            remedy="" if there else "install it, or name it by its path",
        )


def _refusal(url: str) -> str:
    """Why nothing listens at an address; empty where somebody does."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=LIMIT):
            return ""
    except (OSError, ValueError, UnicodeError) as error:
        return f"cannot be connected to: {error}"


def _place(url: str) -> str:
    """Host and port: the rest of it is often a secret."""
    return urlsplit(url).netloc.rpartition("@")[2] or "?"


def _interpreter_rows(ground: Ground, target: Target | None) -> Iterator[Row]:
    """What the gate runs on: a rollout does without, but not whoever has to prove a change in a hurry."""
    told: object = target
    for interpreter in sorted(ground.plan.interpreters):
        image = ground.plan.image_of(interpreter)
        place = _local(interpreter)
        try:
            if not place and isinstance(told, Inspectable) and told.image_facts(image) is not None:
                place = f"the image {image}"
        except TargetError as error:
            place = ""
            image = f"{image} ({error})"
        yield Row(
            area="interpreters",
            what=str(interpreter),
            health=Health.OK if place else Health.TROUBLE,
            detail=place or f"neither on this machine nor as the image {image}",
            remedy="" if place else f"the gate needs it: uv python install {interpreter}, or docker pull {image}",
            needed=False,
        )


def _local(interpreter: Interpreter) -> str:
    """What this machine has of an interpreter; empty where it has none."""
    from uv import find_uv_bin

    try:
        build = find_local(
            interpreter, uv=find_uv_bin(), fetch=False, remembered=Remembered(default_cache() / "interpreters")
        )
    except CellUnavailable:
        return ""
    return f"{build.version}, {build.origin}"


# ---- images, and the way back


def _service_rows(
    ground: Ground, settings: RolloutSettings, services: list[Service], runs: list[StageRun], target: Target | None
) -> Iterator[Row]:
    up = {one.service: one for run in runs if run.is_up for one in run.deployments}
    wanted = str(ground.plan.target)
    told: object = target  # not every target is one that tells
    teller = told if isinstance(told, Inspectable) else None
    for service in services:
        deploy = settings.deploy_of(stage=service.stage, name=service.name, path=service.path)
        try:
            row = _image_row(service, deploy, teller, wanted, ground)
            # one that cannot tell of images is no trouble where it answers: a deployment asks
            yield row if target is None or row.health is not Health.UNKNOWN else replace(row, needed=False)
            yield _way_back_row(up.get(service.name), service, deploy, target, teller)
        except TargetError as error:
            yield Row(area="images", what=service.name, health=Health.UNKNOWN, detail=str(error))


def _image_row(
    service: Service, deploy: DeploySettings, teller: Inspectable | None, wanted: str, ground: Ground
) -> Row:
    try:
        reference = image_of(service, deploy, ground.plan.target)
    except RolloutRefused as error:
        return Row(area="images", what=service.name, health=Health.TROUBLE, detail=str(error))
    if teller is None:
        return Row(
            area="images", what=service.name, health=Health.UNKNOWN, detail="nobody can be asked whether it is there"
        )
    return health_rows.image_row(service.name, reference, teller.image_facts(reference), wanted)


def _way_back_row(
    standing: Deployment | None,
    service: Service,
    deploy: DeploySettings,
    target: Target | None,
    teller: Inspectable | None,
) -> Row:
    if target is None:
        return Row(area="way back", what=service.name, health=Health.UNKNOWN, detail="there is no engine to ask")
    if standing is not None and standing.old is not None:
        told: object = target
        kept = told.keeps(standing.spec, standing.old) if isinstance(told, Keeping) else None
        image = teller.image_facts(standing.old.image) is not None if teller is not None else None
        return health_rows.way_back_row(service.name, container=kept, image=image)
    seen = target.observe(spec_of(service, deploy))
    if seen is None:
        return health_rows.serving_row(service.name, "", serves=False)
    if not seen.running:
        return health_rows.serving_row(service.name, f"its container does not run; it ended with {seen.exit_code}")
    if seen.health == "unhealthy":
        return health_rows.serving_row(service.name, "its health check fails")
    return health_rows.serving_row(service.name, "")


def usage_rows(target: Target, settings: RolloutSettings, stages: Iterable[int]) -> list[Row]:
    """A row for each stage; nothing where the target always tells."""
    teller: object = target
    if not isinstance(teller, Measuring):
        return []
    try:
        unmeasured = teller.unmeasured()
    except TargetError as error:
        unmeasured = str(error)
    return [usage_row(unmeasured, settings.soak_of(stage=number).missing) for number in stages]
