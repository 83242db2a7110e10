"""Collect what ``py312 doctor`` judges: the engine, this machine, the journal, and what the plan names.

Nothing is changed, no container is started, and nothing is posted. What cannot be checked is a row too.
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
from pytest_py312.core.directories import default_cache_folder
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
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.deployment_plan import environments_sharing_target, image_reference, make_service_spec
from pytest_py312.rollout.domain.journal import JOURNAL_FILE, Journal, current_timestamp
from pytest_py312.rollout.domain.model import Deployment, Result, StageRun, Timestamp
from pytest_py312.rollout.domain.preconditions import check_target_identity
from pytest_py312.rollout.domain.state_machine import has_pending_work
from pytest_py312.rollout.metrics.prometheus import run_query, substitute_placeholders
from pytest_py312.rollout.metrics.reading import MetricReading
from pytest_py312.rollout.preflight import health_rows
from pytest_py312.rollout.preflight.acceptance_checks import acceptance_rows
from pytest_py312.rollout.preflight.health_rows import HealthRow, HealthStatus, usage_row
from pytest_py312.rollout.preflight.kernel_features import SWARM_NEEDS, has_feature
from pytest_py312.rollout.targets.target import (
    EngineInfo,
    SupportsInspection,
    SupportsInventory,
    SupportsUsageCheck,
    Target,
    TargetError,
)
from pytest_py312.runners.interpreters import FingerprintCache, find_local
from pytest_py312.runners.runner import CellUnavailable

TIMEOUT = 5.0
"""Timeout of a connection and of a Prometheus query, in seconds."""


def run_health_checks(
    context: RolloutContext, environment: str, stage: int | None, *, of_gate: bool = True
) -> list[HealthRow]:
    """Run all checks.

    :param stage: limits them to its services; ``None``: those of all stages.
    :param of_gate: also check the interpreters of the gate, which starts those that are not known yet.
    :raises Py312Error: the plan itself cannot be read.
    """
    settings = context.settings()
    services = [service for service in context.fleet().services if stage is None or service.stage == stage]
    current_runs, rows = _journal_rows(context, environment)
    runs = [run for run in current_runs if run.environment == environment]
    rows += _disk_rows(context)
    target, target_rows = _target_rows(context, settings, environment)
    if target is not None:
        target_rows.append(
            _identity_row(target, current_runs, environment, environments_sharing_target(settings, environment))
        )
        target_rows += usage_rows(target, settings, [stage] if stage is not None else [0])
    environment_settings = settings.environment_settings(environment)
    return [
        *target_rows,
        health_rows.synchronised_row(clock.is_synchronised()),
        *rows,
        *_prometheus_rows(settings, environment_settings, services),
        *_notification_rows(environment_settings),
        *_service_rows(context, settings, services, runs, target),
        *acceptance_rows(settings, context.plan.root, stage),
        *(_interpreter_rows(context, target) if of_gate else ()),
    ]


# ---- the target


def _target_rows(
    context: RolloutContext, settings: RolloutSettings, environment: str
) -> tuple[Target | None, list[HealthRow]]:
    try:
        target = context.target()
    except (Py312Error, TargetError) as error:
        return None, [_unreachable_row(str(error), settings.deploy.target)]
    try:
        holder = target.environment_lock(environment).holder()
        lock_row = HealthRow(
            area="lock",
            what=environment,
            health=HealthStatus.OK,
            detail=f"held by {holder}" if holder else "free",
            needed=False,
        )
        if not isinstance(target, SupportsInspection):
            return target, [
                HealthRow(area="engine", what="reachable", health=HealthStatus.OK, detail=f"{target.name} answers"),
                lock_row,
            ]
        asked_at = clock.timestamp()
        facts = target.engine_info()
        answered_at = clock.timestamp()
    except TargetError as error:
        return None, [_unreachable_row(str(error), settings.deploy.target)]
    rows = [*health_rows.engine_rows(facts, settings.deploy.target), lock_row]
    rows.append(health_rows.engine_clock_row((asked_at + answered_at) / 2, facts.engine_time, answered_at - asked_at))
    is_local = _is_local_engine(facts)
    if settings.deploy.target == health_rows.SWARM:
        rows += [
            health_rows.kernel_row(option, has_feature(option, module) if is_local else None)
            for option, module in SWARM_NEEDS
        ]
    if facts.data_root:
        free_bytes = _free_bytes(Path(facts.data_root)) if is_local else None
        rows.append(health_rows.disk_row("engine", free_bytes, facts.data_root, needed=is_local))
    return target, rows


def _identity_row(
    target: Target, current_runs: list[StageRun], environment: str, shared_with: tuple[str, ...]
) -> HealthRow:
    try:
        identity = target.identity()
    except TargetError as error:
        return HealthRow(area="engine", what="identity", health=HealthStatus.UNKNOWN, detail=str(error))
    try:
        check_target_identity(environment, identity, current_runs, shared_with)
    except RolloutRefused as error:
        return health_rows.identity_row(identity, str(error))
    return health_rows.identity_row(identity, "")


def _unreachable_row(problem: str, target: str) -> HealthRow:
    remedy = "start it, or set DOCKER_HOST, or give this user access to its socket"
    if target == KUBERNETES:
        remedy = "check with the same context: kubectl get deployments"
    return HealthRow(area="engine", what="reachable", health=HealthStatus.PROBLEM, detail=problem, remedy=remedy)


def _is_local_engine(facts: EngineInfo) -> bool:
    """Return whether the engine runs on this very machine, with no container between the two."""
    return facts.is_local and facts.host == socket.gethostname() and facts.kernel == os.uname().release


# ---- this machine


def _disk_rows(context: RolloutContext) -> list[HealthRow]:
    folder = next(path for path in (context.state_dir, *context.state_dir.parents) if path.is_dir())
    rows = [health_rows.disk_row("journal", _free_bytes(folder), str(folder))]
    if not os.access(folder, os.W_OK):
        rows.append(
            HealthRow(
                area="disk", what="journal", health=HealthStatus.PROBLEM, detail=f"{folder} cannot be written to",
                remedy="make it writable for this user, or give --state-dir",
            )
        )  # fmt: skip
    return rows


def _free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _journal_rows(context: RolloutContext, environment: str) -> tuple[list[StageRun], list[HealthRow]]:
    """Return the current runs of all environments, as far as they can be read, and the rows about the journal."""
    if not (context.state_dir / JOURNAL_FILE).exists():
        return [], [health_rows.journal_row(None)]
    try:
        journal = Journal(context.state_dir)
    except StateError as error:
        return [], [health_rows.journal_row([str(error)])]
    try:
        damage = journal.find_damage()
        rows = [health_rows.journal_row(damage, 0 if damage else len(journal.run_names()))]
        if damage:
            return [], rows
        current_runs = journal.current_runs()
        runs = [run for run in current_runs if run.environment == environment]
        unfinished = [f"stage {run.stage} was left {run.state.value}" for run in runs if has_pending_work(run)]
        newest_samples = [
            slot_and_time[1] for run in runs for name, slot_and_time in journal.newest_samples(run.run).items() if name
        ]
        interval = context.settings().soak.interval
        return current_runs, [
            *rows,
            health_rows.unfinished_row(unfinished, environment),
            health_rows.clock_jump_row(_clock_jump(newest_samples, interval)),
        ]
    except StateError as error:
        return [], [health_rows.journal_row([str(error)])]
    finally:
        journal.close()


def _clock_jump(moments: Iterable[Timestamp], interval: float) -> float | None:
    now = current_timestamp()
    comparable = [moment for moment in moments if now.seconds_since(moment) is not None]
    if not comparable:
        return None
    newest = max(comparable, key=lambda moment: moment.boottime)
    return next((jump for _, jump in clock_jumps([newest, now], interval)), 0.0)


# ---- what the plan names


def _prometheus_rows(
    settings: RolloutSettings, environment_settings: EnvironmentSettings, services: list[Service]
) -> Iterator[HealthRow]:
    metrics = [metric for metric in settings.metrics if metric.provider == "prometheus"]
    if not environment_settings.prometheus:
        if metrics:
            yield HealthRow(
                area="prometheus", what="address", health=HealthStatus.PROBLEM,
                detail=f"{metrics[0].name} needs a Prometheus, but {environment_settings.name} names none",
                remedy=f'write {environment_settings.name} = {{ prometheus = "http://..." }} in [deploy.environments]',
            )  # fmt: skip
        return
    address = _host_and_port(environment_settings.prometheus)
    queries = [("reachable", "vector(1)")]
    for metric in metrics:
        matching_services = [
            candidate for candidate in services if metric in settings.metrics_for(candidate.name, candidate.path)
        ]
        for service in matching_services[:1]:  # a query that is refused for one service is refused for all
            text = substitute_placeholders(metric.query, service=service.name, window=metric.window or 300.0)
            queries.append((f"{metric.name} of {service.name}", text))
    for subject, text in queries:
        reading = asyncio.run(run_query(environment_settings.prometheus, text, timeout=TIMEOUT))
        yield (row := _prometheus_row(subject, address, reading))
        if row.health is HealthStatus.PROBLEM and subject == "reachable":
            return


def _prometheus_row(subject: str, address: str, reading: MetricReading) -> HealthRow:
    """Return the row of a query. Missing data is no problem: some series exist only under load."""
    health, detail, remedy = HealthStatus.OK, address, ""
    if reading.result is Result.ERROR:
        health, detail = HealthStatus.PROBLEM, f"{address}: {reading.detail}"
        remedy = "start it, or fix its address or the query in the plan"
    elif reading.value is None:
        health, detail = HealthStatus.UNKNOWN, f"{address}: {reading.detail}"
        remedy = "a soak without data is inconclusive: check that the series exists under load"
    return HealthRow(
        area="prometheus",
        what=subject,
        health=health,
        detail=detail,
        remedy=remedy,
        needed=health is not HealthStatus.UNKNOWN,
    )


def _notification_rows(environment_settings: EnvironmentSettings) -> Iterator[HealthRow]:
    """Connect to webhooks without posting: people stop reading a chat that is full of tests."""
    addresses = (*environment_settings.slack, *environment_settings.teams)
    variables = [address[1:] for address in addresses if address.startswith("$")]
    for name in (name for name in variables if not os.environ.get(name)):
        yield HealthRow(
            area="notifications",
            what=f"variable {name}",
            health=HealthStatus.PROBLEM,
            detail="is not set: its webhook would not be notified",
            remedy="set it where stages are watched",
        )
    urls = [os.environ.get(address[1:], "") if address.startswith("$") else address for address in addresses]
    if environment_settings.mail is not None:
        host, port = environment_settings.mail.address
        urls.append(f"smtp://{host}:{port}")
    for url in (*environment_settings.webhooks, *filter(None, urls)):
        problem = _connection_problem(url)
        yield HealthRow(
            area="notifications",
            what=f"{'mail server' if url.startswith('smtp:') else 'webhook'} at {_host_and_port(url)}",
            health=HealthStatus.PROBLEM if problem else HealthStatus.OK,
            detail=problem or "accepts connections; nothing was posted",
            remedy="fix its address or the network: notifications of a held stage would be lost" if problem else "",
        )
    for argv in environment_settings.notify:
        is_installed = bool(argv) and shutil.which(argv[0]) is not None
        yield HealthRow(
            area="notifications",
            what=argv[0] if argv else "notify",
            health=HealthStatus.OK if is_installed else HealthStatus.PROBLEM,
            detail="installed; it was not run" if is_installed else "there is no such program",
            remedy="" if is_installed else "install it, or give its path",
        )


def _connection_problem(url: str) -> str:
    """Return why nothing listens at an address; empty if the connection succeeds."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=TIMEOUT):
            return ""
    except (OSError, ValueError, UnicodeError) as error:
        return f"cannot be connected to: {error}"


