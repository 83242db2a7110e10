"""Deployment to a Docker swarm: one swarm service per service, updated and rolled back by changing its spec.

The protocol's *container* is here the task template of the service, identified by its digest (see :mod:`.specs`). What
serves is the template of the running tasks, not the spec of the service: the engine may still be updating, may have
stopped halfway, or may have rolled back by itself. The engine's own rollback covers the first minute only, and the
engine forgets it when it restarts, so nothing here relies on it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.target_model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.metrics.http_client import HttpResponse
from pytest_py312.rollout.targets.common import apply_self_reported
from pytest_py312.rollout.targets.docker import inspection
from pytest_py312.rollout.targets.docker.container_state import RECENT_START_SECONDS, seconds_since
from pytest_py312.rollout.targets.docker.engine_calls import read_log
from pytest_py312.rollout.targets.docker.health import health_path_problem
from pytest_py312.rollout.targets.docker.target import MAX_LOG_LINES
from pytest_py312.rollout.targets.swarm.lock import SwarmLock
from pytest_py312.rollout.targets.swarm.nodes import SwarmNodes
from pytest_py312.rollout.targets.swarm.services import SwarmServices, as_swarm_target_errors
from pytest_py312.rollout.targets.swarm.spec_store import SpecStore, stored_spec
from pytest_py312.rollout.targets.swarm.specs import (
    desired_replicas,
    initial_spec,
    rollback_spec,
    template_id,
    template_image,
    template_run,
    updated_spec,
    with_managed_fields,
)
from pytest_py312.rollout.targets.swarm.tasks import SwarmServiceStatus, SwarmTask
from pytest_py312.rollout.targets.target import (
    EngineInfo,
    EnvironmentLock,
    ImageInfo,
    Readiness,
    ReadinessPhase,
    TargetRefused,
)
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, EngineUnavailable

POLL_INTERVAL = 0.25


class SwarmTarget:
    """A swarm as a :class:`~pytest_py312.rollout.targets.target.Target`. ``engine`` is a manager.

    :param engines: name or id of a node -> address of its engine.
    :param connect: connects to an engine's address; raises like ``runners.docker.engine.connect``.
    """

    name = "swarm"

    def __init__(
        self, engine: DockerEngine, *, engines: Mapping[str, str], connect: Callable[[str], DockerEngine]
    ) -> None:
        self._engine = engine
        self._services = SwarmServices(engine)
        self._nodes = SwarmNodes(engine, engines, connect)

    def identity(self) -> str:
        return inspection.swarm_identity(self._engine)

    @as_swarm_target_errors()
    def image_id(self, reference: str) -> str:
        """Return the image's digest in the registry, or else its id, which then has to exist on each node."""
        pinned = self._services.pinned_reference(reference)
        if pinned is None:
            raise TargetRefused(f"neither the manager nor a registry has the image {reference}; build or push it first")
        return pinned

    def engine_info(self) -> EngineInfo:
        """Return the description of the manager's engine."""
        return inspection.engine_info(self._engine)

    @as_swarm_target_errors()
    def image_info(self, reference: str) -> ImageInfo | None:
        """Return an image of the manager or of a registry."""
        local_image = inspection.image_info(self._engine, reference)
        if local_image is not None:
            return local_image
        pinned = self._services.pinned_reference(reference)
        return ImageInfo(id=pinned) if pinned else None

    @as_swarm_target_errors()
    def has_container(self, spec: ServiceSpec, container: Container) -> bool:
        """Return whether a spec is stored and its image is available."""
        document = stored_spec(self._engine, container.id)
        image = template_image(document["TaskTemplate"]) if document else ""
        return bool(image) and self.image_info(image) is not None

    # ---- inspection

    @as_swarm_target_errors()
    def observe(self, spec: ServiceSpec) -> Observation | None:
        status = self._services.status(spec.container)
        if status is None:
            return None
        serving, image = status.serving
        running_tasks = status.running_tasks
        ended_tasks = status.ended_tasks(serving)
        return Observation(
            container=Container(id=serving, image=image),
            running=status.is_fully_running(serving),
            interpreters=self._interpreters(spec, running_tasks),
            started_at=max((task.created_at for task in running_tasks), default=""),
            restarts=len(ended_tasks),
            exit_code=ended_tasks[0].exit_code if ended_tasks else None,
            out_of_memory=any(self._ran_out_of_memory(spec, task) for task in ended_tasks[:1]),
            undone=status.engine_intervention,
        )

    def _interpreters(self, spec: ServiceSpec, tasks: tuple[SwarmTask, ...]) -> tuple[Interpreter, ...]:
        """Return the versions of all tasks; none if a single task's version is unknown."""
        interpreters: set[Interpreter] = set()
        for task in tasks:
            task_interpreters = self._task_interpreters(spec, task)
            if not task_interpreters:
                return ()
            interpreters |= task_interpreters
        return tuple(sorted(interpreters))

    def _task_interpreters(self, spec: ServiceSpec, task: SwarmTask) -> set[Interpreter]:
        target = self._nodes.docker_target(task)
        response = self._nodes.http_get(task, spec.port, spec.version) if spec.port and spec.version else None
        if target is None and response is None:
            raise TargetRefused(
                self._node_unreachable_message(task) + ", or publish its port on its node and set its `version` path"
            )
        observation = target.observe(_spec_of_task(spec, task)) if target is not None else None
        interpreters = set(observation.interpreters) if observation is not None else set()
        return apply_self_reported(interpreters, response.body) if isinstance(response, HttpResponse) else interpreters

    def _node_unreachable_message(self, task: SwarmTask) -> str:
        name = self._nodes.node(task.node).name
        return (
            f"its task on the node {name} cannot be inspected: add the engine of that node to the environment in the "
            f'plan, engines = {{ "{name}" = "tcp://..." }}'
        )

    def _ran_out_of_memory(self, spec: ServiceSpec, task: SwarmTask) -> bool:
        target = self._nodes.docker_target(task)
        observation = target.observe(_spec_of_task(spec, task)) if target is not None else None
        return observation is not None and observation.out_of_memory

    @as_swarm_target_errors()
    def readiness(self, spec: ServiceSpec, container: Container) -> Readiness:
        status = self._services.status(spec.container)
        if status is None:
            return Readiness.broken("its service no longer exists")
        recently_ended = [
            task for task in status.ended_tasks(container.id) if seconds_since(task.changed_at) < RECENT_START_SECONDS
        ]
        is_desired = status.desired_spec_id == container.id
        if status.is_fully_running(container.id) and (is_desired or not status.engine_intervention):
            return self._check_tasks(spec, status)  # also after changes that replace no task
        if not is_desired or status.is_paused:
            detail = status.engine_intervention or "something else was deployed in its place"
            return Readiness.broken(f"{detail}{self._describe_last_log(spec, recently_ended)}")
        running_slots = {task.slot for task in status.running_tasks}
        if any(task.slot not in running_slots for task in recently_ended):
            detail = f"a task has ended with exit code {recently_ended[0].exit_code}"
            return Readiness.broken(f"{detail}{self._describe_last_log(spec, recently_ended)}")
        return Readiness.starting(status.describe_missing(container.id))

    def _check_tasks(self, spec: ServiceSpec, status: SwarmServiceStatus) -> Readiness:
        """Check each task itself: for the engine a task runs once its health check has succeeded a single time."""
        is_probed = []
        for task in status.running_tasks:
            readiness = self._task_readiness(spec, task)
            if readiness.phase is not ReadinessPhase.READY:
                return readiness
            is_probed.append(readiness.is_probed)
        has_health_check = bool((status.spec["TaskTemplate"]["ContainerSpec"].get("Healthcheck") or {}).get("Test"))
        return Readiness(phase=ReadinessPhase.READY, is_probed=has_health_check or all(is_probed))

    def _task_readiness(self, spec: ServiceSpec, task: SwarmTask) -> Readiness:
        response = self._nodes.http_get(task, spec.port, spec.health) if spec.health and spec.port else None
        if response is not None and (problem := health_path_problem(response, spec.health)):
            return Readiness.starting(problem)
        target = self._nodes.docker_target(task)
        if target is None:
            return Readiness(phase=ReadinessPhase.READY, is_probed=response is not None)
        readiness = target.readiness(_spec_of_task(spec, task), Container(id=task.container, image=task.image))
        if readiness.phase is ReadinessPhase.BROKEN:
            observation = target.observe(_spec_of_task(spec, task))
            if observation is None or not observation.running:
                # after its restart a manager lists an ended task as running until its next check
                return Readiness.starting(readiness.detail)
        return replace(readiness, is_probed=readiness.is_probed or response is not None)

    def _describe_last_log(self, spec: ServiceSpec, ended_tasks: list[SwarmTask]) -> str:
        """Return error and last log lines of the newest ended task."""
        for task in ended_tasks[:1]:
            log_tail = " / ".join(self._read_log(spec, task, since=0.0)[-3:])
            return f"; {task.error or task.state}; last log lines: {log_tail or 'none'}"
        return ""

    def _read_log(self, spec: ServiceSpec, task: SwarmTask, *, since: float) -> list[str]:
        """Return the log of a task; empty if its node is not accessible, which must not block a rollback."""
        with suppress(EngineUnavailable, EngineRefused, TargetRefused):
            engine = self._nodes.engine(task.node)
            if engine is not None and task.container:
                return read_log(engine, task.container, tail=MAX_LOG_LINES, since=since or None)
        return []

    @as_swarm_target_errors()
    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        status = self._services.status(spec.container)
        if status is None:
            raise TargetRefused("its service no longer exists")
        ended_tasks = status.ended_tasks(container.id)
        running_tasks = [task for task in status.running_tasks if task.spec_id == container.id]
        usages, unmeasured = [], ""
        for task in running_tasks:
            target = self._nodes.docker_target(task)
            if target is None:
                unmeasured = self._node_unreachable_message(task)
                continue
            usages.append(target.read_usage(spec, Container(id=task.container, image=task.image), since=since))
        log = [line for usage in usages for line in usage.log]
        newly_ended = (
            [task for task in ended_tasks if seconds_since(task.changed_at) <= clock.timestamp() - since]
            if since
            else []
        )
        for task in newly_ended:
            log += self._read_log(spec, task, since=since)
        return Usage(
            cpu_seconds=None if unmeasured else sum(usage.cpu_seconds or 0.0 for usage in usages),
            memory=None if unmeasured else sum(usage.memory or 0 for usage in usages),
            unmeasured=unmeasured,
            process_ages=None
            if unmeasured or any(usage.process_ages is None for usage in usages)
            else tuple(age for usage in usages for age in usage.process_ages or ()),
            restarts=len(ended_tasks),
            out_of_memory=any(usage.out_of_memory for usage in usages)
            or any(self._ran_out_of_memory(spec, task) for task in newly_ended),
            started_at=max((task.created_at for task in running_tasks), default=""),
            log=tuple(log),
            log_lost=bool(unmeasured) or any(usage.log_lost for usage in usages),
        )

    # ---- changes

    @as_swarm_target_errors()
    def stop_for_drill(self, spec: ServiceSpec, container: Container) -> None:
        """Stop the containers of all running tasks; the swarm starts others in their place.

        :raises TargetRefused: no task runs, or the engine of a node is not accessible. Nothing was stopped.
        """
        status = self._services.status(spec.container)
        tasks = [task for task in status.running_tasks if task.spec_id == container.id] if status else []
        if not tasks:
            raise TargetRefused("no task of it runs")
        targets = [(task, self._nodes.docker_target(task)) for task in tasks]
        for task, target in targets:
            if target is None:
                raise TargetRefused(self._node_unreachable_message(task))
        for task, target in targets:
            assert target is not None, "checked above"
            target.stop_for_drill(spec, Container(id=task.container, image=task.image))

    @as_swarm_target_errors()
    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        status = self._services.status(spec.container)
        spec_store = SpecStore(self._engine, spec)
        api_version = self._services.api_version
        if status is None:
            network = self._services.network_id(spec.network) if spec.network else ""
            new_spec = initial_spec(spec, image=image, run=run, network=network, api_version=api_version)
            base_id = ""
        else:
            desired_replicas(status.spec)
            base_id = spec_store.put(status.spec, run=run)
            new_spec = updated_spec(
                status.spec,
                spec,
                image=image,
                run=run,
                start_first=self._services.can_start_first(status.spec),
                image_has_health_check=self._services.image_has_health_check(image),
                api_version=api_version,
            )
        spec_store.remove_specs_of_run(run, keep=base_id)
        new_id = spec_store.put(new_spec, run=run, base=base_id)
        spec_store.remove_surplus(base_id, new_id, retain=spec.retain)
        return Container(id=new_id, image=image)

    @as_swarm_target_errors()
    def switch(self, spec: ServiceSpec, container: Container) -> None:
        spec_store = SpecStore(self._engine, spec)
        new_spec, base_id = spec_store.get(container.id), spec_store.base_of(container.id)
        if new_spec is None:
            raise TargetRefused(f"the spec {container.id[:12]} is no longer stored in the swarm")

        def change(current: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
            current_id = template_id(spec.container, current["TaskTemplate"]) if current else ""
            if current_id == container.id:
                return None
            if current_id != base_id:
                raise TargetRefused(f"{spec.container} was changed by someone else since it was observed")
            return with_managed_fields(current, new_spec) if current else new_spec

        self._services.update(spec.container, change)

    @as_swarm_target_errors()
    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        status = self._services.status(spec.container)
        spec_store = SpecStore(self._engine, spec)
        logged: list[str] = []
        if status is not None:
            # read before any change: the swarm soon forgets ended tasks
            new_tasks = [task for task in status.tasks if task.container and task.run == run]
            for task in new_tasks[:1]:
                logged = self._read_log(spec, task, since=0.0)[-40:]
        if old is not None:
            self._roll_back(spec, old, status, spec_store)
        elif status is not None and template_run(status.spec["TaskTemplate"]) == run:
            self._services.remove(spec.container)
        spec_store.remove_specs_of_run(run)
        return "\n".join(logged)

    def _roll_back(
        self, spec: ServiceSpec, old: Container, status: SwarmServiceStatus | None, spec_store: SpecStore
    ) -> None:
        old_spec = spec_store.get(old.id) or self._services.current_or_previous_spec(spec.container, old.id)
        if old_spec is None:
            raise TargetRefused(
                f"the previous spec {old.id[:12]} is not stored anywhere: someone changed the service since it was "
                "observed, or removed the config py312-spec-" + old.id
            )
        start_first = self._services.can_start_first(old_spec)
        if status is None or not status.is_fully_running(old.id) or status.desired_spec_id != old.id:
            self._check_image(old_spec, status, start_first=start_first)

            def change(current: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
                return rollback_spec(current, old_spec, start_first=start_first) if current else old_spec

            self._services.update(spec.container, change)
            self._wait_until_restored(spec, old)
        # restore its own update settings, which the rollback replaced
        self._services.update(spec.container, lambda current: _restored_spec(current, old_spec))

    def _check_image(
        self, old_spec: Mapping[str, Any], status: SwarmServiceStatus | None, *, start_first: bool
    ) -> None:
        """Check that the previous image is available before the serving version is stopped.

        If that is unknown, try the rollback anyway, provided that the serving version runs until the previous one does.

        :raises TargetRefused: the image is missing.
        """
        image = template_image(old_spec["TaskTemplate"])
        is_present = self._nodes.have_image(image, [task.node for task in status.running_tasks] if status else [])
        if is_present is True or self._services.is_in_registry(image):
            return
        if is_present is False or not start_first:
            raise TargetRefused(
                f"the previous image {image} is on no node and in no registry; the serving version was not changed"
            )

    def _wait_until_restored(self, spec: ServiceSpec, old: Container) -> None:
        started = clock.stopwatch()
        timeout = spec.ready_timeout + spec.drain
        while True:
            status = self._services.status(spec.container)
            if status is None:
                raise TargetRefused("its service was removed meanwhile")
            if status.is_fully_running(old.id):
                return
            if clock.stopwatch() - started > timeout:
                engine_detail = f"; {status.engine_intervention}" if status.engine_intervention else ""
                raise TargetRefused(
                    f"not restored after {timeout:g} s: {status.describe_missing(old.id)}{engine_detail}"
                )
            clock.pause(POLL_INTERVAL)

    def environment_lock(self, environment: str) -> EnvironmentLock:
        return SwarmLock(self._engine, environment)


def _restored_spec(current: Mapping[str, Any] | None, old_spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    desired = with_managed_fields(current, old_spec) if current else None
    return None if desired == current else desired


def _spec_of_task(spec: ServiceSpec, task: SwarmTask) -> ServiceSpec:
    """Return the spec for inspection by the task's engine, without HTTP: that goes through the node's address."""
    return replace(spec, container=task.container, version="", health="")
