"""Collect what ``py312 doctor`` judges: the target, this machine, the journal and images; the rest by ``plan_checks``.

Nothing is changed, no container is started, and nothing is posted. What cannot be checked is a row too.
"""

import gzip
import os
import shutil
import socket
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.core.errors import Py312Error, RolloutRefused, StateError
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.plan.rollout_settings import KUBERNETES, DeploySettings, RolloutSettings
from pytest_py312.rollout.canary_analysis.judge import clock_jumps
from pytest_py312.rollout.context import RolloutContext
from pytest_py312.rollout.domain.deployment_plan import environments_sharing_target, image_reference, make_service_spec
from pytest_py312.rollout.domain.journal import Journal, current_timestamp
from pytest_py312.rollout.domain.measurements import Timestamp
from pytest_py312.rollout.domain.model import Deployment, StageRun
from pytest_py312.rollout.domain.next_act import has_pending_work
from pytest_py312.rollout.domain.preconditions import check_target_identity
from pytest_py312.rollout.preflight import health_rows
from pytest_py312.rollout.preflight.health_rows import HealthRow, HealthStatus, usage_row
from pytest_py312.rollout.preflight.plan_checks import (
    acceptance_rows,
    interpreter_rows,
    notification_rows,
    prometheus_rows,
)
from pytest_py312.rollout.targets.target import (
    EngineInfo,
    SupportsInspection,
    SupportsInventory,
    SupportsUsageCheck,
    Target,
    TargetError,
)

SWARM_NEEDS = (("VXLAN", "vxlan"), ("IP_VS", "ip_vs"))
"""(configuration option, module) that networks over several nodes and virtual addresses need."""


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
        *prometheus_rows(settings, environment_settings, services),
        *notification_rows(environment_settings),
        *_service_rows(context, settings, services, runs, target),
        *acceptance_rows(settings, context.plan.root, stage),
        *(interpreter_rows(context, target) if of_gate else ()),
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
        lock_row = HealthRow.ok("lock", environment, f"held by {holder}" if holder else "free", needed=False)
        if not isinstance(target, SupportsInspection):
            return target, [HealthRow.ok("engine", "reachable", f"{target.name} answers"), lock_row]
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
            health_rows.kernel_row(option, has_kernel_feature(option, module) if is_local else None)
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
        return HealthRow.unknown("engine", "identity", str(error))
    problem = ""
    try:
        check_target_identity(environment, identity, current_runs, shared_with)
    except RolloutRefused as error:
        problem = str(error)
    return health_rows.identity_row(identity, problem)


def _unreachable_row(problem: str, target: str) -> HealthRow:
    remedy = "start it, or set DOCKER_HOST, or give this user access to its socket"
    if target == KUBERNETES:
        remedy = "check with the same context: kubectl get deployments"
    return HealthRow.problem("engine", "reachable", problem, remedy)


def _is_local_engine(facts: EngineInfo) -> bool:
    """Return whether the engine runs on this very machine, with no container between the two."""
    return facts.is_local and facts.host == socket.gethostname() and facts.kernel == os.uname().release


# ---- this machine


def _disk_rows(context: RolloutContext) -> list[HealthRow]:
    folder = next(path for path in (context.state_dir, *context.state_dir.parents) if path.is_dir())
    rows = [health_rows.disk_row("journal", _free_bytes(folder), str(folder))]
    if not os.access(folder, os.W_OK):
        remedy = "make it writable for this user, or give --state-dir"
        rows.append(HealthRow.problem("disk", "journal", f"{folder} cannot be written to", remedy))
    return rows


def has_kernel_feature(option: str, module: str, *, root: Path = Path("/"), release: str | None = None) -> bool | None:
    """Return whether the kernel has a feature built in, loaded, or as a loadable module; ``None`` if that is unknown.

    :param release: of the kernel; by default that of the running one.
    """
    if (root / "sys/module" / module).exists():
        return True
    folder = root / "lib/modules" / (release if release is not None else os.uname().release)
    module_lists = [
        text for name in ("modules.builtin", "modules.dep") if (text := _read_text(folder / name)) is not None
    ]
    if any(f"/{module}.ko" in text for text in module_lists):
        return True
    setting = _kernel_setting(option, root / "proc/config.gz")
    if setting == "y":
        return True
    if setting == "" or module_lists:
        return False
    return None


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _kernel_setting(option: str, path: Path) -> str | None:
    """Return ``y``, ``m``, or empty if the option is not set; ``None`` if the configuration cannot be read."""
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    except (OSError, EOFError, zlib.error):
        return None
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == f"CONFIG_{option}":
            return value.strip()
    return ""


def _free_bytes(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _journal_rows(context: RolloutContext, environment: str) -> tuple[list[StageRun], list[HealthRow]]:
    """Return the current runs of all environments, as far as they can be read, and the rows about the journal."""
    if not context.has_journal:
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
            yield HealthRow.unknown("images", service.name, str(error))


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
        return HealthRow.problem("images", service.name, str(error))
    if inspectable is None:
        return HealthRow.unknown("images", service.name, "the target cannot be asked for images")
    return health_rows.image_row(service.name, reference, inspectable.image_info(reference), target_version)


def _rollback_row(
    deployment: Deployment | None,
    service: Service,
    deploy: DeploySettings,
    target: Target | None,
    inspectable: SupportsInspection | None,
) -> HealthRow:
    if target is None:
        return HealthRow.unknown("rollback", service.name, "no engine answers")
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
    problem = ""
    if observed is not None and not observed.running:
        problem = f"its container is not running; it ended with exit code {observed.exit_code}"
    elif observed is not None and observed.health == "unhealthy":
        problem = "its health check fails"
    return health_rows.serving_row(service.name, problem, serves=observed is not None)


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