def _host_and_port(url: str) -> str:
    """Return host and port only: the rest of a URL is often a secret."""
    return urlsplit(url).netloc.rpartition("@")[2] or "?"


def _interpreter_rows(context: RolloutContext, target: Target | None) -> Iterator[HealthRow]:
    """Return rows about the gate's interpreters. A rollout does not need them, but proving an urgent change does."""
    inspectable: object = target
    for interpreter in sorted(context.plan.interpreters):
        image = context.plan.image_of(interpreter)
        location = _describe_local_interpreter(interpreter)
        try:
            if (
                not location
                and isinstance(inspectable, SupportsInspection)
                and inspectable.image_info(image) is not None
            ):
                location = f"the image {image}"
        except TargetError as error:
            location = ""
            image = f"{image} ({error})"
        yield HealthRow(
            area="interpreters",
            what=str(interpreter),
            health=HealthStatus.OK if location else HealthStatus.PROBLEM,
            detail=location or f"neither on this machine nor as the image {image}",
            remedy="" if location else f"the gate needs it: uv python install {interpreter}, or docker pull {image}",
            needed=False,
        )


def _describe_local_interpreter(interpreter: Interpreter) -> str:
    """Describe this machine's installation of an interpreter; empty if it has none."""
    from uv import find_uv_bin

    try:
        build = find_local(
            interpreter, uv=find_uv_bin(), fetch=False, cache=FingerprintCache(default_cache_folder() / "interpreters")
        )
    except CellUnavailable:
        return ""
    return f"{build.version}, {build.origin}"


