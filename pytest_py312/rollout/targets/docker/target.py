"""Deployment to a plain Docker engine: one container per service; the previous one is kept stopped for a rollback.

``switch`` converges on a container id: it stops every other container that has the service's name or runs for it, then
renames the chosen container, sets a restart policy that survives engine restarts, and starts it. Each step first checks
whether it is already done, so the whole can be repeated after any interruption.
"""

from collections.abc import Sequence
from typing import Any

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.rollout.domain.target_model import Container, Observation, ServiceSpec, Usage
from pytest_py312.rollout.metrics.http_client import HttpResponse
from pytest_py312.rollout.targets.common import (
    ALL_VERSIONS_SCRIPT,
    FIRST_PROCESS_VERSION_COMMAND,
    MAX_OUTPUT_BYTES,
    RUN_LABEL,
    SERVICE_LABEL,
    JsonObject,
    apply_self_reported,
    is_python_executable,
    parse_interpreters,
)
from pytest_py312.rollout.targets.docker import inspection
from pytest_py312.rollout.targets.docker.addressing import AddressResolver, address_for_caller
from pytest_py312.rollout.targets.docker.container_config import initial_request, is_auxiliary, request_from_container
from pytest_py312.rollout.targets.docker.container_state import (
    container_name,
    cpu_seconds_used,
    failure_reason,
    memory_in_use,
    memory_limit,
    restart_policy,
    to_container,
)
from pytest_py312.rollout.targets.docker.control_container import remove_controls, start_control, start_stand_in
from pytest_py312.rollout.targets.docker.engine_calls import (
    as_target_errors,
    inspect_container,
    list_containers,
    ran_out_of_memory_before_restart,
    read_log,
    remove_container,
    set_restart_policy,
)
from pytest_py312.rollout.targets.docker.health import (
    HTTP_TIMEOUT,
    health_path_problem,
    health_problem,
    http_get,
    run_in_container,
)
from pytest_py312.rollout.targets.docker.lock import DockerLock
from pytest_py312.rollout.targets.target import (
    EngineInfo,
    EnvironmentLock,
    ImageInfo,
    Readiness,
    ReadinessPhase,
    TargetError,
    TargetRefused,
)
from pytest_py312.runners.docker.container_specs import OWNER_LABEL
from pytest_py312.runners.docker.engine import DockerEngine
from pytest_py312.runners.docker.errors import EngineRefused, translate_errors

MAX_LOG_LINES = 2000

_RESTART_ALWAYS = "always"
_RESTART_UNLESS_STOPPED = "unless-stopped"


