"""Client of the Docker engine: every call has a time limit and raises errors of this package.

The SDK is imported when the first engine is connected, not with this module.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_py312.core.errors import RunnerUnavailable
from pytest_py312.core.process_identity import ProcessIdentity, is_abandoned
from pytest_py312.runners.docker.container_specs import OWNER_LABEL, RUN_LABEL, ContainerSpec
from pytest_py312.runners.docker.errors import (
    EngineRefused,
    EngineUnavailable,
    close_refused_sockets,
    describe_error,
    none_if_missing,
    translate_errors,
)
from pytest_py312.runners.docker.output import OutputTail, StartFailureFilter, output_frames
from pytest_py312.runners.docker.ping import engine_address

if TYPE_CHECKING:
    from docker import APIClient

CALL_LIMIT = 60
"""Seconds for one call to the engine; a loaded engine needs several to start a container."""
START_ATTEMPTS = 3
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerState:
    """State of a container. ``out_of_memory``: the OOM killer has ended one of its processes."""

    running: bool
    exit_code: int
    out_of_memory: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """An engine's id, and what its machine has.

    ``memory`` is in bytes, 0 if unknown; ``security_options`` are ``name=rootless``, ``name=selinux``, ...
    """

    id: str
    cores: int
    memory: int
    security_options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StartedContainer:
    """A started container and, if its output is read, the end of it and the thread that reads."""

    id: str
    output: OutputTail
    reader: Thread | None


def _is_timeout(error: BaseException) -> bool:
    import requests
    import urllib3

    causes = (error, *error.args)
    return any(
        isinstance(cause, (requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)) for cause in causes
    )


def connect(address: str = "") -> "DockerEngine":
    """Connect to the engine at ``address``, at ``DOCKER_HOST``, or at its default socket.

    :raises RunnerUnavailable: no engine answers there, or this user may not use it.
    """
    import docker
    import docker.utils

    location = address or engine_address()
    try:
        client_options = docker.utils.kwargs_from_env(
            environment={**os.environ, "DOCKER_HOST": address} if address else None
        )
        # the timeout is per call; "auto" queries the version once, here
        client = docker.APIClient(
            **client_options, version="auto", timeout=CALL_LIMIT, use_ssh_client=address.startswith("ssh://")
        )
    except Exception as error:  # the SDK raises many types for a wrong address, missing keys or a refused connection
        close_refused_sockets(error)
        raise RunnerUnavailable(
            f"no Docker engine can be used at {location} ({describe_error(error)}). Start it, or give this user the "
            "right to its socket, or set DOCKER_HOST, or run without containers: --py312-runner=local"
        ) from error
    return DockerEngine(client)


class DockerEngine:
    """A connected engine. All methods may be called from several threads, and each has a time limit.

    Unless documented otherwise, each raises :class:`EngineUnavailable` and :class:`EngineRefused`.
    """

    def __init__(self, client: "APIClient") -> None:
        self._client = client

    @property
    def client(self) -> "APIClient":
        """The SDK's client, for other operations on images; to be used only within :func:`translate_errors`."""
        return self._client

    def facts(self) -> EngineFacts:
        """Return what the engine says of itself and its machine."""
        with translate_errors():
            info = self._client.info()
        return EngineFacts(
            id=str(info.get("ID", "")),
            cores=max(int(info.get("NCPU") or 1), 1),
            memory=int(info.get("MemTotal") or 0),
            security_options=tuple(str(option) for option in info.get("SecurityOptions") or ()),
        )

    def image_id(self, image: str) -> str | None:
        """Return the id of a local image; ``None`` if the engine has none of that name."""
        return none_if_missing(lambda: str(self._client.inspect_image(image)["Id"]))  # type: ignore[no-untyped-call]  # so in its stubs

    def pull(self, image: str, *, time_limit: float) -> None:
        """Fetch an image from its registry, within ``time_limit`` seconds.

        :raises EngineRefused: also for an error of the registry, and after the time limit.
        """
        import docker.utils

        name, tag = docker.utils.parse_repository_tag(image)
        deadline = time.monotonic() + time_limit
        with translate_errors():
            for message in self._client.pull(name, tag=tag or "latest", stream=True, decode=True):
                if "error" in message:
                    raise EngineRefused(str(message["error"]), 500)
                if time.monotonic() > deadline:
                    raise EngineRefused(f"not finished after {time_limit:g} s", 500)

    def launch(
        self, spec: ContainerSpec, *, listen: bool = True, started: Callable[[str], None] | None = None
    ) -> StartedContainer:
        """Create and start a container, with further attempts if the engine fails for a transient reason.

        ``started`` is called with each container's id before its start, so that the caller can remove it in any case.
        A container whose start failed is removed.
        """
        for attempt in range(1, START_ATTEMPTS + 1):
            container = self.create(spec)
            if started is not None:
                started(container)
            try:
                started_container = self._start(container, listen=listen)
            except BaseException as error:
                self.remove(container)
                if not isinstance(error, EngineRefused) or attempt == START_ATTEMPTS or not _is_retryable(error):
                    raise
            else:
                return started_container
        raise AssertionError("the loop above returns or raises")

    def create(self, spec: ContainerSpec) -> str:
        """Create a container without starting it, and return its id."""
        from docker.types import LogConfig, Mount, Ulimit

        limits: dict[str, Any] = {}
        if spec.memory is not None:
            limits |= {"mem_limit": spec.memory, "memswap_limit": spec.memory}
            limits |= {"shm_size": max(spec.memory // 4, 64 * 1024**2)}
        if spec.max_processes is not None:
            limits |= {"pids_limit": spec.max_processes}
        if spec.isolated:
            limits |= {"cap_drop": ["ALL"], "read_only": True, "ipc_mode": "private", "init": True}
        elif spec.capabilities:
            limits |= {"cap_drop": ["ALL"], "cap_add": list(spec.capabilities), "ipc_mode": "private", "init": True}
        with translate_errors():
            host = self._client.create_host_config(
                # Mount and not `volumes`, which a commit of the container would write into the image's configuration
                mounts=[
                    Mount(bind.target, str(bind.source), type="bind", read_only=not bind.writable)
                    for bind in spec.mounts
                ]
                + [
                    Mount(volume.target, volume.name or None, type="volume", read_only=not volume.writable)
                    for volume in spec.volumes
                ],
                tmpfs=dict(spec.tmpfs),
                network_mode=spec.network,
                security_opt=list(spec.security),
                ulimits=[Ulimit(name="core", soft=0, hard=0)],
                # output is read while it is printed and never written to disk, as a suite may print for minutes
                log_config=LogConfig(type="none"),
                **limits,
            )
            created = self._client.create_container(
                spec.image,
                entrypoint=list(spec.entrypoint),
                user=spec.user,
                environment=dict(spec.variables),
                labels=dict(spec.labels),
                hostname=None if spec.network == "host" else "localhost",
                working_dir=spec.working_folder,
                host_config=host,
                healthcheck={"test": ["NONE"]},
                use_config_proxy=spec.network != "none",
            )
        return str(created["Id"])

    def _start(self, container: str, *, listen: bool) -> StartedContainer:
        output = OutputTail(lanes=2)
        # attached before the start, so that no output is missed
        reader = self._start_reader(container, output) if listen else None
        with translate_errors():
            self._client.start(container)
        return StartedContainer(id=container, output=output, reader=reader)

    def _start_reader(self, container: str, output: OutputTail) -> Thread:
        """Start a thread that reads a container's output, and wait until it is attached.

        The end of the stream says nothing about the cell, whose records and state count: when an engine stops, its
        streams end normally.
        """
        attached = Event()
        errors: list[Exception] = []

        def listen() -> None:
            try:
                with translate_errors():
                    stream = self._client.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1})
                    attached.set()
                    for kind, part in output_frames(stream):
                        output.add(part, lane=int(kind == 2))
            except (EngineUnavailable, EngineRefused) as error:
                errors.append(error)
            finally:
                attached.set()

        reader = Thread(target=listen, daemon=True, name=f"output of {container[:12]}")
        reader.start()
        if not attached.wait(CALL_LIMIT):  # the SDK sets no time limit on this one call
            raise EngineUnavailable(f"the Docker engine did not answer for {CALL_LIMIT} s")
        if errors:
            raise errors[0]
        return reader

    def wait(self, container: str, seconds: float) -> bool:
        """Return whether the container ends within ``seconds``.

        :raises EngineUnavailable: also if the connection broke while waiting, even if an engine answers again now: a
            restarted engine has stopped the container, and its exit code says nothing about the suite.
        """
        try:
            with translate_errors():
                self._client.wait(container, timeout=max(seconds, 0.01))  # type: ignore[arg-type]  # requests takes parts of seconds
        except EngineUnavailable as unavailable:
            if unavailable.__cause__ is not None and _is_timeout(unavailable.__cause__):
                return False
            raise
        return True

    def state(self, container: str) -> ContainerState | None:
        """Return the state of a container; ``None`` if the engine has none of that id."""
        inspection = none_if_missing(lambda: self._client.inspect_container(container))
        if inspection is None:
            return None
        state_data = inspection["State"]
        return ContainerState(
            running=bool(state_data.get("Running")),
            exit_code=int(state_data.get("ExitCode", -1)),
            out_of_memory=bool(state_data.get("OOMKilled")),
        )

    def signal(self, container: str, name: str) -> None:
        """Send a signal to a container's first process; does nothing if it has ended."""
        try:
            with translate_errors():
                self._client.kill(container, signal=name)
        except EngineRefused:
            return

    def allow_memory(self, container: str, size: int) -> None:
        """Set the memory limit of a running container to ``size`` bytes."""
        with translate_errors():
            self._client.update_container(container, mem_limit=size, memswap_limit=size)

    def execute(self, container: str, argv: list[str], take: Callable[[int, bytes], None]) -> int:
        """Run a further process in a container to its end and return its exit code (-1 if the engine has none).

        ``take`` gets its output in chunks: (1 for standard output or 2 for standard error, bytes). If the engine fails
        to start the process for a transient reason, there are further attempts.
        """
        for _ in range(1, START_ATTEMPTS):
            output_filter = StartFailureFilter(take)
            code = self._execute(container, argv, output_filter)
            if not output_filter.is_retryable:
                output_filter.flush()
                return code
        return self._execute(container, argv, take)

    def _execute(self, container: str, argv: list[str], take: Callable[[int, bytes], None]) -> int:
        with translate_errors():
            exec_id = self._client.exec_create(container, argv)["Id"]
            for kind, part in output_frames(self._client.exec_start(exec_id, socket=True)):
                take(kind, part)
            for _ in range(200):  # the output ends a moment before the engine reports the exit
                inspection = self._client.exec_inspect(exec_id)
                if not inspection["Running"]:
                    code = inspection["ExitCode"]
                    return code if isinstance(code, int) else -1
                time.sleep(0.01)
        return -1

    def remove(self, container: str) -> None:
        """Stop and remove a container. Never raises: a later run sweeps what cannot be removed now."""
        with contextlib.suppress(EngineUnavailable, EngineRefused), translate_errors():
            self._client.remove_container(container, force=True, v=True)

    def remove_run(self, run_id: str, owner: str) -> None:
        """Stop and remove what one process has started for a run (xdist workers have their own). Never raises."""
        with contextlib.suppress(EngineUnavailable, EngineRefused):
            for container in self._labelled(f"{RUN_LABEL}={run_id}", f"{OWNER_LABEL}={owner}"):
                self.remove(str(container["Id"]))

    def sweep(self, process: ProcessIdentity, now: float) -> int:
        """Remove what killed runs left behind, and return the number of containers. Never raises.

        ``now`` is in seconds since the epoch.
        """
        swept = 0
        with contextlib.suppress(EngineUnavailable, EngineRefused):
            for container in self._labelled(OWNER_LABEL):
                if is_left_behind(container, process, now):
                    self.remove(str(container["Id"]))
                    swept += 1
        self._sweep_images(process, now)  # last: a running container keeps its image from being removed
        return swept

    def _sweep_images(self, process: ProcessIdentity, now: float) -> None:
        images: list[Mapping[str, Any]] = []
        with contextlib.suppress(EngineUnavailable, EngineRefused), translate_errors():
            images = list(self._client.images(all=True, filters={"label": OWNER_LABEL}))
        for image in images:
            if is_left_behind(image, process, now):
                # suppressed one by one, so that an image that cannot be removed does not protect the others
                with contextlib.suppress(EngineUnavailable, EngineRefused), translate_errors():
                    self._client.remove_image(image["Id"], force=True)

    def _labelled(self, *labels: str) -> list[Mapping[str, Any]]:
        with translate_errors():
            return list(self._client.containers(all=True, filters={"label": list(labels)}))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def is_left_behind(
    listing: Mapping[str, Any], process: ProcessIdentity, now: float, created: float | None = None
) -> bool:
    """Return whether a listed container, image or volume was left behind by a killed run.

    ``created`` and ``now`` are in seconds since the epoch; containers and images have the former themselves.
    """
    label = str((listing.get("Labels") or {}).get(OWNER_LABEL, ""))
    if created is None:
        created = float(listing.get("Created", now))
    return is_abandoned(label, created=created, now=now, observer=process)


def _is_retryable(refused: EngineRefused) -> bool:
    # one in some thousand starts fails in the engine ("read init-p: connection reset by peer"),
    # and succeeds when repeated
    return refused.status >= 400 and not (refused.disk_full or refused.no_such_program or refused.not_found)