# ---- images and rollback


def _service_rows(
    context: RolloutContext,
    settings: RolloutSettings,
    services: list[Service],
    runs: list[StageRun],
    target: Target | None,
) -> Iterator[HealthRow]:
    deployments = {deployment.service: deployment for run in runs if run.is_up for deployment in run.deployments}
    target_version = str(context.plan.target)
    any_target: object = target  # not every target can be inspected
    inspectable = any_target if isinstance(any_target, SupportsInspection) else None
    for service in services:
        deploy = settings.deploy_settings_for(stage=service.stage, name=service.name, path=service.path)
        try:
            row = _image_row(service, deploy, inspectable, target_version, context)
            # a target that answers but cannot inspect images is fine: the deployment looks them up
            yield row if target is None or row.health is not HealthStatus.UNKNOWN else replace(row, needed=False)
            yield _rollback_row(deployments.get(service.name), service, deploy, target, inspectable)
        except TargetError as error:
            yield HealthRow(area="images", what=service.name, health=HealthStatus.UNKNOWN, detail=str(error))


def _image_row(
    service: Service,
    deploy: DeploySettings,
    inspectable: SupportsInspection | None,
    target_version: str,
    context: RolloutContext,
) -> HealthRow:
    try:
        reference = image_reference(service, deploy, context.plan.target)
    except RolloutRefused as error:
        return HealthRow(area="images", what=service.name, health=HealthStatus.PROBLEM, detail=str(error))
    if inspectable is None:
        return HealthRow(
            area="images",
            what=service.name,
            health=HealthStatus.UNKNOWN,
            detail="the target cannot be asked for images",
        )
    return health_rows.image_row(service.name, reference, inspectable.image_info(reference), target_version)