class DockerTarget:
    """A Docker engine as a :class:`~pytest_py312.rollout.targets.target.Target`."""

    name = "docker"

    def __init__(self, engine: DockerEngine, *, address: str = "") -> None:
        """:param address: of the engine; empty for the default one."""
        self._engine = engine
        self._addresses = AddressResolver(engine, address)

    def identity(self) -> str:
        return inspection.engine_identity(self._engine)

    def image_id(self, reference: str) -> str:
        with as_target_errors():
            image_id = self._engine.image_id(reference)
        if image_id is None:
            raise TargetRefused(f"the engine has no image {reference}; build or pull it first")
        return image_id

    def engine_info(self) -> EngineInfo:
        return inspection.engine_info(self._engine)

    def image_info(self, reference: str) -> ImageInfo | None:
        return inspection.image_info(self._engine, reference)

    def has_container(self, spec: ServiceSpec, container: Container) -> bool:
        with as_target_errors():
            return inspect_container(self._engine, container.id) is not None

    # ---- inspection

    def observe(self, spec: ServiceSpec) -> Observation | None:
        with as_target_errors():
            container_info = inspect_container(self._engine, spec.container)
            if container_info is None:
                return None
            state = container_info["State"]
            running = bool(state.get("Running")) and not state.get("Restarting")
            return Observation(
                container=to_container(container_info),
                running=running,
                interpreters=self._interpreters(container_info, spec) if running else (),
                started_at=str(state.get("StartedAt", "")),
                restarts=int(container_info.get("RestartCount", 0)),
                exit_code=None if running else int(state.get("ExitCode", -1)),
                out_of_memory=bool(state.get("OOMKilled")),
                health=str((state.get("Health") or {}).get("Status", "")),
            )

    def _interpreters(self, container_info: JsonObject, spec: ServiceSpec) -> tuple[Interpreter, ...]:
        """Detect the versions of all processes (without a shell: of the first one), plus the one reported over HTTP."""
        container_id = str(container_info["Id"])
        interpreters = self._run_version_command(container_id, ["sh", "-c", ALL_VERSIONS_SCRIPT])
        if not interpreters and is_python_executable(str(container_info.get("Path", ""))):
            interpreters = self._run_version_command(container_id, list(FIRST_PROCESS_VERSION_COMMAND))
        if spec.version and spec.port:
            response = self._http_get(container_info, spec, spec.version)
            interpreters = apply_self_reported(
                interpreters, response.body if isinstance(response, HttpResponse) else b""
            )
        return tuple(sorted(interpreters))

    def _run_version_command(self, container_id: str, argv: list[str]) -> set[Interpreter]:
        output = bytearray()
        try:
            self._engine.execute(container_id, argv, lambda kind, part: output.extend(part[:MAX_OUTPUT_BYTES]))
        except EngineRefused:
            return set()  # no such program, or it has just ended; the caller treats this as unknown
        return parse_interpreters(bytes(output))

    def _http_get(self, container_info: JsonObject, spec: ServiceSpec, path: str) -> HttpResponse | str:
        """Return the response, or why there is none."""
        try:
            host, port = self._addresses.resolve(container_info, spec)
        except TargetError as error:
            return str(error)
        return http_get(host, port, path)

    def address(self, spec: ServiceSpec, container: Container) -> tuple[str, int]:
        """Return host and port of the service, as
        :class:`~pytest_py312.rollout.targets.target.SupportsAddress` does.

        :raises ServiceUnreachable: no route from this machine is known.
        """
        with as_target_errors():
            container_info = inspect_container(self._engine, container.id)
            if container_info is None:
                raise TargetRefused("its container is gone")
            return self._addresses.resolve(container_info, spec)

    def readiness(self, spec: ServiceSpec, container: Container) -> Readiness:
        with as_target_errors():
            container_info = inspect_container(self._engine, container.id)
            if container_info is None:
                return Readiness.broken("its container is gone")
            state = container_info["State"]
            problem = failure_reason(container_info)
            if problem:
                log_tail = " / ".join(read_log(self._engine, container.id, tail=3))
                return Readiness.broken(f"{problem}; last log lines: {log_tail or 'none'}")
            health = str((state.get("Health") or {}).get("Status", "none"))
            if health == "unhealthy":
                log = (state["Health"].get("Log") or [{}])[-1]
                return Readiness.broken(f"unhealthy: {str(log.get('Output', '')).strip()[:300]}")
            if health == "starting":
                return Readiness.starting("its health check has not succeeded yet")
            if spec.health and spec.port:
                problem = health_path_problem(self._http_get(container_info, spec, spec.health), spec.health)
                return Readiness.starting(problem) if problem else Readiness(phase=ReadinessPhase.READY)
            problem = health_problem(self._engine, container_info, spec, self._addresses, timeout=HTTP_TIMEOUT)
            if problem:
                return Readiness.starting(problem)
            is_probed = bool(health == "healthy" or spec.health_command or (spec.grpc is not None and spec.port))
            return Readiness(phase=ReadinessPhase.READY, is_probed=is_probed)

    def execute(self, container: Container, argv: Sequence[str], *, timeout: float) -> tuple[int, str]:
        """Run a command; see :class:`~pytest_py312.rollout.targets.target.SupportsExec`."""
        with as_target_errors():
            return run_in_container(self._engine, container, argv, timeout=timeout)

    def read_usage(self, spec: ServiceSpec, container: Container, *, since: float) -> Usage:
        with as_target_errors():
            container_info = inspect_container(self._engine, container.id)
            if container_info is None:
                raise TargetRefused(f"container {container.id[:12]} is gone")
            with translate_errors():
                statistics: Any = self._engine.client.stats(container.id, stream=False, one_shot=True)
            log = read_log(self._engine, container.id, tail=MAX_LOG_LINES, since=since or None)
            return Usage(
                cpu_seconds=cpu_seconds_used(statistics),
                memory=memory_in_use(statistics),
                memory_limit=memory_limit(statistics),
                process_ages=inspection.process_ages(self._engine, container.id),
                restarts=int(container_info.get("RestartCount", 0)),
                out_of_memory=bool(container_info["State"].get("OOMKilled"))
                or ran_out_of_memory_before_restart(self._engine, container_info, since=since),
                started_at=str(container_info["State"].get("StartedAt", "")),
                log=tuple(log),
                log_lost=len(log) >= MAX_LOG_LINES,
            )

    # ---- changes

    def stop_for_drill(self, spec: ServiceSpec, container: Container) -> None:
        """Stop a container to simulate a crash in a drill; the engine does not restart explicitly stopped ones."""
        with as_target_errors(), translate_errors():
            self._engine.client.stop(container.id, timeout=1)

    def prepare(self, spec: ServiceSpec, *, image: str, run: str) -> Container:
        with as_target_errors():
            serving = inspect_container(self._engine, spec.container)
            self._remove_containers_of_run(spec, run, keep=str(serving["Id"]) if serving else "")
            remove_controls(self._engine, spec)
            self._remove_surplus_versions(spec)
            return self._create_container(spec, serving, image=image, run=run)

    def _create_container(self, spec: ServiceSpec, template: JsonObject | None, *, image: str, run: str) -> Container:
        if template is None:
            request = initial_request(spec, image=image, run=run)
        else:
            if template["HostConfig"].get("AutoRemove"):
                raise TargetRefused(
                    f"{spec.container} was started with --rm: stopping it would delete it and make a rollback "
                    "impossible; start it without --rm"
                )
            with translate_errors():
                template_image: Any = self._engine.client.inspect_image(template["Image"])  # type: ignore[no-untyped-call]  # so in its stubs
            request = request_from_container(template, template_image, spec=spec, image=image, run=run)
        with translate_errors():
            created: Any = self._engine.client.create_container_from_config(  # type: ignore[no-untyped-call]  # so in its stubs
                request, name=f"{spec.container}.next-{run}"
            )
        return Container(id=str(created["Id"]), image=image)

    def switch(self, spec: ServiceSpec, container: Container) -> None:
        with as_target_errors():
            if inspect_container(self._engine, container.id) is None:
                raise TargetRefused(f"container {container.id[:12]} is gone")
            for other in self._competing_containers(spec, container.id):
                self._stop_and_keep(spec, other)
            container_info = inspect_container(self._engine, container.id)
            if container_info is None:
                raise TargetRefused(f"container {container.id[:12]} was removed meanwhile")
            with translate_errors():
                if container_name(container_info) != spec.container:
                    self._engine.client.rename(container.id, spec.container)
                if restart_policy(container_info) == _RESTART_UNLESS_STOPPED:
                    # `unless-stopped` keeps a stopped container down after an engine crash; `always` does not
                    set_restart_policy(self._engine, container.id, _RESTART_ALWAYS)
                self._engine.client.start(container.id)

    def _competing_containers(self, spec: ServiceSpec, chosen_id: str) -> list[JsonObject]:
        """Return other containers that have the service's name or run for it; controls do neither."""
        listed = list_containers(self._engine, spec, f"{SERVICE_LABEL}={spec.service}")
        ids = {str(container["Id"]) for container in listed if not is_auxiliary(container)}
        named = inspect_container(self._engine, spec.container)
        ids |= {str(named["Id"])} if named else set()
        candidates = [
            candidate
            for container in sorted(ids - {chosen_id})
            if (candidate := inspect_container(self._engine, container)) is not None
        ]
        return [
            candidate
            for candidate in candidates
            if candidate["State"].get("Running") or container_name(candidate) == spec.container
        ]

    def _stop_and_keep(self, spec: ServiceSpec, container_info: JsonObject) -> None:
        """Stop a container and keep it, without the policy `always`, by which the engine would start it again."""
        container_id = str(container_info["Id"])
        with translate_errors():
            if container_info["HostConfig"].get("AutoRemove"):
                raise EngineRefused(f"{container_name(container_info)} was started with --rm and would be gone", 409)
            if restart_policy(container_info) == _RESTART_ALWAYS:
                set_restart_policy(self._engine, container_id, _RESTART_UNLESS_STOPPED)
            self._engine.client.stop(container_id, timeout=max(1, round(spec.drain)))
            if container_name(container_info) == spec.container:
                self._engine.client.rename(container_id, f"{spec.container}.{container_id[:8]}")

    def restore(self, spec: ServiceSpec, old: Container | None, *, run: str) -> str:
        with as_target_errors():
            rollback_container = self._rollback_container(spec, old, run) if old is not None else None
            if rollback_container is not None:
                self.switch(spec, rollback_container)
            return "\n".join(
                self._remove_containers_of_run(spec, run, keep=rollback_container.id if rollback_container else "")
            )

    def _rollback_container(self, spec: ServiceSpec, old: Container, run: str) -> Container:
        """Return the previous container, or a new one from its image if it was removed."""
        if inspect_container(self._engine, old.id) is not None:
            return old
        recreation_run = f"{run}.old"
        for container in self._containers_of_run(spec, recreation_run):  # left by an interrupted attempt
            if container["ImageID"] == old.image:
                return Container(id=str(container["Id"]), image=old.image)
        if self._engine.image_id(old.image) is None:
            raise TargetRefused(f"the previous container {old.id[:12]} and its image {old.image[:19]} no longer exist")
        # configured like its successor, serving or not
        new_containers = [container for container in self._containers_of_run(spec, run) if not is_auxiliary(container)]
        template = inspect_container(self._engine, spec.container) or (
            inspect_container(self._engine, str(new_containers[0]["Id"])) if new_containers else None
        )
        if template is None:
            raise TargetRefused(
                f"the previous container {old.id[:12]} no longer exists, and no other shows its configuration"
            )
        return self._create_container(spec, template, image=old.image, run=recreation_run)

    def _containers_of_run(self, spec: ServiceSpec, run: str) -> list[Any]:
        """List the containers that a run created for a service."""
        return list_containers(self._engine, spec, f"{SERVICE_LABEL}={spec.service}", f"{RUN_LABEL}={run}")

    def _remove_containers_of_run(self, spec: ServiceSpec, run: str, *, keep: str) -> list[str]:
        """Remove the containers that a run created for a service, and return their last log lines."""
        containers = self._containers_of_run(spec, run)
        logged: list[str] = []
        for container in containers:
            if container["Id"] == keep:
                continue
            if not is_auxiliary(container):
                logged += read_log(self._engine, container["Id"], tail=40)
            remove_container(self._engine, str(container["Id"]))
        return logged

    def _remove_surplus_versions(self, spec: ServiceSpec) -> None:
        """Remove stopped containers of earlier runs beyond ``spec.retain``, counting the serving one.

        Containers that were not created by this tool are never removed.
        """
        stopped = [
            container
            for container in list_containers(self._engine, spec, f"{SERVICE_LABEL}={spec.service}")
            if container.get("State") == "exited" and not is_auxiliary(container)
        ]
        stopped.sort(key=lambda container: int(container["Created"]), reverse=True)
        for container in stopped[max(0, spec.retain - 1) :]:
            remove_container(self._engine, str(container["Id"]))

    def start_control(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        with as_target_errors():
            return start_control(self._engine, spec, old, run=run)

    def remove_control(self, spec: ServiceSpec, *, run: str) -> None:
        with as_target_errors():
            remove_controls(self._engine, spec, run=run)

    # ---- contract tests, see :class:`~pytest_py312.rollout.targets.target.SupportsContracts`

    def start_stand_in(self, spec: ServiceSpec, old: Container, *, run: str) -> Container:
        with as_target_errors():
            return start_stand_in(self._engine, spec, old, run=run)

    def remove_stand_in(self, container: Container) -> None:
        with as_target_errors():
            remove_container(self._engine, container.id)

    def address_for_caller(self, spec: ServiceSpec, callee: Container, caller: Container) -> tuple[str, int]:
        with as_target_errors():
            return address_for_caller(self._engine, spec, callee, caller)

    def environment_lock(self, environment: str) -> EnvironmentLock:
        return DockerLock(self._engine, environment, self._image_for_lock)

    def _image_for_lock(self) -> str:
        """Return the oldest image, which is the least likely to be removed meanwhile.

        Images of a gate run are excluded: a container inherits the labels of its image, and the gate removes all
        containers with its labels when it ends.
        """
        with translate_errors():
            images: Any = self._engine.client.images()
        for image in sorted(images, key=lambda image: int(image.get("Created") or 0)):
            if OWNER_LABEL not in (image.get("Labels") or {}):
                return str(image["Id"])
        raise TargetRefused("the engine has no images, so nothing can be deployed")