def _rollback_row(
    deployment: Deployment | None,
    service: Service,
    deploy: DeploySettings,
    target: Target | None,
    inspectable: SupportsInspection | None,
) -> HealthRow:
    if target is None:
        return HealthRow(area="rollback", what=service.name, health=HealthStatus.UNKNOWN, detail="no engine answers")
    if deployment is not None and deployment.old is not None:
        any_target: object = target
        container_exists = (
            any_target.has_container(deployment.spec, deployment.old)
            if isinstance(any_target, SupportsInventory)
            else None
        )
        image_exists = inspectable.image_info(deployment.old.image) is not None if inspectable is not None else None
        return health_rows.rollback_row(service.name, container_exists=container_exists, image_exists=image_exists)
    observed = target.observe(make_service_spec(service, deploy))
    if observed is None:
        return health_rows.serving_row(service.name, "", serves=False)
    if not observed.running:
        return health_rows.serving_row(
            service.name, f"its container is not running; it ended with exit code {observed.exit_code}"
        )
    if observed.health == "unhealthy":
        return health_rows.serving_row(service.name, "its health check fails")
    return health_rows.serving_row(service.name, "")


def usage_rows(target: Target, settings: RolloutSettings, stages: Iterable[int]) -> list[HealthRow]:
    """Return a row for each stage; none if the target always reports usage."""
    any_target: object = target
    if not isinstance(any_target, SupportsUsageCheck):
        return []
    try:
        unmeasured_reason = any_target.usage_unavailable_reason()
    except TargetError as error:
        unmeasured_reason = str(error)
    return [usage_row(unmeasured_reason, settings.soak_settings_for(stage=number).missing) for number in stages]
